"""Random augmentation of token sequences: `x` `(batch, time)` integers, and `length` `(batch,)` if the batch has it.

Tokens from `length` on, or without a length the trailing tokens equal to `pad`, are padding, which is never used or changed. Each
function returns a pure `(key, batch) -> batch`; `p` is a probability per token and may be traced. Tokens in `keep` (begin, end,
separator) and their order do not change. Since shapes are static, a longer sequence is cut at the end. Labels do not change,
so use a small `p`, about 0.1, which rarely changes the meaning.

Source of swap, insert, delete and synonyms: Wei and Zou 2019 (EDA), arXiv:1901.11196, which changes n = α·L random words;
here each word is drawn with probability p = α.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxdl.augment.rows import row_keys
from jaxdl.counts import check_count, check_numbers
from jaxdl.types import Augment, Batch, Key, UserError

Tokens = Int[Array, "time"]
Free = Bool[Array, "time"]
"""True where a token may be changed: neither padding nor in `keep`."""
Rewriter = Callable[[Key, Int[Array, "batch time"]], Int[Array, "batch time_out"]]
"""A sequence model as a function of keys `(batch,)` and padded tokens, which returns padded tokens."""


def lengths(batch: Batch, pad: int) -> Int[Array, "batch"]:
    """Return the number of tokens of each row: `length`, or the tokens before the trailing padding."""
    if "length" in batch:
        return batch["length"]
    x = batch["x"]
    return jnp.max(jnp.where(x != pad, jnp.arange(1, x.shape[1] + 1)[None], 0), axis=1)


def each_text(
    change: Callable[[Key, Tokens, Free, Int[Array, ""]], tuple[Tokens, Int[Array, ""]]], pad: int, keep: Sequence[int]
) -> Augment:
    """Apply `change(key, tokens, free, length) -> (tokens, length)` to each row of a batch."""
    check_count("pad", pad, 0)

    def one(key: Key, tokens: Tokens, length: Int[Array, ""]) -> tuple[Tokens, Int[Array, ""]]:
        free = (jnp.arange(tokens.size) < length) & ~jnp.isin(tokens, jnp.array(keep, tokens.dtype))
        new, new_length = change(key, tokens, free, length)
        return new.astype(tokens.dtype), new_length

    def augment(key: Key, batch: Batch) -> Batch:
        x, length = batch["x"], lengths(batch, pad)
        new, new_length = jax.vmap(one)(row_keys(key, x.shape[0]), x, length)
        return batch | {"x": new} | ({"length": new_length.astype(length.dtype)} if "length" in batch else {})

    return augment


def swap_tokens(tokens: Tokens, order: Float[Array, "time"], hit: Free, free: Free) -> Tokens:
    """Swap tokens in pairs: the free places, sorted by `order`, are paired, and pairs whose first place has a hit are swapped."""
    place = jnp.argsort(jnp.where(free, order, jnp.inf))
    even = jnp.arange(tokens.size // 2) * 2
    first, second = place[even], place[even + 1]
    happens = free[first] & free[second] & hit[even]
    a, b = jnp.where(happens, second, first), jnp.where(happens, first, second)
    return tokens.at[first].set(tokens[a]).at[second].set(tokens[b])


def delete_tokens(tokens: Tokens, drop: Free, pad: int) -> Tokens:
    """Remove the tokens in `drop` and close the gaps.

    >>> delete_tokens(jnp.array([5, 6, 7, 8, 0]), jnp.array([False, True, False, False, False]), pad=0)
    Array([5, 7, 8, 0, 0], dtype=int32)
    """
    target = jnp.where(drop, tokens.size, jnp.cumsum(~drop) - 1)
    return jnp.full_like(tokens, pad).at[target].set(tokens, mode="drop")


def insert_tokens(tokens: Tokens, after: Free, new: Tokens) -> Tokens:
    """Insert `new[i]` after token i where `after[i]`; tokens beyond the end are lost.

    >>> insert_tokens(jnp.array([5, 6, 0, 0]), jnp.array([True, False, False, False]), jnp.array([9, 9, 9, 9]))
    Array([5, 9, 6, 0], dtype=int32)
    """
    target = jnp.arange(tokens.size) + jnp.cumsum(after) - after
    out = jnp.zeros_like(tokens).at[target].set(tokens, mode="drop")
    return out.at[jnp.where(after, target + 1, tokens.size)].set(new, mode="drop")


def random_synonyms(key: Key, tokens: Tokens, table: Int[Array, "vocab most"]) -> Tokens:
    """Return a random entry ≥ 0 of each token's row of `table`, or -1 for a token without synonyms."""
    rows = jnp.asarray(table)[tokens]
    best = jnp.argmax(jnp.where(rows >= 0, jax.random.uniform(key, rows.shape), -1.0), axis=-1)
    return jnp.take_along_axis(rows, best[:, None], axis=-1)[:, 0]


