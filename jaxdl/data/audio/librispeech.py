"""LibriSpeech from its folders, streamed: some steps' recordings at a time, chosen by position alone.

    folder/train-clean-100/<speaker>/<chapter>/<speaker>-<chapter>-<number>.flac    beside them <speaker>-<chapter>.trans.txt

Source: Panayotov et al. 2015, ICASSP (openslr.org/12).
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxdl.counts import check_counts
from jaxdl.data import files
from jaxdl.data.arrays import check_batch
from jaxdl.data.audio.soundfiles import SUFFIXES, seconds_of
from jaxdl.data.audio.spectrogram import PAD, LogMel
from jaxdl.data.audio.speech import SoundInputs, one_row
from jaxdl.data.order import rows_of_step
from jaxdl.data.walker import existing_folder, list_files, tell
from jaxdl.types import Batch, Data, UserError

CHARACTERS = ("", " ", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ", "'")
"""The blank, and all that LibriSpeech's transcripts are written in."""
TRANSCRIPTS = ".trans.txt"
PARTS = {"train": "train-*", "validation": "dev-*", "test": "test-*"}


def encode(text: str, *, source: str = "transcript", symbols: Sequence[str] = CHARACTERS) -> list[int]:
    """The symbols of a text, from 1.

    >>> encode("A 'B")
    [2, 1, 28, 3]
    """
    number = {symbol: i for i, symbol in enumerate(symbols) if symbol}
    strange = [c for c in text if c not in number]
    if strange:
        raise UserError(f"{source}: {strange[0]!r} is none of the characters {''.join(symbols)!r}")
    return [number[c] for c in text]


def listing(folder: Path) -> tuple[list[tuple[str, str]], list[str]]:
    """(file, transcript) of all recordings below a folder, in the order of their names, and notes on what is not read."""
    found = list_files(folder, {TRANSCRIPTS, *SUFFIXES})
    sounds = {os.path.splitext(path)[0]: path for path in reversed(found.files) if not path.endswith(TRANSCRIPTS)}
    rows = []
    for transcripts in (path for path in found.files if path.endswith(TRANSCRIPTS)):
        for number, line in enumerate(files.read_lines(transcripts), 1):
            name, _, text = line.strip().partition(" ")
            if not name or not text:
                raise UserError(f"{transcripts}:{number}: expected the name of a recording and what is said in it")
            path = sounds.pop(os.path.join(os.path.dirname(transcripts), name), None)
            if path is None:
                raise FileNotFoundError(f"{transcripts}:{number}: no recording {name}.flac (or .wav)")
            rows.append((path, text))
    notes = [f"{folder.name}: {found.unread()} not read"] if found.left_out else []
    return rows, notes + ([f"{folder.name}: {len(sounds)} recordings without a transcript"] if sounds else [])


