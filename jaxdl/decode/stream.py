"""Writing while it is read: the tokens of `generate`, a few at a time, beyond the model's context where it has an end."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Int

from jaxdl.decode.generate import Step, ends, read_prompt
from jaxdl.decode.pick import Pick, greedy
from jaxdl.types import Array, Key, Params, UserError


def stream(
    step: Step,
    params: Params,
    start: Callable[[int, int], Any],
    prompt: Int[np.ndarray, "batch n"],
    *,
    steps: int,
    pick: Pick = greedy,
    key: Key | None = None,
    end: int | Sequence[int] | None = None,
    limit: int | None = None,
    chunk: int = 16,
) -> Iterator[Int[np.ndarray, "batch some"]]:
    """Continues prompts of one length, `chunk` tokens at a time, until `steps` are written or every row has ended.

    The tokens are those of `generate`; a row goes on behind its end token, which the reader ignores.

    Args:
        step, params, prompt, steps, pick, key, end: as in `generate`.
        start: (batch, slots) -> the first cache, such as a model's `start`.
        limit: how many positions the model knows (None: any number). Where a text gets longer, the model reads the last half
            of them anew, from position 0, and goes on.
        chunk: tokens between two looks; each chunk is one compiled loop.
    """
    if pick is not greedy and key is None:
        raise UserError("key=None: sampling needs a jax.random.key")
    if steps < 1:
        raise UserError(f"steps={steps}: write at least one token")
    if limit is not None and limit < 2:
        raise UserError(f"limit={limit}: a model that writes needs at least 2 positions")
    key = jax.random.key(0) if key is None else key
    key_at = partial(jax.vmap(jax.random.fold_in, (0, None)) if key.ndim else jax.random.fold_in, key)
    written = np.asarray(prompt, np.int32)
    batch = len(written)
    slots = written.shape[1] + steps + chunk if limit is None else limit
    done, left, t = np.zeros(batch, bool), steps, 0

    @jax.jit
    def begin(params: Params, prompt: Array, t: Array) -> tuple[Array, Any]:
        logits, cache, _ = read_prompt(step, params, start(batch, slots), prompt, None)
        return pick(key_at(t), logits), cache

    @partial(jax.jit, donate_argnums=1)
    def go_on(params: Params, cache: Any, token: Array, at: Array, t: Array) -> tuple[Array, Any]:
        def one(carry: tuple[Any, Array], i: Array) -> tuple[tuple[Any, Array], Array]:
            cache, token = carry
            logits, cache = step(params, cache, token[:, None], jnp.broadcast_to(at + i, (batch, 1)))
            token = pick(key_at(t + i), logits[:, 0])
            return (cache, token), token

        (cache, _), tokens = lax.scan(one, (cache, token), jnp.arange(chunk))
        return tokens.T, cache

    while left and not done.all():
        if limit is not None and written.shape[1] >= limit:
            written = written[:, -(limit // 2) :]
        token, cache = begin(params, jnp.asarray(written), jnp.int32(t))
        new, at = np.asarray(token)[:, None], written.shape[1]
        while True:
            new = new[:, : min(left, slots - at if limit is not None else left)]
            written = np.concatenate([written, new], 1)
            yield new
            done |= np.asarray(ends(jnp.asarray(new), end)).any(1)
            left, t, at = left - new.shape[1], t + new.shape[1], at + new.shape[1]
            if not left or done.all() or at >= slots:
                break
            tokens, cache = go_on(params, cache, jnp.asarray(new[:, -1]), jnp.int32(at - 1), jnp.int32(t))
            new = np.asarray(tokens)
