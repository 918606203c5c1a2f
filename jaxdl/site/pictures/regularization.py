"""Dropout, normalization, weight decay and early stopping: what the layers and rules do to real values."""

from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.engine import stopping
from jaxdl.layers.dropout import dropout
from jaxdl.layers.normalization import BatchNorm, LayerNorm
from jaxdl.models.mlp import MLP
from jaxdl.site.pictures.architectures import edge_to_edge
from jaxdl.site.pictures.blocks import BEND, CHANNELS, NORM
from jaxdl.site.pictures.charts import TILE, Chart, Line, axis_number
from jaxdl.site.pictures.entries import Drawn, Plotted, plotted_entries
from jaxdl.site.pictures.svg import BLUE, GREEN, INK, RED, Drawing
from jaxdl.site.pictures.trained import digit_images, quick_jit, trained_decays

# -- dropout ----------------------------------------------------------------------------------------------------------

RATE, LAYERS, STEPS = 0.5, (4, 6, 6, 3), 3


@cache
def dropout_at_work() -> dict[str, np.ndarray]:
    """Masks of two hidden layers in three steps, and hidden values of an image with and without dropout."""
    x = digit_images("test")[0][:1].reshape(1, -1)

    def run(x: jax.Array) -> dict[str, jax.Array]:
        first, second = jax.random.split(jax.random.key(5))
        model: Any = MLP((40,), 10)
        params = model.init(jax.random.key(1), x, train=False)["params"]["Dense_0"]
        hidden = jax.nn.relu(x @ params["kernel"])
        whole = jnp.ones((STEPS, 2, LAYERS[1]))
        return {"masks": dropout(first, whole, RATE), "before": hidden, "after": dropout(second, hidden, RATE)}

    return {name: np.asarray(v) for name, v in quick_jit(run)(x).items()}


def masked_network(d: Drawing, x: float, y: float, masks: np.ndarray, scale: float, wide: float = 1.0) -> None:
    """A small network without the units whose mask is 0."""
    kept = [np.ones(LAYERS[0]), *masks, np.ones(LAYERS[-1])]
    places = [
        [(x + 34 * scale * wide * i, y + (j - (n - 1) / 2) * 19 * scale) for j in range(n)]
        for i, n in enumerate(LAYERS)
    ]
    r = 6.5 * scale
    lines = [
        d.steps(edge_to_edge(a, b, r))
        for i in range(len(LAYERS) - 1)
        for a, ka in zip(places[i], kept[i], strict=True)
        for b, kb in zip(places[i + 1], kept[i + 1], strict=True)
        if ka and kb
    ]
    d.add("path", d="".join(lines), stroke=INK, stroke_width=0.8, opacity=0.45, fill="none")
    for i, column in enumerate(places):
        colour = INK if i == 0 else CHANNELS
        for (px, py), keep in zip(column, kept[i], strict=True):
            if keep:
                d.circle(px, py, r, colour, fill=0.4, stroke=colour)
            else:
                d.circle(px, py, r, INK, fill=0, stroke=INK, stroke_dasharray="2 2", opacity=0.5, data_dropped=i)


def draw_dropout() -> str:
    seen = dropout_at_work()
    before, after = seen["before"][0], seen["after"][0]
    desc = (
        f"Dropout with rate {RATE}. Top: in each training step other hidden units are left out; in evaluation all work. Bottom: "
        f"{len(before)} hidden values of an image, and the same with dropout: {int(((after == 0) & (before > 0)).sum())} of "
        f"{int((before > 0).sum())} that are not 0 are dropped, the others are multiplied by {1 / (1 - RATE):g}. "
        f"Their mean is {before.mean():.2f} before and {after.mean():.2f} after."
    )
    d = Drawing(640, 352, "Dropout", desc)
    for i in range(STEPS + 1):
        x = 34 + 156 * i
        masks = seen["masks"][i] if i < STEPS else np.ones_like(seen["masks"][0])
        masked_network(d, x, 94, masks, 1)
        d.text(x + 51, 26, f"step {i + 1}" if i < STEPS else "evaluation", size=13, anchor="middle", font_weight=600)
    top = float(after.max())
    for row, (name, values) in enumerate((("hidden values", before), ("with dropout", after))):
        base = 246 + 86 * row
        d.text(20, base - 36, name, size=12, font_weight=600)
        d.text(20, base - 20, f"mean {values.mean():.2f}", size=11.5, data_mean=f"{values.mean():.6f}")
        for j, value in enumerate(values):
            if value:
                d.box(
                    124 + 12.4 * j,
                    base - 62 * float(value) / top,
                    9,
                    62 * float(value) / top,
                    BEND,
                    fill=0.5,
                    width=0,
                    rx=0,
                )
            elif before[j] > 0:
                d.path([(125 + 12.4 * j, base - 8), (132 + 12.4 * j, base - 1)], INK, width=1.2)
                d.path([(125 + 12.4 * j, base - 1), (132 + 12.4 * j, base - 8)], INK, width=1.2)
        d.line(122, base + 0.5, 620, base + 0.5, opacity=0.5)
    return d.svg()


