"""The families of convolutional networks: their arrays from the image to the classes, and what each one brought."""

import re
from collections.abc import Mapping, Sequence
from functools import cache, partial
from typing import Any

import numpy as np

from jaxdl.inspect.flops import multiply_adds
from jaxdl.layers.arithmetic import receptive_field
from jaxdl.models import efficientnet, inception, mobilenet, resnet, vgg
from jaxdl.models.alexnet import AlexNet
from jaxdl.site.pictures.blocks import (
    BEND,
    CHANNELS,
    FEWER,
    NORM,
    PLACES,
    Facts,
    Stage,
    block,
    chain,
    legend_of,
    model_facts,
    shape_text,
    short_count,
    slab,
)
from jaxdl.site.pictures.charts import TILE, Axes, Chart, Line
from jaxdl.site.pictures.entries import Drawn
from jaxdl.site.pictures.svg import BLUE, GREEN, INK, RED, Drawing

IMAGE = (224, 224, 3)
MODELS: Mapping[str, tuple[str, Any]] = {
    "alexnet": ("AlexNet", AlexNet()),
    "vgg": ("VGG-16", vgg.vgg(16)),
    "resnet": ("ResNet-50", resnet.resnet(50)),
    "inception": ("GoogLeNet (Inception v1)", inception.GoogLeNetPaper()),
    "mobilenet": ("MobileNet V1", mobilenet.MobileNetV1()),
    "efficientnet": ("EfficientNet-B0", efficientnet.efficientnet("b0")),
}
NAMED = {"pooled": "mean", "stem": "stem"}


@cache
def family_facts(slug: str) -> Facts:
    return model_facts(MODELS[slug][1], IMAGE, train=False, features=True)


def stages_of(slug: str) -> list[Stage]:
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
    shapes = facts.shapes | {"dense2": facts.shapes["pooled"]}  # the last hidden layer, where there are dense ones
    stages, before = [Stage("image", IMAGE)], IMAGE
    for name in names:
        shape = shapes[name]
        flat = len(shape) == 1
        colour = CHANNELS if flat and name != "pooled" else FEWER if shape[0] < before[0] or flat else PLACES
        stages.append(Stage(NAMED.get(name, name), shape, colour, notes.get(name, "")))
        before = shape
    return [*stages, Stage("head", facts.output, CHANNELS)]


def shares_bar(d: Drawing, x: float, y: float, w: float, parts: Mapping[str, int], total: int) -> None:
    """The parameters of the layers as parts of one bar."""
    d.text(x, y - 8, "Where the parameters are", size=12, font_weight=600)
    at = x
    for name, count in parts.items():
        wide = w * count / total
        colour = PLACES if re.match("conv|stage|block|stem|incep|last", name) else CHANNELS
        d.box(at, y, wide, 26, colour, fill=0.2, width=0.8, rx=0, data_part=name, data_parameters=count)
        label = f"{name} {short_count(count)}"
        if wide > 6.4 * len(label):
            d.text(at + wide / 2, y + 17, label, size=11, anchor="middle")
        at += wide


def grouped(parts: Mapping[str, int]) -> dict[str, int]:
    """Parameters by the first word of a layer's name: the convolutions of a stage are one part."""
    found: dict[str, int] = {}
    for name, count in parts.items():
        key = re.sub(r"_.*$", "", name)
        found[key] = found.get(key, 0) + count
    return found


# -- details ----------------------------------------------------------------------------------------------------------


def detail_alexnet(d: Drawing, top: float) -> None:
    facts = family_facts("alexnet")
    shares_bar(d, 20, top + 20, 600, facts.parts, facts.total)


def detail_vgg(d: Drawing, top: float) -> None:
    """The receptive field of three 3x3 convolutions, and the weights of what they replace."""
    facts, cell = family_facts("vgg"), 13
    shares_bar(d, 20, top + 20, 600, grouped(facts.parts), facts.total)
    fields = [receptive_field([(3, 1)] * n)[0] for n in range(4)]
    x, y = 40, top + 82
    side = fields[-1] * cell
    for field, fill in zip(reversed(fields), (0.12, 0.2, 0.3, 0.9), strict=True):
        inset = (fields[-1] - field) / 2 * cell
        d.box(x + inset, y + inset, field * cell, field * cell, PLACES, fill=fill, width=0, rx=0, data_field=field)
    for i in range(fields[-1] + 1):
        d.line(x + i * cell, y, x + i * cell, y + side, opacity=0.25, width=0.7)
        d.line(x, y + i * cell, x + side, y + i * cell, opacity=0.25, width=0.7)
    d.text(180, y + 22, f"Three 3×3 convolutions see {fields[3]}×{fields[3]} places, as one 7×7 does.", size=12.5)
    d.text(180, y + 44, "Of 512 channels to 512 they have", size=12.5)
    three, one = 3 * 9 * 512**2, fields[3] ** 2 * 512**2
    for i, (name, count) in enumerate((("3 × 3×3", three), ("1 × 7×7", one))):
        d.box(246, y + 56 + 20 * i, 220 * count / one, 14, PLACES, fill=0.3, width=0.8, rx=0)
        d.text(238, y + 67 + 20 * i, name, size=11.5, anchor="end")
        d.text(254 + 220 * count / one, y + 67 + 20 * i, f"{short_count(count)} weights", size=11.5)


