"""Recordings: sets of them in memory, and folders with one subfolder a word.

A recording is a row of int16 samples, filled up with `PAD`; features are made on the device (`spectrogram.LogMel`). wav files
are read in `wav.py`.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import Int16

from jaxdl.counts import check_counts
from jaxdl.data import files, prepare, tfds
from jaxdl.data.audio.spectrogram import PAD, LogMel
from jaxdl.data.audio.wav import read_wav, seconds_of, to_int16, write_wav
from jaxdl.data.source import InMemory
from jaxdl.data.splits import split
from jaxdl.types import UserError

__all__ = [
    "Recordings",
    "one_row",
    "padded_samples",
    "read_wav",
    "seconds_of",
    "speech_commands",
    "spoken_texts",
    "to_int16",
    "wav_files",
    "write_wav",
]

Arrays = Mapping[str, Mapping[str, np.ndarray]]
LISTS = {"validation": "validation_list.txt", "test": "testing_list.txt"}


def padded_samples(
    recordings: Sequence[np.ndarray], samples: int | None = None, fill: int = PAD
) -> Int16[np.ndarray, "n samples"]:
    """Recordings of any lengths as rows of one, filled up with `PAD`, which is no sound, or with 0, which is silence."""
    samples = max(map(len, recordings)) if samples is None else samples
    rows = np.full((len(recordings), samples), fill, np.int16)
    for row, x in zip(rows, recordings, strict=True):
        row[: len(x)] = to_int16(x)
    return rows


@dataclass(frozen=True, eq=False)
class Recordings(InMemory):
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

    def read(self, path: str | Path) -> dict[str, np.ndarray]:
        """A wav file as this set's own recordings are, for predictions: {"x": (1, samples)}."""
        return {"x": one_row(path, self.rate, self.samples, self.fill)}

    def encode(self, paths: Sequence[str]) -> Int16[np.ndarray, "n samples"]:
        """Several wav files as inputs: so `run.predict("a.wav")` works."""
        return np.concatenate([self.read(path)["x"] for path in paths])

    def decode(self, outputs: Mapping[str, np.ndarray]) -> dict[str, list[str]]:
        """`text`: what a prediction's tokens say, where it has any."""
        return {"text": spoken_texts(outputs["tokens"], self.classes, self.separator)} if "tokens" in outputs else {}


def one_row(path: str | Path, rate: int, samples: int, fill: int = PAD) -> Int16[np.ndarray, "1 samples"]:
    """A wav file, filled up to `samples`; `ValueError` if it lasts longer."""
    x, _ = read_wav(path, rate=rate)
    if len(x) > samples:
        raise UserError(f"{path}: lasts {len(x) / rate:.2f} s, this set's recordings at most {samples / rate:.2f} s")
    return padded_samples([x], samples, fill)


def spoken_texts(tokens: np.ndarray, symbols: Sequence[str], separator: str) -> list[str]:
    """Rows of symbols, filled up with 0, as text.

    >>> spoken_texts(np.array([[2, 1, 0], [0, 0, 0]]), ("", "a", "b"), " ")
    ['b a', '']
    """
    return [separator.join(symbols[i] for i in row if i > 0) for row in np.asarray(tokens).tolist()]


