"""Semantic segmentation: a class for every pixel of an image."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.losses.classification import cross_entropy
from jaxdl.metrics import segmentation as reports
from jaxdl.reports import ImageGrid
from jaxdl.tasks.forward import Supervised, check_class_weights, forward, weighted_mean, with_penalty
from jaxdl.types import Array, Batch, Key, Metrics, ModelState, Params, UserError

SIDE, SHOWN = 8, 16
"""Examples in a row of the picture, and in all."""
PALETTE = "000000 e69f00 56b4e9 009e73 f0e442 0072b2 d55e00 cc79a7 ffffff 9467bd 8c564b"
COLOURS = np.array([[*bytes.fromhex(colour)] for colour in PALETTE.split()]) / 255
"""Of the classes, in turn: those of Okabe and Ito, which colour-blind readers can distinguish, and three more."""
IGNORED = 0.5
"""Grey, of pixels that count nowhere."""


@dataclass(frozen=True, eq=False)
class Segmentation(Supervised):
    """Minimise the mean of a loss over the pixels that count.

        L = Σ_p m_p w_{y_p} ℓ(f(x)_p, y_p) / Σ_p m_p w_{y_p}      m: mask, and 0 where y_p is ignored; w: class weights

    Targets are label maps, integers `(batch, height, width)`; augmentations of images move them along. Evaluation counts pixels
    over the whole split, for IoU and Dice of every class.

    Args:
        model: images -> logits `(batch, height, width, classes)`, such as `models.unet.UNet`.
        loss: (logits, labels) -> one value per pixel, or one per image, which is then not weighted by class.
        class_weights: one positive number a class.
        ignore: the label of pixels that count nowhere.
        penalty: parameters -> scalar, added to the training loss (`jaxdl.losses.penalty`).
        metric: what selects the best model, and its direction.
    """

    model: Any
    loss: Callable[[Array, Array], Array] = cross_entropy
    class_weights: tuple[float, ...] | None = None
    ignore: int = -100
    penalty: Callable[[Params], Array] | None = None
    metric: tuple[str, str] = ("mean_iou", "max")
    reduce: Mapping[str, str] = field(default_factory=lambda: {"batch_stats": "mean"})
    targets: tuple[str, ...] = ()  # `observe` counts the pixels: label maps need not leave the device

    def __post_init__(self) -> None:
        super().__post_init__()
        check_class_weights(self.class_weights, getattr(self.model, "classes", None))

    @property
    def directions(self) -> Mapping[str, str]:
        """Whether more or less of a metric is better."""
        return reports.DIRECTIONS

    def logits(
        self, params: Params, model_state: ModelState, batch: Batch, key: Key, *, train: bool = False
    ) -> tuple[Array, ModelState]:
        outputs, model_state = forward(self.model, params, model_state, batch["x"], key=key, train=train)
        if "y" in batch and outputs.shape[:-1] != batch["y"].shape:
            raise UserError(f"the model gives logits {outputs.shape[1:]} for label maps {batch['y'].shape[1:]}")
        return outputs.astype(jnp.float32), model_state

    def objective(
        self, params: Params, model_state: ModelState, batch: Batch, key: Key, step: Array, *, train: bool
    ) -> tuple[Array, tuple[ModelState, Metrics]]:
        logits, model_state = self.logits(params, model_state, batch, key, train=train)
        valid = (batch["y"] != self.ignore) * batch["mask"][:, None, None]
        labels = jnp.where(valid > 0, batch["y"], 0)
        each = self.loss(logits, jnp.where(batch["y"] == self.ignore, self.ignore, labels))
        if each.shape not in (labels.shape, labels.shape[:1]):
            raise UserError(f"loss must give one value per pixel {labels.shape}, or per image, got {each.shape}")
        weight = valid if self.class_weights is None else valid * jnp.asarray(self.class_weights, jnp.float32)[labels]
        loss, pair = weighted_mean(each, weight if each.ndim == 3 else batch["mask"])
        hit = (jnp.argmax(logits, -1) == labels).astype(jnp.float32)
        metrics = {"loss": pair, "pixel_accuracy": weighted_mean(hit, valid)[1]}
        return with_penalty(loss, self.penalty, params, train=train), (model_state, metrics)

    def predict(self, params: Params, model_state: ModelState, batch: Batch, key: Key) -> dict[str, Array]:
        """`label (batch, height, width)` and `probability (batch, height, width, classes)`."""
        logits, _ = self.logits(params, model_state, batch, key)
        return {"label": jnp.argmax(logits, -1).astype(jnp.int32), "probability": jax.nn.softmax(logits)}

    def observe(self, params: Params, model_state: ModelState, batch: Batch, key: Key) -> dict[str, Array]:
        """`counts (batch, classes, classes)`: pixels of class i (row) that are predicted as class j (column)."""
        logits, _ = self.logits(params, model_state, batch, key)
        labels = jnp.argmax(logits, -1)
        return {"counts": reports.pixel_confusion(labels, batch["y"], classes=logits.shape[-1], ignore=self.ignore)}

    def illustrate(self, params: Params, model_state: ModelState, batch: Batch, key: Key) -> dict[str, Array]:
        """Images, predictions and targets of the first batch of a split."""
        logits, _ = self.logits(params, model_state, batch, key)
        return {"image": batch["x"], "label": jnp.argmax(logits, -1), "target": batch["y"]}

    def report(self, outputs: dict[str, np.ndarray], targets: Any) -> dict[str, Any]:
        found = reports.report(outputs["counts"].sum(0))
        if "image" not in outputs or outputs["image"].shape[-1] not in (1, 3):
            return found
        rows = [as_colour(outputs["image"]), coloured(outputs["label"]), coloured(outputs["target"])]
        parts = [row[i : i + SIDE] for i in range(0, min(SHOWN, len(rows[0])), SIDE) for row in rows]
        title = "Images, below each the predicted and the true label map"
        return found | {"segmentations": ImageGrid(np.concatenate(parts), title=title)}

    def check(self, targets: np.ndarray) -> None:
        """Raise UserError for targets that are no label maps of the model's classes."""
        if targets.ndim != 3 or not np.issubdtype(targets.dtype, np.integer):
            raise UserError(f"label maps must be integers (n, height, width), got {targets.dtype} {targets.shape}")
        classes = getattr(self.model, "classes", np.inf)
        bad = (targets != self.ignore) & ((targets < 0) | (targets >= classes))
        if bad.any():
            row, *place = (int(i) for i in np.argwhere(bad)[0])
            value = targets[(row, *place)]
            most = f"0 … {classes - 1}" if np.isfinite(classes) else "0 or more"
            raise UserError(
                f"labels must be {most} (or {self.ignore}: ignored), got {value} in row {row}, pixel {tuple(place)}"
            )


def as_colour(images: np.ndarray) -> np.ndarray:
    """Standardised images `(n, height, width, channels)` in [0, 1], each by its own smallest and largest value, in colour."""
    low, high = (f(images, (1, 2, 3), keepdims=True) for f in (np.min, np.max))
    return np.broadcast_to((images - low) / np.maximum(high - low, 1e-12), (*images.shape[:3], 3))


def coloured(labels: np.ndarray) -> np.ndarray:
    """Label maps `(n, height, width)` in colour."""
    return np.where((labels < 0)[..., None], IGNORED, COLOURS[labels % len(COLOURS)])
