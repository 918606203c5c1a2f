"""Convolution and pooling: the window over a grid of numbers, sizes by the formula, and filters on a photograph."""

from functools import cache

import jax.numpy as jnp
import numpy as np

from jaxdl.layers.arithmetic import convolution_output_size, receptive_field
from jaxdl.layers.convolution import convolve
from jaxdl.layers.pooling import avg_pool, max_pool
from jaxdl.site.pictures.architectures import heading
from jaxdl.site.pictures.augmentation import shown_clothing
from jaxdl.site.pictures.blocks import BEND, FEWER, PLACES
from jaxdl.site.pictures.charts import TILE
from jaxdl.site.pictures.entries import Drawn
from jaxdl.site.pictures.rasters import photographs
from jaxdl.site.pictures.svg import INK, Drawing
from jaxdl.site.pictures.trained import digit_images, quick_jit

SIZE = 5
SETTINGS = ((3, 1, 1), (3, 2, 1), (3, 1, 0))
"""Kernel, stride and padding of the windows that are drawn."""
FILTERS = {
    "edges ↔": np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]),
    "edges ↕": np.array([[-1, -2, -1], [0, 0, 0], [1, 2, 1]]),
    "blur": np.ones((3, 3)) / 9,
    "sharpen": np.array([[0, -1, 0], [-1, 5, -1], [0, -1, 0]]),
}


@cache
def filtered() -> dict[str, np.ndarray]:
    """Filter -> a boot behind it, `(28, 28)`; `small`: 5x5 numbers behind the horizontal edges, for each of `SETTINGS`."""

    def run(x, small):
        kernel = lambda name: jnp.asarray(FILTERS[name], jnp.float32)[:, :, None, None]
        found = {name: convolve(x, kernel(name))[0, :, :, 0] for name in FILTERS}
        for i, (_, stride, padding) in enumerate(SETTINGS):
            found[f"small {i}"] = convolve(small, kernel("edges ↔"), strides=stride, padding=padding)[0, :, :, 0]
        return found

    small = small_input()
    made = quick_jit(run)(shown_clothing(9, 3)[None, :, :, None], small[None, :, :, None].astype(np.float32))
    return {name: np.asarray(v) for name, v in made.items()}


def small_input() -> np.ndarray:
    """5x5 grey levels, 0 to 16, of the middle of a digit."""
    return np.round(digit_images("test")[0][2, 2:7, 2:7, 0] * 16).astype(int)


def number_grid(
    d: Drawing, x: float, y: float, values: np.ndarray, cell: float, colour: str, largest: float, kind: str
) -> None:
    """Numbers in cells, tinted by their size."""
    for i, row in enumerate(values):
        for j, value in enumerate(row):
            tint = FEWER if value < 0 else colour  # the orange of the heat maps
            d.box(x + j * cell, y + i * cell, cell, cell, tint, fill=0.45 * min(abs(value) / largest, 1), width=0.7, rx=0,
                  data_cell=kind)  # fmt: skip
            d.text(
                x + (j + 0.5) * cell, y + (i + 0.5) * cell + 4, f"{value:g}".replace("-", "−"), size=11, anchor="middle"
            )


def window(d: Drawing, x: float, y: float, side: float, colour: str) -> None:
    d.box(x, y, side, side, colour, fill=0, width=2.5, rx=1)


def padded_grid(
    d: Drawing, x: float, y: float, values: np.ndarray, setting: tuple[int, int, int], made: np.ndarray, cell: float
) -> None:
    """An input with its padding, the first two windows, and the output below."""
    kernel, stride, padding = setting
    for i in range(SIZE + 2 * padding):
        for j in range(SIZE + 2 * padding):
            inside = padding <= i < SIZE + padding and padding <= j < SIZE + padding
            if not inside:
                d.add("rect", x=x + j * cell, y=y + i * cell, width=cell, height=cell, fill="none", stroke=INK,
                      stroke_opacity=0.4, stroke_dasharray="2 2", data_padding="")  # fmt: skip
    number_grid(d, x + padding * cell, y + padding * cell, values, cell, INK, 40, "input")
    window(d, x, y, kernel * cell, PLACES)
    window(d, x + stride * cell, y, kernel * cell, BEND)
    below = y + (SIZE + 2) * cell + 30
    d.arrow(x + 30, below - 22, x + 30, below - 6, width=1.5)
    number_grid(d, x, below, made, cell, PLACES, float(np.abs(made).max()), "output")
    d.box(x, below, cell, cell, PLACES, fill=0, width=2.5, rx=0)
    d.box(x + cell, below, cell, cell, BEND, fill=0, width=2.5, rx=0)


