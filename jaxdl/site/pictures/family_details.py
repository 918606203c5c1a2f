"""What each family of convolutional networks brought, drawn from the parameters of its model."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxdl.layers.arithmetic import receptive_field
from jaxdl.models import efficientnet
from jaxdl.site.pictures.blocks import (
    BEND,
    CHANNELS,
    FEWER,
    NORM,
    PLACES,
    block,
    operation,
    shape_text,
    shares_bar,
    short_count,
)
from jaxdl.site.pictures.charts import Axes, Chart, Line
from jaxdl.site.pictures.family_models import family_facts
from jaxdl.site.pictures.svg import BLUE, GREEN, INK, RED, Drawing


def grouped(parts: Mapping[str, int]) -> dict[str, tuple[int, str]]:
    """Parameters and colours by the first word of a layer's name: the convolutions of a stage are one part."""
    found: dict[str, int] = {}
    for name, count in parts.items():
        key = re.sub(r"_.*$", "", name)
        found[key] = found.get(key, 0) + count
    return {key: (count, PLACES if key.startswith("conv") else CHANNELS) for key, count in found.items()}


def detail_alexnet(d: Drawing, top: float) -> None:
    facts = family_facts("alexnet")
    shares_bar(d, 20, top + 20, 600, grouped(facts.parts))


def detail_vgg(d: Drawing, top: float) -> None:
    """The receptive field of three 3x3 convolutions, and the weights of what they replace."""
    facts, cell = family_facts("vgg"), 13
    shares_bar(d, 20, top + 20, 600, grouped(facts.parts))
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
    operation(d, x, y, "+")
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
        width, _, image, _ = efficientnet.SIZES[size]
        blocks = sum(map(len, efficientnet.efficientnet(size).blocks()))
        d.text(
            372,
            top + 122 + 18 * i,
            f"{size.upper()}: width × {width:g}, {blocks} blocks, {image}×{image} pixels",
            size=11.5,
        )
