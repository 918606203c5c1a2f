"""What an experiment is: a function of its knobs that returns one frozen description of a run.

def config(*, lr: float = 1e-3, seed: int = 0) -> Experiment: ...

train(config, lr=3e-3)          in a notebook; `python -m experiments.<name> --lr 3e-3` does the same
"""

import hashlib
import importlib.util
import os
import sys
import traceback
import typing
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
import optax
from jax.core import Tracer

from jaxdl import formats, optim, shipped
from jaxdl.counts import check_count, check_numbers
from jaxdl.engine import average
from jaxdl.engine.stopping import EarlyStopping, direction, directions, watches_only
from jaxdl.moved import moved_name
from jaxdl.tasks.forward import check_function
from jaxdl.types import Augment, Data, Metrics, Task, TrainState, UserError, Variables


@dataclass(frozen=True)
class Experiment:
    """The description of one run, made of objects. Float fields may be traced values.

    Args:
        data: where batches come from (`jaxdl.data`).
        task: what is learned (`jaxdl.tasks`), holding the model.
        optimizer: an optax transformation, or a dictionary by the names that the task's phases use.
        steps: number of updates.
        augment: pure functions (key, batch) -> batch, in order, inside the compiled step.
        eval_every: steps between evaluations on the validation split; None: an epoch.
        stop: early stopping; None: train to the end and keep the last weights.
        seed: seed of initialization, data order, augmentation and dropout; never of the split of the data.
        data_seed: seed of the data order alone; None: `seed`.
        precision: precision of the computation in training, evaluation, prediction and export; parameters, statistics, the
            optimizer state, metrics and predictions stay float32.
        remat: recompute activations in the backward pass instead of storing them.
        accumulate: number of micro-batches per step; it changes memory, not results.
        ema: decay of an exponential moving average of the parameters and their statistics (of a GAN: the generator's),
            which is evaluated instead of the raw weights (`jaxdl/engine/average.py`); None: no average.
        init_from: a run folder, or a folder of imported weights, that this run starts from (`jaxdl/runs/weights.py`).
        fresh: regular expressions of parameters that are initialised anew nevertheless; a head of another shape always is.
        rules: path rules of the model's family for tensor parallelism.
        callbacks: functions called with every line of the log; they may end the run (`jaxdl/engine/callbacks.py`).
        follows: the format of the run that is loaded (`jaxdl/formats.py`); the newest for a new run.
    """

    data: Any
    task: Task
    optimizer: optax.GradientTransformation | Mapping[str, optax.GradientTransformation]
    steps: int
    augment: tuple[Augment, ...] = ()
    eval_every: int | None = None
    stop: EarlyStopping | None = None
    seed: Any = 0
    data_seed: int | None = None
    precision: Literal["float32", "bfloat16"] = "float32"
    remat: bool = False
    accumulate: int = 1
    ema: float | None = None
    init_from: str | None = None
    fresh: tuple[str, ...] = ()
    rules: tuple[Any, ...] = ()
    callbacks: tuple[Callable[[Any], Any], ...] = ()
    follows: formats.Rules = field(default_factory=formats.current, repr=False)

    def __post_init__(self) -> None:
        for name, value, kind in (("data", self.data, Data), ("task", self.task, Task)):
            if not isinstance(value, kind):
                raise UserError(
                    f"{name} must be a jaxdl.types.{kind.__name__}, got {type(value).__name__}: make it a subclass"
                )
        for name in ("steps", "eval_every", "accumulate"):
            if not isinstance(getattr(self, name), Tracer):
                check_count(name, getattr(self, name))
        if not isinstance(self.augment, tuple | list):
            raise UserError(f"augment = {self.augment!r} must be a tuple of functions (key, batch) -> batch")
        for augment in self.augment:
            check_function("augment", augment, 2)
        if self.stop is not None and not isinstance(self.stop, EarlyStopping):
            raise UserError(f"stop = {self.stop!r} must be an EarlyStopping(...) or None")
        for phase in self.task.phases:
            check_count("repeats", phase.repeats)
        for optimizer in self.optimizers.values():
            if not (hasattr(optimizer, "init") and hasattr(optimizer, "update")):
                raise UserError(
                    f"optimizer = {optimizer!r} must be an optax transformation, such as jaxdl.optim.adam(1e-3)"
                )
        for name in ("seed", "data_seed"):
            check_seed(name, getattr(self, name))
        if self.data.batch % self.accumulate:
            raise UserError(f"accumulate = {self.accumulate} must divide the batch of {self.data.batch}")
        if not isinstance(self.callbacks, tuple | list):
            raise ExperimentError(f"callbacks = {self.callbacks!r} must be a tuple of functions that take an event")
        for callback in self.callbacks:
            if not callable(callback):
                raise UserError(
                    f"callbacks = {self.callbacks!r} must be functions that take an event, got {callback!r}"
                )
        if self.precision not in ("float32", "bfloat16"):
            raise UserError(f"precision = {self.precision!r} must be 'float32' or 'bfloat16'")
        check_numbers(-np.inf, ema=self.ema)
        if isinstance(self.ema, int | float) and not 0 <= self.ema < 1:
            raise UserError(f"ema = {self.ema} is a decay: 0 <= ema < 1, such as 0.999")
        if self.follows.format == 1 or self.stop is None:
            return
        _ = self.select  # a metric whose direction nobody states is refused here
        if "validation" not in self.data.splits and not watches_only(self.stop):
            raise UserError(
                f"stop = EarlyStopping(...) needs a validation split, and {self.data.name or 'the data'} has none: it has "
                f"{', '.join(self.data.splits)}; give it one, or stop=None"
            )

    @property
    def optimizers(self) -> Mapping[str, optax.GradientTransformation]:
        return self.optimizer if isinstance(self.optimizer, Mapping) else {"": self.optimizer}

    @property
    def evaluation_step(self) -> int:
        return self.eval_every or self.data.steps_per_epoch

    @property
    def select(self) -> tuple[str, str]:
        """The metric that chooses the best checkpoint, and its direction."""
        if self.follows.select is not None:
            return self.follows.select
        name, mode = self.task.metric
        if self.stop is not None and self.stop.metric not in (None, name):
            name, mode = self.stop.metric, self.stop.mode or direction(self.stop.metric, directions(self.task))
        return name, (self.stop.mode or mode) if self.stop is not None else mode

    def eval_weights(self, state: TrainState) -> Variables:
        """Return the (params, model_state) that evaluation, early stopping and the best checkpoint use."""
        if state.ema is not None:
            return average.evaluated(self, state)
        if list(state.opt_state) == [""]:
            return optim.evaluation_params(state.opt_state[""], state.params), state.model_state
        return state.params, state.model_state

    def monitor(self, state: TrainState) -> Metrics:
        """Return what the log shows besides the metrics of the task: the learning rate of each optimizer."""
        shown = {}
        for name, opt_state in state.opt_state.items():
            rate = optim.current_learning_rate(opt_state)
            if rate is not None:
                shown[f"{name}_learning_rate" if name else "learning_rate"] = (
                    jax.numpy.float32(rate),
                    jax.numpy.float32(1),
                )
        return shown


