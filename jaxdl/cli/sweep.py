"""Train every combination of some knobs' values, or random draws of them, many runs in one program.

    python -m jaxdl sweep EXPERIMENT --seed 0:8 --lr 1e-4,3e-4,1e-3

Values of a knob:

    a,b,c            a list
    from:to          whole numbers, `to` excluded: --seed 0:8
    from:to:n        n evenly spaced values, both ends included: --rate 0:0.5:4
    from:to:n:log    the same, evenly spaced in the logarithm: --lr 1e-4:1e-2:3:log

With --random N values are drawn at random from each list, and from the ranges
`from:to` and `from:to:log`.
"""

import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from jaxdl import runtime
from jaxdl.cli.options import TrainingOptions, parse, positive, read_flags
from jaxdl.cli.train import PAUSED
from jaxdl.experiment import Experiment, ExperimentError, load_config
from jaxdl.runs import sweep as sweeps


@dataclass(frozen=True, kw_only=True)
class SweepOptions(TrainingOptions):
    """How the sweep is carried out. Each device trains some of the members."""

    random: int | None = None
    """Draw this many members at random instead of training the whole grid."""
    draw_seed: int = 0
    """Seed of the random draws."""
    prune: bool = False
    """Successive halving: at a few steps, each three times the one before, only the best third of the members continues."""
    how: Literal["measure", "together", "in turn"] = "measure"
    """All members at once by vmap ("together"), or one after the other ("in turn"); "measure" takes the faster on a CPU."""


@dataclass(frozen=True)
class ResumeOptions:
    """Continue a sweep that was stopped. Executes the copy of the experiment file in its folder."""

    resume: Path
    """The sweep's folder."""
    device: Literal["cpu", "gpu", "tpu"] | None = None
    """Where to compute."""
    devices: int | None = None
    """Number of virtual devices to split the CPU into."""
    stop_at: int | None = None
    """Pause after this step with a checkpoint."""
    trust: bool = False
    """Use a run folder whose config.json or experiment.py was changed after the run wrote it."""
    quiet: bool = False
    """Show no progress."""


def run(args: Sequence[str]) -> int:
    if not args or args[0] in ("-h", "--help"):
        print(
            "usage: python -m jaxdl sweep EXPERIMENT --knob VALUES ... [flags]\n       python -m jaxdl sweep --resume SWEEP\n"
        )
        print(f"{__doc__}\n`python -m jaxdl sweep EXPERIMENT --help` lists the flags.")
        return 0 if args else 2
    if args[0].startswith("-"):
        resumed = read_flags(ResumeOptions, args, prog="python -m jaxdl sweep")
        runtime.configure(resumed.device, devices=resumed.devices)
        outcome = sweeps.resume(
            resumed.resume, stop_at=positive("stop-at", resumed.stop_at), quiet=resumed.quiet, trust=resumed.trust
        )
    else:
        config = load_config(args[0])
        if {"-h", "--help"} & set(args):
            print(__doc__)  # how the values of a knob are written; the knobs follow
        swept, rest = split(config, args[1:])
        values, options = parse(config, rest, prog=f"python -m jaxdl sweep {args[0]}", options=SweepOptions)
        if not swept:
            names = ", ".join(f"--{name.replace('_', '-')}" for name in inspect.signature(config).parameters)
            raise ExperimentError(f"nothing to sweep: give a knob values, as in --seed 0:8 or --lr 1e-4,1e-3 ({names})")
        runtime.configure(options.device, deterministic=options.deterministic, devices=options.devices)
        points = draw(swept, options.random, options.draw_seed) if options.random is not None else grid(swept)
        how = None if options.how == "measure" else options.how
        outcome = sweeps.sweep(
            config,
            points,
            run=options.run,
            how=how,
            prune=options.prune,
            limits=options.limits(),
            quiet=options.quiet,
            **{name: value for name, value in values.items() if name not in swept},
        )
    if outcome.reason == "finished":
        print(f"{outcome.table}\n\nreport: {outcome.folder / 'report.html'}")
    return PAUSED if outcome.reason == "interrupted" else 0


