"""Recordings: wav files to int16 at one rate, sets of them in memory, and folders with one subfolder a word.

A recording is a row of int16 samples, filled up with `PAD`; features are made on the device (`spectrogram.LogMel`). Nothing
here needs more than the standard library's `wave`, NumPy and SciPy.
"""

import math
import sys
import wave
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int16

from jaxdl.data import files, prepare, tfds
from jaxdl.data.spectrogram import PAD, LogMel
from jaxdl.data.stream import InMemory

# -- wav files --------------------------------------------------------------------------------------------------------


def read_wav(path: str | Path, *, rate: int | None = None) -> tuple[Float32[np.ndarray, "samples"], int]:
    """Samples in [-1, 1] and their rate, from a file of 8, 16, 24 or 32 bits PCM; several channels become their mean.

    With `rate` the recording is brought to it, which is said once for every other rate.

    Errors: `FileNotFoundError`, or a `ValueError` that names the file.
    """
    path = files.existing(path)
    try:
        with wave.open(str(path), "rb") as file:
            channels, width, found, count = file.getparams()[:4]
            content = file.readframes(count)
    except (wave.Error, EOFError, OSError, RuntimeError) as error:
        what = " ".join(str(error).split()) or "it ends too early"
        raise ValueError(f"{path}: is not a readable wav file ({what})") from None
    if not found or not content or len(content) != count * channels * width:
        raise ValueError(f"{path}: holds {len(content)} of the {count * channels * width} bytes that its header says")
    x = decode(content, width).reshape(-1, channels).mean(1, dtype=np.float32)
    if rate is None or rate == found:
        return x, found
    say(f"note: {path.name} has {found} Hz: it and others like it are resampled to {rate} Hz", found, rate)
    return resample(x, found, rate), rate


def samples_of(path: str | Path) -> int:
    """How many samples the header of a wav file says it has."""
    try:
        with wave.open(str(files.existing(path)), "rb") as file:
            return file.getnframes()
    except (wave.Error, EOFError, OSError) as error:
        raise ValueError(
            f"{path}: is not a readable wav file ({' '.join(str(error).split()) or 'too short'})"
        ) from None


