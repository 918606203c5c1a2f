"""Context of a traced function: rows of the global batch, blocks to recompute, sharding along time.

These are context variables that are read while tracing. They are not part of the cache key of `jax.jit`: a function that is
jitted on its own and reads them keeps the first value. jaxdl sets them inside its own traces only.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import jax

from jaxdl.types import Array

_rows: ContextVar[tuple[Any, int]] = ContextVar("rows", default=(0, 1))


def first_row() -> Any:
    """Return the position of this batch's first row in the global batch: 0 except for micro-batches and pmap devices."""
    return _rows.get()[0]


def row_numbers(count: int) -> Array:
    """Return the positions of the `count` rows of this batch in the global batch, `(count,)`.

    Layers that use one key per example (dropout) fold them in, so the noise of an example does not depend on how the batch is
    split.
    """
    first, stride = _rows.get()
    return first + stride * jax.numpy.arange(count)


@contextmanager
def rows_from(row: Any, stride: int = 1) -> Iterator[None]:
    """Inside the block, while tracing, `first_row()` is `row`, and further rows follow at a distance of `stride`."""
    token = _rows.set((row, stride))
    try:
        yield
    finally:
        _rows.reset(token)


def data_axis() -> str | None:
    """Return "data" if that axis is bound (pmap, shard_map, named vmap), else None: under jit a batch is global."""
    try:
        jax.lax.axis_index("data")
    except NameError:
        return None
    return "data"


_blocks: ContextVar[list[bool] | None] = ContextVar("blocks", default=None)


def recompute_block() -> bool:
    """Return whether to keep only the block's input for the backward pass. A model calls it at each of its blocks."""
    asked = _blocks.get()
    if asked is None:
        return False
    asked.append(True)
    return True


@contextmanager
def recomputing() -> Iterator[list[bool]]:
    """Inside the block, while tracing, `recompute_block()` is True; the list gets one entry for each call."""
    asked: list[bool] = []
    token = _blocks.set(asked)
    try:
        yield asked
    finally:
        _blocks.reset(token)


_time: ContextVar[Callable[[Array], Array]] = ContextVar("time", default=lambda x: x)


def along_time(x: Array) -> Array:
    """Return hidden states `(batch, time, ...)` between the parts of a sequence model, sharded along time if the plan does so."""
    return _time.get()(x)


@contextmanager
def cutting_time(cut: Callable[[Array], Array]) -> Iterator[None]:
    """Inside the block, while tracing, `along_time(x)` is `cut(x)`."""
    token = _time.set(cut)
    try:
        yield
    finally:
        _time.reset(token)