def draw_convolution() -> str:
    found, values, cell = filtered(), small_input(), 24
    sizes = [convolution_output_size(SIZE, *setting) for setting in SETTINGS]
    fields = [receptive_field([(3, 1)] * n)[0] for n in (1, 2, 3)]
    desc = (
        "A filter of 3x3 weights is laid on the input, multiplied and summed. Of an input of 5x5 numbers remain, with stride "
        f"and padding {', '.join(f'{s} and {p}: {n}x{n}' for (_, s, p), n in zip(SETTINGS, sizes, strict=True))}. Below: four "
        f"filters on a photograph. One output sees, behind one, two and three 3x3 layers, {', '.join(map(str, fields))} places."
    )
    d = Drawing(640, 596, "Convolution", desc, digits=1)
    heading(d, "output = ⌊(input − kernel + 2 · padding) / stride⌋ + 1")
    weights = FILTERS["edges ↔"]
    for k, (setting, size) in enumerate(zip(SETTINGS, sizes, strict=True)):
        x = (20, 236, 452)[k]
        kernel, stride, padding = setting
        d.text(x, 52, f"stride {stride}, padding {padding}", size=12.5, font_weight=600)
        sum_text = f"(5 − {kernel} + {2 * padding}) / {stride} + 1 = {size}"
        d.text(x, 68, sum_text, size=11.5, data_size=size)
        padded_grid(d, x, 78 + (1 - padding) * 0, values, setting, found[f"small {k}"], cell)
    d.text(596, 222, "filter", size=11.5, anchor="middle")
    number_grid(d, 578, 228, weights, 18, PLACES, 2, "filter")
    base = 424
    d.text(20, base, "filters on a photograph", size=12.5, font_weight=600)
    d.raster(20, base + 12, 104, 104, photographs(shown_clothing(9, 3)[None], 1))
    d.text(72, base + 132, "image", size=12, anchor="middle")
    for i, name in enumerate(FILTERS):
        x = 140 + 124 * i
        largest = float(np.abs(found[name]).max())
        d.box(x, base + 12, 104, 104, PLACES, fill=0, width=0.8, rx=0)
        d.heat(x, base + 12, 104, 104, found[name], largest=largest, data_filter=name)
        d.text(x + 52, base + 132, name, size=12, anchor="middle")
    d.text(20, base + 158, f"One output sees {fields[0]}×{fields[0]} places; behind two such layers {fields[1]}×{fields[1]}, "
                           f"behind three {fields[2]}×{fields[2]}.", size=12)  # fmt: skip
    return d.svg()


def draw_small_convolution() -> str:
    d = Drawing(*TILE, "Convolution", "A window over a grid, and what it gives", digits=1)
    plain_grid(d, 4, 6, 5, 12, INK)
    d.box(16, 18, 36, 36, PLACES, fill=0.25, width=2, rx=1)
    d.arrow(68, 36, 80, 36, width=1.2, head=5)
    plain_grid(d, 84, 20, 3, 11, PLACES)
    d.box(95, 31, 11, 11, PLACES, fill=0.8, width=0, rx=0)
    return d.svg()


def plain_grid(d: Drawing, x: float, y: float, n: int, cell: float, colour: str) -> None:
    lines = [((x, y + i * cell), (x + n * cell, y + i * cell)) for i in range(n + 1)]
    lines += [((x + i * cell, y), (x + i * cell, y + n * cell)) for i in range(n + 1)]
    d.add("path", d="".join(map(d.steps, lines)), stroke=colour, stroke_width=1, fill="none", opacity=0.7)


