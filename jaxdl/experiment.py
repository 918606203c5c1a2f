"""What an experiment is: a function of its knobs that returns one frozen description of a run.

@experiment
def config(*, lr: float = 1e-3, seed: int = 0) -> Experiment: ...

train(config(lr=3e-3))          in a notebook; `python -m experiments.<name> --lr 3e-3` does the same
"""

import hashlib
import importlib.util
import inspect
import os
import sys
import traceback
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import wraps
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
import optax

from jaxdl import optim, shipped
from jaxdl.data import tokenizers
from jaxdl.train.stopping import EarlyStopping, direction
from jaxdl.types import Augment, Metrics, Params, Task, TrainState


@dataclass(frozen=True)
class Origin:
    """Which function made an experiment, from which values: what a trace, a resume and a sweep call again.

    `home` is the run folder that it is loaded from, whose tokenizers it uses.
    """

    config: Callable[..., "Experiment"]
    knobs: Mapping[str, Any]
    overrides: Mapping[str, Any] = field(default_factory=dict)
    home: Path | None = None

    def build(self, knobs: Mapping[str, Any]) -> "Experiment":
        with tokenizers.at_home(self.home):
            exp = self.config(**{**self.knobs, **knobs})
        return replace(exp, **self.overrides) if self.overrides else exp


@dataclass(frozen=True)
class Experiment:
    """One run, as real objects. Float fields may be traced values: nothing here branches on them.

    Args:
        data: where batches come from (`jaxdl.data`).
        task: what is learned (`jaxdl.tasks`), holding the model.
        optimizer: an optax transformation, or a dictionary by the names that the task's phases use.
        steps: how many updates.
        augment: pure functions (key, batch) -> batch, in order, inside the compiled step.
        eval_every: steps between evaluations on the validation split; None: an epoch.
        stop: early stopping; None: train to the end and keep the last weights.
        seed: initialization, data order, augmentation and dropout; never the split of the data.
        data_seed: the order of the data alone; None: `seed`.
        precision: of the computation; parameters, statistics and the optimizer stay float32.
        remat: recompute activations in the backward pass instead of storing them.
        accumulate: micro-batches a step is cut into (memory, not results).
        ema: decay of an exponential moving average of the parameters (of a GAN: the generator's), which is then what is
            evaluated; None: none.
        init_from: a run folder, or a folder of imported weights, that this run starts from (`jaxdl/transfer.py`).
        fresh: patterns of parameters that start afresh all the same; a head of another shape does so by itself.
        rules: path rules for tensor parallelism, of the model's family.
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
    origin: Origin | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        for name, least in (("steps", 1), ("eval_every", 1), ("accumulate", 1)):
            value = getattr(self, name)
            if isinstance(value, int) and value < least:
                raise ValueError(f"{name} = {value} must be {least} or more")
        for name in ("seed", "data_seed"):
            check_seed(name, getattr(self, name))
        if self.data.batch % self.accumulate:
            raise ValueError(f"accumulate = {self.accumulate} must divide the batch of {self.data.batch}")
        if self.precision not in ("float32", "bfloat16"):
            raise ValueError(f"precision = {self.precision!r} must be 'float32' or 'bfloat16'")
        if isinstance(self.ema, float) and not 0 <= self.ema < 1:
            raise ValueError(f"ema = {self.ema} is a decay: 0 <= ema < 1, such as 0.999")

    @property
    def optimizers(self) -> Mapping[str, optax.GradientTransformation]:
        return self.optimizer if isinstance(self.optimizer, Mapping) else {"": self.optimizer}

    @property
    def evaluation_step(self) -> int:
        return self.eval_every or self.data.steps_per_epoch

    @property
    def select(self) -> tuple[str, str]:
        """The metric that chooses the best checkpoint, and its direction."""
        if self.stop is None or self.stop.metric is None:
            name, mode = self.task.metric
        else:
            name, mode = self.stop.metric, direction(self.stop.metric, self.task.metric)
        return name, (self.stop.mode or mode) if self.stop is not None else mode

    def eval_params(self, state: TrainState) -> Params:
        """The parameters that are evaluated, stopped on and saved as best: averaged ones where there are any."""
        if state.ema is not None:
            return state.ema
        if list(state.opt_state) == [""]:
            return optim.evaluation_params(state.opt_state[""], state.params)
        return state.params

    def monitor(self, state: TrainState) -> Metrics:
        """What the log shows of a state beside the task's own metrics: the learning rate of each optimizer."""
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
"""Fields of an Experiment that are flags of every experiment: they change numbers, so a resume must repeat them."""


