"""Convolutions and max pooling in forward mode: tangents, Hessians, and the fast forms under reverse mode all the same."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxdl.layers.convolution import convolve, convolve_transpose
from jaxdl.layers.pooling import max_pool

RANDOM = np.random.default_rng(0)
X, DX = RANDOM.normal(size=(2, 2, 7, 6, 4)).astype(np.float32)
KERNELS = {
    "dense": ({"strides": 2}, (3, 3, 4, 2)),
    "depthwise": ({"groups": 4}, (3, 3, 1, 8)),
    "grouped": ({"groups": 2}, (3, 3, 2, 6)),
    "pointwise": ({}, (1, 1, 4, 3)),
}


def by_jax(x, w, strides=1, groups=1):
    pads = [(n // 2, n // 2) for n in w.shape[:2]]
    layout = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(
        x, w, (strides, strides), pads, dimension_numbers=layout, feature_group_count=groups
    )


@pytest.mark.parametrize("name", KERNELS)
def test_tangents_and_curvature_equal_those_of_a_plain_convolution(name):
    """A tangent, and Hessian-vector products forward over reverse and reverse over forward, of Σ tanh(y)²."""
    options, shape = KERNELS[name]
    w, dw = RANDOM.normal(size=(2, *shape)).astype(np.float32)

    def numbers(conv):
        loss = lambda x, w: (jnp.tanh(conv(x, w, **options)) ** 2).sum()
        gradient = jax.grad(loss, (0, 1))
        tangent = lambda x, w: jax.jvp(loss, (x, w), (DX, dw))[1]
        return jax.jit(
            lambda x, w: (
                jax.jvp(lambda *xw: conv(*xw, **options), (x, w), (DX, dw)),
                jax.jvp(gradient, (x, w), (DX, dw))[1],
                jax.grad(tangent, (0, 1))(x, w),
            )
        )(X, w)

    for ours, plain in zip(jax.tree.leaves(numbers(convolve)), jax.tree.leaves(numbers(by_jax)), strict=True):
        np.testing.assert_allclose(ours, plain, rtol=2e-4, atol=2e-4)


def test_a_hessian():
    """The one of ½·‖x ⋆ w‖² in w is the Gram matrix of the patches of x."""
    x = RANDOM.normal(size=(1, 5, 1)).astype(np.float32)
    half = lambda w: 0.5 * (convolve(x, w[:, None, None], padding="valid") ** 2).sum()
    patches = np.lib.stride_tricks.sliding_window_view(x[0, :, 0], 3)
    np.testing.assert_allclose(jax.jit(jax.hessian(half))(jnp.ones(3)), patches.T @ patches, rtol=1e-5)


def test_vmap_and_differentiation_in_any_order():
    """Members that share the images, share the kernel, or have both; the gradient of all of them, and each one's own."""
    w = RANDOM.normal(size=(3, 3, 3, 4, 2)).astype(np.float32)
    x = RANDOM.normal(size=(3, 2, 5, 5, 4)).astype(np.float32)

    def numbers(conv):
        many = lambda x, w: sum(
            (jnp.sin(jax.vmap(conv, axes)(a, b))).sum()
            for axes, a, b in (((0, 0), x, w), ((None, 0), x[0], w), ((0, None), x, w[0]))
        )
        own = jax.vmap(jax.grad(lambda w, x: jnp.sin(conv(x, w)).sum()), (0, None))
        return jax.jit(lambda x, w: (jax.grad(many, (0, 1))(x, w), own(w, x[0]), jax.jvp(many, (x, w), (x, w))))(x, w)

    for ours, plain in zip(jax.tree.leaves(numbers(convolve)), jax.tree.leaves(numbers(by_jax)), strict=True):
        np.testing.assert_allclose(ours, plain, rtol=2e-4, atol=2e-4)


def test_a_transposed_convolution():
    """It is linear in x: its tangent is itself."""
    w = RANDOM.normal(size=(3, 3, 4, 2)).astype(np.float32)
    up = lambda x: convolve_transpose(x, w, strides=2)
    tangent, image = jax.jit(lambda x, dx: (jax.jvp(up, (x,), (dx,))[1], up(dx)))(X, DX)
    np.testing.assert_array_equal(tangent, image)


def test_max_pooling():
    """The tangent is that of the place of the maximum; ⟨dy, J dx⟩ = ⟨Jᵀ dy, dx⟩."""
    pool = lambda x: max_pool(x, 3, 2, 1)

    @jax.jit
    def run(x, dx):
        y, dy = jax.jvp(pool, (x,), (dx,))
        step = (pool(x + 1e-3 * dx) - y) / 1e-3
        (back,) = jax.vjp(pool, x)[1](dy)
        return dy, step, (dy * dy).sum(), (back * dx).sum()

    dy, step, forward, reverse = run(X, DX)
    np.testing.assert_allclose(dy, step, atol=5e-3)
    np.testing.assert_allclose(forward, reverse, rtol=1e-5)


def test_the_backward_pass_of_a_cpu_is_the_fast_one():
    """The gradients of a depthwise convolution have no convolution left on a CPU; on a GPU they are three plain ones."""
    w = jnp.ones((3, 3, 1, 4))
    gradient = jax.jit(jax.value_and_grad(lambda x, w: (convolve(x, w, groups=4) ** 2).sum(), (0, 1)))
    traced = gradient.trace(X, w)
    assert "stablehlo.convolution" not in traced.lower(lowering_platforms=("cpu",)).as_text()
    assert traced.lower(lowering_platforms=("cuda",)).as_text().count("stablehlo.convolution") == 3
