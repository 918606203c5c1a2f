"""Classification: one of several classes for each example, from logits."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.losses.classification import binary_cross_entropy, cross_entropy
from jaxdl.metrics import classification as reports
from jaxdl.reports import Misclassified
from jaxdl.tasks.forward import Supervised, check_class_weights, forward, one_each, weighted_mean, with_penalty
from jaxdl.types import Array, Batch, Data, Key, Metrics, ModelState, Params, UserError

SHOWN = 32
"""Number of wrong predictions that a report shows."""


@dataclass(frozen=True, eq=False)
class Classification(Supervised):
    """Minimise the weighted mean of a loss over the labelled examples.

        L = Σ_i m_i w_{y_i} ℓ(f(x_i), y_i) / Σ_i m_i w_{y_i}      m: mask, and 0 where y_i is ignored; w: class weights

    Args:
        model: x -> logits `(batch, classes)`; labels must be below its attribute `classes`, if it has one.
        loss: (logits, labels) -> one value per example; labels are integers or distributions (mix-up, smoothing).
        class_weights: one positive number per class (PyTorch's `weight`); a soft label has the mean weight of its classes.
        ignore: the integer label of examples that are left out of loss and metrics.
        auxiliary: name of a feature of the model -> weight: logits of auxiliary heads, whose loss is added in training.
        penalty: parameters -> scalar, added to the training loss (`jaxdl.losses.penalty`).
        views: x -> weights `(views,)` and views `(views, *x.shape)`; evaluation and predictions use the weighted sum of their
            logits (`augment.views.mirrored_and_shifted`).
        metric: what selects the best model, and its direction.
    """

    model: Any
    loss: Callable[[Array, Array], Array] = cross_entropy
    class_weights: tuple[float, ...] | None = None
    ignore: int = -100
    auxiliary: Mapping[str, float] = field(default_factory=dict)
    penalty: Callable[[Params], Array] | None = None
    views: Callable[[Array], tuple[Any, Array]] | None = None
    metric: tuple[str, str] = ("accuracy", "max")
    reduce: Mapping[str, str] = field(default_factory=lambda: {"batch_stats": "mean"})

    def __post_init__(self) -> None:
        super().__post_init__()
        if type(self.ignore) is not int:
            raise UserError(f"ignore = {self.ignore!r} must be a label, a whole number")
        check_class_weights(self.class_weights, 2 if self.decides_by_sign else getattr(self.model, "classes", None))

    @property
    def directions(self) -> Mapping[str, str]:
        """Whether more or less of a metric is better."""
        return reports.DIRECTIONS

    def logits(self, outputs: Array) -> Array:
        """The logits in float32, whatever the precision of the model: log-sum-exp in bfloat16 is too coarse for a loss."""
        return outputs.astype(jnp.float32)

    def evaluated(self, params: Params, model_state: ModelState, x: Array, key: Key) -> Array:
        """The outputs of the model without training: of x, or the weighted sum of those of its views, one after another."""

        def of(x: Array) -> Array:
            return forward(self.model, params, model_state, x, key=key, train=False)[0]

        if self.views is None:
            return of(x)
        weights, views = self.views(x)
        return jnp.tensordot(jnp.asarray(weights), jax.lax.map(of, views).astype(jnp.float32), 1)

    def objective(
        self, params: Params, model_state: ModelState, batch: Batch, key: Key, step: Array, *, train: bool
    ) -> tuple[Array, tuple[ModelState, Metrics]]:
        more = {"features": True} if train and self.auxiliary else {}
        if train:
            outputs, model_state = forward(self.model, params, model_state, batch["x"], key=key, train=True, **more)
        else:
            outputs = self.evaluated(params, model_state, batch["x"], key)
        outputs, seen = outputs if more else (outputs, {})
        logits, y = self.logits(outputs), batch["y"]
        soft = self.soft(y)
        valid = batch["mask"] if soft else batch["mask"] * (y != self.ignore)
        labels = self.hard(y) if soft else jnp.where(valid > 0, y, 0)
        weight = valid
        if self.class_weights is not None:
            table = jnp.asarray(self.class_weights, jnp.float32)
            weight = valid * (self.mixture(y) @ table if soft else table[labels])
        target = y if soft else labels
        loss, pair = weighted_mean(one_each(self.loss(logits, target), weight.shape), weight)
        hit = (self.decide(logits) == labels).astype(jnp.float32)
        metrics = {"loss": pair, "accuracy": weighted_mean(hit, valid)[1]}
        for name in self.auxiliary if train else ():
            loss += self.auxiliary[name] * weighted_mean(self.loss(self.logits(seen[name]), target), weight)[0]
        return with_penalty(loss, self.penalty, params, train=train), (model_state, metrics)

    def soft(self, y: Any) -> bool:
        """Whether labels are distributions over the classes rather than class numbers."""
        return y.ndim > 1

    def hard(self, y: Any) -> Any:
        """The most probable class of soft labels."""
        return y.argmax(-1)

    def mixture(self, y: Array) -> Array:
        """Soft labels as `(batch, classes)`."""
        return y

    def decide(self, logits: Array) -> Array:
        return jnp.argmax(logits, -1)

    def probabilities(self, logits: Array) -> Array:
        return jax.nn.softmax(logits)

    def predict(self, params: Params, model_state: ModelState, batch: Batch, key: Key) -> dict[str, Array]:
        """`label (batch,)` and `probability (batch, classes)`."""
        logits = self.logits(self.evaluated(params, model_state, batch["x"], key))
        return {"label": self.decide(logits), "probability": self.probabilities(logits)}

    def observe(self, params: Params, model_state: ModelState, batch: Batch, key: Key) -> dict[str, Array]:
        """As `predict`; of more than `MOST_CLASSES` classes the `scores` of each example in place of its probabilities."""
        found, y = self.predict(params, model_state, batch, key), batch["y"]
        if (p := found["probability"]).shape[-1] <= reports.MOST_CLASSES:
            return found
        return reports.scores(p, self.hard(y) if self.soft(y) else y) | {"label": found["label"]}

    def report(self, outputs: dict[str, np.ndarray], targets: np.ndarray) -> dict[str, Any]:
        labels = self.hard(targets) if self.soft(targets) else targets
        keep = labels != self.ignore
        if "probability" in outputs:
            found = reports.report(outputs["probability"][keep], labels[keep])
        else:
            found = reports.report_of_scores({name: a[keep] for name, a in outputs.items()}, labels[keep])
        return found | ({} if self.soft(targets) else misclassified(outputs, targets))

    def notes(self, data: Data, outputs: Callable[[], Any]) -> tuple[str, ...]:
        """A sentence where the model has more logits than the data have classes; UserError where it has fewer."""
        y = data.splits["train"].get("y")
        if self.decides_by_sign or y is None or (y.ndim == 1 and not len(data.classes) and y.dtype.kind not in "iu"):
            return ()
        logits = getattr(self.model, "classes", None) or outputs()["probability"].shape[-1]
        targets = {name: split["y"] for name, split in data.splits.items() if "y" in split}
        for name, labels in targets.items():
            try:
                self.check_range(labels, logits)
            except UserError as error:
                raise UserError(f"{data.name or 'data'}, {name} split: {error}") from None
        kept = [labels[labels != self.ignore].max(initial=-1) for labels in targets.values()]
        classes = y.shape[-1] if y.ndim > 1 else len(data.classes) or 1 + int(max(kept))
        return (f"the model has {logits} logits for {classes} classes",) if logits > classes else ()

    def check(self, targets: np.ndarray) -> None:
        """Raise UserError for labels that are not a class of the model: inside a program -1 would be the last class."""
        classes = getattr(self.model, "classes", None)
        if classes is not None and self.decides_by_sign:
            classes = 2
        if classes is not None:
            self.check_range(targets, classes)

    def check_range(self, targets: np.ndarray, classes: int) -> None:
        """Raise UserError for labels that are not class numbers 0 … classes - 1, unless they are soft or ignored."""
        if self.soft(targets):
            return
        if not np.issubdtype(targets.dtype, np.integer):
            raise UserError(f"labels must be integers (or distributions over classes), got {targets.dtype}")
        known = targets[targets != self.ignore]
        bad = known[(known < 0) | (known >= classes)]
        if len(bad):
            hint = "; subtract 1 from labels that start at 1" if known.min() == 1 and known.max() == classes else ""
            hint = "; two classes from one logit are BinaryClassification" if classes == 1 else hint
            raise UserError(
                f"the model has {classes} logits, so labels must lie in 0 … {classes - 1} (or be {self.ignore}: ignored), "
                f"got {bad[0]}{hint}"
            )

    @property
    def decides_by_sign(self) -> bool:
        return False


def misclassified(outputs: dict[str, np.ndarray], targets: np.ndarray) -> dict[str, Misclassified]:
    """The wrong predictions of highest confidence."""
    labels = np.asarray(outputs["label"])
    sure = outputs["confidence"] if "confidence" in outputs else outputs["probability"].max(-1)
    wrong = np.flatnonzero((labels != targets) & (targets >= 0))
    wrong = wrong[np.argsort(-sure[wrong], kind="stable")][:SHOWN]
    return {"misclassified": Misclassified(wrong, labels[wrong], targets[wrong])} if len(wrong) else {}


@dataclass(frozen=True, eq=False)
class BinaryClassification(Classification):
    """Two classes from one logit: p(y = 1) = σ(f(x)). The model gives `(batch, 1)`; a soft label is the number p(y = 1)."""

    loss: Callable[[Array, Array], Array] = binary_cross_entropy

    def logits(self, outputs: Array) -> Array:
        if outputs.shape[-1] != 1:
            raise UserError(f"binary classification needs a model with one logit (classes=1), got {outputs.shape[-1]}")
        return outputs[..., 0].astype(jnp.float32)

    def soft(self, y: Any) -> bool:
        return jnp.issubdtype(y.dtype, jnp.floating)

    def hard(self, y: Any) -> Any:
        return (y > 0.5).astype("int32")

    def mixture(self, y: Array) -> Array:
        return jnp.stack([1 - y, y], -1)

    def decide(self, logits: Array) -> Array:
        return (logits > 0).astype(jnp.int32)

    def probabilities(self, logits: Array) -> Array:
        return jnp.stack([jax.nn.sigmoid(-logits), jax.nn.sigmoid(logits)], -1)

    @property
    def decides_by_sign(self) -> bool:
        return True
