"""Sweeps: many settings of one experiment in few programs, with one folder, one table and pictures.

result = sweep(config, {"lr": (1e-3, 3e-3, 1e-2), "seed": range(8)})
result.table
load(result.folder, member=3).evaluate("test")

runs/<experiment>-sweep/<date-time>-s<seed>/
  config.json       like that of a run, with the knobs of every member
  plan.json         which program trains which members, and why
  group-0/, ...     one program each: checkpoints, metrics.jsonl (`engine/halving.py`)
  results.json      results of the members that have finished
  results.csv       the same as a table, one line per member
  plots/, report.md
"""

import json
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import jax

from jaxdl import formats, runtime
from jaxdl.engine.halving import Stages, train_group
from jaxdl.engine.loop import Limits
from jaxdl.engine.population import Group, group
from jaxdl.engine.program import traceable
from jaxdl.experiment import ExperimentError, refuse_while_reading
from jaxdl.record import run as folders
from jaxdl.record.lock import locked
from jaxdl.record.manifest import json_or_none
from jaxdl.record.orbax_leaves import preload
from jaxdl.record.progress import Progress
from jaxdl.runs.members import groups_of, histories, points_of
from jaxdl.runs.open import config_of
from jaxdl.runs.prepare import check_data, prepare, rehearsed
from jaxdl.runs.provenance import about, check_recorded, data_record, other_data
from jaxdl.setup import Config, Setup, refuse_reserved

Points = Sequence[Mapping[str, Any]]

KINDS = {
    int: "whole numbers decide shapes and steps",
    float: "a float in some members only",
    tuple: "tuples decide shapes",
}
"""Why a knob of a type cannot be traced."""


@dataclass
class Sweep:
    """The results of a sweep: one row per member, in the order of the sweep."""

    folder: Path
    reason: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    table: str = ""
    """Settings, best first, as Markdown: mean ± standard deviation over seeds."""
    plots: dict[str, Path] = field(default_factory=dict)

    def _repr_markdown_(self) -> str:
        return self.table


def sweep(
    config: Config,
    points: Mapping[str, Sequence[Any]] | Points,
    /,
    *,
    run: str | Path = "runs",
    how: str | None = None,
    prune: bool = False,
    limits: Limits = Limits(),
    quiet: bool = False,
    **values: Any,
) -> Sweep:
    """Train many members of one experiment and compare them.

    Args:
        config: the experiment.
        points: knob -> values, for all combinations; or a list with one dictionary of knobs per member.
        run: folder under which `<experiment>-sweep/<date-time>-s<seed>/` is made.
        how: "together" (vmap), "in turn" (one member after the other in one program), or None: measure.
        prune: successive halving by the metric that selects.
        limits: how often to log and save, where to pause.
        quiet: no progress bar.
        **values: other knobs and recorded fields (`precision`, ...), the same for all.
    """
    refuse_while_reading("sweep(...)")
    refuse_reserved(config)
    runtime.ensure()
    points = combinations(points) if isinstance(points, Mapping) else list(points)
    swept = list(dict.fromkeys(name for point in points for name in point))
    if not points or not swept:
        raise ExperimentError("nothing to sweep: give a knob several values, as in {'seed': range(8)}")
    setups = [Setup.of(config, {**values, **point}) for point in points]  # and every value is checked
    for name in swept:
        if name not in setups[0].knobs:
            raise ExperimentError(f"{name!r} is no knob; there are: {', '.join(setups[0].knobs)}")
    setup, overrides = setups[0], dict(setups[0].overrides)
    first = setup.build()
    if not first.data.resident and first.data_seed is None:
        overrides["data_seed"] = int(setup.knobs.get("seed", 0))  # streams are read once, for all members
        setup = setup.with_values(overrides)
        first = setup.build()
    if first.init_from is not None:
        raise ExperimentError(f"init_from = {first.init_from}: members of a sweep start from their own seeds")
    check_data(first)
    first.task.notes(first.data, prepare(setup, exp=first).predicted_shapes)  # refuses labels beyond the logits
    points = [dict(one.knobs) for one in setups]
    record = {
        **setup.to_json(first),
        **data_record(first.data),
        "sweep": {
            "swept": swept,
            "points": points,
            "overrides": overrides,
            "how": how,
            "prune": prune,
            "limits": {**asdict(limits), "stop_at": None},
        },
    }
    groups, lines = plan(config, points, swept, overrides)
    seed = int(points[0].get("seed", 0))
    folder = folders.create_run(run, f"{setup.stem}-sweep", seed=seed, config=record, source=setup.source)
    made = {"groups": [{"members": list(one.members), "traced": list(one.knobs)} for one in groups], "lines": lines}
    folders.write_synced(folder.folder / "plan.json", json.dumps(made, indent=1) + "\n")
    with locked(folder.folder):
        return carry_out(config, folder, limits, quiet=quiet)


def resume(
    path: str | Path,
    *,
    config: Config | None = None,
    stop_at: int | None = None,
    quiet: bool = False,
    trust: bool = False,
) -> Sweep:
    """Resume a sweep that was stopped. `trust` is that of `load`."""
    runtime.ensure()
    folder = folders.open_run(path)
    if "sweep" not in folder.config:
        raise ExperimentError(f"{path} is a run, not a sweep: python -m jaxdl train --resume {path}")
    check_recorded(folder, trust=trust)
    limits = Limits(**{**folder.config["sweep"]["limits"], "stop_at": stop_at})
    with locked(folder.folder):
        return carry_out(config_of(folder, config, trust=trust), folder, limits, quiet=quiet)


