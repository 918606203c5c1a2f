"""Losses of classifiers: cross-entropy in its forms, focal loss, Poly-1, Dice, divergence and distillation.

Logits in, one value per example out; the softmax losses reduce the class axis, the sigmoid ones keep the shape of the
logits (several labels may be true). All compute in float32 at least.
"""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, Num

from jaxdl.losses.labels import at_label, is_class, or_nan, zero_or_one
from jaxdl.losses.precision import at_least_float32
from jaxdl.types import UserError

Labels = Int[Array, "*batch"] | Num[Array, "*batch classes"]
"""Class numbers, or one distribution over the classes per example (told apart by their rank)."""


def _log_softmax(logits: Array) -> Array:
    """Log-probabilities, finite also where a class is masked by -inf: then 0 · log p is 0, in the gradient too."""
    return jnp.maximum(jax.nn.log_softmax(at_least_float32(logits)), -1e30)


def _per_class(weights: ArrayLike | None, log_p: Array) -> Array:
    if weights is None:
        return jnp.ones_like(log_p)
    weights = jnp.asarray(weights, log_p.dtype)
    if weights.shape != log_p.shape[-1:]:
        raise UserError(f"weights has shape {weights.shape}, need one per class: {log_p.shape[-1:]}")
    return jnp.broadcast_to(weights, log_p.shape)


def _are_integers(labels: Array, logits: Array) -> bool:
    """True for class numbers, False for distributions, by rank; anything else is an error."""
    if labels.ndim == logits.ndim and labels.shape[-1] == logits.shape[-1]:
        return False
    if labels.ndim == logits.ndim - 1 and jnp.issubdtype(labels.dtype, jnp.integer):
        return True
    raise UserError(
        f"labels are {labels.dtype}{labels.shape} beside logits {logits.shape}: "
        "need integers without the class axis, or a distribution over it"
    )


def valid_labels(labels: Int[Array, "*batch"], *, ignore: int = -100) -> Float[Array, "*batch"]:
    """1 for a label that counts, 0 for the ignored one: what to divide a sum of losses by.

    >>> valid_labels(jnp.array([2, -100])).tolist()
    [1.0, 0.0]
    """
    return (labels != ignore).astype(jnp.float32)