def draw_small_dropout() -> str:
    d = Drawing(*TILE, "Dropout", "A network from which some hidden units are left out", digits=1)
    masked_network(d, 8.5, 36, dropout_at_work()["masks"][0], 0.62, 1.65)
    return d.svg()


# -- normalization ----------------------------------------------------------------------------------------------------

ROWS, WIDTH = 14, 22


@cache
def normalized() -> dict[str, np.ndarray]:
    """Values `(examples, channels)` of a dense layer on digits of different brightness, and the same behind both norms.

    The weights are the initial ones.
    """
    brightness = np.random.default_rng(0).permutation(np.linspace(0.25, 1.9, ROWS, dtype=np.float32))
    x = digit_images("test")[0][:ROWS].reshape(ROWS, -1) * brightness[:, None]

    dense: Any = MLP((WIDTH,), 10)

    def run(x: jax.Array) -> dict[str, jax.Array]:
        kernel = dense.init(jax.random.key(8), x, train=False)["params"]["Dense_0"]["kernel"]
        h = 2 * x @ kernel
        found = {"before": h}
        for name, norm in (("batch-norm", BatchNorm()), ("layer-norm", LayerNorm())):
            found[name] = norm.init_with_output(jax.random.key(0), h, train=True)[0]
        return found

    return {name: np.asarray(v) for name, v in quick_jit(run)(x).items()}


def norm_panel(d: Drawing, x: float, y: float, values: np.ndarray, axis: int, largest: float, cell: float = 12) -> None:
    """Values as a heat map; along the side, mean and mean ± deviation of each column (axis 0) or row (axis 1)."""
    w, h = cell * WIDTH, cell * ROWS
    d.heat(x, y, w, h, values, largest=largest)
    d.box(x, y, w, h, INK, fill=0, width=0.6, rx=0, opacity=0.5)
    mean, std = values.mean(axis), values.std(axis)
    unit = (42, 28)[axis] / largest
    if axis == 0:
        middle = y + h + 40
        d.line(x, middle, x + w, middle, opacity=0.5)
        for j, (m, s) in enumerate(zip(mean, std, strict=True)):
            at = x + (j + 0.5) * cell
            d.line(at, middle - (m - s) * unit, at, middle - (m + s) * unit, NORM, width=5, opacity=0.45)
            d.circle(at, middle - m * unit, 2.6, NORM, data_mean=f"{m:.4f}", data_deviation=f"{s:.4f}")
        d.box(x + 5 * cell, y - 2, cell, h + 4, NORM, fill=0, width=2, rx=2)
    else:
        middle = x + w + 34
        d.line(middle, y, middle, y + h, opacity=0.5)
        for j, (m, s) in enumerate(zip(mean, std, strict=True)):
            at = y + (j + 0.5) * cell
            d.line(middle + (m - s) * unit, at, middle + (m + s) * unit, at, NORM, width=5, opacity=0.45)
            d.circle(middle + m * unit, at, 2.6, NORM, data_mean=f"{m:.4f}", data_deviation=f"{s:.4f}")
        d.box(x - 2, y + 4 * cell, w + 4, cell, NORM, fill=0, width=2, rx=2)


def draw_norm(slug: str) -> str:
    seen, axis = normalized(), 0 if slug == "batch-norm" else 1
    title, over = (("Batch normalization", "channel"), ("Layer normalization", "example"))[axis]
    largest = float(np.abs(seen["before"]).max())
    desc = (
        f"{title}: each {over} is brought to mean 0 and deviation 1. Left: {ROWS} digits of different brightness behind a dense "
        f"layer of {WIDTH} channels, rows are examples and columns channels; blue is positive, orange negative. Right: the same "
        f"after the norm. Purple: mean and mean ± deviation of each {over}."
    )
    cell = 12 if axis == 0 else 10
    d = Drawing(640, 330 if axis == 0 else 250, title, desc)
    d.text(
        20, 22, f"{title}: over the {'batch' if axis == 0 else 'channels'}, for each {over}", size=14, font_weight=600
    )
    for x, name, values in ((38, "before", seen["before"]), (356, "after the norm", seen[slug])):
        d.text(x, 52, name, size=12.5, font_weight=600)
        norm_panel(d, x, 60, values, axis, largest, cell)
        w, h = cell * WIDTH, cell * ROWS
        d.text(x + w, 52, "channels →", size=11, anchor="end")
        d.text(x - 8, 60 + h, "examples →", size=11, transform=f"rotate(-90 {x - 8} {60 + h})")
        note = "mean and deviation of each " + over
        if axis == 0:
            d.text(x, 60 + h + 88, note, size=11)
        else:
            d.text(x, 60 + h + 20, note + " at the right", size=11)
    return d.svg()


