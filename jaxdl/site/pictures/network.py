"""The forward pass: a small network with all its numbers, and the drawing at the top of Home."""

from functools import cache
from itertools import pairwise
from typing import Any

import jax
import numpy as np

from jaxdl.data.table import tabular
from jaxdl.inspect.taps import layer_outputs
from jaxdl.layers.pooling import max_pool
from jaxdl.site.pictures.architectures import edge_to_edge, heading
from jaxdl.site.pictures.blocks import BEND, CHANNELS, FEWER, PLACES, shape_text
from jaxdl.site.pictures.charts import TILE
from jaxdl.site.pictures.entries import Drawn
from jaxdl.site.pictures.rasters import feature_maps, photographs
from jaxdl.site.pictures.svg import BLUE, INK, RED, Drawing, Point
from jaxdl.site.pictures.trained import digit_images, quick_jit, trained_cnn, trained_tables

# -- one flower through a small MLP -----------------------------------------------------------------------------------

FLOWER = 16
"""Row of the test split."""


@cache
def flower_at_work() -> dict[str, Any]:
    """Values of every layer of the iris network for one flower, and its weights."""
    (model, params), (mean, std) = trained_tables()["iris"], trained_tables()["iris_scale"]
    data = tabular.iris()
    raw = np.asarray(data.splits["test"]["x"])[FLOWER]
    x = ((raw - mean) / std).astype(np.float32)[None]

    def run(x: jax.Array) -> dict[str, jax.Array]:
        outputs = layer_outputs(model, (params["params"], {}), x)
        logits = outputs["Dense_1"]
        return {"hidden": jax.nn.relu(outputs["Dense_0"])[0], "logits": logits[0], "p": jax.nn.softmax(logits)[0]}

    layers = [params["params"][f"Dense_{i}"] for i in (0, 1)]
    return {
        "raw": raw,
        "x": x[0],
        **{name: np.asarray(v) for name, v in quick_jit(run)(x).items()},
        "kernels": [np.asarray(layer["kernel"]) for layer in layers],
        "label": int(np.asarray(data.splits["test"]["y"])[FLOWER]),
        "columns": data.columns,
        "classes": data.classes,
    }


def weighted_edges(d: Drawing, left: list[Point], right: list[Point], flows: np.ndarray, r: float) -> None:
    """Connections as thick as |value · weight| is large: blue adds to the unit, orange takes from it."""
    top = float(np.abs(flows).max())
    for i, a in enumerate(left):
        for j, b in enumerate(right):
            flow = float(flows[i, j])
            d.path(edge_to_edge(a, b, r), BLUE if flow >= 0 else RED, width=0.4 + 4.5 * abs(flow) / top, opacity=0.75,
                   data_flow=f"{flow:.4f}")  # fmt: skip


def draw_forward() -> str:
    seen = flower_at_work()
    columns = [[float(v) for v in seen[name]] for name in ("x", "hidden", "logits")]
    best = int(seen["p"].argmax())
    desc = (
        f"A trained network of {', '.join(str(len(c)) for c in columns)} units and one iris flower. Lines are inputs times "
        "weights: blue adds, orange takes away, the thicker the more. A hidden unit sums them, adds its bias and applies ReLU. "
        f"Softmax turns the last numbers into probabilities: {seen['classes'][best]} with {seen['p'][best]:.2f}."
    )
    d = Drawing(640, 330, "Forward pass", desc)
    heading(d, "h = ReLU(W₁ x + b₁),  p = softmax(W₂ h + b₂)")
    xs, r = (172.0, 322.0, 456.0), 18.0
    places = [
        [(x, 176 + (i - (len(c) - 1) / 2) * (52 if len(c) > 3 else 64)) for i in range(len(c))]
        for x, c in zip(xs, columns, strict=True)
    ]
    for i, (left, right) in enumerate(pairwise(places)):
        weighted_edges(d, left, right, np.array(columns[i])[:, None] * seen["kernels"][i], r)
    for column, values, colour in zip(places, columns, (INK, BEND, CHANNELS), strict=True):
        for (x, y), value in zip(column, values, strict=True):
            d.circle(x, y, r, colour, fill=0.18, stroke=colour, stroke_width=1.5)
            d.text(x, y + 4, f"{value:.1f}".replace("-", "−"), size=12, anchor="middle", data_value=f"{value:.4f}")
    for (_, y), name, value in zip(places[0], seen["columns"], seen["raw"], strict=True):
        words = name.replace("_", " ").removesuffix(" (cm)").removesuffix(" cm")
        d.text(146, y - 1, words, size=11.5, anchor="end")
        d.text(146, y + 14, f"{value:.1f} cm", size=11.5, anchor="end", opacity=0.8)
    for (_, y), name, p in zip(places[2], seen["classes"], seen["p"], strict=True):
        d.arrow(478, y, 500, y)
        d.box(506, y - 10, max(104 * float(p), 0.6), 20, CHANNELS, fill=0.4, width=0, rx=0, data_probability=f"{p:.4f}")
        d.text(508, y - 15, name, size=12)
        d.text(508, y + 25, f"{p:.3f}", size=12)
    for x, name in zip((*xs, 556), ("input, scaled", "hidden", "logits", "probabilities"), strict=True):
        d.text(x, 316, name, size=12, anchor="middle", font_weight=600)
    return d.svg()


