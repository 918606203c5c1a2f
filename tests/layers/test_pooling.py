"""Pools against PyTorch, value and gradient, and against XLA's own windows."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.layers import pooling
from jaxdl.types import UserError
from tests.programs import one_program

# window, strides, padding, dilation, ceil_mode, size
ROWS = [
    (2, None, 0, 1, False, (8, 6)),
    (2, None, 0, 1, False, (7, 9)),
    (3, 2, 1, 1, False, (8, 7)),
    (3, 2, 0, 1, True, (8, 7)),
    (3, 1, 1, 2, False, (9, 8)),
    ((3, 2), (2, 3), (1, 0), 1, True, (10, 9)),
    (2, 4, 0, 1, False, (10, 10)),
    (3, 2, 1, 1, False, (11,)),
    (2, 2, 0, 1, True, (5, 4, 3)),
]


COUNTED = {"padding counted": True, "not counted": False}


def images(size, seed=0):
    """Small integers, so that there are many ties."""
    return np.random.default_rng(seed).integers(0, 4, (2, *size, 3)).astype(np.float32)


def first(a):
    return np.moveaxis(a, -1, 1)


def last(a):
    return np.moveaxis(a, 1, -1)


def ramp(size):
    """1, 2, 3, ... in PyTorch's order: the weights of the sum whose gradient is compared."""
    return np.arange(np.prod(size), dtype=np.float32).reshape(size)


def with_gradient(pool, x):
    """The value, and the gradient of its sum weighted by the ramp."""
    y, pull = jax.vjp(pool, x)
    return y, pull(jnp.asarray(last(ramp((y.shape[0], y.shape[-1], *y.shape[1:-1])))))[0]


def of_torch(torch, function, x):
    """PyTorch's channels-first `function` and its gradient."""
    t = torch.tensor(first(x), requires_grad=True)
    y = function(t)
    (y * torch.tensor(ramp(tuple(y.shape)))).sum().backward()
    return {"y": y, "dx": t.grad}


def equal(mine, theirs, rtol=1e-6):
    (y, dx), expected = mine, last(theirs["dx"])
    assert y.shape == last(theirs["y"]).shape
    np.testing.assert_allclose(y, last(theirs["y"]), rtol=rtol, atol=rtol)
    np.testing.assert_allclose(dx, expected, rtol=rtol, atol=rtol * np.abs(expected).max())


@cache
def facts(row):
    """All pools of one row of the table, in one program."""
    window, strides, padding, dilation, ceil, size = row

    def run(x, distinct):
        largest = lambda x: pooling.max_pool(x, window, strides, padding, dilation=dilation, ceil_mode=ceil)
        out = {"max": with_gradient(largest, x)}
        if dilation == 1:
            for name, counted in COUNTED.items():
                mean = lambda x, c=counted: pooling.avg_pool(
                    x, window, strides, padding, ceil_mode=ceil, count_include_pad=c
                )
                out[name] = with_gradient(mean, x)
        if dilation == 1 and not ceil:
            out["xla"] = [with_gradient(pool, distinct) for pool in (xlas_window(row), largest)]
        return out

    rng = np.random.default_rng(0)
    distinct = rng.permutation(2 * int(np.prod(size)) * 3).reshape(2, *size, 3).astype(np.float32)
    return one_program(run, images(size), distinct)


def xlas_window(row):
    window, strides, padding, _, _, size = row
    rank = len(size)
    window = (window,) * rank if isinstance(window, int) else window
    strides = window if strides is None else (strides,) * rank if isinstance(strides, int) else strides
    pads = ((padding,) * 2,) * rank if isinstance(padding, int) else tuple((p, p) for p in padding)
    full = ((1, *window, 1), (1, *strides, 1), ((0, 0), *pads, (0, 0)))
    return lambda x: jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, *full)


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_max_pool_is_pytorchs_ties_included(row, oracle):
    window, strides, padding, dilation, ceil, size = row

    @oracle
    def theirs(torch):
        function = getattr(torch.nn.functional, f"max_pool{len(size)}d")
        return of_torch(torch, lambda t: function(t, window, strides, padding, dilation, ceil), images(size))

    equal(facts(row)["max"], theirs)


@pytest.mark.parametrize("row", [row for row in ROWS if row[3:5] == (1, False)], ids=str)
def test_max_pool_equals_xlas_window(row):
    """Value and gradient of `lax.reduce_window` where no two values are equal."""
    (y, dx), (mine, my_dx) = facts(row)["xla"]
    np.testing.assert_array_equal(mine, y)
    np.testing.assert_allclose(my_dx, dx, rtol=1e-6)


def test_max_pool_shows_nan_and_takes_integers():
    run = lambda x, n: (pooling.max_pool(x), pooling.max_pool(n, 3, 1, 1))
    x, n = one_program(run, np.float32([1.0, np.nan, 3.0, 2.0]).reshape(1, 4, 1), np.array([[[-5], [-3], [-9]]]))
    assert np.isnan(x[0, :, 0]).tolist() == [True, False]
    assert n[0, :, 0].tolist() == [-3, -3, -3]


