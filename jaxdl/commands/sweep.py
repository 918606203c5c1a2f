"""`sweep EXPERIMENT --seed 0:8 --lr 1e-4,3e-4,1e-3`: a grid, or random draws, of knobs as populations.

Values of a knob: `a,b,c`; for whole numbers `from:to` (to excluded); for others `from:to:n`, evenly spaced, ends included, or
`from:to:n:log`, evenly in the logarithm. With --random N, `from:to` and `from:to:log` are ranges to draw from.
"""

import inspect
import itertools
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jaxdl import runtime
from jaxdl.commands.options import RunOptions, parse
from jaxdl.commands.train import PAUSED, call, positive, value_of
from jaxdl.experiment import Experiment, ExperimentError, load_config


@dataclass(frozen=True)
class SweepOptions(RunOptions):
    """How a sweep is carried out."""

    random: int | None = None
    """Draw so many members at random instead of taking the whole grid."""
    prune: bool = False
    """Successive halving: drop the worse two thirds of the members at growing steps."""
    how: typing.Literal["measure", "together", "in turn"] = "measure"
    """Members by vmap, one after the other in one program, or whichever is faster here."""
    draw_seed: int = 0
    """Seed of the random draws."""


def run(args: Sequence[str]) -> int:
    if not args or args[0] in ("-h", "--help"):
        print(
            f"usage: python -m jaxdl sweep EXPERIMENT.py --knob VALUES ... [flags]\n       python -m jaxdl sweep --resume SWEEP\n\n{__doc__}"
        )
        return 0 if args else 2
    from jaxdl import sweeps

    if args[0].startswith("-"):
        resumed = value_of(args, "--resume")
        if resumed is None:
            raise ExperimentError("sweep needs an experiment file, or --resume SWEEP")
        runtime.ensure()
        outcome = sweeps.resume(Path(resumed))
        return PAUSED if outcome.reason == "interrupted" else 0
    config = load_config(args[0])
    swept, rest = split(config, args[1:])
    knobs, overrides, options = parse(config, rest, prog=f"python -m jaxdl sweep {args[0]}", options=SweepOptions)
    runtime.configure(
        options.device, deterministic=options.deterministic, debug_nans=options.debug_nans, devices=options.devices
    )
    points = draw(swept, knobs, options.random, options.draw_seed) if options.random else grid(swept, knobs)
    call(config, points[0])
    outcome = sweeps.sweep(
        config,
        points,
        swept=list(swept),
        overrides=overrides,
        root=options.run,
        mesh=options.mesh,
        how=None if options.how == "measure" else options.how,
        prune=options.prune,
        log_every=positive("log-every", options.log_every),
        stop_at=positive("stop-at", options.stop_at),
        checkpoint_every=positive("checkpoint-every", options.checkpoint_every),
        max_bad=positive("max-bad-steps", options.max_bad_steps),
        quiet=options.quiet,
    )
    return PAUSED if outcome.reason == "interrupted" else 0


def split(config: Callable[..., Experiment], args: Sequence[str]) -> tuple[dict[str, "Range"], list[str]]:
    """The knobs that are given several values, and the other arguments, which are parsed as for `train`."""
    plain = getattr(config, "plain", config)
    hints = typing.get_type_hints(plain)
    names = {f"--{name.replace('_', '-')}": name for name in inspect.signature(plain).parameters}
    swept: dict[str, Range] = {}
    rest: list[str] = []
    i = 0
    while i < len(args):
        flag, equals, value = args[i].partition("=")
        flag = flag.replace("_", "-")
        if flag in names and not equals and i + 1 < len(args):
            value, i = args[i + 1], i + 1
            equals = " "
        if flag in names and equals and ("," in value or ":" in value) and hints[names[flag]] is not str:
            swept[names[flag]] = Range.parse(flag, value, hints[names[flag]])
        elif equals == " ":
            rest += [flag, value]
        else:
            rest.append(args[i])
        i += 1
    if not swept:
        raise ExperimentError(
            f"nothing to sweep: give a knob several values, as in --seed 0:8 or --lr 1e-4,1e-3 ({', '.join(names)})"
        )
    return swept, rest


@dataclass(frozen=True)
class Range:
    """The values of one knob: a list, or the ends of an interval to draw from."""

    values: tuple[Any, ...] = ()
    ends: tuple[float, float] | None = None
    whole: bool = False
    log: bool = False

    @classmethod
    def parse(cls, flag: str, text: str, kind: Any) -> "Range":
        """
        >>> Range.parse("--lr", "1e-3:1e-1:3:log", float).values
        (0.001, 0.01, 0.1)
        >>> Range.parse("--seed", "0:3", int).values
        (0, 1, 2)
        """
        if ":" not in text:
            return cls(tuple(typed(flag, part, kind) for part in text.split(",")))
        parts = text.split(":")
        log = parts[-1] == "log"
        parts = parts[:-1] if log else parts
        if kind not in (int, float) or not 2 <= len(parts) <= 3:
            raise ExperimentError(
                f"{flag} {text}: should be from:to, from:to:n or from:to:n:log, or values with commas"
            )
        low, high = (typed(flag, part, kind) for part in parts[:2])
        if high <= low or (log and low <= 0):
            raise ExperimentError(f"{flag} {text}: needs {'0 < ' if log else ''}from < to")
        if len(parts) == 3:
            n = typed(flag, parts[2], int)
            spaced = np.geomspace(low, high, n) if log else np.linspace(low, high, n)
            return cls(tuple(dict.fromkeys(kind(round(v)) if kind is int else float(f"{v:.10g}") for v in spaced)))
        return cls(tuple(range(low, high)) if kind is int else (), (low, high), kind is int, log)

    def draw(self, random: np.random.Generator) -> Any:
        if self.ends is None:
            return self.values[random.integers(len(self.values))]
        low, high = self.ends
        if self.whole and not self.log:
            return int(random.integers(low, high))
        value = np.exp(random.uniform(np.log(low), np.log(high))) if self.log else random.uniform(low, high)
        return int(value) if self.whole else float(f"{value:.6g}")


def typed(flag: str, text: str, kind: Any) -> Any:
    """One value in the type of its knob."""
    choices = typing.get_args(kind)
    if typing.get_origin(kind) is typing.Literal:
        if text not in choices:
            raise ExperimentError(f"{flag} {text}: should be one of {', '.join(map(str, choices))}")
        return text
    if type(None) in choices:
        kind = next(choice for choice in choices if choice is not type(None))
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise ExperimentError(f"{flag} {text}: should be true or false")
        return text.lower() == "true"
    try:
        return kind(text)
    except (TypeError, ValueError):
        raise ExperimentError(f"{flag} {text}: not {'a whole number' if kind is int else 'a number'}") from None


def grid(swept: Mapping[str, Range], knobs: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every combination, the first knob varying slowest."""
    for name, values in swept.items():
        if not values.values:
            raise ExperimentError(f"--{name}: from:to of real numbers needs a count, from:to:n (or --random N to draw)")
    return [
        {**knobs, **dict(zip(swept, combination, strict=True))}
        for combination in itertools.product(*(values.values for values in swept.values()))
    ]


def draw(swept: Mapping[str, Range], knobs: Mapping[str, Any], count: int, seed: int) -> list[dict[str, Any]]:
    """`count` independent draws."""
    if count < 1:
        raise ExperimentError(f"--random {count}: must be 1 or more")
    random = np.random.default_rng(seed)
    return [{**knobs, **{name: values.draw(random) for name, values in swept.items()}} for _ in range(count)]
