"""Sequences of symbols spoken one after the other, put together from recordings of single ones.

A training batch is composed inside the compiled step: row r of step t draws from `fold_in(fold_in(seed, t), r)` how many symbols,
which recordings, the silences between them and their loudness. Validation and test are drawn once.

The single recordings are those of a folder of digits by several speakers, or telephone tones, which are generated.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int16

from jaxdl.counts import check_count, check_counts
from jaxdl.data.audio import speech
from jaxdl.data.audio.soundfiles import SUFFIXES, read_audio, to_int16
from jaxdl.data.audio.spectrogram import PAD, LogMel
from jaxdl.data.audio.tones import KEYS, tone
from jaxdl.data.walker import list_files, tell
from jaxdl.types import Batch, UserError

Bank = Mapping[str, np.ndarray]
"""Single recordings of one split: `samples` int16, one behind the other; of each `start`, `size`, `symbol` (from 1)."""


def bank(recordings: Sequence[np.ndarray], symbols: Sequence[int]) -> Bank:
    """Recordings of any lengths and what is said in each."""
    sizes = np.array([len(x) for x in recordings], np.int32)
    arrays = {
        "samples": np.concatenate([to_int16(x) for x in recordings]),
        "start": (np.cumsum(sizes) - sizes).astype(np.int32),
        "size": sizes,
        "symbol": np.asarray(symbols, np.int32),
    }
    for array in arrays.values():
        array.flags.writeable = False
    return arrays


@dataclass(frozen=True)
class Composer:
    """How a sequence is put together: `shortest` to `longest` symbols, a silence of `gap` seconds before each and at the end.

    Args:
        samples: of the longest sequence; symbols that would end beyond it are left out.
        rate: samples a second.
        gap: (least, most) seconds of silence.
        gain: (least, most) decibels by which each symbol is louder.
        noise: (least, most) decibels of the white noise, below full scale.
        speed: (least, most) factor by which each symbol is faster and higher, in training only: other voices.
    """

    samples: int
    rate: int
    shortest: int = 1
    longest: int = 5
    gap: tuple[float, float] = (0.05, 0.4)
    gain: tuple[float, float] = (-6.0, 6.0)
    noise: tuple[float, float] = (-70.0, -50.0)
    speed: tuple[float, float] = (1.0, 1.0)

    def __post_init__(self) -> None:
        least = max(self.shortest, 1)
        if self.longest < least:
            raise UserError(f"longest = {self.longest} must be {least} or more: the symbols of the longest sequence")

    def __call__(self, key: Any, bank: Mapping[str, Array]) -> tuple[Int16[Array, "samples"], Array]:
        """One sequence `(samples,)` and its symbols `(longest,)`, 0 where there are fewer."""
        keys = jax.random.split(key, 7)
        n = self.longest
        draw = lambda key, limits, shape=(): jax.random.uniform(key, shape, minval=limits[0], maxval=limits[1])
        count = jax.random.randint(keys[0], (), self.shortest, n + 1)
        which = jax.random.randint(keys[1], (n,), 0, bank["size"].shape[0])
        gaps = jnp.round(draw(keys[2], self.gap, (n + 1,)) * self.rate).astype(jnp.int32)
        speed = draw(keys[6], self.speed, (n,))
        sizes = jnp.floor((bank["size"][which] - 1) / speed).astype(jnp.int32)
        ends = jnp.cumsum(gaps[:n] + sizes)
        starts = ends - sizes
        kept = (jnp.arange(n) < count) & (ends <= self.samples)
        total = jnp.minimum(jnp.max(jnp.where(kept, ends, 0)) + gaps[n], self.samples)
        # which symbol sounds at each sample, and where in the bank that sample stands: one gather for the whole sequence
        t = jnp.arange(self.samples, dtype=jnp.int32)
        turn = jnp.maximum((t[:, None] >= starts[None]).sum(1) - 1, 0)
        place = t - starts[turn]
        sounds = (place >= 0) & (place < sizes[turn]) & kept[turn]
        gain = 10 ** (draw(keys[3], self.gain, (n,)) / 20)
        read = jnp.maximum(place, 0) * speed[turn]
        before = jnp.floor(read).astype(jnp.int32)
        index = jnp.clip(bank["start"][which][turn] + before, 0, bank["samples"].shape[0] - 2)
        left, right = bank["samples"][index].astype(jnp.float32), bank["samples"][index + 1].astype(jnp.float32)
        sound = jnp.where(sounds, (left + (right - left) * (read - before)) * gain[turn], 0)
        hiss = 32768 * 10 ** (draw(keys[4], self.noise) / 20)
        sound = jnp.clip(jnp.round(sound + hiss * white_noise(keys[5], self.samples)), -32767, 32767)
        return jnp.where(t < total, sound, PAD).astype(jnp.int16), jnp.where(kept, bank["symbol"][which], 0)


def white_noise(key: Any, samples: int) -> Array:
    """White noise of deviation 1, uniform: four 8-bit numbers from each random word, which is all that it costs."""
    words = jax.random.bits(key, (-(-samples // 4),), jnp.uint32)
    octets = jax.lax.bitcast_convert_type(words, jnp.uint8).reshape(-1)[:samples]
    return (octets.astype(jnp.float32) - 127.5) / 73.9


@dataclass(frozen=True, eq=False)
class SpokenSequences(speech.Recordings):
    """Sequences: those of `splits` are fixed draws, the training batches are composed anew from `recordings` at every step."""

    recordings: Mapping[str, Bank] | None = None
    composer: Composer | None = None

    def source(self, start: int, stop: int, seed: int) -> Bank:
        return self.recordings["train"]

    def train_batch(self, source: Mapping[str, Array], seed: Any, step: Any) -> Batch:
        key = jax.random.fold_in(jax.random.key(seed), step)
        keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(self.batch))
        x, y = jax.vmap(self.composer, (0, None))(keys, dict(source))
        return {"x": x, "y": y, "mask": jnp.ones(self.batch, jnp.float32)}


def sequences(
    banks: Mapping[str, Bank],
    composer: Composer,
    *,
    batch: int,
    symbols: Sequence[str],
    name: str,
    split: str,
    sizes: Mapping[str, int],
    mels: int = 40,
) -> SpokenSequences:
    """A data set from single recordings by split; `sizes` says how many sequences each split's fixed draw has."""
    splits = {part: _fixed(banks[part], composer, count, i) for i, (part, count) in enumerate(sizes.items())}
    listed = ", ".join(f"{len(banks[part]['size'])} {part}" for part in banks)
    return SpokenSequences(
        splits=splits,
        batch=batch,
        prepare=LogMel(composer.rate, mels),
        name=name,
        split=f"{split}; single recordings: {listed}; 1 to {composer.longest} of them make a sequence",
        classes=("", *symbols),
        rate=composer.rate,
        separator=" ",
        recordings=banks,
        composer=composer,
    )


