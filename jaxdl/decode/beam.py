"""Beam search: the likeliest sequences, not the sequence of likeliest tokens."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from jaxdl.decode.generate import Step, check_room, ends, read_prompt
from jaxdl.types import Params, UserError


class Beams(NamedTuple):
    """The `beams` best continuations of each prompt, best first; tokens beyond `lengths` (the end token counts) are `pad`."""

    tokens: Int[Array, "batch beams steps"]
    lengths: Int[Array, "batch beams"]
    scores: Float[Array, "batch beams"]
    """log p / penalty(length); -∞ where there are fewer sequences than beams."""


class _State(NamedTuple):
    t: Array
    cache: Any
    logits: Array
    """(batch, beams, vocab) of the token at t."""
    alive: tuple[Array, Array]
    """tokens (batch, beams, steps) and log p (batch, beams) of sequences that go on"""
    done: tuple[Array, Array, Array]
    """tokens, lengths and scores of those that ended"""


def length_penalty(alpha: float = 0.6) -> Callable[[Array], Array]:
    """((5 + n) / 6)^α, what log p is divided by; 0: no penalty, which prefers the short.

    Source: Wu et al. 2016, arXiv:1609.08144, eq. 14.
    """
    return lambda n: ((5 + n) / 6) ** jnp.asarray(alpha, jnp.float32)


def beam_search(
    step: Step,
    params: Params,
    cache: Any,
    prompt: Int[Array, "batch n"],
    lengths: Int[Array, "batch"] | None = None,
    *,
    steps: int,
    end: int | Sequence[int],
    beams: int = 4,
    penalty: Callable[[Array], Array] = length_penalty(0.6),
    pad: int = 0,
) -> Beams:
    """Keeps the `beams` likeliest unfinished sequences and the best finished ones by log p / penalty(length).

    A sequence finishes when its end token is among the `beams` likeliest continuations. The search stops when no unfinished one
    can still beat a finished one (log p only falls; `penalty` must not fall with the length), or after `steps` tokens, when
    unfinished ones count as they are. Arguments as in `generate`. One beam is the greedy sequence until that ends; then the next
    likeliest token goes on, and may score better in the end.
    """
    if beams < 1 or steps < 1:
        raise UserError(f"beams={beams}, steps={steps}: take at least 1 of each")
    check_room(cache, prompt.shape[1], steps)
    logits, cache, lengths = read_prompt(step, params, cache, prompt, lengths)
    batch, vocab = logits.shape
    branches = beams * (1 + np.size(end))  # enough that `beams` of them go on
    rows = jnp.arange(batch)[:, None]

    def penalised(score: Array, n: Any) -> Array:
        return score / penalty(jnp.asarray(n, jnp.float32))

    def best(candidates: tuple[Array, ...], by: Array, k: int) -> tuple[tuple[Array, ...], Array]:
        """The k best along axis 1, and their score."""
        by, index = lax.top_k(by, k)
        return tuple(c[rows, index] for c in candidates), by

    def grow(s: _State) -> tuple[_State, Array]:
        """Every unfinished sequence by every token; also from which beam each of the new ones came."""
        tokens, score = s.alive
        total = (score[..., None] + jax.nn.log_softmax(s.logits.astype(jnp.float32))).reshape(batch, -1)
        total, index = lax.top_k(total, min(branches, beams * vocab))
        beam, token = index // vocab, (index % vocab).astype(jnp.int32)
        tokens = jnp.where((jnp.arange(steps) == s.t)[None, None], token[..., None], tokens[rows, beam])
        ended = ends(token, end)
        counts = ended & (jnp.arange(ended.shape[1]) < beams)[None] & (total > -jnp.inf)
        finished = jnp.where(counts, penalised(total, s.t + 1), -jnp.inf)
        merged = (
            jnp.concatenate([s.done[0], tokens], 1),
            jnp.concatenate([s.done[1], jnp.full(token.shape, s.t + 1, jnp.int32)], 1),
        )
        done = best(merged, jnp.concatenate([s.done[2], finished], 1), beams)
        alive, score = best((tokens, beam), jnp.where(ended, -jnp.inf, total), beams)
        state = s._replace(t=s.t + 1, alive=(alive[0], score), done=(*done[0], done[1]))
        return state, alive[1]

    def more(s: _State) -> Array:
        hope = penalised(s.alive[1].max(-1), steps)  # the longer, the less a log p below 0 weighs
        return (s.t < steps) & (hope > s.done[2].min(-1)).any()

    def go_on(s: _State) -> _State:
        flat = lambda x: x.reshape(batch * beams, *x.shape[2:])
        last = flat(lax.dynamic_slice_in_dim(s.alive[0], s.t - 1, 1, 2))
        at = flat(jnp.broadcast_to((lengths + s.t - 1)[:, None, None], (batch, beams, 1)))
        logits, cache = step(params, s.cache, last, at)
        s, origin = grow(s._replace(logits=logits.reshape(batch, beams, vocab), cache=cache))
        source = flat(rows * beams + origin)
        return s._replace(cache=jax.tree.map(lambda x: x[source], s.cache))

    score = jnp.broadcast_to(jnp.where(jnp.arange(beams) == 0, 0.0, -jnp.inf)[None], (batch, beams))
    empty = jnp.full((batch, beams, steps), pad, jnp.int32)
    state = _State(
        t=jnp.int32(0),
        cache=jax.tree.map(lambda x: jnp.repeat(x, beams, 0), cache),
        logits=jnp.repeat(logits[:, None], beams, 1),
        alive=(empty, score),
        done=(empty, jnp.zeros((batch, beams), jnp.int32), jnp.full((batch, beams), -jnp.inf)),
    )
    s = lax.while_loop(more, go_on, grow(state)[0])
    tokens, score = s.alive
    unfinished = jnp.where(s.t >= steps, penalised(score, steps), -jnp.inf)
    merged = (
        jnp.concatenate([s.done[0], tokens], 1),
        jnp.concatenate([s.done[1], jnp.full(score.shape, steps, jnp.int32)], 1),
    )
    (tokens, written), scores = best(merged, jnp.concatenate([s.done[2], unfinished], 1), beams)
    tokens = jnp.where(jnp.arange(steps)[None, None] < written[..., None], tokens, pad)
    return Beams(tokens, written, scores)
