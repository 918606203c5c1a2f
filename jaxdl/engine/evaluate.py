"""Exact evaluation: every example of a split once, padding masked, sums divided once by their weights."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.engine.program import Program
from jaxdl.reports import Notes
from jaxdl.types import Task, Variables

SCALARS = (int, float, np.number, np.bool_)


@dataclass(frozen=True)
class Evaluation:
    """The result on one split.

    metrics: name -> number, the task's sums over the whole split and the scalars of its report.
    report: what the report holds beside numbers (`jaxdl.reports`), and arrays.
    outputs, targets: of every example, in the stored order.
    note: why there is no report; empty where there is one.
    """

    split: str
    metrics: dict[str, float]
    report: dict[str, Any]
    outputs: Any
    targets: Any
    note: str = ""


def means(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Σ / weight of every metric in float32 (a list, for a population); a weight of 0 gives NaN, not a made-up value."""
    pairs = {name: (np.asarray(s, np.float32), np.asarray(w, np.float32)) for name, (s, w) in sorted(metrics.items())}
    return {name: np.where(w > 0, s / np.where(w > 0, w, 1), np.nan).tolist() for name, (s, w) in pairs.items()}


def evaluate(program: Program, weights: Variables, split: str, *, report: bool = True) -> Evaluation:
    """Evaluate weights on a whole split. The result does not depend on the batch size beyond rounding.

    With `report=False` only the means are computed.
    """
    if not report:
        metrics, note = measured(totals_of(program, weights, split))
        return Evaluation(split, metrics, {}, None, None, note)
    result = summarised(program.exp.task, split, *collect(program, weights, split))
    notes = () if program.exp.task.open_set else program.data.notes_on(split)
    if not notes:
        return result
    told = result.report.get("notes", Notes(()))
    return replace(result, report={**result.report, "notes": Notes((*told.lines, *notes))})


def measured(sums: Any) -> tuple[dict[str, Any], str]:
    """Return the means over a split and a note ("" if there is none).

    If the loss is not finite, every metric is NaN and the note says so: the argmax of NaN outputs would still give an accuracy.
    """
    metrics = means(sums)
    lost = [sums["loss"]] if "loss" in sums else list(sums.values())
    if np.isfinite(np.asarray([total for total, _ in lost])).all():
        return metrics, ""
    return dict.fromkeys(metrics, math.nan), "the loss is not finite"


def evaluate_members(program: Program, weights: Variables, split: str) -> list[Evaluation]:
    """Evaluate every member of a population."""
    found = collect(program, weights, split, members=True)
    task, count = program.exp.task, len(next(iter(found[0].values()))[0])
    return [summarised(task, split, *jax.tree.map(lambda a, m=m: a[m], found)) for m in range(count)]


def totals_of(program: Program, weights: Variables, split: str) -> Any:
    """Sums and weights of the metrics over a split."""
    totals: Any = None
    before = 0
    for count, source in program.data.eval_sources(split):
        sums = program.metrics(weights, program.place(source), jnp.arange(count), jnp.int32(before))
        totals, before = added(totals, sums), before + count * program.data.batch
    return totals


def added(totals: Any, sums: Any) -> Any:
    """Add the sums of one more source to the totals, in float64 on the host."""
    sums = jax.tree.map(lambda a: np.asarray(a, np.float64), jax.device_get(sums))
    return sums if totals is None else jax.tree.map(np.add, totals, sums)


def collect(program: Program, weights: Variables, split: str, *, members: bool = False) -> tuple[Any, Any, Any]:
    """Sums and weights over a split, the outputs and targets of its examples in order (after the members' axis), and what the
    task illustrates."""
    totals, shown = None, None
    kept: list[Any] = []
    first = 1 if members else 0
    before = 0
    for count, source in program.data.eval_sources(split):
        sums, gathered, some = program.evaluate(weights, program.place(source), jnp.arange(count), jnp.int32(before))
        totals, gathered = added(totals, sums), jax.device_get(gathered)
        mask = gathered.pop("mask")
        mask = (mask[0] if members else mask) > 0
        if shown is None:
            shown = jax.tree.map(lambda a, rows=mask[0]: np.compress(rows, a, axis=first), jax.device_get(some))
        real = mask.reshape(-1)
        before += len(real)

        def flat(a: np.ndarray, real: np.ndarray = real) -> np.ndarray:
            merged = a.reshape(*a.shape[:first], -1, *a.shape[first + 2 :])
            return np.compress(real, merged, axis=first)

        kept.append(jax.tree.map(flat, gathered))
    gathered = jax.tree.map(lambda *parts: np.concatenate(parts, axis=first), *kept)
    return totals, {name: program.data.in_units(values) for name, values in gathered.items()}, shown


def summarised(task: Task, split: str, sums: Any, gathered: Any, shown: Any) -> Evaluation:
    """The task's report on the gathered outputs, beside its metrics.

    A diverged model has no report (`measured`). If only some outputs are not finite (the score of a beam, a masked logit), the
    metrics are kept; if the report cannot be computed from such outputs, a note says so.
    """
    outputs, targets = gathered["outputs"], gathered["targets"]
    metrics, note = measured(sums)
    if note:
        return Evaluation(split, metrics, {}, outputs, targets, note)
    leaves = [a for a in jax.tree.leaves(outputs) if np.issubdtype(a.dtype, np.floating)]
    count = sum(int(np.size(a) - np.isfinite(a).sum()) for a in leaves)
    try:
        with np.errstate(invalid="ignore" if count else "warn"):
            report = task.report({**outputs, **shown} if shown else outputs, targets)
    except (ValueError, ArithmeticError) as error:
        if not count:
            raise
        note = f"no report of the {split} split: NaN or infinite values in its outputs: {count} ({error})"
        return Evaluation(split, metrics, {"notes": Notes((note,))}, outputs, targets, note)
    scalars = {name: float(value) for name, value in report.items() if isinstance(value, SCALARS)}
    shown = {name: value for name, value in report.items() if name not in scalars}
    return Evaluation(split, {**metrics, **scalars}, shown, outputs, targets)
