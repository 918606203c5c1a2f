"""The documents of files that are larger than memory: text, JSON lines and parquet, in units that processes share out.

Units and documents are functions of the files alone. A unit is 64 MB of a file, beginning and ending between two lines (or groups
of rows of a parquet file); a gzipped file is one unit. A document is a line of JSON, a row of a parquet file, or 64 kB of a text
file up to the end of a line.
"""

import codecs
import gzip
import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxdl.data import files
from jaxdl.data.text.parquet import parquet_texts, row_groups
from jaxdl.data.walker import list_files, tell
from jaxdl.types import UserError

UNIT, PIECE, LONGEST = 64 << 20, 64 << 10, 1 << 20
"""Bytes of a unit, of a document of a text file, and of a line of it that is not cut."""
JSON, PARQUET = (".jsonl", ".ndjson", ".json"), (".parquet",)
READ = {f"{suffix}{packed}" for suffix in (".txt", ".text", ".md", *JSON) for packed in ("", ".gz")} | {*PARQUET}
"""What is read of a folder; a file that is named may have any suffix."""
DAMAGED = (EOFError, gzip.BadGzipFile, zlib.error)


@dataclass(frozen=True)
class CorpusUnit:
    """A part of a file: bytes `start` to `stop`, of a parquet file groups of rows. What begins in it is of it."""

    file: str
    start: int
    stop: int
    kind: str
    """text, json, parquet, or text.gz, json.gz."""


def find_corpus(paths: Sequence[str | Path]) -> list[Path]:
    """The files of a corpus, those of folders in the order of their paths; UserError for a table or nothing at all."""
    found = []
    for path in map(Path, paths):
        path = path.expanduser()
        if path.is_dir():
            inside = list_files(path, READ)
            if not inside.files:
                raise UserError(f"{path}: holds no {', '.join(sorted(READ))}")
            tell(path, [f"{inside.unread()} not read"] if inside.left_out else [])
            found += map(Path, inside.files)
        else:
            found.append(files.existing(path))
    for path in found:
        if path.suffix.lower() in (".csv", ".tsv"):
            raise UserError(f"{path}: is a table: give text, JSON lines or parquet, of which one field is read")
    if not found:
        raise UserError("no files: give text, JSON lines, parquet, or folders of them")
    return found


def units_of(path: Path, field: str, size: int = UNIT) -> list[CorpusUnit]:
    """The units of a file."""
    suffix = path.with_suffix("").suffix if path.suffix.lower() == ".gz" else path.suffix
    kind = "json" if suffix.lower() in JSON else "parquet" if suffix.lower() in PARQUET else "text"
    if kind == "parquet":
        return [CorpusUnit(str(path), start, stop, kind) for start, stop in row_groups(path, field, size)]
    with path.open("rb") as file:
        first = file.read(64)
    if first[:2] == b"\x1f\x8b":
        return [CorpusUnit(str(path), 0, 1, f"{kind}.gz")]
    if kind == "json" and first.lstrip(codecs.BOM_UTF8).lstrip().startswith(b"["):
        raise UserError(f"{path}: is one JSON array: give JSON lines, one object a line")
    total = path.stat().st_size
    return [CorpusUnit(str(path), start, min(start + size, total), kind) for start in range(0, total, size)]


def read_documents(unit: CorpusUnit, field: str) -> Iterator[str]:
    """The documents that begin in a unit, without empty ones. Errors: UserError of one line that names the file and the place."""
    try:
        if unit.kind == "parquet":
            yield from parquet_texts(unit.file, unit.start, unit.stop, field)
            return
        packed = unit.kind.endswith(".gz")
        with gzip.open(unit.file) if packed else open(unit.file, "rb") as file:
            read = _objects if unit.kind.startswith("json") else _pieces
            yield from read(file, unit, None if packed else unit.stop, field)
    except DAMAGED as error:
        raise UserError(f"{unit.file}: is a damaged gzip file ({error})") from None
    except OSError as error:
        raise UserError(f"{unit.file}: cannot be read ({error.strerror or error})") from None


def _begin(file: Any, unit: CorpusUnit) -> int:
    """Go to the first line that begins in the unit."""
    if not unit.start:
        return len(codecs.BOM_UTF8) if file.read(3) == codecs.BOM_UTF8 else file.seek(0)
    file.seek(unit.start - 1)
    while (skipped := file.readline(LONGEST)) and not skipped.endswith(b"\n"):
        pass
    return file.tell()


def _pieces(file: Any, unit: CorpusUnit, stop: int | None, field: str) -> Iterator[str]:
    del field
    decoder, at, inside = codecs.getincrementaldecoder("utf-8")(), _begin(file, unit), False
    while stop is None or at < stop or inside:  # a long line that is cut belongs to one unit
        if stop is None or at < stop:
            piece = file.read(PIECE if stop is None else min(PIECE, stop - at))
            piece += b"" if piece.endswith(b"\n") else file.readline(LONGEST)
        else:
            piece = file.readline(LONGEST)
        at, inside = at + len(piece), not piece.endswith(b"\n")
        try:
            text = decoder.decode(piece, final=not piece).replace("\r\n", "\n")
        except UnicodeDecodeError as error:
            why = f"{error.reason} near byte {at - len(piece) + error.start}"
            raise UserError(f"{unit.file}: is not text in UTF-8 ({why}): save it as such") from None
        if not piece:
            return
        if text.strip():
            yield text


def _objects(file: Any, unit: CorpusUnit, stop: int | None, field: str) -> Iterator[str]:
    at = _begin(file, unit)
    while stop is None or at < stop:
        line = file.readline()
        if not line:
            return
        if line.strip():
            try:
                text = json.loads(line)[field]
            except (ValueError, LookupError, TypeError) as error:
                raise UserError(f"{unit.file}:{_line_number(unit, at)}: {_wrong(error, line, field)}") from None
            if not isinstance(text, str | None):
                kind = type(text).__name__
                raise UserError(f"{unit.file}:{_line_number(unit, at)}: {field!r} holds no text but {kind}")
            if text:
                yield text
        at += len(line)


def _wrong(error: Exception, line: bytes, field: str) -> str:
    if isinstance(error, KeyError):
        return f"has no field {field!r}; it has {', '.join(json.loads(line))} (--field)"
    shown = line.decode(errors="replace").strip()
    return f"is no line of JSON with a field {field!r}: {shown[:40]!r}"


def _line_number(unit: CorpusUnit, at: int) -> int:
    with gzip.open(unit.file) if unit.kind.endswith(".gz") else open(unit.file, "rb") as file:
        number = 1
        while at > 0 and (block := file.read(min(at, LONGEST))):
            number, at = number + block.count(b"\n"), at - len(block)
    return number
