"""Pools against PyTorch, value and gradient, and against XLA's own windows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.layers import pooling

# window, strides, padding, dilation, ceil_mode, size
MAX = [
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


def images(size, seed=0):
    """Small integers, so that there are many ties."""
    return np.random.default_rng(seed).integers(0, 4, (2, *size, 3)).astype(np.float32)


def with_torch(function, x, dy=None):
    """PyTorch's channels-first `function` and its gradient, channels last."""
    torch = pytest.importorskip("torch")
    t = torch.tensor(np.moveaxis(x, -1, 1), requires_grad=True)
    y = function(t)
    weights = torch.arange(y.numel(), dtype=torch.float32).reshape(y.shape)
    (y * weights).sum().backward()
    return (
        np.moveaxis(y.detach().numpy(), 1, -1),
        np.moveaxis(t.grad.numpy(), 1, -1),
        np.moveaxis(weights.numpy(), 1, -1),
    )


def check(ours, theirs, x, rtol=1e-6):
    y, dx, weights = with_torch(theirs, x)
    mine, pull = jax.vjp(jax.jit(ours), x)
    assert mine.shape == y.shape
    np.testing.assert_allclose(mine, y, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(pull(jnp.asarray(weights))[0], dx, rtol=rtol, atol=rtol * np.abs(dx).max())


@pytest.mark.parametrize(("window", "strides", "padding", "dilation", "ceil", "size"), MAX)
def test_max_pool_is_pytorchs_ties_included(window, strides, padding, dilation, ceil, size):
    torch = pytest.importorskip("torch")
    theirs = getattr(torch.nn.functional, f"max_pool{len(size)}d")
    check(
        lambda x: pooling.max_pool(x, window, strides, padding, dilation=dilation, ceil_mode=ceil),
        lambda t: theirs(t, window, strides, padding, dilation, ceil),
        images(size),
    )


@pytest.mark.parametrize(
    ("window", "strides", "padding", "size"), [row[:3] + row[5:] for row in MAX if row[3:5] == (1, False)]
)
def test_max_pool_equals_xlas_window(window, strides, padding, size):
    """Also without PyTorch: value and gradient of `lax.reduce_window` where no two values are equal."""
    rank = len(size)
    x = np.random.default_rng(0).permutation(2 * int(np.prod(size)) * 3).reshape(2, *size, 3).astype(np.float32)
    window = (window,) * rank if isinstance(window, int) else window
    strides = window if strides is None else (strides,) * rank if isinstance(strides, int) else strides
    pads = ((padding,) * 2,) * rank if isinstance(padding, int) else tuple((p, p) for p in padding)

    def theirs(x):
        full = ((1, *window, 1), (1, *strides, 1), ((0, 0), *pads, (0, 0)))
        return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, *full)

    y, pull = jax.vjp(theirs, x)
    mine, my_pull = jax.vjp(lambda x: pooling.max_pool(x, window, strides, padding), x)
    assert (mine == y).all()
    np.testing.assert_allclose(my_pull(y)[0], pull(y)[0], rtol=1e-6)


def test_max_pool_shows_nan_and_takes_integers():
    x = jnp.array([1.0, jnp.nan, 3.0, 2.0]).reshape(1, 4, 1)
    assert np.isnan(pooling.max_pool(x)[0, :, 0]).tolist() == [True, False]
    assert pooling.max_pool(jnp.array([[[-5], [-3], [-9]]]), 3, 1, 1)[0, :, 0].tolist() == [-3, -3, -3]


def test_gradient_of_a_gradient_goes_through_max_pool():
    x = jax.random.normal(jax.random.key(0), (1, 6, 4, 2))

    def penalty(pool, x):
        return jnp.square(jax.grad(lambda x: jnp.square(pool(x)).sum())(x)).sum()

    twice = jax.grad(lambda x: penalty(pooling.max_pool, x))(x)
    np.testing.assert_allclose(twice, 8 * x * (twice != 0), rtol=1e-6)  # (2x)² where x was the largest
    assert int((twice != 0).sum()) == 12


