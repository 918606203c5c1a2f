"""Sweeps: many settings of one experiment as few programs, with one folder, one table and the pictures."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from jaxdl import api
from jaxdl.experiment import RECORDED, Experiment, ExperimentError
from jaxdl.record import run as folders
from jaxdl.record.checkpoint import Checkpoints
from jaxdl.record.log import MetricsLog
from jaxdl.record.progress import Progress
from jaxdl.train.loop import Limits
from jaxdl.train.parallel import Plan
from jaxdl.train.population import Group, Population, group, rungs, stack
from jaxdl.train.program import traceable


@dataclass
class Sweep:
    """What a sweep came to: one row a member, in the order of the sweep."""

    folder: Path
    reason: str
    rows: list[dict[str, Any]] = field(default_factory=list)


def sweep(
    config: Callable[..., Experiment],
    points: Sequence[Mapping[str, Any]],
    *,
    swept: Sequence[str],
    overrides: Mapping[str, Any] = {},
    root: str | Path = "runs",
    mesh: str | None = None,
    how: str | None = None,
    prune: bool = False,
    log_every: int = 50,
    checkpoint_every: int | None = None,
    stop_at: int | None = None,
    max_bad: int = 10,
    quiet: bool = False,
) -> Sweep:
    """Train every point (a full set of knobs each) and compare them.

    Args:
        config: the experiment.
        points: the knobs of each member.
        swept: the knobs that vary.
        overrides: recorded fields that were given (`precision`, ...).
        root, mesh, log_every, checkpoint_every, stop_at, max_bad, quiet: as for `train`.
        how: "together", "in turn" or None: measure.
        prune: successive halving by the metric that selects.
    """
    first = api.with_overrides(config(**points[0]), overrides)
    source = api.source_of(first)
    settings = {"overrides": dict(overrides), "mesh": mesh, "how": how, "prune": prune, "max_bad": max_bad}
    recorded = {
        "knobs": dict(points[0]),
        "recorded": {name: getattr(first, name) for name in RECORDED},
        "select": list(first.select),
        "docstring": api.docstring_of(first),
        "sweep": {"swept": list(swept), "points": [dict(p) for p in points], **settings},
    }
    name = f"{Path(source).stem if source else 'notebook'}-sweep"
    folder = folders.create_run(root, name, seed=0, config=recorded, source=source)
    limits = Limits(log_every=log_every, checkpoint_every=checkpoint_every, stop_at=stop_at, max_bad=max_bad)
    return carry_out(config, folder, limits, quiet=quiet)


def resume(path: Path, *, config: Callable[..., Experiment] | None = None, quiet: bool = False) -> Sweep:
    """Go on with a sweep that was stopped."""
    folder = folders.open_run(path)
    if "sweep" not in folder.config:
        raise ExperimentError(f"{path} is a run, not a sweep: python -m jaxdl train --resume {path}")
    if config is None:
        source = folder.config.get("source")
        config = api.load_config(source if source and Path(source).is_file() else folder.experiment)
    limits = Limits(max_bad=folder.config["sweep"]["max_bad"])
    return carry_out(config, folder, limits, quiet=quiet)


def plan(config: Callable[..., Experiment], folder: folders.Run) -> tuple[list[Group], list[str]]:
    """The groups of a sweep, and what to tell about them: one line a group, with the reason for the split."""
    told = folder.config["sweep"]
    points = [{name: api.as_typed(value) for name, value in point.items()} for point in told["points"]]
    first = api.with_overrides(config(**points[0]), told["overrides"])
    traced, reasons = traceable(first.origin.build, first.data, first.origin.knobs)
    groups = []
    for static, members in group(points, list(traced)):
        exp = api.with_overrides(config(**points[members[0]]), told["overrides"])
        if not exp.data.resident and exp.data_seed is None:
            exp = api.with_overrides(exp, {"data_seed": int(points[0].get("seed", 0))})
        values = stack([points[i] for i in members], list(traced))
        groups.append(Group(exp, exp.origin.build, static, tuple(members), values))
    vary = [name for name in told["swept"] if name in traced]
    lines = [
        f"{len(points)} members in {len(groups)} program{'s' if len(groups) > 1 else ''}; "
        + (
            f"{', '.join(vary)} var{'ies' if len(vary) == 1 else 'y'} within a program"
            if vary
            else "one member a program"
        )
    ]
    for name in told["swept"]:
        if name not in traced:
            value = points[0][name]
            why = reasons.get(name) or f"{type(value).__name__}: it decides shapes, steps or choices"
            lines.append(f"  {name} splits programs: {why}")
    if len(groups) > 1:
        for g in groups:
            shown = ", ".join(f"{name} {g.static[name]}" for name in told["swept"] if name in g.static)
            lines.append(f"  {len(g.members)} members with {shown}")
    return groups, lines


def carry_out(config: Callable[..., Experiment], folder: folders.Run, limits: Limits, *, quiet: bool) -> Sweep:
    """Train the groups one after the other; a group that is finished has its rows in results.json."""
    told = folder.config["sweep"]
    groups, lines = plan(config, folder)
    results = folder.folder / "results.json"
    rows: dict[str, Any] = json.loads(results.read_text()) if results.is_file() else {}
    result = Sweep(folder.folder, "finished")
    began = time.perf_counter()
    with Progress(sum(g.exp.steps for g in groups), metric=groups[0].exp.select[0], quiet=quiet) as progress:
        for line in [*lines, f"sweep folder: {folder.folder}"]:
            progress.say(line)
        done = 0
        for number, one in enumerate(groups):
            if all(str(i) in rows for i in one.members):
                done += one.exp.steps
                continue
            found, reason = train_group(one, folder.folder / f"group-{number}", told, limits, progress, done)
            if reason != "finished" and reason != "stopped early":
                result.reason = reason
                progress.say(f"{reason}; to go on: python -m jaxdl sweep --resume {folder.folder}")
                return result
            rows |= {str(i): row for i, row in found.items()}
            folders.write_synced(results, json.dumps(rows))
            done += one.exp.steps
    points = told["points"]
    result.rows = [{"member": i, "knobs": points[i], **rows[str(i)]} for i in range(len(points))]
    seconds = time.perf_counter() - began
    from jaxdl.record.sweep_report import write_sweep_report

    table = write_sweep_report(folder, result.rows, seconds)
    print(table)
    print(f"report: {folder.report}")
    return result


class GroupEvents:
    """The lines of a group's log, and the mean over its members on the progress bar."""

    def __init__(self, log: MetricsLog, progress: Progress, done: int, members: Sequence[int]):
        self.log, self.bar, self.done, self.members = log, progress, done, members

    def line(self, line: dict[str, Any]) -> None:
        self.log.line({**line, "members": list(self.members)} if line["kind"] == "eval" else line)

    def progress(self, step: int, metrics: Mapping[str, float]) -> None:
        self.bar.update(self.done + step, metrics)


