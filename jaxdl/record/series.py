"""The lines of a curve, as numbers: what `plots` draws and a page shows."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

HIDDEN = frozenset({"step", "examples", "skipped", "parameter_norm", "gradient_norm", "learning_rate"})

Lines = Sequence[Mapping[str, Any]]


class Series(NamedTuple):
    """Values over steps, and their standard deviation over runs where there are several."""

    steps: np.ndarray
    values: np.ndarray
    spread: np.ndarray | None = None


def series_of_run(history: Lines, *, metrics: Sequence[str] = (), select: str = "") -> dict[str, dict[str, Series]]:
    """Metric -> split -> its values: of `metrics`, or of three (`shared_metrics`)."""
    splits = ("train", *dict.fromkeys(line["split"] for line in history if "split" in line))
    found = {}
    for name in list(metrics) or shared_metrics(history, select):
        lines = {s: [line for line in history if line.get("split", line["kind"]) == s] for s in splits}
        found[name] = {
            s: Series(*xy) for s, xy in ((s, steps_and_values(lines[s], name)) for s in splits) if len(xy[0])
        }
    return found


def series_over_seeds(settings: Mapping[str, Sequence[Lines]], metric: str, split: str) -> dict[str, Series]:
    """Label -> mean and deviation of the runs (seeds) with this label; labels without a value are left out."""
    found = {}
    for label, histories in settings.items():
        of_split = [[line for line in h if line.get("split", line["kind"]) == split] for h in histories]
        found[label] = mean_curve(of_split, metric)
    return {label: series for label, series in found.items() if len(series.steps)}


def mean_curve(runs: Sequence[Lines], metric: str) -> Series:
    """Steps, mean and standard deviation over runs of different lengths.

    A run that has stopped keeps its last value, so that the mean does not jump.
    """
    points = [pair for pair in (steps_and_values(lines, metric) for lines in runs) if len(pair[0])]
    if not points:
        return Series(np.zeros(0), np.zeros(0), np.zeros(0))
    steps = np.unique(np.concatenate([x for x, _ in points]))
    values = np.stack([np.interp(steps, x, y) for x, y in points])
    spread = values.std(0, ddof=1) if len(values) > 1 else np.zeros(len(steps))
    return Series(steps, values.mean(0), spread)


def steps_and_values(lines: Lines, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Steps and finite values of a number. A training line holds a mean since the line before: its step is the middle."""
    before = [0.0, *(line["step"] for line in lines)]
    places = [
        (a + line["step"]) / 2 if line["kind"] == "train" else line["step"]
        for a, line in zip(before, lines, strict=False)
    ]
    pairs = [(x, line[name]) for x, line in zip(places, lines, strict=True) if isinstance(line.get(name), int | float)]
    pairs = [(x, y) for x, y in pairs if np.isfinite(y)]
    x, y = zip(*pairs, strict=True) if pairs else ((), ())
    return np.asarray(x, np.float64), np.asarray(y, np.float64)


def shared_metrics(history: Lines, select: str = "") -> list[str]:
    """Three at most: the loss, the metric that selects, then the numbers that both training and evaluation log."""
    numbers: dict[str, set[str]] = {}
    for line in history:
        for name, value in line.items():
            if name not in HIDDEN and isinstance(value, int | float) and not isinstance(value, bool):
                numbers.setdefault(name, set()).add(line["kind"])
    evaluated = any("eval" in kinds for kinds in numbers.values())
    wanted = {"train", "eval"} if evaluated else {"train"}
    shared = [name for name, kinds in numbers.items() if wanted <= kinds]
    return list(dict.fromkeys([*(name for name in ("loss", select) if name in numbers), *shared]))[:3]