def synonym_table(synonyms: Mapping[int, Iterable[int]], vocab: int) -> Int[np.ndarray, "vocab most"]:
    """Return the table for `synonyms` and `insert`: row t holds the tokens that may replace t, padded with -1.

    With characters as tokens and the neighbours of each key as synonyms, it simulates typing errors.

    >>> synonym_table({1: [2, 3], 2: [1]}, vocab=4).tolist()
    [[-1, -1], [2, 3], [1, -1], [-1, -1]]
    """
    check_count("vocab", vocab)
    rows = {token: list(others) for token, others in synonyms.items()}
    table = np.full((vocab, max([1, *map(len, rows.values())])), -1, np.int32)
    for token, others in rows.items():
        table[token, : len(others)] = others
    return table


def mask(p: float = 0.15, *, mask_id: int, pad: int = 0, keep: Sequence[int] = ()) -> Augment:
    """Replace each token by `mask_id` with probability `p`."""
    check_count("mask_id", mask_id, 0)
    check_numbers(0, 1, p=p)

    def change(key: Key, tokens: Tokens, free: Free, length: Int[Array, ""]) -> tuple[Tokens, Array]:
        return jnp.where(free & jax.random.bernoulli(key, p, tokens.shape), mask_id, tokens), length

    return each_text(change, pad, keep)


def cutoff(share: float = 0.1, *, mask_id: int, pad: int = 0, keep: Sequence[int] = ()) -> Augment:
    """Span cutoff: replace consecutive tokens, a `share` of the length, at a random place by `mask_id`.

    Source: Shen et al. 2020, arXiv:2009.13818.
    """
    check_count("mask_id", mask_id, 0)
    check_numbers(0, 1, share=share)

    def change(key: Key, tokens: Tokens, free: Free, length: Int[Array, ""]) -> tuple[Tokens, Array]:
        span = jnp.round(share * length)
        start = jnp.floor(jax.random.uniform(key) * (length - span + 1))
        position = jnp.arange(tokens.size)
        return jnp.where(free & (position >= start) & (position < start + span), mask_id, tokens), length

    return each_text(change, pad, keep)


def synonyms(table: Int[Array, "vocab most"], p: float = 0.1, *, pad: int = 0, keep: Sequence[int] = ()) -> Augment:
    """Replace each token that has synonyms, with probability `p`, by one of its row of `table` (`synonym_table`)."""
    check_numbers(0, 1, p=p)

    def change(key: Key, tokens: Tokens, free: Free, length: Int[Array, ""]) -> tuple[Tokens, Array]:
        choose, draw = jax.random.split(key)
        new = random_synonyms(draw, tokens, table)
        return jnp.where(free & (new >= 0) & jax.random.bernoulli(choose, p, tokens.shape), new, tokens), length

    return each_text(change, pad, keep)


def swap(p: float = 0.1, *, pad: int = 0, keep: Sequence[int] = ()) -> Augment:
    """Swap tokens with random other tokens of the sequence; `p` is the expected share of swapped tokens."""
    check_numbers(0, 1, p=p)

    def change(key: Key, tokens: Tokens, free: Free, length: Int[Array, ""]) -> tuple[Tokens, Array]:
        order, choose = jax.random.split(key)
        hit = jax.random.bernoulli(choose, p, tokens.shape)
        return swap_tokens(tokens, jax.random.uniform(order, tokens.shape), hit, free), length

    return each_text(change, pad, keep)


def delete(p: float = 0.1, *, pad: int = 0, keep: Sequence[int] = ()) -> Augment:
    """Delete each token with probability `p`; if none would be left, a random one is kept."""
    check_numbers(0, 1, p=p)

    def change(key: Key, tokens: Tokens, free: Free, length: Int[Array, ""]) -> tuple[Tokens, Array]:
        draw, spare = jax.random.split(key)
        drop = free & jax.random.bernoulli(draw, p, tokens.shape)
        spared = jnp.argmax(jnp.where(drop, jax.random.uniform(spare, tokens.shape), -1.0))
        drop = drop & ((drop.sum() < length) | (jnp.arange(tokens.size) != spared))
        return delete_tokens(tokens, drop, pad), length - drop.sum()

    return each_text(change, pad, keep)


