"""SAM on a quadratic, where it has a closed form, and against optax's."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxdl import optim

A = jnp.array([[2.0, 0.5], [0.5, 1.0]])
W = jnp.array([1.0, -2.0])


def slope(w, i=0):
    """The gradient of ½ wᵀ A w."""
    return A @ w


def test_closed_form():
    tx = optim.sam(optim.sgd(0.1), rho=0.3)
    updates, _ = tx.update(slope(W), tx.init(W), W, grad_fn=slope)
    g = A @ W
    np.testing.assert_allclose(updates, -0.1 * A @ (W + 0.3 * g / jnp.linalg.norm(g)), rtol=1e-6)


def test_adaptive_closed_form():
    tx = optim.sam(optim.sgd(0.1), rho=0.3, adaptive=True)
    updates, _ = tx.update(slope(W), tx.init(W), W, grad_fn=slope)
    g = A @ W
    np.testing.assert_allclose(updates, -0.1 * A @ (W + 0.3 * W**2 * g / jnp.linalg.norm(W * g)), rtol=1e-6)


def test_equals_optax():
    theirs = optax.contrib.sam(
        optax.adam(0.1), optax.chain(optax.contrib.normalize(), optax.sgd(0.3)), opaque_mode=True
    )
    ours = optim.sam(optim.adam(0.1), rho=0.3)
    paths = []
    for tx in (theirs, ours):
        w, state = W, tx.init(W)
        for _ in range(5):
            updates, state = tx.update(slope(w), state, w, grad_fn=slope)
            w = optax.apply_updates(w, updates)
        paths.append(w)
    np.testing.assert_allclose(*paths, rtol=1e-5)


def test_rho_zero_is_the_optimizer_itself():
    plain, sam = optim.adamw(0.1), optim.sam(optim.adamw(0.1), rho=0.0)
    np.testing.assert_array_equal(
        sam.update(slope(W), sam.init(W), W, grad_fn=slope)[0], plain.update(slope(W), plain.init(W), W)[0]
    )
    assert jax.tree.structure(sam.init(W)) == jax.tree.structure(plain.init(W))


def test_no_gradient_is_no_division_by_zero():
    tx = optim.sam(optim.sgd(0.1))
    updates, _ = tx.update(jnp.zeros(2), tx.init(W), jnp.zeros(2), grad_fn=slope)
    np.testing.assert_array_equal(updates, 0)


def test_needs_grad_fn():
    tx = optim.sam(optim.sgd(0.1))
    with pytest.raises(ValueError, match="grad_fn="):
        tx.update(slope(W), tx.init(W), W)