# -- pooling ----------------------------------------------------------------------------------------------------------

TINTS = (PLACES, FEWER, BEND, INK)


@cache
def pooled() -> dict[str, np.ndarray]:
    """A 4x4 map and a boot, pooled by maximum and mean."""
    corner = np.round(digit_images("test")[0][3, 1:5, 2:6, 0] * 16)

    def run(corner, boot):
        return {
            "max": max_pool(corner, 2)[0, :, :, 0],
            "mean": avg_pool(corner, 2)[0, :, :, 0],
            "boot max": max_pool(boot, 2)[0, :, :, 0],
            "boot mean": avg_pool(boot, 2)[0, :, :, 0],
        }

    made = quick_jit(run)(corner[None, :, :, None], shown_clothing(9, 3)[None, :, :, None])
    return {"corner": corner, **{name: np.asarray(v) for name, v in made.items()}}


def tinted_grid(
    d: Drawing, x: float, y: float, values: np.ndarray, cell: float, block: int, size: float, kind: str
) -> None:
    """Numbers whose colour says to which 2x2 window they belong."""
    for i, row in enumerate(values):
        for j, value in enumerate(row):
            tint = TINTS[2 * (i // block) + j // block]
            d.box(x + j * cell, y + i * cell, cell, cell, tint, fill=0.2, width=0.8, rx=0)
            d.text(x + (j + 0.5) * cell, y + (i + 0.5) * cell + size * 0.36, f"{value:g}", size=size, anchor="middle",
                   data_cell=kind)  # fmt: skip


def draw_pooling() -> str:
    found = pooled()
    out = convolution_output_size(4, 2, 2)
    desc = (
        f"Pooling with a window of 2x2 and stride 2: of a 4x4 map remain {out}x{out} numbers, the maximum or the mean of each "
        "window. Right: a photograph of 28x28 pixels pooled once, by maximum and by mean."
    )
    d = Drawing(640, 262, "Pooling", desc)
    heading(d, f"2×2 windows, stride 2: (4 − 2) / 2 + 1 = {out}")
    tinted_grid(d, 20, 62, found["corner"], 36, 2, 13, "input")
    d.text(92, 54, "input", size=12, anchor="middle")
    for name, y in (("max", 62), ("mean", 150)):
        d.arrow(172, 134, 206, y + 36)
        tinted_grid(d, 212, y, found[name], 36, 1, 13, name)
        d.text(292, y + 40, name, size=12.5, font_weight=600)
    boot = shown_clothing(9, 3)
    d.raster(348, 62, 112, 112, photographs(boot[None], 1))
    d.text(404, 54, "28×28", size=12, anchor="middle")
    for name, y in (("max", 62), ("mean", 150)):
        d.arrow(466, 118, 496, y + 28)
        made = found[f"boot {name}"]
        d.raster(502, y, 70, 70, photographs(made[None], 1), data_pool=name)
        d.text(580, y + 32, name, size=12.5, font_weight=600)
        d.text(580, y + 48, f"{made.shape[0]}×{made.shape[1]}", size=11.5)
    d.text(20, 246, "Each window becomes one number; a quarter of the places remains, the channels stay.", size=12)
    return d.svg()


def draw_small_pooling() -> str:
    d = Drawing(*TILE, "Pooling", "Sixteen cells in four windows, and one cell for each window", digits=1)
    for i in range(4):
        for j in range(4):
            d.box(5 + 15 * j, 6 + 15 * i, 15, 15, TINTS[2 * (i // 2) + j // 2], fill=0.35, width=0.8, rx=0)
    d.arrow(69, 36, 80, 36, width=1.2, head=5)
    for i in range(2):
        for j in range(2):
            d.box(84 + 16 * j, 20 + 16 * i, 16, 16, TINTS[2 * i + j], fill=0.5, width=0.8, rx=0)
    return d.svg()


ENTRIES: dict[str, Drawn] = {
    "convolution": Drawn(draw_convolution, draw_small_convolution),
    "pooling": Drawn(draw_pooling, draw_small_pooling),
}
