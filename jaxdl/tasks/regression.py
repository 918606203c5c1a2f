"""Regression: real values, standardised inside the task, and in their own unit outside."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.losses.regression import squared_error
from jaxdl.metrics import regression as reports
from jaxdl.reports import Scatter
from jaxdl.tasks.forward import Supervised, forward, one_each, weighted_mean, with_penalty
from jaxdl.types import Array, Batch, Key, Metrics, ModelState, Params, UserError


@dataclass(frozen=True, eq=False)
class Regression(Supervised):
    """Minimise the mean of a loss between f(x) and (y - center) / scale; predictions and metrics are in y's unit.

    Args:
        model: x -> `(batch, outputs)`, or `(batch, 1)` for targets `(batch,)`.
        loss: (predictions, targets) -> one value per output, of which the mean is taken; parameters such as Huber's δ are in
            units of `scale`.
        center, scale: mean and standard deviation of the training targets; 0 and 1 leave targets as they are.
        penalty: parameters -> scalar, added to the training loss.
        metric: what selects the best model, and its direction.
    """

    model: Any
    loss: Callable[[Array, Array], Array] = squared_error
    center: float = 0.0
    scale: float = 1.0
    penalty: Callable[[Params], Array] | None = None
    metric: tuple[str, str] = ("mse", "min")
    reduce: Mapping[str, str] = field(default_factory=lambda: {"batch_stats": "mean"})

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, value in (("center", self.center), ("scale", self.scale)):
            number = isinstance(value, Real) and np.isfinite(float(value)) and (name == "center" or value > 0)
            if not number and not isinstance(value, jax.Array):
                raise UserError(f"{name} = {value!r} must be a {'positive ' * (name == 'scale')}number")

    @property
    def directions(self) -> Mapping[str, str]:
        """Whether more or less of a metric is better."""
        return reports.DIRECTIONS

    def outputs(self, outputs: Array, like: Array | None) -> Array:
        outputs = outputs.astype(jnp.float32)
        squeeze = outputs.shape[-1] == 1 and (like is None or like.ndim < outputs.ndim)
        return outputs[..., 0] if squeeze else outputs

    def objective(
        self, params: Params, model_state: ModelState, batch: Batch, key: Key, step: Array, *, train: bool
    ) -> tuple[Array, tuple[ModelState, Metrics]]:
        raw, model_state = forward(self.model, params, model_state, batch["x"], key=key, train=train)
        y = batch["y"].astype(jnp.float32)
        outputs = self.outputs(raw, y)
        each = self.loss(outputs, (y - self.center) / self.scale)
        each = one_each(each, y.shape if each.ndim == y.ndim else y.shape[:1]).reshape(len(y), -1)
        loss, pair = weighted_mean(jnp.mean(each, -1), batch["mask"])
        error = (outputs * self.scale + self.center - y).reshape(len(y), -1)
        metrics = {
            "loss": pair,
            "mse": weighted_mean(jnp.mean(error**2, -1), batch["mask"])[1],
            "mae": weighted_mean(jnp.mean(jnp.abs(error), -1), batch["mask"])[1],
        }
        return with_penalty(loss, self.penalty, params, train=train), (model_state, metrics)

    def predict(self, params: Params, model_state: ModelState, batch: Batch, key: Key) -> dict[str, Array]:
        """`value (batch,)` or `(batch, outputs)`, in the unit of the targets."""
        outputs, _ = forward(self.model, params, model_state, batch["x"], key=key, train=False)
        return {"value": self.outputs(outputs, batch.get("y")) * self.scale + self.center}

    def report(self, outputs: dict[str, np.ndarray], targets: np.ndarray) -> dict[str, Any]:
        found = reports.report(outputs["value"], targets)
        same = np.asarray(outputs["value"]).size == targets.size
        return found | ({"predicted_against_true": Scatter(outputs["value"], targets)} if same else {})

    def check(self, targets: np.ndarray) -> None:
        if not np.isfinite(np.asarray(targets, np.float64)).all():
            raise UserError("targets must be finite: there is a NaN or an infinity among them")
