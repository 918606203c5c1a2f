"""Augmentations before and after: of images, texts and series, and the mixing of two images with their labels."""

from collections.abc import Sequence
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.augment import image, series, text
from jaxdl.data.table import series as tables
from jaxdl.data.text.symbols import Words
from jaxdl.site.pictures.architectures import heading
from jaxdl.site.pictures.charts import TILE, Axes, Chart, Line
from jaxdl.site.pictures.entries import Drawn
from jaxdl.site.pictures.rasters import photographs
from jaxdl.site.pictures.svg import BLUE, INK, RED, Drawing
from jaxdl.site.pictures.trained import clothing_images, quick_jit

DRAWS = 7
"""Variants of one image."""


@cache
def shown_clothing(label: int, number: int = 0) -> np.ndarray:
    """An image `(28, 28)` of the test split."""
    x, y = clothing_images("test")
    return x[int(np.flatnonzero(y == label)[number]), ..., 0]


# -- images -----------------------------------------------------------------------------------------------------------

IMAGES = {
    "rotate": ("rotation ±25°", image.rotate(25.0)),
    "flip": ("flip", image.flip(0.5)),
    "crop": ("crop, resize", image.random_resized_crop(scale=(0.35, 0.9))),
    "jitter": ("brightness, contrast", image.color_jitter(0.6, 0.6)),
    "erase": ("random erasing", image.erasing(1.0, scale=(0.05, 0.2), value=0.5)),
}


@cache
def augmented_images() -> dict[str, np.ndarray]:
    """Augmentation -> variants `(DRAWS, 28, 28)` of one image."""

    def run(x: jax.Array) -> dict[str, jax.Array]:
        batch = {"x": jnp.broadcast_to(x[None, ..., None], (DRAWS, *x.shape, 1))}
        return {
            name: change(jax.random.key(i + 3), batch)["x"][..., 0]
            for i, (name, (_, change)) in enumerate(IMAGES.items())
        }

    return {name: np.asarray(v) for name, v in quick_jit(run)(shown_clothing(7, 2)).items()}


def draw_images() -> str:
    original, found = shown_clothing(7, 2), augmented_images()
    desc = (
        f"A sneaker of Fashion-MNIST and {DRAWS} variants of it by each of: {', '.join(name for name, _ in IMAGES.values())}. "
        "The label stays the same."
    )
    d = Drawing(640, 60 + 66 * len(IMAGES), "Image augmentation", desc)
    heading(d, "one image, new variants in every epoch")
    middle = 40 + 66 * len(IMAGES) / 2
    d.raster(20, middle - 42, 84, 84, photographs(original[None], 1), data_row="original")
    d.text(62, middle + 58, "original", size=12, anchor="middle")
    for i, (name, (label, _)) in enumerate(IMAGES.items()):
        y = 40 + 66 * i
        d.arrow(110, middle, 150, y + 29, opacity=0.6)
        words = label.split(", ")
        for j, word in enumerate(words):
            d.text(156, y + 33 + 14 * (j - (len(words) - 1) / 2), word, size=12)
        d.raster(258, y, 52 * DRAWS - 2, 50 + 0, photographs(found[name], DRAWS), data_row=name)
    return d.svg()


def draw_small_images() -> str:
    d = Drawing(*TILE, "Image augmentation", "An image, and four variants of it", digits=1)
    found = augmented_images()
    d.raster(4, 19, 34, 34, photographs(shown_clothing(7, 2)[None], 1))
    d.arrow(41, 36, 51, 36, width=1.2, head=5)
    some = np.stack([found["rotate"][2], found["crop"][0], found["jitter"][1], found["erase"][0]])
    d.raster(55, 5, 62, 62, photographs(some[:, ::1, ::1], 2))
    return d.svg()


# -- text -------------------------------------------------------------------------------------------------------------

SENTENCE = "a small model reads a short text and finds the answer"
SYNONYMS = {"small": ("little", "tiny"), "short": ("brief",), "finds": ("gives", "knows"), "answer": ("reply",)}


@cache
def augmented_texts() -> dict[str, list[str]]:
    """Augmentation -> the words of the changed sentence."""
    others = [word for words in SYNONYMS.values() for word in words]
    words = [*SENTENCE.split(), *others]
    tokenizer = Words.of([" ".join(words)])
    token = {word: int(tokenizer.encode(word)[0]) for word in words}
    masked = tokenizer.size
    numbers = {token[a]: [token[b] for b in more] for a, more in SYNONYMS.items()}
    table = jnp.asarray(text.synonym_table(numbers, masked + 1))
    x = np.zeros((1, 16), np.int32) + tokenizer.pad
    tokens = tokenizer.encode(SENTENCE)
    x[0, : len(tokens)] = tokens
    changes = {
        "synonyms": (text.synonyms(table, 0.6, pad=tokenizer.pad), 5),
        "swap": (text.swap(0.25, pad=tokenizer.pad), 5),
        "delete": (text.delete(0.2, pad=tokenizer.pad), 3),
        "insert": (text.insert(0.15, table=table, pad=tokenizer.pad), 2),
        "mask": (text.mask(0.2, mask_id=masked, pad=tokenizer.pad), 6),
    }
    found = quick_jit(
        lambda x: {name: change(jax.random.key(seed), {"x": x})["x"] for name, (change, seed) in changes.items()}
    )(x)
    named = {number: word for word, number in token.items()} | {masked: "▢"}
    return {name: [named[int(t)] for t in found[name][0] if int(t) != tokenizer.pad] for name in changes}


