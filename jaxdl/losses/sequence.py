"""Losses for sequences: CTC for transcription, cross-entropy of the next token, and coverage of attention."""

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, Num

from jaxdl.counts import check_count, check_numbers
from jaxdl.losses.classification import cross_entropy
from jaxdl.losses.labels import is_class, or_nan
from jaxdl.losses.precision import at_least_float32


def ctc(
    logits: Float[Array, "batch time classes"],
    labels: Int[Array, "batch symbols"],
    *,
    logit_lengths: Int[Array, "batch"] | None = None,
    label_lengths: Int[Array, "batch"] | None = None,
    blank: int = 0,
    zero_infinity: bool = False,
) -> Float[Array, "batch"]:
    """Connectionist temporal classification: negative log-likelihood of a transcript that is not aligned with the frames.

        -log Σ_π Π_t p_t(π_t)        π: all frame labellings that give `labels` when repeats are merged and blanks removed

    Args:
        logits: (batch, time, classes), the blank being one of the classes.
        labels: (batch, symbols) class numbers. A number that is not a class, or the blank, gives NaN.
        logit_lengths, label_lengths: number of frames and of symbols of each example; all by default.
        blank: class number of the blank.
        zero_infinity: return 0 in place of ∞ for a transcript without an alignment (more symbols than frames; equal
            neighbours need a blank between them). The gradient is 0 in both cases.

    Divide by `label_lengths` for PyTorch's `reduction="mean"`. Source: Graves et al. 2006; the recursion is that of optax.

    >>> print(f"{jax.jit(ctc)(jnp.zeros((1, 2, 3)), jnp.array([[1]])).item():.4f}")  # _1, 1_ and 11 of 9 paths: log 3
    1.0986
    """
    check_count("blank", blank, 0)
    batch, time = logits.shape[:2]
    logit_lengths = jnp.full(batch, time) if logit_lengths is None else logit_lengths
    label_lengths = jnp.full(batch, labels.shape[1]) if label_lengths is None else label_lengths
    padding = lambda length, lengths: (jnp.arange(length)[None] >= lengths[:, None]).astype(jnp.float32)
    beyond = padding(labels.shape[1], label_lengths)
    known = ((is_class(labels, logits.shape[-1]) & (labels != blank)) | (beyond > 0)).all(1)
    # log 0 is -1e30, because logits of ±1e4 reach optax's -1e5. Full precision, because the log-likelihoods of the labels are
    # selected by a matrix product, which a GPU would otherwise round to 10 bits.
    with jax.default_matmul_precision("highest"):
        loss = optax.ctc_loss(
            at_least_float32(logits), padding(time, logit_lengths), labels, beyond, blank_id=blank, log_epsilon=-1e30
        )
    return or_nan(known, jnp.where(loss < 1e29, loss, 0.0 if zero_infinity else jnp.inf))


def label_smoothed_nll(
    logits: Float[Array, "*batch vocab"],
    tokens: Int[Array, "*batch"],
    *,
    smoothing: ArrayLike = 0.1,
    mask: Num[Array, "*batch"] | None = None,
) -> Float[Array, "*batch"]:
    """Cross-entropy of the next token with label smoothing over all other tokens, as in fairseq; one value per token.

        -(1 - ε)·log p_y - ε/(V - 1) · Σ_(v≠y) log p_v

    `cross_entropy(smoothing=ε)` spreads ε over all V tokens; both are equal for a smoothing of ε·V/(V - 1) there. Padding, where
    `mask` is 0 or the token is -100, has loss and gradient 0. Any other token that is not in the vocabulary gives NaN.
    Source: Vaswani et al. 2017, arXiv:1706.03762, section 5.4.
    """
    check_numbers(0, 1, smoothing=smoothing)
    vocab = logits.shape[-1]
    smoothing = jnp.asarray(smoothing, jnp.float32) * (vocab / max(vocab - 1, 1))
    if mask is None:
        return cross_entropy(logits, tokens, smoothing=smoothing)
    return cross_entropy(logits, jnp.where(mask > 0, tokens, -100), smoothing=smoothing)


def coverage_loss(
    weights: Float[Array, "batch target source"], mask: Num[Array, "batch target"] | None = None
) -> Float[Array, "batch target"]:
    """Coverage loss of attention: the overlap of the weights of each target token with those of all tokens before it.

        L_t = Σ_j min(w_tj, c_tj),    c_tj = Σ_(s<t) w_sj

    In [0, 1] for each target token, 0 where `mask` is 0. Source: See et al. 2017, arXiv:1704.04368, eq. 12.

    >>> jax.jit(coverage_loss)(jnp.array([[[1.0, 0.0], [0.5, 0.5], [0.5, 0.5]]])).tolist()
    [[0.0, 0.5, 1.0]]
    """
    before = jnp.cumsum(weights, 1) - weights
    loss = jnp.minimum(weights, before).sum(-1)
    return loss if mask is None else jnp.where(mask > 0, loss, 0)


def per_sequence(
    values: Float[Array, "batch time"], mask: Num[Array, "batch time"] | None = None
) -> Float[Array, "batch"]:
    """Return the mean over the tokens of each sequence that are not padding, or 0 if there are none.

    >>> jax.jit(per_sequence)(jnp.array([[2.0, 4.0, 9.0]]), jnp.array([[1, 1, 0]])).tolist()
    [3.0]
    """
    mask = jnp.ones_like(values) if mask is None else (mask > 0).astype(values.dtype)
    return jnp.where(mask > 0, values, 0).sum(1) / jnp.maximum(mask.sum(1), 1)
