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


def tiled_nll(
    hidden: Float[Array, "*batch width"],
    table: Float[Array, "vocab width"],
    tokens: Int[Array, "*batch"],
    *,
    tile: int,
    bias: Float[Array, "vocab"] | None = None,
    smoothing: ArrayLike = 0.0,
    mask: Num[Array, "*batch"] | None = None,
) -> tuple[Float[Array, "*batch"], Int[Array, "*batch"]]:
    """`label_smoothed_nll` of the logits `hidden · tableᵀ + bias`, and their most probable token, without holding all logits.

    The logits are made for `tile` tokens of the vocabulary at a time, and once more for the gradient:

        log Σ_v exp z_v = log Σ_tiles exp(log Σ_(v in tile) exp z_v)

    So memory is that of rows · tile numbers instead of rows · vocab, for a third more work in this layer. Padding and tokens
    outside of the vocabulary are treated as in `label_smoothed_nll`.
    """
    check_numbers(0, 1, smoothing=smoothing)
    check_count("tile", tile)
    vocab, width = table.shape
    count = -(-vocab // tile)
    target = (tokens if mask is None else jnp.where(mask > 0, tokens, -100)).reshape(-1, 1)
    rows, more = hidden.reshape(-1, width), count * tile - vocab
    bias = jnp.zeros(vocab, rows.dtype) if bias is None else bias.astype(rows.dtype)
    kernels = jnp.pad(table, ((0, more), (0, 0))).reshape(count, tile, width)
    numbers = jnp.arange(count * tile).reshape(count, tile)

    def one(part: tuple[Array, Array, Array]) -> tuple[Array, ...]:
        kernel, shift, number = part
        z = (rows @ kernel.T.astype(rows.dtype) + shift[None]).astype(jnp.float32)
        real = number[None] < vocab
        z = jnp.where(real, z, -jnp.inf)
        at_truth = jnp.where(number[None] == target, z, 0).sum(-1)
        return jax.nn.logsumexp(z, -1), at_truth, jnp.where(real, z, 0).sum(-1), z.max(-1), number[z.argmax(-1)]

    parts = (kernels, jnp.pad(bias, (0, more)).reshape(count, tile), numbers)
    log_sums, at_truth, sums, highest, best = jax.lax.map(jax.checkpoint(one, prevent_cse=False), parts)
    log_sum = jax.nn.logsumexp(log_sums, 0)
    spread = jnp.asarray(smoothing, jnp.float32) * (vocab / max(vocab - 1, 1))
    nll = log_sum - (1 - spread) * at_truth.sum(0) - spread * sums.sum(0) / vocab
    known = (target[:, 0] >= 0) & (target[:, 0] < vocab)
    nll = jnp.where(target[:, 0] == -100, 0, jnp.where(known, nll, jnp.nan))
    predicted = jnp.take_along_axis(best, highest.argmax(0)[None], 0)[0]
    return nll.reshape(tokens.shape), predicted.reshape(tokens.shape)


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
