"""`train EXPERIMENT [flags]`, `train --resume RUN`, and what `python -m experiments.<name>` runs."""

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxdl import formats, runtime
from jaxdl.commands.errors import guarded
from jaxdl.commands.options import LATEST, RunOptions, parse, with_value
from jaxdl.data.tokenizers import at_home
from jaxdl.experiment import Experiment, ExperimentError, experiment, line_in, load_config

PAUSED = 75
"""Exit code of a run that a signal paused: EX_TEMPFAIL, "try again", which schedulers know."""


def run(args: Sequence[str]) -> int:
    """Train an experiment file: `train experiments/digits_cnn.py --lr 3e-3`, or go on: `train --resume RUN`."""
    place = place_of_file(args)
    if place is not None:
        file, flags = args[place], with_value([*args[:place], *args[place + 1 :]])
        return train(load_config(file), flags, prog=f"python -m jaxdl train {file}")
    args = with_value(list(args))
    resumed = value_of(args, "--resume")
    if resumed is None or resumed == LATEST:
        print("usage: python -m jaxdl train EXPERIMENT.py [--help | flags]\n       python -m jaxdl train --resume RUN")
        if any(arg in ("-h", "--help") for arg in args):
            return 0
        raise ExperimentError("train needs an experiment file (see `python -m jaxdl list`) or --resume RUN")
    from jaxdl.record.run import open_run

    folder = open_run(resumed)
    source = folder.config.get("source")
    if source is None or not Path(source).is_file():
        if not folder.experiment.is_file():
            raise ExperimentError(
                f"{resumed} was trained from a notebook: resume it there, train(config(...), resume=RUN)"
            )
        source = folder.experiment
    return train(load_config(source), args, prog="python -m jaxdl train")


def place_of_file(args: Sequence[str]) -> int | None:
    """Where the experiment file stands: first, or anywhere among the flags if its name ends in .py."""
    if args and not args[0].startswith("-"):
        return 0
    return next((i for i, arg in enumerate(args) if arg.endswith(".py") and not arg.startswith("-")), None)


def main(config: Callable[..., Experiment], args: Sequence[str] | None = None) -> None:
    """The command line of one experiment file; ends the process with its exit code."""
    module = sys.modules.get(config.__module__)
    spec = getattr(module, "__spec__", None)
    prog = f"python -m {spec.name}" if spec else Path(sys.argv[0]).name
    args = with_value(sys.argv[1:] if args is None else args)
    sys.exit(guarded(lambda: train(experiment(config), args, prog=prog)))


def train(config: Callable[..., Experiment], args: Sequence[str], *, prog: str) -> int:
    resume = value_of(args, "--resume")
    recorded: Mapping[str, Any] = {}
    if resume is not None:
        resume, recorded = find_run(config, resume, value_of(args, "--run") or "runs")
    knobs, overrides, options = parse(
        with_defaults(config, recorded.get("knobs", {})), args, prog=prog, options=RunOptions
    )
    from jaxdl import api
    from jaxdl.train import distributed
    from jaxdl.train.loop import Limits

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

    with at_home(resume), formats.under(formats.recorded(recorded) if recorded else formats.current()):
        exp = call(config, knobs)
    exp = api.with_overrides(exp, {**recorded.get("recorded", {}), **overrides})
    limits = Limits(
        log_every=positive("log-every", options.log_every),
        checkpoint_every=positive("checkpoint-every", options.checkpoint_every),
        stop_at=positive("stop-at", options.stop_at),
        max_bad=positive("max-bad-steps", options.max_bad_steps),
        profile=options.profile,
        watchdog=positive("watchdog", options.watchdog),
    )
    result = api.train(
        exp,
        run=options.run,
        resume=resume,
        mesh=options.mesh,
        strategy=options.strategy,
        limits=limits,
        quiet=options.quiet,
    )
    return PAUSED if result.outcome is not None and result.outcome.reason == "interrupted" else 0


def call(config: Callable[..., Experiment], knobs: Mapping[str, Any]) -> Experiment:
    """The experiment for these knobs; what `config` itself does wrong is told with the line of its file."""
    try:
        return config(**knobs)
    except Exception as error:
        from jaxdl.commands.errors import raised_by_us

        if raised_by_us(error) or isinstance(error, ExperimentError | FileNotFoundError):
            raise
        file = inspect.getsourcefile(getattr(config, "plain", config)) or "config"
        line = line_in(file, error) or "?"
        raise ExperimentError(f"{file}:{line} config raises {type(error).__name__}: {error}") from error


def find_run(config: Callable[..., Experiment], resume: str, root: str) -> tuple[Path, Mapping[str, Any]]:
    """The folder to resume and its config.json; `latest` is the newest run of this experiment."""
    from jaxdl.record.run import find_runs, open_run

    if resume == LATEST:
        name = Path(inspect.getsourcefile(getattr(config, "plain", config)) or "").stem
        runs = find_runs(root, name)
        if not runs:
            raise ExperimentError(f"no run of {name} in {root} to resume")
        return runs[-1].folder, runs[-1].config
    found = open_run(resume)
    return found.folder, found.config


def with_defaults(config: Callable[..., Experiment], values: Mapping[str, Any]) -> Callable[..., Experiment]:
    """`config` whose defaults are the values a run recorded, so that a resume repeats them unasked."""
    if not values:
        return config
    from jaxdl.api import as_typed

    plain = getattr(config, "plain", config)

    def same(**knobs: Any) -> Experiment:
        return config(**knobs)

    parameters = [
        p.replace(default=as_typed(values[p.name])) if p.name in values else p
        for p in inspect.signature(plain).parameters.values()
    ]
    same.__signature__ = inspect.signature(plain).replace(parameters=parameters)
    same.__annotations__, same.__doc__, same.__module__ = plain.__annotations__, plain.__doc__, plain.__module__
    return same


def value_of(args: Sequence[str], flag: str) -> str | None:
    """The value of a flag that is needed before the others can be parsed."""
    for i, arg in enumerate(args):
        if arg == flag and i + 1 < len(args):
            return args[i + 1]
        if arg.startswith(f"{flag}="):
            return arg.split("=", 1)[1]
    return None


def positive(name: str, value: Any) -> Any:
    if value is not None and value < 1:
        raise ExperimentError(f"--{name} {value}: must be 1 or more")
    return value