def combinations(values: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Return all combinations of the values; the first knob varies slowest.

    >>> combinations({"lr": [0.1, 0.2], "seed": range(2)})[1:3]
    [{'lr': 0.1, 'seed': 1}, {'lr': 0.2, 'seed': 0}]
    """
    points: list[dict[str, Any]] = [{}]
    for name, choices in values.items():
        points = [{**point, name: value} for point in points for value in choices]
    return points


def listed(names: Sequence[str]) -> str:
    """
    >>> listed(["lr"]), listed(["lr", "rate", "seed"])
    ('lr', 'lr, rate and seed')
    """
    return " and ".join([", ".join(names[:-1]), *names[-1:]] if len(names) > 1 else names)


def plan(
    config: Config, points: Points, swept: Sequence[str], overrides: Mapping[str, Any]
) -> tuple[list[Group], list]:
    """Group the members into as few programs as the knobs allow; return the groups and lines that explain them."""
    groups, reasons = [], {}
    for static, members in group(points):
        setup = Setup.of(config, {**overrides, **points[members[0]]})
        exp = setup.build()
        traced, problems = traceable(exp, setup.build, setup.knobs, rehearsed(setup, exp))
        reasons |= {name: problems[name] for name in swept if name in problems}
        reasons |= {name: KINDS.get(type(static[name]), "it is a choice") for name in swept if name in static}
        for _, inner in group([points[i] for i in members], list(traced)):
            chosen = [members[i] for i in inner]
            one = Setup.of(config, {**overrides, **points[chosen[0]]})
            groups.append(Group.make(one.build(), one.build, chosen, points, list(traced)))
    within = [name for name in swept if name not in reasons]
    several = len(groups) > 1
    lines = [
        f"{len(points)} members in {len(groups)} program{'s' if several else ''}"
        + (f"; {listed(within)} var{'y' if len(within) > 1 else 'ies'} within a program" if within else "")
    ]
    for name in [name for name in swept if name in reasons]:
        lines.append(f"  {name} splits them: {reasons[name]}")
    for one in groups if several else ():
        shown = ", ".join(f"{name} {points[one.members[0]][name]}" for name in swept if name in reasons)
        lines.append(f"  {len(one.members)} with {shown}")
    return groups, lines


def carry_out(config: Config, folder: folders.RunFolder, limits: Limits, *, quiet: bool) -> Sweep:
    """Train the groups one after the other. Groups whose rows are in results.json are finished."""
    told, points = folder.config["sweep"], points_of(folder)
    if jax.process_count() > 1:
        raise ExperimentError("a sweep runs in one process, over all its devices")
    preload()
    groups, lines = groups_of(config, folder)
    results = folder.folder / "results.json"
    with Progress(sum(one.exp.steps for one in groups), metric=groups[0].exp.select[0], quiet=quiet) as progress:
        finished = json_or_none(results, progress.say) or {"rows": {}, "seconds": 0.0}
        old = formats.note(formats.recorded(folder.config), folder.folder)
        changed = other_data(folder.config, groups[0].exp.data)
        for line in (old, changed and f"note: {changed}", *lines, f"sweep folder: {folder.folder}"):
            if line:
                progress.say(line)
        before = 0
        for number, one in enumerate(groups):
            stages = Stages(folder.folder / f"group-{number}", one.members, one.exp.select[1], progress.say)
            if not stages.file.is_file() or not all(str(i) in finished["rows"] for i in one.members):
                began = time.perf_counter()
                rows, outcome = train_group(
                    one,
                    folder.folder / f"group-{number}",
                    devices=jax.local_device_count(),
                    how=told["how"],
                    prune=told["prune"],
                    limits=limits,
                    about=about(folder),
                    progress=lambda step, metrics, before=before: progress.update(before + step, metrics),
                    say=progress.say,
                )
                if outcome.reason in ("paused", "interrupted"):
                    progress.say(
                        f"{outcome.reason}; to go on: python -m jaxdl sweep --resume {shlex.quote(str(folder.folder))}"
                    )
                    return Sweep(folder.folder, outcome.reason)
                finished["rows"] |= rows
                finished["seconds"] += time.perf_counter() - began
                folders.write_synced(results, json.dumps(finished, indent=1, allow_nan=False) + "\n")
            before += one.exp.steps
    data, parts = groups[0].exp.data, () if groups[0].exp.task.open_set else ("validation", "test")
    notes = [f"note: {part}: {note}" for part in parts if part in data.splits for note in data.notes_on(part)]
    for note in notes:
        progress.say(note)
    from jaxdl.record.sweep_report import write_sweep_report  # brings matplotlib

    rows = [{"member": i, **points[i], **finished["rows"][str(i)]} for i in range(len(points))]
    table, plots = write_sweep_report(folder, data, rows, histories(folder), [*lines, *notes], finished["seconds"])
    return Sweep(folder.folder, "finished", rows, table, plots)