def experiment(config: Callable[..., Experiment]) -> Callable[..., Experiment]:
    """Decorator of `config`: the Experiment it returns knows the function and the values it came from.

    So `train(config(lr=3e-3))` runs exactly what the command line runs: the same program, the same bits.
    """
    if hasattr(config, "plain"):
        return config
    signature = inspect.signature(config)

    @wraps(config)
    def remembered(**knobs: Any) -> Experiment:
        knobs = {name: value.item() if isinstance(value, np.generic) else value for name, value in knobs.items()}
        check_seed("seed", knobs.get("seed"))
        bound = signature.bind(**knobs)
        bound.apply_defaults()
        exp = config(**knobs)
        if not isinstance(exp, Experiment):
            file = inspect.getsourcefile(config) or config.__module__
            raise TypeError(f"{file}: {config.__name__} must return an Experiment, got {type(exp).__name__}")
        return replace(exp, origin=Origin(config, dict(bound.arguments), home=tokenizers.home()))

    remembered.plain = config  # pyright: ignore[reportAttributeAccessIssue]  (a function has no declared attributes)
    return remembered


def check_seed(name: str, value: Any) -> None:
    """Seeds are 32-bit numbers in a program, which would wrap around without a word."""
    if type(value) is int and not 0 <= value < 2**31:
        raise ValueError(f"{name} = {value} must be between 0 and {2**31 - 1}")


class ExperimentError(Exception):
    """A mistake in an experiment file or in how it is called: one line for the person, exit code 2."""


def load_config(path: str | Path, *, beside: str | None = None) -> Callable[..., Experiment]:
    """The `config` of an experiment file, from anywhere, or of an experiment by its name (`shipped.locate`).

    The file may import what lies in its folder (or that of `beside`).
    """
    path = shipped.locate(path)
    if not path.is_file():
        raise ExperimentError(f"no experiment file {path}" + nearest(path))
    name = f"jaxdl_experiment_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ExperimentError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickling look modules up
    folder = str(Path(beside or path).resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)  # at the end: a file here never hides a library
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        line = line_in(path, error)
        raise ExperimentError(f"{path}{f':{line}' if line else ''} raises {type(error).__name__}: {error}") from error
    config = getattr(module, "config", None)
    if not callable(config):
        raise ExperimentError(f"{path} has no function `config`: write `def config(*, lr: float = 1e-3) -> Experiment`")
    return experiment(typing.cast(Callable[..., Experiment], config))


def line_in(path: str | Path, error: BaseException) -> int | str:
    """The line of a file where an exception arose, the innermost; "" if it did not pass through it."""
    if isinstance(error, SyntaxError) and error.filename and os.path.abspath(error.filename) == os.path.abspath(path):
        return error.lineno or ""
    frames = [
        f for f in traceback.extract_tb(error.__traceback__) if os.path.abspath(f.filename) == os.path.abspath(path)
    ]
    return frames[-1].lineno or "" if frames else ""


def nearest(path: Path) -> str:
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


def main(config: Callable[..., Experiment]) -> None:
    """The last line of an experiment file: its command line, with the knobs of `config` as flags."""
    from jaxdl.commands import train

    train.main(config)