def draw_small_norm(slug: str) -> str:
    axis = 0 if slug == "batch-norm" else 1
    title = ("Batch normalization", "Layer normalization")[axis]
    values = normalized()[slug][:9, :15]
    d = Drawing(*TILE, title, "Values of which each " + ("column" if axis == 0 else "row") + " is normalized", digits=1)
    d.heat(0, 0, 120, 72, values)
    for i in (1, 3) if axis else (2, 6, 11):
        d.box(*((8 * i, 0.5, 8, 71) if axis == 0 else (0.5, 16 * i, 119, 8)), NORM, fill=0, width=2, rx=1)
    return d.svg()


# -- weight decay and early stopping ----------------------------------------------------------------------------------

DECAYS = (0.0, 0.3, 3.0)
PATIENCE = 8


def plot_decay() -> Plotted:
    seen = trained_decays(DECAYS)
    edges = np.linspace(-1, 1, 81)
    middle = (edges[1:] + edges[:-1]) / 2
    colours, names = (RED, BLUE, GREEN), [f"λ = {decay:g}" for decay in DECAYS]
    counts = [np.histogram(w, edges, density=True)[0] for w in seen["weights"]]
    left = [Line(middle, c, n, k) for c, n, k in zip(counts, names, colours, strict=True)]
    right = [Line(seen["steps"], v, n, k) for v, n, k in zip(seen["norm"], names, colours, strict=True)]
    top = float(np.ceil(max(c.max() for c in counts)))
    return Plotted(
        "Weight decay",
        f"An MLP on 120 digits with weight decay λ of {', '.join(map(axis_number, DECAYS))}. Left: how its weights are "
        "distributed at the end; with more decay more of them are near 0. Right: the length of all weights over the steps.",
        [
            Chart(left, "weight of the first layer", "density", (-1, 1), (0, top)),
            Chart(right, "step", "length of the weights", (0, 600), (0, float(np.ceil(seen["norm"].max())))),
        ],
    )


@cache
def stopped_at(values: tuple[float, ...], steps: tuple[int, ...]) -> tuple[int, int]:
    """The steps of the best value and of the stop, by `engine.stopping`."""
    rule = stopping.EarlyStopping(patience=PATIENCE)

    def run(values: jax.Array, steps: jax.Array) -> tuple[jax.Array, jax.Array]:
        def step(best, given):
            value, at = given
            best = stopping.update(rule, "min", best, value, at, ({}, {}))
            return best, best.stopped

        best, stops = jax.lax.scan(step, stopping.start(({}, {}), "min"), (values, steps))
        return best.step, steps[jnp.argmax(stops)]

    best, stop = quick_jit(run)(np.array(values, np.float32), np.array(steps, np.int32))
    return int(best), int(stop)


def plot_stopping() -> Plotted:
    seen = trained_decays(DECAYS)
    train, held, steps = seen["train"][0], seen["validation"][0], seen["steps"]
    best, stop = stopped_at(tuple(held.tolist()), tuple(steps.tolist()))
    at_best = float(held[list(steps).index(best)])
    until = steps <= stop
    lines = [
        Line(steps[until], held[until], "validation", RED),
        Line(steps[until], train[until], "training", BLUE),
        Line(steps[~until], held[~until], "", RED, "3 4", opacity=0.6),
        Line(steps[~until], train[~until], "", BLUE, "3 4", opacity=0.6),
        Line(np.array([stop, stop]), np.array([0.0, 2.6]), "stop", INK, "4 3", 1.2),
    ]
    return Plotted(
        "Early stopping",
        f"Loss of an MLP on 120 digits, some of them with wrong labels. The validation loss is lowest at step {best}, "
        f"{at_best:.2f}; after {PATIENCE} evaluations without improvement the run stops at step {stop} and its best weights are "
        "restored. Dashed: what would have followed.",
        [Chart(lines, "step", "loss", (0, int(steps[-1]) + 10), (0, 2.6), marks=[(best, at_best, "best")])],
    )


ENTRIES = {
    "dropout": Drawn(draw_dropout, draw_small_dropout),
    **{slug: Drawn(partial(draw_norm, slug), partial(draw_small_norm, slug)) for slug in ("batch-norm", "layer-norm")},
    **plotted_entries({"weight-decay": plot_decay, "early-stopping": plot_stopping}),
}
