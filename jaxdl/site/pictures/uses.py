"""What networks are used for: small real examples on bundled data."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.data.audio.spectrogram import LogMel
from jaxdl.data.audio.tones import KEYS, tone
from jaxdl.inspect.saliency import grad_cam
from jaxdl.metrics.reduction import knn_accuracy, pca
from jaxdl.site.pictures.architectures import heading
from jaxdl.site.pictures.blocks import CHANNELS
from jaxdl.site.pictures.charts import TILE, Axes, Chart, Line
from jaxdl.site.pictures.rasters import photographs
from jaxdl.site.pictures.svg import BLUE, GREEN, INK, ORANGE, PURPLE, RED, Drawing
from jaxdl.site.pictures.trained import digit_images, quick_jit, trained_cnn
from jaxdl.site.pictures.trained_generators import trained_autoencoders
from jaxdl.site.pictures.trained_sequences import (
    HORIZON,
    LOOKBACK,
    languages_at_work,
    trained_cells,
    trained_translator,
)

FIVE = (BLUE, RED, GREEN, PURPLE, ORANGE)

# -- forecasting and speech -------------------------------------------------------------------------------------------

PRESSED = "1592#"


@cache
def spectrogram() -> np.ndarray:
    """Log-mel spectrogram `(mels, frames)` of the keys `PRESSED` of a telephone, the lowest frequency last."""
    rate, parts = 8000, [np.zeros(400, np.int16)]
    for number, key in enumerate(PRESSED):
        parts += [tone(2, KEYS.index(key), number, rate=rate), np.zeros(700, np.int16)]
    sound = np.concatenate(parts)[None].astype(np.float32) / 32768
    made = quick_jit(LogMel(rate, mels=32, high=2000.0).spectrogram)(sound)
    return np.asarray(made)[0].T[::-1]


def draw_forecast() -> str:
    one, bands = trained_cells()["lstm"], spectrogram()
    months, last = np.arange(LOOKBACK), one.read[-1]
    ahead = np.arange(LOOKBACK - 1, LOOKBACK + HORIZON)
    lines = [
        Line(ahead, np.concatenate([[last], one.forecast]), "LSTM", BLUE, width=2.5),
        Line(ahead, np.concatenate([[last], one.truth]), "truth", INK, "2 3", 1.5),
        Line(ahead, np.full(HORIZON + 1, last), "last value", RED, "5 4", 1.5),
        Line(months, one.read, "", INK, width=1.5, opacity=0.75),
    ]
    errors = [float(np.abs(guess - one.truth).mean()) for guess in (one.forecast, np.full(HORIZON, last))]
    desc = (
        f"Left: {LOOKBACK} months of sunspots that a small LSTM reads, and its forecast of the next {HORIZON}, with a mean "
        f"absolute error of {errors[0]:.1f}; repeating the last value has {errors[1]:.1f}. Right: the spectrogram of the "
        f"telephone keys {' '.join(PRESSED)}, the form in which networks read sound: time to the right, frequency upwards."
    )
    d = Drawing(640, 300, "Forecasting and speech recognition", desc)
    top = float(np.ceil(one.read.max() / 50)) * 50
    axes = Axes(d, (44, 50, 330, 208), Chart(lines, "month", "sunspots", (40, LOOKBACK + HORIZON - 1), (0, top)))
    axes.frame()
    axes.plot()
    axes.legend()
    shown = bands - bands.min()
    d.text(412, 26, "sound as a spectrogram", size=13, font_weight=600)
    d.heat(412, 50, 212, 168, shown, data_spectrogram="")
    d.box(412, 50, 212, 168, INK, fill=0, width=0.7, rx=0, opacity=0.5)
    loud = bands.max(0) > np.quantile(bands.max(0), 0.4)
    starts = np.flatnonzero(np.diff(np.concatenate([[0], loud.astype(int), [0]]))).reshape(-1, 2)
    long = sorted(sorted(starts.tolist(), key=lambda s: s[0] - s[1])[: len(PRESSED)])
    for key, (a, b) in zip(PRESSED, long, strict=True):
        d.text(412 + 212 * (a + b) / 2 / bands.shape[1], 238, key, size=14, anchor="middle", font_weight=600)
    d.text(518, 262, "keys of a telephone; time →", size=12, anchor="middle")
    return d.svg()


def draw_small_forecast() -> str:
    one = trained_cells()["lstm"]
    d = Drawing(*TILE, "Forecasting and speech recognition", "A series and its forecast", digits=1)
    read, ahead = one.read[60:], np.concatenate([one.read[-1:], one.forecast])
    place = lambda t, v: (3 + 114 * t / (len(read) + HORIZON), 66 - 60 * float(v) / 220)
    d.path([place(t, v) for t, v in enumerate(read)], INK, width=1.4, opacity=0.7)
    d.path([place(len(read) - 1 + t, v) for t, v in enumerate(ahead)], BLUE, width=2.4)
    d.line(place(len(read) - 1, 0)[0], 4, place(len(read) - 1, 0)[0], 68, dash="3 3", opacity=0.6)
    return d.svg()


# -- translation and text ---------------------------------------------------------------------------------------------


def draw_text_uses() -> str:
    shown, exact = trained_translator()
    languages = languages_at_work()
    one = max(shown[60:120], key=lambda s: len(s.english) * len(s.german))
    desc = (
        f"Top: the number “{' '.join(one.english[:-1])}” is translated part by part; under each step the three likeliest parts "
        f"with their probabilities. {exact:.1%} of 200 unseen numbers are right. Bottom: the language of a sentence, with the "
        f"probability of the likeliest of {len(languages.names)} languages; {languages.accuracy:.1%} of the sentences are right."
    )
    d = Drawing(640, 372, "Translation and text", desc)
    d.text(20, 24, "translation, written part by part", size=14, font_weight=600)
    d.text(20, 50, " ".join(one.english[:-1]).replace(" - ", "-"), size=13)
    d.arrow(20, 60, 20, 74)
    width = min(104.0, 600 / len(one.german))
    for i, candidates in enumerate(one.candidates):
        x = 20 + i * width
        for j, (part, p) in enumerate(candidates):
            y = 84 + 24 * j
            d.box(x, y, (width - 8) * p, 19, CHANNELS, fill=0.35, width=0, rx=2, data_probability=f"{p:.4f}")
            d.box(x, y, width - 8, 19, CHANNELS if j == 0 else INK, fill=0, width=1.2 if j == 0 else 0.4, rx=2)
            d.text(x + 5, y + 14, part, size=11.5)
    d.line(20, 176, 620, 176, opacity=0.25)
    d.text(20, 200, f"classification: which of {len(languages.names)} languages?", size=14, font_weight=600)
    for i, (text, row, label) in enumerate(
        zip(languages.texts, languages.probabilities, languages.labels, strict=True)
    ):
        y, best = 226 + 29 * i, int(row.argmax())
        d.text(20, y, text, size=12.5)
        d.box(330, y - 13, 190 * float(row[best]), 18, CHANNELS, fill=0.35, width=0, rx=2)
        right = "" if best == label else f", it is {languages.names[label]}"
        d.text(336 + 190 * float(row[best]), y, f"{languages.names[best]} {row[best]:.2f}{right}", size=12.5)
    return d.svg()


def draw_small_text_uses() -> str:
    d = Drawing(*TILE, "Translation and text", "Two rows of words that are connected", digits=1)
    shown, _ = trained_translator()
    one = max(shown[60:120], key=lambda s: len(s.english) * len(s.german))
    rows = [[len(word) for word in side[:-1]] for side in (one.english, one.german)]
    centres = []
    for lengths, y, colour in zip(rows, (8, 50), (INK, CHANNELS), strict=True):
        unit, x, middles = 104 / (sum(lengths) + 2 * len(lengths)), 6.0, []
        for length in lengths:
            w = unit * (length + 1)
            d.box(x, y, w, 14, colour, fill=0.3, width=0.8, rx=2)
            middles.append(x + w / 2)
            x += w + unit
        centres.append(middles)
    for i, row in enumerate(one.weights[: len(centres[1]), : len(centres[0])]):
        j = int(row.argmax())
        if row[j] > 0.5:
            d.line(centres[0][j], 22, centres[1][i], 50, BLUE, width=1.6)
    return d.svg()


# -- computer vision --------------------------------------------------------------------------------------------------


@cache
def seen_digits() -> dict[str, np.ndarray]:
    """Six test digits, the last of them the one judged worst, with probabilities and Grad-CAM maps."""
    model, params, _ = trained_cnn()
    x, y = digit_images("test")
    p = np.asarray(quick_jit(lambda x: jax.nn.softmax(model.apply(params, x, train=False)))(x))
    hardest = int(np.argmin(p[np.arange(len(y)), y]))
    rows = [*(int(np.flatnonzero(y == k)[5]) for k in (2, 4, 6, 8, 9)), hardest]
    heat = np.asarray(grad_cam(model, (params["params"], {}), jnp.asarray(x[rows]), "Conv_1"))
    return {"images": x[rows, ..., 0], "labels": y[rows], "p": p[rows], "heat": heat}


def draw_vision() -> str:
    seen, accuracy = seen_digits(), trained_cnn().accuracy
    found = seen["p"].argmax(1)
    verdicts = ", ".join(f"{label} as {guess}" for label, guess in zip(seen["labels"], found, strict=True))
    desc = (
        f"Six test digits, what a CNN with {accuracy:.1%} test accuracy takes them for ({verdicts}), and where it looks "
        "(Grad-CAM of the second convolution). The last one is the digit that it judges worst."
    )
    d = Drawing(640, 300, "Computer vision", desc)
    heading(d, "what is it, and where does the network look?", f"{accuracy:.1%} of the test digits are right")
    for i, (image, heat, row, label) in enumerate(
        zip(seen["images"], seen["heat"], seen["p"], seen["labels"], strict=True)
    ):
        x, best = 20 + 103 * i, int(row.argmax())
        d.raster(x, 40, 84, 84, photographs(image[None], 1), data_image=i)
        d.raster(x, 132, 84, 84, photographs(0.45 * image[None], 1))
        fine = np.asarray(heat).repeat(8 // len(heat), 0).repeat(8 // len(heat), 1)
        d.raster(x, 132, 84, 84, blue_overlay(fine), data_heat=i)
        d.text(x, 236, f"{best}", size=15, font_weight=600, data_guess=best)
        d.box(x + 14, 225, max(52 * float(row[best]), 0.5), 12, CHANNELS, fill=0.45, width=0, rx=0)
        d.text(x + 14, 253, f"p = {row[best]:.2f}", size=11.5)
        if best != label:
            d.text(x, 272, f"it is a {label}", size=12, colour=RED, font_weight=600)
    d.text(20, 292, "top: the image; below: blue where it speaks for the class", size=11.5)
    return d.svg()


def blue_overlay(values: np.ndarray) -> np.ndarray:
    """RGBA: one bright blue, the more opaque the larger the value in [0, 1]."""
    alpha = np.round(31 * np.clip(values, 0, 1)) * 200 / 31
    colour = np.broadcast_to(np.array([86, 180, 233]), (*values.shape, 3))
    return np.concatenate([colour, alpha[..., None]], -1).astype(np.uint8)


def draw_small_vision() -> str:
    seen = seen_digits()
    d = Drawing(*TILE, "Computer vision", "A digit, and the probabilities of the classes", digits=1)
    d.raster(4, 10, 52, 52, photographs(seen["images"][3][None], 1))
    for k, p in enumerate(seen["p"][3]):
        d.box(64 + 5.4 * k, 60 - 48 * float(p), 4.2, 48 * float(p) + 0.6, CHANNELS, fill=0.6, width=0, rx=0)
    d.line(63, 61, 118, 61, opacity=0.6)
    return d.svg()


# -- dimensionality reduction -----------------------------------------------------------------------------------------

POINTS = 130


@cache
def planes() -> list[tuple[str, np.ndarray, float]]:
    """Name, codes of two numbers of the test digits, and accuracy of the nearest neighbours in the plane."""
    x, y = digit_images("test")
    fitted = pca(digit_images("train")[0], 2)
    found = (("PCA", fitted.encode(x)), ("autoencoder", trained_autoencoders()[2]["code"]))
    return [(name, np.asarray(code), knn_accuracy(code, y)) for name, code in found]


def glyphs(d: Drawing, code: np.ndarray, labels: np.ndarray, box: tuple[float, float, float, float]) -> None:
    """Each digit at its place in the plane, as its own sign."""
    left, top, w, h = box
    low, high = np.quantile(code, 0.005, 0), np.quantile(code, 0.995, 0)
    share = np.clip((code - low) / (high - low), 0, 1)
    for (x, y), label in zip(share[:POINTS], labels[:POINTS], strict=True):
        d.text(left + w * float(x), top + h * (1 - float(y)) + 4, str(label), size=11.5, anchor="middle", colour=FIVE[label % 5],
               font_weight=600 if label > 4 else None)  # fmt: skip


def draw_reduction() -> str:
    labels = digit_images("test")[1]
    desc = (
        f"{POINTS} test digits of 64 pixels, each drawn as its sign at two numbers: the first two principal components, and the "
        "code of an autoencoder. In the plane the five nearest neighbours name the digit in "
        f"{' and '.join(f'{accuracy:.0%} ({name})' for name, _, accuracy in planes())} of the cases."
    )
    d = Drawing(640, 312, "Dimensionality reduction", desc, digits=1)
    for i, (name, code, accuracy) in enumerate(planes()):
        x = 20 + 314 * i
        d.text(x, 22, f"{name}, 64 → 2", size=13.5, font_weight=600)
        d.text(x + 286, 22, f"neighbours: {accuracy:.0%}", size=12, anchor="end", data_accuracy=f"{accuracy:.4f}")
        d.add("rect", x=x, y=34, width=286, height=262, fill="none", stroke=INK, stroke_opacity=0.35)
        glyphs(d, code, labels, (x + 12, 46, 262, 238))
    return d.svg()


def draw_small_reduction() -> str:
    d = Drawing(*TILE, "Dimensionality reduction", "Digits as points of a plane", digits=1)
    (_, code, _), labels = planes()[1], digit_images("test")[1]
    low, high = np.quantile(code, 0.01, 0), np.quantile(code, 0.99, 0)
    share = np.clip((code - low) / (high - low), 0, 1)[:200]
    for k in range(5):
        d.dots(
            [(5 + 110 * float(x), 67 - 62 * float(y)) for (x, y), n in zip(share, labels, strict=False) if n == k],
            FIVE[k],
            4,
        )
    return d.svg()
