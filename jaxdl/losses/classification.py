"""Losses for classification: cross-entropy, focal loss, Poly-1, KL divergence and distillation.

Softmax losses take logits with a last axis of classes and return one value per example. Sigmoid losses are elementwise, for
several labels that may all be true. All are computed in float32 or wider.
"""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, Num

from jaxdl.counts import check_numbers
from jaxdl.losses.labels import at_label, is_class, or_nan, zero_or_one
from jaxdl.losses.precision import at_least_float32
from jaxdl.types import UserError

Logits = Float[Array, "*batch classes"]
PerExample = Float[Array, "*batch"]
Elementwise = Float[Array, "*shape"]
Binary = Num[Array, "*shape"]

Labels = Int[Array, "*batch"] | Num[Array, "*batch classes"]
"""Class numbers `(*batch,)`, or a distribution over the classes for each example, `(*batch, classes)`."""


def _log_softmax(logits: Array) -> Array:
    """Log-probabilities, finite also for a logit of -inf, so that 0 · log p and its gradient are 0."""
    return jnp.maximum(jax.nn.log_softmax(at_least_float32(logits)), -1e30)


def _per_class(weights: ArrayLike | None, log_p: Array) -> Array:
    if weights is None:
        return jnp.ones_like(log_p)
    weights = jnp.asarray(weights, log_p.dtype)
    if weights.shape != log_p.shape[-1:]:
        raise UserError(f"weights must have one value per class, shape {log_p.shape[-1:]}, got {weights.shape}")
    return jnp.broadcast_to(weights, log_p.shape)


def _are_integers(labels: Array, logits: Array) -> bool:
    """True for class numbers, False for distributions, by rank; anything else is an error."""
    if labels.ndim == logits.ndim and labels.shape[-1] == logits.shape[-1]:
        return False
    if labels.ndim == logits.ndim - 1 and jnp.issubdtype(labels.dtype, jnp.integer):
        return True
    raise UserError(
        f"labels for logits {logits.shape} must be integers {logits.shape[:-1]} or a distribution {logits.shape}, "
        f"got {labels.dtype} {labels.shape}"
    )


def valid_labels(labels: Int[Array, "*batch"], *, ignore: int = -100) -> PerExample:
    """Return 1 for each label that counts and 0 for an ignored one. Their sum is the denominator of a mean loss.

    >>> valid_labels(jnp.array([2, -100])).tolist()
    [1.0, 0.0]
    """
    return (labels != ignore).astype(jnp.float32)


def class_weight(labels: Labels, weights: Float[Array, "classes"], *, ignore: int = -100) -> PerExample:
    """Return the weight w_y of each example, 0 for an ignored label. Their sum is the denominator of a weighted mean.

    `cross_entropy(weights=w).sum() / class_weight(labels, w).sum()` is PyTorch's weighted mean. For distributions the weight
    is Σ_c w_c·y_c (PyTorch divides by the number of examples instead). Integers are class numbers, so one-hot rows must be
    floats. A label that is not a class has the weight NaN.

    >>> jax.jit(class_weight)(jnp.array([0, 1, -100]), jnp.array([1.0, 3.0])).tolist()
    [1.0, 3.0, 0.0]
    """
    labels, weights = jnp.asarray(labels), jnp.asarray(weights, jnp.float32)
    if jnp.issubdtype(labels.dtype, jnp.integer):
        exists, ignored = is_class(labels, len(weights)), labels == ignore
        found = jnp.where(ignored, 0, weights[jnp.where(exists, labels, 0)])
        return or_nan(exists | ignored, found)
    return (labels * jnp.broadcast_to(weights, labels.shape)).sum(-1)


