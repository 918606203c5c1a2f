"""`record EXPERIMENT --seed 0:5`: measure an experiment over seeds and keep every number in the ledger, results/.

    python -m jaxdl record digits_mlp --seed 0:5              train the seeds that the ledger lacks, and write them
    python -m jaxdl record digits_mlp --seed 0:5              again: train them once more and say whether they still hold
    python -m jaxdl record digits_mlp --seed 5:10 --lr 3e-3   a setting of its own
    python -m jaxdl record digits_mlp --tune lr=1e-3,3e-3     of these rates the one that is best on the validation split

Nothing else is written: no run folder and no checkpoint.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from jaxdl import runtime
from jaxdl.cli.options import parse
from jaxdl.cli.sweep import Values
from jaxdl.experiment import ExperimentError, load_config
from jaxdl.runs import ledger
from jaxdl.setup import Setup, knob_types


@dataclass(frozen=True, kw_only=True)
class Options:
    """What is recorded, and where."""

    tune: str = ""
    """A knob and values, as in lr=1e-3,3e-3: try each over the seeds, record the one with the best mean on validation."""
    splits: str = "validation,test"
    """Splits to evaluate, separated by commas."""
    results: Path = ledger.RESULTS
    """The ledger: the file <experiment>/<setting>.json in this folder."""
    replace: bool = False
    """Measure anew what was measured with another version of the experiment file."""
    device: Literal["cpu", "gpu", "tpu"] | None = None
    """Where to compute. None: what JAX_PLATFORMS says, else the fastest that JAX finds."""


def run(args: Sequence[str]) -> int:
    if not args or args[0] in ("-h", "--help"):
        print(f"usage: python -m jaxdl record EXPERIMENT --seed FROM:TO [flags]\n\n{__doc__}")
        return 0 if args else 2
    config = load_config(args[0])
    seeds, rest = seeds_of(args[1:])
    values, options = parse(config, rest, prog=f"python -m jaxdl record {args[0]}", options=Options)
    runtime.configure(options.device)
    setup = Setup.of(config, {name: value for name, value in values.items() if name != "seed"})
    if options.tune:
        setup = tuned(setup, seeds, options.tune)
    entry, stale = ledger.open_entry(setup, options.results)
    if not options.replace and not stale and set(seeds) <= set(entry.seeds):
        return again(setup, seeds, entry)
    entry = ledger.record(setup, seeds, splits=options.splits.split(","), replace=options.replace, root=options.results)
    show(entry)
    return 0


def seeds_of(args: Sequence[str]) -> tuple[list[int], list[str]]:
    """The seeds of `--seed 0:5`, `--seed 0,3` or `--seed 2`, and the other arguments."""
    words = [part for word in args for part in (word.split("=", 1) if word.startswith("--seed=") else (word,))]
    if "--seed" not in words:
        return [0, 1, 2], words
    place = words.index("--seed")
    if place + 1 == len(words):
        raise ExperimentError("--seed needs a value, as in --seed 0:5")
    return list(Values.parse("--seed", words[place + 1], int).listed), words[:place] + words[place + 2 :]


def tuned(setup: Setup, seeds: Sequence[int], words: str) -> Setup:
    """The setup with the value of a knob that has the best mean over the seeds on the validation split."""
    name, equals, listed = words.partition("=")
    if not equals or name not in setup.knobs:
        raise ExperimentError(
            f"--tune {words}: needs a knob and its values, as in lr=1e-3,3e-3 ({', '.join(setup.knobs)})"
        )
    metric, mode = setup.build().select
    means = {}
    for value in Values.parse(f"--tune {name}", listed, knob_types(setup.config)[name]).listed:
        tried = setup.with_values({name: value})
        runs = [ledger.measure(tried, seed, ["validation"])[0]["metrics"]["validation"] for seed in seeds]
        means[value] = statistics.fmean(run[metric] for run in runs)
        print(f"{name} = {value}: validation {metric} {means[value]:.4g}")
    best = (max if mode == "max" else min)(means, key=lambda value: means[value])
    return setup.with_values({name: best})


def show(entry: ledger.LedgerEntry) -> None:
    """Print mean ± standard deviation of every metric of the test split, or of the split that there is."""
    splits = entry.runs[0]["metrics"]
    split = "test" if "test" in splits else next(iter(splits))
    print(f"\n{entry.experiment}, {ledger.name_of(entry.setting)}, {split}, n = {len(entry.runs)}")
    for name in splits[split]:
        values = entry.values(name, split)
        naive = f"   naive baseline {entry.baseline[name]:.4g}" if name in entry.baseline else ""
        print(f"  {name:<20} {spread(values)}{naive}")


def spread(values: Sequence[float]) -> str:
    """Mean ± standard deviation over seeds."""
    sd = f" ± {statistics.stdev(values):.2g}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.4g}{sd}"


def again(setup: Setup, seeds: Sequence[int], entry: ledger.LedgerEntry) -> int:
    """Train the seeds again and say, metric by metric, whether the ledger still holds. Exit code 1 if it does not."""
    if len(seeds) < 2:
        raise ExperimentError(f"the ledger has seed {seeds[0]}; comparing with it needs two seeds or more")
    found = ledger.repeat(setup, seeds, entry)
    held = {name: holds(difference) for name, difference in found.items()}
    for name, difference in found.items():
        print(f"  {name:<20} {'holds' if held[name] else 'DIFFERS'}   now minus ledger: {difference}")
    return 0 if all(held.values()) else 1


def holds(difference: Any) -> bool:
    """Whether the interval of the difference contains 0, up to rounding."""
    slack = 1e-6 + 1e-5 * math.fabs(difference.mean)
    return difference.low - slack <= 0 <= difference.high + slack
