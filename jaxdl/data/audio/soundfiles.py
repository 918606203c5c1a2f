"""Files of sound (wav, flac, ogg, mp3 and what else libsndfile reads) to samples at one rate.

The only module that imports soundfile.
"""

import math
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int16

from jaxdl.data import files
from jaxdl.types import UserError

SUFFIXES = frozenset(".wav .wave .w64 .flac .ogg .oga .opus .mp3 .aif .aiff .aifc .au .caf .sph".split())
"""What files of sound are called; how one is read is decided by its content."""
CONVERT = "convert it: ffmpeg -i IN -ac 1 -c:a pcm_s16le OUT.wav"
CUT = re.compile(r"^\s*(?:data|SSND|riff|Data Size) *: (\d+) \(should be (\d+)\)", re.MULTILINE)
"""In libsndfile's log: the bytes that a header promises, and those that follow."""
STREAMED = 0x7FFFF000
"""Bytes that a header promises, at least, if it was written into a pipe, before the length was known."""
LOUDEST = 2.0
"""The largest sample of a file of floats in [-1, 1] that is a little too loud; larger ones are in another unit."""


def read_audio(
    source: str | Path | bytes, *, rate: int | None = None, name: str = ""
) -> tuple[Float32[np.ndarray, "samples"], int]:
    """Samples in [-1, 1] and their rate; two channels become their mean.

    Integers of b bits are divided by 2^(b-1). With `rate` the recording is brought to it, which is said once for every other
    rate. The source is a file or its content; `name` stands for it in errors.

    Raises:
        FileNotFoundError: without a file.
        UserError: names a file that is none of sound, is empty, ends early, has more than two channels, or holds floats that are
            not finite or far beyond [-1, 1].
    """
    name = name or str(source)
    with _opened(source, name) as file:
        x, found = file.read(dtype="float32", always_2d=True), file.samplerate
        floats = file.subtype in ("FLOAT", "DOUBLE")
        if len(x) != file.frames:
            raise UserError(f"{name}: ends after {len(x)} of the {file.frames} samples that its header says")
    peak = float(np.abs(x).max())
    if not peak <= LOUDEST and (floats or not math.isfinite(peak)):
        raise UserError(f"{name}: holds samples up to {peak:g}, floats must lie in [-1, 1]")
    if peak > 1 and floats:
        say_once(
            f"note: {Path(name).name} reaches {peak:.3g}: what is beyond 1 is clipped, in it and in others", "clipped"
        )
    x = x.mean(1, dtype=np.float32)
    if rate is None or rate == found:
        return x, found
    say_once(f"note: {Path(name).name} has {found} Hz: it and others like it are resampled to {rate} Hz", found, rate)
    return resample_audio(x, found, rate), rate


def seconds_of(path: str | Path) -> float:
    """How long a file of sound lasts, at whatever rate, without reading its samples."""
    with _opened(path, str(path)) as file:
        return file.frames / file.samplerate


@contextmanager
def _opened(source: str | Path | bytes, name: str) -> Iterator[Any]:
    """A `SoundFile` that holds sound, all of it, in one or two channels."""
    import soundfile

    source = source if isinstance(source, bytes) else files.existing(source)
    try:
        try:
            file = soundfile.SoundFile(BytesIO(source) if isinstance(source, bytes) else source)
        except soundfile.LibsndfileError:
            content = source if isinstance(source, bytes) else source.read_bytes()
            if (mended := padded_chunks(content)) is None:
                raise
            file = soundfile.SoundFile(BytesIO(mended))
        with file:
            cut = CUT.search(file.extra_info)
            if cut and int(cut[1]) < STREAMED:
                raise UserError(f"{name}: holds {cut[2]} of the {cut[1]} bytes that its header says")
            if "end-of-stream" in file.extra_info.lower():
                raise UserError(f"{name}: ends before its end of stream, a part of it is missing")
            if "detection failed" in file.extra_info:
                raise UserError(f"{name}: its header contradicts itself in the bytes of a sample; {CONVERT}")
            if not file.frames:
                raise UserError(f"{name}: holds no sound, 0 samples")
            if file.channels > 2:
                raise UserError(f"{name}: has {file.channels} channels, 1 or 2 are read; {CONVERT}")
            yield file
    except (soundfile.SoundFileError, TypeError) as error:  # TypeError: a file without a header, such as .raw
        reason = " ".join(getattr(error, "error_string", str(error)).split())
        raise UserError(f"{name}: is not a readable file of sound ({reason}); {CONVERT}") from None


def padded_chunks(content: bytes) -> bytes | None:
    """The format and the samples of a wav file in which chunks of odd size lack the byte that fills them up; None if it is none.

        "RIFF" | size | "WAVE" | chunks: name (4 bytes) | size (4, little-endian) | content | 0, where the size is odd

    Some programs leave out the last byte, and libsndfile then finds no samples. Source: Microsoft, "Multiple channel audio data
    and WAVE files".
    """
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        return None
    at, kept = 12, {}
    while at + 8 <= len(content):
        size = int.from_bytes(content[at + 4 : at + 8], "little")
        end = at + 8 + size
        kept[content[at : at + 4]] = content[at:end]
        at = end + (size % 2 == 1 and content[end : end + 1] == b"\0")  # no chunk's name begins with 0
    if b"fmt " not in kept or b"data" not in kept:
        return None
    body = b"WAVE" + kept[b"fmt "] + kept[b"data"]
    return b"RIFF" + len(body).to_bytes(4, "little") + body


def write_wav(path: str | Path, x: np.ndarray, rate: int) -> Path:
    """Write one recording, floats in [-1, 1] or int16, as 16 bits mono."""
    import soundfile

    soundfile.write(path, to_int16(x), rate, subtype="PCM_16", format="WAV")
    return Path(path)


def resample_audio(x: Float32[np.ndarray, "samples"], rate: int, new: int) -> Float32[np.ndarray, "samples_new"]:
    """The same sound at another rate; what the new one cannot hold is filtered out (SciPy's polyphase filter)."""
    from scipy.signal import resample_poly  # heavy, and rarely needed

    common = math.gcd(rate, new)
    return resample_poly(x, new // common, rate // common).astype(np.float32)


def say_once(text: str, *key: int | str) -> None:
    """One line for the user, of the first file with this `key` only."""
    if key not in _said:
        _said.add(key)
        print(text, file=sys.stderr)


_said: set[tuple[int | str, ...]] = set()


def to_int16(x: np.ndarray) -> Int16[np.ndarray, "samples"]:
    """Floats in [-1, 1] as int16; -32768 is kept free for `PAD`."""
    x = np.asarray(x)
    return x if x.dtype == np.int16 else np.clip(np.round(x * 32767), -32767, 32767).astype(np.int16)
