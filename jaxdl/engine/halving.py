"""Training of a population: resumed where it stopped, and reduced by successive halving.

<group folder>/
  stages.json       which members trained from which step on, and the results of those that were pruned
  checkpoints/      of all members; `checkpoints-1/`, ... of those that remained after the first rung, ...
  metrics.jsonl     one list of numbers a line, in the order of its `members`
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from jaxdl.counts import check_count
from jaxdl.engine.callbacks import Callbacks
from jaxdl.engine.loop import Limits, Outcome
from jaxdl.engine.population import Group, Population
from jaxdl.record.checkpoint import Checkpoints
from jaxdl.record.log import MetricsLog
from jaxdl.record.manifest import json_or_none, write_synced
from jaxdl.types import TrainState, UserError

Row = dict[str, Any]
"""The results of one member: flat, and strict JSON (a number that is not finite is None)."""

ETA = 3


def rungs(steps: int, members: int, *, eta: int = ETA, grid: int = 1) -> list[tuple[int, int]]:
    """Return the rungs of successive halving, (step, members that remain): the best 1/eta of the members, until one remains.

    Steps grow as members are pruned, so every rung costs about the same.
    Source: Jamieson and Talwalkar 2016, arXiv:1502.07943.

    Args:
        steps: of the whole run.
        members: at its start.
        eta: one in `eta` members remains at each rung.
        grid: the rungs are multiples of it (evaluations).

    >>> rungs(900, 27, grid=10)
    [(30, 9), (100, 3), (300, 1)]
    """
    for name, value, least in (("steps", steps, 1), ("members", members, 1), ("eta", eta, 2), ("grid", grid, 1)):
        check_count(name, value, least)
    count = max(0, math.ceil(math.log(members, eta) - 1e-9))
    found: dict[int, int] = {}
    for i in range(count):
        step = max(grid, round(steps / eta ** (count - i) / grid) * grid)
        if step < steps:
            found[step] = max(1, math.ceil(members / eta ** (i + 1)))  # two rungs that fall together are one
    return list(found.items())


@dataclass
class Stage:
    """From `step` on `members` train; `rows` holds the results of the members that were pruned at that step."""

    step: int
    members: list[int]
    rows: dict[str, Row] = field(default_factory=dict)


class Stages:
    """The stages of one group, on disk."""

    def __init__(self, folder: Path, members: Sequence[int], mode: str, notify: Callable[[str], None] | None = None):
        self.folder, self.order, self.notify = folder, mode, notify
        self.file = folder / "stages.json"
        self.how: str | None = None
        self.about: Mapping[str, Any] = {}
        self.all = [Stage(0, list(members))]
        if (told := json_or_none(self.file, say=notify)) is not None:
            self.how, self.all = told["how"], [Stage(**stage) for stage in told["stages"]]

    def write(self) -> None:
        write_synced(self.file, json.dumps({"how": self.how, "stages": [asdict(stage) for stage in self.all]}))

    def checkpoints(self, number: int) -> Checkpoints:
        folder = self.folder / (f"checkpoints-{number}" if number else "checkpoints")
        found = Checkpoints(folder, mode=self.order, notify=self.notify)
        found.about = self.about
        return found

    def of(self, member: int) -> int:
        """The number of the last stage of a member."""
        return max(number for number, stage in enumerate(self.all) if member in stage.members)

    @property
    def rows(self) -> dict[str, Row]:
        return {member: row for stage in self.all for member, row in stage.rows.items()}


def train_group(
    group: Group,
    folder: Path,
    *,
    devices: int,
    how: str | None,
    prune: bool,
    limits: Limits,
    about: Mapping[str, Any],
    progress: Callable[[int, Mapping[str, float]], None],
    say: Callable[[str], None],
) -> tuple[dict[str, Row], Outcome]:
    """Train or resume a group. Return the results of each member and the outcome of the loop.

    `about` is stored in every checkpoint (`Checkpoints.about`).
    """
    folder.mkdir(exist_ok=True)
    metric, order = group.exp.select
    if prune and "validation" not in group.exp.data.splits:
        raise UserError("pruning compares members on the validation split, and this data has none")
    stages = Stages(folder, group.members, order, say)
    stages.about = about
    population = Population(group, devices, stages.how or how)
    if population.timings:
        told = ", ".join(f"{1e3 * seconds:.3g} ms {mode}" for mode, seconds in population.timings.items())
        say(f"one step of all {population.size} members: {told}; training them {population.mode}")
    population, state, step = resumed(population, stages)
    stages.how = population.mode
    stages.write()
    halvings = rungs(group.exp.steps, len(group.members), grid=group.exp.evaluation_step) if prune else []
    with MetricsLog(folder, resume=step, tensorboard=False) as log:
        callbacks = Callbacks(group.exp.callbacks, folder, watching=say)
        events = GroupEvents(log, progress, callbacks)
        if log.missing:
            say(f"note: {log.missing}")
            events.line({"kind": "note", "step": step, "note": log.missing})
        for rung, left in [*halvings[len(stages.all) - 1 :], (None, 0)]:
            stop = limits.stop_at if rung is None else min(rung, limits.stop_at or rung)
            checkpoints = stages.checkpoints(len(stages.all) - 1)
            outcome = population.fit(state, events, checkpoints, replace(limits, stop_at=stop), callbacks)
            state = outcome.state
            if outcome.reason == "interrupted" or (outcome.reason == "paused" and stop != rung):
                return {}, outcome
            if rung is None or outcome.reason != "paused":
                break
            worst_last = ranked_members(np.asarray(state.best.value)[: population.size], order)
            staying = sorted(population.group.members[i] for i in worst_last[:left])
            rows = results(population, state, limits, pruned=rung)
            dropped = {name: row for name, row in rows.items() if int(name) not in staying}
            population, state = population.keep(state, staying)
            with stages.checkpoints(len(stages.all)) as started:
                population.save(started, rung, state)
            stages.all.append(Stage(rung, staying, dropped))
            stages.write()  # last: until then a resume finds the stage before, at this rung
            say(f"step {rung}: {left} of {len(rows)} go on, {metric} {shown(rows, staying)}; others {shown(dropped)}")
        return stages.rows | results(population, state, limits), outcome


def resumed(population: Population, stages: Stages) -> tuple[Population, TrainState, int]:
    """Return the members that still train, their state and step: from the newest readable checkpoint, or at step 0."""
    whole = population
    while True:
        number = len(stages.all) - 1
        members = stages.all[-1].members
        if len(members) < population.size:
            population = Population(whole.group.keep(members), whole.devices, whole.mode)
        checkpoints = stages.checkpoints(number)
        try:
            if checkpoints.steps() or number:
                return population, *population.restore(checkpoints)
            return population, population.init(), 0
        except ValueError:
            if not number:
                raise
            stages.all.pop()  # nothing of this stage can be read: the one before ends where it began
            population = whole


class GroupEvents:
    """Events of a group: lines go to the log and the callbacks, progress to the bar of the whole sweep."""

    def __init__(
        self, log: MetricsLog, progress: Callable[[int, Mapping[str, float]], None], callbacks: Callbacks | None = None
    ):
        self.log, self.tell, self.callbacks = log, progress, callbacks

    def progress(self, step: int, metrics: Mapping[str, float]) -> None:
        self.log.check()
        self.tell(step, metrics)

    def line(self, line: dict[str, Any]) -> None:
        self.log.line(line)
        if self.callbacks is not None:
            self.callbacks(line)


def ranked_members(values: np.ndarray, order: str) -> np.ndarray:
    """Indices, best first; what is not finite comes last.

    >>> ranked_members(np.array([0.5, np.nan, 0.9, -np.inf]), "max").tolist()
    [2, 0, 1, 3]
    """
    scores = np.where(np.isfinite(values), values if order == "max" else -values, -np.inf)
    return np.argsort(-scores, kind="stable")


def shown(rows: Mapping[str, Row], members: Sequence[int] | None = None) -> str:
    """'0.91 … 0.95', of the members that have a value."""
    chosen = [row["best"] for name, row in rows.items() if members is None or int(name) in members]
    values = [value for value in chosen if value is not None]
    return f"{min(values):.4g} … {max(values):.4g}" if values else "none"


def results(population: Population, state: TrainState, limits: Limits, pruned: int | None = None) -> dict[str, Row]:
    """Return a row for each member: its best validation metric, and all metrics of its chosen weights."""
    splits = [split for split in population.exp.data.splits if split != "train"]
    found = {split: population.evaluate(state, split) for split in splits}
    rows = {}
    for i, name in enumerate(population.group.members):
        best, step, bad, skipped = (np.asarray(a)[i] for a in (state.best.value, state.step, state.bad, state.skipped))
        if bad >= limits.max_bad or skipped >= step:
            ended = "diverged"
        elif np.asarray(state.best.stopped)[i] and step < population.exp.steps:
            ended = "stopped early"
        else:
            ended = f"pruned at step {pruned}" if pruned else "finished"
        row = {"ended": ended, "step": int(step), "best": float(best), "best_step": int(np.asarray(state.best.step)[i])}
        for split in splits:
            row |= {f"{split}_{metric}": value for metric, value in found[split][i].metrics.items()}
        rows[str(name)] = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}
    return rows
