"""Multi-label classification: any number of labels may be true of one example."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.losses.classification import binary_cross_entropy
from jaxdl.metrics import multilabel as reports
from jaxdl.tasks.forward import Supervised, forward, one_each, weighted_mean, with_penalty
from jaxdl.types import Array, Batch, Key, Metrics, ModelState, Params, UserError


@dataclass(frozen=True, eq=False)
class MultiLabelClassification(Supervised):
    """Minimise the mean of a loss over examples and labels; each label is a separate yes-or-no decision.

        L = Σ_i m_i 1/C Σ_c ℓ(f(x_i)_c, y_ic) / Σ_i m_i        m: mask

    Targets are `(batch, labels)` of 0 and 1; `data.columns.from_columns` makes them from lists of names or from columns. In
    training they may lie between (mix-up).

    Args:
        model: x -> logits `(batch, labels)`.
        loss: (logits, labels) -> one value per logit; `partial(binary_cross_entropy, positive_weight=w)` for rare labels.
        threshold: a label is predicted where its probability is at or above it.
        penalty: parameters -> scalar, added to the training loss (`jaxdl.losses.penalty`).
        metric: what selects the best model, and its direction.
    """

    model: Any
    loss: Callable[[Array, Array], Array] = binary_cross_entropy
    threshold: float = 0.5
    penalty: Callable[[Params], Array] | None = None
    metric: tuple[str, str] = ("average_precision", "max")
    reduce: Mapping[str, str] = field(default_factory=lambda: {"batch_stats": "mean"})

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.threshold, jax.Array) and not (
            isinstance(self.threshold, Real) and 0 < self.threshold < 1
        ):
            raise UserError(f"threshold = {self.threshold!r} must be a probability between 0 and 1")

    @property
    def directions(self) -> Mapping[str, str]:
        """Whether more or less of a metric is better."""
        return reports.DIRECTIONS

    def objective(
        self, params: Params, model_state: ModelState, batch: Batch, key: Key, step: Array, *, train: bool
    ) -> tuple[Array, tuple[ModelState, Metrics]]:
        outputs, model_state = forward(self.model, params, model_state, batch["x"], key=key, train=train)
        logits, y, mask = outputs.astype(jnp.float32), batch["y"], batch["mask"]
        if logits.shape != y.shape:
            raise UserError(f"the model gives logits {logits.shape[1:]} for labels {y.shape[1:]}, they must be equal")
        loss, pair = weighted_mean(one_each(self.loss(logits, y), logits.shape).mean(-1), mask)
        right = (self.decide(logits) == (y > 0.5)).all(-1).astype(jnp.float32)
        metrics = {"loss": pair, "subset_accuracy": weighted_mean(right, mask)[1]}
        return with_penalty(loss, self.penalty, params, train=train), (model_state, metrics)

    def decide(self, logits: Array) -> Array:
        return jax.nn.sigmoid(logits) >= jnp.asarray(self.threshold, jnp.float32)

    def predict(self, params: Params, model_state: ModelState, batch: Batch, key: Key) -> dict[str, Array]:
        """`label` of 0 and 1 and `probability`, both `(batch, labels)`."""
        outputs, _ = forward(self.model, params, model_state, batch["x"], key=key, train=False)
        logits = outputs.astype(jnp.float32)
        return {"label": self.decide(logits).astype(jnp.int32), "probability": jax.nn.sigmoid(logits)}

    def report(self, outputs: dict[str, np.ndarray], targets: np.ndarray) -> dict[str, Any]:
        return reports.report(outputs["probability"], targets, threshold=float(self.threshold))

    def check(self, targets: np.ndarray) -> None:
        """Raise UserError for targets that are not 0 or 1 for every label."""
        labels = getattr(self.model, "classes", None)
        if targets.ndim != 2 or (labels is not None and targets.shape[1] != labels):
            raise UserError(f"labels must have the shape (n, {labels or 'labels'}), got {targets.shape}")
        bad = ~np.isin(targets, (0, 1))
        if bad.any():
            row, label = (int(i) for i in np.argwhere(bad)[0])
            raise UserError(f"labels must be 0 or 1, got {targets[row, label]} in row {row}, label {label}")