def class_weight(labels: Labels, weights: Float[Array, "classes"], *, ignore: int = -100) -> Float[Array, "*batch"]:
    """The weight of every example, w_y: what to divide a sum of weighted losses by (0 for an ignored label).

    `cross_entropy(weights=w).sum() / class_weight(labels, w).sum()` is PyTorch's weighted mean. For distributions it
    is Σ_c w_c·y_c, the same for one-hot rows (PyTorch divides by the number of examples there). Integers are class
    numbers here, so a one-hot row must be float. A label that is no class has the weight NaN.

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
    logits: Float[Array, "*batch classes"],
    labels: Labels,
    *,
    smoothing: ArrayLike = 0.0,
    weights: Float[Array, "classes"] | None = None,
    ignore: int = -100,
) -> Float[Array, "*batch"]:
    """The loss of a classifier with one true class: the surprise at the truth.

        CE = -Σ_c w_c · y'_c · log p_c        p = softmax(logits),  y' = (1 - ε)·y + ε/K

    `labels` are class numbers or distributions (mix-up, distillation). ε is `smoothing`, spread over all K classes
    as in PyTorch and optax; `weights` are per class (divide by `class_weight`, not by the batch, for PyTorch's mean);
    an example labelled `ignore` has loss and gradient 0 (divide by `valid_labels`). Any other label
    below 0, or at or above K, gives NaN.
    Source: Szegedy et al. 2015, arXiv:1512.00567, for the smoothing.

    >>> print(f"{jax.jit(cross_entropy)(jnp.zeros(10), jnp.array(3)):.4f}")  # log 10: what an untrained net shows
    2.3026
    """
    if isinstance(smoothing, int | float) and not 0 <= smoothing <= 1:
        raise UserError(f"smoothing={smoothing}: the share of the label spread over all classes, from 0 to 1")
    log_p = _log_softmax(logits)
    smoothing = jnp.asarray(smoothing, log_p.dtype)
    weighted = log_p * _per_class(weights, log_p)
    if _are_integers(labels, logits):
        keep = labels != ignore
        at_truth = at_label(weighted, jnp.where(keep, labels, 0))
        return jnp.where(keep, -(1 - smoothing) * at_truth - smoothing * weighted.mean(-1), 0)
    return -((1 - smoothing) * labels * weighted).sum(-1) - smoothing * weighted.mean(-1)


def binary_cross_entropy(
    logits: Float[Array, "*shape"],
    labels: Num[Array, "*shape"],
    *,
    positive_weight: ArrayLike | None = None,
    smoothing: ArrayLike = 0.0,
) -> Float[Array, "*shape"]:
    """The loss of a yes-or-no answer, or of several independent ones; one value per logit.

        BCE = -[w · y' · log σ(x) + (1 - y') · log(1 - σ(x))]        y' = (1 - ε)·y + ε/2

    `labels` in [0, 1]. w is `positive_weight` (a number or one per label: negatives / positives balances the two).
    Equal to PyTorch's `BCEWithLogitsLoss(pos_weight=w)`. An integer label other than 0 and 1 gives NaN.

    >>> print(f"{jax.jit(binary_cross_entropy)(jnp.array(0.0), jnp.array(1)):.4f}")  # log 2
    0.6931
    """
    logits, labels = at_least_float32(logits), zero_or_one(labels)
    smoothing = jnp.asarray(smoothing, logits.dtype)
    labels = (1 - smoothing) * labels + smoothing / 2
    weight = jnp.broadcast_to(
        jnp.asarray(1.0 if positive_weight is None else positive_weight, logits.dtype), logits.shape
    )
    return -weight * labels * jax.nn.log_sigmoid(logits) - (1 - labels) * jax.nn.log_sigmoid(-logits)


def binary_cross_entropy_from_probabilities(
    probabilities: Float[Array, "*shape"], labels: Num[Array, "*shape"]
) -> Float[Array, "*shape"]:
    """The sheet's formula, for models that end in a sigmoid; one value per probability.

        BCE = -[y · log p + (1 - y) · log(1 - p)]

    Prefer `binary_cross_entropy`: near p = 0 or 1 the logits know more. The logarithms are floored at -100, as in
    PyTorch's `BCELoss`, so that the value is finite; the gradient is 0 beyond.

    >>> print(f"{jax.jit(binary_cross_entropy_from_probabilities)(jnp.array(0.25), jnp.array(1)):.4f}")  # log 4
    1.3863
    """
    p, labels = at_least_float32(probabilities), zero_or_one(labels)
    log = lambda q: jnp.where(q > 0, jnp.maximum(jnp.log(jnp.where(q > 0, q, 1)), -100), -100)
    return -labels * log(p) - (1 - labels) * log(1 - p)


def _power(base: Array, exponent: ArrayLike) -> Array:
    """baseᵉ for base in [0, 1] and a traced e ≥ 0, with a finite gradient at base 0, also where 0 < e < 1."""
    tiny = jnp.finfo(base.dtype).tiny
    return jnp.exp(jnp.asarray(exponent, base.dtype) * jnp.log(jnp.maximum(base, tiny)))


def focal_loss(
    logits: Float[Array, "*batch classes"],
    labels: Labels,
    *,
    gamma: ArrayLike = 2.0,
    alpha: Float[Array, "classes"] | None = None,
    ignore: int = -100,
) -> Float[Array, "*batch"]:
    """Cross-entropy that fades out examples the model already gets right.

        FL = -Σ_c α_c · y_c · (1 - p_c)^γ · log p_c        p = softmax(logits)

    γ = 0 is cross-entropy; larger γ puts more weight on hard, often rare, classes. `labels` and `ignore` as in
    `cross_entropy`; α is one weight per class.
    Source: Lin et al. 2017, arXiv:1708.02002, eq. 4 and 5.

    >>> print(f"{jax.jit(focal_loss)(jnp.zeros(2), jnp.array(1)):.4f}")  # p = 1/2: log 2 / 4
    0.1733
    """
    log_p = _log_softmax(logits)
    values = -_per_class(alpha, log_p) * _power(-jnp.expm1(log_p), gamma) * log_p
    if _are_integers(labels, logits):
        keep = labels != ignore
        return jnp.where(keep, at_label(values, jnp.where(keep, labels, 0)), 0)
    return (labels * values).sum(-1)


def sigmoid_focal_loss(
    logits: Float[Array, "*shape"],
    labels: Num[Array, "*shape"],
    *,
    gamma: ArrayLike = 2.0,
    alpha: ArrayLike | None = 0.25,
) -> Float[Array, "*shape"]:
    """Focal loss of yes-or-no answers (dense detection); one value per logit.

        FL = α_t · (1 - p_t)^γ · BCE        p_t = p·y + (1 - p)·(1 - y),  α_t = α·y + (1 - α)·(1 - y)

    γ = 0 with α = None is binary cross-entropy. The defaults are the paper's and torchvision's; start the output
    bias at `focal_bias()`, or the many negatives drown the first steps. An integer label other than 0 and 1 gives NaN.
    Source: Lin et al. 2017, arXiv:1708.02002.

    >>> print(f"{jax.jit(sigmoid_focal_loss)(jnp.array(0.0), jnp.array(1)):.4f}")  # log 2 / 4 / 4
    0.0433
    """
    logits, labels = at_least_float32(logits), zero_or_one(labels)
    miss = jax.nn.sigmoid(logits) * (1 - labels) + jax.nn.sigmoid(-logits) * labels  # 1 - p_t, exact near 0
    loss = _power(miss, gamma) * binary_cross_entropy(logits, labels)
    if alpha is None:
        return loss
    alpha = jnp.asarray(alpha, logits.dtype)
    return (alpha * labels + (1 - alpha) * (1 - labels)) * loss


def focal_bias(prior: ArrayLike = 0.01) -> Float[Array, ""]:
    """-log((1 - π) / π): the output bias with which a fresh model says "yes" with probability π.

    >>> print(f"{focal_bias(0.01):.4f}")
    -4.5951
    """
    return -jnp.log((1 - prior) / prior)


def poly_cross_entropy(
    logits: Float[Array, "*batch classes"], labels: Labels, *, epsilon: ArrayLike = 2.0, ignore: int = -100
) -> Float[Array, "*batch"]:
    """Cross-entropy with a heavier first term of its expansion in 1 - p.

        Poly-1 = CE + ε · (1 - Σ_c y_c · p_c)

    ε = 0 is cross-entropy; 2 is the paper's choice on ImageNet. `labels` and `ignore` as in `cross_entropy`.
    Source: Leng et al. 2022, arXiv:2204.12511.
    """
    p = jnp.exp(_log_softmax(logits))
    if _are_integers(labels, logits):
        keep = labels != ignore
        missed = jnp.where(keep, 1 - at_label(p, jnp.where(keep, labels, 0)), 0)
    else:
        missed = 1 - (labels * p).sum(-1)
    return cross_entropy(logits, labels, ignore=ignore) + jnp.asarray(epsilon, p.dtype) * missed


def dice(
    probabilities: Float[Array, "batch *space"], labels: Num[Array, "batch *space"], *, smooth: ArrayLike = 1.0
) -> Float[Array, "batch"]:
    """One minus the overlap of a predicted and a true region, per example: segmentation with small regions.

        1 - (2·Σ p·y + s) / (Σ p + Σ y + s)

    An integer label other than 0 and 1 gives NaN.
    Source: Milletari et al. 2016, arXiv:1606.04797, with the sums of Sørensen's index instead of squares.
    """
    p, y, axes = at_least_float32(probabilities), zero_or_one(labels), tuple(range(1, jnp.ndim(labels)))
    smooth = jnp.asarray(smooth, p.dtype)
    return 1 - (2 * (p * y).sum(axes) + smooth) / (p.sum(axes) + y.sum(axes) + smooth)


def softmax_dice(
    logits: Float[Array, "batch *space classes"],
    labels: Int[Array, "batch *space"],
    *,
    smooth: ArrayLike = 1.0,
    ignore: int = -100,
) -> Float[Array, "batch"]:
    """Soft Dice loss of semantic segmentation: the mean over classes of `dice`, one value per example.

        1 - 1/K Σ_c (2·Σ p_c·[y = c] + s) / (Σ p_c + Σ [y = c] + s)        p = softmax(logits), sums over the pixels

    Pixels labelled `ignore` are left out; any other label that is not a class gives NaN.
    Source: Milletari et al. 2016, arXiv:1606.04797; Sudre et al. 2017, arXiv:1707.03237.

    >>> print(f"{jax.jit(softmax_dice)(jnp.zeros((1, 2, 2)), jnp.array([[0, 1]])).item():.4f}")  # p = 1/2 everywhere
    0.3333
    """
    keep, axes = labels != ignore, tuple(range(1, labels.ndim))
    known = (~keep | is_class(labels, logits.shape[-1])).all(axes)
    p = jax.nn.softmax(at_least_float32(logits)) * keep[..., None]
    y = jax.nn.one_hot(jnp.where(keep, labels, -1), logits.shape[-1], dtype=p.dtype)
    smooth = jnp.asarray(smooth, p.dtype)
    overlap = (2 * (p * y).sum(axes) + smooth) / (p.sum(axes) + y.sum(axes) + smooth)
    return or_nan(known, 1 - overlap.mean(-1))


def kl_divergence(
    logits: Float[Array, "*batch classes"], labels: Float[Array, "*batch classes"]
) -> Float[Array, "*batch"]:
    """KL(y ‖ p) = Σ_c y_c · (log y_c - log p_c), p = softmax(logits): cross-entropy less the entropy of the labels."""
    labels = at_least_float32(labels)
    entropy = -(labels * jnp.log(jnp.where(labels > 0, labels, 1))).sum(-1)
    return cross_entropy(logits, labels) - entropy


def distillation(
    logits: Float[Array, "*batch classes"],
    teacher: Float[Array, "*batch classes"],
    *,
    temperature: ArrayLike = 4.0,
) -> Float[Array, "*batch"]:
    """T² · KL(softmax(teacher / T) ‖ softmax(logits / T)): a student learns what the teacher holds for similar.

    T² keeps the gradient's size when T changes; no gradient flows to the teacher. Source: Hinton et al. 2015.
    """
    temperature = jnp.asarray(temperature, jnp.float32)
    soft = jax.nn.softmax(jax.lax.stop_gradient(at_least_float32(teacher)) / temperature)
    return temperature**2 * kl_divergence(at_least_float32(logits) / temperature, soft)