def draw_small_forward() -> str:
    seen = flower_at_work()
    d = Drawing(*TILE, "Forward pass", "Numbers that flow through weighted connections", digits=1)
    places = [[(x, 36 + (i - (n - 1) / 2) * 15) for i in range(n)] for x, n in ((14, 4), (60, 5), (106, 3))]
    for i, (left, right) in enumerate(pairwise(places)):
        flows = seen[("x", "hidden")[i]][:, None] * seen["kernels"][i]
        top = float(np.abs(flows).max())
        for a, row in zip(left, flows, strict=True):
            for b, flow in zip(right, row, strict=True):
                if abs(flow) > 0.15 * top:
                    d.path(
                        edge_to_edge(a, b, 5),
                        BLUE if flow > 0 else RED,
                        width=0.5 + 2.5 * abs(float(flow)) / top,
                        opacity=0.8,
                    )
    for column, colour in zip(places, (INK, BEND, CHANNELS), strict=True):
        for x, y in column:
            d.circle(x, y, 5, colour, fill=0.3, stroke=colour)
    return d.svg()


# -- the drawing at the top of Home -----------------------------------------------------------------------------------

SHOWN = 3
"""The digit that passes."""


@cache
def digit_at_work() -> dict[str, np.ndarray]:
    """Everything that the trained CNN computes for one test digit, by layer."""
    model, params, _ = trained_cnn()
    x, y = digit_images("test")
    image = x[int(np.flatnonzero(y == SHOWN)[0])][None]

    def run(x: jax.Array) -> dict[str, jax.Array]:
        outputs = layer_outputs(model, (params["params"], {}), x)
        first, second = jax.nn.relu(outputs["Conv_0"]), jax.nn.relu(outputs["Conv_1"])
        p = jax.nn.softmax(outputs["Dense_0"])
        found = {
            "image": x,
            "conv1": first,
            "pool1": max_pool(first, 2),
            "conv2": second,
            "pool2": max_pool(second, 2),
            "p": p,
        }
        return {name: v[0] for name, v in found.items()}

    return {name: np.asarray(v) for name, v in quick_jit(run)(image).items()}


def network() -> str:
    """The sheet's CNN with the activations of a digit, from left to right."""
    seen, trained = digit_at_work(), trained_cnn()
    best = int(seen["p"].argmax())
    count = sum(a.size for a in jax.tree.leaves(trained.params))
    names = ("conv1", "pool1", "conv2", "pool2")
    desc = (
        f"The sheet's convolutional network of {count:,} parameters, trained on digits, and what it computes for the image of a "
        f"{SHOWN}, from left to right: the image, {', '.join(shape_text(seen[n].shape) for n in names)} activations behind "
        f"convolution, pooling, convolution and pooling, and the probabilities of the classes; {best} has {seen['p'][best]:.3f}."
    )
    d = Drawing(960, 330, "A digit passes through a convolutional network", desc)
    top, height = 52, 216
    middle = top + height / 2
    d.raster(16, middle - 56, 112, 112, photographs(seen["image"][None, :, :, 0], 1), data_map="image")
    boxes = [(16.0, 112.0)]
    layout = {"conv1": (4, 106), "pool1": (4, 106), "conv2": (8, 200), "pool2": (8, 130)}
    labels = {"conv1": "conv 3×3, ReLU", "pool1": "max-pool", "conv2": "conv 3×3, ReLU", "pool2": "max-pool"}
    colours = {"conv1": PLACES, "pool1": FEWER, "conv2": PLACES, "pool2": FEWER}
    x = 160.0
    for name in names:
        columns, width = layout[name]
        maps = np.moveaxis(seen[name], -1, 0)
        rows = len(maps) // columns
        side = maps.shape[1] * rows + rows - 1, maps.shape[2] * columns + columns - 1
        scale = min(width / side[1], height / side[0])
        w, h = side[1] * scale, side[0] * scale
        d.box(x - 5, middle - h / 2 - 5, w + 10, h + 10, colours[name], fill=0.05, width=1.2)
        d.raster(
            x, middle - h / 2, w, h, feature_maps(maps, columns, largest=float(np.quantile(maps, 0.99))), data_map=name
        )
        boxes.append((x, w))
        d.text(x + w / 2, 26, labels[name], size=15, anchor="middle", font_weight=600)
        d.text(x + w / 2, 318, shape_text(seen[name].shape), size=14, anchor="middle", data_shape="")
        x += w + 36
    d.text(72, 26, "image", size=15, anchor="middle", font_weight=600)
    d.text(72, 318, shape_text(seen["image"].shape), size=14, anchor="middle", data_shape="")
    d.arrows([(a + w + 6, middle, b - 7, middle) for (a, w), (b, _) in pairwise(boxes)], width=2, head=8)
    d.arrow(x - 29, middle, x - 5, middle, width=2, head=8)
    room = 952 - x - 16
    for k, p in enumerate(seen["p"]):
        y = top + height * (k + 0.5) / 10
        d.text(x + 6, y + 5, str(k), size=15, anchor="middle", font_weight=600 if k == best else None)
        d.box(
            x + 18, y - 7, max(room * float(p), 0.8), 14, CHANNELS, fill=0.5, width=0, rx=1, data_probability=f"{p:.5f}"
        )
    d.text(952, 26, "dense, softmax", size=15, anchor="end", font_weight=600)
    d.text(x + room / 2 + 8, 318, f"{len(seen['p'])} classes", size=14, anchor="middle")
    return d.svg()


ENTRIES = {"forward-pass": Drawn(draw_forward, draw_small_forward)}
