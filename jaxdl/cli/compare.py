"""`compare RUN...`: a table of the final and best metrics of runs, grouped over seeds, one plot, and both as a page.

Each seed counts once, with its newest finished run. Runs of an edited file are another setting. A note names every run that is
left out.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import tyro

from jaxdl.cli.options import read_flags
from jaxdl.experiment import ExperimentError
from jaxdl.record.log import read_thinned
from jaxdl.record.page import write_html
from jaxdl.record.run import RunFolder, age, find_runs, newest, open_run, readable
from jaxdl.record.series import series_over_seeds

FINISHED = ("finished", "stopped early")


@dataclass(frozen=True)
class Options:
    """Compare runs: mean ± standard deviation over seeds, best first, one plot, and both as a page."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN ...")]
    """Run folders, or folders that hold run folders, such as runs/digits_cnn."""
    metric: str | None = None
    """The metric to sort by. None: the one that selects the best checkpoint of the runs."""
    mode: Literal["max", "min"] | None = None
    """Whether a larger or a smaller value is better, if the runs do not record it."""
    plot: Path = Path("compare.png")
    """File of the plot; the page stands beside it as .html. If one exists, a number is added to its name."""
    json: bool = False
    """Print JSON."""


@dataclass(frozen=True)
class Result:
    """The metrics of one run, read from its log."""

    run: RunFolder
    metric: str
    mode: str
    lines: list[dict[str, Any]]
    best: float
    final: float
    test: float
    reason: str

    @property
    def seed(self) -> Any:
        return self.run.config.get("seed")


def run(args: Sequence[str]) -> int:
    options = read_flags(Options, args, prog="python -m jaxdl compare")
    runs, notes = without_sweeps(all_runs(options.runs))
    if not runs:
        print(json.dumps({"rows": [], "notes": notes}) if options.json else "\n".join(notes))
        return 0
    evaluated, more = with_evaluations(runs, options.metric, options.mode)
    results, most = chosen(evaluated)
    notes += more + most
    metric, mode = results[0].metric, results[0].mode
    if len({result.metric for result in results}) > 1:
        raise ExperimentError("the runs select by different metrics: name one with --metric")
    groups = sorted(grouped(results), key=lambda g: mean([r.best for r in g]) * (-1 if mode == "max" else 1))
    names = identities(groups)
    rows = [
        {
            **identity,
            "n": len(g),
            **{f"{what} {metric}": [mean(values), spread(values)] for what, values in columns(g).items()},
        }
        for g, identity in zip(groups, names, strict=True)
    ]
    title = f"by best validation {metric} ({mode}imum first); mean ± sd over n seeds"
    if options.json:
        print(json.dumps({"metric": metric, "mode": mode, "rows": rows, "notes": notes}))
    else:
        show(*cells(rows), title)
        print(*notes, sep="\n", end="\n" if notes else "")
    from jaxdl.record import plots, report

    path, page = unused(options.plot), unused(options.plot.with_suffix(".html"))
    labels = [label(identity) or g[0].run.config["experiment"] for g, identity in zip(groups, names, strict=True)]
    histories = {name: [r.lines for r in g] for name, g in zip(labels, groups, strict=True)}
    plots.overlay(histories, metric, path)
    said = "\n".join(f"- {report.plain_text(note)}" for note in notes)
    text = f"# Comparison\n\n{title}\n\n{report.markdown_table(*cells(rows))}\n\n![{metric}]({path.name})\n\n{said}\n"
    lines = series_over_seeds(histories, metric, "validation")
    write_html(text, page, {path.name: {f"{metric}, validation": lines}})
    if not options.json:
        print(f"plot: {path}, page: {page}")
    return 0


def all_runs(paths: Sequence[Path]) -> list[RunFolder]:
    """The runs given, or inside the folders given, each once, oldest first."""
    found: list[RunFolder] = []
    for path in map(newest, paths):
        if (path / "config.json").is_file() or not path.is_dir():
            found.append(open_run(path))
        else:
            inside = readable(p.parent for p in sorted(path.glob("*/config.json"))) or find_runs(path)
            if not inside:
                raise ExperimentError(f"{path} holds no run folder")
            found.extend(inside)
    if not found:
        raise ExperimentError("compare needs one or more run folders")
    once = {run.folder.resolve(): run for run in found}
    return sorted(once.values(), key=lambda run: age(run.folder))


def without_sweeps(runs: Sequence[RunFolder]) -> tuple[list[RunFolder], list[str]]:
    """The runs that are not sweeps, and a note on the table of each sweep."""
    sweeps = [run.folder for run in runs if "sweep" in run.config]
    notes = []
    for folder in sweeps:
        made = [str(folder / name) for name in ("report.md", "results.csv") if (folder / name).is_file()]
        where = f"its table is in {' and '.join(made)}" if made else "it has not finished and has no table yet"
        notes.append(f"note: {folder} is a sweep: {where}")
    return [run for run in runs if "sweep" not in run.config], notes


