"""Baselines of `spoken_digits` without a network: a detector of telephone tones, and nearest mean spectra of digits.

Run: python -m experiments._spoken_digits_baseline [--folder FSDD]

    tones     Goertzel's detector: in each frame the power of the loudest of the four row and of the three column frequencies,
              together, as a share of the frame's; a key is pressed where it passes a threshold for two frames
    digits    a sequence is cut where it is quiet; a piece is the digit whose mean log-mel spectrum (of the training speakers'
              recordings) is nearest

The thresholds are the best of a few on the training split. Both read the very test sequences that the models are tested on.
"""

import argparse
from itertools import groupby, product

import jax
import numpy as np

from jaxdl.data.audio import spoken
from jaxdl.data.audio.spectrogram import PAD
from jaxdl.data.audio.tones import HIGH, LOW
from jaxdl.metrics.text import error_rate

WINDOW, HOP = 200, 80


def frames(x):
    """`(frames, 200)` of one recording, without its padding."""
    x = x[x != PAD].astype(np.float64) / 32768
    return x[np.arange(max(1, 1 + (len(x) - WINDOW) // HOP))[:, None] * HOP + np.arange(WINDOW)]


def runs(labels, least):
    """What is said for `least` frames or more, in order; 0 is nothing."""
    return [label for label, group in groupby(labels) if label and len(list(group)) >= least]


def tones(x):
    """The likeliest key of every frame, and the share of its two tones in the power."""
    f = frames(x) * np.hanning(WINDOW)
    wave = np.exp(-2j * np.pi * np.outer(np.arange(WINDOW), LOW + HIGH) / 8000)
    power = np.abs(f @ wave) ** 2
    row, column = power[:, :4], power[:, 4:]
    share = 4 / 3 * (row.max(1) + column.max(1)) / (WINDOW * np.square(f).sum(1) + 1e-9)
    return 1 + 3 * row.argmax(1) + column.argmax(1), share


def telephone(data):
    heard = {part: [tones(x) for x in data.splits[part]["x"]] for part in data.splits}
    wanted = {part: [[s for s in y if s] for y in data.splits[part]["y"].tolist()] for part in data.splits}

    def rate(part, threshold, least):
        return error_rate([runs(np.where(s > threshold, k, 0), least) for k, s in heard[part]], wanted[part])

    best = min(
        product((0.03, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6), (1, 2, 3, 4)), key=lambda choice: rate("train", *choice)
    )
    return best, rate("test", *best)


def digits(data):
    spectrum = jax.jit(data.prepare.spectrogram)

    def log_mel(x):
        whole = np.zeros(data.samples, np.float32)
        real = x[x != PAD]
        whole[: len(real)] = real / 32768
        return np.asarray(spectrum(whole[None]))[0, : data.prepare.frames(len(real))]

    b = data.recordings["train"]
    single = [log_mel(b["samples"][s : s + n]).mean(0) for s, n in zip(b["start"], b["size"], strict=True)]
    flat = np.array([m - m.mean() for m in single])  # loudness says nothing
    centroids = np.array([flat[b["symbol"] == d].mean(0) for d in range(1, 11)])
    pictures = {part: [log_mel(x) for x in data.splits[part]["x"]] for part in ("train", "test")}

    def read(picture, below, least):
        loud = picture.mean(1)
        pieces = [list(group) for on, group in groupby(range(len(loud)), lambda i: loud[i] > loud.max() - below) if on]
        means = [picture[piece].mean(0) for piece in pieces if len(piece) >= least]
        return [1 + int(np.square(centroids - (m - m.mean())).sum(1).argmin()) for m in means]

    def rate(part, below, least):
        wanted = [[s for s in y if s] for y in data.splits[part]["y"].tolist()]
        return error_rate([read(p, below, least) for p in pictures[part]], wanted)

    best = min(product((1.5, 2, 2.5, 3, 3.5, 4, 5), (4, 8, 12, 16)), key=lambda choice: rate("train", *choice))
    return best, rate("test", *best)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", default="", help="files {digit}_{speaker}_{number}.wav; empty: telephone tones")
    folder = parser.parse_args().folder
    data = spoken.spoken_digits(folder) if folder else spoken.telephone_tones(longest=4)
    thresholds, result = digits(data) if folder else telephone(data)
    print(f"{data.name}: word error rate {result:.1%} (thresholds {', '.join(f'{t:g}' for t in thresholds)})")
