"""Attention over images, heads over letters, positions, and the alignment of a translator: all by the library's layers."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.layers.attention import attention_weights, weighted_values
from jaxdl.layers.position import alibi_slopes, sinusoidal
from jaxdl.site.pictures.architectures import heading
from jaxdl.site.pictures.blocks import CHANNELS, PLACES
from jaxdl.site.pictures.charts import TILE, Axes, Chart, Line
from jaxdl.site.pictures.entries import Drawn
from jaxdl.site.pictures.rasters import photographs
from jaxdl.site.pictures.svg import BLUE, GREEN, INK, PURPLE, RED, Drawing
from jaxdl.site.pictures.trained import digit_images, quick_jit
from jaxdl.site.pictures.trained_sequences import TASKS, trained_heads, trained_translator

# -- one attention ----------------------------------------------------------------------------------------------------

KEYS, QUERIES = (0, 1, 2, 3, 4, 6, 7, 9), (2, 7, 6, 0)
"""Digits that are keys and values, one image each, and digits that ask."""


@cache
def attention_at_work() -> dict[str, np.ndarray]:
    """Images of keys and queries, the weights with and without 1/√d, and the results."""
    x, y = digit_images("train")
    test, truth = digit_images("test")
    keys = np.stack([x[int(np.flatnonzero(y == k)[3]), ..., 0] for k in KEYS])
    queries = np.stack([test[int(np.flatnonzero(truth == k)[2]), ..., 0] for k in QUERIES])
    mean, std = x.mean(), x.std()

    def run(keys: jax.Array, queries: jax.Array) -> dict[str, jax.Array]:
        k, q, v = (
            (a - b).reshape(1, len(a), 1, -1) / c for a, b, c in ((keys, mean, std), (queries, mean, std), (keys, 0, 1))
        )
        weights = attention_weights(q, k)
        made = weighted_values(weights, v).reshape(queries.shape)
        return {"weights": weights[0, 0], "sharp": attention_weights(q, k, scale=1.0)[0, 0], "made": made}

    return {"keys": keys, "queries": queries, **{n: np.asarray(a) for n, a in quick_jit(run)(keys, queries).items()}}


def weight_cells(d: Drawing, x: float, y: float, weights: np.ndarray, w: float, h: float, kind: str) -> None:
    """A row of cells for each query, the more tinted the larger the weight."""
    for i, row in enumerate(weights):
        for j, p in enumerate(row):
            d.box(x + j * w, y + i * h, w, h, PLACES, fill=float(p) * 0.45, width=0.6, rx=0, data_weight=kind)
            d.text(x + (j + 0.5) * w, y + (i + 0.5) * h + 4, f"{p:.2f}".removeprefix("0"), size=11.5, anchor="middle",
                   data_value=kind)  # fmt: skip


def small_weights(d: Drawing, weights: np.ndarray) -> None:
    """Weights as a raster that fills a tile, with lines between its rows."""
    d.heat(4, 4, 112, 64, weights, largest=1.0)
    rows = len(weights)
    d.add("path", d="".join(d.steps([(4, 4 + 64 * i / rows), (116, 4 + 64 * i / rows)]) for i in range(rows + 1)),
          stroke=PLACES, stroke_width=1, fill="none", opacity=0.6)  # fmt: skip


def draw_attention_weights() -> str:
    found = attention_at_work()
    dim = found["keys"][0].size
    desc = (
        f"Scaled dot-product attention. Keys and values are {len(KEYS)} images of digits, queries {len(QUERIES)} other ones, "
        f"as vectors of {dim} pixels. Each row of weights is softmax(q·k/√{dim}) and sums to 1; the result is the mean of the "
        "values with these weights. Below: without 1/√d nearly all the weight is on one key."
    )
    d = Drawing(640, 452, "Scaled dot-product attention", desc)
    heading(d, "softmax(Q Kᵀ / √d) V")
    left, top, w, h = 96, 94, 50, 50
    d.text(left, 54, "keys K", size=12.5, font_weight=600, anchor="end")
    d.text(48, top - 8, "queries Q", size=12.5, font_weight=600, anchor="middle")
    d.raster(left + 6, 40, w * len(KEYS) - 12, 38, photographs(found["keys"], len(KEYS), gap=3))
    d.raster(28, top + 4, 40, h * len(QUERIES) - 8, photographs(found["queries"], 1, gap=2))
    weight_cells(d, left, top, found["weights"], w, h, kind="scaled")
    d.text(
        left + w * len(KEYS) / 2, top + h * len(QUERIES) + 18, "weights: every row sums to 1", size=12, anchor="middle"
    )
    d.arrow(left + w * len(KEYS) + 8, top + h * 2, left + w * len(KEYS) + 44, top + h * 2)
    d.text(left + w * len(KEYS) + 26, top + h * 2 - 8, "· V", size=12, anchor="middle")
    d.raster(
        554, top + 4, 40, h * len(QUERIES) - 8, photographs(np.clip(found["made"], 0, 1), 1, gap=2), data_row="made"
    )
    d.text(574, top - 8, "results", size=12.5, font_weight=600, anchor="middle")
    y = 348
    d.text(left, y - 8, "the same without 1/√d", size=12.5, font_weight=600)
    weight_cells(d, left, y, found["sharp"], w, 22, kind="sharp")
    return d.svg()


def draw_small_attention_weights() -> str:
    d = Drawing(*TILE, "Scaled dot-product attention", "A matrix of weights, tinted by their size", digits=1)
    small_weights(d, attention_at_work()["weights"])
    return d.svg()


# -- heads ------------------------------------------------------------------------------------------------------------


def looked_at(text: str, maps: np.ndarray) -> np.ndarray:
    """Share of the attention of each head that is on the place each question asks for, `(heads, questions)`."""
    n, last, places = len(text), -1, []
    for i in range(n):
        places.append((i - 1, i + 1 if i + 1 < n else -1, last))
        last = i if text[i] in "aeiou" else last
    shares = np.zeros((len(maps), len(TASKS)))
    for task in range(len(TASKS)):
        rows = [(i, p[task]) for i, p in enumerate(places) if p[task] >= 0]
        shares[:, task] = [np.mean([one[i, j] for i, j in rows]) for one in maps]
    return shares


def draw_heads() -> str:
    text, maps, accuracy = trained_heads()
    shares, n, cell = looked_at(text, maps), len(text), 11.6
    likes = [TASKS[int(row.argmax())] for row in shares]
    desc = (
        f"The weights of {len(maps)} heads of one layer over the text “{text}”: rows are queries, columns keys. The layer was "
        f"trained to name for every letter {', '.join(TASKS)}, and is right for {accuracy:.1%} of the letters. The heads look "
        f"at different places: {'; '.join(f'head {i + 1} most at {a}' for i, a in enumerate(likes))}."
    )
    d = Drawing(640, 324, "Multi-head attention", desc, digits=1)
    heading(d, "each head looks for something else", f"all questions right: {accuracy:.1%}")
    for i, one in enumerate(maps):
        x, y = 28 + 207 * i, 74
        d.text(x, 48, f"head {i + 1}", size=12.5, font_weight=600)
        d.heat(x, y, n * cell, n * cell, one, largest=1.0, data_head=i)
        d.box(x, y, n * cell, n * cell, INK, fill=0, width=0.7, rx=0, opacity=0.5)
        for j, letter in enumerate(text):
            shown = letter.replace(" ", "·")
            d.text(x + (j + 0.5) * cell, y - 4, shown, size=11, anchor="middle")
            d.text(x - 9, y + (j + 0.5) * cell + 4, shown, size=11, anchor="middle")
        for j, share in enumerate(shares[i]):
            d.text(x, y + n * cell + 18 + 15 * j, f"{share:.0%}", size=11, data_share=f"{share:.4f}")
            d.text(x + 34, y + n * cell + 18 + 15 * j, f"on {TASKS[j]}", size=11)
    return d.svg()


def draw_small_heads() -> str:
    _, maps, _ = trained_heads()
    d = Drawing(*TILE, "Multi-head attention", "The weights of three heads", digits=1)
    for i, one in enumerate(maps):
        d.heat(3 + 39 * i, 18, 36, 36, one[:12, :12])
        d.box(3 + 39 * i, 18, 36, 36, INK, fill=0, width=0.8, rx=0)
    return d.svg()


# -- positions --------------------------------------------------------------------------------------------------------

POSITIONS, WIDTH = 50, 64


@cache
def position_tables() -> tuple[np.ndarray, np.ndarray]:
    """Sines and cosines `(POSITIONS, WIDTH)`, and their products of all pairs of positions."""
    table = np.asarray(quick_jit(lambda p: sinusoidal(p, WIDTH))(jnp.arange(POSITIONS)))
    return table, table @ table.T


def draw_positions() -> str:
    table, products = position_tables()
    slopes = alibi_slopes(4)
    listed = ", ".join(f"{slope:.3g}" for slope in slopes)
    desc = (
        f"Left: sines and cosines of {POSITIONS} positions at {WIDTH // 2} frequencies, blue positive and orange negative; "
        "added to the embeddings, they tell every position apart. Middle: the product of two encodings depends on their distance "
        "only. Right: a relative encoding, ALiBi, subtracts the distance times a slope from the scores; the slopes of 4 heads "
        f"are {listed}."
    )
    d = Drawing(640, 290, "Positional encoding", desc)
    d.text(44, 22, "absolute: sine and cosine", size=13, font_weight=600)
    d.heat(44, 40, WIDTH * 3.2, POSITIONS * 4, table, largest=1.0, data_table="")
    d.text(44 + WIDTH * 1.6, 258, f"channel, 0 to {WIDTH - 1}", size=12, anchor="middle")
    d.text(36, 240, "position →", size=12, transform="rotate(-90 36 240)")
    d.text(278, 22, "products", size=13, font_weight=600)
    d.heat(278, 40, 140, 140, products, largest=WIDTH / 2, data_products="")
    d.text(348, 198, "position × position", size=12, anchor="middle")
    d.text(348, 216, "a band: only the", size=11.5, anchor="middle")
    d.text(348, 231, "distance counts", size=11.5, anchor="middle")
    distance = np.arange(-12, 13)
    lines = [
        Line(distance, -slope * np.abs(distance), f"{i + 1}", colour)
        for i, (slope, colour) in enumerate(zip(slopes, (BLUE, RED, GREEN, PURPLE), strict=True))
    ]
    axes = Axes(d, (480, 50, 144, 190), Chart(lines, "key − query", "relative: ALiBi, 4 heads", (-12, 12), (-3.2, 0.2)))
    axes.frame()
    axes.plot()
    axes.legend()
    return d.svg()


def draw_small_positions() -> str:
    d = Drawing(*TILE, "Positional encoding", "Sines and cosines of positions", digits=1)
    d.heat(0, 0, 120, 72, position_tables()[0][:30, :48], largest=1.0)
    return d.svg()


# -- sequence to sequence ---------------------------------------------------------------------------------------------


def draw_seq2seq() -> str:
    shown, exact = trained_translator()
    one = max(shown[:60], key=lambda s: len(s.english) * len(s.german))
    desc = (
        f"A recurrent encoder and decoder with attention, trained on English and German number words; it translates {exact:.1%} "
        f"of 200 numbers that it has not seen. Columns: the words “{' '.join(one.english)}”. Rows: the parts that it writes, "
        f"“{' '.join(one.german)}”. A cell is the weight of a word for a part: the order of ones and tens is turned."
    )
    columns, rows, w, h, left, top = len(one.english), len(one.german), 68, 36, 128, 116
    d = Drawing(640, top + h * rows + 44, "Sequence to sequence with attention", desc)
    heading(d, "where the decoder looks", f"{exact:.1%} of unseen numbers right")
    d.text(left - 10, 84, "encoder", size=12.5, anchor="end", font_weight=600)
    for j, word in enumerate(one.english):
        x = left + j * w
        d.box(x + 8, 66, w - 16, 26, PLACES, fill=0.2, width=1.2)
        d.text(x + w / 2, 56, word, size=12, anchor="middle")
        d.text(x + w / 2, 84, f"h{'₁₂₃₄₅₆₇₈₉'[j]}", size=12, anchor="middle")
        if j:
            d.arrow(x - 7, 79, x + 7, 79, width=1.3, head=5)
        d.line(x + w / 2, 92, x + w / 2, top, opacity=0.4)
    for i, part in enumerate(one.german):
        y = top + i * h
        d.box(66, y + 5, 48, h - 10, CHANNELS, fill=0.2, width=1.2)
        d.text(90, y + h / 2 + 4, f"s{'₁₂₃₄₅₆₇₈₉'[i]}", size=12, anchor="middle")
        d.text(58, y + h / 2 + 4, part, size=12, anchor="end")
        if i:
            d.arrow(90, y - 4, 90, y + 4, width=1.3, head=5)
    d.text(90, top - 8, "decoder", size=12.5, anchor="middle", font_weight=600)
    weight_cells(d, left, top, one.weights, w, h, kind="alignment")
    d.text(
        left + w * columns / 2,
        top + h * rows + 22,
        "weights of the words for each written part",
        size=12,
        anchor="middle",
    )
    return d.svg()


def draw_small_seq2seq() -> str:
    shown, _ = trained_translator()
    one = max(shown[:60], key=lambda s: len(s.english) * len(s.german))
    d = Drawing(*TILE, "Sequence to sequence with attention", "An alignment of words and parts of words", digits=1)
    small_weights(d, one.weights)
    return d.svg()


ENTRIES = {
    "attention": Drawn(draw_attention_weights, draw_small_attention_weights),
    "multi-head-attention": Drawn(draw_heads, draw_small_heads),
    "positional-encoding": Drawn(draw_positions, draw_small_positions),
    "seq2seq": Drawn(draw_seq2seq, draw_small_seq2seq),
}
