"""The lines of a CSV file: its delimiter, its header, and where a row stands. For messages; `csv.read_csv` reads the cells."""

import csv
import gzip
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from jaxdl.data.files import existing
from jaxdl.types import UserError

DELIMITERS = (",", ";", "\t", "|")
CHUNK = 2**23
"""Bytes that are searched at once."""


def csv_rows(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The rows of a file, its header among them, with the line where each ends; empty lines are left out."""
    line, limit = 0, csv.field_size_limit(2**31 - 1)
    try:
        with _opened(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            width = None
            for row in reader:
                line, width = reader.line_num, width or len(row)
                if row and (len(row) > 1 or width == 1 or row[0].strip()):
                    yield line, row
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is not text in UTF-8 ({error.reason} at byte {error.start})") from None
    except csv.Error as error:
        raise UserError(f"{path}:{line + 1}: {error}") from None
    finally:
        csv.field_size_limit(limit)


def _opened(path: Path, mode: str = "rt", **options: Any) -> Any:
    return (gzip.open if path.suffix == ".gz" else open)(path, mode, **options)


def count_of(path: Path, mark: bytes) -> int:
    """How often a mark stands in a file."""
    with _opened(path, "rb") as file:
        return sum(block.count(mark) for block in iter(lambda: file.read(CHUNK), b""))


def line_of(path: str | Path, row: int, delimiter: str | None = None) -> int:
    """The line of a file in which a row (counted from 0, the header among them) ends."""
    path = existing(path)
    return next(islice(csv_rows(path, delimiter or found_delimiter(path)), row, None), (row + 1, []))[0]


def empty_lines(path: str | Path, delimiter: str | None = None) -> list[int]:
    """The numbers of the empty lines between the rows of a file."""
    path = existing(path)
    with _opened(path, "rb") as file:
        blank, tail = False, b"x"
        while not blank and (block := file.read(CHUNK)):
            blank, tail = re.search(rb"\n[ \t\r]*\n", tail + block) is not None, block[-64:]
    if not blank:
        return []
    with _opened(path, newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file, delimiter=delimiter or found_delimiter(path))
        lines = [(reader.line_num, len(row) > 1 or any(cell.strip() for cell in row)) for row in reader]
    last = max((line for line, filled in lines if filled), default=0)
    return [line for line, filled in lines if not filled and line < last]


def found_delimiter(path: str | Path) -> str:
    """The mark that cuts the first rows of a file into equally many cells, the most of them; a comma where none does.

    Of comma, semicolon, tab and bar.
    """
    found, best = ",", 1
    for mark in DELIMITERS:
        try:
            counts = {len(row) for _, row in islice(csv_rows(existing(path), mark), 20)}
        except UserError:
            continue
        if len(counts) == 1 and (count := counts.pop()) > best:
            found, best = mark, count
    if best == 1:  # rows of several lengths: the header alone
        head = next(csv_rows(existing(path), "\x1f"), (0, [""]))[1]
        found = max(DELIMITERS, key=lambda mark: "".join(head).count(mark))
    return found


def header_of(path: Path, delimiter: str) -> list[str]:
    """The names of the columns."""
    line, head = next(csv_rows(path, delimiter), (0, []))
    head = [cell.strip() for cell in head]
    if not head:
        raise UserError(f"{path}: is empty")
    if line > 1 and not any("\n" in cell for cell in head):
        raise UserError(f"{path}:1: is an empty line, the first one names the columns")
    if not all(head):
        raise UserError(f"{path}:1: every column needs a name, got {head}")
    if len(set(head)) != len(head):
        raise UserError(f"{path}:1: two columns are called {next(n for n in head if head.count(n) > 1)!r}")
    return head
