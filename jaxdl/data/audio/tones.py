"""The tones of a telephone's keys over bad lines, generated."""

import numpy as np
from jaxtyping import Int16

from jaxdl.data.audio.soundfiles import to_int16

KEYS = tuple("123456789*0#")
LOW, HIGH = (697, 770, 852, 941), (1209, 1336, 1477)
"""Hertz of the four rows and the three columns of a telephone's keys. Source: ITU-T recommendation Q.23."""


def tone(line: int, key: int, number: int, *, rate: int = 8000) -> Int16[np.ndarray, "samples"]:
    """One press of a key, 60 to 200 ms, over a line; recording `number` of its kind."""
    own, rng = np.random.default_rng([1, line]), np.random.default_rng([2, line, key, number])
    off, twist, hum = own.uniform(-0.015, 0.015, 2), own.uniform(-8, 8), own.uniform(0, 0.04)
    hertz, clip, hiss = own.choice([50, 60, 100, 120]), own.uniform(0.5, 1.2), 10 ** own.uniform(-2.6, -1.2)
    delay, echo, colour = int(own.integers(20, 200)), own.uniform(0, 0.5), own.uniform(-0.6, 0.6)
    t = np.arange(round(rng.uniform(0.06, 0.2) * rate)) / rate
    low, high = LOW[key // 3] * (1 + off[0]), HIGH[key % 3] * (1 + off[1])
    phase = rng.uniform(0, 2 * np.pi, 3)
    x = np.sin(2 * np.pi * low * t + phase[0]) + 10 ** (twist / 20) * np.sin(2 * np.pi * high * t + phase[1])
    x = x / np.abs(x).max() * np.minimum(1, np.minimum(t, t[-1] - t) * 400)
    x[delay:] += echo * x[:-delay]
    x = np.clip(x, -clip, clip) * 10 ** (rng.uniform(-22, -10) / 20)
    x = x + hum * np.sin(2 * np.pi * hertz * t + phase[2]) + 0.1 * hiss * rng.normal(size=len(t))
    x[1:] += colour * x[:-1]
    return to_int16(np.clip(x, -1, 1))