def kernels_of(tree: Mapping[str, Any], prefix: str = "conv") -> list[tuple[int, ...]]:
    return [tree[name]["kernel"].shape for name in sorted(tree) if name.startswith(prefix)]


def kernel_text(shape: Sequence[int]) -> str:
    return f"{shape[0]}×{shape[1]}, {shape[-1]}"


def detail_resnet(d: Drawing, top: float) -> None:
    """The second block of stage 2: three convolutions, and the shortcut around them."""
    facts = family_facts("resnet")
    kernels = kernels_of(facts.params["stage2_block2"])
    d.text(20, top + 10, "A block of stage 2: y = ReLU(x + F(x))", size=12, font_weight=600)
    y, x = top + 84, 92
    d.text(46, y - 8, "x", size=14, anchor="middle", font_style="italic")
    d.text(50, y + 26, shape_text(facts.shapes["stage2_block1"]), size=11, anchor="middle")
    d.arrow(56, y, x, y)
    for i, kernel in enumerate(kernels):
        last = i == len(kernels) - 1
        block(d, x, y - 22, 78, 44, f"conv {kernel[0]}×{kernel[1]}", f"{kernel[-2]} → {kernel[-1]}",
              PLACES if kernel[0] > 1 else CHANNELS, data_kernel=shape_text(kernel))  # fmt: skip
        block(d, x + 81, y - 22, 25, 44, "BN", "", NORM, size=11)
        if not last:
            block(d, x + 109, y - 22, 36, 44, "ReLU", "", BEND, size=11)
        end = x + (106 if last else 145)
        d.arrow(end, y, end + 14, y)
        x = end + 14
    x += 10
    d.circle(x, y, 10, INK, fill=0.08, stroke=INK)
    d.text(x, y + 5, "+", size=15, anchor="middle")
    block(d, x + 22, y - 22, 38, 44, "ReLU", "", BEND, size=11)
    d.line(x + 10, y, x + 22, y, width=1.5)
    d.arrow(x + 60, y, x + 84, y)
    d.path([(72, y), (72, y - 50), (x, y - 50), (x, y - 17)], INK, width=1.8)
    d.arrow(x, y - 20, x, y - 10)
    d.text((72 + x) / 2, y - 55, "shortcut: the identity, so the gradient passes unchanged", size=11.5, anchor="middle")


def detail_inception(d: Drawing, top: float) -> None:
    """The first module: four branches that are put side by side along the channels."""
    facts = family_facts("inception")
    tree = facts.params["inception3a"]
    width = {name: tree[name]["conv"]["kernel"].shape for name in tree}
    d.text(20, top + 10, "Module 3a: several kernel sizes at once", size=12, font_weight=600)
    rows = [[("one",)], [("reduce3",), ("three",)], [("reduce5",), ("five",)], [None, ("pool",)]]
    last = ("one", "three", "five", "pool")
    d.text(60, top + 95, "stem", size=12, anchor="middle", font_weight=600)
    d.text(60, top + 111, shape_text(facts.shapes["stem"]), size=11, anchor="middle")
    for i, row in enumerate(rows):
        y = top + 38 + 38 * i
        d.arrow(104, top + 96, 152, y)
        x = 152
        for j, cell in enumerate(row):
            if cell is None:
                block(d, x, y - 14, 112, 28, "max-pool 3×3", "", FEWER)
            else:
                shape = width[cell[0]]
                kind = CHANNELS if shape[0] == 1 else PLACES
                block(d, x, y - 14, 112, 28, f"conv {kernel_text(shape)}", "", kind, data_kernel=shape_text(shape))
            x += 112
            if j + 1 < len(row):
                d.arrow(x, y, x + 26, y)
                x += 26
        d.arrow(x, y, 452, top + 96 + (i - 1.5) * 26)
    for i, name in enumerate(last):
        share = width[name][-1] / facts.shapes["3a"][-1] * 128
        at = top + 32 + 128 * sum(width[n][-1] for n in last[:i]) / facts.shapes["3a"][-1]
        d.box(456, at, 44, share, PLACES if width[name][0] > 1 else CHANNELS, fill=0.25, width=1, rx=0)
        if share > 15:
            d.text(478, at + share / 2 + 4, f"{width[name][-1]}", size=11, anchor="middle")
    d.text(512, top + 90, "side by side:", size=11.5)
    d.text(512, top + 107, f"{facts.shapes['3a'][-1]} channels", size=11.5)


