"""A column of texts of a parquet file, by groups of rows."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jaxdl.types import UserError


def _opened(file: str, field: str) -> Any:
    import pyarrow
    from pyarrow import parquet

    try:
        found = parquet.ParquetFile(file)
    except (pyarrow.ArrowException, OSError) as error:
        raise UserError(f"{file}: is not a readable parquet file ({' '.join(str(error).split())})") from None
    names = found.schema_arrow.names
    if field not in names:
        raise UserError(f"{file}: has no column {field!r}; it has {', '.join(names)} (--field)")
    kind = found.schema_arrow.field(field).type
    if kind not in (pyarrow.string(), pyarrow.large_string(), pyarrow.string_view()):
        raise UserError(f"{file}: column {field!r} holds no text but {kind}")
    return found


def row_groups(path: Path, field: str, size: int) -> list[tuple[int, int]]:
    """Groups of rows that follow each other, (first, stop), of about `size` bytes of the column."""
    found = _opened(str(path), field)
    column, units, start, room = found.schema_arrow.names.index(field), [], 0, size
    for group in range(found.metadata.num_row_groups):
        room -= found.metadata.row_group(group).column(column).total_uncompressed_size
        if room <= 0 or group == found.metadata.num_row_groups - 1:
            units.append((start, group + 1))
            start, room = group + 1, size
    return units


def parquet_texts(file: str, start: int, stop: int, field: str) -> Iterator[str]:
    """The texts of some groups of rows, without empty ones."""
    import pyarrow

    found, groups = _opened(file, field), range(start, stop)
    try:
        for some in found.iter_batches(batch_size=256, row_groups=groups, columns=[field], use_threads=False):
            yield from filter(None, some.column(0).to_pylist())
    except (pyarrow.ArrowException, OSError) as error:
        raise UserError(f"{file}: is not a readable parquet file ({' '.join(str(error).split())})") from None
