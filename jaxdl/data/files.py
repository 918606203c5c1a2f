"""Readers of files: IDX (MNIST's format), CIFAR's binary records, npz and npy, to NumPy; lines of text.

No reader runs code from a file (`allow_pickle` is off). A missing file is a `FileNotFoundError`, a malformed one a
`ValueError`; either is one line that begins with the path.
"""

import gzip
import math
import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxdl.moved import moved_name
from jaxdl.types import UserError

NAMES, CONTENTS = 100_000, 200
"""Of how many files `fingerprint` looks at the name and the size, and at the content."""
IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}

BUNDLED = Path(__file__).parent / "bundled"
"""The small sets that come with the package."""


def existing(path: str | Path) -> Path:
    """The path, if a file is there."""
    path = Path(path).expanduser()
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file")
    if not path.is_file():
        raise UserError(f"{path}: is not a file")
    return path


def fingerprint(sources: Sequence[str | Path | bytes]) -> str:
    """A hash of files, or of their contents: 100,000 names and sizes and 200 contents, evenly spread.

    Of a name the last two parts count, so that a folder can be moved.
    """
    total, count = 0, len(sources)
    contents = set(range(0, count, -(-count // CONTENTS) or 1))
    for i in range(0, count, -(-count // NAMES) or 1):
        source = sources[i]
        if not isinstance(source, bytes):
            path = Path(source)
            try:
                about, size = "/".join(path.parts[-2:]), path.stat().st_size
                source = path.read_bytes() if i in contents else b""
            except OSError:  # reading it says so, when its turn comes
                about, size, source = str(path.name), -1, b""
            total = zlib.crc32(f"{about} {size}".encode(errors="surrogateescape"), total)
        total = zlib.crc32(source, total)
    return f"{zlib.crc32(str(count).encode(), total):08x}"


def read_bytes(path: str | Path) -> bytes:
    """The content, unpacked where the file is gzip, which its first bytes tell and not its name."""
    path = existing(path)
    content = path.read_bytes()
    if content[:2] != b"\x1f\x8b":
        return content
    try:
        return gzip.decompress(content)
    except (EOFError, OSError, zlib.error) as error:
        raise UserError(f"{path}: is a damaged gzip file ({error})") from None


def read_text(path: str | Path, *, encoding: str = "utf-8") -> str:
    """The text of a file, gzipped or not, a byte-order mark left out, every line ending in "\\n".

    A lone "\\r" ends a line only where nothing else does (files of old Macs): in others it is part of a sentence.

    Errors: FileNotFoundError; ValueError `file:line: ...` if it is no text in this encoding, `file: ...` if it is empty.
    """
    content = read_bytes(path).removeprefix(b"\xef\xbb\xbf")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line, why = content.count(b"\n", 0, error.start) + 1, f"{error.reason} at byte {error.start}"
        raise UserError(f"{path}:{line}: is not text in {encoding.upper()} ({why}): save it as such") from None
    if not text.strip():
        raise UserError(f"{path}: holds no text")
    text = text.replace("\r\n", "\n")
    return text if "\n" in text else text.replace("\r", "\n")


def read_lines(path: str | Path, *, encoding: str = "utf-8") -> list[str]:
    """The lines of `read_text`, empty ones too. Only "\\n" ends a line: not a form feed, nor Unicode's own separators."""
    lines = read_text(path, encoding=encoding).removesuffix("\n").split("\n")
    return [line.rstrip("\r") for line in lines]


def read_idx(path: str | Path) -> np.ndarray:
    """An array in the IDX format of MNIST, gzipped or not.

        bytes: 0 0 | type | number of axes | length of each axis (big-endian, 4 bytes) | values (big-endian)

    Source: LeCun, Cortes, Burges: The MNIST database, "the IDX file format".
    """
    content = read_bytes(path)
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in IDX_TYPES or not content[3]:
        raise UserError(f"{path}: is not an IDX file (it begins with {content[:4].hex(' ') or 'nothing'})")
    dtype, axes = np.dtype(IDX_TYPES[content[2]]), content[3]
    start = 4 + 4 * axes
    shape = struct.unpack(f">{axes}I", content[4:start]) if len(content) >= start else ()
    expected = start + dtype.itemsize * math.prod(shape)
    if len(content) != expected:
        raise UserError(f"{path}: holds {len(content)} bytes, an IDX array of shape {shape} needs {expected}")
    return np.frombuffer(content, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def read_cifar(path: str | Path, *, labels: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, 32, 32, 3) and the last of their `labels` from one file of CIFAR's binary version.

        record: labels (1 byte each; CIFAR-100 has the coarse, then the fine one) | 1024 red | 1024 green | 1024 blue

    Source: Krizhevsky, the CIFAR-10 and CIFAR-100 data sets, "binary version".
    """
    content = np.frombuffer(read_bytes(path), np.uint8)
    record = labels + 3072
    if not len(content) or len(content) % record:
        raise UserError(f"{path}: holds {len(content)} bytes, no whole number of CIFAR records of {record}")
    rows = content.reshape(-1, record)
    images = rows[:, labels:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images), rows[:, labels - 1]


def read_npz(path: str | Path) -> dict[str, np.ndarray]:
    """All arrays of an npz file by name."""
    path = existing(path)
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            if isinstance(archive, np.ndarray):
                raise UserError("holds one array, read it as npy")
            arrays = {name: archive[name] for name in archive.files}
    except (ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"{path}: is not a readable npz file ({_one_line(error)})") from None
    if not arrays:
        raise UserError(f"{path}: holds no array")
    return arrays


def read_npy(path: str | Path) -> np.ndarray:
    """The array of an npy file, mapped into memory: parts are read when they are used."""
    path = existing(path)
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise UserError(f"{path}: is not a readable npy file ({_one_line(error)})") from None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def bundled(file: str, *, delimiter: str | None = ",", skip: int = 0) -> np.ndarray:
    """The numbers of a file in `bundled/`."""
    path = existing(BUNDLED / file)
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
        return np.loadtxt(lines, delimiter=delimiter, skiprows=skip)


def __getattr__(name: str) -> Any:
    """The readers of CSV files and of images were here."""
    return moved_name(__name__, name)
