"""The order of examples as a function of (seed, step): permutations evaluated where a batch needs them, balanced draws."""

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, UInt32

ROUNDS = 6


def _mix(h: Any) -> Any:
    """The 32-bit finaliser of MurmurHash3 (public domain): every input bit reaches every output bit."""
    h = (h ^ (h >> 16)) * np.uint32(0x85EBCA6B)
    h = (h ^ (h >> 13)) * np.uint32(0xC2B2AE35)
    return h ^ (h >> 16)


def _sides(size: Any) -> tuple[Any, Any]:
    """(a, b) with a·b ≥ size, both near its root: a is rounded up, for an array of sizes to a power of two."""
    if np.ndim(size) == 0:
        a = math.isqrt(size - 1) + 1
        return np.uint32(a), np.uint32(-(-size // a))
    size = size.astype(np.uint32)
    a = np.uint32(1) << sum((size > 4**j).astype(np.uint32) for j in range(16))
    return a, (size + a - np.uint32(1)) // a


def permute(
    seed: Int[Array, ""], epoch: Int[Array, "*n"], position: Int[Array, "*n"], size: int | Int[Array, "*n"]
) -> Int[Array, "*n"]:
    """Where `position` of an epoch points to: for each (seed, epoch) a permutation of 0 … size-1.

    A Feistel network over the digits (L, R) of the position in base (a, b), a·b ≥ size:

        L ← L + F_r(R) mod a,   then   R ← R + F_r(L) mod b,   six rounds

    is a bijection of 0 … a·b-1 whatever F is; a result beyond `size` is sent round again (cycle walking), which keeps it a
    bijection of 0 … size-1. With a ≈ b ≈ √size that is rare. Works on NumPy and on jax arrays with the same result; each
    position may have a size of its own.
    Source: Black and Rogaway 2002, "Ciphers with arbitrary finite domains".

    >>> permute(0, np.zeros(5, int), np.arange(5), 5).tolist()
    [0, 3, 2, 1, 4]
    """
    traced = any(isinstance(value, jax.Array) for value in (seed, epoch, position, size))
    xp = jnp if traced else np
    a, b = _sides(size)
    size = np.uint32(size) if np.ndim(size) == 0 else size.astype(np.uint32)
    shape = np.shape(position)
    position, epoch, seed = (
        xp.broadcast_to(xp.asarray(value).astype(np.uint32), shape) for value in (position, epoch, seed)
    )
    keys = [_mix(_mix(_mix(seed + np.uint32(0x9E3779B9)) + epoch) + np.uint32(r + 1)) for r in range(ROUNDS)]

    def encrypt(value: UInt32[Array, "*n"]) -> UInt32[Array, "*n"]:
        left, right = value // b, value % b
        for r, key in enumerate(keys):
            if r % 2 == 0:
                left = (left + _mix(right + key) % a) % a
            else:
                right = (right + _mix(left + key) % b) % b
        return left * b + right

    def beyond(value: UInt32[Array, "*n"]) -> Any:
        return (value >= size).any()

    def again(value: UInt32[Array, "*n"]) -> UInt32[Array, "*n"]:
        return xp.where(value >= size, encrypt(value), value)

    value = encrypt(position)
    if traced:
        value = jax.lax.while_loop(beyond, again, value)
    else:
        while beyond(value):
            value = again(value)
    return value.astype(np.int32)


def rows_of_step(seed: Any, step: Any, batch: int, size: int) -> Int[Array, "batch"]:
    """The examples of a step: positions step·batch … of one endless sequence of epochs, each a full permutation."""
    return permute(seed, *_places(step, batch, size, isinstance(seed, jax.Array)), size)


def _places(step: Any, batch: int, size: int, traced: bool) -> tuple[Int[Array, "batch"], Int[Array, "batch"]]:
    """Epoch, and position in it, of the rows of a step."""
    xp = jnp if isinstance(step, jax.Array) or traced else np
    # step = q·size + r keeps every product below size·batch: int32 is enough for any number of steps
    q, r = step // size, step % size
    position = r * batch + xp.arange(batch, dtype=np.int32)
    return q * batch + position // size, position % size


def numbers_of_step(seed: Any, step: Any, rows: Int[Array, "batch"], size: int) -> dict[str, Int[Array, "batch"]]:
    """`epoch` of each row of a step, and its `lot`: 32 random bits of (seed, example), the same in every epoch."""
    xp = jnp if any(isinstance(value, jax.Array) for value in (seed, step, rows)) else np
    seeds = xp.broadcast_to(xp.asarray(seed).astype(np.uint32), rows.shape)
    lot = _mix(_mix(seeds ^ np.uint32(0x6C6F7473)) + rows.astype(np.uint32))
    return {"epoch": _places(step, len(rows), size, xp is jnp)[0], "lot": lot}


def subset_of_draw(seed: Any, draw: Any, count: int, size: Any) -> tuple[Int[Array, "*n k"], Int[Array, "*n k"]]:
    """`count` different members of 0 … size-1 for each draw, and how often each of them was drawn before.

    A round is ⌊size/count⌋ draws, in which every member comes once, in the keyed order of that round; but

        rest = size mod count    members, number round·rest, round·rest + 1 … (mod size), are left out,

    others in every round: so all are drawn equally often, and who was left out comes in the next round. How often a member
    rested before is a division, hence everything a function of (seed, draw). `draw` and `size` may be arrays `(*n,)`;
    draws · count must stay below 2³¹.

    >>> [subset_of_draw(0, draw, 3, 5)[0].tolist() for draw in range(3)]
    [[2, 4, 3], [0, 1, 4], [3, 1, 2]]
    """
    xp = jnp if any(isinstance(value, jax.Array) for value in (seed, draw, size)) else np
    shape = (*np.shape(draw), count)
    seed, draw, size = (xp.broadcast_to(xp.asarray(value)[..., None], shape) for value in (seed, draw, size))
    draw, size = draw.astype(np.int32), size.astype(np.int32)
    number = xp.broadcast_to(xp.arange(count, dtype=np.int32), shape)
    rounds = size // count
    rest, turn = size - rounds * count, draw // rounds
    place = permute(seed, turn, draw % rounds * count + number, size - rest)
    member = (turn % size * rest + rest + place) % size
    rested = (turn * rest - member + size - 1) // size
    return member, turn - rested


def balanced_rows(
    seed: Any, draw: Any, each: tuple[int, int], table: Mapping[str, Int[Array, "..."]]
) -> Int[Array, "batch"]:
    """The examples of a class-balanced batch: m different classes, k different examples of each, class by class.

    Which classes, and how often they came before, is one `subset_of_draw`; which examples of a class, by that number, another. A
    class of fewer than k examples repeats them as evenly as it can.

    Args:
        seed, draw: what it is a function of.
        each: (m, k).
        table: `class_rows` `(n,)`, the examples sorted by class, where each class begins in it (`class_first`) and how many
            it has (`class_count`); see `class_table`.
    """
    classes, examples = each
    counts = table["class_count"]
    chosen, before = subset_of_draw(seed, draw, classes, len(counts))
    count, first = counts[chosen], table["class_first"][chosen]
    room = count * -(-examples // count)
    xp = jnp if isinstance(chosen, jax.Array) else np
    own = _mix(chosen.astype(np.uint32) + np.uint32(1)) + xp.asarray(seed).astype(np.uint32)
    which, _ = subset_of_draw(own, before, examples, room)
    wide = [xp.broadcast_to(value[:, None], which.shape) for value in (first, count)]
    return table["class_rows"][wide[0] + which % wide[1]].reshape(-1)


def class_table(labels: Int[np.ndarray, "n"]) -> dict[str, Int[np.ndarray, "..."]]:
    """The examples by class, as `balanced_rows` reads them; classes without examples are left out."""
    _, count = np.unique(labels, return_counts=True)
    first = np.cumsum(count) - count
    rows = {"class_rows": np.argsort(labels, kind="stable"), "class_first": first, "class_count": count}
    return {name: value.astype(np.int32) for name, value in rows.items()}