def split(config: Callable[..., Experiment], args: Sequence[str]) -> tuple[dict[str, "Values"], list[str]]:
    """(knobs with several values, the other arguments, which are parsed as those of `train`)."""
    hints = typing.get_type_hints(config)
    names = {f"--{name.replace('_', '-')}": name for name in inspect.signature(config).parameters}
    swept: dict[str, Values] = {}
    rest: list[str] = []
    words, given = iter(args), dict[str, str]()
    for word in words:
        flag, equals, value = word.partition("=")
        name = names.get(flag.replace("_", "-"))
        taken = [word]
        if name is not None and not equals:
            value = next(words, "")
            taken.append(value)
        if name is not None:
            if name in given:
                raise ExperimentError(f"{flag} is given twice: {given[name]} and {value}")
            given[name] = value
        if name is not None and ("," in value or ":" in value) and hints[name] is not str:
            swept[name] = Values.parse(flag, value, hints[name])
        else:
            rest += taken if taken[-1] else taken[:1]
    return swept, rest


@dataclass(frozen=True)
class Values:
    """Values of a knob: a list, or the ends of an interval to draw from."""

    listed: tuple[Any, ...] = ()
    ends: tuple[float, float] | None = None
    whole: bool = False
    log: bool = False

    @classmethod
    def parse(cls, flag: str, text: str, kind: Any) -> "Values":
        """
        >>> Values.parse("--lr", "1e-3:1e-1:3:log", float).listed
        (0.001, 0.01, 0.1)
        >>> Values.parse("--seed", "0:3", int).listed
        (0, 1, 2)
        """
        if ":" not in text:
            return cls(tuple(dict.fromkeys(typed(flag, part.strip(), kind) for part in text.split(","))))
        parts = text.split(":")
        log = parts[-1] == "log"
        parts = parts[:-1] if log else parts
        numbers = {int, float} & {kind, *typing.get_args(kind)}
        if not numbers or not 2 <= len(parts) <= 3:
            raise ExperimentError(
                f"{flag} {text}: must be from:to, from:to:n, from:to:n:log, or values separated by commas"
            )
        kind = numbers.pop()
        low, high = (typed(flag, part, kind) for part in parts[:2])
        if high <= low or (log and low <= 0):
            raise ExperimentError(f"{flag} {text}: needs {'0 < ' if log else ''}from < to")
        if len(parts) == 3:
            n = typed(flag, parts[2], int)
            if n < 2:
                raise ExperimentError(f"{flag} {text}: needs 2 values or more")
            spaced = np.geomspace(low, high, n) if log else np.linspace(low, high, n)
            return cls(tuple(dict.fromkeys(round(v) if kind is int else float(f"{v:.6g}") for v in spaced)))
        return cls(tuple(range(low, high)) if kind is int and not log else (), (low, high), kind is int, log)

    def draw(self, random: np.random.Generator) -> Any:
        if self.ends is None:
            return self.listed[random.integers(len(self.listed))]
        low, high = self.ends
        if self.whole and not self.log:
            return int(random.integers(low, high))
        value = np.exp(random.uniform(np.log(low), np.log(high))) if self.log else random.uniform(low, high)
        return int(value) if self.whole else float(f"{value:.6g}")


def typed(flag: str, text: str, kind: Any) -> Any:
    """Convert the text of a flag to the type of its knob."""
    choices = typing.get_args(kind)
    if type(None) in choices:
        if text.lower() == "none":
            return None
        kind = next(choice for choice in choices if choice is not type(None))
        choices = typing.get_args(kind)
    if typing.get_origin(kind) is Literal:
        found = [choice for choice in choices if str(choice) == text]
        if not found:
            raise ExperimentError(f"{flag} {text}: should be one of {', '.join(map(str, choices))}")
        return found[0]
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise ExperimentError(f"{flag} {text}: should be true or false")
        return text.lower() == "true"
    if kind not in (int, float, str):
        raise ExperimentError(
            f"{flag} {text}: a knob of this type takes one value; sweep it from Python with jaxdl.sweep"
        )
    try:
        return kind(text)
    except (TypeError, ValueError):
        raise ExperimentError(f"{flag} {text}: {text!r} is no {'whole number' if kind is int else 'number'}") from None


def grid(swept: Mapping[str, Values]) -> list[dict[str, Any]]:
    """All combinations; the first knob varies slowest."""
    for name, values in swept.items():
        if not values.listed:
            raise ExperimentError(f"--{name}: an interval of real numbers needs a count, from:to:n, or --random N")
    return sweeps.combinations({name: values.listed for name, values in swept.items()})


def draw(swept: Mapping[str, Values], count: int, seed: int) -> list[dict[str, Any]]:
    """`count` independent draws of all knobs."""
    if count < 1:
        raise ExperimentError(f"--random {count}: must be 1 or more")
    random = np.random.default_rng(seed)
    return [{name: values.draw(random) for name, values in swept.items()} for _ in range(count)]
