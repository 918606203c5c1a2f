"""What a sweep's folder holds: its plan, and each member as a run of its own.

load(SWEEP, member=3).predict(images)
"""

import json
import sys
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxdl import api, formats
from jaxdl.experiment import Experiment, ExperimentError, experiment, load_config
from jaxdl.prepared import prepare
from jaxdl.provenance import as_typed, with_overrides
from jaxdl.record import run as folders
from jaxdl.record.log import read
from jaxdl.train.halving import Stages
from jaxdl.train.population import Group, Population
from jaxdl.types import TrainState

Config = Callable[..., Experiment]


class Member(api.Run):
    """One member of a sweep, as a run that predicts and evaluates."""

    number: int

    @property
    def history(self) -> list[dict[str, Any]]:
        return history(folders.open_run(self.folder), self.number)

    def __repr__(self) -> str:
        return f"Member({str(self.folder)!r}, {self.number}, step={int(self.state.step)})"


def load_member(folder: folders.Run, number: int | None, checkpoint: str, config: Config | None = None) -> Member:
    """Member `number` of a sweep, with its own best weights, or its last."""
    points = points_of(folder)
    if number is None:
        raise ExperimentError(f"{folder.folder} is a sweep: which member, 0 … {len(points) - 1}?")
    if not 0 <= number < len(points):
        raise ExperimentError(f"{folder.folder}: member {number} is not one of 0 … {len(points) - 1}")
    config = config_of(folder, config)
    place, stages, stage = where_is(folder, number)
    one = groups_of(config, folder)[0][place].keep(stages.all[stage].members)
    checkpoints = stages.checkpoints(stage)
    if not checkpoints.steps():
        raise ExperimentError(f"member {number} of {folder.folder} has no checkpoint yet")
    every, _, _ = checkpoints.restore(Population(one, mode="together").target())
    state: TrainState = jax.tree.map(lambda a: a[one.members.index(number)], every)
    best = state.best
    prepared = prepare(with_overrides(config(**points[number]), folder.config["sweep"]["overrides"]))
    found = Member(prepared, state if prepared.experiment.stop is not None else state.replace(best=None), folder.folder)
    found.number = number
    if old := formats.note(prepared.experiment.follows, folder.folder):
        print(old, file=sys.stderr)
    if checkpoint == "best" and np.isfinite(best.value):
        found.weights = best.weights
    else:
        found.weights = prepared.program.weights(dict(prepared.traced), found.state)
    return found


def history(folder: folders.Run, number: int) -> list[dict[str, Any]]:
    """The lines of one member's training, as a run's metrics.jsonl has them, up to where it stopped."""
    return histories(folder)[number]


def histories(folder: folders.Run) -> list[list[dict[str, Any]]]:
    """The same of every member."""
    results = folder.folder / "results.json"
    rows = json.loads(results.read_text())["rows"] if results.is_file() else {}
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


def where_is(folder: folders.Run, number: int) -> tuple[int, Stages, int]:
    """A member's group, the stages of that, and the last stage it was in."""
    listed = plan_of(folder)["groups"]
    place = next(place for place, one in enumerate(listed) if number in one["members"])
    stages = Stages(folder.folder / f"group-{place}", listed[place]["members"], folder.config["select"][1])
    return place, stages, stages.of(number)


def plan_of(folder: folders.Run) -> dict[str, Any]:
    """What plan.json holds: groups of members, and the lines about them."""
    try:
        return json.loads((folder.folder / "plan.json").read_text())
    except (FileNotFoundError, ValueError):
        raise ExperimentError(
            f"{folder.folder} has no readable plan.json: the sweep was cut off as it began; start it again"
        ) from None


def points_of(folder: folders.Run) -> list[dict[str, Any]]:
    return [{name: as_typed(v) for name, v in point.items()} for point in folder.config["sweep"]["points"]]


def config_of(folder: folders.Run, config: Config | None) -> Config:
    """The experiment of a sweep: the function that is given, or the copy of its file in the folder."""
    if config is not None:
        return formats.following(folder.config, experiment(config))
    if not folder.experiment.is_file():
        raise ExperimentError(f"{folder.folder} comes from a notebook: give its config function, config=config")
    return formats.following(folder.config, load_config(folder.experiment, beside=folder.config.get("source")))


def groups_of(config: Config, folder: folders.Run) -> tuple[list[Group], list[str]]:
    """The plan as it was made when the sweep began."""
    told, points = folder.config["sweep"], points_of(folder)
    made = plan_of(folder)
    groups = []
    for one in made["groups"]:
        exp = with_overrides(config(**points[one["members"][0]]), told["overrides"])
        groups.append(Group.make(exp, one["members"], points, one["traced"]))
    return groups, made["lines"]
