"""The few types that every part of jaxdl speaks: batches, metrics, tasks and phases.

Axis names used in shapes everywhere: `batch time height width channels dim heads classes vocab`.

A `Batch` is a dictionary of arrays whose first axis is the batch:

- `x`: what the model reads (an image `(batch, height, width, channels)`, a row of a table, tokens, ...);
- `y`: what it should give (integer labels or distributions, values, ...);
- `mask`: float32 `(batch,)`, 1 for an example and 0 for padding; sums are weighted by it, so that padding counts nowhere.

Further keys (`length`, `index`, ...) belong to the data sets that need them.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

import jax

Array = jax.Array
Key = jax.Array
"""A typed PRNG key (`jax.random.key`), not the legacy pair of uint32."""
Batch = dict[str, Any]
Params = Any
ModelState = dict[str, Any]
"""Every Linen collection but `params`: batch statistics, carried recurrent state, code-book counts."""
Variables = tuple[Params, ModelState]
Metrics = dict[str, tuple[Array, Array]]
"""name -> (sum, weight): sums are added up over batches and devices and divided once, by the added weights."""

Augment = Callable[[Key, Batch], Batch]
"""A pure function of one key and a whole batch; the rows are told apart by `fold_in(key, row)` inside."""


class Objective(Protocol):
    """One loss to minimise: a pure function, differentiated with respect to `params`."""

    def __call__(
        self, params: Params, model_state: ModelState, batch: Batch, key: Key, step: Array, *, train: bool
    ) -> tuple[Array, tuple[ModelState, Metrics]]: ...


@dataclass(frozen=True)
class Phase:
    """One part of an update: minimise `objective` with respect to some of the parameters, `repeats` times.

    The usual task has one phase over all parameters. A GAN has two: the critic `k` times, then the generator once.
    `params` names the top-level entries of the parameter tree that the phase updates (None: all of them), `optimizer`
    the entry of `Experiment.optimizer` where that is a dictionary.
    """

    objective: Objective
    name: str = ""
    params: tuple[str, ...] | None = None
    repeats: int = 1
    optimizer: str = ""


class Task(Protocol):
    """What is learned, as a few pure functions over `(params, model_state, batch)`; see `jaxdl/tasks/`.

    A task may have more: `check(targets)`, which refuses labels that it cannot mean; `observe`, in place of `predict` where the
    report of an evaluation needs more than a user asks for; `sample(params, model_state, batch, key)`, new examples, as many as
    the batch has rows.
    """

    @property
    def phases(self) -> tuple[Phase, ...]: ...

    @property
    def metric(self) -> tuple[str, str]:
        """The metric that selects a model and its direction: `("accuracy", "max")`."""
        ...

    @property
    def directions(self) -> Mapping[str, str]:
        """name -> "max" or "min" of metrics by which one may stop or compare; what is best in between is left out."""
        ...

    @property
    def reduce(self) -> Mapping[str, str]:
        """collection of `model_state` -> "mean" or "sum" over devices, or "example" (split with the batch)."""
        ...

    def init(self, key: Key, batch: Batch) -> Variables: ...

    def objective(
        self, params: Params, model_state: ModelState, batch: Batch, key: Key, step: Array, *, train: bool
    ) -> tuple[Array, tuple[ModelState, Metrics]]: ...

    def predict(self, params: Params, model_state: ModelState, batch: Batch, key: Key) -> Any: ...

    def report(self, outputs: Any, targets: Any) -> dict[str, Any]: ...


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


@partial(jax.tree_util.register_dataclass, data_fields=["value", "step", "wait", "stopped", "weights"], meta_fields=[])
@dataclass(frozen=True)
class Best:
    """What early stopping remembers: the best value so far, when, and the weights to go back to."""

    value: Array
    step: Array
    wait: Array
    stopped: Array
    weights: Variables


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["step", "params", "model_state", "opt_state", "ema", "key", "bad", "skipped", "metrics", "best"],
    meta_fields=[],
)
@dataclass(frozen=True)
class TrainState:
    """Everything that a training run is at one step, as one tree: what a checkpoint holds, and nothing else matters."""

    step: Array
    params: Params
    model_state: ModelState
    opt_state: dict[str, Any]
    ema: Params | None
    key: Key
    bad: Array
    """Steps in a row whose loss or gradient was not finite; such a step changes nothing."""
    skipped: Array
    """All of them since the start."""
    metrics: Metrics
    """Sums and weights since the last line of the log."""
    best: Best | None

    def replace(self, **changes: Any) -> "TrainState":
        return replace(self, **changes)
