"""wav files: PCM of 8 to 32 bits to samples and back, at one rate.

The header is read here, as Python's `wave` (3.11) refuses the extensible one that most programs write for 24 bits.
"""

import math
import struct
import sys
import wave
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from jaxtyping import Float32, Int16

from jaxdl.data import files
from jaxdl.types import UserError

PCM, EXTENSIBLE = 1, 0xFFFE
OTHERS = {2: "ADPCM", 3: "floats", 6: "A-law", 7: "µ-law", 17: "ADPCM", 85: "MP3"}
CONVERT = "convert it: ffmpeg -i in.wav -c:a pcm_s16le out.wav"


class Header(NamedTuple):
    """What stands before the samples: channels, bytes of a sample, samples a second, samples; where they begin."""

    channels: int
    width: int
    rate: int
    count: int
    start: int


def read_wav(path: str | Path, *, rate: int | None = None) -> tuple[Float32[np.ndarray, "samples"], int]:
    """Samples in [-1, 1] and their rate, from a file of 8, 16, 24 or 32 bits PCM; several channels become their mean.

    With `rate` the recording is brought to it, which is said once for every other rate.

    Errors: `FileNotFoundError`, or a `ValueError` that names the file.
    """
    path = files.existing(path)
    with path.open("rb") as file:
        channels, width, found, count, start = header(file, path)
        file.seek(start)
        content = file.read(count * channels * width)
    x = decode(content, width).reshape(-1, channels).mean(1, dtype=np.float32)
    if rate is None or rate == found:
        return x, found
    warn_clipped(f"note: {path.name} has {found} Hz: it and others like it are resampled to {rate} Hz", found, rate)
    return resample_audio(x, found, rate), rate


def seconds_of(path: str | Path) -> float:
    """How long the header of a wav file says it lasts, at whatever rate."""
    path = files.existing(path)
    with path.open("rb") as file:
        found = header(file, path)
    return found.count / found.rate


def header(file: BinaryIO, path: Path) -> Header:
    """The header of an open wav file; ValueError where it is none, is not PCM, or says something else than the file holds.

        "RIFF" | size | "WAVE" | chunks: name (4 bytes) | size (4, little-endian) | content, filled up to an even size
        "fmt ": format, channels (2 bytes each) | rate, bytes a second (4 each) | bytes a frame, bits (2 each)
            extensible: | 2 | bits that count (2) | speakers (4) | the true format (2) | 14

    Source: Microsoft, "Multiple channel audio data and WAVE files".
    """
    end = file.seek(0, 2)
    file.seek(0)
    riff, form = file.read(12), b""
    if riff[:4] != b"RIFF" or riff[8:] != b"WAVE":
        raise UserError(f"{path}: is not a readable wav file (it begins with {riff[:4]!r}); {CONVERT}")
    name, size = b"", 0
    while name != b"data":
        file.seek(size + size % 2, 1)
        name, size = file.read(4), int.from_bytes(file.read(4), "little")
        if not name:
            raise UserError(f"{path}: is not a readable wav file (it ends before its samples)")
        if name == b"fmt ":
            form = file.read(min(size, 40))
            file.seek(-len(form), 1)
    if len(form) < 16:
        raise UserError(f"{path}: is not a readable wav file (it does not say its format)")
    kind, channels, rate, _, frame, bits = struct.unpack("<HHIIHH", form[:16])
    if kind == EXTENSIBLE and len(form) >= 26:
        kind = int.from_bytes(form[24:26], "little")
    if kind != PCM:
        raise UserError(f"{path}: holds {OTHERS.get(kind, f'the format {kind}')}, not PCM; {CONVERT}")
    width, start = (bits + 7) // 8, file.tell()
    held = end - start
    if not 1 <= width <= 4 or not channels or not rate:
        raise UserError(f"{path}: is not a readable wav file ({channels} channels of {bits} bits at {rate} Hz)")
    if frame != channels * width:
        raise UserError(
            f"{path}: keeps {channels} x {bits} bits in frames of {frame} bytes, not {channels * width}; {CONVERT}"
        )
    # what is written into a pipe does not know its length, and says the longest or none
    if (size >= 0x7FFFF000 and size > held) or (not size and riff[4:8] in (bytes(4), b"\xff" * 4)):
        raise UserError(f"{path}: does not say how long it is (its header was written for a stream); {CONVERT}")
    count = size // (channels * width)
    if not count:
        raise UserError(f"{path}: holds no sound, 0 samples")
    if held < count * channels * width:
        raise UserError(f"{path}: holds {held} of the {size} bytes that its header says")
    return Header(channels, width, rate, count, start)


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


def resample_audio(x: Float32[np.ndarray, "samples"], rate: int, new: int) -> Float32[np.ndarray, "samples_new"]:
    """The same sound at another rate; what the new one cannot hold is filtered out (SciPy's polyphase filter)."""
    from scipy.signal import resample_poly  # heavy, and rarely needed

    common = math.gcd(rate, new)
    return resample_poly(x, new // common, rate // common).astype(np.float32)


def warn_clipped(text: str, *key: int) -> None:
    """One line for the user, of the first file with this `key` only."""
    if key not in _said:
        _said.add(key)
        print(text, file=sys.stderr)


_said: set[tuple[int, ...]] = set()


def to_int16(x: np.ndarray) -> Int16[np.ndarray, "samples"]:
    """Floats in [-1, 1] as int16; -32768 is kept free for `PAD`."""
    x = np.asarray(x)
    return x if x.dtype == np.int16 else np.clip(np.round(x * 32767), -32767, 32767).astype(np.int16)
