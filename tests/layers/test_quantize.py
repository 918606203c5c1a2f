"""The table of codes beside the paper's equations in NumPy: running means, straight-through, the learned table."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.layers.quantize import VectorQuantizer, nearest, straight_through
from jaxdl.losses.variational import codebook
from tests.programs import one_program

KEY = jax.random.key(0)
RANDOM = np.random.default_rng(0)
H = RANDOM.normal(size=(3, 4, 5, 2)).astype(np.float32)  # three maps of 4x5 vectors


def plain(h, table):
    """argmin of the distances, one vector at a time."""
    return np.array([np.argmin(((v - table) ** 2).sum(1)) for v in h.reshape(-1, h.shape[-1])]).reshape(h.shape[:-1])


def test_running_means_are_the_plain_statement():
    layer = VectorQuantizer(codes=6, decay=0.8)
    batches = np.stack([np.random.default_rng(seed).normal(size=H.shape) + seed for seed in range(3)])
    batches = batches.astype(np.float32)

    def run(batches):
        start = layer.init(KEY, batches[0], train=True)

        def step(state, h):
            (z, about), state = layer.apply(state, h, train=True, mutable=["codebook"])
            return state, (z, about, state)

        end, seen = jax.lax.scan(step, start, batches)
        return start, seen, end, layer.apply(end, batches[0], train=False, mutable=["codebook"])[1]

    start, (z, about, states), end, after = one_program(run, batches)
    assert set(start) == {"codebook"}
    count, total = np.ones(6), np.asarray(start["codebook"]["total"], np.float64)  # initialising counts nothing
    np.testing.assert_array_equal(start["codebook"]["count"], count)
    for i, h in enumerate(batches):
        smooth = (count + 1e-5) / (count.sum() + 6e-5) * count.sum()
        table = total / smooth[:, None]
        index, flat = plain(h, table), h.reshape(-1, 2)
        np.testing.assert_array_equal(about["index"][i], index)
        np.testing.assert_allclose(z[i], table[index], rtol=1e-5, atol=1e-6)
        chosen = np.eye(6)[index.reshape(-1)]
        count, total = 0.8 * count + 0.2 * chosen.sum(0), 0.8 * total + 0.2 * chosen.T @ flat
        np.testing.assert_allclose(states["codebook"]["count"][i], count, rtol=1e-5)
        np.testing.assert_allclose(states["codebook"]["total"][i], total, rtol=1e-5, atol=1e-5)
    jax.tree.map(np.testing.assert_array_equal, after, end)  # an evaluation moves nothing


def test_a_learned_table_moves_by_its_gradient_and_the_encoder_gets_the_decoders():
    layer = VectorQuantizer(codes=6, decay=None)
    read = RANDOM.normal(size=H.shape).astype(np.float32)

    def loss(params, h):
        z, about = layer.apply({"params": params}, h, train=True)
        return (read * z).sum() + codebook(about["h"], about["quantized"]).sum()

    def run(h):
        params = layer.init(jax.random.key(1), h, train=False)["params"]
        return params, *jax.grad(loss, (0, 1))(params, h)

    params, of_table, of_h = one_program(run, H)
    np.testing.assert_allclose(of_h, read, rtol=1e-6)
    table = params["codes"]
    index, want = plain(H, table).reshape(-1), np.zeros((6, 2))
    np.add.at(want, index, 2 * (table[index] - H.reshape(-1, 2)))
    np.testing.assert_allclose(of_table["codes"], want, rtol=1e-4, atol=1e-4)


def test_ties_go_to_the_first_and_straight_through_gives_the_code():
    def run(points, codes, h):
        through = jax.value_and_grad(lambda h: straight_through(h, jnp.round(h)) ** 2)
        return nearest(points, codes), through(h)

    index, through = one_program(run, np.zeros((1, 1), np.float32), np.float32([[1.0], [-1.0]]), np.float32(1.4))
    assert index.tolist() == [0]
    assert tuple(map(float, through)) == pytest.approx((1.0, 2.0))


def test_devices_share_one_table():
    """With the axis `data` bound every part of the batch counts the whole of it."""
    layer = VectorQuantizer(codes=6)

    def run(h):
        state = layer.init(KEY, h, train=False)
        step = lambda h: layer.apply(state, h, train=True, mutable=["codebook"])[1]["codebook"]
        return step(h), jax.vmap(step, axis_name="data")(h[:, None])

    whole, parts = one_program(run, H)
    for name in ("count", "total"):
        for part in parts[name]:
            np.testing.assert_allclose(part, whole[name], rtol=1e-5, atol=1e-6)
