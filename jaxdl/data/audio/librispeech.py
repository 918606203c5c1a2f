"""LibriSpeech from its folders, streamed: some steps' recordings at a time, chosen by position alone.

    folder/train-clean-100/<speaker>/<chapter>/<speaker>-<chapter>-<number>.wav    beside them <speaker>-<chapter>.trans.txt

It is distributed as flac, which the standard library does not read: make a wav of each (of 16,000 Hz, mono) once.
Source: Panayotov et al. 2015, ICASSP (openslr.org/12).
"""

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
from jaxdl.data.audio import speech
from jaxdl.data.audio.spectrogram import PAD, LogMel
from jaxdl.data.order import rows_of_step
from jaxdl.types import Batch, Data, UserError

CHARACTERS = ("", " ", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ", "'")
"""The blank, and all that LibriSpeech's transcripts are written in."""
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


def listing(folder: Path) -> list[tuple[Path, str]]:
    """(wav file, transcript) of all recordings below a folder, in the order of their names."""
    found = []
    for transcripts in sorted(folder.rglob("*.trans.txt")):
        for number, line in enumerate(files.read_lines(transcripts), 1):
            name, _, text = line.strip().partition(" ")
            path = transcripts.parent / f"{name}.wav"
            if not name or not text:
                raise UserError(f"{transcripts}:{number}: expected the name of a recording and what is said in it")
            if not path.is_file():
                hint = "; make a wav of each flac once: ffmpeg -i IN.flac -ar 16000 OUT.wav"
                raise FileNotFoundError(
                    f"{transcripts}:{number}: no file {path.name}{hint if path.with_suffix('.flac').is_file() else ''}"
                )
            found.append((path, text))
    return found


@dataclass(frozen=True, eq=False)
class Transcribed(Data):
    """Recordings with transcripts, read when they are needed.

    Args:
        parts: split -> (wav file, transcript) of each recording.
        batch: recordings in a step.
        samples: of the longest recording to train on or to predict for.
        symbols: of the longest transcript of all.
        most: samples of the longest recording to evaluate on; None: `samples`.
        prepare: raw batch -> features.
        rate: samples a second.
        window: steps that one source serves; what the host reads at a time.
    """

    parts: Mapping[str, Sequence[tuple[Path, str]]]
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

    def transcripts(self, rows: Sequence[tuple[Path, str]]) -> np.ndarray:
        y = np.zeros((len(rows), self.symbols), np.int32)
        for row, (path, text) in zip(y, rows, strict=True):
            encoded = encode(text, source=str(path), symbols=self.classes)
            if len(encoded) > self.symbols:
                raise UserError(
                    f"{path}: has a transcript of {len(encoded)} symbols, the longest may have {self.symbols}"
                )
            row[: len(encoded)] = encoded
        return y

    def gather(self, rows: Sequence[tuple[Path, str]], samples: int) -> dict[str, np.ndarray]:
        """Recordings and transcripts as arrays of a whole batch; rows that are missing are empty."""
        missing = self.batch - len(rows)
        x = [speech.one_row(path, self.rate, samples) for path, _ in rows] + [
            np.full((1, samples), PAD, np.int16)
        ] * missing
        return {"x": np.concatenate(x), "y": np.pad(self.transcripts(rows), ((0, missing), (0, 0)))}

    def read(self, path: str | Path) -> dict[str, np.ndarray]:
        """A wav file, for predictions: {"x": (1, samples)}."""
        return {"x": speech.one_row(path, self.rate, self.samples)}

    def encode(self, paths: Sequence[str]) -> np.ndarray:
        """Several wav files as inputs."""
        return np.concatenate([self.read(path)["x"] for path in paths])

    def decode(self, outputs: Mapping[str, np.ndarray]) -> dict[str, list[str]]:
        """`text`: what a prediction's tokens say."""
        return {"text": speech.spoken_texts(outputs["tokens"], self.classes, "")}

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
        folder: where train-clean-100, dev-clean, test-clean and their kin lie, as wav files.
        batch: recordings in a step.
        seconds: training recordings that last longer are left out; those of the other splits may last 36 s.
        mels: channels of the spectrogram.
    """
    check_counts(batch=batch, mels=mels)
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise FileNotFoundError(f"{root}: no such folder; name the one that holds train-*, dev-* and test-* (--folder)")
    parts = {}
    for part, pattern in PARTS.items():
        parts[part] = [row for place in sorted(root.glob(pattern)) if place.is_dir() for row in listing(place)]
        if part == "train":
            parts[part] = [row for row in parts[part] if speech.seconds_of(row[0]) <= seconds]
        if not parts[part]:
            raise FileNotFoundError(
                f"{root}: needs a folder {pattern} with wav files and their .trans.txt (openslr.org/12)"
            )
    return Transcribed(
        parts=parts,
        batch=batch,
        samples=round(seconds * 16000),
        symbols=600,
        most=36 * 16000 if seconds < 36 else None,
        prepare=LogMel(16000, mels),
        split=f"the official folders: {', '.join(f'{len(rows)} {part}' for part, rows in parts.items())}",
    )
