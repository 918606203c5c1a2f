"""The network and the recipe of `cifar10_fast`: published counts, and PyTorch's trajectory from the same weights."""

import importlib.util
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.nn.initializers import zeros

from experiments.cifar10_fast import config
from jaxdl.data.image import vision
from jaxdl.data.image.memory import images
from jaxdl.inspect.flops import counts
from jaxdl.models.airbench import Airbench
from jaxdl.types import UserError
from tests.programs import one_program

BATCH, STEPS, WHITENING = 20, 8, 6


def test_its_parameters_and_multiply_adds():
    """By hand: 24·12 + 24 of the whitening; 9·i·o a convolution and o biases; the head 2,560. About 118 million published."""
    pairs = ((24, 64), (64, 64), (64, 256), (256, 256), (256, 256), (256, 256))
    found = counts(Airbench(zeros), (32, 32, 3))
    assert found["params"] == 24 * 12 + 24 + sum(9 * i * o + o for i, o in pairs) + 2560
    sides = (31, 15, 15, 7, 7, 3)
    macs = 31 * 31 * 288 + sum(9 * i * o * side**2 for (i, o), side in zip(pairs, sides, strict=True)) + 2560
    assert found["multiply_adds"] == macs
    assert round(macs / 1e6) == 118


def test_the_head_begins_with_deviation_one_and_small_images_are_refused():
    model = Airbench(zeros, widths=(8, 8, 8))
    params = one_program(lambda key: model.init(key, jnp.zeros((1, 32, 32, 3)), train=False), jax.random.key(0))[
        "params"
    ]
    np.testing.assert_allclose(params["head"]["kernel"].std(ddof=1), 1, rtol=1e-5)
    with pytest.raises(UserError, match="at least 25 pixels, got 24x24"):
        jax.eval_shape(lambda key: model.init(key, jnp.zeros((1, 24, 24, 3)), train=False), jax.random.key(0))


@pytest.fixture
def recipe(monkeypatch):
    """The experiment on noise, with few channels."""
    rng = np.random.default_rng(0)
    pair = rng.integers(0, 256, (BATCH, 32, 32, 3), np.uint8), np.arange(BATCH) % 10
    data = images(pair, pair, batch=BATCH, name="noise", classes=vision.CIFAR10, validation=pair)
    monkeypatch.setattr(vision, "cifar10", lambda **_: data)
    return config(batch=BATCH, epochs=4, width=4)


def test_all_training_images_are_trained_on_unless_some_are_held_out(recipe):
    assert set(recipe.data.splits) == {"train", "test"}
    assert recipe.data.size("train") == 2 * BATCH
    assert recipe.steps == STEPS
    assert set(config(batch=BATCH, holdout=True).data.splits) == {"train", "validation", "test"}


@pytest.mark.parity
def test_its_trajectory_is_pytorchs(recipe):
    """Averaged logits at the start; eight updates of all parameters, of the whitening bias only six (three epochs)."""
    import torch

    path = Path(__file__).parents[2] / "benchmarks" / "cifar10_peer.py"
    spec = importlib.util.spec_from_file_location("cifar10_peer", path)
    peer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(peer)
    torch.manual_seed(0)
    net = peer.Net((4, 16, 16))
    x = np.random.default_rng(1).normal(size=(STEPS, BATCH, 32, 32, 3)).astype(np.float32)
    y = np.random.default_rng(2).integers(0, 10, (STEPS, BATCH))

    def tree():
        kernel = lambda layer: layer.weight.detach().numpy().transpose(2, 3, 1, 0).copy()
        vector = lambda tensor: tensor.detach().numpy().copy()
        params = {"whiten": {"kernel": kernel(net.whiten), "bias": vector(net.whiten.bias)}}
        stats = {}
        for i, (conv, norm) in enumerate(zip(net.convs, net.norms, strict=True)):
            name = f"block{i // 2 + 1}_{{}}{i % 2 + 1}"
            params[name.format("conv")] = {"kernel": kernel(conv)}
            params[name.format("norm")] = {"bias": vector(norm.bias)}
            stats[name.format("norm")] = {"mean": vector(norm.running_mean), "var": vector(norm.running_var)}
        return params | {"head": {"kernel": vector(net.head.weight).T}}, {"batch_stats": stats}

    model, optimizer, task = recipe.task.model, recipe.optimizer, recipe.task
    shapes = jax.eval_shape(lambda key: model.init(key, x[0], train=False), jax.random.key(0))
    start = tree()
    assert jax.tree.map(np.shape, start[0]) == jax.tree.map(np.shape, shapes["params"])

    def step(carry, batch):
        params, stats, state = carry
        batch = {"x": batch[0], "y": batch[1], "mask": jnp.ones(BATCH)}
        loss = partial(task.objective, train=True)
        (value, (stats, _)), grads = jax.value_and_grad(loss, has_aux=True)(params, stats, batch, jax.random.key(0), 0)
        updates, state = optimizer.update(grads, state, params)
        return (optax.apply_updates(params, updates), stats, state), value

    def run(start, x, y):
        params, stats = start
        (params, stats, _), losses = jax.lax.scan(step, (params, stats, optimizer.init(params)), (x, y))
        return losses, params, stats, task.evaluated(*start, x[0], jax.random.key(0))

    losses, params, stats, logits = one_program(run, start, x, y)
    images = torch.from_numpy(x.transpose(0, 1, 4, 2, 3).copy())
    np.testing.assert_allclose(logits, peer.averaged_logits(net, images[0]).numpy(), rtol=1e-4, atol=1e-5)
    theirs = peer.Recipe(net, STEPS, WHITENING, BATCH)
    expected = [theirs.step(images[i], torch.from_numpy(y[i])) for i in range(STEPS)]
    np.testing.assert_allclose(losses, expected, rtol=1e-4)
    for ours, other in zip(jax.tree.leaves((params, stats)), jax.tree.leaves(tree()), strict=True):
        np.testing.assert_allclose(ours, other, rtol=1e-3, atol=1e-3 * np.abs(other).max())
