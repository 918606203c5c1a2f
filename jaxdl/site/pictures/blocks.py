"""Block diagrams: boxes, slabs and arrows whose shapes and parameter counts are read from a model without running it.

A colour says what a layer does, in every diagram:

    blue    mixes places: convolution, attention, recurrence        green   mixes channels: dense, 1x1 convolution
    red     leaves fewer places: pooling, stride                    purple  normalizes
    orange  bends: activation, gate
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxdl.inspect import flops
from jaxdl.inspect.taps import layer_outputs
from jaxdl.site.pictures.svg import BLUE, GREEN, INK, ORANGE, PURPLE, RED, Drawing

PLACES, CHANNELS, FEWER, NORM, BEND = BLUE, GREEN, RED, PURPLE, ORANGE
MEANING = {
    PLACES: "mixes places",
    CHANNELS: "mixes channels",
    FEWER: "fewer places",
    NORM: "normalizes",
    BEND: "activation, gate",
}


class Facts(NamedTuple):
    """What a model is, without the batch axis: parameters, multiply-adds, and shapes by name."""

    total: int
    parts: Mapping[str, int]
    """Parameters of each of the model's own layers."""
    multiply_adds: int
    shapes: Mapping[str, tuple[int, ...]]
    output: tuple[int, ...]
    params: Mapping[str, Any]
    """The tree of the parameters, abstract."""


def model_facts(model: Any, *inputs: tuple[int, ...], tokens: bool = False, **options: Any) -> Facts:
    """Facts of a Linen model for inputs of these shapes; with `features=True` also its intermediate shapes."""
    args = [jax.ShapeDtypeStruct((1, *shape), jnp.int32 if tokens else jnp.float32) for shape in inputs]

    def build(*args: Any) -> Any:
        key = jax.random.key(0)
        return model.init_with_output({"params": key, "dropout": key}, *args, **options)

    traced, (made, variables) = jax.make_jaxpr(build, return_shape=True)(*args)
    output, seen = made if options.get("features") else (made, {})
    params = variables.get("params", {})
    sizes = {name: sum(a.size for a in jax.tree.leaves(part)) for name, part in params.items()}
    shapes = {name: a.shape[1:] for name, a in seen.items()}
    first = jax.tree.leaves(output)[0].shape[1:]
    return Facts(sum(sizes.values()), sizes, flops.count(traced.jaxpr), shapes, first, params)


def layer_shapes(model: Any, *inputs: tuple[int, ...], tokens: bool = False) -> dict[str, tuple[int, ...]]:
    """Name of a layer -> the shape of its output, without the batch axis, in the order in which the layers finish."""
    args = [jax.ShapeDtypeStruct((1, *shape), jnp.int32 if tokens else jnp.float32) for shape in inputs]

    def outputs(*args: Any) -> dict[str, jax.Array]:
        variables = model.init(jax.random.key(0), *args, train=False)
        return layer_outputs(model, (variables["params"], {k: v for k, v in variables.items() if k != "params"}), *args)

    return {name: a.shape[1:] for name, a in jax.eval_shape(outputs, *args).items()}


def shape_text(shape: Sequence[int]) -> str:
    """
    >>> shape_text((55, 55, 64))
    '55×55×64'
    """
    return "×".join(map(str, shape))


def parameters_text(count: int) -> str:
    """
    >>> parameters_text(61100840)
    '61,100,840 parameters'
    """
    return f"{count:,} parameter{'s' if count != 1 else ''}"


def short_count(count: float) -> str:
    """
    >>> [short_count(n) for n in (640, 36_928, 4_097_000, 138_357_544)]
    ['640', '36.9 k', '4.1 M', '138 M']
    """
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if count >= size:
            return f"{count / size:.{0 if count >= 100 * size else 1}f}{unit}"
    return f"{count:.0f}"


# -- parts ------------------------------------------------------------------------------------------------------------


def block(
    d: Drawing, x: float, y: float, w: float, h: float, label: str = "", note: str = "", colour: str = INK, **o: Any
) -> None:
    """A box with a label, and a note below it, in its middle."""
    size = o.pop("size", 12)
    d.box(x, y, w, h, colour, **{"fill": 0.16 if colour != INK else 0.05, "width": 1.25} | o)
    if label:
        d.text(x + w / 2, y + h / 2 + (size * 0.36 if not note else -1), label, size=size, anchor="middle")
    if note:
        d.text(x + w / 2, y + h / 2 + 13, note, size=11, anchor="middle", opacity=0.8)


