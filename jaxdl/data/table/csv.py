"""CSV files: columns of numbers and of names. Arrow reads them; whatever is wrong is named with its line."""

import re
import warnings
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from jaxdl.data.files import existing
from jaxdl.data.table.delimited import count_of, csv_rows, found_delimiter, header_of, line_of
from jaxdl.data.table.notation import notation_of, number_pattern
from jaxdl.data.walker import Note
from jaxdl.types import UserError

MISSING = frozenset({"", "NA", "N/A", "na", "n/a", "NaN", "nan", "NULL", "null", "?"})
"""Cells of a CSV file that mean: no value."""
BLOCK = 2**23
"""Bytes that are parsed at once; more for a file with longer rows."""
SOME = 1000
"""Cells that are looked at for groups of three digits."""
EXACT = 2.0**53
"""Up to here float64 holds every integer."""


def read_csv(
    path: str | Path,
    *,
    names: Collection[str] = (),
    columns: Collection[str] | None = None,
    verbatim: Collection[str] = (),
    delimiter: str | None = None,
    decimal: str = ".",
    thousands: str = "",
    header: Sequence[str] | None = None,
) -> dict[str, np.ndarray]:
    """The columns of a CSV file by name, in their order.

    A column is float64 with NaN where a value is missing; or strings (objects), "" where missing, if none of its cells is a
    number or it is listed in `names`. A mixture is an error: a slip of the pen must not turn a number into a category. A cell
    is missing if it is one of `MISSING`, among strings only if it stands there without quotes.

    Args:
        path: the file, in UTF-8; gzipped if its name ends in .gz.
        names: columns of strings, whatever they hold.
        columns: the columns to read; others may hold anything. None: all.
        verbatim: columns in which a string is missing only where it is empty: "NA" may be a class.
        delimiter: between cells; None: see `found_delimiter`.
        decimal: the decimal mark.
        thousands: the mark between groups of three digits; "": there is none.
        header: names of the columns; None: the first line holds them.
    """
    path = existing(path)
    number = number_pattern(decimal, thousands)
    delimiter = delimiter or found_delimiter(path)
    head = list(header) if header else header_of(path, delimiter)
    for name in (*names, *(columns or ())):
        if name not in head:
            raise UserError(f"{path}: has no column {name!r}; it has {', '.join(head)}")
    wanted = [name for name in head if columns is None or name in columns]
    found = {name: _Column(name, name in names, number, decimal, thousands) for name in wanted}
    start = 0
    for batch in _batches(path, delimiter, head, wanted, named=header is None):
        for column, cells in zip(found.values(), batch.columns, strict=True):
            column.add(cells, start)
            if column.wrong:
                row, what = column.wrong
                raise UserError(f"{path}:{line_of(path, row + (header is None), delimiter)}: {what}")
        start += batch.num_rows
    if delimiter in ";\t" and (decimal, thousands) == (".", ""):
        for name, column in found.items():
            if column.grouped:
                text = f"{column.grouped!r} in column {name!r} is read as {float(column.grouped):g}"
                warnings.warn(
                    f"{path}: {text}; thousands = '.' reads {column.grouped.replace('.', '')}", Note, stacklevel=2
                )
    if not start:
        raise UserError(f"{path}: holds no rows")
    if count_of(path, b'"') % 2:  # perhaps one is never closed, which Arrow does not mind
        for _ in csv_rows(path, delimiter):
            pass
    raw = [name for name in verbatim if name in found and not found[name].numbers]
    again = {name: [] for name in raw}  # without null, which does not say what stood there
    for batch in _batches(path, delimiter, head, raw, named=header is None, nulls=()) if raw else ():
        for name, cells in zip(raw, batch.columns, strict=True):
            again[name].append(_objects(cells, trim=True))
    return {name: np.concatenate(again[name]) if name in again else column.joined() for name, column in found.items()}