def changed_words(before: Sequence[str], after: Sequence[str]) -> list[bool]:
    """Which words of `after` are not in a longest common subsequence with `before`."""
    n, m = len(before), len(after)
    best = np.zeros((n + 1, m + 1), int)
    for i in reversed(range(n)):
        for j in reversed(range(m)):
            same = before[i] == after[j]
            best[i, j] = best[i + 1, j + 1] + 1 if same else max(best[i + 1, j], best[i, j + 1])
    new, i = [True] * m, 0
    for j in range(m):
        while i < n and best[i, j] == best[i + 1, j]:
            i += 1
        if i < n and before[i] == after[j] and best[i, j] == best[i + 1, j + 1] + 1:
            new[j], i = False, i + 1
    return new


def word_row(d: Drawing, x: float, y: float, words: Sequence[str], new: list[bool], row: str) -> None:
    """Words in boxes; new ones are tinted."""
    for word, changed in zip(words, new, strict=True):
        w = 7.3 * len(word) + 8
        d.box(x, y - 15, w, 22, RED if changed else INK, fill=0.25 if changed else 0.05, width=1 if changed else 0.5)
        d.text(x + w / 2, y, word, size=12, anchor="middle", data_row=row)
        x += w + 3


def draw_texts() -> str:
    original, found = SENTENCE.split(), augmented_texts()
    desc = (
        f"The sentence “{SENTENCE}” and what augmentations make of it: "
        f"{'; '.join(f'{name}: {chr(8220)}{chr(32).join(words)}{chr(8221)}' for name, words in found.items())}. "
        "New words are tinted."
    )
    d = Drawing(640, 70 + 38 * len(found), "Text augmentation", desc)
    for i, (name, words) in enumerate({"original": list(original), **found}.items()):
        y = 32 + 38 * i
        d.text(12, y, name, size=12, font_weight=600)
        word_row(d, 94, y, words, changed_words(original, words), name)
    return d.svg()


def draw_small_texts() -> str:
    original, found = SENTENCE.split(), augmented_texts()
    d = Drawing(*TILE, "Text augmentation", "Rows of words, of which some are changed", digits=1)
    for colour, tinted in ((INK, False), (RED, True)):
        bars = ""
        for i, words in enumerate((original, *list(found.values())[:4])):
            x = 2.0
            for word, new in zip(words, changed_words(original, words), strict=True):
                w = 1.85 * len(word)
                if new == tinted:
                    bars += f"M{d.n(x)} {d.n(4 + 13.5 * i)}h{d.n(w)}v9h{d.n(-w)}z"
                x += w + 1.8
        d.add("path", d=bars, fill=colour, fill_opacity=0.6 if tinted else 0.25)
    return d.svg()


# -- series -----------------------------------------------------------------------------------------------------------

SERIES = {
    "scaling": ("scaling", series.scaling(0.3), 4),
    "jitter": ("noise", series.noise(0.25), 1),
    "magnitude": ("magnitude warp", series.magnitude_warp(0.4), 2),
    "time": ("time warp", series.time_warp(0.5), 3),
    "slice": ("window slice", series.window_slice(0.6), 4),
    "drift": ("drift", series.drift(0.5), 5),
}


@cache
def augmented_series() -> dict[str, np.ndarray]:
    """Augmentation -> a changed series; `original`: eleven years of sunspots."""
    window = np.asarray(tables.sunspots(lookback=132, horizon=1, batch=1).splits["test"]["x"][60])

    def run(x: jax.Array) -> dict[str, jax.Array]:
        return {name: f(jax.random.key(seed), {"x": x[None]})["x"][0, :, 0] for name, (_, f, seed) in SERIES.items()}

    return {"original": window[:, 0], **{name: np.asarray(v) for name, v in quick_jit(run)(window).items()}}


def draw_series() -> str:
    found = augmented_series()
    names = ", ".join(name for name, _, _ in SERIES.values())
    d = Drawing(640, 388, "Time-series augmentation",
                f"132 months of sunspots (dashed) and the same after each of: {names}.", digits=1)  # fmt: skip
    top = float(np.ceil(max(v.max() for v in found.values()) / 50)) * 50
    for i, (name, (label, _, _)) in enumerate(SERIES.items()):
        months = np.arange(len(found[name]))
        lines = [
            Line(months, found[name], label, BLUE, width=1.75),
            Line(months, found["original"], "", INK, "2 3", 1.2, opacity=0.7),
        ]
        chart = Chart(lines, "month", "sunspots" if i == 0 else "", (0, 131), (-25, top))
        axes = Axes(d, (44 + 205 * (i % 3), 48 + 180 * (i // 3), 168, 106), chart)
        axes.frame()
        axes.plot()
        axes.legend()
    return d.svg()


def draw_small_series() -> str:
    d = Drawing(*TILE, "Time-series augmentation", "A series and a changed one", digits=1)
    found = augmented_series()
    for name, colour, width in (("original", INK, 1.2), ("magnitude", BLUE, 1.8)):
        v = found[name][::3]
        points = [(3 + 114 * i / (len(v) - 1), 66 - 58 * max(x, 0) / 260) for i, x in enumerate(v)]
        d.path(points, colour, width=width, opacity=0.6 if colour == INK else None)
    return d.svg()


ENTRIES = {
    "image-augmentation": Drawn(draw_images, draw_small_images),
    "text-augmentation": Drawn(draw_texts, draw_small_texts),
    "time-series-augmentation": Drawn(draw_series, draw_small_series),
}
