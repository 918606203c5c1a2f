"""Populations: runs of one experiment that differ in traced knobs, trained by one program.

`jax.vmap` is applied to `config(**knobs)`: the state, the data order and every schedule get a leading member axis. A member
equals the same run trained alone up to rounding. A member that stops or diverges does not affect the others.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from jaxdl.engine.callbacks import Callbacks
from jaxdl.engine.evaluate import Evaluation, evaluate_members
from jaxdl.engine.loop import Events, Limits, Outcome, chosen_weights, fit
from jaxdl.engine.parallel import Plan
from jaxdl.engine.program import Program
from jaxdl.engine.stopping import NEVER, EarlyStopping
from jaxdl.engine.traced import Members, candidates
from jaxdl.record.checkpoint import Checkpoints
from jaxdl.types import TrainState

MODES = ("together", "in turn")


@dataclass(frozen=True)
class Group:
    """The members that one program trains. They differ in traced knobs only.

    exp: the first member's experiment, for everything that is the same for all.
    build: knobs -> Experiment, called inside the trace.
    members: the index of each member in the sweep's own order.
    knobs: traced knob -> its values, one a member.
    """

    exp: Any
    build: Callable[[Mapping[str, Any]], Any]
    members: tuple[int, ...]
    knobs: Mapping[str, np.ndarray]

    @classmethod
    def make(
        cls,
        exp: Any,
        build: Callable[[Mapping[str, Any]], Any],
        members: Sequence[int],
        points: Sequence[Mapping[str, Any]],
        traced: Sequence[str],
    ) -> "Group":
        """The group of `members`, indices into `points`, in the types that their knobs have in a single run."""
        rows = [candidates(points[i]) for i in members]
        return cls(exp, build, tuple(members), {name: np.stack([row[name] for row in rows]) for name in traced})

    def keep(self, members: Sequence[int]) -> "Group":
        """The group of some of its members."""
        index = np.asarray([self.members.index(i) for i in members])
        return replace(self, members=tuple(members), knobs={name: values[index] for name, values in self.knobs.items()})


def group(
    points: Sequence[Mapping[str, Any]], traced: Sequence[str] | None = None
) -> list[tuple[dict[str, Any], list[int]]]:
    """(static knobs, members) of as few programs as there are different values of the knobs that are not traced.

    `traced` None: all floats, and the seed.

    >>> group([{"lr": 0.1, "width": 8}, {"lr": 0.2, "width": 8}, {"lr": 0.1, "width": 16}])
    [({'width': 8}, [0, 1]), ({'width': 16}, [2])]
    """
    groups: dict[str, tuple[dict[str, Any], list[int]]] = {}
    for i, point in enumerate(points):
        free = candidates(point) if traced is None else traced
        static = {name: value for name, value in point.items() if name not in free}
        groups.setdefault(repr(sorted(static.items())), (static, []))[1].append(i)
    return list(groups.values())


def with_best(exp: Any) -> Any:
    """Return the experiment with early stopping's best weights in its state, even if it never stops early."""
    return replace(exp, stop=exp.stop or EarlyStopping(patience=NEVER, restore_best=False))


@dataclass(frozen=True)
class Spread(Plan):
    """A plan that spreads the members over `count` devices; each device holds whole members and all of the data."""

    count: int = 1

    @cached_property
    def mesh(self) -> Mesh:
        return Mesh(np.asarray(jax.devices()[: self.count]), ("members",))

    @property
    def sharded(self) -> bool:
        return True

    def constrain(self, batch: Any) -> Any:
        return batch

    def shardings(self, shapes: Any) -> Any:
        return jax.tree.map(lambda _: self.named("members"), shapes)

    def compile(self, function: Callable[..., Any], *, donate: int | None = None, out: Any = None) -> Any:
        return super().compile(function, donate=donate, out=self.named("members") if out is None else out)


