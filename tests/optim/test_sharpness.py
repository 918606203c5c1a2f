"""SAM on a quadratic, where it has a closed form, and against optax's."""

import jax
import numpy as np
import optax
import pytest

from jaxdl import optim
from jaxdl.types import UserError
from tests.programs import one_program

A = np.float32([[2.0, 0.5], [0.5, 1.0]])
W = np.float32([1.0, -2.0])


def slope(w, i=0):
    """The gradient of ½ wᵀ A w."""
    return A @ w


def first_update(tx, w, gradient):
    return one_program(lambda w, g: tx.update(g, tx.init(w), w, grad_fn=slope)[0], w, gradient)


def test_closed_form():
    g = A @ W
    updates = first_update(optim.sam(optim.sgd(0.1), rho=0.3), W, g)
    np.testing.assert_allclose(updates, -0.1 * A @ (W + 0.3 * g / np.linalg.norm(g)), rtol=1e-6)


def test_adaptive_closed_form():
    g = A @ W
    updates = first_update(optim.sam(optim.sgd(0.1), rho=0.3, adaptive=True), W, g)
    np.testing.assert_allclose(updates, -0.1 * A @ (W + 0.3 * W**2 * g / np.linalg.norm(W * g)), rtol=1e-6)


def test_equals_optax():
    theirs = optax.contrib.sam(
        optax.adam(0.1), optax.chain(optax.contrib.normalize(), optax.sgd(0.3)), opaque_mode=True
    )
    ours = optim.sam(optim.adam(0.1), rho=0.3)

    def five_steps(tx, w):
        def step(carry, _):
            w, state = carry
            updates, state = tx.update(slope(w), state, w, grad_fn=slope)
            return (optax.apply_updates(w, updates), state), None

        return jax.lax.scan(step, (w, tx.init(w)), length=5)[0][0]

    np.testing.assert_allclose(*one_program(lambda w: [five_steps(tx, w) for tx in (theirs, ours)], W), rtol=1e-5)


def test_rho_zero_is_the_optimizer_itself():
    plain, sam = optim.adamw(0.1), optim.sam(optim.adamw(0.1), rho=0.0)
    ours, alone = one_program(
        lambda w: (
            sam.update(slope(w), sam.init(w), w, grad_fn=slope)[0],
            plain.update(slope(w), plain.init(w), w)[0],
        ),
        W,
    )
    np.testing.assert_array_equal(ours, alone)
    assert jax.tree.structure(jax.eval_shape(sam.init, W)) == jax.tree.structure(jax.eval_shape(plain.init, W))


def test_no_gradient_is_no_division_by_zero():
    updates = first_update(optim.sam(optim.sgd(0.1)), np.zeros(2, "f4"), np.zeros(2, "f4"))
    np.testing.assert_array_equal(updates, 0)


def test_needs_grad_fn():
    tx = optim.sam(optim.sgd(0.1))
    with pytest.raises(UserError, match="grad_fn="):
        jax.eval_shape(lambda w: tx.update(slope(w), tx.init(w), w), W)
