"""The types that every part of jaxdl uses. Axis names: `batch time height width channels dim heads classes vocab`.

A `Batch` is a dictionary of arrays whose first axis is the batch; data sets may add entries to these:

- `x`: what the model reads (an image `(batch, height, width, channels)`, a row of a table, tokens, ...);
- `y`: what it should give (integer labels or distributions, values, ...);
- `mask`: float32 `(batch,)`, 1 for an example and 0 for padding; sums are weighted by it, so that padding counts nowhere.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array
Key = jax.Array
"""A typed PRNG key (`jax.random.key`), not the legacy pair of uint32."""
Number = float | Array
"""A hyper-parameter that may be traced."""
Batch = dict[str, Any]
Params = Any
ModelState = dict[str, Any]
"""Every Linen collection but `params`: batch statistics, carried recurrent state, code-book counts."""
Variables = tuple[Params, ModelState]
Metrics = dict[str, tuple[Array, Array]]
"""name -> (sum, weight): sums are added up over batches and devices and divided once, by the added weights."""
Augment = Callable[[Key, Batch], Batch]
"""A pure function of one key and a whole batch; the rows are told apart by `fold_in(key, row)` inside."""


class UserError(ValueError):
    """What the user can put right: printed in one line, exit code 2. Other exceptions are defects and keep their traceback."""


class UserTypeError(UserError, TypeError):
    """The same, of a value of the wrong type."""


class MissingPackage(UserError, ModuleNotFoundError):
    """The same, of a library that must be installed first."""


class Objective(Protocol):
    """One loss to minimise: a pure function, differentiated with respect to `params`."""

    def __call__(
        self, params: Params, model_state: ModelState, batch: Batch, key: Key, step: Array, *, train: bool
    ) -> tuple[Array, tuple[ModelState, Metrics]]: ...


@dataclass(frozen=True)
class Phase:
    """One part of an update: minimise `objective` with respect to some of the parameters, `repeats` times.

    Most tasks have one phase over all parameters. A GAN has two: the critic `k` times, then the generator once. `params` names
    the top-level parameters that the phase updates (None: all), `optimizer` the entry of `Experiment.optimizer` if it is a dict.
    """

    objective: Objective
    name: str = ""
    params: tuple[str, ...] | None = None
    repeats: int = 1
    optimizer: str = ""


class Task:
    """What is learned, as a few pure functions over `(params, model_state, batch)`: the base of every task.

    A task of one's own defines `init`, `objective` and `predict`; the rest has defaults. See `jaxdl/tasks/`.
    """

    metric: tuple[str, str] = ("loss", "min")
    """The metric that selects a model, and its direction: `("accuracy", "max")`."""
    directions: Mapping[str, str] = MappingProxyType({})
    """name -> "max" or "min" of metrics by which one may stop or compare; what is best in between is left out."""
    reduce: Mapping[str, str] = MappingProxyType({})
    """collection of `model_state` -> "mean" or "sum" over devices, or "example" (split with the batch); "mean" if not named."""
    averaged: tuple[str, ...] | None = None
    """The top-level entries of the parameters that an exponential moving average covers; None: all."""
    open_set: bool = False
    """Whether evaluation may have labels that training has not."""
    conditional: bool = False
    """Whether `sample` takes labels."""
    generative: bool = False
    """Whether the task has `sample`."""

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The parts of an update, in order; by default one, over all parameters."""
        return (Phase(self.objective),)

    @property
    def network(self) -> Any:
        """The one module that the task trains; None where there are several."""
        return vars(self).get("model")

    def init(self, key: Key, batch: Batch) -> Variables:
        """The first parameters and model state, for batches like this one."""
        raise NotImplementedError(f"{type(self).__name__} has no init")  # every concrete task has one

    def objective(
        self, params: Params, model_state: ModelState, batch: Batch, key: Key, step: Array, *, train: bool
    ) -> tuple[Array, tuple[ModelState, Metrics]]:
        """The loss to minimise, the next model state, and the metrics as sums and weights."""
        raise NotImplementedError(f"{type(self).__name__} has no objective")  # not needed with phases of its own

    def predict(self, params: Params, model_state: ModelState, batch: Batch, key: Key) -> Any:
        """What a user asks for: arrays of one row an example; may decode."""
        raise NotImplementedError(f"{type(self).__name__} has no predict")  # not needed for training alone

    def observe(self, params: Params, model_state: ModelState, batch: Batch, key: Key) -> Any:
        """What `report` reads; more than `predict` where the report of an evaluation needs it."""
        return self.predict(params, model_state, batch, key)

    def illustrate(self, params: Params, model_state: ModelState, batch: Batch, key: Key) -> dict[str, Array]:
        """More outputs for `report`, a row an example, of the first batch of a split alone: costly, drawn for a few."""
        return {}

    def sample(self, params: Params, model_state: ModelState, batch: Batch, key: Key) -> Any:
        """New examples, as many as the batch has rows; for tasks that are `generative`."""
        raise NotImplementedError(f"{type(self).__name__} makes no examples")  # few tasks are generative

    targets: tuple[str, ...] = ("y",)
    """The entries of a batch that `report` gets: of one its array, of several a dictionary."""

    report_every: int = 1
    """Of how many evaluations during training one has a report; the others have the means alone. The last one has it."""

    def report(self, outputs: Any, targets: Any) -> dict[str, Any]:
        """On the host, over a whole split: numbers that are no means, and what is shown (`jaxdl.reports`)."""
        return {}

    def check(self, targets: Any) -> None:
        """Raise ValueError for targets of a split that the task cannot train on."""

    def notes(self, data: "Data", outputs: Callable[[], Any]) -> tuple[str, ...]:
        """Sentences to print before a training; `outputs` gives the shapes of what is predicted for a batch."""
        return ()

    def check_inputs(self, x: Any) -> None:
        """Raise ValueError for inputs (some of a split, as the model reads them) that the task cannot train on."""

    def check_tokens(self, tokens: Any) -> None:
        """Raise ValueError for inputs to predict for that are no tokens of the model."""