@dataclass
class _Column:
    """The cells of one column, block after block; `wrong`: the row of the first that cannot stand there, and why."""

    name: str
    text: bool
    number: str
    decimal: str
    thousands: str
    blocks: list[Any] = field(default_factory=list)
    word: tuple[int, str] | None = None
    numbers: bool = False
    wrong: tuple[int, str] | None = None
    grouped: str = ""
    """A number such as 1.000, if all of the first block may be groups of three digits."""

    def add(self, cells: Any, start: int) -> None:
        """Numbers as float64; words, and blocks in which every cell is missing, as Arrow's strings."""
        pyarrow, arrow = _arrow()
        trimmed = arrow.utf8_trim_whitespace(cells)
        none = arrow.is_in(trimmed, pyarrow.array(sorted(MISSING)))
        plain = arrow.if_else(none, None, trimmed)
        values, words = (None, None) if self.text else self._values(plain)
        if words is not None and self.word is None:
            self.word = start + words, trimmed[words].as_py()
        self.numbers |= values is not None
        if self.word and self.numbers:
            row, cell = self.word
            self.wrong = row, f"{cell!r} in column {self.name!r} is not a number; {self._hint(cell)}"
        elif values is not None:
            self._check(values, plain, start)
            some = [cell for cell in plain[:SOME].to_pylist() if cell] if not start else []
            if all(re.fullmatch(r"[+-]?[1-9]\d{0,2}(\.\d{3})?", cell) for cell in some):
                self.grouped = next((cell for cell in some if "." in cell), "")
        if values is None:
            unquoted = arrow.and_(none, arrow.not_equal(cells, trimmed))
            values = arrow.if_else(arrow.fill_null(unquoted, False), None, trimmed)
        self.blocks.append(values)

    def _values(self, plain: Any) -> tuple[np.ndarray | None, int | None]:
        """The numbers of a block, if there is one, and the place of its first word, if there is one."""
        pyarrow, arrow = _arrow()
        if plain.null_count == len(plain):
            return None, None
        odd = None
        if self.thousands == " ":
            plain = arrow.replace_substring_regex(plain, "[\u00a0\u202f]", " ")
        if (self.decimal, self.thousands) != (".", ""):
            odd = arrow.invert(arrow.match_substring_regex(plain, self.number))
            if arrow.any(odd).as_py() is not True:
                plain = arrow.replace_substring(plain, self.thousands, "") if self.thousands else plain
                plain = arrow.replace_substring(plain, self.decimal, ".")
        try:
            if odd is None or arrow.any(odd).as_py() is not True:
                return arrow.cast(plain, pyarrow.float64()).to_numpy(zero_copy_only=False), None
        except pyarrow.ArrowInvalid:
            odd = arrow.invert(arrow.match_substring_regex(plain, self.number))
        first = arrow.index(odd, True).as_py()
        return (np.zeros(0) if arrow.any(arrow.invert(odd)).as_py() else None), first

    def _check(self, values: np.ndarray, plain: Any, start: int) -> None:
        """Infinite numbers, and integers that float64 rounds to others."""
        for row in np.flatnonzero(np.abs(values) >= EXACT):
            cell = plain[int(row)].as_py()
            if np.isinf(values[row]):
                self.wrong = start + int(row), f"{cell!r} in column {self.name!r} is not finite"
            elif (digits := cell.replace(self.thousands, "") if self.thousands else cell).lstrip("+-").isdigit():
                if int(digits) == int(values[row]):
                    continue
                what = f"{cell!r} in column {self.name!r} becomes {int(values[row])} as a number of 64 bits"
                self.wrong = start + int(row), f"{what}: leave the column out, or list it as categorical"
            if self.wrong:
                return

    def _hint(self, cell: str) -> str:
        notation = notation_of([cell])
        return notation or f"list {self.name!r} as categorical if it holds names"

    def joined(self) -> np.ndarray:
        """All blocks; a column without any number or word is one of missing numbers."""
        if not self.numbers:
            cells = np.concatenate([_objects(block) for block in self.blocks])
            if self.text or self.word or (cells != "").any():
                return cells
        return np.concatenate([b if isinstance(b, np.ndarray) else np.full(len(b), np.nan) for b in self.blocks])


def _arrow() -> tuple[Any, Any]:
    """Arrow and its functions on columns."""
    import pyarrow.compute

    return pyarrow, pyarrow.compute


def _objects(cells: Any, *, trim: bool = False) -> np.ndarray:
    """Arrow's strings as Python's, one object for all equal ones of a block; "" where one is missing."""
    _, arrow = _arrow()
    cells = arrow.utf8_trim_whitespace(cells) if trim else cells
    encoded = arrow.fill_null(cells, "").dictionary_encode()
    return np.array([*encoded.dictionary.to_pylist(), None], object)[encoded.indices.to_numpy()]


def _batches(
    path: Path,
    delimiter: str,
    head: Sequence[str],
    wanted: Sequence[str],
    *,
    named: bool,
    nulls: Collection[str] = MISSING,
) -> Iterator[Any]:
    """Blocks of rows as Arrow's strings, null where a cell is one of `nulls` without quotes."""
    import pyarrow
    from pyarrow import csv as arrow

    skip = lambda row: "error" if row.text.strip() else "skip"  # a line of white space
    options = {
        "parse_options": arrow.ParseOptions(
            delimiter=delimiter, newlines_in_values=True, invalid_row_handler=skip, ignore_empty_lines=True
        ),
        "convert_options": arrow.ConvertOptions(
            column_types=dict.fromkeys(wanted, pyarrow.string()),
            include_columns=list(wanted),
            null_values=sorted(nulls),
            strings_can_be_null=bool(nulls),
            quoted_strings_can_be_null=False,
        ),
    }
    size, done = BLOCK, 0
    while True:
        reading = arrow.ReadOptions(
            column_names=list(head), skip_rows_after_names=int(named), block_size=size, use_threads=False
        )
        seen = 0
        try:
            for batch in arrow.open_csv(str(path), reading, **options):
                seen += batch.num_rows
                if seen > done:
                    yield batch.slice(max(0, done - (seen - batch.num_rows)))
                    done = seen
            return
        except pyarrow.ArrowInvalid as error:
            if "straddling" in str(error) and size < max(path.stat().st_size, BLOCK) and size < 2**30:
                size *= 4  # a row is longer than a block
                continue
            raise _malformed(path, delimiter, head, error) from None


def _malformed(path: Path, delimiter: str, head: Sequence[str], error: Exception) -> UserError:
    """What is wrong with a file that Arrow refuses, with its line."""
    try:
        for line, row in csv_rows(path, delimiter):
            if len(row) != len(head):
                return UserError(f"{path}:{line}: has {len(row)} cells for {len(head)} columns")
    except UserError as found:
        return found
    return UserError(f"{path}: is not a readable table ({' '.join(str(error).split())[:200]})")
