"""The table of codes beside the paper's equations in NumPy: running means, straight-through, the learned table."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.layers.quantize import VectorQuantizer, nearest, straight_through
from jaxdl.losses.variational import codebook

RANDOM = np.random.default_rng(0)
H = RANDOM.normal(size=(3, 4, 5, 2)).astype(np.float32)  # three maps of 4x5 vectors


def plain(h, table):
    """argmin of the distances, one vector at a time."""
    return np.array([np.argmin(((v - table) ** 2).sum(1)) for v in h.reshape(-1, h.shape[-1])]).reshape(h.shape[:-1])


def test_running_means_are_the_plain_statement():
    layer = VectorQuantizer(codes=6, decay=0.8)
    state = layer.init(jax.random.key(0), H, train=True)
    assert "params" not in state
    count, total = np.ones(6), np.asarray(state["codebook"]["total"], np.float64)  # initialising counts nothing
    np.testing.assert_array_equal(state["codebook"]["count"], count)
    step = jax.jit(lambda state, h: layer.apply(state, h, train=True, mutable=["codebook"]))
    for seed in range(3):
        h = (np.random.default_rng(seed).normal(size=H.shape) + seed).astype(np.float32)
        smooth = (count + 1e-5) / (count.sum() + 6e-5) * count.sum()
        table = total / smooth[:, None]
        index, flat = plain(h, table), h.reshape(-1, 2)
        (z, about), state = step(state, h)
        np.testing.assert_array_equal(about["index"], index)
        np.testing.assert_allclose(z, table[index], rtol=1e-5, atol=1e-6)
        chosen = np.eye(6)[index.reshape(-1)]
        count, total = 0.8 * count + 0.2 * chosen.sum(0), 0.8 * total + 0.2 * chosen.T @ flat
        np.testing.assert_allclose(state["codebook"]["count"], count, rtol=1e-5)
        np.testing.assert_allclose(state["codebook"]["total"], total, rtol=1e-5, atol=1e-5)
    after = layer.apply(state, H, train=False, mutable=["codebook"])[1]
    assert jax.tree.all(jax.tree.map(np.array_equal, after, state)), "an evaluation moves nothing"


def test_a_learned_table_moves_by_its_gradient_and_the_encoder_gets_the_decoders():
    layer = VectorQuantizer(codes=6, decay=None)
    params = layer.init(jax.random.key(1), H, train=False)["params"]
    read = RANDOM.normal(size=H.shape).astype(np.float32)

    def loss(params, h):
        z, about = layer.apply({"params": params}, h, train=True)
        return (read * z).sum() + codebook(about["h"], about["quantized"]).sum()

    of_table, of_h = jax.jit(jax.grad(loss, (0, 1)))(params, H)
    np.testing.assert_allclose(of_h, read, rtol=1e-6)
    table = np.asarray(params["codes"])
    index, want = plain(H, table).reshape(-1), np.zeros((6, 2))
    np.add.at(want, index, 2 * (table[index] - H.reshape(-1, 2)))
    np.testing.assert_allclose(of_table["codes"], want, rtol=1e-4, atol=1e-4)


def test_ties_go_to_the_first_and_straight_through_gives_the_code():
    assert nearest(jnp.zeros((1, 1)), jnp.array([[1.0], [-1.0]])).tolist() == [0]
    value, gradient = jax.value_and_grad(lambda h: straight_through(h, jnp.round(h)) ** 2)(1.4)
    assert (float(value), float(gradient)) == pytest.approx((1.0, 2.0))


def test_devices_share_one_table():
    """With the axis `data` bound every part of the batch counts the whole of it."""
    layer = VectorQuantizer(codes=6)
    state = layer.init(jax.random.key(0), H, train=False)
    run = lambda h: layer.apply(state, h, train=True, mutable=["codebook"])[1]["codebook"]
    whole, parts = run(H), jax.vmap(run, axis_name="data")(H[:, None])
    for name in ("count", "total"):
        for part in parts[name]:
            np.testing.assert_allclose(part, whole[name], rtol=1e-5, atol=1e-6)
