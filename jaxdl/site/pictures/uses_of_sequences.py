"""What networks of sequences are used for: a forecast, sound, a translation, the language of a text."""

from functools import cache

import numpy as np

from jaxdl.data.audio.spectrogram import LogMel
from jaxdl.data.audio.tones import KEYS, tone
from jaxdl.site.pictures.blocks import CHANNELS
from jaxdl.site.pictures.charts import TILE, Axes, Chart, Line
from jaxdl.site.pictures.entries import Drawn
from jaxdl.site.pictures.svg import BLUE, INK, RED, Drawing
from jaxdl.site.pictures.trained import quick_jit
from jaxdl.site.pictures.trained_sequences import (
    HORIZON,
    LOOKBACK,
    languages_at_work,
    trained_cells,
    trained_translator,
)

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


ENTRIES = {
    "forecasting-and-speech": Drawn(draw_forecast, draw_small_forecast),
    "translation-and-text": Drawn(draw_text_uses, draw_small_text_uses),
}
