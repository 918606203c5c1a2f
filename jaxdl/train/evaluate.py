"""Exact evaluation: every example of a split once, padding masked, sums divided once by their weights."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.train.program import Program
from jaxdl.types import Task, Variables


@dataclass(frozen=True)
class Evaluation:
    """The result on one split.

    metrics: name -> number, the task's sums over the whole split and the scalars of its report.
    report: the arrays of the report (confusion matrix, curves, images).
    outputs, targets: of every example, in the stored order.
    """

    split: str
    metrics: dict[str, float]
    report: dict[str, np.ndarray]
    outputs: Any
    targets: Any


def means(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Σ / weight of every metric, as float32 numbers; a weight of 0 gives NaN, not a made-up value."""
    pairs = {name: (np.float32(s), np.float32(w)) for name, (s, w) in metrics.items()}
    return {name: float(s / w) if w else float("nan") for name, (s, w) in sorted(pairs.items())}


def evaluate(program: Program, task: Task, knobs: Mapping[str, Any], weights: Variables, split: str) -> Evaluation:
    """Evaluate weights on a whole split. The result does not depend on the batch size beyond rounding."""
    totals: dict[str, Any] = {}
    kept: list[Any] = []
    for count, source in program.data.eval_sources(split):
        placed = program.place(source)
        sums, gathered = program.evaluate(knobs, weights, placed, jnp.arange(count))
        sums = jax.tree.map(lambda a: np.asarray(a, np.float64), jax.device_get(sums))
        totals = sums if not totals else jax.tree.map(np.add, totals, sums)
        gathered = jax.device_get(gathered)
        real = gathered["mask"].reshape(-1) > 0
        kept.append(jax.tree.map(lambda a, r=real: a.reshape(-1, *a.shape[2:])[r], gathered))
    gathered = jax.tree.map(lambda *parts: np.concatenate(parts), *kept)
    finite = all(
        np.isfinite(a).all() for a in jax.tree.leaves(gathered["outputs"]) if np.issubdtype(a.dtype, np.floating)
    )
    report = task.report(gathered["outputs"], gathered["y"]) if finite else {}  # a diverged model has no report
    scalars = {name: float(value) for name, value in report.items() if np.ndim(value) == 0}
    arrays = {name: np.asarray(value) for name, value in report.items() if np.ndim(value) > 0}
    return Evaluation(split, {**means(totals), **scalars}, arrays, gathered["outputs"], gathered["y"])