def decode(content: bytes, width: int) -> Float32[np.ndarray, "values"]:
    """PCM bytes, little-endian and `width` bytes each, to [-1, 1); 8 bits are unsigned, all others signed.

    >>> decode(bytes([128, 255]), 1).tolist(), decode(b"\\x00\\x00\\xc0", 3).tolist()
    ([0.0, 0.9921875], [-0.5])
    """
    if width == 1:
        return (np.frombuffer(content, np.uint8).astype(np.float32) - 128) / 128
    if width == 3:  # the three bytes are the upper ones of four
        wide = np.zeros((len(content) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(content, np.uint8).reshape(-1, 3)
        return (wide.view("<i4")[:, 0] / 2.0**31).astype(np.float32)
    return (np.frombuffer(content, f"<i{width}") / 2.0 ** (8 * width - 1)).astype(np.float32)


def write_wav(path: str | Path, x: np.ndarray, rate: int) -> Path:
    """Write one recording, floats in [-1, 1] or int16, as 16 bits mono."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(to_int16(x).astype("<i2").tobytes())
    return Path(path)


def resample(x: Float32[np.ndarray, "samples"], rate: int, new: int) -> Float32[np.ndarray, "samples_new"]:
    """The same sound at another rate; what the new one cannot hold is filtered out (SciPy's polyphase filter)."""
    from scipy.signal import resample_poly  # heavy, and rarely needed

    common = math.gcd(rate, new)
    return resample_poly(x, new // common, rate // common).astype(np.float32)


def say(text: str, *key: int) -> None:
    """One line for the user, of the first file with this `key` only."""
    if key not in _said:
        _said.add(key)
        print(text, file=sys.stderr)


_said: set[tuple[int, ...]] = set()


def to_int16(x: np.ndarray) -> Int16[np.ndarray, "samples"]:
    """Floats in [-1, 1] as int16; -32768 is kept free for `PAD`."""
    x = np.asarray(x)
    return x if x.dtype == np.int16 else np.clip(np.round(x * 32767), -32767, 32767).astype(np.int16)


def padded(recordings: Sequence[np.ndarray], samples: int | None = None) -> Int16[np.ndarray, "n samples"]:
    """Recordings of any lengths as rows of one, filled up with `PAD`."""
    samples = max(map(len, recordings)) if samples is None else samples
    rows = np.full((len(recordings), samples), PAD, np.int16)
    for row, x in zip(rows, recordings, strict=True):
        row[: len(x)] = to_int16(x)
    return rows


# -- sets of recordings -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Recordings(InMemory):
    """Recordings in memory: `x` int16 `(n, samples)`, filled up with `PAD`; `prepare` makes features of them.

    `y` are class numbers, or transcripts: symbols from 1, filled up with 0, which is CTC's blank; `separator` stands between
    two of them in a text.
    """

    rate: int = 16000
    separator: str = ""

    @property
    def samples(self) -> int:
        return self.splits["train"]["x"].shape[1]

    def read(self, path: str | Path) -> dict[str, np.ndarray]:
        """A wav file as this set's own recordings are, for predictions: {"x": (1, samples)}."""
        return {"x": one_row(path, self.rate, self.samples)}

    def encode(self, paths: Sequence[str]) -> Int16[np.ndarray, "n samples"]:
        """Several wav files as inputs: so `run.predict("a.wav")` works."""
        return np.concatenate([self.read(path)["x"] for path in paths])

    def decode(self, outputs: Mapping[str, np.ndarray]) -> dict[str, list[str]]:
        """`text`: what a prediction's tokens say, where it has any."""
        return {"text": texts(outputs["tokens"], self.classes, self.separator)} if "tokens" in outputs else {}


def one_row(path: str | Path, rate: int, samples: int) -> Int16[np.ndarray, "1 samples"]:
    """A wav file, filled up to `samples`; `ValueError` if it lasts longer."""
    x, _ = read_wav(path, rate=rate)
    if len(x) > samples:
        raise ValueError(f"{path}: lasts {len(x) / rate:.2f} s, this set's recordings at most {samples / rate:.2f} s")
    return padded([x], samples)


def texts(tokens: np.ndarray, symbols: Sequence[str], separator: str) -> list[str]:
    """Rows of symbols, filled up with 0, as text.

    >>> texts(np.array([[2, 1, 0], [0, 0, 0]]), ("", "a", "b"), " ")
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
    """105,829 recordings of one second, 35 words. Source: Warden 2018, arXiv:1804.03209 (version 2).

    Args:
        batch: examples in a training step.
        folder: the unpacked archive: one subfolder a word, `validation_list.txt` and `testing_list.txt`, which are the official
            split (by speaker); None: tensorflow-datasets (12 classes, of which one is silence and one any other word).
        rate: samples a second.
        mels: channels of the spectrogram.
    """
    if folder is None:
        arrays, labels = _commands_of_tfds(rate)
    else:
        root = Path(folder).expanduser()
        listing = tuple(path for path in wav_files(root) if len(path.relative_to(root).parts) == 2)
        if not (root / "testing_list.txt").is_file() or not (root / "validation_list.txt").is_file():
            raise FileNotFoundError(f"{root}: needs testing_list.txt and validation_list.txt beside one folder a word")
        arrays, labels = _commands(root, listing, rate)
    sizes = ", ".join(f"{len(part['y'])} {name}" for name, part in arrays.items())
    return Recordings(
        splits=arrays,
        batch=batch,
        prepare=LogMel(rate, mels, normalise="channel"),
        name="Speech Commands",
        split=f"the official lists, by speaker: {sizes}",
        classes=labels,
        rate=rate,
    )


@cache
def _commands(
    root: Path, listing: tuple[Path, ...], rate: int
) -> tuple[Mapping[str, Mapping[str, np.ndarray]], tuple[str, ...]]:
    """The splits of a folder by the official lists."""
    listed = {
        part: set((root / f"{name}_list.txt").read_text(encoding="utf-8").split())
        for part, name in (("validation", "validation"), ("test", "testing"))
    }
    named = {path.relative_to(root).as_posix(): path for path in listing if not path.parent.name.startswith("_")}
    words = tuple(sorted({name.partition("/")[0] for name in named}))
    parts: dict[str, list[tuple[Path, int]]] = {"train": [], "validation": [], "test": []}
    for name, path in named.items():
        part = next((part for part, names in listed.items() if name in names), "train")
        parts[part].append((path, words.index(name.partition("/")[0])))
    if not all(parts.values()):
        empty = next(part for part, rows in parts.items() if not rows)
        raise ValueError(
            f"{root}: no recordings for the {empty} split: its lists name files such as yes/0a7c2a8d_0.wav"
        )
    arrays = {}
    for part, rows in parts.items():
        x = np.zeros((len(rows), rate), np.int16)  # shorter ones end in silence: a second is the recording
        for row, (path, _) in zip(x, rows, strict=True):
            sound = to_int16(read_wav(path, rate=rate)[0])[:rate]
            row[: len(sound)] = sound
        labels = prepare.check_labels(np.array([y for _, y in rows]), classes=len(words), source=str(root))
        arrays[part] = {"x": x, "y": labels}
        x.flags.writeable = labels.flags.writeable = False
    return arrays, words


@cache
def _commands_of_tfds(rate: int) -> tuple[Mapping[str, Mapping[str, np.ndarray]], tuple[str, ...]]:
    """The same set as tensorflow-datasets prepares it: recordings of varying lengths, in records."""
    source = tfds.builder("speech_commands")
    arrays = {}
    for part in ("train", "validation", "test"):
        records = source.as_data_source(part)
        x = np.zeros((len(records), rate), np.int16)
        y = np.zeros(len(records), np.int32)
        for i, record in enumerate(records):
            sound = np.clip(np.asarray(record["audio"])[:rate], -32767, 32767)
            x[i, : len(sound)], y[i] = sound, record["label"]
        x.flags.writeable = y.flags.writeable = False
        arrays[part] = {"x": x, "y": y}
    return arrays, tuple(source.info.features["label"].names)
