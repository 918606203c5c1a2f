"""The families of convolutional networks: their arrays from the image to the classes, and what each one brought."""

from functools import partial

from jaxdl.site.pictures.blocks import (
    BEND,
    CHANNELS,
    FEWER,
    NORM,
    PLACES,
    DrawnArray,
    array_chain,
    legend_of,
    shape_text,
    short_count,
    slab,
)
from jaxdl.site.pictures.charts import TILE
from jaxdl.site.pictures.entries import Drawn
from jaxdl.site.pictures.family_details import (
    detail_alexnet,
    detail_efficientnet,
    detail_inception,
    detail_mobilenet,
    detail_resnet,
    detail_vgg,
)
from jaxdl.site.pictures.family_models import IMAGE, MODELS, family_facts
from jaxdl.site.pictures.svg import INK, RED, Drawing

NAMED = {"pooled": "mean"}


def stages_of(slug: str) -> list[DrawnArray]:
    """The arrays that are drawn; an array is red where it has fewer places than the one before."""
    facts, (_, model) = family_facts(slug), MODELS[slug]
    notes: dict[str, str] = {}
    if slug == "alexnet":
        names = [*(f"conv{i}" for i in range(1, 6)), "dense1", "dense2"]
        notes = {f"conv{i}": f"{layer[1]}×{layer[1]}" for i, layer in enumerate(model.layers, 1)}
    elif slug == "vgg":
        names = [*(f"stage{i}" for i in range(1, 6)), "dense1", "dense2"]
        notes = {f"stage{i}": f"{n} × 3×3" for i, n in enumerate(model.stages, 1)}
    elif slug == "resnet":
        names = ["stem", *(f"stage{i}" for i in range(1, 5)), "pooled"]
        notes = {f"stage{i}": f"{n} blocks" for i, n in enumerate(model.stages, 1)}
    elif slug == "inception":
        names = ["stem", "3a", "3b", "4a", "4e", "5b", "pooled"]
    elif slug == "mobilenet":
        names = ["stem", "block1", "block3", "block5", "block11", "block13", "pooled"]
    else:
        names = [f"stage{i}" for i in range(1, 8)]
        notes = {f"stage{i}": f"{row[4]} × {row[1]}×{row[1]}" for i, row in enumerate(model.table, 1)}
    shapes = {**facts.shapes, "dense2": facts.shapes["pooled"]}  # the last hidden layer, where there are dense ones
    stages, before = [DrawnArray("image", IMAGE)], IMAGE
    for name in names:
        shape = shapes[name]
        flat = len(shape) == 1
        colour = CHANNELS if flat and name != "pooled" else FEWER if shape[0] < before[0] or flat else PLACES
        stages.append(DrawnArray(NAMED.get(name, name), shape, colour, notes.get(name, "")))
        before = shape
    return [*stages, DrawnArray("head", facts.output, CHANNELS)]


DETAILS = {
    "alexnet": (detail_alexnet, 56),
    "vgg": (detail_vgg, 192),
    "resnet": (detail_resnet, 122),
    "inception": (detail_inception, 172),
    "mobilenet": (detail_mobilenet, 182),
    "efficientnet": (detail_efficientnet, 190),
}
REMARKS = {
    "alexnet": "Most parameters are in the first dense layer.",
    "vgg": "Only 3x3 convolutions and 2x2 pools; most parameters are in the first dense layer.",
    "resnet": "A block adds its input to its result, so that very deep networks can be trained.",
    "inception": "A module applies 1x1, 3x3 and 5x5 convolutions and a pool side by side.",
    "mobilenet": "A convolution is split into one over places and one over channels.",
    "efficientnet": "Depth, width and resolution grow together from B0 to B7.",
}


def draw_family(slug: str) -> str:
    title, facts, (detail, height) = MODELS[slug][0], family_facts(slug), DETAILS[slug]
    stages = stages_of(slug)
    desc = (
        f"{title} for {shape_text(IMAGE)} images: {facts.total:,} parameters, {facts.multiply_adds:,} multiply-adds. "
        f"From left to right: {', '.join(f'{s.name} {shape_text(s.shape)}' for s in stages)}. {REMARKS[slug]}"
    )
    d = Drawing(640, 224 + height, title, desc)
    d.text(20, 22, title, size=14, font_weight=600)
    d.text(
        620, 22, f"{facts.total:,} parameters · {short_count(facts.multiply_adds)} multiply-adds", size=12, anchor="end"
    )
    array_chain(d, stages, (4, 36, 632, 150))
    legend_of(d, 20, 206, (PLACES, CHANNELS, FEWER, *((NORM, BEND) if slug == "resnet" else ())))
    detail(d, 228)
    return d.svg()


def draw_small_family(slug: str) -> str:
    """The idea of the family: the block where it brought one, the arrays where the order of layers is the idea."""
    d = Drawing(*TILE, MODELS[slug][0], f"The idea of {MODELS[slug][0]} in small", digits=1)
    if slug == "resnet":
        for x, colour in ((34, CHANNELS), (56, PLACES)):
            d.box(x, 34, 16, 22, colour, fill=0.25, width=1)
        d.arrows([(6, 45, 32, 45), (50, 45, 55, 45), (72, 45, 83, 45), (95, 45, 115, 45)], width=1.2, head=5)
        d.circle(89, 45, 6, INK, fill=0.1, stroke=INK)
        d.path([(86, 45), (92, 45)], width=1.2)
        d.path([(89, 42), (89, 48)], width=1.2)
        d.path([(20, 45), (20, 16), (89, 16), (89, 34)], RED, width=2)
        d.arrow(89, 30, 89, 38, RED, width=2, head=5)
    elif slug == "inception":
        for y, sides in ((9, (8,)), (26, (8, 12)), (45, (8, 16)), (63, (10, 8))):
            d.arrow(8, 36, 32, y, width=1, head=4)
            for x, side in zip((42, 66), sides, strict=False):
                kind = PLACES if side > 10 else FEWER if side == 10 else CHANNELS
                d.box(x - side / 2, y - side / 2, side, side, kind, fill=0.3, width=1, rx=1)
            d.arrow(76, y, 96, 36 + (y - 36) / 3, width=1, head=4)
        d.box(98, 16, 12, 40, PLACES, fill=0.3, width=1, rx=1)
    elif slug == "mobilenet":
        for i in range(5):
            d.box(10 + 7 * i, 28 - 4 * i, 26, 26, PLACES, fill=0.2, width=1, rx=1)
        d.arrow(70, 36, 82, 36, width=1.2, head=5)
        d.box(90, 12, 8, 48, CHANNELS, fill=0.3, width=1, rx=1)
        d.box(102, 12, 8, 48, CHANNELS, fill=0.3, width=1, rx=1)
    elif slug == "efficientnet":
        for x, factor in ((4, 0.5), (28, 0.7), (62, 1.0)):
            for i in range(round(2 * factor**2) + 1):
                slab(d, x + i * 10 * factor, 66, (56, 56, 64), (PLACES, FEWER)[i % 2], 0.72 * factor)
    else:
        stages = stages_of(slug)
        some = [*stages[1:6], *stages[-2:]] if slug == "vgg" else [stages[0], *stages[2:-2:2], *stages[-2:]]
        array_chain(d, some, (8, 3, 108, 66) if slug == "vgg" else (2, 3, 116, 66), text=False)
    return d.svg()


ENTRIES = {slug: Drawn(partial(draw_family, slug), partial(draw_small_family, slug)) for slug in MODELS}
