"""`train EXPERIMENT [flags]` and `train --resume RUN`; `python -m experiments.<name>` calls the same."""

import inspect
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxdl import runtime
from jaxdl.cli.errors import guarded
from jaxdl.cli.options import RunOptions, parse, positive, with_value
from jaxdl.engine import distributed
from jaxdl.experiment import ExperimentError, load_config, refuse_while_reading
from jaxdl.record.run import LATEST, RUNS, RunFolder, find_runs, open_run
from jaxdl.runs import train as runs
from jaxdl.runs.open import config_of
from jaxdl.setup import Config

PAUSED = 75
"""Exit code of a run that a signal paused: EX_TEMPFAIL, "try again", which job schedulers know."""


def run(args: Sequence[str]) -> int:
    """Train an experiment (`train digits_cnn --lr 3e-3`) or continue a run (`train --resume RUN`)."""
    place = place_of_file(args)
    if place is not None:
        file, flags = args[place], with_value([*args[:place], *args[place + 1 :]])
        return train(load_config(file), flags, prog=f"python -m jaxdl train {file}")
    args = with_value(list(args))
    resumed = value_of(args, "--resume")
    if resumed == LATEST:
        resumed = str(open_run(Path(value_of(args, "--run") or RUNS) / LATEST).folder)
        args = [resumed if arg == LATEST else arg for arg in args]
    if resumed is None:
        print(
            "usage: python -m jaxdl train NAME|FILE.py [flags]\n       python -m jaxdl train --resume RUN [flags]\n\n"
            "`python -m jaxdl train NAME --help` shows the knobs of an experiment and the\noptions of a run. --resume executes "
            "the experiment file that the run was trained\nfrom, or the copy of it in RUN: resume no run of somebody else."
        )
        if any(arg in ("-h", "--help") for arg in args):
            return 0
        raise ExperimentError(
            "train needs an experiment, by its name (see `python -m jaxdl list`) or file, or --resume RUN"
        )
    return train(source_config(open_run(resumed), trust="--trust" in args), args, prog="python -m jaxdl train")


def source_config(folder: RunFolder, *, trust: bool) -> Config:
    """The function to resume a run with: of the file it was trained from, else of the copy of that file in its folder."""
    source = Path(folder.config.get("source") or "")
    if not source.is_file():
        return config_of(folder, trust=trust)
    if source.stem != folder.config["experiment"] and not trust:
        raise ExperimentError(
            f"{folder.folder / 'config.json'} says that {folder.config['experiment']} was trained from {source}: it is executed "
            "with --trust only"
        )
    return load_config(source)


def place_of_file(args: Sequence[str]) -> int | None:
    """The index of the experiment file: 0, or anywhere among the flags if its name ends in .py; None: there is none."""
    if args and not args[0].startswith("-"):
        return 0
    return next((i for i, arg in enumerate(args) if arg.endswith(".py") and not arg.startswith("-")), None)


def main(config: Config, args: Sequence[str] | None = None) -> None:
    """Run the command line of one experiment file and end the process with its exit code."""
    refuse_while_reading("main(config)")
    module = sys.modules.get(config.__module__)
    spec = getattr(module, "__spec__", None)
    prog = f"python -m {spec.name}" if spec else Path(sys.argv[0]).name
    args = with_value(sys.argv[1:] if args is None else args)
    sys.exit(guarded(lambda: train(config, args, prog=prog)))


def train(config: Config, args: Sequence[str], *, prog: str) -> int:
    """Parse the flags of an experiment, train it, and return the exit code."""
    resume = value_of(args, "--resume")
    recorded: Mapping[str, Any] = {}
    if resume is not None:
        resume, recorded = find_run(config, resume, value_of(args, "--run") or "runs")
    values, options = parse(config, args, prog=prog, options=RunOptions, defaults=recorded.get("knobs", {}))
    meeting = (options.coordinator, options.num_processes, options.process_id)
    several = distributed.expected(*meeting)
    runtime.configure(
        options.device,
        deterministic=options.deterministic,
        debug_nans=options.debug_nans,
        devices=options.devices,
        start=not several,
    )
    if several:
        distributed.join(*meeting)
        runtime.start_backend(options.device)
    limits = options.limits(profile=options.profile, watchdog=positive("watchdog", options.watchdog))
    result = runs.train(
        config,
        run=options.run,
        resume=resume,
        mesh=options.mesh,
        strategy=options.strategy,
        limits=limits,
        quiet=options.quiet,
        trust=options.trust,
        **values,
    )
    return PAUSED if result.outcome is not None and result.outcome.reason == "interrupted" else 0


def find_run(config: Config, resume: str, root: str) -> tuple[Path, Mapping[str, Any]]:
    """The folder to resume and its config.json; `latest` is the newest run of this experiment."""
    if resume == LATEST:
        name = Path(inspect.getsourcefile(config) or "").stem
        runs = find_runs(root, name)
        if not runs:
            raise ExperimentError(f"no run of {name} in {root} to resume")
        return runs[-1].folder, runs[-1].config
    found = open_run(resume)
    return found.folder, found.config


def value_of(args: Sequence[str], flag: str) -> str | None:
    """The value of a flag that is needed before the other flags can be parsed."""
    for i, arg in enumerate(args):
        if arg == flag and i + 1 < len(args):
            return args[i + 1]
        if arg.startswith(f"{flag}="):
            return arg.split("=", 1)[1]
    return None
