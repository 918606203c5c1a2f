"""`compare RUN...`: final and best metrics of runs, grouped over seeds, the knobs that differ, one plot."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from jaxdl.experiment import ExperimentError
from jaxdl.record.log import read
from jaxdl.record.run import Run, find_runs, open_run


@dataclass(frozen=True)
class Options:
    """A table of runs: mean ± standard deviation over seeds, best first, and one overlaid plot."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Run folders, or folders of runs (runs/digits_cnn)."""
    metric: str | None = None
    """The metric to order by; by default the first run's own."""
    plot: Path = Path("compare.png")
    """Where the plot goes; an existing file is not overwritten but numbered."""
    json: bool = False
    """Print JSON."""


@dataclass(frozen=True)
class Result:
    """What one run came to, read from its log."""

    run: Run
    metric: str
    mode: str
    lines: list[dict[str, Any]]
    best: float
    final: float
    test: float
    reason: str


def run(args: Sequence[str]) -> int:
    options = tyro.cli(Options, args=args, prog="python -m jaxdl compare")
    results = [result_of(one, options.metric) for one in all_runs(options.runs)]
    metric, mode = results[0].metric, results[0].mode
    if len({result.metric for result in results}) > 1:
        raise ExperimentError("the runs select by different metrics; name one with --metric")
    groups = grouped(results)
    knobs = differing(results)
    order = sorted(groups.values(), key=lambda g: mean([r.best for r in g]) * (-1 if mode == "max" else 1))
    rows = [
        {
            **(
                {"experiment": g[0].run.config["experiment"]}
                if len({r.run.config["experiment"] for r in results}) > 1
                else {}
            ),
            **{name: settings(g[0].run).get(name) for name in knobs},
            "n": len(g),
            **{f"{what} {metric}": [mean(values), spread(values)] for what, values in columns(g).items()},
        }
        for g in order
    ]
    if options.json:
        print(json.dumps({"metric": metric, "mode": mode, "rows": rows}))
    else:
        show(rows, metric, mode)
    from jaxdl.record import plots

    path = unused(options.plot)
    curves = {label(g[0], knobs) or g[0].run.config["experiment"]: [r.lines for r in g] for g in order}
    plots.overlay(curves, metric, path)
    if not options.json:
        print(f"plot: {path}")
    return 0


def all_runs(paths: Sequence[Path]) -> list[Run]:
    found: list[Run] = []
    for path in paths:
        if (path / "config.json").is_file() or not path.is_dir():
            found.append(open_run(path))
        else:
            inside = [open_run(p.parent) for p in sorted(path.glob("*/config.json"))] or find_runs(path)
            if not inside:
                raise ExperimentError(f"{path} holds no run folder")
            found.extend(inside)
    if not found:
        raise ExperimentError("compare needs one or more run folders")
    return found


def result_of(run: Run, metric: str | None) -> Result:
    lines = read(run.metrics) if run.metrics.is_file() else []
    evals = [line for line in lines if line["kind"] == "eval"]
    name, mode = run.config["select"]
    if metric is not None and metric != name:
        from jaxdl.train.stopping import direction

        name, mode = metric, direction(metric, (name, mode))
    if not evals:
        raise ExperimentError(f"{run.folder} has no evaluation yet")
    if name not in evals[0]:
        shown = sorted(key for key, value in evals[0].items() if isinstance(value, float))
        raise ExperimentError(f"{run.folder} has no metric {name!r}; it has {', '.join(shown)}")
    curve = [float(line[name]) for line in evals]
    values = [value for value in curve if math.isfinite(value)]
    end = next((line for line in reversed(lines) if line["kind"] == "end"), {})
    return Result(
        run,
        name,
        mode,
        lines,
        best=(max if mode == "max" else min)(values) if values else math.nan,
        final=curve[-1],
        test=float(end.get("results", {}).get("test", {}).get(name, math.nan)),
        reason=end.get("reason", "unfinished"),
    )


def settings(run: Run) -> dict[str, Any]:
    """Knobs and recorded fields, without the seed."""
    recorded = {name: value for name, value in run.config["recorded"].items() if name not in run.config["knobs"]}
    return {name: value for name, value in {**run.config["knobs"], **recorded}.items() if name != "seed"}


def grouped(results: Sequence[Result]) -> dict[str, list[Result]]:
    """Runs that differ in the seed only."""
    groups: dict[str, list[Result]] = {}
    for result in results:
        key = json.dumps([result.run.config["experiment"], settings(result.run)], sort_keys=True)
        groups.setdefault(key, []).append(result)
    return groups


def differing(results: Sequence[Result]) -> list[str]:
    names = list(dict.fromkeys(name for result in results for name in settings(result.run)))
    return [n for n in names if len({json.dumps(settings(r.run).get(n)) for r in results}) > 1]


def columns(group: Sequence[Result]) -> Mapping[str, list[float]]:
    shown = {"best": [r.best for r in group], "final": [r.final for r in group]}
    tests = [r.test for r in group if math.isfinite(r.test)]
    return {**shown, "test": tests} if tests else shown


def mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if len(values) else math.nan


def spread(values: Sequence[float]) -> float:
    """The standard deviation of a sample (n - 1); NaN for one run: one run has none."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else math.nan


def label(result: Result, knobs: Sequence[str]) -> str:
    return ", ".join(f"{name} {settings(result.run).get(name)}" for name in knobs)


def unused(path: Path) -> Path:
    """The path, or the first numbered one that does not exist."""
    candidate, number = path, 2
    while candidate.exists():
        candidate, number = path.with_name(f"{path.stem}-{number}{path.suffix}"), number + 1
    return candidate


def show(rows: Sequence[Mapping[str, Any]], metric: str, mode: str) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"by best validation {metric} ({mode}imum first); mean ± sd over n seeds")
    names = list(dict.fromkeys(name for row in rows for name in row))
    for name in names:
        table.add_column(name, justify="right")
    for row in rows:
        cells = []
        for name in names:
            value = row.get(name)
            if isinstance(value, list):
                sd = "" if math.isnan(value[1]) else f" ± {value[1]:.2g}"
                cells.append(f"{value[0]:.4f}{sd}")
            else:
                cells.append("" if value is None else str(value))
        table.add_row(*cells)
    Console().print(table)