def detail_mobilenet(d: Drawing, top: float) -> None:
    """A block beside the plain convolution of the same shape: weights and multiply-adds."""
    facts, name = family_facts("mobilenet"), "block11"
    shape = facts.shapes[name]
    tree = facts.params[name]
    depth, point = (tree[part]["conv"]["kernel"].shape for part in ("depthwise", "pointwise"))
    whole = (*depth[:2], point[-2], point[-1])
    d.text(20, top + 10, f"{name}: a convolution in two factors", size=12, font_weight=600)
    rows = (
        ("depthwise 3×3", "one filter for each channel", depth, PLACES),
        ("pointwise 1×1", "mixes the channels", point, CHANNELS),
        ("plain 3×3", "what they replace", whole, INK),
    )
    most = int(np.prod(whole))
    for i, (label, note, kernel, kind) in enumerate(rows):
        y, count = top + 28 + 38 * i + (6 if i == 2 else 0), int(np.prod(kernel))
        block(d, 20, y, 150, 32, label, "", kind)
        d.text(182, y + 13, note, size=11.5)
        d.text(182, y + 27, f"kernel {shape_text(kernel)}", size=11, opacity=0.8)
        d.box(350, y + 9, max(170 * count / most, 1.5), 14, kind, fill=0.3, width=0.8, rx=0, data_weights=count)
        d.text(358 + 170 * count / most, y + 20, f"{short_count(count)} weights", size=11.5)
    share = (np.prod(depth) + np.prod(point)) / most
    places = shape_text(shape[:2])
    d.text(20, top + 166, f"At {places} places: {share:.1%} of the weights and of the multiply-adds.", size=11.5)


def detail_efficientnet(d: Drawing, top: float) -> None:
    """How width, depth and resolution grow together from B0 to B7."""
    sizes = np.array([row[:3] for row in efficientnet.SIZES.values()])
    x = np.arange(len(sizes))
    names = (("depth", 1, RED), ("width", 0, GREEN), ("resolution", 2, BLUE))
    lines = [Line(x, sizes[:, k] / sizes[0, k], name, colour, dots=True) for name, k, colour in names]
    axes = Axes(d, (56, top + 42, 280, 108), Chart(lines, "B0 to B7", "factor beside B0", (0, 7), (0.8, 3.3)))
    axes.frame()
    axes.plot()
    for i, (name, _, colour) in enumerate(names):
        d.line(372, top + 52 + 20 * i, 390, top + 52 + 20 * i, colour, width=2.5)
        d.text(396, top + 56 + 20 * i, name, size=12)
    for i, size in enumerate(("b0", "b7")):
        width, depth, image, _ = efficientnet.SIZES[size]
        blocks = sum(map(len, efficientnet.efficientnet(size).blocks()))
        d.text(
            372,
            top + 122 + 18 * i,
            f"{size.upper()}: width × {width:g}, {blocks} blocks, {image}×{image} pixels",
            size=11.5,
        )


DETAILS = {
    "alexnet": (detail_alexnet, 56),
    "vgg": (detail_vgg, 192),
    "resnet": (detail_resnet, 122),
    "inception": (detail_inception, 172),
    "mobilenet": (detail_mobilenet, 172),
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
    chain(d, stages, (4, 36, 632, 150))
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
                d.box(
                    x - side / 2,
                    y - side / 2,
                    side,
                    side,
                    PLACES if side > 10 else FEWER if side == 10 else CHANNELS,
                    fill=0.3,
                    width=1,
                    rx=1,
                )
            d.arrow(76, y, 96, 36 + (y - 36) / 3, width=1, head=4)
        d.box(98, 16, 12, 40, PLACES, fill=0.3, width=1, rx=1)
    elif slug == "mobilenet":
        for i in range(5):
            d.box(10 + 7 * i, 28 - 4 * i, 26, 26, PLACES, fill=0.2, width=1, rx=1)
        d.arrow(70, 36, 82, 36, width=1.2, head=5)
        d.box(90, 12, 8, 48, CHANNELS, fill=0.3, width=1, rx=1)
        d.box(102, 12, 8, 48, CHANNELS, fill=0.3, width=1, rx=1)
    elif slug == "efficientnet":
        for x, factor in ((6, 0.62), (38, 0.82), (72, 1.1)):
            for i in range(round(2 * factor**2) + 1):
                slab(d, x + i * 11 * factor, 66, (56, 56, 64), (PLACES, FEWER)[i % 2], 0.78 * factor)
    else:
        stages = stages_of(slug)
        chain(d, [stages[0], *stages[2:-2:2], *stages[-2:]], (2, 3, 116, 66), text=False)
    return d.svg()


ENTRIES = {slug: Drawn(partial(draw_family, slug), partial(draw_small_family, slug)) for slug in MODELS}
