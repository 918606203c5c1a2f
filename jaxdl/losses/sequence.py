"""Losses of sequences: alignment-free transcription (CTC) and next-token likelihood with smoothing and padding."""

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, Num

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
    """Likelihood of a transcript that is not aligned with the frames (speech, handwriting): the sum over all alignments.

        -log Σ_π Π_t p_t(π_t)        π runs over the frame labellings that collapse to `labels`:
                                     repeats merge, then blanks go

    `logits` may have any constant added per frame; frames and symbols beyond the lengths (default: all) do not count.
    A transcript with no alignment (too many symbols for its frames; a repeat needs a blank between) has loss ∞, or 0
    with `zero_infinity`; the gradient is 0 either way. A transcript with a symbol that does not exist
    (below 0, at or above K, or the blank) has loss NaN. Divide by `label_lengths` for PyTorch's `reduction="mean"`.
    Source: Graves et al. 2006; the recursion is optax's.

    >>> print(f"{jax.jit(ctc)(jnp.zeros((1, 2, 3)), jnp.array([[1]])).item():.4f}")  # _1, 1_ and 11 of 9 paths: log 3
    1.0986
    """
    batch, time = logits.shape[:2]
    logit_lengths = jnp.full(batch, time) if logit_lengths is None else logit_lengths
    label_lengths = jnp.full(batch, labels.shape[1]) if label_lengths is None else label_lengths
    padding = lambda length, lengths: (jnp.arange(length)[None] >= lengths[:, None]).astype(jnp.float32)
    beyond = padding(labels.shape[1], label_lengths)
    known = ((is_class(labels, logits.shape[-1]) & (labels != blank)) | (beyond > 0)).all(1)
    # log 0 as -1e30: optax's -1e5 is a likelihood that logits of ±1e4 reach. Full precision: the labels' log-likelihoods
    # are read out by a product, which a GPU would otherwise round to 10 bits.
    with jax.default_matmul_precision("highest"):
        loss = optax.ctc_loss(
            at_least_float32(logits),
            padding(time, logit_lengths),
            labels,
            beyond,
            blank_id=blank,
            log_epsilon=-1e30,
        )
    return or_nan(known, jnp.where(loss < 1e29, loss, 0.0 if zero_infinity else jnp.inf))


def label_smoothed_nll(
    logits: Float[Array, "*batch vocab"],
    tokens: Int[Array, "*batch"],
    *,
    smoothing: ArrayLike = 0.1,
    mask: Num[Array, "*batch"] | None = None,
) -> Float[Array, "*batch"]:
    """Cross-entropy of the next token when a share ε goes to every *other* token; one value per token.

        -(1 - ε)·log p_y - ε/(V - 1) · Σ_(v≠y) log p_v

    fairseq's form; `cross_entropy(smoothing=ε)` spreads ε over all V, so this is the same at ε·V/(V - 1). `mask` is 0
    for padding, whose loss and gradient are 0: divide the sum by the mask's. A token of -100 is padding too; any other that is
    not in the vocabulary gives NaN.
    Source: Vaswani et al. 2017, arXiv:1706.03762, section 5.4.
    """
    vocab = logits.shape[-1]
    smoothing = jnp.asarray(smoothing, jnp.float32) * (vocab / max(vocab - 1, 1))
    if mask is None:
        return cross_entropy(logits, tokens, smoothing=smoothing)
    return cross_entropy(logits, jnp.where(mask > 0, tokens, -100), smoothing=smoothing)


def coverage_loss(
    weights: Float[Array, "batch target source"], mask: Num[Array, "batch target"] | None = None
) -> Float[Array, "batch target"]:
    """What a step of the decoder looks at again: little where its attention covers new ground, up to 1 where it repeats itself.

        L_t = Σ_j min(w_tj, c_tj),    c_tj = Σ_(s<t) w_sj

    For every target token, 0 where `mask` is. Source: See et al. 2017, arXiv:1704.04368, eq. 12.

    >>> jax.jit(coverage_loss)(jnp.array([[[1.0, 0.0], [0.5, 0.5], [0.5, 0.5]]])).tolist()
    [[0.0, 0.5, 1.0]]
    """
    before = jnp.cumsum(weights, 1) - weights
    loss = jnp.minimum(weights, before).sum(-1)
    return loss if mask is None else jnp.where(mask > 0, loss, 0)


def per_sequence(
    values: Float[Array, "batch time"], mask: Num[Array, "batch time"] | None = None
) -> Float[Array, "batch"]:
    """The mean over the real tokens of every sequence: one value per example (0 where there is none).

    >>> jax.jit(per_sequence)(jnp.array([[2.0, 4.0, 9.0]]), jnp.array([[1, 1, 0]])).tolist()
    [3.0]
    """
    mask = jnp.ones_like(values) if mask is None else (mask > 0).astype(values.dtype)
    return jnp.where(mask > 0, values, 0).sum(1) / jnp.maximum(mask.sum(1), 1)