def train_group(
    one: Group, path: Path, told: Mapping[str, Any], limits: Limits, progress: Progress, done: int
) -> tuple[dict[int, dict[str, Any]], str]:
    """Train one group to its end, pruning at the rungs. member -> row of numbers, and the reason it ended."""
    import dataclasses

    from jaxdl.record.checkpoint import preload

    preload()
    path.mkdir(exist_ok=True)
    metric, mode = one.exp.select
    plan = Plan()
    rows: dict[int, dict[str, Any]] = {}
    checkpoints = Checkpoints(path / "checkpoints", mode=mode, notify=progress.say)
    steps = checkpoints.steps()
    population = Population(one, plan, told["how"])
    kept = path / "members.json"
    alive = json.loads(kept.read_text()) if kept.is_file() else {"members": list(one.members), "rows": {}}
    if len(alive["members"]) < len(one.members):
        population, _ = population.keep(population.init(), [one.members.index(i) for i in alive["members"]])
        rows = {int(i): row for i, row in alive["rows"].items()}
    state, step = (population.init(), 0) if not steps else checkpoints.restore(population.program.shapes)[::2]
    for mode_name, seconds in population.timings.items():
        progress.say(f"  {mode_name}: {seconds * 1e3:.3g} ms a step of {len(one.members)} members")
    grid = one.exp.evaluation_step
    halvings = rungs(one.exp.steps, len(one.members), grid=grid) if told["prune"] else []
    halvings = [(rung, left) for rung, left in halvings if rung > step]
    with MetricsLog(path, resume=step or None, tensorboard=False) as log:
        for rung, left in [*halvings, (None, 0)]:
            events = GroupEvents(log, progress, done, population.group.members)
            stop = limits.stop_at if rung is None else min(rung, limits.stop_at or rung)
            outcome = population.fit(state, events, checkpoints, dataclasses.replace(limits, stop_at=stop))
            state = outcome.state
            if outcome.reason == "interrupted" or (outcome.reason == "paused" and stop != rung):
                return rows, outcome.reason
            if rung is None or outcome.reason != "paused":
                break
            scores = np.asarray(state.best.value) * (1 if mode == "max" else -1)
            order = np.argsort(-np.where(np.isfinite(scores), scores, -np.inf), kind="stable")
            rows |= numbers(population, state, metric, order[left:], rung)
            staying = sorted(int(i) for i in order[:left])
            checkpoints.wait()
            population, state = population.keep(state, staying)
            alive = {"members": list(population.group.members), "rows": rows}
            checkpoints = Checkpoints(path / f"checkpoints-{rung}", mode=mode, notify=progress.say)
            checkpoints.save(rung, state)
            checkpoints.wait()
            folders.write_synced(kept, json.dumps(alive))
            progress.say(f"  step {rung}: {left} members go on")
        rows |= numbers(population, state, metric, range(len(population.group.members)), None)
    return rows, outcome.reason


def numbers(
    population: Population, state: Any, metric: str, members: Sequence[int], pruned: int | None
) -> dict[int, dict[str, Any]]:
    """What the table shows of some members: best and final validation metric, test metric, where they ended."""
    exp = population.exp
    tests = population.evaluate(state, "test") if "test" in exp.data.splits else None
    finals = population.evaluate(state, "validation") if "validation" in exp.data.splits else None
    found = {}
    for i in members:
        found[population.group.members[i]] = {
            "metric": metric,
            "best": float(np.asarray(state.best.value)[i]),
            "best_step": int(np.asarray(state.best.step)[i]),
            "validation": finals[i].metrics if finals else {},
            "test": tests[i].metrics if tests else {},
            "step": int(np.asarray(state.step)[i]),
            "skipped": int(np.asarray(state.skipped)[i]),
            "ended": f"pruned at step {pruned}" if pruned else ended(exp, state, int(i)),
        }
    return found


def ended(exp: Any, state: Any, i: int) -> str:
    if int(np.asarray(state.bad)[i]) > 0 and int(np.asarray(state.step)[i]) < exp.steps:
        return "diverged"
    return "stopped early" if bool(np.asarray(state.best.stopped)[i]) else "finished"
