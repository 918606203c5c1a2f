"""An experiment and its program: what every command starts from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.experiment import Experiment
from jaxdl.fingerprint import fingerprint
from jaxdl.train import average
from jaxdl.train.parallel import Plan
from jaxdl.train.program import Program, candidates, problem_of, traceable
from jaxdl.train.step import select
from jaxdl.types import TrainState, Variables


@dataclass(frozen=True)
class Prepared:
    """An experiment and its program: what can be initialised, trained, evaluated and asked."""

    experiment: Experiment
    program: Program
    traced: Mapping[str, np.generic]

    @property
    def shapes(self) -> TrainState:
        return self.program.shapes

    def predict(self, weights: Variables, x: Any, **more: Any) -> Any:
        """The task's predictions for raw inputs `x` (like the training data's: images as uint8), of any number.

        Texts are encoded where the data can: `data.encode(texts)` gives `x`; `data.decode(outputs)` adds what a person reads
        (`text`) to a dictionary of outputs.
        """
        data = self.experiment.data
        if isinstance(x, str) or (isinstance(x, (list, tuple)) and x and all(isinstance(one, str) for one in x)):
            return self.predict_texts(weights, x, **more)
        x = np.asarray(x)
        like = data.inputs() if hasattr(data, "inputs") else data.example()["x"]
        if not x.size:
            raise ValueError(f"there are no inputs to predict for: their shape is {x.shape}")
        if x.ndim == like.ndim - 1:
            return jax.tree.map(lambda a: a[0], self.predict(weights, x[None], **more))
        if x.shape[1:] != like.shape[1:]:
            raise ValueError(f"inputs have shape {x.shape[1:]} each, the model was trained on {like.shape[1:]}")
        check_values(x, like.dtype, getattr(data, "maximum", None))
        if hasattr(self.experiment.task, "check_tokens"):
            self.experiment.task.check_tokens(x)
        parts = []
        for start in range(0, max(1, len(x)), data.batch):
            part = x[start : start + data.batch]
            rows = np.minimum(np.arange(data.batch), max(len(part) - 1, 0))
            batch = {"x": part[rows].astype(like.dtype), "mask": (np.arange(data.batch) < len(part)).astype(np.float32)}
            out = jax.device_get(self.program.predict(dict(self.traced), weights, batch))
            parts.append(jax.tree.map(lambda a, n=len(part): a[:n], out))
        return jax.tree.map(lambda *a: np.concatenate(a), *parts)

    def predict_texts(self, weights: Variables, texts: str | Sequence[str], **more: Any) -> Any:
        """`predict` for one text or several."""
        data = self.experiment.data
        if not hasattr(data, "encode"):
            raise ValueError(f"inputs must be numbers like the training data's ({data.example()['x'].dtype}), got text")
        one = isinstance(texts, str)
        outputs = self.predict(weights, data.encode([texts] if one else list(texts)), **more)
        if hasattr(data, "decode") and isinstance(outputs, dict):
            outputs = {**outputs, **data.decode(outputs)}
        return jax.tree.map(lambda a: a[0], outputs, is_leaf=lambda a: isinstance(a, list)) if one else outputs

    def with_weights(self, state: TrainState, weights: Variables) -> TrainState:
        """A first state that begins with given weights (of the host); the optimizer knows them, too.

        For some optimizers keep a copy of the parameters (schedule-free, look-ahead).
        """
        plan, program = self.program.plan, self.program

        def begin(knobs: Any, weights: Variables) -> Any:
            built, (params, model_state) = program.build(knobs), jax.tree.map(jnp.copy, weights)
            phases = built.task.phases
            opt_state = {p.optimizer: built.optimizers[p.optimizer].init(select(params, p.params)) for p in phases}
            ema = average.start(built, params, model_state)
            return {"params": params, "model_state": model_state, "opt_state": opt_state, "ema": ema}

        kept = {name: getattr(self.shapes, name) for name in ("params", "model_state", "opt_state", "ema")}
        out = jax.tree.map(lambda a: a.sharding, kept) if plan.sharded else None
        old = (state.params, state.model_state)
        placed = jax.tree.map(
            lambda a, b: jax.make_array_from_callback(b.shape, b.sharding, lambda i: a[i]), weights, old
        )
        return state.replace(**plan.compile(begin, out=out)(dict(self.traced), placed))


def check_values(x: np.ndarray, dtype: np.dtype, maximum: float | None = None) -> None:
    """`ValueError` where raw inputs are not the values that the data set has: a cast would change them unseen."""
    if x.dtype.kind not in "buif":
        raise ValueError(f"inputs must be numbers like the training data's ({dtype}), got {x.dtype}")
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        raise ValueError("inputs must be finite: there is a NaN or an infinity among them")
    low, high = x.min(), x.max()
    if dtype.kind in "ui":
        if x.dtype.kind == "f" and (x != np.floor(x)).any():
            raise ValueError(
                f"inputs must be whole numbers like the training data's ({dtype}), got {x[x != np.floor(x)][0]}"
            )
        if maximum is not None and (low < 0 or high > maximum):
            beyond = f"reach {high:g}" if high > maximum else f"begin at {low:g}"
            raise ValueError(f"values {beyond}, this set's go from 0 to {maximum:g}")
    elif maximum is not None and x.dtype.kind in "ui" and high > maximum:
        raise ValueError(f"values reach {high:g}, this set's go from 0 to {maximum:g}")
    if dtype.kind in "uif":
        limits = np.finfo(dtype) if dtype.kind == "f" else np.iinfo(dtype)
        if low < limits.min or high > limits.max:
            raise ValueError(f"inputs from {low:g} to {high:g} do not fit the training data's {dtype}")


_programs: dict[Any, tuple[Prepared, list[Any]]] = {}


def prepare(exp: Experiment, plan: Plan = Plan()) -> Prepared:
    """The program of an experiment; one per set of static knobs, so that another learning rate compiles nothing."""
    origin = exp.origin
    if origin is None:  # built by hand: its numbers are constants of the program
        return Prepared(exp, Program(lambda knobs: exp, exp.data, {}, plan), {})
    wanted = candidates(origin.knobs)
    marked, kept = fingerprint(origin.config, exp.data)
    static = {name: value for name, value in origin.knobs.items() if name not in wanted}
    key = (
        plan,
        marked,
        repr(sorted(static.items())),
        repr(sorted(origin.overrides.items())),
        tuple(origin.knobs),
        origin.rules,
    )
    if key in _programs:
        cached, _ = _programs[key]
        values = {name: wanted[name] for name in cached.traced}
        fixed = {name: value for name, value in origin.knobs.items() if name not in values}
        if fixed == {name: value for name, value in cached.experiment.origin.knobs.items() if name not in values}:
            return Prepared(replace(exp, data=cached.program.data), cached.program, values)
    program, traced = first_program(exp, wanted, plan)
    prepared = Prepared(exp, program, traced)
    _programs[key] = prepared, kept
    if len(_programs) > 16:
        del _programs[next(iter(_programs))]
    return prepared


def first_program(exp: Experiment, wanted: Mapping[str, np.generic], plan: Plan) -> tuple[Program, Mapping[str, Any]]:
    """The program with all knobs traced that can be: most often all floats and the seed, found by the trace it needs anyway."""
    program = Program(exp.origin.build, exp.data, wanted, plan)
    if not problem_of(program, exp):
        return program, wanted
    traced, _ = traceable(exp, exp.origin.knobs)
    program = Program(exp.origin.build, exp.data, traced, plan)
    _ = program.shapes  # what is wrong with the experiment itself is told here
    return program, traced