@pytest.mark.parametrize("counted", [True, False], ids=["padding counted", "not counted"])
@pytest.mark.parametrize(
    ("window", "strides", "padding", "dilation", "ceil", "size"), [row for row in MAX if row[3] == 1]
)
def test_avg_pool_is_pytorchs(window, strides, padding, dilation, ceil, size, counted):
    torch = pytest.importorskip("torch")
    theirs = getattr(torch.nn.functional, f"avg_pool{len(size)}d")
    check(
        lambda x: pooling.avg_pool(x, window, strides, padding, ceil_mode=ceil, count_include_pad=counted),
        lambda t: theirs(t, window, strides, padding, ceil, counted),
        images(size),
    )


@pytest.mark.parametrize(("size", "out"), [((7, 9), (3, 4)), ((5, 5), 1), ((8, 6), (4, 3)), ((3, 3), 6)])
@pytest.mark.parametrize("kind", ["avg", "max"])
def test_adaptive_pools_are_pytorchs(kind, size, out):
    torch = pytest.importorskip("torch")
    theirs = getattr(torch.nn.functional, f"adaptive_{kind}_pool2d")
    x = np.random.default_rng(0).normal(size=(2, *size, 3)).astype(np.float32)
    check(lambda x: getattr(pooling, f"adaptive_{kind}_pool")(x, out), lambda t: theirs(t, out), x)


@pytest.mark.parametrize("p", [1.0, 2.0, 3.5])
@pytest.mark.parametrize(("window", "strides", "ceil"), [(2, None, False), (3, 2, True)])
def test_lp_pool_is_pytorchs(p, window, strides, ceil):
    torch = pytest.importorskip("torch")
    x = 0.1 + images((7, 8))
    theirs = torch.nn.functional.lp_pool2d
    if ceil:  # PyTorch weighs a cut window as if it were whole; ours is the sum of what is there
        window_of = np.pad(x, ((0, 0), (0, 1), (0, 1), (0, 0)))
        expected = pooling.lp_pool(jnp.asarray(window_of), p, window, strides)
        np.testing.assert_allclose(
            pooling.lp_pool(x, p, window, strides, ceil_mode=True)[:, :4, :4], expected[:, :4, :4], rtol=1e-5
        )
    else:
        check(lambda x: pooling.lp_pool(x, p, window, strides), lambda t: theirs(t, p, window, strides), x, 1e-5)


def test_lp_pool_of_zeros_has_a_finite_gradient():
    assert float(jnp.abs(jax.grad(lambda x: pooling.lp_pool(x, 2.0).sum())(jnp.zeros((1, 4, 4, 1)))).max()) == 0


def test_global_pools():
    x = images((4, 5))
    np.testing.assert_allclose(pooling.global_avg_pool(x), x.mean((1, 2)), rtol=1e-6)
    assert (pooling.global_max_pool(x) == x.max((1, 2))).all()


def test_blur_pool_passes_constants_and_stops_the_highest_frequency():
    constant = jnp.full((1, 8, 8, 2), 3.0)
    assert pooling.blur_pool(constant).shape == (1, 4, 4, 2)
    np.testing.assert_allclose(pooling.blur_pool(constant), 3.0, rtol=1e-6)
    checkered = jnp.asarray((-1.0) ** np.arange(8)).reshape(1, 8, 1)
    np.testing.assert_allclose(pooling.blur_pool(checkered), 0.0, atol=1e-7)
    row = pooling.blur_pool(jnp.zeros((1, 9, 1)).at[0, 4].set(16), strides=1, taps=5)[0, :, 0]
    assert row.tolist() == [0, 0, 1, 4, 6, 4, 1, 0, 0]


def test_errors_name_the_argument():
    with pytest.raises(ValueError, match="padding='reflect'"):
        pooling.max_pool(jnp.ones((1, 4, 4, 1)), padding="reflect")
    with pytest.raises(ValueError, match=r"window=\(2, 2, 2\)"):
        pooling.avg_pool(jnp.ones((1, 4, 4, 1)), (2, 2, 2))
