"""Populations: many members of one experiment, differing in traced knobs, trained by one program.

`jax.vmap` over `config(**knobs)` itself: the state, the data order and every schedule get a members' axis. A member equals
the same run alone to rounding; one that stops or diverges changes nothing for the others.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np

from jaxdl.record.checkpoint import Checkpoints
from jaxdl.train.evaluate import Evaluation, evaluate_members
from jaxdl.train.loop import Events, Limits, Outcome, chosen, fit
from jaxdl.train.parallel import Plan
from jaxdl.train.program import Members, Program, candidates
from jaxdl.train.stopping import EarlyStopping
from jaxdl.types import TrainState

NEVER = 10**9


@dataclass(frozen=True)
class Group:
    """Members that one program trains: they differ in traced knobs only.

    exp: the first member's experiment, for everything that is the same for all.
    static: the knobs that are Python values in this program.
    members: the index of each member in the sweep's own order.
    knobs: traced knob -> its values, one a member.
    """

    exp: Any
    build: Callable[[Mapping[str, Any]], Any]
    static: Mapping[str, Any]
    members: tuple[int, ...]
    knobs: Mapping[str, np.ndarray]

    def keep(self, rows: Sequence[int]) -> "Group":
        """The group of some of its members."""
        index = np.asarray(rows)
        knobs = {name: values[index] for name, values in self.knobs.items()}
        return replace(self, members=tuple(self.members[i] for i in rows), knobs=knobs)


def group(points: Sequence[Mapping[str, Any]], traced: Sequence[str]) -> list[tuple[dict[str, Any], list[int]]]:
    """(static knobs, members) of as few programs as there are different values of the knobs that are not traced.

    >>> group([{"lr": 0.1, "width": 8}, {"lr": 0.2, "width": 8}, {"lr": 0.1, "width": 16}], ["lr"])
    [({'width': 8}, [0, 1]), ({'width': 16}, [2])]
    """
    groups: dict[str, tuple[dict[str, Any], list[int]]] = {}
    for i, point in enumerate(points):
        static = {name: value for name, value in point.items() if name not in traced}
        groups.setdefault(repr(sorted(static.items())), (static, []))[1].append(i)
    return list(groups.values())


def stack(points: Sequence[Mapping[str, Any]], traced: Sequence[str]) -> dict[str, np.ndarray]:
    """The values of the traced knobs, one a member, in the types they have in a single run."""
    rows = [candidates(point) for point in points]
    return {name: np.stack([row[name] for row in rows]) for name in traced}


def watched(exp: Any) -> Any:
    """The experiment with every member's best weights in its state, also where nothing stops early."""
    rule = exp.stop or EarlyStopping(patience=NEVER, restore_best=False)
    return replace(exp, stop=rule)


class Population:
    """The members of a group, with their program.

    `mode` says how: "together" (vmap), "in turn" (one after the other inside one compiled program), or None: whichever
    takes less time a step here, measured once.
    """

    def __init__(self, group: Group, plan: Plan = Plan(), mode: str | None = None):
        self.group, self.plan = group, plan
        self.exp = watched(group.exp)
        self.timings: dict[str, float] = {}
        if len(group.members) == 1 or plan.sizes:
            mode = mode or "together"
        self.program = self._program(mode) if mode else self._fastest()

    def _program(self, mode: str) -> Program:
        build = self.group.build
        return Program(lambda knobs: watched(build(knobs)), self.exp.data, self.group.knobs, self.plan, Members(mode))

    def _fastest(self, seconds: float = 0.5) -> Program:
        """Times a few steps of both forms from the initial state; what is compiled is used again."""
        programs = {mode: self._program(mode) for mode in ("together", "in turn")}
        for mode, program in programs.items():
            state = program.init(dict(self.group.knobs))
            source = program.place(self.exp.data.source(0, 1, 0))
            steps, took = 1, 0.0
            program.chunk(
                dict(self.group.knobs), program.init(dict(self.group.knobs)), source, np.int32(0), np.int32(NEVER)
            )
            while took < seconds / 4 and steps < 1024:
                began = time.perf_counter()
                state, view = program.chunk(dict(self.group.knobs), state, source, np.int32(steps), np.int32(NEVER))
                jax.block_until_ready(view)
                took, last = time.perf_counter() - began, steps
                steps *= 2
            self.timings[mode] = took / last
        return programs[min(self.timings, key=self.timings.__getitem__)]

    def init(self) -> TrainState:
        return self.program.init(dict(self.group.knobs))

    def fit(self, state: TrainState, events: Events, checkpoints: Checkpoints | None, limits: Limits) -> Outcome:
        return fit(
            self.program, self.exp, dict(self.group.knobs), state, events=events, checkpoints=checkpoints, limits=limits
        )

    def evaluate(self, state: TrainState, split: str) -> list[Evaluation]:
        """Every member with the weights it stands for."""
        weights = chosen(self.program, self.exp, dict(self.group.knobs), state)
        return evaluate_members(self.program, self.exp.task, dict(self.group.knobs), weights, split)

    def keep(self, state: TrainState, rows: Sequence[int]) -> tuple["Population", TrainState]:
        """The population of some members, each where it was."""
        index = np.asarray(rows)
        smaller = Population(self.group.keep(rows), self.plan, self.program.members.mode)
        return smaller, jax.tree.map(lambda a: a[index], state)


def member(state: TrainState, row: int) -> TrainState:
    """One member's state, as that of a single run."""
    return jax.tree.map(lambda a: a[row], state)


def rungs(steps: int, members: int, *, eta: int = 3, grid: int = 1) -> list[tuple[int, int]]:
    """Successive halving: (step, members that go on) until one is left, the steps growing as the members fall.

    Source: Jamieson and Talwalkar 2016, arXiv:1502.07943.

    >>> rungs(900, 27, grid=10)
    [(30, 9), (100, 3), (300, 1)]
    """
    count = max(0, math.ceil(math.log(members, eta) - 1e-9))
    found = []
    for i in range(count):
        step = max(grid, round(steps / eta ** (count - i) / grid) * grid)
        left = max(1, math.ceil(members / eta ** (i + 1)))
        if step < steps:
            found.append((step, left))
    return found
