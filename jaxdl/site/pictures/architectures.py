"""Dense and convolutional architectures: shapes and parameters from the models, maps from a small trained one."""

import math
from functools import cache
from itertools import pairwise

import jax
import numpy as np

from jaxdl.inspect.taps import layer_outputs
from jaxdl.layers.pooling import max_pool
from jaxdl.models.cnn import CNN
from jaxdl.models.mlp import MLP
from jaxdl.site.pictures.blocks import (
    BEND,
    CHANNELS,
    FEWER,
    PLACES,
    DrawnArray,
    array_chain,
    layer_shapes,
    legend_of,
    model_facts,
    shape_text,
    shares_bar,
    short_count,
)
from jaxdl.site.pictures.charts import TILE
from jaxdl.site.pictures.entries import Drawn
from jaxdl.site.pictures.rasters import feature_maps, photographs
from jaxdl.site.pictures.svg import GREEN, INK, Drawing, Point
from jaxdl.site.pictures.trained import digit_images, quick_jit, trained_cnn

IMAGE = (224, 224, 3)


def heading(d: Drawing, title: str, note: str = "") -> None:
    d.text(20, 22, title, size=14, font_weight=600)
    if note:
        d.text(d.width - 20, 22, note, size=12, anchor="end")


# -- MLP --------------------------------------------------------------------------------------------------------------


def edge_to_edge(a: Point, b: Point, r: float) -> list[Point]:
    """The line between two circles of radius r, from edge to edge."""
    share = r / math.dist(a, b)
    x, y = (b[0] - a[0]) * share, (b[1] - a[1]) * share
    return [(a[0] + x, a[1] + y), (b[0] - x, b[1] - y)]


def unit_columns(
    d: Drawing, xs: list[float], counts: list[int], y: float, step: float, r: float, colours: list[str]
) -> None:
    """Columns of units, every unit connected with every one of the next column."""
    places = [[(x, y + (i - (n - 1) / 2) * step) for i in range(n)] for x, n in zip(xs, counts, strict=True)]
    for left, right in pairwise(places):
        lines = "".join(d.steps(edge_to_edge(a, b, r)) for a in left for b in right)
        d.add("path", d=lines, stroke=INK, stroke_width=0.7, opacity=0.28, fill="none")
    for column, colour in zip(places, colours, strict=True):
        for x, top in column:
            d.circle(x, top, r, colour, fill=0.35, stroke=colour)


def draw_mlp() -> str:
    model, size = MLP(), 784
    facts = model_facts(model, (size,), train=False)
    widths = [size, *(facts.params[name]["kernel"].shape[1] for name in sorted(facts.parts))]
    desc = (
        f"A multilayer perceptron with layers of {', '.join(map(str, widths))} units and {facts.total:,} parameters: every unit "
        "reads all units of the layer before. A few units of each layer are drawn."
    )
    d = Drawing(640, 320, "Multilayer perceptron", desc)
    heading(d, f"MLP {'–'.join(map(str, widths))}", f"{facts.total:,} parameters")
    xs, names = [80.0, 240.0, 400.0, 560.0], ["input", "hidden", "hidden", "logits"]
    unit_columns(d, xs, [8, 7, 7, 5], 130, 23, 7, [INK, CHANNELS, CHANNELS, CHANNELS])
    for x, width, name in zip(xs, widths, names, strict=True):
        d.text(x, 236, name, size=12, anchor="middle", font_weight=600)
        d.text(x, 251, f"{width} units", size=11, anchor="middle")
    for i, name in enumerate(sorted(facts.parts)):
        middle = (xs[i] + xs[i + 1]) / 2
        rows, columns = facts.params[name]["kernel"].shape
        d.text(
            middle,
            276,
            f"W{'₁₂₃'[i]} {columns}×{rows}, b{'₁₂₃'[i]} {columns}",
            size=11.5,
            anchor="middle",
            colour=GREEN,
        )
        d.text(middle, 292, f"{facts.parts[name]:,}", size=11, anchor="middle", data_parameters=facts.parts[name])
        if i < 2:
            d.text(xs[i + 1] + 14, 44, "ReLU", size=11.5, colour=BEND)
    d.text(320, 312, "parameters of each dense layer: (inputs + 1) · outputs", size=11, anchor="middle", opacity=0.8)
    return d.svg()


def draw_small_mlp() -> str:
    d = Drawing(*TILE, "Multilayer perceptron", "Four layers of units, each connected with the next", digits=1)
    unit_columns(d, [14, 45, 76, 107], [5, 4, 4, 3], 36, 13, 4, [INK, CHANNELS, CHANNELS, CHANNELS])
    return d.svg()


# -- CNN --------------------------------------------------------------------------------------------------------------

SHOWN = (3, 0, 7)
"""Which digits the picture of the CNN shows."""


@cache
def cnn_at_work() -> dict[str, np.ndarray]:
    """Three digits, all first filters, and for each digit the maps behind the first ReLU and behind its pool."""
    model, params, _ = trained_cnn()
    x, y = digit_images("test")
    images = x[[int(np.flatnonzero(y == label)[0]) for label in SHOWN]]

    def run(x):
        outputs = layer_outputs(model, (params["params"], {}), x)
        maps = jax.nn.relu(outputs["Conv_0"])
        return {"maps": maps, "pooled": max_pool(maps, 2), "p": jax.nn.softmax(model.apply(params, x, train=False))}

    found = {name: np.asarray(v) for name, v in quick_jit(run)(images).items()}
    return found | {"images": images, "kernels": np.asarray(params["params"]["Conv_0"]["kernel"])[:, :, 0]}