def operation(d: Drawing, x: float, y: float, sign: str, r: float = 10) -> None:
    """A circle with the sign of what happens there: + or ×."""
    d.circle(x, y, r, INK, fill=0.06, stroke=INK)
    d.text(x, y + 5, sign, size=15, anchor="middle")


def shares_bar(d: Drawing, x: float, y: float, w: float, parts: Mapping[str, tuple[int, str]]) -> None:
    """The parameters of the layers, name -> (count, colour), as parts of one bar; what has room gets its name."""
    d.text(x, y - 8, "Where the parameters are", size=12, font_weight=600)
    total, at = sum(count for count, _ in parts.values()), x
    for name, (count, colour) in parts.items():
        wide = w * count / total
        d.box(at, y, wide, 26, colour, fill=0.2, width=0.8, rx=0, data_part=name, data_parameters=count)
        label = f"{name} {short_count(count)}"
        if wide > 7 * len(label):
            d.text(at + wide / 2, y + 17, label, size=11, anchor="middle")
        at += wide


def legend_of(d: Drawing, x: float, y: float, kinds: Sequence[str], step: float = 118) -> None:
    """What the colours of the diagram mean."""
    for i, kind in enumerate(kinds):
        d.box(x + i * step, y - 9, 11, 11, kind, fill=0.3, width=1.25, rx=2)
        d.text(x + i * step + 16, y, MEANING[kind], size=11)


def slab(d: Drawing, x: float, base: float, shape: Sequence[int], colour: str, unit: float = 1.0) -> float:
    """An array with its base line at `base`; returns its width.

    A map is a slab in perspective, the taller the more pixels and the thicker the more channels; a vector is a bar. Both on
    a logarithmic scale.
    """
    edge: dict[str, Any] = {"width": max(1.1 * min(unit, 1), 0.8), "fill": colour, "stroke_linejoin": "round"}
    channels = math.log2(shape[-1] + 1)
    if len(shape) < 3:
        places = shape[0] if len(shape) == 2 else 1
        w, h = unit * (5 + 6 * math.log2(places)), unit * (8 + 4.3 * channels)
        d.path(
            [(x, base), (x + w, base), (x + w, base - h), (x, base - h), (x, base)], colour, fill_opacity=0.25, **edge
        )
        return w
    side = unit * (10 + 9.5 * math.log2(shape[0]))
    w, depth, rise = unit * (2 + 1.7 * channels), side * 0.34, side * 0.3
    h = side - rise
    corners = [(x, base), (x + w, base), (x + w, base - h), (x, base - h), (x, base)]
    d.path(corners, colour, fill_opacity=0.32, **edge)
    top = [(x, base - h), (x + depth, base - side), (x + w + depth, base - side), (x + w, base - h)]
    right = [(x + w + depth, base - side), (x + w + depth, base - rise), (x + w, base)]
    d.path([*top, *right, (x + w, base - h)], colour, fill_opacity=0.14, **edge)
    return w + depth


class DrawnArray(NamedTuple):
    """One array of a chain: its name, its shape, the colour of the layer that makes it, and a note."""

    name: str
    shape: tuple[int, ...]
    colour: str = INK
    note: str = ""


def array_chain(
    d: Drawing, stages: Sequence[DrawnArray], box: tuple[float, float, float, float], *, text: bool = True
) -> None:
    """Arrays from left to right in columns of equal width, each with name, shape (places, then channels) and note below."""
    left, top, width, height = box
    each = width / len(stages)
    base = top + height - (62 if text else 3)
    unit = min((base - top) / 86, each / (54 if text else 28))
    ends: list[tuple[float, float]] = []
    for i, stage in enumerate(stages):
        middle = left + (i + 0.5) * each
        trial = Drawing(1, 1, "", "")
        w = slab(trial, 0, 0, stage.shape, stage.colour, unit)
        slab(d, middle - w / 2, base, stage.shape, stage.colour, unit)
        ends.append((middle - w / 2, middle + w / 2))
        if text:
            d.text(middle, base + 16, stage.name, size=12, anchor="middle", font_weight=600)
            *places, channels = stage.shape
            lines = [shape_text(places), f"× {channels}"] if places else [str(channels)]
            lines += [stage.note] if stage.note else []
            for j, line in enumerate(lines):
                d.text(middle, base + 31 + 14 * j, line, size=11, anchor="middle",
                       data_shape=None if j else shape_text(stage.shape))  # fmt: skip
    if text:
        y = base - 8
        arrows = [(a[1] + 2, y, b[0] - 3, y) for a, b in pairwise(ends) if b[0] - a[1] > 14]
        d.arrows(arrows, width=1.2, head=5, opacity=0.7)