def cross_entropy(
    logits: Logits,
    labels: Labels,
    *,
    smoothing: ArrayLike = 0.0,
    weights: Float[Array, "classes"] | None = None,
    ignore: int = -100,
) -> PerExample:
    """Softmax cross-entropy, for classification with one true class.

        CE = -Σ_c w_c · y'_c · log p_c        p = softmax(logits),  y' = (1 - ε)·y + ε/K

    Args:
        logits: (*batch, K).
        labels: class numbers, or distributions over the classes (mix-up, distillation).
        smoothing: ε in [0, 1], spread over all K classes as in PyTorch and optax.
        weights: one per class. Divide the sum by that of `class_weight` for PyTorch's weighted mean.
        ignore: label whose loss and gradient are 0; divide the sum by that of `valid_labels`. Any other label that is not
            a class gives NaN.

    Source for the smoothing: Szegedy et al. 2015, arXiv:1512.00567.

    >>> print(f"{jax.jit(cross_entropy)(jnp.zeros(10), jnp.array(3)):.4f}")  # log 10: the loss of an untrained network
    2.3026
    """
    check_numbers(0, 1, smoothing=smoothing)
    log_p = _log_softmax(logits)
    smoothing = jnp.asarray(smoothing, log_p.dtype)
    weighted = log_p * _per_class(weights, log_p)
    if _are_integers(labels, logits):
        keep = labels != ignore
        at_truth = at_label(weighted, jnp.where(keep, labels, 0))
        return jnp.where(keep, -(1 - smoothing) * at_truth - smoothing * weighted.mean(-1), 0)
    return -((1 - smoothing) * labels * weighted).sum(-1) - smoothing * weighted.mean(-1)


def binary_cross_entropy(
    logits: Elementwise, labels: Binary, *, positive_weight: ArrayLike | None = None, smoothing: ArrayLike = 0.0
) -> Elementwise:
    """Sigmoid cross-entropy of binary labels, elementwise; also for multi-label classification.

        BCE = -[w · y' · log σ(x) + (1 - y') · log(1 - σ(x))]        y' = (1 - ε)·y + ε/2

    `labels` are in [0, 1]; an integer other than 0 and 1 gives NaN. w is `positive_weight`, a number or one per label;
    negatives / positives balances the two. ε is `smoothing`. Equal to PyTorch's `BCEWithLogitsLoss(pos_weight=w)`.

    >>> print(f"{jax.jit(binary_cross_entropy)(jnp.array(0.0), jnp.array(1)):.4f}")  # log 2
    0.6931
    """
    check_numbers(0, 1, smoothing=smoothing)
    logits, labels = at_least_float32(logits), zero_or_one(labels)
    smoothing = jnp.asarray(smoothing, logits.dtype)
    labels = (1 - smoothing) * labels + smoothing / 2
    weight = jnp.broadcast_to(
        jnp.asarray(1.0 if positive_weight is None else positive_weight, logits.dtype), logits.shape
    )
    return -weight * labels * jax.nn.log_sigmoid(logits) - (1 - labels) * jax.nn.log_sigmoid(-logits)


def binary_cross_entropy_from_probabilities(probabilities: Elementwise, labels: Binary) -> Elementwise:
    """Binary cross-entropy of probabilities, elementwise, for models that end in a sigmoid.

        BCE = -[y · log p + (1 - y) · log(1 - p)]

    Prefer `binary_cross_entropy`, which is more accurate near p = 0 and 1. Each logarithm is at least -100, as in PyTorch's
    `BCELoss`, so that the value is finite; the gradient below is 0.

    >>> print(f"{jax.jit(binary_cross_entropy_from_probabilities)(jnp.array(0.25), jnp.array(1)):.4f}")  # log 4
    1.3863
    """
    p, labels = at_least_float32(probabilities), zero_or_one(labels)
    log = lambda q: jnp.where(q > 0, jnp.maximum(jnp.log(jnp.where(q > 0, q, 1)), -100), -100)
    return -labels * log(p) - (1 - labels) * log(1 - p)


def _power(base: Array, exponent: ArrayLike) -> Array:
    """baseᵉ for base in [0, 1] and e ≥ 0, with a finite gradient at base 0, also for 0 < e < 1."""
    tiny = jnp.finfo(base.dtype).tiny
    return jnp.exp(jnp.asarray(exponent, base.dtype) * jnp.log(jnp.maximum(base, tiny)))


def focal_loss(
    logits: Logits,
    labels: Labels,
    *,
    gamma: ArrayLike = 2.0,
    alpha: Float[Array, "classes"] | None = None,
    ignore: int = -100,
) -> PerExample:
    """Focal loss: cross-entropy with less weight on examples that are already classified well.

        FL = -Σ_c α_c · y_c · (1 - p_c)^γ · log p_c        p = softmax(logits)

    γ = 0 is cross-entropy; a larger γ puts more weight on hard examples, often those of rare classes. `labels` and `ignore`
    are as in `cross_entropy`; α is one weight per class.
    Source: Lin et al. 2017, arXiv:1708.02002, eq. 4 and 5.

    >>> print(f"{jax.jit(focal_loss)(jnp.zeros(2), jnp.array(1)):.4f}")  # p = 1/2: log 2 / 4
    0.1733
    """
    check_numbers(gamma=gamma)
    log_p = _log_softmax(logits)
    values = -_per_class(alpha, log_p) * _power(-jnp.expm1(log_p), gamma) * log_p
    if _are_integers(labels, logits):
        keep = labels != ignore
        return jnp.where(keep, at_label(values, jnp.where(keep, labels, 0)), 0)
    return (labels * values).sum(-1)


