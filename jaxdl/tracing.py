"""What a traced function can ask about where it runs: rows of the global batch, blocks to recompute, cuts along time.

These are context variables, read while tracing. They are no part of `jax.jit`'s key: a function that is jitted on its own and
reads them keeps what it read first. jaxdl enters them inside its own traces only.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import jax

from jaxdl.types import Array

_rows: ContextVar[tuple[Any, int]] = ContextVar("rows", default=(0, 1))


def first_row() -> Any:
    """Which row of the global batch the first row of this batch is: 0, but for micro-batches and pmap's devices."""
    return _rows.get()[0]


def row_numbers(count: int) -> Array:
    """Which rows of the global batch the `count` rows of this batch are, `(count,)`.

    Layers that draw one key per example (dropout) fold it in; so the noise of an example does not depend on how its
    batch was cut.
    """
    first, stride = _rows.get()
    return first + stride * jax.numpy.arange(count)


@contextmanager
def rows_from(row: Any, stride: int = 1) -> Iterator[None]:
    """While tracing inside this block, `first_row()` is `row`, and the next ones follow at a distance of `stride`."""
    token = _rows.set((row, stride))
    try:
        yield
    finally:
        _rows.reset(token)


def data_axis() -> str | None:
    """`"data"` where that axis is bound (pmap, shard_map, vmap with a name), else None: under jit a batch is global anyway."""
    try:
        jax.lax.axis_index("data")
    except NameError:
        return None
    return "data"


_blocks: ContextVar[list[bool] | None] = ContextVar("blocks", default=None)


def recompute_block() -> bool:
    """Asked by a model at each of its blocks while tracing: keep only the block's input for the backward pass?"""
    asked = _blocks.get()
    if asked is None:
        return False
    asked.append(True)
    return True


@contextmanager
def recomputing() -> Iterator[list[bool]]:
    """While tracing inside this block, `recompute_block()` says yes; the list has one entry for each time it was asked."""
    asked: list[bool] = []
    token = _blocks.set(asked)
    try:
        yield asked
    finally:
        _blocks.reset(token)


_time: ContextVar[Callable[[Array], Array]] = ContextVar("time", default=lambda x: x)


def along_time(x: Array) -> Array:
    """Hidden states `(batch, time, ...)` between the parts of a sequence model: here a plan may cut them along time."""
    return _time.get()(x)


@contextmanager
def cutting_time(cut: Callable[[Array], Array]) -> Iterator[None]:
    """While tracing inside this block, `along_time(x)` is `cut(x)`."""
    token = _time.set(cut)
    try:
        yield
    finally:
        _time.reset(token)