RECORDED = ("eval_every", "precision", "remat", "accumulate", "ema", "init_from", "data_seed")
"""Fields of an Experiment that every experiment takes as flags. They change results, so a resume must repeat them."""


def experiment(config: Callable[..., Experiment]) -> Callable[..., Experiment]:
    """Return the function unchanged: experiment files written for jaxdl 0.1 decorate `config` with this."""
    return config


def check_seed(name: str, value: Any) -> None:
    """UserError for a seed that is no whole number or does not fit into 32 bits, in which a program would wrap it around."""
    if isinstance(value, jax.Array) or np.ndim(value):
        return
    check_count(name, value, -(2**63))
    if value is not None and not 0 <= value < 2**31:
        raise UserError(f"{name} = {value} must be between 0 and {2**31 - 1}")


class ExperimentError(UserError):
    """A mistake in an experiment file or in how it is called: reported in one line, exit code 2."""


class Unguarded(ExperimentError):
    """An experiment file that trains or loads while it is executed to get its `config`."""


_reading: ContextVar[tuple[Path, Path] | None] = ContextVar("reading", default=None)


def refuse_while_reading(call: str) -> None:
    """Raise `Unguarded` if an experiment file calls this while it is executed for its `config`, which would recurse forever."""
    if (reading := _reading.get()) is None:
        return
    path, source = reading
    frames = [f for f in traceback.extract_stack() if os.path.abspath(f.filename) == os.path.abspath(path)]
    raise Unguarded(
        f"{source}:{frames[-1].lineno if frames else '?'} calls {call} while the file is read for its config: put the calls "
        'under `if __name__ == "__main__":`'
    )