def sigmoid_focal_loss(
    logits: Elementwise, labels: Binary, *, gamma: ArrayLike = 2.0, alpha: ArrayLike | None = 0.25
) -> Elementwise:
    """Focal loss of binary labels, elementwise, as for dense object detection.

        FL = α_t · (1 - p_t)^γ · BCE        p_t = p·y + (1 - p)·(1 - y),  α_t = α·y + (1 - α)·(1 - y)

    γ = 0 with α = None is binary cross-entropy. The defaults are those of the paper and of torchvision. Initialise the output
    bias with `focal_bias()`, or the many negatives dominate the first steps. An integer label other than 0 and 1 gives NaN.
    Source: Lin et al. 2017, arXiv:1708.02002.

    >>> print(f"{jax.jit(sigmoid_focal_loss)(jnp.array(0.0), jnp.array(1)):.4f}")  # log 2 / 4 / 4
    0.0433
    """
    logits, labels = at_least_float32(logits), zero_or_one(labels)
    check_numbers(gamma=gamma)
    miss = jax.nn.sigmoid(logits) * (1 - labels) + jax.nn.sigmoid(-logits) * labels  # 1 - p_t, exact near 0
    loss = _power(miss, gamma) * binary_cross_entropy(logits, labels)
    if alpha is None:
        return loss
    alpha = jnp.asarray(alpha, logits.dtype)
    return (alpha * labels + (1 - alpha) * (1 - labels)) * loss


def focal_bias(prior: ArrayLike = 0.01) -> Float[Array, ""]:
    """Return the output bias -log((1 - π) / π), with which an untrained model predicts the probability π.

    >>> print(f"{focal_bias(0.01):.4f}")
    -4.5951
    """
    return -jnp.log((1 - prior) / prior)


def poly_cross_entropy(logits: Logits, labels: Labels, *, epsilon: ArrayLike = 2.0, ignore: int = -100) -> PerExample:
    """Poly-1 loss: cross-entropy whose first term of the expansion in 1 - p has a larger coefficient.

        Poly-1 = CE + ε · (1 - Σ_c y_c · p_c)

    ε = 0 is cross-entropy; the paper uses 2 on ImageNet. `labels` and `ignore` are as in `cross_entropy`.
    Source: Leng et al. 2022, arXiv:2204.12511.
    """
    p = jnp.exp(_log_softmax(logits))
    if _are_integers(labels, logits):
        keep = labels != ignore
        missed = jnp.where(keep, 1 - at_label(p, jnp.where(keep, labels, 0)), 0)
    else:
        missed = 1 - (labels * p).sum(-1)
    return cross_entropy(logits, labels, ignore=ignore) + jnp.asarray(epsilon, p.dtype) * missed


def kl_divergence(logits: Logits, labels: Logits) -> PerExample:
    """KL divergence KL(y ‖ p) = Σ_c y_c · (log y_c - log p_c), p = softmax(logits): cross-entropy minus the labels' entropy."""
    labels = at_least_float32(labels)
    entropy = -(labels * jnp.log(jnp.where(labels > 0, labels, 1))).sum(-1)
    return cross_entropy(logits, labels) - entropy


def distillation(logits: Logits, teacher: Logits, *, temperature: ArrayLike = 4.0) -> PerExample:
    """Distillation loss of a student from the logits of a teacher: T² · KL(softmax(teacher / T) ‖ softmax(logits / T)).

    The factor T² keeps the size of the gradient when T changes. No gradient flows to the teacher.
    Source: Hinton et al. 2015, arXiv:1503.02531.
    """
    check_numbers(temperature=temperature)
    temperature = jnp.asarray(temperature, jnp.float32)
    soft = jax.nn.softmax(jax.lax.stop_gradient(at_least_float32(teacher)) / temperature)
    return temperature**2 * kl_divergence(at_least_float32(logits) / temperature, soft)
