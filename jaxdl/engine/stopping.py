"""Early stopping as a pure update of a small state, which is part of every checkpoint."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import jax
import jax.numpy as jnp

from jaxdl.counts import check_count, check_numbers
from jaxdl.types import Array, Best, UserError, Variables

NEVER = 10**9
"""The patience of a rule that never stops a run."""


@dataclass(frozen=True)
class EarlyStopping:
    """Stop after `patience` evaluations in a row in which a validation metric has not improved by more than `min_delta`.

    Args:
        metric: any metric of the evaluation; None: the task's own (accuracy, mse, ...).
        mode: "max" or "min"; None: the direction that the task states of it (`Task.directions`); a metric of which it
            states none needs a mode.
        patience: the evaluation without improvement that stops the run, counted in a row; 1 (and 0) stops at the first.
        min_delta: what counts as an improvement; an equal value never does.
        start_from: evaluations before this step are neither counted nor remembered.
        restore_best: the run ends with the weights of the best evaluation, also when it was not stopped early.
    """

    metric: str | None = None
    mode: Literal["max", "min"] | None = None
    patience: int = 5
    min_delta: float = 0.0
    start_from: int = 0
    restore_best: bool = True

    def __post_init__(self) -> None:
        if self.mode not in (None, "max", "min"):
            raise UserError(f"mode = {self.mode!r} must be 'max' or 'min' (or None: the metric's own direction)")
        check_count("patience", self.patience, 0)
        check_count("start_from", self.start_from, 0)
        check_numbers(-math.inf, min_delta=self.min_delta)


def directions(task: Any) -> dict[str, str]:
    """name -> "max" or "min" of every metric whose direction a task states; less of a loss is always better."""
    return {"loss": "min", **task.directions, **dict([task.metric])}


def direction(metric: str, stated: Mapping[str, str]) -> str:
    """Whether more or less of a metric is better: as it is stated where the metric is defined, never by its name.

    >>> direction("character_error_rate", {"character_error_rate": "min"})
    'min'
    """
    if metric not in stated:
        known = ", ".join(sorted(stated))
        raise UserError(
            f"metric {metric!r} states no direction: say mode='max' or mode='min' (directions are known of {known})"
        )
    return stated[metric]


def watches_only(rule: EarlyStopping) -> bool:
    """Whether a rule only remembers the best evaluation: it neither stops a run nor restores weights."""
    return rule.patience >= NEVER and not rule.restore_best


def start(weights: Variables, mode: str) -> Best:
    """Return the state before the first evaluation: the worst possible value and the initial weights."""
    worst = -jnp.inf if mode == "max" else jnp.inf
    copied = jax.tree.map(jnp.copy, weights)  # its own buffers: the state is donated as a whole
    return Best(jnp.float32(worst), jnp.int32(0), jnp.int32(0), jnp.bool_(False), copied)


def update(rule: EarlyStopping, mode: str, best: Best, value: Array, step: Array, weights: Variables) -> Best:
    """Update the state after an evaluation. NaN is no improvement. After a stop the state no longer changes."""
    gain = value - best.value if mode == "max" else best.value - value
    counts = (step >= rule.start_from) & ~best.stopped
    better = (gain > rule.min_delta) & counts
    wait = jnp.where(better, 0, best.wait + counts)
    new = Best(
        value=jnp.where(better, value, best.value),
        step=jnp.where(better, step, best.step),
        wait=wait,
        stopped=best.stopped | (counts & (wait >= max(rule.patience, 1))),
        weights=best.weights,
    )
    return replace(new, weights=jax.tree.map(lambda a, b: jnp.where(better, a, b), weights, best.weights))
