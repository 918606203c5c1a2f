"""A table of one experiment under several settings, each over several seeds: mean ± standard deviation on each split.

    python benchmarks/seeds.py experiments/contrast_outliers.py "--loss mse" "--loss huber" --seeds 10

Every setting is the experiment's own flags in one string (one flag alone with a space before it: " --conditional").
`--tune lr=1e-3,3e-3` tries those values in every setting and keeps the one with the best mean on the validation split, so that
nobody is compared at another's learning rate; the test split is read once, for the table. No run folders are written. Seeds and
float knobs are arguments of one compiled program, so a further seed costs its steps only.
"""

import argparse
import platform
import shlex
import statistics
import time

import flax
import jax
import optax

from jaxdl import runtime
from jaxdl.cli.options import parse
from jaxdl.experiment import load_config
from jaxdl.runs.trial import trial


def results(config, values, splits):
    """split -> metrics of one run, and what selects it."""
    run = trial(config, **values)
    return {split: run.evaluate(split).metrics for split in splits}, run.experiment.select


def spread(values):
    sd = statistics.stdev(values) if len(values) > 1 else 0.0
    return statistics.mean(values), sd


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment")
    parser.add_argument("settings", nargs="*", help='flags of the experiment in one string each; "" is the default')
    parser.add_argument("--seeds", type=int, default=5, help="seeds 0, 1, ... of each setting")
    parser.add_argument("--tune", default="", help="a knob and its values: lr=1e-3,3e-3")
    parser.add_argument("--metrics", default="", help="names separated by commas; by default what selects the model")
    parser.add_argument("--splits", default="train,test")
    options = parser.parse_args()
    runtime.configure()
    config = load_config(options.experiment)
    knob, _, values = options.tune.partition("=")
    tried = [float(value) for value in values.split(",")] if values else [None]
    splits = options.splits.split(",")
    table, names = [], options.metrics.split(",") if options.metrics else []
    for setting in options.settings or [""]:
        knobs, _ = parse(config, shlex.split(setting), prog=options.experiment)
        began, best = time.perf_counter(), None
        for value in tried:
            mine = knobs if value is None else {**knobs, knob: value}
            runs = []
            for seed in range(options.seeds):
                found, (metric, mode) = results(
                    config, {**mine, "seed": seed}, [*splits, *(["validation"] if values else [])]
                )
                runs.append(found)
            names = names or [metric]
            score = spread([run["validation"][metric] for run in runs])[0] if values else 0.0
            if best is None or (score > best[0] if mode == "max" else score < best[0]):
                best = score, value, runs
        _, value, runs = best
        cells = [
            "{:.4g} ± {:.2g}".format(*spread([run[split][name] for run in runs])) for name in names for split in splits
        ]
        row = [setting or "(as it is)", *([f"{value:g}"] if values else []), *cells]
        print(f"{' | '.join(row)}   [{time.perf_counter() - began:.0f} s]", flush=True)
        table.append(row)
    head = [
        "setting",
        *([f"best {knob}"] if values else []),
        *(f"{split} {name}" for name in names for split in splits),
    ]
    print(f"\n| {' | '.join(head)} |\n|{'---|' * len(head)}")
    print("\n".join(f"| {' | '.join(row)} |" for row in table))
    versions = (
        f"Python {platform.python_version()}, jax {jax.__version__}, flax {flax.__version__}, optax {optax.__version__}"
    )
    print(f"\nn = {options.seeds} seeds; mean ± standard deviation; {versions}")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt as stopped:
        raise SystemExit(130) from stopped