def insert(
    p: float = 0.1,
    *,
    table: Int[Array, "vocab most"] | None = None,
    vocab: tuple[int, int] | None = None,
    pad: int = 0,
    keep: Sequence[int] = (),
) -> Augment:
    """Insert, after each token with probability `p`, a synonym (from `table`) of a random token of the sequence.

    With `vocab` = (low, high) instead of a table, insert a random token in [low, high). Tokens beyond the end are lost.
    """
    check_numbers(0, 1, p=p)
    if (table is None) == (vocab is None):
        raise UserError(f"insert needs either table or vocab, got {'none' if table is None else 'both'}")

    def change(key: Key, tokens: Tokens, free: Free, length: Int[Array, ""]) -> tuple[Tokens, Array]:
        choose, draw, other = jax.random.split(key, 3)
        if table is None:
            low, high = vocab or (0, 0)
            new = jax.random.randint(draw, tokens.shape, low, high)
        else:
            random_place = jnp.argmax(
                jnp.where(free[None], jax.random.uniform(other, (tokens.size,) * 2), -1.0), axis=1
            )
            new = random_synonyms(draw, tokens[random_place], table)
        after = free & (new >= 0) & jax.random.bernoulli(choose, p, tokens.shape)
        return insert_tokens(tokens, after, new), jnp.minimum(length + after.sum(), tokens.size)

    return each_text(change, pad, keep)


def paraphrase(model: Rewriter, p: float = 0.5, *, pad: int = 0) -> Augment:
    """Replace each row with probability `p` by the result of a paraphrasing model, `model(keys, x) -> x`.

    `keys` has one key per row, for sampling. The result is padded to the time of x, or cut to it with its last token (the end of
    the sequence) in the last place; `length` is changed accordingly.
    """
    check_numbers(0, 1, p=p)

    def augment(key: Key, batch: Batch) -> Batch:
        choose, draw = jax.random.split(key)
        x = batch["x"]
        rows, time = x.shape
        new = model(row_keys(draw, rows), x).astype(x.dtype)
        new = jnp.pad(new, ((0, 0), (0, max(0, time - new.shape[1]))), constant_values=pad)
        size = lengths({"x": new}, pad)
        last = jnp.take_along_axis(new, jnp.maximum(size - 1, 0)[:, None], 1)
        new = jnp.where((size > time)[:, None] & (jnp.arange(time) == time - 1)[None], last, new[:, :time])
        hit = jax.vmap(lambda k: jax.random.bernoulli(k, p))(row_keys(choose, rows))
        changed = batch | {"x": jnp.where(hit[:, None], new, x)}
        if "length" in batch:
            new_length = lengths({"x": new}, pad).astype(batch["length"].dtype)
            changed |= {"length": jnp.where(hit, new_length, batch["length"])}
        return changed

    return augment


def back_translate(there: Rewriter, back: Rewriter, p: float = 0.5, *, pad: int = 0) -> Augment:
    """Back-translation: translate to another language and back, `back(there(x))`.

    Both models take and return padded tokens of their vocabularies. Source: Sennrich et al. 2015, arXiv:1511.06709.
    """

    def model(keys: Key, x: Int[Array, "batch time"]) -> Int[Array, "batch time_out"]:
        halves = jax.vmap(jax.random.split)(keys)
        return back(halves[:, 1], there(halves[:, 0], x))

    return paraphrase(model, p, pad=pad)


def bpe_dropout(
    symbols: Sequence[str], ranks: Mapping[tuple[str, str], int], *, p: float = 0.1, random: np.random.Generator
) -> list[str]:
    """BPE-dropout: byte-pair encoding of a word, on the host, where each merge is skipped with probability `p` at every step.

    `ranks` are the ranks of the merges, the lowest of which is applied first. p = 0 is BPE, p = 1 returns the symbols.
    Source: Provilkov et al. 2019, arXiv:1910.13267, algorithm 1.

    >>> bpe_dropout("lower", {("l", "o"): 0, ("lo", "w"): 1, ("e", "r"): 2}, p=0.0, random=np.random.default_rng(0))
    ['low', 'er']
    """
    check_numbers(0, 1, p=p)
    symbols = list(symbols)
    while True:
        merges = [
            (ranks[pair], i) for i, pair in enumerate(pairwise(symbols)) if pair in ranks and random.random() >= p
        ]
        if not merges:
            return symbols
        i = min(merges)[1]
        symbols[i : i + 2] = [symbols[i] + symbols[i + 1]]
