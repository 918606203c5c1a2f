"""`verify RUN`: check the checksums of its checkpoints, and train a part of it again to compare the bits."""

import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import gcd
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from jaxdl import runtime
from jaxdl.cli.options import read_flags
from jaxdl.engine.loop import Limits, fit
from jaxdl.engine.parallel import Plan
from jaxdl.experiment import ExperimentError
from jaxdl.record import log
from jaxdl.record.checkpoint import Checkpoints, digest
from jaxdl.record.run import environment, open_run
from jaxdl.runs.open import config_of
from jaxdl.runs.prepare import prepare
from jaxdl.runs.provenance import check_recorded
from jaxdl.setup import Setup


@dataclass(frozen=True)
class Options:
    """Check the checksums of every checkpoint, then train from the second last to the last and compare bit by bit.

    It executes the copy of the experiment file in the run folder, unless --no-replay is given.
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """The run folder."""
    device: Literal["cpu", "gpu", "tpu"] | None = None
    """Where to compute. The bits are equal only on the kind of device that the run was trained on."""
    mesh: str | None = None
    """Devices by axis, as in data=4,model=2. None: as the run was trained. Another mesh gives other bits."""
    replay: bool = True
    """Train a part again. Without it only the files are checked."""
    trust: bool = False
    """Use a run folder whose config.json or experiment.py was changed after the run wrote it."""


def run(args: Sequence[str]) -> int:
    """Return 0 if the files are intact and the replay is equal, else 1."""
    options = read_flags(Options, args, prog="python -m jaxdl verify")
    folder = open_run(options.run)
    if "sweep" in folder.config and options.replay:
        raise ExperimentError(f"{options.run} is a sweep: only its files can be checked, with --no-replay")
    found = Checkpoints(folder.checkpoints).verify()
    if not found:
        raise ExperimentError(f"{options.run} has no checkpoint yet")
    for step, intact, problem in found:
        print(f"step {step}: {'intact' if intact else problem}")
    intact = [step for step, fine, _ in found if fine]
    fine = len(intact) == len(found)
    for edit in folder.edits:
        print(f"the experiment file was edited at step {edit['step']}: a replay across it cannot be the same")
    if not options.replay:
        return 0 if fine else 1
    if len(intact) < 2:
        print("no replay: it needs two intact checkpoints")
        return 0 if fine else 1
    plan = folder.config.get("plan", {"mesh": {}, "strategy": "jit", "devices": 1})
    edited = [edit["step"] for edit in folder.edits if intact[-2] < edit["step"] < intact[-1]]
    if edited:
        print(f"no replay: the experiment file was edited at step {edited[0]}, between the checkpoints")
        return 0 if fine else 1
    virtual = plan["devices"] if plan["devices"] > 1 and folder.env["backend"] == "cpu" else None
    runtime.configure(options.device, devices=virtual)
    same = replay(
        folder, intact[-2], intact[-1], plan | ({"mesh": options.mesh} if options.mesh else {}), trust=options.trust
    )
    return 0 if fine and same else 1


def replay(folder: Any, older: int, newer: int, plan: Mapping[str, Any], *, trust: bool = False) -> bool:
    """Train from one checkpoint to the next; print whether the log and the final digest are the same."""
    check_recorded(folder, trust=trust)
    if not folder.experiment_at(older).is_file():
        raise ExperimentError(f"{folder.folder} was trained from a notebook: its files are checked, but not replayed")
    setup = Setup.from_json(config_of(folder, step=older, trust=trust), folder.config, folder.folder)
    exp = setup.build()
    sizes = plan["mesh"]
    mesh = ",".join(f"{axis}={n}" for axis, n in sizes.items()) if isinstance(sizes, Mapping) else sizes
    program = prepare(setup, Plan.make(mesh or None, plan["strategy"], exp) if mesh else Plan(), exp=exp)
    checkpoints = Checkpoints(folder.checkpoints, mode=exp.select[1])
    wanted = digest(checkpoints.restore(program.shapes, newer)[0])
    state, _, _ = checkpoints.restore(program.shapes, older)
    recorded = log.read(folder.folder, range(older + 1, newer + 1))
    limits = Limits(log_every=grid(recorded, exp.steps), stop_at=newer)
    with tempfile.TemporaryDirectory() as there:
        with log.MetricsLog(there, tensorboard=False) as again:
            outcome = fit(program, state, events=Lines(again), limits=limits).whole()
        repeated = log.read(there)
    for old, new in zip(log.comparable(recorded), log.comparable(repeated), strict=False):
        if old != new:
            print(f"first difference, {difference(json.loads(old), json.loads(new))}")
            break
    got = digest(outcome.state)
    if got != wanted:
        print(f"replayed steps {older} to {newer}: digest {got}, the checkpoint's is {wanted}")
        versions = changed_versions(folder.env)
        if versions:
            print(f"the run was trained with {versions}: other versions may round differently")
        return False
    print(f"replayed steps {older} to {newer}: the same digest, {got}")
    return True


class Lines:
    """Events of a loop that are written to a log only."""

    def __init__(self, log: Any):
        self.line = log.line

    def progress(self, step: int, metrics: Mapping[str, float]) -> None:
        if sys.stderr.isatty():
            print(f"\rstep {step}", end="\r", file=sys.stderr)

    def pictures(self, step: int, report: Mapping[str, Any]) -> None: ...


def grid(lines: Sequence[Mapping[str, Any]], last: int) -> int:
    """The `log_every` that reproduces the training lines of a part of a log.

    >>> grid([{"kind": "train", "step": 60}, {"kind": "train", "step": 90}, {"kind": "train", "step": 100}], 100)
    30
    """
    return gcd(*(line["step"] for line in lines if line["kind"] == "train" and line["step"] != last)) or last


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """'step 50 (train): loss was 0.31, is 0.3100001'."""
    names = [name for name in old if old[name] != new.get(name)]
    shown = ", ".join(f"{name} was {old[name]}, is {new.get(name)}" for name in names[:2])
    return f"step {old['step']} ({old['kind']}): {shown}"


def changed_versions(env: Mapping[str, Any]) -> str:
    now = environment()["versions"]
    return ", ".join(
        f"{name} {old} (here {now.get(name)})" for name, old in env["versions"].items() if old != now.get(name)
    )