def of_main(path: Path, source: Path) -> Callable[..., Experiment] | None:
    """Return `config` of the running script if it is the requested file, which then need not be executed again."""
    script = sys.modules.get("__main__")
    file, config = getattr(script, "__file__", None), getattr(script, "config", None)
    if file is None or not callable(config) or not os.path.isfile(file):
        return None
    same = any(os.path.realpath(file) == os.path.realpath(one) for one in (path, source))
    mine = same and Path(file).read_bytes() == path.read_bytes()
    return typing.cast(Callable[..., Experiment], config) if mine else None


def load_config(path: str | Path, *, beside: str | None = None) -> Callable[..., Experiment]:
    """Return the `config` of an experiment, given its file or its name (`shipped.locate`). The file is executed.

    It may import modules from its own folder (or that of `beside`).
    """
    path = shipped.locate(path)
    if not path.is_file():
        raise ExperimentError(f"no experiment file {path}" + did_you_mean(path))
    source = Path(beside) if beside and Path(beside).is_file() else path
    running = of_main(path, source)
    if running is not None:
        return running
    name = f"jaxdl_experiment_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ExperimentError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickling look modules up
    folder = str(Path(beside or path).resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)  # at the end: a file here never hides a library
    token = _reading.set((path, source))
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        if isinstance(error, Unguarded):
            raise
        line = line_in(path, error)
        raise ExperimentError(f"{path}{f':{line}' if line else ''} raises {type(error).__name__}: {error}") from error
    finally:
        _reading.reset(token)
    config = getattr(module, "config", None)
    if not callable(config):
        raise ExperimentError(f"{path} has no function `config`: write `def config(*, lr: float = 1e-3) -> Experiment`")
    return typing.cast(Callable[..., Experiment], config)


def line_in(path: str | Path, error: BaseException) -> int | str:
    """Return the innermost line of a file that an exception passed through; "" if there is none."""
    if isinstance(error, SyntaxError) and error.filename and os.path.abspath(error.filename) == os.path.abspath(path):
        return error.lineno or ""
    frames = [
        f for f in traceback.extract_tb(error.__traceback__) if os.path.abspath(f.filename) == os.path.abspath(path)
    ]
    return frames[-1].lineno or "" if frames else ""


def did_you_mean(path: Path) -> str:
    """' (did you mean ...)' from the files beside a path that does not exist, or from the experiments that have names."""
    import difflib

    folder = path.parent if path.parent.is_dir() else Path()
    files: dict[str, Any] = {file.stem: file for file in shipped.files(folder)}
    if path.parent == Path() or not path.parent.is_dir():
        files = {file.stem: file.stem for folder in shipped.folders() for file in shipped.files(folder)} | files
    close = difflib.get_close_matches(path.stem, files, n=1, cutoff=0.75)
    if close:
        return f" (did you mean {files[close[0]]}?)"
    return "; `python -m jaxdl list` shows those that have names" if path.parent == Path() and not path.suffix else ""


def override_types() -> dict[str, Any]:
    hints = typing.get_type_hints(Experiment)
    return {f.name: hints[f.name] for f in fields(Experiment) if f.name in RECORDED}


def __getattr__(name: str) -> Any:
    return moved_name(__name__, name)