class Data:
    """Where batches come from: the base of every data set.

    A set of one's own has `batch` and `splits` ("train" and any of "validation", "test" -> arrays by name, all of one length) and
    defines `train_batch`; the rest has defaults for a set in memory. See `jaxdl/data/source.py`.
    """

    batch: int
    splits: Mapping[str, Mapping[str, Any]]
    name: str = ""
    """What the report calls the set."""
    split: str = ""
    """One sentence on how the splits were made."""
    classes: tuple[str, ...] = ()
    """Names of the classes."""
    columns: tuple[str, ...] = ()
    """Names of the columns of a table or a series."""
    maximum: float | None = None
    """The largest raw input value, such as 255; None: any."""
    resident: bool = True
    """Whether a source is the whole training split, which then stays on the device."""
    by_row: bool = False
    """Whether the arrays of a source have the axes (step, row, ...), so that a mesh can cut them by rows."""
    tokenizers: Mapping[str, Any] = MappingProxyType({})
    """name -> tokenizer, kept in the run folder."""

    def notes_on(self, split: str) -> tuple[str, ...]:
        """Sentences on a split that a reader of its results should know, such as classes that training never saw."""
        return ()

    def source(self, start: int, stop: int, seed: int) -> Mapping[str, Any]:
        """The host arrays that draws `start` … `stop`-1 read from."""
        return self.splits["train"]

    def span(self, draw: int) -> int:
        """How many draws from `draw` on one source may serve."""
        return sys.maxsize

    def train_batch(self, source: Mapping[str, Array], seed: Any, draw: Any) -> Batch:
        """The raw batch of a draw, picked from a source inside the compiled program: a pure function of (seed, draw)."""
        raise NotImplementedError(f"{type(self).__name__} has no train_batch")  # not needed for evaluation alone

    def prepare(self, batch: Batch) -> Batch:
        """Raw batch -> floats; inside the compiled program, before augmentation."""
        return batch

    def standardise(self, batch: Batch) -> Batch:
        """The last step before the model, after augmentation."""
        return batch

    def fingerprint(self) -> str:
        """A hash of the files that are read while training; "" where `splits` hold all there is."""
        return ""

    def size(self, split: str) -> int:
        """Number of examples of a split."""
        if split not in self.splits:
            raise UserError(f"split = {split!r} is not one of {', '.join(self.splits)}")
        return len(next(iter(self.splits[split].values())))

    @property
    def steps_per_epoch(self) -> int:
        """Steps that read each training example about once (exactly once where the batch divides the set)."""
        return max(1, self.size("train") // self.batch)

    def example(self) -> Batch:
        """One raw batch of zeros, for shapes."""
        zeros = {k: np.zeros((self.batch, *v.shape[1:]), v.dtype) for k, v in self.splits["train"].items()}
        return {**zeros, "mask": np.ones(self.batch, np.float32)}

    def blank_source(self) -> Mapping[str, Any]:
        """A source for shapes; sets that read files give zeros."""
        return self.source(0, 1, 0)

    def eval_sources(self, split: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """(number of batches, arrays) one after another, in the stored order."""
        yield -(-self.size(split) // self.batch), self.splits[split]

    def eval_batch(self, source: Mapping[str, Array], index: Any) -> Batch:
        """Batch `index` of a source; rows past the end repeat the last one with mask 0."""
        size = len(next(iter(source.values())))
        rows = index * self.batch + jnp.arange(self.batch, dtype=jnp.int32)
        gathered = {key: jnp.take(value, jnp.minimum(rows, size - 1), axis=0) for key, value in source.items()}
        return {**gathered, "mask": (rows < size).astype(jnp.float32)}

    def inputs(self) -> Any:
        """A batch of zeros in the form that predictions are made for."""
        return self.example()["x"]

    def as_inputs(self, x: Any) -> Any:
        """What a caller gives to predict for, as an array of the training data's kind."""
        return np.asarray(x)

    def read(self, path: Any) -> dict[str, Any]:
        """A file as inputs to predict for, `{"x": ...}`."""
        raise UserError(f"{self.name or type(self).__name__} cannot read {path}: give arrays (.npy, .npz)")

    def encode(self, texts: Sequence[str]) -> Any:
        """Texts as inputs to predict for."""
        raise UserError(f"inputs must be numbers like the training data's ({self.inputs().dtype}), got text")

    def decode(self, outputs: Any) -> dict[str, list[str]]:
        """What a person reads of predictions: `{"text": [...]}`."""
        return {}

    merged: tuple[str, ...] = ()  # columns that are held less a constant, because float32 would merge their values

    def in_units(self, values: Any) -> Any:
        """Predictions or targets of a device in the unit of the data's source, in 64 bits where 32 are too few."""
        return values

    def words(self, tokens: Any) -> list[str]:
        """Tokens as a person reads them."""
        return [str(token) for token in tokens]

    def close(self) -> None:
        """End what the set started: processes that decode."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Best:
    """What early stopping remembers: the best value so far, when, and the weights to go back to."""

    value: Array
    step: Array
    wait: Array
    stopped: Array
    weights: Variables


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class TrainState:
    """Everything that a training run is at one step, as one tree: what a checkpoint holds, and nothing else matters."""

    step: Array
    params: Params
    model_state: ModelState
    opt_state: dict[str, Any]
    ema: Params | None
    key: Key
    bad: Array  # steps in a row whose loss or gradient was not finite; such a step changes nothing
    skipped: Array  # all of them since the start
    metrics: Metrics  # sums and weights since the last line of the log
    best: Best | None

    def replace(self, **changes: Any) -> "TrainState":
        return replace(self, **changes)