def wav_files(folder: str | Path) -> list[Path]:
    """All wav files below a folder in the order of their names; hidden ones are left out."""
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder")
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() == ".wav" and not p.name.startswith("."))


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
    name, made, fill = "Speech Commands", "", 0  # its shorter recordings end in silence: a second is the recording
    if folder is None:
        arrays, labels = _commands_of_tfds(rate)
    else:
        root = Path(folder).expanduser()
        found = [path for path in wav_files(root) if len(path.relative_to(root).parts) == 2]
        listing = tuple(path for path in found if not path.parent.name.startswith("_"))
        lists = {file for file in LISTS.values() if (root / file).is_file()}
        if len(lists) == 1:
            missing = min({*LISTS.values()} - lists)
            raise FileNotFoundError(f"{root}: needs {missing} beside {min(lists)}, or neither to be split by a draw")
        if lists:
            named = {part: frozenset(map(str.strip, files.read_lines(root / file))) for part, file in LISTS.items()}
            arrays, labels = _commands(root, listing, tuple(named.items()), rate)
        else:
            arrays, labels, made = _drawn(root, listing, rate)
            name, fill = root.resolve().name, PAD
    sizes = ", ".join(f"{len(part['y'])} {name}" for name, part in arrays.items())
    return Recordings(
        splits=arrays,
        batch=batch,
        prepare=LogMel(rate, mels, normalise="channel"),
        name=name,
        split=made or f"the official lists, by speaker: {sizes}",
        classes=labels,
        rate=rate,
        fill=fill,
    )


@cache
def _drawn(root: Path, listing: tuple[Path, ...], rate: int) -> tuple[Arrays, tuple[str, ...], str]:
    """The splits of a folder without lists."""
    words = tuple(sorted({path.parent.name for path in listing}))
    if len(words) < 2:
        raise FileNotFoundError(f"{root}: needs two subfolders of wav files or more, one a class, found {len(words)}")
    y = np.array([words.index(path.parent.name) for path in listing], np.int32)
    x = padded_samples([to_int16(read_wav(path, rate=rate)[0]) for path in listing])
    speakers = [path.name.partition("_nohash_")[0] if "_nohash_" in path.name else str(path) for path in listing]
    contents = [hashlib.blake2b(row.tobytes(), digest_size=16).hexdigest() for row in x]
    rows, made = split(contents, speakers, y, classes=words, source=str(root), of="speakers")
    arrays = {part: {"x": x[members], "y": y[members]} for part, members in rows.items()}
    for part in arrays.values():
        part["x"].flags.writeable = part["y"].flags.writeable = False
    return arrays, words, f"{made}; up to {x.shape[1] / rate:.2f} s long"


@cache
def _commands(
    root: Path, listing: tuple[Path, ...], listed: tuple[tuple[str, frozenset[str]], ...], rate: int
) -> tuple[Arrays, tuple[str, ...]]:
    """The splits of a folder by the official lists."""
    named = {path.relative_to(root).as_posix(): path for path in listing}
    words = tuple(sorted({name.partition("/")[0] for name in named}))
    parts: dict[str, list[tuple[Path, int]]] = {"train": [], "validation": [], "test": []}
    for name, path in named.items():
        part = next((part for part, names in listed if name in names), "train")
        parts[part].append((path, words.index(name.partition("/")[0])))
    if not all(parts.values()):
        empty = next(part for part, rows in parts.items() if not rows)
        raise UserError(f"{root}: no recordings for the {empty} split: its lists name files such as yes/0a7c2a8d_0.wav")
    arrays = {}
    for part, rows in parts.items():
        x = padded_samples([to_int16(read_wav(path, rate=rate)[0])[:rate] for path, _ in rows], rate, 0)
        labels = prepare.check_labels(np.array([y for _, y in rows]), classes=len(words), source=str(root))
        arrays[part] = {"x": x, "y": labels}
        x.flags.writeable = labels.flags.writeable = False
    return arrays, words


@cache
def _commands_of_tfds(rate: int) -> tuple[Arrays, tuple[str, ...]]:
    """The same set as tensorflow-datasets prepares it: recordings of varying lengths, in records."""
    source = tfds.builder("speech_commands")
    arrays = {}
    for part in ("train", "validation", "test"):
        records = source.as_data_source(part)
        found = [(np.asarray(record["audio"])[:rate], record["label"]) for record in records]
        x = padded_samples([np.clip(sound, -32767, 32767).astype(np.int16) for sound, _ in found], rate, 0)
        y = np.array([label for _, label in found], np.int32)
        x.flags.writeable = y.flags.writeable = False
        arrays[part] = {"x": x, "y": y}
    return arrays, tuple(source.info.features["label"].names)
