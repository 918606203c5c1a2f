"""Metric learning: embeddings in which examples of one class lie together, also of classes never seen in training.

The loss belongs to one of two families:

    within a batch       (embeddings, labels, mask=...) -> one value per anchor: `mined_triplet`, `paired_contrastive`,
                         `nt_xent`, `supervised_contrastive`; they compare the examples of all devices
    against classes      (cosines, labels) -> one value per example: `arcface`, `cosface`, `sphereface`; the task learns a
                         direction for each of `classes`
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.counts import check_counts
from jaxdl.losses.classification import cross_entropy
from jaxdl.losses.metric_learning import normalize, pair_masks
from jaxdl.metrics import ranking
from jaxdl.reports import Curve, Embeddings, Neighbours
from jaxdl.tasks.forward import forward, initialise, one_each, weighted_mean
from jaxdl.tracing import row_numbers
from jaxdl.types import Array, Batch, Key, Metrics, ModelState, Params, Task, UserError, Variables

HEADS = ("centres", "probe")
PAIRS = 200_000
FOLDED = 6000
SHOWN = {"map": 1000, "neighbours": 8, "roc": 200}


@dataclass(frozen=True, eq=False)
class MetricLearning(Task):
    """Learn an embedding, and evaluate it by verification and identification on a whole split.

    The classes of an evaluation are usually not those of training, so it has no loss; it reports the metrics of
    `jaxdl.metrics.ranking` by cosine similarity. Targets are class numbers `(n,)`; pairs are formed from them: all pairs, or a
    fixed sample of up to 100,000 of one class and as many of two. Or targets are `(2·pairs, 2)`, class and number of the pair:
    rows 2p and 2p+1 are then pair p of a list, in the order of its folds (LFW).

    Args:
        model: x -> embedding `(batch, dim)`.
        loss: a function of one of the two families.
        classes: number of classes for a loss against classes; None: the loss compares within the batch.
        head: input of a loss against classes: the "cosine" of the angle to each class's direction, or the "linear" logits e·W
            of an ordinary classifier, whose features are the usual baseline.
        normalise: scale embeddings to length 1 before a loss within the batch, as FaceNet and SimCLR do.
        views: number of augmented copies of each image in a training batch, on axis 1 (`augment.views`).
        by_example: only the views of one image are positive pairs; labels are not used (SimCLR).
        embedding: name of the feature of the model that is evaluated in place of its output, such as the one before a
            projection head.
        probe: number of classes of a linear classifier of the embedding, trained beside the model without a gradient into it;
            its `probe_accuracy` is the usual metric of self-supervised learning.
        mirror: add up the embeddings of an image and of its mirror image in evaluations and predictions (faces).
        metric: what selects the best model, and its direction.
    """

    model: Any
    loss: Callable[..., Array]
    classes: int | None = None
    head: Literal["cosine", "linear"] = "cosine"
    normalise: bool = True
    views: int = 1
    by_example: bool = False
    embedding: str = ""
    probe: int | None = None
    mirror: bool = False
    metric: tuple[str, str] = ("map_at_r", "max")
    reduce: Mapping[str, str] = field(default_factory=lambda: {"batch_stats": "mean"})

    def __post_init__(self) -> None:
        check_counts(classes=self.classes, views=self.views, probe=self.probe)
        if self.head not in ("cosine", "linear"):
            raise UserError(f"head = {self.head!r} must be 'cosine' or 'linear'")
        if self.by_example and (self.views < 2 or self.classes is not None):
            raise UserError("by_example needs two views or more, and a loss within the batch (classes=None)")

    @property
    def directions(self) -> Mapping[str, str]:
        """Whether more or less of a metric is better."""
        return {**ranking.DIRECTIONS, "accuracy": "max", "probe_accuracy": "max", "probe_loss": "min"}

    def init(self, key: Key, batch: Batch) -> Variables:
        more = {"features": True} if self.embedding else {}
        params, model_state = initialise(self.model, key, batch["x"], **more)
        output, seen = jax.eval_shape(
            lambda p, s: self.forward(p, s, batch["x"], key=key, train=False)[0], params, model_state
        )
        for name, shape in (("output", output), ("embedding", seen)):
            if shape.ndim != 2:
                raise UserError(f"the model's {name} must be (batch, dim), got {shape.shape}")
        start = jax.nn.initializers.normal(0.01)
        if self.classes is not None:
            shape = (output.shape[1], self.classes)
            params = {**params, "centres": start(jax.random.fold_in(key, 1), shape, jnp.float32)}
        if self.probe is not None:
            kernel = start(jax.random.fold_in(key, 2), (seen.shape[1], self.probe), jnp.float32)
            params = {**params, "probe": {"kernel": kernel, "bias": jnp.zeros(self.probe)}}
        return params, model_state

    def forward(
        self, params: Params, model_state: ModelState, x: Array, *, key: Key, train: bool
    ) -> tuple[tuple[Array, Array], ModelState]:
        """(input of the loss, embedding that is evaluated), and the new state of the model."""
        own = {name: value for name, value in params.items() if name not in HEADS}
        more = {"features": True} if self.embedding else {}
        output, model_state = forward(self.model, own, model_state, x, key=key, train=train, **more)
        if not self.embedding:
            return (output, output), model_state
        output, seen = output
        if self.embedding not in seen:
            raise UserError(f"embedding = {self.embedding!r} is none of the model's features: {', '.join(seen)}")
        return (output, seen[self.embedding]), model_state

    def objective(
        self, params: Params, model_state: ModelState, batch: Batch, key: Key, step: Array, *, train: bool
    ) -> tuple[Array, tuple[ModelState, Metrics]]:
        x, y, mask = batch["x"], batch["y"], batch["mask"]
        views = self.views if train else 1
        if views > 1:
            if x.shape[1] != views:
                raise UserError(
                    f"views = {views}, but the batch {x.shape} has another axis 1: augment with views.several"
                )
            x = x.reshape(-1, *x.shape[2:])
        (output, seen), model_state = self.forward(params, model_state, x, key=key, train=train)
        each, weight = jnp.repeat(y, views, axis=0), jnp.repeat(mask, views)
        lengths = jnp.linalg.norm(output.astype(jnp.float32), axis=-1)
        metrics: Metrics = {"embedding_norm": weighted_mean(lengths, weight)[1]}
        loss = jnp.float32(0)
        if train:
            labels = jnp.repeat(row_numbers(len(y)), views) if self.by_example else each
            part = self.within_batch if self.classes is None else self.against_classes
            loss, found = part(params, output, labels, weight)
            metrics |= found
        if self.probe is not None:
            added, found = self.probed(params["probe"], seen, each, weight)
            loss, metrics = loss + added, metrics | found
        return loss, (model_state, metrics)

    def within_batch(self, params: Params, output: Array, labels: Array, weight: Array) -> tuple[Array, Metrics]:
        """The mean loss over anchors with at least one positive and one negative in the batch of all devices."""
        e = normalize(output) if self.normalise else output.astype(jnp.float32)
        every, kinds, real = of_all_devices((e, labels, weight))
        positive, negative = pair_masks(kinds, real)
        values = one_each(self.loss(every, kinds, mask=real), real.shape)
        anchors = real * positive.any(1) * negative.any(1)
        cosines = normalize(every) @ normalize(every).T
        total, count = jnp.sum(of_this_device(values * anchors)), share(jnp.sum(of_this_device(anchors)))
        metrics = {"loss": (total, count)}
        for name, pairs in (("same", positive), ("other", negative)):
            picked = of_this_device(jnp.where(pairs, cosines, 0)).sum(), of_this_device(pairs).sum().astype(jnp.float32)
            metrics[f"similarity_{name}"] = picked
        return total / jnp.maximum(count, 1e-12), metrics

    def against_classes(self, params: Params, output: Array, labels: Array, weight: Array) -> tuple[Array, Metrics]:
        centres = params["centres"].astype(jnp.float32)
        if self.head == "cosine":
            scores = jnp.matmul(normalize(output), normalize(centres.T).T, precision="highest")
        else:
            scores = output.astype(jnp.float32) @ centres
        loss, pair = weighted_mean(one_each(self.loss(scores, labels), weight.shape), weight)
        right = (jnp.argmax(scores, -1) == labels).astype(jnp.float32)
        return loss, {"loss": pair, "accuracy": weighted_mean(right, weight)[1]}

    def probed(self, probe: Params, seen: Array, y: Array, weight: Array) -> tuple[Array, Metrics]:
        seen = jax.lax.stop_gradient(seen).astype(jnp.float32)
        logits = seen @ probe["kernel"].astype(jnp.float32) + jnp.broadcast_to(probe["bias"], (len(seen), self.probe))
        loss, pair = weighted_mean(cross_entropy(logits, y), weight)
        right = (jnp.argmax(logits, -1) == y).astype(jnp.float32)
        return loss, {"probe_loss": pair, "probe_accuracy": weighted_mean(right, weight)[1]}

    def predict(self, params: Params, model_state: ModelState, batch: Batch, key: Key) -> dict[str, Array]:
        """`embedding` `(batch, dim)`, float32, of length 1 if `normalise`; and the probe's `label`."""

        def seen(x: Array) -> Array:
            return self.forward(params, model_state, x, key=key, train=False)[0][1].astype(jnp.float32)

        e = seen(batch["x"])
        found = {}
        if self.probe is not None:
            probe = params["probe"]
            logits = e @ probe["kernel"].astype(jnp.float32) + jnp.broadcast_to(probe["bias"], (len(e), self.probe))
            found = {"probe_label": jnp.argmax(logits, -1)}
        if self.mirror:
            e = normalize(e) + normalize(seen(jnp.flip(batch["x"], 2)))
        return {"embedding": normalize(e) if self.normalise else e, **found}

    def report(self, outputs: dict[str, np.ndarray], targets: np.ndarray) -> dict[str, Any]:
        """Verification and identification, and the pictures `roc`, `embedding_map` and `neighbours`."""
        e = np.asarray(outputs["embedding"], np.float64)
        unit = e / np.maximum(np.linalg.norm(e, axis=1, keepdims=True), 1e-12)
        if targets.ndim == 2:
            scores, same = (unit[::2] * unit[1::2]).sum(1), targets[::2, 0] == targets[1::2, 0]
            return verified(scores, same, scores, same)
        i, j = ranking.made_pairs(targets, PAIRS)
        listed = ranking.balanced_pairs(targets, FOLDED)
        found = verified(
            (unit[i] * unit[j]).sum(1), targets[i] == targets[j],
            (unit[listed[0]] * unit[listed[1]]).sum(1), targets[listed[0]] == targets[listed[1]],
        )  # fmt: skip
        shown = np.random.RandomState(0).permutation(len(e))[: SHOWN["map"]]
        return {
            **ranking.retrieval(unit, targets),
            **found,
            "embedding_map": Embeddings(np.column_stack([ranking.principal_plane(unit[shown]), targets[shown]])),
            "neighbours": Neighbours(neighbours(unit, targets)),
        }

    @property
    def open_set(self) -> bool:
        """Whether other splits than train may have other classes, which are then not checked."""
        return self.probe is None

    def check(self, targets: np.ndarray) -> None:
        """Raise UserError for training labels that are not a class of the loss or of the probe."""
        bound = self.classes if self.classes is not None else self.probe
        if bound is not None and (targets.min() < 0 or targets.max() >= bound):
            raise UserError(
                f"labels to train on must lie in 0 … {bound - 1}, got {targets.min()} to {targets.max()}: set classes to "
                "their number"
            )


