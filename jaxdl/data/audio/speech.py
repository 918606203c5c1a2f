"""Recordings: sets of them in memory, and folders with one subfolder a word.

A recording is a row of int16 samples, filled up with `PAD`; features are made on the device (`spectrogram.LogMel`). Files are
read in `soundfiles.py`.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int16

from jaxdl.counts import check_counts
from jaxdl.data import files, tfds
from jaxdl.data.arrays import aligned_empty
from jaxdl.data.audio.soundfiles import SUFFIXES, read_audio, to_int16
from jaxdl.data.audio.spectrogram import PAD, LogMel
from jaxdl.data.source import InMemory
from jaxdl.data.splits import split
from jaxdl.data.walker import existing_folder, one_folder_a_class, tell
from jaxdl.types import UserError

Arrays = Mapping[str, Mapping[str, np.ndarray]]
LISTS = {"validation": "validation_list.txt", "test": "testing_list.txt"}


def padded_samples(
    recordings: Sequence[np.ndarray], samples: int | None = None, fill: int = PAD
) -> Int16[np.ndarray, "n samples"]:
    """Recordings of any lengths as rows of one, filled up with `PAD`, which is no sound, or with 0, which is silence."""
    samples = max(map(len, recordings)) if samples is None else samples
    rows = aligned_empty((len(recordings), samples), np.int16)
    rows.fill(fill)
    for row, x in zip(rows, recordings, strict=True):
        row[: len(x)] = to_int16(x)
    return rows


class SoundInputs:
    """How a set of recordings reads files to predict for, and what its predictions say."""

    rate: Any
    classes: Any
    samples: Any
    separator: str = ""
    fill: int = PAD

    def read(self, path: str | Path) -> dict[str, np.ndarray]:
        """A file of sound as this set's own recordings are, for predictions: {"x": (1, samples)}."""
        return {"x": one_row(path, self.rate, self.samples, self.fill)}

    def encode(self, paths: Sequence[str]) -> Int16[np.ndarray, "n samples"]:
        """Several files as inputs: so `run.predict("a.flac")` works."""
        return np.concatenate([self.read(path)["x"] for path in paths])

    def decode(self, outputs: Mapping[str, np.ndarray]) -> dict[str, list[str]]:
        """`text`: what a prediction's tokens say, where it has any."""
        return {"text": spoken_texts(outputs["tokens"], self.classes, self.separator)} if "tokens" in outputs else {}


@dataclass(frozen=True, eq=False)
class Recordings(SoundInputs, InMemory):
    """Recordings in memory: `x` int16 `(n, samples)`, filled up with `fill`; `prepare` makes features of them.

    `y` are class numbers, or transcripts: symbols from 1, filled up with 0, which is CTC's blank; `separator` stands between
    two of them in a text.
    """

    rate: int = 16000
    separator: str = ""
    fill: int = PAD

    @property
    def samples(self) -> int:
        return self.splits["train"]["x"].shape[1]


def one_row(path: str | Path, rate: int, samples: int, fill: int = PAD) -> Int16[np.ndarray, "1 samples"]:
    """A file of sound, filled up to `samples`; `ValueError` if it lasts longer."""
    x, _ = read_audio(path, rate=rate)
    if len(x) > samples:
        raise UserError(f"{path}: lasts {len(x) / rate:.2f} s, this set's recordings at most {samples / rate:.2f} s")
    return padded_samples([x], samples, fill)


def spoken_texts(tokens: np.ndarray, symbols: Sequence[str], separator: str) -> list[str]:
    """Rows of symbols, filled up with 0, as text.

    >>> spoken_texts(np.array([[2, 1, 0], [0, 0, 0]]), ("", "a", "b"), " ")
    ['b a', '']
    """
    return [separator.join(symbols[int(i)] for i in row if i > 0) for row in np.asarray(tokens).tolist()]


