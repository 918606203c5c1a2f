"""Which token comes next: functions (key, logits) -> tokens; the key is one for all rows, or `(batch,)`, one a row."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxdl.tracing import row_numbers
from jaxdl.types import Key, UserError

Logits = Float[Array, "batch vocab"]
Pick = Callable[[Key, Logits], Int[Array, "batch"]]


def greedy(key: Key, logits: Logits) -> Int[Array, "batch"]:
    """The likeliest token; the first of several.

    >>> greedy(jax.random.key(0), jnp.array([[0.1, 2.0, 0.3]])).tolist()
    [1]
    """
    del key
    return jnp.argmax(logits, -1).astype(jnp.int32)


def sample(*, temperature: float | Array = 1.0, top_k: int | None = None, top_p: float | Array | None = None) -> Pick:
    """Draws from softmax(logits / temperature), restricted to the likeliest tokens.

    Args:
        temperature: above 0 (may be traced); → 0 is greedy, 1 the model's own distribution, more is bolder.
        top_k: only the k likeliest (Fan et al. 2018, arXiv:1805.04833).
        top_p: only the fewest likeliest that together reach this probability, at least one (nucleus sampling, Holtzman et al.
            2019, arXiv:1904.09751); after `temperature` and `top_k`, as in Hugging Face.

    The draw of row r depends on the key and on r (of `(batch,)` keys: on its own), not on the other rows.
    """
    if isinstance(temperature, (int, float)) and temperature <= 0:
        raise UserError(f"temperature={temperature}: take a number above 0, or pick=greedy for the likeliest token")
    if top_k is not None and top_k < 1:
        raise UserError(f"top_k={top_k}: take at least 1, or None for all")
    if isinstance(top_p, (int, float)) and not 0 < top_p <= 1:
        raise UserError(f"top_p={top_p}: a probability above 0, up to 1")

    def pick(key: Key, logits: Logits) -> Int[Array, "batch"]:
        logits = logits.astype(jnp.float32) / jnp.asarray(temperature, jnp.float32)
        if top_k is not None:
            logits = keep_top_k(logits, top_k)
        if top_p is not None:
            logits = keep_top_p(logits, top_p)
        keys = key if key.ndim else jax.vmap(jax.random.fold_in, (None, 0))(key, row_numbers(len(logits)))
        return jax.vmap(jax.random.categorical)(keys, logits).astype(jnp.int32)

    return pick


def keep_top_k(logits: Logits, k: int) -> Logits:
    """-∞ for all but the k largest (and what ties with the last of them).

    >>> keep_top_k(jnp.array([[1.0, 3.0, 2.0]]), 2).tolist()
    [[-inf, 3.0, 2.0]]
    """
    least = jax.lax.top_k(logits, min(k, logits.shape[-1]))[0][:, -1:]
    return jnp.where(logits < least, -jnp.inf, logits)


def keep_top_p(logits: Logits, p: float | Array) -> Logits:
    """-∞ for tokens that likelier ones alone bring to probability p; the likeliest always stays.

    p = 1 keeps all: of a large vocabulary the sum in float32 reaches 1 too early.

    >>> jnp.exp(keep_top_p(jnp.log(jnp.array([[0.25, 0.5, 0.125, 0.125]])), 0.6)).tolist()
    [[0.25, 0.5, 0.0, 0.0]]
    """
    order = jnp.argsort(-logits, -1)
    probability = jnp.take_along_axis(jax.nn.softmax(logits), order, -1)
    before = jnp.cumsum(probability, -1) - probability
    p = jnp.asarray(p, logits.dtype)
    dropped = (before >= p) & (p < 1) & (jnp.arange(logits.shape[-1]) > 0)[None]
    return jnp.where(jnp.take_along_axis(dropped, jnp.argsort(order, -1), -1), -jnp.inf, logits)