class Population:
    """The members of a group, with their program.

    Args:
        group: the members.
        devices: number of devices that share the members. If they do not divide evenly, the last member fills the free rows.
        mode: "together" (vmap), "in turn" (one member after the other in one compiled program), or None: on a CPU the faster of
            the two, measured once (`timings`); elsewhere "together".
    """

    def __init__(self, group: Group, devices: int = 1, mode: str | None = None):
        self.group, self.devices = group, devices
        self.exp = with_best(group.exp)
        self.size = len(group.members)
        each = -(-self.size // min(devices, self.size))
        count = -(-self.size // each)
        self.plan = Spread(count=count) if count > 1 else Plan()
        self.rows = np.minimum(np.arange(each * count), self.size - 1)
        self.knobs = {name: values[self.rows] for name, values in group.knobs.items()}
        self.timings: dict[str, float] = {}
        if mode is None and each == 1:
            mode = "in turn"
        elif mode is None and jax.default_backend() != "cpu":
            mode = "together"
        self.program = self._program(mode) if mode else self._fastest()

    @property
    def mode(self) -> str:
        return self.program.members.mode

    def _program(self, mode: str) -> Program:
        build, members = self.group.build, Members(mode, self.plan.mesh)
        return Program(self.exp, lambda knobs: with_best(build(knobs)), self.knobs, self.plan, members)

    def _fastest(self, seconds: float = 0.15, most: int = 1024) -> Program:
        """Time both modes from the initial state, doubling the steps until they take `seconds`, and return the faster program.

        The compiled programs are reused.
        """
        programs = {mode: self._program(mode) for mode in MODES}
        source = self.exp.data.source(0, 1, 0)
        for mode, program in programs.items():
            state, placed = program.init(), program.place(source)
            state, view = program.chunk(state, placed, np.int32(0), np.int32(NEVER))
            jax.block_until_ready(view)
            steps, took = 1, 0.0
            while took < seconds and steps <= most:
                began = time.perf_counter()
                state, view = program.chunk(state, placed, np.int32(steps), np.int32(NEVER))
                jax.block_until_ready(view)
                took = time.perf_counter() - began
                self.timings[mode] = took / steps
                steps *= 2
        return programs[min(self.timings, key=self.timings.__getitem__)]

    def init(self) -> TrainState:
        return self.program.init()

    def fit(
        self,
        state: TrainState,
        events: Events,
        checkpoints: Checkpoints | None,
        limits: Limits,
        callbacks: Callbacks | None = None,
    ) -> Outcome:
        told = OfMembers(self, events, checkpoints)
        saved = None if checkpoints is None else told
        return fit(self.program, state, events=told, checkpoints=saved, callbacks=callbacks, limits=limits)

    def evaluate(self, state: TrainState, split: str) -> list[Evaluation]:
        """Evaluate every member with its chosen weights (`chosen_weights`)."""
        weights = chosen_weights(self.program, state)
        return evaluate_members(self.program, weights, split)[: self.size]

    def keep(self, state: TrainState, members: Sequence[int]) -> tuple["Population", TrainState]:
        """Return the population of some of the members, with their states."""
        index = np.asarray([self.group.members.index(i) for i in members])
        smaller = Population(self.group.keep(members), self.devices, self.mode)
        return smaller, smaller.placed(jax.tree.map(lambda a: a[index], state))

    def restore(self, checkpoints: Checkpoints) -> tuple[TrainState, int]:
        """The last intact checkpoint, from any number of devices. Returns the state and its step."""
        target = self.target()
        state, _, step = checkpoints.restore(target)
        return self.placed(state), step

    def save(self, checkpoints: Checkpoints, step: int, state: TrainState, **more: Any) -> None:
        """Save one row per member, so that a resume may use any number of devices."""
        if len(self.rows) != self.size:
            state = jax.tree.map(lambda a: a[: self.size], state)
        checkpoints.save(step, state, **more)

    def target(self) -> TrainState:
        """The structure of a checkpoint: one row per member."""
        return jax.tree.map(lambda a: jax.ShapeDtypeStruct((self.size, *a.shape[1:]), a.dtype), self.program.shapes)

    def placed(self, state: TrainState) -> TrainState:
        """Place a state of one row per member on the devices."""
        if len(self.rows) != self.size:
            state = jax.tree.map(lambda a: a[self.rows], state)
        return jax.device_put(state, self.plan.named("members")) if self.plan.sharded else state


class OfMembers:
    """Events and checkpoints of `fit` for a population: filling rows are removed, so that there is one row per member."""

    def __init__(self, population: Population, events: Events, checkpoints: Checkpoints | None):
        self.population, self.events, self.checkpoints = population, events, checkpoints

    def line(self, line: dict[str, Any]) -> None:
        if line["kind"] in ("train", "eval"):
            rows, size = len(self.population.rows), self.population.size
            line = {name: v[:size] if np.ndim(v) == 1 and len(v) == rows else v for name, v in line.items()}
            line["members"] = list(self.population.group.members)
        self.events.line(line)

    def progress(self, step: int, metrics: Mapping[str, float]) -> None:
        self.events.progress(step, metrics)

    def save(self, step: int, state: TrainState, **more: Any) -> None:
        self.population.save(self.checkpoints, step, state, **more)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.checkpoints, name)


def member(state: TrainState, row: int) -> TrainState:
    """Return the state of one member, as a single run has it."""
    return jax.tree.map(lambda a: a[row], state)