def test_gradient_of_a_gradient_goes_through_max_pool():
    x = np.random.default_rng(0).normal(size=(1, 6, 4, 2)).astype(np.float32)

    def penalty(x):
        return jnp.square(jax.grad(lambda x: jnp.square(pooling.max_pool(x)).sum())(x)).sum()

    twice = one_program(jax.grad(penalty), x)
    np.testing.assert_allclose(twice, 8 * x * (twice != 0), rtol=1e-6)  # (2x)² where x was the largest
    assert (twice != 0).sum() == 12


@pytest.mark.parametrize("counted", COUNTED)
@pytest.mark.parametrize("row", [row for row in ROWS if row[3] == 1], ids=str)
def test_avg_pool_is_pytorchs(row, counted, oracle):
    window, strides, padding, _, ceil, size = row

    @oracle
    def theirs(torch):
        function = getattr(torch.nn.functional, f"avg_pool{len(size)}d")
        return of_torch(torch, lambda t: function(t, window, strides, padding, ceil, COUNTED[counted]), images(size))

    equal(facts(row)[counted], theirs)


def test_same_padding_is_tensorflows():
    """Two values and stride 1: one place after the end, in the divisor or not."""
    x = np.arange(3, dtype=np.float32).reshape(1, 3, 1)
    pool = lambda x: [pooling.avg_pool(x, 2, 1, "same", count_include_pad=counted) for counted in (True, False)]
    for out, last in zip(one_program(pool, x), (1.0, 2.0), strict=True):
        assert out[0, :, 0] == pytest.approx([0.5, 1.5, last])


@pytest.mark.parametrize(("size", "out"), [((7, 9), (3, 4)), ((5, 5), 1), ((8, 6), (4, 3)), ((3, 3), 6)], ids=str)
@pytest.mark.parametrize("kind", ["avg", "max"])
def test_adaptive_pools_are_pytorchs(kind, size, out, oracle):
    x = np.random.default_rng(0).normal(size=(2, *size, 3)).astype(np.float32)

    @oracle
    def theirs(torch):
        return of_torch(torch, lambda t: getattr(torch.nn.functional, f"adaptive_{kind}_pool2d")(t, out), x)

    pool = getattr(pooling, f"adaptive_{kind}_pool")
    equal(one_program(lambda x: with_gradient(lambda x: pool(x, out), x), x), theirs)


@pytest.mark.parametrize("p", [1.0, 2.0, 3.5])
def test_lp_pool_is_pytorchs(p, oracle):
    x = 0.1 + images((7, 8))

    @oracle
    def theirs(torch):
        return of_torch(torch, lambda t: torch.nn.functional.lp_pool2d(t, p, 2), x)

    equal(one_program(lambda x: with_gradient(lambda x: pooling.lp_pool(x, p, 2), x), x), theirs, 1e-5)


@pytest.mark.parametrize("p", [1.0, 2.0, 3.5])
def test_lp_pool_of_a_cut_window_is_the_sum_of_what_is_there(p):
    """PyTorch weighs a cut window as if it were whole; here what it lacks is 0."""
    x = 0.1 + images((7, 8))
    padded = np.pad(x, ((0, 0), (0, 1), (0, 1), (0, 0)))
    run = lambda x, padded: [pooling.lp_pool(x, p, 3, 2, ceil_mode=True), pooling.lp_pool(padded, p, 3, 2)]
    y, expected = one_program(run, x, padded)
    np.testing.assert_allclose(y[:, :4, :4], expected[:, :4, :4], rtol=1e-5)


def test_lp_pool_of_zeros_has_a_finite_gradient():
    gradient = one_program(jax.grad(lambda x: pooling.lp_pool(x, 2.0).sum()), np.zeros((1, 4, 4, 1), np.float32))
    assert np.abs(gradient).max() == 0


def test_global_pools():
    x = images((4, 5))
    mean, largest = one_program(lambda x: (pooling.global_avg_pool(x), pooling.global_max_pool(x)), x)
    np.testing.assert_allclose(mean, x.mean((1, 2)), rtol=1e-6)
    np.testing.assert_array_equal(largest, x.max((1, 2)))


def test_blur_pool_passes_constants_and_stops_the_highest_frequency():
    run = lambda *x: [pooling.blur_pool(x[0]), pooling.blur_pool(x[1]), pooling.blur_pool(x[2], strides=1, taps=5)]
    constant = np.full((1, 8, 8, 2), 3, np.float32)
    checkered = np.float32((-1.0) ** np.arange(8)).reshape(1, 8, 1)
    impulse = np.float32(16 * (np.arange(9) == 4)).reshape(1, 9, 1)
    constant, checkered, impulse = one_program(run, constant, checkered, impulse)
    assert constant.shape == (1, 4, 4, 2)
    np.testing.assert_allclose(constant, 3.0, rtol=1e-6)
    np.testing.assert_allclose(checkered, 0.0, atol=1e-7)
    assert impulse[0, :, 0].tolist() == [0, 0, 1, 4, 6, 4, 1, 0, 0]


def test_errors_name_the_argument():
    with pytest.raises(UserError, match=r"^padding = 'reflect' "):
        pooling.max_pool(np.ones((1, 4, 4, 1)), padding="reflect")
    with pytest.raises(UserError, match=r"^window = \(2, 2, 2\) "):
        pooling.avg_pool(np.ones((1, 4, 4, 1)), (2, 2, 2))
