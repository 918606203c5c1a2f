"""The Transformer and the Vision Transformer: blocks with the shapes and parameters of the published sizes."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jaxdl.models.transformer import Config, EncoderDecoder
from jaxdl.models.vit import vit
from jaxdl.site.pictures.architectures import heading
from jaxdl.site.pictures.blocks import (
    BEND,
    CHANNELS,
    NORM,
    PLACES,
    block,
    legend_of,
    model_facts,
    operation,
    shape_text,
    shares_bar,
    short_count,
)
from jaxdl.site.pictures.charts import TILE
from jaxdl.site.pictures.entries import Drawn
from jaxdl.site.pictures.rasters import photographs
from jaxdl.site.pictures.svg import INK, Drawing
from jaxdl.site.pictures.trained import clothing_images

Branch = tuple[str, str, str]
"""Label, note and colour of a residual branch."""


def size_of_part(tree: Any) -> int:
    return sum(a.size for a in jax.tree.leaves(tree))


def branches(d: Drawing, x: float, y: float, parts: Sequence[Branch], *, first: bool, w: float = 88) -> float:
    """Residual branches one after the other along y: x + f(x), with a norm before f (`first`) or behind the sum.

    Returns where they end.
    """
    for label, note, colour in parts:
        start = x
        d.line(x, y, x + 14, y, width=1.5)
        x += 14
        if first:
            block(d, x, y - 18, 26, 36, "LN", "", NORM, size=11)
            d.arrow(x + 26, y, x + 38, y)
            x += 38
        block(d, x, y - 24, w, 48, label, note, colour)
        d.arrow(x + w, y, x + w + 14, y)
        x += w + 24
        operation(d, x, y, "+")
        d.path([(start + 5, y), (start + 5, y - 40), (x, y - 40), (x, y - 16)], INK, width=1.5)
        d.arrow(x, y - 18, x, y - 10)
        x += 10
        if not first:
            d.arrow(x, y, x + 12, y)
            block(d, x + 12, y - 18, 26, 36, "LN", "", NORM, size=11)
            x += 38
    return x


def repeated(d: Drawing, x: float, y: float, w: float, h: float, label: str) -> None:
    """A dashed box around what is repeated."""
    d.add(
        "rect", x=x, y=y, width=w, height=h, rx=6, fill="none", stroke=INK, stroke_opacity=0.5, stroke_dasharray="4 3"
    )
    d.text(x + w - 6, y - 5, label, size=12, anchor="end", font_weight=600)


def draw_transformer() -> str:
    config, time = Config(), 20
    facts = model_facts(EncoderDecoder(config), (time,), (time,), tokens=True, train=False)
    one = facts.params["decoder"]["blocks_0"]
    count: Mapping[str, str] = {name: short_count(size_of_part(part)) for name, part in one.items()}
    width = one["attention"]["out"]["kernel"].shape[1]
    hidden = one["mlp"]["up"]["kernel"].shape[1]
    desc = (
        f"The base Transformer: {facts.total:,} parameters, {config.depth} blocks a side, width {width}, {config.heads} heads, "
        f"{hidden} hidden channels. The encoder reads the source; each block is self-attention and an MLP, each added to its "
        "input. A block of the decoder also attends to what the encoder made. Every position is computed at the same time."
    )
    d = Drawing(640, 420, "Transformer", desc)
    heading(d, "Transformer, base size", f"{facts.total:,} parameters")
    top, low = 108, 258
    notes = {name: f"{text}" for name, text in count.items()}
    d.text(20, top - 56, "source", size=12, font_weight=600)
    block(d, 20, top - 24, 76, 48, "embedding", "+ position", CHANNELS)
    end = branches(
        d, 96, top, [("attention", notes["attention"], PLACES), ("MLP", notes["mlp"], CHANNELS)], first=False, w=74
    )
    repeated(d, 98, top - 50, end - 94, 84, f"× {config.depth}")
    d.arrow(end, top, end + 34, top)
    d.text(end + 40, top - 2, "memory", size=12, font_weight=600)
    d.text(end + 40, top + 13, f"time×{width}", size=11)
    d.text(20, low - 56, "target so far", size=12, font_weight=600)
    block(d, 20, low - 24, 76, 48, "embedding", "+ position", CHANNELS)
    parts = [
        ("masked", notes["attention"], PLACES),
        ("cross", notes["cross_attention"], PLACES),
        ("MLP", notes["mlp"], CHANNELS),
    ]
    end = branches(d, 96, low, parts, first=False, w=62)
    repeated(d, 98, low - 50, end - 94, 84, f"× {config.depth}")
    x = 96 + 14 + 62 + 24 + 10 + 38 + 14 + 31
    d.path([(458, top + 20), (458, 168), (x, 168), (x, 190)], PLACES, width=2)
    d.arrow(x, 190, x, low - 25, PLACES, width=2)
    d.text((458 + x) / 2, 163, "keys and values", size=11.5, anchor="middle")
    d.arrow(end, low, end + 18, low)
    block(d, end + 18, low - 24, 632 - end - 18, 48, "softmax", "", BEND, size=11)
    d.text(632, low + 48, "next token", size=12, anchor="end", font_weight=600)
    d.text(20, low + 52, "In each box: parameters. LN: layer norm.", size=11, opacity=0.85)
    legend_of(d, 20, 330, (PLACES, CHANNELS, NORM, BEND))
    kinds = {"embed": CHANNELS, "encoder": PLACES, "decoder": PLACES, "head": CHANNELS}
    shares_bar(d, 20, 368, 600, {name: (facts.parts[name], kinds[name]) for name in kinds if name in facts.parts})
    return d.svg()


def draw_small_transformer() -> str:
    d = Drawing(*TILE, "Transformer", "Two residual branches: attention and MLP", digits=1)
    d.line(3, 46, 14, 46, width=1.3)
    for x, colour in ((14, PLACES), (66, CHANNELS)):
        d.box(x, 34, 22, 24, colour, fill=0.3, width=1.2)
        d.arrow(x + 22, 46, x + 30, 46, width=1.2, head=4)
        d.circle(x + 36, 46, 5.5, INK, fill=0.1, stroke=INK)
        d.path([(x + 33, 46), (x + 39, 46)], width=1)
        d.path([(x + 36, 43), (x + 36, 49)], width=1)
        d.path([(x - 6, 46), (x - 6, 18), (x + 36, 18), (x + 36, 35)], width=1.3)
        d.arrow(x + 36, 34, x + 36, 40, width=1.3, head=4)
        d.line(x + 42, 46, min(x + 52, 117), 46, width=1.3)
    return d.svg()


# -- vision -----------------------------------------------------------------------------------------------------------

PATCH, PIXELS = 7, 28


def patches_of(image: np.ndarray) -> np.ndarray:
    """Patches `(n, PATCH, PATCH)` of an image, row by row."""
    side = PIXELS // PATCH
    return image.reshape(side, PATCH, side, PATCH).swapaxes(1, 2).reshape(-1, PATCH, PATCH)


def pictured() -> np.ndarray:
    """An image of a boot."""
    x, y = clothing_images("test")
    return x[int(np.flatnonzero(y == 9)[3]), ..., 0]


def draw_vit() -> str:
    model, image = vit("b", 16), (224, 224, 3)
    facts = model_facts(model, image, train=False, features=True)
    tokens, width = facts.shapes["tokens"]
    one = facts.params["block1"]
    notes = [short_count(size_of_part(one[name])) for name in ("attention", "feed_forward")]
    grid = facts.params["positions"].shape[0] - 1
    side = round(grid**0.5)
    desc = (
        f"Vision Transformer B/16: {facts.total:,} parameters. An image of {shape_text(image)} is cut into {side}x{side} patches "
        f"of 16x16 pixels; each becomes a token of {width} numbers, a class token is put before them, positions are added, and "
        f"{model.depth} blocks of attention and MLP follow. The head reads the class token. The boot, of 28x28 pixels, shows how "
        "an image is cut."
    )
    d = Drawing(640, 388, "Vision Transformer", desc)
    heading(d, "ViT-B/16", f"{facts.total:,} parameters · {short_count(facts.multiply_adds)} multiply-adds")
    patches = patches_of(pictured())
    d.raster(20, 44, 112, 112, photographs(patches, PIXELS // PATCH))
    d.text(76, 172, "image in patches", size=12, anchor="middle", font_weight=600)
    d.arrow(140, 100, 166, 100)
    shown = patches[[0, 1, 5, 6, 9, 14, 15]]
    d.box(172, 84, 32, 32, BEND, fill=0.25)
    d.text(188, 105, "cls", size=12, anchor="middle")
    d.raster(212, 84, 44 * len(shown) - 12 + 0, 32, photographs(shown, len(shown), gap=2))
    xs = [188, *(212 + (i + 0.5) * (44 * len(shown) - 12) / len(shown) for i in range(len(shown)))]
    d.arrows([(x, 120, x, 140) for x in xs], width=1.2, head=5)
    for i, x in enumerate(xs):
        d.box(x - 14, 142, 28, 22, CHANNELS, fill=0.22, width=1.2)
        d.text(x, 157, str(i), size=11, anchor="middle")
    d.text(528, 96, "a class token", size=11.5)
    d.text(528, 111, "and the patches", size=11.5)
    d.text(528, 150, f"{tokens} tokens", size=11.5, data_shape=shape_text((tokens, width)))
    d.text(528, 165, f"of {width} numbers", size=11.5)
    y = 246
    d.path([(340, 168), (340, 182), (44, 182), (44, y)], INK, width=1.5)
    end = branches(d, 44, y, [("attention", notes[0], PLACES), ("MLP", notes[1], CHANNELS)], first=True, w=84)
    repeated(d, 44, y - 52, end - 36, 86, f"× {model.depth}")
    d.arrow(end, y, end + 24, y)
    block(d, end + 24, y - 18, 26, 36, "LN", "", NORM, size=11)
    d.arrow(end + 50, y, end + 66, y)
    block(d, end + 66, y - 24, 76, 48, "head", short_count(facts.parts["head"]), CHANNELS)
    d.arrow(end + 142, y, end + 160, y)
    d.text(end + 166, y + 4, f"{facts.output[0]} classes", size=12)
    legend_of(d, 20, 306, (PLACES, CHANNELS, NORM))
    blocks = sum(count for name, count in facts.parts.items() if name.startswith("block"))
    parts = {"patches": (facts.parts["patches"], CHANNELS), f"{model.depth} blocks": (blocks, PLACES),
             "head": (facts.parts["head"], CHANNELS)}  # fmt: skip
    shares_bar(d, 20, 344, 600, parts)
    return d.svg()


def draw_small_vit() -> str:
    d = Drawing(*TILE, "Vision Transformer", "An image in patches, and a row of tokens", digits=1)
    patches = patches_of(pictured())
    d.raster(3, 8, 56, 56, photographs(patches, PIXELS // PATCH))
    d.arrow(62, 36, 72, 36, width=1.2, head=5)
    for i in range(4):
        d.box(77 + 10.5 * i, 16, 7, 40, CHANNELS if i else BEND, fill=0.3, width=1.1, rx=1.5)
    return d.svg()


ENTRIES = {"transformer": Drawn(draw_transformer, draw_small_transformer), "vit": Drawn(draw_vit, draw_small_vit)}
