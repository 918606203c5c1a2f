"""From CTC's probabilities at every frame to a transcript: the best path, or a search over prefixes.

A path says a symbol or the blank at every frame; it means what is left when repeats merge and blanks go. Symbol 0 is the blank,
and fills up transcripts.
"""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from jaxdl.types import UserError

NONE = -1e30
"""log 0, but finite."""


def collapse(
    path: Int[Array, "batch time"], lengths: Int[Array, "batch"], *, longest: int | None = None
) -> Int[Array, "batch longest"]:
    """What a path means: merge repeats, then drop blanks. `longest` symbols are kept (default: all).

    >>> collapse(jnp.array([[1, 1, 0, 1, 2, 2]]), jnp.array([6])).tolist()
    [[1, 1, 2, 0, 0, 0]]
    """
    longest = path.shape[1] if longest is None else longest
    before = jnp.pad(path[:, :-1], ((0, 0), (1, 0)))
    said = (path != before) & (path != 0) & (jnp.arange(path.shape[1])[None] < lengths[:, None])
    place = jnp.where(said, jnp.cumsum(said, 1) - 1, longest)
    rows = jnp.arange(len(path))[:, None]
    return jnp.zeros((len(path), longest), path.dtype).at[rows, place].set(path, mode="drop")


def greedy_path(
    logits: Float[Array, "batch time classes"], lengths: Int[Array, "batch"], *, longest: int | None = None
) -> Int[Array, "batch longest"]:
    """The transcript of the likeliest path: the likeliest symbol at every frame, collapsed."""
    return collapse(jnp.argmax(logits, -1).astype(jnp.int32), lengths, longest=longest)


def prefix_beam(
    logits: Float[Array, "batch time classes"],
    lengths: Int[Array, "batch"],
    *,
    width: int = 8,
    longest: int | None = None,
) -> tuple[Int[Array, "batch width longest"], Float[Array, "batch width"]]:
    """The likeliest transcripts, each with the probability of all its paths that the search kept, best first.

        b'(l)     = (b(l) + n(l))·p(blank)
        n'(l)     = n(l)·p(last of l) + [l = k·c] (k ends in c ? b(k) : b(k) + n(k))·p(c)

    b and n are the probabilities of the paths so far that mean l and end in the blank, or do not; the `width` likeliest prefixes
    go on. The best path can mean a transcript that is not the likeliest: many paths may mean another.
    Source: Hannun et al. 2014, arXiv:1408.2873, algorithm 1, without a language model.

    At p(blank) = 0.6 in two frames the best path says nothing, 0.36; but `aa`, `_a` and `a_` mean a, 0.64 together:

    >>> found, score = prefix_beam(jnp.log(jnp.array([[[0.6, 0.4], [0.6, 0.4]]])), jnp.array([2]), width=2)
    >>> found[0].tolist(), [f"{p:.2f}" for p in jnp.exp(score[0])]
    ([[1, 0], [0, 0]], ['0.64', '0.36'])
    """
    longest = max(logits.shape[1], 1) if longest is None else longest
    if longest < 1:
        raise UserError(f"longest={longest}: leave room for one symbol at least")
    search = lambda logits, length: _search(jax.nn.log_softmax(logits.astype(jnp.float32)), length, width, longest)
    return jax.vmap(search)(logits, lengths)


def _search(log_p: Array, length: Array, width: int, longest: int) -> tuple[Array, Array]:
    """One sequence: state (prefixes (width, longest), their sizes, b, n)."""
    classes = log_p.shape[1]
    symbols = jnp.arange(classes)

    def step(state, given):
        prefix, size, blank, other = state
        p, alive = given
        both = jnp.logaddexp(blank, other)
        last = jnp.where(size > 0, prefix[jnp.arange(width), jnp.maximum(size - 1, 0)], 0)
        # the same prefix: by a blank, or by its last symbol once more
        stay_blank, stay_other = both + p[0], other + jnp.where(size > 0, p[last], NONE)
        # one symbol more: a repeated one only after a blank
        repeated = symbols[None] == last[:, None]
        longer = jnp.where(repeated, blank[:, None], both[:, None]) + p[None]
        longer = jnp.where((symbols[None] > 0) & (size[:, None] < longest), longer, NONE)
        # prefix i with one symbol more may be prefix j of the beam: then its paths belong to j
        same = (prefix[:, None] == prefix[None]) | (jnp.arange(longest)[None, None] >= size[:, None, None])
        used = both > NONE / 2  # places of the beam that hold nothing yet get nothing
        parent = same.all(-1) & (size[None] == size[:, None] + 1) & used[None]  # i, j
        gift = jnp.where(parent, longer[:, last], NONE)
        stay_other = jnp.logaddexp(stay_other, jax.nn.logsumexp(gift, 0))
        taken = (parent[..., None] & (symbols[None, None] == last[None, :, None])).any(1)
        longer = jnp.where(taken, NONE, longer)
        score = jnp.concatenate([jnp.logaddexp(stay_blank, stay_other), longer.reshape(-1)])
        best = lax.top_k(score, width)[1]
        grows = best >= width
        source = jnp.where(grows, (best - width) // classes, best)
        symbol = (best - width) % classes
        at = jnp.where(grows, size[source], longest)
        new = (
            prefix[source].at[jnp.arange(width), at].set(symbol.astype(prefix.dtype), mode="drop"),
            size[source] + grows,
            jnp.where(grows, NONE, stay_blank[source]),
            jnp.where(grows, score[best], stay_other[source]),
        )
        new = jax.tree.map(lambda a, b: jnp.maximum(a, NONE) if a.dtype == jnp.float32 else a, new, state)
        return jax.tree.map(lambda a, b: jnp.where(alive, a, b), new, state), None

    start = (
        jnp.zeros((width, longest), jnp.int32),
        jnp.zeros(width, jnp.int32),
        jnp.full(width, NONE).at[0].set(0.0),
        jnp.full(width, NONE),
    )
    (prefix, _, blank, other), _ = lax.scan(step, start, (log_p, jnp.arange(len(log_p)) < length))
    score = jnp.logaddexp(blank, other)
    order = jnp.argsort(-score)
    return prefix[order], score[order]
