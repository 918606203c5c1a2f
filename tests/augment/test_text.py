"""Edits of token sequences against the same edits of Python lists, their rates, and byte-pair dropout."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.augment import text
from tests.programs import one_program

KEY = jax.random.key(0)
BEGIN, END, MASK = 1, 2, 3
RANDOM = np.random.default_rng(0)
ROWS, TIME = 200, 24
LENGTH = RANDOM.integers(8, TIME + 1, ROWS).astype(np.int32)
X = RANDOM.integers(10, 50, (ROWS, TIME)).astype(np.int32)
X[:, 0] = BEGIN
X[np.arange(ROWS), LENGTH - 1] = END
X = np.where(np.arange(TIME) < LENGTH[:, None], X, 0).astype(np.int32)
BATCH = {"x": X, "y": np.zeros(ROWS, np.int32), "length": LENGTH}
WORDS = int((LENGTH - 2).sum())
TABLE = text.synonym_table({t: [t + 100, t + 200] for t in range(10, 50) if t % 2}, vocab=50)
SAFE = {"keep": (BEGIN, END)}


def run(augment, batch=BATCH):
    out = one_program(augment, KEY, batch)
    return out["x"], out["length"]


def is_subsequence(short, long):
    rest = iter(long)
    return all(token in rest for token in short)


def near(share, p, n=WORDS):
    assert abs(share - p) < 4 * np.sqrt(p * (1 - p) / n)


EDITS = {
    "mask": lambda p: text.mask(p, mask_id=MASK, **SAFE),
    "cutoff": lambda p: text.cutoff(p, mask_id=MASK, **SAFE),
    "synonyms": lambda p: text.synonyms(TABLE, p, **SAFE),
    "swap": lambda p: text.swap(p, **SAFE),
    "delete": lambda p: text.delete(p, **SAFE),
    "insert": lambda p: text.insert(p, vocab=(10, 50), **SAFE),
}
SHARES = (0.4, 0.15, 0.5, 0.3, 1.0)


@cache
def edited(name):
    """p -> tokens and lengths of an edit at each of SHARES, in one program."""
    out = one_program(lambda p, batch: jax.lax.map(lambda p: EDITS[name](p)(KEY, batch), p), np.float32(SHARES), BATCH)
    return {p: (x, length) for p, x, length in zip(SHARES, out["x"], out["length"], strict=True)}


@pytest.mark.parametrize("name", EDITS)
def test_padding_and_kept_tokens(name):
    """Padding stays behind the length, begin and end stay where they belong."""
    x, length = edited(name)[0.4]
    for row, n in zip(x, length, strict=True):
        assert (row[:n] != 0).all()
        assert (row[n:] == 0).all()
        assert row[0] == BEGIN
        assert row[n - 1] == END or n == TIME  # an insertion may push it out


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * (n != "delete")) for n in EDITS])
def test_a_length_that_is_not_given_is_counted_and_not_invented(name):
    counted = one_program(lambda p, batch: EDITS[name](p)(KEY, batch), np.float32(0.4), {"x": X})
    np.testing.assert_array_equal(counted["x"], edited(name)[0.4][0])
    assert set(counted) == {"x"}


@pytest.mark.parametrize("p", [0.15, 0.5])
def test_mask_rate(p):
    x, length = edited("mask")[p]
    near((x == MASK).sum() / WORDS, p)
    np.testing.assert_array_equal(np.where(x == MASK, X, x), X)
    np.testing.assert_array_equal(length, LENGTH)


def test_cutoff_is_one_run():
    x, _ = run(text.cutoff(0.25, mask_id=MASK))
    for row, n in zip(x, LENGTH, strict=True):
        places = np.flatnonzero(row == MASK)
        assert len(places) == np.round(0.25 * n)
        assert (np.diff(places) == 1).all()


def test_synonyms_come_from_the_table():
    x, _ = run(text.synonyms(TABLE, 0.5))
    changed = x != X
    assert ((x[changed] - X[changed] == 100) | (x[changed] - X[changed] == 200)).all()
    odd = (X % 2 == 1) & (X >= 10)
    near(changed[odd].mean(), 0.5, odd.sum())
    assert not changed[~odd].any()
    near((x[changed] >= 200).mean(), ((X[changed] + 200) >= 200).mean() * 0.5 + 0.0, changed.sum())


def test_swap_moves_a_share():
    x, _ = run(text.swap(0.5))
    np.testing.assert_array_equal(np.sort(x, 1), np.sort(X, 1))
    places = np.where(np.arange(TIME) < LENGTH[:, None], np.arange(TIME) + 100, 0).astype(np.int32)
    moved, _ = run(text.swap(0.5), BATCH | {"x": places})
    happened = moved != places
    pairs = (LENGTH // 2).sum()
    near(happened.sum() / (2 * pairs), 0.5, pairs)
    back = np.take_along_axis(moved, np.where(moved > 0, moved - 100, np.arange(TIME)), 1)
    np.testing.assert_array_equal(back, places)  # exchanged twice is back: pairs, not longer cycles


def test_delete():
    x, length = edited("delete")[0.3]
    assert all(is_subsequence(new[:m], old[:n]) for new, m, old, n in zip(x, length, X, LENGTH, strict=True))
    near((LENGTH - length).sum() / WORDS, 0.3)
    x, length = run(text.delete(1.0))
    assert (length == 1).all()
    assert all(row[0] in old for row, old in zip(x, X, strict=True))
    assert (
        len({int(np.flatnonzero(old == row[0])[0]) for row, old in zip(x, X, strict=True)}) > 5
    )  # a random one is spared


@pytest.mark.parametrize("source", [{"vocab": (300, 400)}, pytest.param({"table": TABLE}, marks=pytest.mark.slow)])
def test_insert(source):
    room = {"x": np.pad(X, ((0, 0), (0, TIME))), "length": LENGTH}
    x, length = run(text.insert(0.4, **source, **SAFE), room)
    new = x >= 100
    for row, n, fresh, old, m in zip(x, length, new, X, LENGTH, strict=True):
        np.testing.assert_array_equal(row[:n][~fresh[:n]], old[:m])
        if "table" in source:  # each is a synonym of a token of its own sequence
            assert set((row[fresh] % 100).tolist()) <= set(old.tolist())
    np.testing.assert_array_equal(length - LENGTH, new.sum(1))
    share = (
        1.0 if "vocab" in source else np.mean([(old[1 : n - 1] % 2).mean() for old, n in zip(X, LENGTH, strict=True)])
    )
    assert abs(new.sum() / WORDS - 0.4 * share) < 0.05


def test_insertions_beyond_the_end_are_cut():
    cut, length = edited("insert")[1.0]
    assert (length == np.minimum(TIME, LENGTH + (LENGTH - 2))).all()  # behind every token but the first and the last
    assert cut.shape == X.shape


def test_back_translation_there_and_back():
    """Through a toy language (letters shifted, order reversed within the length) and back: the same sentence."""

    def flip(keys, x):
        n = (x > 0).sum(1, keepdims=True)
        place = (n - 1 - jnp.arange(x.shape[1])[None]) % x.shape[1]
        return jnp.where(jnp.arange(x.shape[1])[None] < n, jnp.take_along_axis(x, place, 1), 0)

    def there(keys, x):
        return jnp.where(flip(keys, x) > 0, flip(keys, x) + 1000, 0)

    def back(keys, x):
        return flip(keys, jnp.where(x > 0, x - 1000, 0))

    assert (one_program(lambda x: there(None, x), X)[:, 0] == END + 1000).all()
    x, length = run(text.back_translate(there, back, 1.0))
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(length, LENGTH)


@pytest.mark.parametrize("time_out", [5, *(pytest.param(n, marks=pytest.mark.slow) for n in (TIME, TIME + 9))])
def test_paraphrase_fits_the_answer(time_out):
    """An answer of another time is padded or cut, the length follows, and a share p of rows is rewritten."""

    def model(keys, x):
        return jax.vmap(lambda k: jax.random.randint(k, (time_out,), 60, 70))(keys)

    x, length = run(text.paraphrase(model, 0.5))
    rewritten = x[:, 0] >= 60
    near(rewritten.mean(), 0.5, ROWS)
    np.testing.assert_array_equal(x[~rewritten], X[~rewritten])
    np.testing.assert_array_equal(length, np.where(rewritten, min(time_out, TIME), LENGTH))
    assert len(np.unique(x[rewritten], axis=0)) == rewritten.sum()  # each row has its own key


@pytest.mark.parametrize("time", [4, *(pytest.param(n, marks=pytest.mark.slow) for n in (6, 8))])
def test_a_paraphrase_that_is_cut_still_ends(time):
    """The end token (2 here) stays last; an answer that has none is cut anywhere."""
    answers = np.array([[5, 6, 7, 8, 9, END], [5, 6, END, 0, 0, 0], [5, 6, 7, 8, 9, 9]])
    batch = {"x": np.ones((3, time), np.int32), "length": np.full(3, time, np.int32)}
    new = one_program(text.paraphrase(lambda keys, x: answers, 1.0), KEY, batch)
    wanted = {
        4: [[5, 6, 7, END], [5, 6, END, 0], [5, 6, 7, 9]],
        6: answers.tolist(),
        8: [[*row, 0, 0] for row in answers.tolist()],
    }
    assert new["x"].tolist() == wanted[time]
    assert new["length"].tolist() == [min(time, 6), 3, min(time, 6)]


MERGES = [("u", "n"), ("r", "e"), ("l", "a"), ("t", "e"), ("re", "la"), ("rela", "te"), ("e", "d"), ("un", "rela")]
RANKS = {pair: rank for rank, pair in enumerate(MERGES)}


def test_bpe_dropout():
    """p = 0 is byte-pair encoding, p = 1 the letters; a word of one merge is merged with probability 1 - p."""
    random = np.random.default_rng(0)
    assert text.bpe_dropout("unrelated", RANKS, p=0.0, random=random) == ["un", "relate", "d"]
    assert text.bpe_dropout("unrelated", RANKS, p=1.0, random=random) == list("unrelated")
    merged = np.mean([len(text.bpe_dropout("un", RANKS, p=0.3, random=random)) == 1 for _ in range(2000)])
    near(merged, 0.7, 2000)
    pieces = {tuple(text.bpe_dropout("unrelated", RANKS, p=0.3, random=random)) for _ in range(200)}
    assert len(pieces) > 10
    assert all("".join(piece) == "unrelated" for piece in pieces)