def _fixed(bank: Bank, c: Composer, count: int, stream: int) -> dict[str, np.ndarray]:
    """`count` sequences of the composer's kind, drawn by NumPy (no data object touches jax), always the same."""
    rng = np.random.default_rng([7, stream])
    x, y = np.full((count, c.samples), PAD, np.int16), np.zeros((count, c.longest), np.int32)
    for row, symbols in zip(x, y, strict=True):
        sound, at = np.zeros(c.samples, np.float32), 0
        gaps = np.round(rng.uniform(*c.gap, c.longest + 1) * c.rate).astype(int)
        for i, w in enumerate(rng.integers(0, len(bank["size"]), rng.integers(c.shortest, c.longest + 1))):
            start, size = at + gaps[i], bank["size"][w]
            gain = 10 ** (rng.uniform(*c.gain) / 20)
            if start + size > c.samples:
                break
            first = bank["start"][w]
            sound[start : start + size] = bank["samples"][first : first + size] * gain
            symbols[i], at = bank["symbol"][w], start + size
        total = min(at + gaps[-1], c.samples)
        hiss = 32768 * 10 ** (rng.uniform(*c.noise) / 20) * np.sqrt(3) * rng.uniform(-1, 1, total)
        row[:total] = np.clip(np.round(sound[:total] + hiss), -32767, 32767)
    for array in (x, y):
        array.flags.writeable = False
    return {"x": x, "y": y}


# -- digits -----------------------------------------------------------------------------------------------------------

DIGITS = tuple("0123456789")
NAMED = re.compile(r"(\d)_([^_]+)_(\d+)\.\w+")