def with_evaluations(runs: Sequence[RunFolder], metric: str | None, mode: str | None) -> tuple[list[Result], list[str]]:
    found = [(run, result_of(run, metric, mode)) for run in runs]
    results = [result for _, result in found if result is not None]
    missing = [run.folder for run, result in found if result is None]
    if not results:
        raise ExperimentError(f"{', '.join(map(str, missing))}: no evaluation yet, nothing to compare")
    return results, [f"note: left out: {folder}: no evaluation yet" for folder in missing]


def chosen(results: Sequence[Result]) -> tuple[list[Result], list[str]]:
    """The newest finished run of each setting and seed, and a note on every other run. If no run has finished: all of them.

    `results` come oldest first. So a mean over seeds is over runs of equal length and has each seed once.
    """
    finished = [result for result in results if result.reason in FINISHED]
    if not finished:
        return list(results), ["note: no run has finished: each has a row of its own"]
    newest = {(setting(result), result.seed): result for result in finished}
    notes = []
    for result in results:
        last = newest.get((setting(result), result.seed))
        if result.reason not in FINISHED:
            notes.append(f"note: left out: {result.run.folder}: {result.reason} at step {result.lines[-1]['step']}")
        elif last is not result:
            notes.append(
                f"note: left out: {result.run.folder}: {last.run.folder.name} repeats it with equal settings and seed"
            )
    return [r for r in finished if newest[setting(r), r.seed] is r], notes


def result_of(run: RunFolder, metric: str | None, mode: str | None = None) -> Result | None:
    """The metrics of a run; None if it has no evaluation yet."""
    selected, own = run.config["select"]
    name, stated = metric or selected, {"loss": "min", **run.config.get("directions", {}), selected: own}
    lines = read_thinned(run.metrics, (name, mode or stated.get(name, "max")))[0] if run.metrics.is_file() else []
    evals = [line for line in lines if line["kind"] == "eval"]
    if not evals:
        return None
    if name not in evals[0]:
        shown = sorted(key for key, value in evals[0].items() if isinstance(value, float))
        raise ExperimentError(f"{run.folder} has no metric {name!r}; it has {', '.join(shown)}")
    mode = mode or stated.get(name)
    if mode is None:
        raise ExperimentError(
            f"{run.folder} does not say whether more or less {name!r} is better: add --mode max or --mode min"
        )
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


def settings(run: RunFolder) -> dict[str, Any]:
    """Knobs and recorded fields, without the seed."""
    recorded = {name: value for name, value in run.config["recorded"].items() if name not in run.config["knobs"]}
    return {name: value for name, value in {**run.config["knobs"], **recorded}.items() if name != "seed"}


def setting(result: Result) -> str:
    """All that makes a run but its seed: the experiment, its file as it was, knobs and recorded fields."""
    config = result.run.config
    return json.dumps([config["experiment"], config.get("source_hash"), settings(result.run)], sort_keys=True)


def grouped(results: Sequence[Result]) -> list[list[Result]]:
    """Group finished runs that differ in the seed only; an unfinished run is a group of its own."""
    groups: dict[Any, list[Result]] = {}
    for result in results:
        key = setting(result) if result.reason in FINISHED else result.run.folder
        groups.setdefault(key, []).append(result)
    return list(groups.values())


def identities(groups: Sequence[Sequence[Result]]) -> list[dict[str, Any]]:
    """The columns in which the groups differ, for each group."""
    results = [result for group in groups for result in group]
    configs = [result.run.config for result in results]
    experiments = {config["experiment"] for config in configs}
    edited = len({(config["experiment"], config.get("source_hash")) for config in configs}) > len(experiments)
    unfinished = any(result.reason not in FINISHED for result in results)
    knobs = differing(results)

    def of(first: Result) -> dict[str, Any]:
        config = first.run.config
        return {
            **({"experiment": config["experiment"]} if len(experiments) > 1 else {}),
            **({"file": (config.get("source_hash") or "none")[:8]} if edited else {}),
            **{name: settings(first.run).get(name) for name in knobs},
            **({"seed": first.seed, "state": first.reason} if unfinished else {}),
        }

    return [of(group[0]) for group in groups]


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


def label(identity: Mapping[str, Any]) -> str:
    """The name of a curve.

    >>> label({"experiment": "digits_cnn", "lr": 0.01, "rate": None})
    'digits_cnn, lr 0.01'
    """
    return ", ".join(
        str(value) if name == "experiment" else f"{name} {value}"
        for name, value in identity.items()
        if value is not None
    )


def unused(path: Path) -> Path:
    """The path, or the first numbered one that does not exist."""
    candidate, number = path, 2
    while candidate.exists():
        candidate, number = path.with_name(f"{path.stem}-{number}{path.suffix}"), number + 1
    return candidate


def cells(rows: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """The names of the columns, and the text of each cell."""

    def text(value: Any) -> str:
        if isinstance(value, list):
            return f"{value[0]:.4f}" + ("" if math.isnan(value[1]) else f" ± {value[1]:.2g}")
        return "" if value is None else str(value)

    names = list(dict.fromkeys(name for row in rows for name in row))
    return names, [[text(row.get(name)) for name in names] for row in rows]


def show(names: Sequence[str], rows: Sequence[Sequence[str]], title: str) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title)
    for name in names:
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(*row)
    Console().print(table)