def liveliest(maps: np.ndarray, count: int) -> list[int]:
    """The channels whose maps vary most."""
    return np.argsort(-maps.std((0, 1, 2)), kind="stable")[:count].tolist()


def draw_cnn() -> str:
    seen, trained = cnn_at_work(), trained_cnn()
    facts, chosen = model_facts(trained.model, (8, 8, 1), train=False), liveliest(seen["maps"], 5)
    kernel = facts.params["Conv_0"]["kernel"].shape
    desc = (
        f"The sheet's CNN, trained on digits of 8x8 pixels to {trained.accuracy:.1%} test accuracy. Top: five of its "
        f"{kernel[-1]} first filters, blue above 0 and orange below. Rows: three digits and their maps behind convolution and "
        "ReLU; the same filter is used at every place. Right: the class probabilities of the whole network."
    )
    d = Drawing(640, 330, "A CNN at work", desc)
    heading(d, f"{kernel[0]}×{kernel[1]} filters, learned", f"{facts.total:,} parameters, {trained.accuracy:.1%} right")
    xs = [130 + 76 * i for i in range(len(chosen))]
    for x, channel in zip(xs, chosen, strict=True):
        d.box(x + 11, 36, 42, 42, PLACES, fill=0, width=1, rx=0)
        d.heat(x + 11, 36, 42, 42, seen["kernels"][..., channel], largest=float(np.abs(seen["kernels"]).max()))
    for row, label in enumerate(SHOWN):
        y = 92 + 76 * row
        d.raster(30, y, 64, 64, photographs(seen["images"][row, :, :, 0][None], 1))
        d.arrow(100, y + 32, 122, y + 32)
        for x, channel in zip(xs, chosen, strict=True):
            d.box(x, y, 64, 64, PLACES, fill=0, width=1, rx=0)
            d.heat(x, y, 64, 64, seen["maps"][row, :, :, channel], largest=float(seen["maps"][..., chosen].max()))
        d.arrow(504, y + 32, 526, y + 32)
        for k, p in enumerate(seen["p"][row]):
            d.box(532 + 9 * k, y + 50 - 46 * float(p), 7, 46 * float(p) + 0.5, CHANNELS, fill=0.5, width=0, rx=0)
        d.line(531, y + 51, 622, y + 51, opacity=0.5)
        d.text(535.5 + 9 * label, y + 64, str(label), size=11, anchor="middle")
    d.text(62, 84, "image", size=11, anchor="middle")
    d.text(577, 84, "classes 0 to 9", size=11, anchor="middle")
    return d.svg()


def draw_small_cnn() -> str:
    seen = cnn_at_work()
    chosen = liveliest(seen["maps"], 4)
    d = Drawing(*TILE, "A CNN at work", "A digit and four maps of learned filters", digits=1)
    d.raster(3, 18, 36, 36, photographs(seen["images"][0, :, :, 0][None], 1))
    d.arrow(42, 36, 52, 36, width=1.2, head=5)
    d.raster(56, 6, 61, 61, feature_maps(np.moveaxis(seen["maps"][0][..., chosen], -1, 0), 2))
    return d.svg()


# -- the typical order ------------------------------------------------------------------------------------------------


def typical_stages() -> list[DrawnArray]:
    shapes = layer_shapes(CNN(), IMAGE)
    pools = model_facts(CNN(), IMAGE, train=False, features=True).shapes
    return [
        DrawnArray("image", IMAGE),
        DrawnArray("conv, ReLU", shapes["Conv_0"], PLACES, "3×3"),
        DrawnArray("max-pool", pools["stage1"], FEWER, "2×2"),
        DrawnArray("conv, ReLU", shapes["Conv_1"], PLACES, "3×3"),
        DrawnArray("max-pool", pools["stage2"], FEWER, "2×2"),
        DrawnArray("flatten", shapes["Dropout_0"]),
        DrawnArray("dense", shapes["Dense_0"], CHANNELS),
        DrawnArray("softmax", shapes["Dense_0"], BEND),
    ]


def draw_typical() -> str:
    stages, facts = typical_stages(), model_facts(CNN(), IMAGE, train=False)
    desc = (
        f"The sheet's network of {facts.total:,} parameters, left to right: "
        f"{', '.join(f'{s.name} {shape_text(s.shape)}' for s in stages)}. Almost all parameters are in the dense layer."
    )
    d = Drawing(640, 290, "The typical order of a CNN", desc)
    heading(d, "The sheet's network", f"{facts.total:,} parameters · {short_count(facts.multiply_adds)} multiply-adds")
    array_chain(d, stages, (4, 36, 632, 152))
    legend_of(d, 20, 210, (PLACES, FEWER, CHANNELS, BEND))
    kinds = {"Conv_0": ("conv1", PLACES), "Conv_1": ("conv2", PLACES), "Dense_0": ("dense", CHANNELS)}
    shares_bar(d, 20, 248, 600, {kinds[name][0]: (count, kinds[name][1]) for name, count in facts.parts.items()})
    return d.svg()


def draw_small_typical() -> str:
    d = Drawing(*TILE, "The typical order of a CNN", "Slabs that become smaller and thicker, then bars", digits=1)
    stages = typical_stages()
    array_chain(d, [*stages[:5], stages[6], stages[7]], (2, 3, 116, 66), text=False)
    return d.svg()


ENTRIES = {
    "mlp": Drawn(draw_mlp, draw_small_mlp),
    "cnn": Drawn(draw_cnn, draw_small_cnn),
    "typical-cnn": Drawn(draw_typical, draw_small_typical),
}
