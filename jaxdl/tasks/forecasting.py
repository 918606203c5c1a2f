"""Forecasting: the next values of time series, compared with forecasts that need no model."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxdl.losses.regression import quantile, squared_error
from jaxdl.reports import Forecasts
from jaxdl.tasks.forward import Supervised, forward, one_each, weighted_mean
from jaxdl.types import Array, Batch, Key, Metrics, ModelState, Params, UserError, Variables

SHOWN = 6


@dataclass(frozen=True, eq=False)
class Forecasting(Supervised):
    """Minimise a loss between f(x) and (y - center) / scale, averaged over the horizon and the targets.

    `mse` and `mae` are of standardised values, as the literature reports them; `mae_units` is in the units of the series, the
    mean over targets. An evaluation reports the same metrics of two forecasts without a model:

        persistence    repeats the last value     ŷ_{t+h} = y_t
        seasonal       repeats the last season    ŷ_{t+h} = y_{t+h-s·⌈h/s⌉}

    Args:
        model: x `(batch, lookback, columns)` -> `(batch, horizon, targets)`; the targets are the first columns of x.
        center, scale: mean and standard deviation of each target in the training rows.
        season: s, the length of a season in rows, at most the lookback; 0: no seasonal forecast.
        loss: (predictions, targets) -> one value per output, of standardised values.
        levels: quantiles to forecast, such as (0.1, 0.5, 0.9), with 0.5 among them. The model then has `targets · levels`
            outputs, with the levels of one target next to each other, and the loss is the pinball loss.
        metric: what selects the best model, and its direction.
    """

    model: Any
    center: tuple[float, ...]
    scale: tuple[float, ...]
    season: int = 0
    loss: Callable[[Array, Array], Array] = squared_error
    levels: tuple[float, ...] = ()
    metric: tuple[str, str] = ("mse", "min")
    reduce: Mapping[str, str] = field(default_factory=lambda: {"batch_stats": "mean"})

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.levels and (0.5 not in self.levels or not all(0 < level < 1 for level in self.levels)):
            raise UserError(f"levels = {self.levels} must lie between 0 and 1, with 0.5 among them")

    @property
    def directions(self) -> Mapping[str, str]:
        """Whether more or less of a metric is better."""
        return {"mse": "min", "mae": "min", "mae_units": "min", "rmse_units": "min"}

    def init(self, key: Key, batch: Batch) -> Variables:
        if not 0 <= self.season <= batch["x"].shape[1]:
            raise UserError(f"season = {self.season} must lie between 0 and the lookback, {batch['x'].shape[1]}")
        return super().init(key, batch)

    def unit(self, like: Array) -> tuple[Array, Array]:
        """`center` and `scale` in the shape of values `(batch, horizon, targets)`."""
        center, scale = (jnp.broadcast_to(jnp.asarray(v, jnp.float32), like.shape) for v in (self.center, self.scale))
        return center, scale

    def split(self, outputs: Array) -> tuple[Array, Array]:
        """Outputs `(batch, horizon, targets · levels)` as forecasts `(…, targets)` and quantiles `(…, targets, levels)`."""
        outputs = outputs.astype(jnp.float32)
        if not self.levels:
            return outputs, outputs[..., None]
        every = outputs.reshape(*outputs.shape[:2], -1, len(self.levels))
        return every[..., self.levels.index(0.5)], every

    def objective(
        self, params: Params, model_state: ModelState, batch: Batch, key: Key, step: Array, *, train: bool
    ) -> tuple[Array, tuple[ModelState, Metrics]]:
        raw, model_state = forward(self.model, params, model_state, batch["x"], key=key, train=train)
        value, every = self.split(raw)
        target = batch["y"].astype(jnp.float32)
        center, scale = self.unit(target)
        target = (target - center) / scale
        if value.shape != target.shape:
            raise UserError(
                f"the model forecasts {value.shape[1:]} (horizon, targets), the windows hold {target.shape[1:]}"
            )
        if self.levels:
            each = quantile(every, jnp.broadcast_to(target[..., None], every.shape), level=jnp.asarray(self.levels))
        else:
            each = one_each(self.loss(value, target), target.shape)
        loss, pair = weighted_mean(each.reshape(len(each), -1).mean(-1), batch["mask"])
        metrics = {"loss": pair, **self.errors(value, target, batch["mask"])}
        if not train:
            for name, naive in self.naive(batch["x"].astype(jnp.float32), target.shape[1]).items():
                found = self.errors(naive, target, batch["mask"])
                metrics |= {f"{name}_{metric}": value for metric, value in found.items()}
        return loss, (model_state, metrics)

    def errors(self, value: Array, target: Array, mask: Array) -> Metrics:
        error = value - target
        each = {"mse": error**2, "mae": jnp.abs(error), "mae_units": jnp.abs(error) * self.unit(error)[1]}
        return {name: weighted_mean(values.mean((1, 2)), mask)[1] for name, values in each.items()}

    def naive(self, x: Array, horizon: int) -> dict[str, Array]:
        """The forecasts without a model, standardised, from standardised inputs."""
        seen = x[..., : len(self.center)]
        times = {"persistence": jnp.full(horizon, -1)}
        if self.season:
            times["seasonal"] = jnp.arange(horizon) % self.season - self.season
        return {name: seen[:, time] for name, time in times.items()}

    def predict(self, params: Params, model_state: ModelState, batch: Batch, key: Key) -> dict[str, Array]:
        """`value` `(batch, horizon, targets)` in the units of the series; `quantile` `(…, levels)` where there are levels."""
        raw, _ = forward(self.model, params, model_state, batch["x"], key=key, train=False)
        value, every = self.split(raw)
        center, scale = self.unit(value)
        found = {"value": value * scale + center}
        if self.levels:
            found["quantile"] = every * scale[..., None] + center[..., None]
        return found

    def report(self, outputs: dict[str, np.ndarray], targets: np.ndarray) -> dict[str, Any]:
        """`rmse_units`; `coverage`, the share of true values between the outer quantiles; some forecasts to draw."""
        error = outputs["value"].astype(np.float64) - targets
        found: dict[str, Any] = {"rmse_units": float(np.sqrt((error**2).mean()))}
        if self.levels:
            low, high = int(np.argmin(self.levels)), int(np.argmax(self.levels))
            band = outputs["quantile"]
            found["coverage"] = float(((band[..., low] <= targets) & (targets <= band[..., high])).mean())
        rows = np.linspace(0, len(targets) - 1, min(SHOWN, len(targets))).round().astype(int)
        band = outputs["quantile"][rows] if self.levels else None
        found["forecasts"] = Forecasts(rows, outputs["value"][rows], targets[rows], band)
        return found

    def check(self, targets: np.ndarray) -> None:
        if not np.isfinite(targets).all():
            raise UserError("targets must be finite: there is a NaN or an infinity among them")