def of_all_devices(tree: Any) -> Any:
    """The rows of all devices in their order, under pmap; under jit a batch is global already."""
    if device() is None:
        return tree
    return jax.tree.map(lambda a: jax.lax.all_gather(a, "data", tiled=True), tree)


def of_this_device(a: Array) -> Array:
    """The rows of this device, of values for all rows, so that each counts once in the sum over devices."""
    number = device()
    if number is None:
        return a
    rows = len(a) // jax.lax.axis_size("data")
    return jax.lax.dynamic_slice_in_dim(a, number * rows, rows)


def share(count: Array) -> Array:
    """The mean of a count over all devices: sums over devices are divided by the sum of these shares."""
    return count if device() is None else jax.lax.pmean(count, "data")


def device() -> Array | None:
    """The number of this device on the axis "data"; None outside of pmap."""
    try:
        return jax.lax.axis_index("data")
    except NameError:
        return None


def verified(scores: np.ndarray, same: np.ndarray, listed: np.ndarray, listed_same: np.ndarray) -> dict[str, Any]:
    """Verification rates, the ROC curve, and the ten-fold accuracy of a list of pairs (fewer folds for fewer pairs)."""
    far, tar, _ = ranking.roc(scores, same)
    kept = np.unique(
        np.searchsorted(far, np.geomspace(max(1 / len(far), 1e-6), 1, SHOWN["roc"])).clip(max=len(far) - 1)
    )
    folds = min(10, int(listed_same.sum()), int((~listed_same).sum()))
    accuracy = {}
    if folds > 1:
        mean, error = ranking.verification_accuracy(listed, listed_same, folds=folds)
        accuracy = {"verification_accuracy": mean, "verification_error": error}
    return {
        **ranking.verification(scores, same),
        **accuracy,
        "roc": Curve(np.column_stack([far[kept], tar[kept]])),
    }


def neighbours(unit: np.ndarray, labels: np.ndarray, *, count: int = 7) -> np.ndarray:
    """A few queries of different classes, each with its nearest neighbours: rows of the split, and their labels."""
    order = np.random.RandomState(0).permutation(len(unit))
    _, first = np.unique(labels[order], return_index=True)
    queries = order[np.sort(first)][: SHOWN["neighbours"]]
    more = order[~np.isin(order, queries)][: SHOWN["neighbours"] - len(queries)]
    queries = np.concatenate([queries, more])
    near = unit[queries] @ unit.T
    near[np.arange(len(queries)), queries] = np.inf
    found = np.argsort(-near, axis=1, kind="stable")[:, : 1 + min(count, len(unit) - 1)]
    return np.stack([found, labels[found]], -1)