def spoken_digits(
    folder: str | Path,
    *,
    batch: int = 32,
    longest: int = 4,
    seconds: float = 3.0,
    mels: int = 40,
    count: int = 400,
    unheard: str = "",
) -> SpokenSequences:
    """Sequences of digits from files {digit}_{speaker}_{number}.wav (or .flac) in a folder, as in the Free Spoken Digit Dataset.

    The last speaker (in the order of names; `unheard` names another) is the test split: a voice that was never heard. Of the
    others' recordings every tenth is validation, the rest train.
    Source: github.com/Jakobovski/free-spoken-digit-dataset (CC BY-SA 4.0).

    Args:
        folder: where the wav files lie.
        batch: sequences in a training step.
        longest: digits of the longest sequence.
        seconds: what a sequence lasts at most.
        mels: channels of the spectrogram.
        count: sequences of the test split (as many for validation).
        unheard: the speaker of the test split; "": the last.
    """
    check_counts(batch=batch, longest=longest, mels=mels, count=count)
    found = list_files(folder, SUFFIXES)
    strange = sum(NAMED.fullmatch(os.path.basename(path)) is None for path in found.files)
    notes = [f"{found.unread()} not read"] if found.left_out else []
    tell(folder, notes + ([f"{strange} recordings not called {{digit}}_{{speaker}}_{{number}}"] if strange else []))
    banks, known, last = _digits(Path(folder).expanduser(), tuple(found.files), unheard)
    sentence = f"by speaker: {last} test; {', '.join(known)} train, of which every tenth recording is validation"
    return sequences(
        banks,
        Composer(round(seconds * 8000), 8000, 1, longest, (0.05, 0.3), noise=(-70.0, -45.0), speed=(0.8, 1.25)),
        batch=batch,
        symbols=DIGITS,
        name="spoken digits",
        split=sentence,
        sizes={"train": max(count, batch), "validation": count, "test": count},
        mels=mels,
    )


@cache
def _digits(folder: Path, listing: tuple[str, ...], unheard: str) -> tuple[Mapping[str, Bank], list[str], str]:
    named = [(path, match) for path in listing if (match := NAMED.fullmatch(os.path.basename(path)))]
    speakers = sorted({match[2] for _, match in named})
    if len(speakers) < 2:
        raise FileNotFoundError(
            f"{folder}: needs files {{digit}}_{{speaker}}_{{number}}.wav of two speakers or more, found {len(speakers)}"
        )
    if unheard and unheard not in speakers:
        raise UserError(f"unheard={unheard!r} is none of the speakers {', '.join(speakers)}")
    unheard = unheard or speakers[-1]
    parts: dict[str, list[tuple[str, int]]] = {"train": [], "validation": [], "test": []}
    for path, match in named:
        heard = "validation" if int(match[3]) % 10 == 9 else "train"
        parts["test" if match[2] == unheard else heard].append((path, int(match[1]) + 1))
    if not parts["validation"]:
        raise FileNotFoundError(
            f"{folder}: has nothing to validate on: of the speakers that train, recordings with a number ending in 9 are for it"
        )
    banks = {
        part: bank([read_audio(path, rate=8000)[0] for path, _ in rows], [symbol for _, symbol in rows])
        for part, rows in parts.items()
    }
    return banks, [name for name in speakers if name != unheard], unheard


# -- telephone tones --------------------------------------------------------------------------------------------------


@cache
def telephone_tones(
    *, batch: int = 32, longest: int = 6, lines: int = 64, each: int = 2, mels: int = 40, count: int = 300
) -> SpokenSequences:
    """Sequences of telephone keys, GENERATED: each key is a row's tone and a column's together, over a bad line.

    A line is what a speaker is to speech: its tones are off by up to 1.5 %, the column's is up to 8 dB louder or softer, it hums,
    clips, echoes and hisses in its own way. The last quarter of the lines is the test split, the quarter before validation.

    Args:
        batch: sequences in a training step.
        longest: keys of the longest sequence.
        lines: how many different lines.
        each: recordings of every key on every line.
        mels: channels of the spectrogram.
        count: sequences of the test split (as many for validation).
    """
    check_counts(batch=batch, longest=longest, each=each, mels=mels, count=count)
    check_count("lines", lines, 4)  # so that each split has lines of its own
    quarter = lines // 4
    parts = {
        "train": range(lines - 2 * quarter),
        "validation": range(lines - 2 * quarter, lines - quarter),
        "test": range(lines - quarter, lines),
    }
    banks = {}
    for part, chosen in parts.items():
        rows = [(line, k, i) for line in chosen for k in range(len(KEYS)) for i in range(each)]
        banks[part] = bank([tone(line, k, i) for line, k, i in rows], [k + 1 for _, k, _ in rows])
    return sequences(
        banks,
        Composer(round((longest * 0.45 + 0.25) * 8000), 8000, 1, longest, (0.06, 0.25), noise=(-34.0, -16.0)),
        batch=batch,
        symbols=KEYS,
        name="telephone tones (generated)",
        split=f"by line: {', '.join(f'{len(chosen)} {part}' for part, chosen in parts.items())}",
        sizes={"train": max(count, batch), "validation": count, "test": count},
        mels=mels,
    )
