"""One token after the other, from prompts of different lengths, in one compiled loop."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from jaxdl.decode.pick import Pick, greedy
from jaxdl.types import Key, Params, UserError

Step = Callable[[Params, Any, Int[Array, "batch n"], Int[Array, "batch n"]], tuple[Float[Array, "batch n vocab"], Any]]


class Generated(NamedTuple):
    """What was written behind each prompt; tokens beyond `lengths` (the end token counts) are `pad`."""

    tokens: Int[Array, "batch steps"]
    lengths: Int[Array, "batch"]
    log_probs: Float[Array, "batch"]
    """log p of the tokens under the model itself (before temperature, top-k, top-p), summed."""


def step_of(model: Any) -> Step:
    """The step function of a module with a method `step(cache, tokens, positions)`."""
    return lambda params, cache, tokens, positions: model.apply(
        {"params": params}, cache, tokens, positions, method="step"
    )


def recompute(logits: Callable[[Params, Int[Array, "batch slots"]], Float[Array, "batch slots vocab"]]) -> Step:
    """Return the step function of a causal model without a cache: each step computes all positions anew.

    The cache is the text so far, `jnp.zeros((batch, slots), jnp.int32)`. The model must be causal: the logits of a position
    then do not depend on the slots that are not written yet. A step costs as much as the forward pass of `slots` tokens.

    Args:
        logits: (params, tokens) -> logits of the token after each.
    """

    def step(params: Params, text: Array, tokens: Array, positions: Array) -> tuple[Array, Array]:
        slots = text.shape[1]
        at = jnp.where(positions < 0, slots, positions)  # padding is written nowhere
        text = text.at[jnp.arange(len(text))[:, None], at].set(tokens.astype(text.dtype), mode="drop")
        out = logits(params, text)
        return jnp.take_along_axis(out, jnp.clip(positions, 0)[..., None], 1), text

    return step


def read_prompt(
    step: Step, params: Params, cache: Any, prompt: Int[Array, "batch n"], lengths: Int[Array, "batch"] | None
) -> tuple[Float[Array, "batch vocab"], Any, Int[Array, "batch"]]:
    """Logits after the last token of each prompt, the cache filled with it, and the prompts' lengths; all rows at once."""
    batch, n = prompt.shape
    if not n:
        raise UserError("prompt is empty: give at least one token a row, such as the start token")
    lengths = jnp.full(batch, n, jnp.int32) if lengths is None else lengths.astype(jnp.int32)
    at = jnp.broadcast_to(jnp.arange(n, dtype=jnp.int32)[None], prompt.shape)
    logits, cache = step(params, cache, prompt, jnp.where(at < lengths[:, None], at, -1))
    return jnp.take_along_axis(logits, (lengths - 1)[:, None, None], 1)[:, 0], cache, lengths


def check_room(cache: Any, prompt: int, steps: int) -> None:
    """ValueError where the cache tells its `slots` and they are too few: what finds none would silently be forgotten."""
    own = cache.get("self") if isinstance(cache, Mapping) else None
    for part in jax.tree.leaves(own, is_leaf=lambda x: hasattr(x, "slots")):
        if getattr(part, "slots", prompt + steps) < prompt + steps - 1:  # the last token is never read
            need = f"a prompt of {prompt} and steps={steps} need {prompt + steps - 1}"
            raise UserError(f"the cache has {part.slots} slots, {need}: start it with more, or write less")


def ends(tokens: Array, end: int | Sequence[int] | None) -> Bool[Array, "*shape"]:
    """Which tokens are (one of) the end token(s)."""
    if end is None:
        return jnp.zeros(tokens.shape, bool)
    return jnp.isin(tokens, jnp.asarray(end, tokens.dtype))


def generate(
    step: Step,
    params: Params,
    cache: Any,
    prompt: Int[Array, "batch n"],
    lengths: Int[Array, "batch"] | None = None,
    *,
    steps: int,
    pick: Pick = greedy,
    key: Key | None = None,
    end: int | Sequence[int] | None = None,
    pad: int = 0,
) -> Generated:
    """Continues each prompt by up to `steps` tokens; a row stops behind an `end` token, the loop when all rows have.

    Args:
        step, params, cache: the model (see the package's docstring) and its first cache, with room for n + steps - 1 tokens
            (ValueError where the cache tells that it has less).
        prompt, lengths: padded on the right; row r's prompt is its first `lengths[r]` tokens (None: all).
        pick, key: `greedy`, or `sample(temperature=0.8, top_k=50)`, which needs a key: one, or `(batch,)`, one a row.
        end, pad: the token (or several) that ends a row, and what comes after it.

    Call it inside `jax.jit` (partially applied: `step`, `steps`, `pick` and `end` are static).
    """
    if pick is not greedy and key is None:
        raise UserError("key=None: sampling needs a jax.random.key")
    if steps < 1:
        raise UserError(f"steps={steps}: write at least one token")
    check_room(cache, prompt.shape[1], steps)
    logits, cache, lengths = read_prompt(step, params, cache, prompt, lengths)
    batch, key = len(prompt), jax.random.key(0) if key is None else key
    key_at = jax.vmap(jax.random.fold_in, (0, None)) if key.ndim else jax.random.fold_in

    def write(t: Array, logits: Array, tokens: Array, written: Array, score: Array, done: Array) -> tuple[Array, ...]:
        token = pick(key_at(key, t), logits)
        log_p = jnp.take_along_axis(jax.nn.log_softmax(logits.astype(jnp.float32)), token[:, None], -1)[:, 0]
        tokens = lax.dynamic_update_slice_in_dim(tokens, jnp.where(done, pad, token)[:, None], t, 1)
        return tokens, written + ~done, score + jnp.where(done, 0, log_p), done | ends(token, end)

    def more(state: tuple) -> Array:
        t, _, (*_, done) = state
        return (t < steps) & ~done.all()

    def go_on(state: tuple) -> tuple:
        t, cache, (tokens, written, score, done) = state
        last = lax.dynamic_slice_in_dim(tokens, t - 1, 1, 1)
        logits, cache = step(params, cache, last, jnp.where(done, -1, lengths + t - 1)[:, None])
        return t + 1, cache, write(t, logits[:, 0], tokens, written, score, done)

    empty = jnp.full((batch, steps), pad, jnp.int32)
    nothing = (empty, jnp.zeros(batch, jnp.int32), jnp.zeros(batch), jnp.zeros(batch, bool))
    state = (jnp.int32(1), cache, write(jnp.int32(0), logits, *nothing))
    _, _, (tokens, written, score, _) = lax.while_loop(more, go_on, state)
    return Generated(tokens, written, score)