@dataclass(frozen=True, eq=False)
class Transcribed(SoundInputs, Data):
    """Recordings with transcripts, read when they are needed.

    Args:
        parts: split -> (file, transcript) of each recording.
        batch: recordings in a step.
        samples: of the longest recording to train on or to predict for.
        symbols: of the longest transcript of all.
        most: samples of the longest recording to evaluate on; None: `samples`.
        prepare: raw batch -> features.
        rate: samples a second.
        window: steps that one source serves; what the host reads at a time.
    """

    parts: Mapping[str, Sequence[tuple[str, str]]]
    batch: int
    samples: int
    symbols: int
    prepare: LogMel
    rate: int = 16000
    window: int = 2
    most: int | None = None
    name: str = "LibriSpeech"
    split: str = ""
    classes: tuple[str, ...] = CHARACTERS
    resident: bool = field(default=False, init=False)
    maximum: None = field(default=None, init=False)

    def __post_init__(self) -> None:
        for split, rows in self.parts.items():
            if not rows:
                raise UserError(f"the {split} split of {self.name} is empty")
        check_batch(self)

    @property
    def splits(self) -> Mapping[str, Mapping[str, np.ndarray]]:
        """The transcripts of each split; its recordings stay on disk."""
        return {split: {"y": self.transcripts(rows)} for split, rows in self.parts.items()}

    def fingerprint(self) -> str:
        return "-".join(files.fingerprint([path for path, _ in rows]) for rows in self.parts.values())

    def size(self, split: str) -> int:
        if split not in self.parts:
            raise UserError(f"split = {split!r} is not one of {', '.join(self.parts)}")
        return len(self.parts[split])

    def transcripts(self, rows: Sequence[tuple[str, str]]) -> np.ndarray:
        y = np.zeros((len(rows), self.symbols), np.int32)
        for row, (path, text) in zip(y, rows, strict=True):
            encoded = encode(text, source=str(path), symbols=self.classes)
            if len(encoded) > self.symbols:
                raise UserError(
                    f"{path}: has a transcript of {len(encoded)} symbols, the longest may have {self.symbols}"
                )
            row[: len(encoded)] = encoded
        return y

    def gather(self, rows: Sequence[tuple[str, str]], samples: int) -> dict[str, np.ndarray]:
        """Recordings and transcripts as arrays of a whole batch; rows that are missing are empty."""
        missing = self.batch - len(rows)
        x = [one_row(path, self.rate, samples) for path, _ in rows] + [np.full((1, samples), PAD, np.int16)] * missing
        return {"x": np.concatenate(x), "y": np.pad(self.transcripts(rows), ((0, missing), (0, 0)))}

    def example(self) -> Batch:
        return {
            "x": np.zeros((self.batch, self.samples), np.int16),
            "y": np.zeros((self.batch, self.symbols), np.int32),
            "mask": np.ones(self.batch, np.float32),
        }

    # -- training ------------------------------------------------------------------------------------------------------
    def span(self, step: int) -> int:
        return self.window - step % self.window

    def source(self, start: int, stop: int, seed: int) -> Mapping[str, np.ndarray]:
        """The recordings of steps `start` … `stop`-1, in a window of fixed shape; a step stands in it at step mod window."""
        if stop - start > self.span(start):
            raise UserError(f"steps {start} … {stop - 1} pass the window of {self.window}: ask `span` first")
        shape = (self.window, self.batch)
        arrays = {
            "x": np.zeros((*shape, self.samples), np.int16),
            "y": np.zeros((*shape, self.symbols), np.int32),
        }
        for step in range(start, stop):
            rows = rows_of_step(seed, step, self.batch, self.size("train"))
            got = self.gather([self.parts["train"][i] for i in rows], self.samples)
            for key, array in arrays.items():
                array[step % self.window] = got[key]
        return arrays

    def train_batch(self, source: Mapping[str, Array], seed: Any, step: Any) -> Batch:
        got = {key: jnp.take(value, step % self.window, axis=0) for key, value in source.items()}
        return {**got, "mask": jnp.ones(self.batch, jnp.float32)}

    # -- evaluation ----------------------------------------------------------------------------------------------------
    def eval_sources(self, split: str) -> Iterator[tuple[int, Mapping[str, np.ndarray]]]:
        rows = self.parts[split]
        for first in range(0, len(rows), self.batch):
            some = rows[first : first + self.batch]
            mask = (np.arange(self.batch) < len(some)).astype(np.float32)
            yield 1, {**self.gather(some, self.most or self.samples), "mask": mask}

    def eval_batch(self, source: Mapping[str, Array], index: Any) -> Batch:
        return dict(source)


def librispeech(folder: str | Path, *, batch: int = 32, seconds: float = 16.0, mels: int = 80) -> Transcribed:
    """LibriSpeech: train-* to train on, dev-* for validation, test-* for testing, all that lie in the folder.

    Args:
        folder: where train-clean-100, dev-clean, test-clean and their kin lie.
        batch: recordings in a step.
        seconds: training recordings that last longer are left out; those of the other splits may last 36 s.
        mels: channels of the spectrogram.
    """
    check_counts(batch=batch, mels=mels)
    root = existing_folder(folder)
    parts, notes = {}, []
    for part, pattern in PARTS.items():
        parts[part] = []
        for place in sorted(path for path in root.glob(pattern) if path.is_dir()):
            rows, unread = listing(place)
            parts[part] += rows
            notes += unread
        if not parts[part]:
            raise FileNotFoundError(
                f"{root}: needs a folder {pattern} with recordings and their {TRANSCRIPTS} (openslr.org/12)"
            )
    tell(root, notes)
    short = [row for row in parts["train"] if seconds_of(row[0]) <= seconds]
    if longer := len(parts["train"]) - len(short):
        if not short:
            raise UserError(f"{root}: each of the {longer} training recordings lasts more than seconds = {seconds:g}")
        parts["train"] = short
    return Transcribed(
        parts=parts,
        batch=batch,
        samples=round(seconds * 16000),
        symbols=600,
        most=36 * 16000 if seconds < 36 else None,
        prepare=LogMel(16000, mels),
        split=f"the official folders: {', '.join(f'{len(rows)} {part}' for part, rows in parts.items())}"
        + f"; {longer} training recordings of more than {seconds:g} s are left out" * (longer > 0),
    )
