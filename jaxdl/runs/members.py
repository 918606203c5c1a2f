"""The folder of a sweep: its plan and its members. `load` opens folders of runs and of sweeps.

load(RUN).predict(images)
load(SWEEP, member=3).predict(images)
"""

import json
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxdl import formats
from jaxdl.counts import check_count
from jaxdl.engine.halving import Stages
from jaxdl.engine.population import Group, Population
from jaxdl.experiment import ExperimentError, refuse_while_reading
from jaxdl.record import run as folders
from jaxdl.record.log import read
from jaxdl.record.manifest import json_or_none
from jaxdl.runs.open import Checkpoint, config_of, restored_run, to_stderr
from jaxdl.runs.prepare import prepare
from jaxdl.runs.provenance import check_recorded
from jaxdl.runs.run import Run
from jaxdl.setup import Config, Setup, as_typed
from jaxdl.types import TrainState, UserError


def load(
    run: str | Path,
    checkpoint: Checkpoint = "best",
    *,
    member: int | None = None,
    config: Config | None = None,
    trust: bool = False,
) -> Run:
    """Load a run from its folder, to predict and evaluate.

    Args:
        run: the run folder.
        checkpoint: "best" by the metric that selects, or "last".
        member: number of the member, for the folder of a sweep.
        config: the function that the run was made with; needed if it came from a notebook (a run from a file keeps a copy).
        trust: load a folder whose config.json or copy of the experiment file was changed after the training. The copy is
            executed: of a run that somebody else made, use the exported function (`python -m jaxdl export`) instead.

    Raises UserError for a folder that was changed, or that holds no run or no checkpoint.
    """
    refuse_while_reading("load(...)")
    if checkpoint not in ("best", "last"):
        raise UserError(f"checkpoint = {checkpoint!r} must be 'best' or 'last'")
    folder = folders.open_run(run)
    if "sweep" in folder.config:
        return load_member(folder, member, checkpoint, config, trust=trust)
    return restored_run(folder, checkpoint, config, trust=trust)


class Member(Run):
    """One member of a sweep; it predicts and evaluates like a run."""

    number: int

    @property
    def history(self) -> list[dict[str, Any]]:
        return history(folders.open_run(self.folder or ""), self.number)

    def __repr__(self) -> str:
        return f"Member({str(self.folder)!r}, {self.number}, step={int(self.state.step)})"


def load_member(
    folder: folders.RunFolder, number: int | None, checkpoint: str, config: Config | None = None, *, trust: bool = False
) -> Member:
    """Load member `number` of a sweep, with its best or its last weights."""
    points = points_of(folder)
    if number is None:
        raise ExperimentError(f"{folder.folder} is a sweep: which member, 0 … {len(points) - 1}?")
    check_count("member", number, 0)
    if number >= len(points):
        raise ExperimentError(f"{folder.folder}: member {number} is not one of 0 … {len(points) - 1}")
    check_recorded(folder, trust=trust)
    config = config_of(folder, config, trust=trust)
    place, stages, stage = where_is(folder, number)
    one = groups_of(config, folder)[0][place].keep(stages.all[stage].members)
    checkpoints = stages.checkpoints(stage)
    if not checkpoints.steps():
        raise ExperimentError(f"member {number} of {folder.folder} has no checkpoint yet")
    every, _, _ = checkpoints.restore(Population(one, mode="together").target())
    state: TrainState = jax.tree.map(lambda a: a[one.members.index(number)], every)
    best = state.best
    assert best is not None, "a population remembers the best weights of each member"
    setup = setup_of_member(config, folder, number)
    program = prepare(setup)
    if old := formats.note(setup.rules, folder.folder):
        to_stderr(old)
    found = Member(setup, program, state if program.exp.stop is not None else state.replace(best=None), folder.folder)
    found.number = number
    if checkpoint == "best" and np.isfinite(best.value):
        found.weights = best.weights
    else:
        found.weights = program.weights(found.state)
    return found


def setup_of_member(config: Config, folder: folders.RunFolder, number: int) -> Setup:
    """Return the setup of one member."""
    values = {**folder.config["sweep"]["overrides"], **points_of(folder)[number]}
    return Setup.of(config, values, rules=formats.recorded(folder.config))


def history(folder: folders.RunFolder, number: int) -> list[dict[str, Any]]:
    """Return the log of one member, as a run has it, up to the step where the member stopped."""
    return histories(folder)[number]


def histories(folder: folders.RunFolder) -> list[list[dict[str, Any]]]:
    """Return the log of every member."""
    rows = (json_or_none(folder.folder / "results.json") or {}).get("rows", {})
    found: list[list[dict[str, Any]]] = [[] for _ in points_of(folder)]
    for place in range(len(plan_of(folder)["groups"])):
        log = folder.folder / f"group-{place}"
        for line in read(log) if log.is_dir() else ():
            members = line.pop("members", ())
            for i, number in enumerate(members):
                if line["step"] <= rows.get(str(number), {}).get("step", np.inf):
                    own = {k: v[i] if isinstance(v, list) and len(v) == len(members) else v for k, v in line.items()}
                    found[number].append(own)
    return found


def where_is(folder: folders.RunFolder, number: int) -> tuple[int, Stages, int]:
    """Return the group of a member, the group's stages, and the last stage that the member took part in."""
    listed = plan_of(folder)["groups"]
    place = next(place for place, one in enumerate(listed) if number in one["members"])
    stages = Stages(folder.folder / f"group-{place}", listed[place]["members"], folder.config["select"][1])
    return place, stages, stages.of(number)


def plan_of(folder: folders.RunFolder) -> dict[str, Any]:
    """Read plan.json: the groups of members, and lines that explain them."""
    try:
        return json.loads((folder.folder / "plan.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        raise ExperimentError(
            f"{folder.folder} has no readable plan.json: the sweep was cut off as it began; start it again"
        ) from None


def points_of(folder: folders.RunFolder) -> list[dict[str, Any]]:
    return [{name: as_typed(v) for name, v in point.items()} for point in folder.config["sweep"]["points"]]


def groups_of(config: Config, folder: folders.RunFolder) -> tuple[list[Group], list[str]]:
    """Return the groups as they were planned when the sweep began."""
    points, made = points_of(folder), plan_of(folder)
    groups = []
    for one in made["groups"]:
        setup = setup_of_member(config, folder, one["members"][0])
        groups.append(Group.make(setup.build(), setup.build, one["members"], points, one["traced"]))
    return groups, made["lines"]