def speech_commands(
    *, batch: int = 128, folder: str | Path | None = None, rate: int = 16000, mels: int = 40
) -> Recordings:
    """105,829 recordings of one second, 35 words. Source: Warden 2018, arXiv:1804.03209 (version 2). Or a folder like it.

    A folder without lists is drawn into 70 % training, 15 % validation and 15 % test, the same for every seed, and its
    recordings are as long as the longest. Those of one speaker, which files called <speaker>_nohash_<number>.wav tell, and equal
    ones stay in one part.

    Args:
        batch: examples in a training step.
        folder: the unpacked archive: one subfolder a word, `validation_list.txt` and `testing_list.txt`, which are the official
            split (by speaker); or any folder with one subfolder a class; None: tensorflow-datasets (12 classes, of which one is
            silence and one any other word).
        rate: samples a second.
        mels: channels of the spectrogram.
    """
    check_counts(batch=batch, rate=rate, mels=mels)
    name, fill = "Speech Commands", 0  # its shorter recordings end in silence: a second is the recording
    if folder is None:
        arrays, words, sentence = _commands_of_tfds(rate)
    else:
        root = existing_folder(folder)
        found, notes = one_folder_a_class(root, SUFFIXES, skip=lambda name: name[0] == "_")
        tell(root, notes)
        if len(words := tuple(found)) < 2:
            raise FileNotFoundError(
                f"{root}: needs two subfolders of recordings or more, one a class, found {len(words)}"
            )
        lists = {part: root / file for part, file in LISTS.items() if (root / file).is_file()}
        if len(lists) == 1:
            (missing,) = {*LISTS.values()} - {path.name for path in lists.values()}
            raise FileNotFoundError(f"{root}: needs {missing} beside the other list, or neither to be split by a draw")
        if not lists:
            name, fill = root.resolve().name, PAD
        named = tuple((part, tuple(files.read_lines(path))) for part, path in lists.items())
        listing = tuple((path, number) for number, paths in enumerate(found.values()) for path in paths)
        arrays, sentence = _of_folder(root, words, listing, named, rate)
    return Recordings(
        splits=arrays,
        batch=batch,
        prepare=LogMel(rate, mels, normalise="channel"),
        name=name,
        split=sentence,
        classes=words,
        rate=rate,
        fill=fill,
    )


@cache
def _of_folder(
    root: Path,
    words: tuple[str, ...],
    listing: tuple[tuple[str, int], ...],
    lists: tuple[tuple[str, tuple[str, ...]], ...],
    rate: int,
) -> tuple[Arrays, str]:
    """Recordings by split, by the official lists where there are any, and a sentence on them."""
    y = np.array([number for _, number in listing], np.int32)
    sounds = [to_int16(read_audio(path, rate=rate)[0]) for path, _ in listing]
    names = [Path(path).relative_to(root).with_suffix("").as_posix() for path, _ in listing]
    if lists:
        part_of = {line.strip().rpartition(".")[0]: part for part, lines in lists for line in lines}
        parts = np.array([part_of.get(name, "train") for name in names])
        rows = {part: np.flatnonzero(parts == part) for part in ("train", *LISTS)}
        if empty := [part for part, members in rows.items() if not len(members)]:
            raise UserError(
                f"{root}: no recordings for the {empty[0]} split: its lists name files as yes/0a7c2a8d_0.wav"
            )
        return _arrays(sounds, y, rows, rate, 0)
    speakers = [path.rpartition("/")[2].partition("_nohash_")[0] if "_nohash_" in path else path for path in names]
    contents = [hashlib.blake2b(sound.tobytes(), digest_size=16).hexdigest() for sound in sounds]
    rows, made = split(contents, speakers, y, classes=words, source=str(root), of="speakers")
    longest = max(map(len, sounds))
    return _arrays(sounds, y, rows, longest, PAD)[0], f"{made}; up to {longest / rate:.2f} s long"


def _arrays(
    sounds: Sequence[np.ndarray], y: np.ndarray, rows: Mapping[str, Any], samples: int, fill: int
) -> tuple[Arrays, str]:
    """Rows of equal length by split, cut or filled up, and how many the official lists give each."""
    arrays = {}
    for part, members in rows.items():
        x = padded_samples([sounds[i][:samples] for i in members], samples, fill)
        arrays[part] = {"x": x, "y": y[members]}
        for array in arrays[part].values():
            array.flags.writeable = False
    sizes = ", ".join(f"{len(members)} {part}" for part, members in rows.items())
    return arrays, f"the official lists, by speaker: {sizes}"


@cache
def _commands_of_tfds(rate: int) -> tuple[Arrays, tuple[str, ...], str]:
    """The same set as tensorflow-datasets prepares it: recordings of varying lengths, in records."""
    source = tfds.builder("speech_commands")
    sounds, y, rows = [], [], {}
    for part in ("train", *LISTS):
        records = [(np.asarray(one["audio"]), one["label"]) for one in source.as_data_source(part)]
        rows[part] = range(len(y), len(y) + len(records))
        sounds += [np.clip(sound, -32767, 32767).astype(np.int16) for sound, _ in records]
        y += [label for _, label in records]
    arrays, sentence = _arrays(sounds, np.array(y, np.int32), rows, rate, 0)
    return arrays, tuple(source.info.features["label"].names), sentence
