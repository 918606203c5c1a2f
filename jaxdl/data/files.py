"""Readers of files: IDX (MNIST's format), CIFAR's binary records, npz, npy and CSV, to NumPy; lines of text.

No reader runs code from a file (`allow_pickle` is off). A missing file is a `FileNotFoundError`, a malformed one a
`ValueError`; either is one line that begins with the path, for CSV also with the line.
"""

import csv
import gzip
import math
import struct
import zipfile
import zlib
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from jaxdl.types import UserError

MISSING = frozenset({"", "NA", "N/A", "na", "n/a", "NaN", "nan", "NULL", "null", "?"})
"""Cells of a CSV file that mean: no value."""
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


def read_csv(
    path: str | Path,
    *,
    names: Collection[str] = (),
    others: bool = True,
    delimiter: str = ",",
    header: Sequence[str] | None = None,
) -> dict[str, np.ndarray]:
    """The columns of a CSV file by name, in their order.

    A column is float64 with NaN where a value is missing; or strings, "" where missing, if none of its cells is a number or
    it is listed in `names`. A mixture is an error: a slip of the pen must not turn a number into a category. The
    first line holds the names of the columns unless `header` gives them. Columns that `names` does not list are left out, and may
    hold anything, if there are to be no `others`.
    """
    path = existing(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            head = list(header) if header else [cell.strip() for cell in next(reader, [])]
            if not head:
                what = ":1: is an empty line, the first one names the columns" if any(reader) else ": is empty"
                raise UserError(f"{path}{what}")
            lines, rows = [], []
            for row in reader:
                if row and (len(row) > 1 or len(head) == 1 or row[0].strip()):  # else an empty line
                    if len(row) != len(head):
                        raise UserError(f"{path}:{reader.line_num}: has {len(row)} cells for {len(head)} columns")
                    rows.append([cell.strip() for cell in row])
                    lines.append(reader.line_num)
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is not text in UTF-8 ({error.reason} at byte {error.start})") from None
    except csv.Error as error:
        raise UserError(f"{path}:{reader.line_num}: {error}") from None
    if not all(head):
        raise UserError(f"{path}:1: every column needs a name, got {head}")
    if len(set(head)) != len(head):
        raise UserError(f"{path}:1: two columns are called {next(n for n in head if head.count(n) > 1)!r}")
    if not rows:
        raise UserError(f"{path}: holds no rows")
    for name in names:
        if name not in head:
            raise UserError(f"{path}: has no column {name!r}; it has {', '.join(head)}")
    columns = zip(head, zip(*rows, strict=True), strict=True)
    chosen = [(name, cells) for name, cells in columns if others or name in names]
    return {name: _column(name, cells, lines, path, text=name in names) for name, cells in chosen}


def _column(name: str, cells: Sequence[str], lines: Sequence[int], path: Path, *, text: bool) -> np.ndarray:
    cells = ["" if cell in MISSING else cell for cell in cells]
    values = [math.nan if cell == "" else parsed_number(cell) for cell in cells]
    words = sum(value is None for value in values)
    if text or words == sum(cell != "" for cell in cells) > 0:
        return np.array(cells)
    for line, cell, value in zip(lines, cells, values, strict=True):
        if value is None:
            hint = f"list {name!r} as categorical if it holds names"
            raise UserError(f"{path}:{line}: {cell!r} in column {name!r} is not a number; {hint}")
        if cell and not math.isfinite(value):
            raise UserError(f"{path}:{line}: {cell!r} in column {name!r} is not finite")
    return np.array(values, np.float64)


def parsed_number(cell: str) -> float | None:
    """The number that a cell shows, None if it shows none; Python reads 1_2 as 12, which no table means."""
    try:
        return None if "_" in cell else float(cell)
    except ValueError:
        return None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def bundled(file: str, *, delimiter: str | None = ",", skip: int = 0) -> np.ndarray:
    """The numbers of a file in `bundled/`."""
    path = existing(BUNDLED / file)
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
        return np.loadtxt(lines, delimiter=delimiter, skiprows=skip)
