"""Opening a run folder."""

import sys
from pathlib import Path
from typing import Literal

from jaxdl import formats
from jaxdl.experiment import ExperimentError, load_config
from jaxdl.record import run as folders
from jaxdl.record.checkpoint import Checkpoints
from jaxdl.record.imports import changed_since
from jaxdl.runs.prepare import prepare
from jaxdl.runs.provenance import check_copy, check_recorded, other_data
from jaxdl.runs.run import Run
from jaxdl.setup import Config, Setup

Checkpoint = Literal["best", "last"]


def config_of(
    folder: folders.RunFolder, config: Config | None = None, step: int | None = None, *, trust: bool = False
) -> Config:
    """Return the function that a run was made with: `config` if it is given, else that of the run's copy of its file.

    Args:
        folder: the run.
        config: the function, if it is known.
        step: use the copy that trained from this step on; None: the last copy.
        trust: execute the copy even if it is not the recorded file.
    """
    if config is not None:
        return config
    copy = folder.experiment_at(step)
    if not copy.is_file():
        raise ExperimentError(
            f"{folder.folder} was trained from a notebook: give its config function, load(run, config=config)"
        )
    check_copy(copy, folder.hash_at(step), trust=trust)
    return load_config(copy, beside=folder.config.get("source"))


def setup_of(folder: folders.RunFolder, config: Config | None = None, *, trust: bool = False) -> Setup:
    """Return the setup of a run folder, with its tokenizers. Raise UserError if the folder was changed since."""
    check_recorded(folder, trust=trust)
    return Setup.from_json(config_of(folder, config, trust=trust), folder.config, folder.folder)


def restored_run(
    folder: folders.RunFolder, checkpoint: Checkpoint = "best", config: Config | None = None, *, trust: bool = False
) -> Run:
    """Load a run with its best or last weights. Raise ExperimentError if it has no checkpoint."""
    if changed := changed_since(folder.config):
        to_stderr(f"note: imported by this run's experiment and changed since: {', '.join(changed)}")
    setup = setup_of(folder, config, trust=trust)
    program = prepare(setup)
    if old := formats.note(setup.rules, folder.folder):
        to_stderr(old)
    exp = program.exp
    if changed := other_data(folder.config, exp.data):
        to_stderr(f"note: {changed}")
    checkpoints = Checkpoints(folder.checkpoints, mode=exp.select[1], notify=to_stderr)
    if not checkpoints.steps():
        raise ExperimentError(f"{folder.folder} has no checkpoint yet")
    in_state = exp.stop is not None and exp.stop.restore_best and checkpoint == "best"
    wanted = "last" if in_state or checkpoint == "last" or checkpoints.best is None else "best"
    state, _, _ = checkpoints.restore(program.shapes, wanted)
    run = Run(setup, program, state, folder.folder)
    if checkpoint == "last":
        run.weights = program.weights(state)
    return run


def open_at(path: str | Path) -> Run:
    """Load the run at a path, with its best weights."""
    return restored_run(folders.open_run(path))


def to_stderr(line: str) -> None:
    print(line, file=sys.stderr)
