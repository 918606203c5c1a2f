"""Buckets: an epoch reads every pair once in few shapes, and a draw does not depend on how one came to it."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.data.text.buckets import Buckets, edges_of, token_lengths
from tests.programs import one_program


def data(n=90, batch=4, buckets=3, window=2, **more):
    """Row i holds i + 1, as often as it is long."""
    rng = np.random.default_rng(0)
    rows = {
        key: np.array([[i + 1] * k + [0] * (12 - k) for i, k in enumerate(rng.integers(1, 12, n))], np.uint16)
        for key in ("x", "y")
    }
    return Buckets({"train": rows, "validation": rows}, batch, buckets, window, **more)


def draws(data, seed, first, last):
    at = first
    while at < last:
        n = min(data.span(at), last - at)
        source = data.source(at, at + n, seed)
        for draw in range(at, at + n):
            yield draw, data.train_batch(source, seed, draw)
        at += n


def test_edges_pad_least():
    rng = np.random.default_rng(0)
    for _ in range(60):
        lengths, k = rng.integers(1, 9, rng.integers(1, 20)), int(rng.integers(1, 5))
        cost = lambda edges, lengths=lengths: sum(min(e for e in edges if e >= v) for v in lengths)
        *inner, last = sorted(set(lengths.tolist()))
        best = min(cost((*c, last)) for r in range(min(k, len(inner) + 1)) for c in itertools.combinations(inner, r))
        edges = edges_of(lengths, k)
        assert cost(edges) == best
        assert len(edges) <= k
        assert edges == sorted(set(edges))


@pytest.mark.parametrize("n", [4, 7, 23, 90])
@pytest.mark.parametrize("seed", [0, 5])
def test_an_epoch_reads_every_pair_once_whole(n, seed):
    d = data(n)
    for epoch in (0, 3):
        seen = []
        for _, batch in draws(d, seed, epoch * d.steps_per_epoch, (epoch + 1) * d.steps_per_epoch):
            real = batch["mask"] > 0
            assert real.any()
            assert (batch["x"][~real] == 0).all()
            for side in ("x", "y"):
                of = batch["x"][real, 0].astype(int) - 1
                stored = d.splits["train"][side][of]
                np.testing.assert_array_equal(token_lengths(batch[side][real], 0), token_lengths(stored, 0))
            seen += of.tolist()
        assert sorted(seen) == list(range(n))


def test_few_shapes_and_little_padding():
    d = data(300, batch=8, buckets=3)
    shapes = {batch["x"].shape + batch["y"].shape for _, batch in draws(d, 0, 0, d.steps_per_epoch)}
    assert 1 < len(shapes) <= 3
    assert all(shape[0] == 8 for shape in shapes)
    area = lambda d: sum(batch["x"].size + batch["y"].size for _, batch in draws(d, 0, 0, d.steps_per_epoch))
    assert area(d) < 0.85 * area(data(300, batch=8, buckets=1))


def test_a_draw_is_a_function_of_seed_and_number():
    d, again = data(), data()
    whole = dict(draws(d, 1, 0, 2 * d.steps_per_epoch))
    for draw in (0, 3, d.steps_per_epoch - 1, d.steps_per_epoch, d.steps_per_epoch + 4):
        alone = dict(draws(again, 1, draw, draw + 1))[draw]
        for key in ("x", "y", "mask"):
            np.testing.assert_array_equal(alone[key], whole[draw][key])
    other = dict(draws(d, 2, 0, 4))
    assert any((other[i]["x"].shape != whole[i]["x"].shape) or (other[i]["x"] != whole[i]["x"]).any() for i in other)
    n = d.steps_per_epoch
    first, second = ([b["x"][:, 0].tolist() for _, b in draws(d, 1, e * n, (e + 1) * n)] for e in (0, 1))
    assert first != second


def test_a_source_has_one_shape_a_bucket_and_does_not_pass_its_window():
    d = data(300, batch=8, buckets=3, window=4)
    shapes = {d.source(at, at + 1, 0)["x"].shape for at in range(d.steps_per_epoch)}
    assert len(shapes) <= 3
    assert {shape[0] for shape in shapes} == {4}
    with pytest.raises(ValueError, match="pass the end of a window"):
        d.source(0, 5, 0)


def test_evaluation_is_in_the_stored_order():
    d = data(23, batch=4)
    ((count, source),) = d.eval_sources("validation")
    assert count == 6
    batches = one_program(lambda source: jax.lax.map(lambda i: d.eval_batch(source, i), jnp.arange(count)), source)
    rows = batches["x"][batches["mask"] > 0, 0]
    assert rows.tolist() == list(range(1, 24))
    assert batches["x"].shape[2] == source["x"].shape[1]


def test_says_what_is_wrong():
    with pytest.raises(ValueError, match="batch = 5 must lie between 1 and 4"):
        data(4, batch=5)
    with pytest.raises(ValueError, match="window = 0 must be 1 or more"):
        data(window=0)
    with pytest.raises(ValueError, match="split = 'test' is not one of train, validation"):
        data().size("test")
