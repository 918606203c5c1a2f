import jax
import jax.numpy as jnp
import pytest

from jaxdl.inspect.flops import multiply_adds
from jaxdl.layers.convolution import convolve


def shape(*sizes):
    return jax.ShapeDtypeStruct(sizes, jnp.float32)


def looped(w, x):
    return jax.lax.scan(lambda x, w: (x @ w, None), x, w)[0]


def convolution(**options):
    return lambda x, w: convolve(x, w, **options)


def choice(p, w, x):
    return jax.lax.cond(p, lambda: x @ w, lambda: x @ w @ w)


CASES = {
    "matrix product": (jnp.matmul, (shape(2, 3), shape(3, 5)), 2 * 3 * 5),
    "batched": (lambda q, k: jnp.einsum("bqd,bkd->bqk", q, k), (shape(7, 2, 3), shape(7, 5, 3)), 7 * 2 * 5 * 3),
    "outer product": (lambda a, b: jnp.einsum("i,j->ij", a, b), (shape(4), shape(6)), 24),
    "elementwise is free": (lambda x: jnp.tanh(x) * x, (shape(9, 9),), 0),
    "scan runs its body": (looped, (shape(10, 4, 4), shape(3, 4)), 10 * 3 * 4 * 4),
    "under jit": (jax.jit(jnp.matmul), (shape(2, 3), shape(3, 5)), 30),
    "recomputed": (jax.checkpoint(jnp.matmul), (shape(2, 3), shape(3, 5)), 30),
    "the dearest branch": (choice, (True, shape(4, 4), shape(3, 4)), 2 * 3 * 4 * 4),
    "convolution": (convolution(), (shape(2, 8, 8, 3), shape(3, 3, 3, 5)), 2 * 8 * 8 * 5 * 9 * 3),
    "strides": (convolution(strides=2), (shape(1, 8, 8, 3), shape(3, 3, 3, 5)), 4 * 4 * 5 * 9 * 3),
    "1x1": (convolution(), (shape(1, 8, 8, 3), shape(1, 1, 3, 5)), 8 * 8 * 5 * 3),
    "groups": (convolution(groups=2), (shape(1, 8, 8, 4), shape(3, 3, 2, 6)), 8 * 8 * 6 * 9 * 2),
    "depthwise": (convolution(groups=4), (shape(1, 8, 8, 4), shape(3, 3, 1, 4)), 8 * 8 * 4 * 9),
}


@pytest.mark.parametrize("name", CASES)
def test_multiply_adds(name):
    function, inputs, expected = CASES[name]
    assert multiply_adds(function, *inputs) == expected


def test_backward_pass_costs_twice_the_forward_pass():
    x, w = shape(4, 8, 8, 3), shape(3, 3, 3, 5)
    forward = multiply_adds(lambda x, w: convolve(x, w).sum(), x, w)
    both = multiply_adds(jax.grad(lambda x, w: convolve(x, w).sum(), (0, 1)), x, w)
    assert both == pytest.approx(3 * forward, rel=1e-12)
