"""Autoencoders against what is known exactly: PCA, the likelihood of a linear Gaussian model, and each other."""

from dataclasses import replace
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.linalg import subspace_angles
from scipy.stats import multivariate_normal

import jaxdl
from jaxdl.data.source import InMemory
from jaxdl.experiment import Experiment
from jaxdl.losses.activity import l1_activity
from jaxdl.metrics.reduction import pca
from jaxdl.models.autoencoder import Activated, Autoencoder, Normal
from jaxdl.models.mlp import MLP
from jaxdl.optim import adamw
from jaxdl.tasks import noise
from jaxdl.tasks.autoencoding import (
    Autoencoding,
    ImportanceWeighted,
    VariationalAutoencoding,
)
from jaxdl.tasks.coder import Gaussian
from tests.programs import one_program


def batch_of(x):
    return {"x": jnp.asarray(x, jnp.float32), "mask": jnp.ones(len(x)), "y": jnp.zeros(len(x), jnp.int32)}


def values(task, params, x, *, train=False, key=None):
    """The loss and every metric of a task, to be compiled."""
    key = jax.random.key(0) if key is None else key
    loss, (_, metrics) = task.objective(params, {}, batch_of(x), key, jnp.int32(0), train=train)
    return {name: total / weight for name, (total, weight) in metrics.items()} | {"loss": loss}


def linear(width, values, *, sides=1):
    return MLP((), sides * width), MLP((), values)


# -- PCA ----------------------------------------------------------------------------------------------------------------


def test_a_trained_linear_autoencoder_spans_the_pca_subspace():
    random = np.random.default_rng(0)
    mixing = np.linalg.qr(random.normal(size=(8, 8)))[0] * [2, 1.6, 1.3, 0.4, 0.3, 0.3, 0.2, 0.1]
    x = (random.normal(size=(300, 8)) @ mixing.T).astype(np.float32)
    task = Autoencoding(Autoencoder(*linear(3, 8)), Gaussian())
    steps, key = 10_000, jax.random.key(0)
    optimizer = optax.adam(optax.cosine_decay_schedule(0.02, steps))

    def train(x):
        batch = batch_of(x)

        def step(carry, i):
            params, state = carry
            grads = jax.grad(lambda p: task.objective(p, {}, batch, key, i, train=True)[0])(params)
            updates, state = optimizer.update(grads, state)
            return (optax.apply_updates(params, updates), state), None

        params, _ = task.init(key, batch)
        params = jax.lax.scan(step, (params, optimizer.init(params)), jnp.arange(steps))[0][0]
        return params, task.predict(params, {}, batch, key)

    params, told = one_program(train, x)
    best = pca(x, 3)
    for part, kernel in (("decoder", lambda k: k.T), ("encoder", lambda k: k)):
        kernel = kernel(np.asarray(params[part]["Dense_0"]["kernel"], np.float64))
        assert subspace_angles(kernel, best.components.T).max() < 1e-3
    error = np.mean((told["reconstruction"].astype(np.float64) - x) ** 2)
    assert error == pytest.approx(np.mean((best.decode(best.encode(x)) - x) ** 2), rel=1e-4)


# -- likelihoods --------------------------------------------------------------------------------------------------------


@cache
def linear_gaussian():
    """x = W·z + b + 0.5·ε with orthogonal columns of W, so that the posterior is diagonal and known; 40 draws of x."""
    random = np.random.default_rng(0)
    w = np.linalg.qr(random.normal(size=(5, 2)))[0] * [1.5, 0.7]
    b, noise_variance = random.normal(size=5), 0.25
    x = random.multivariate_normal(b, w @ w.T + noise_variance * np.eye(5), 40)
    nll = -multivariate_normal(b, w @ w.T + noise_variance * np.eye(5)).logpdf(x)
    variance = 1 / (1 + (w**2).sum(0) / noise_variance)
    pull = w * variance / noise_variance  # μ = (x - b)·pull
    encoder = {
        "kernel": np.concatenate([pull, np.zeros((5, 2))], 1),
        "bias": np.concatenate([-b @ pull, np.log(variance)]),
    }
    params = {"encoder": {"Dense_0": encoder}, "decoder": {"Dense_0": {"kernel": w.T, "bias": b}}}
    return jax.tree.map(np.float32, params), np.float32(x), nll


def test_with_the_true_posterior_every_bound_is_the_likelihood():
    params, x, nll = linear_gaussian()
    model = Autoencoder(*linear(2, 5, sides=2), Normal())
    elbo = VariationalAutoencoding(model, Gaussian(0.5), draws=4000, importance=3)

    def bounds(params, x):
        halves, found = x.reshape(2, 20, 5), {}
        for draws in (1, 7):
            task, key = ImportanceWeighted(model, Gaussian(0.5), draws=draws), jax.random.key(draws)
            found[draws] = jax.lax.map(lambda half: values(task, params, half, train=True, key=key)["loss"], halves)  # noqa: B023
        return found, values(elbo, params, x)

    found, told = one_program(bounds, params, x)
    for halves in found.values():  # of each part of the set, for any noise, in training too
        np.testing.assert_allclose(halves, nll.reshape(2, 20).mean(1), rtol=1e-5)
    assert told["loss"] == pytest.approx(nll.mean(), abs=0.01)
    assert told["nll"] == pytest.approx(nll.mean(), rel=1e-5)


@pytest.mark.slow
def test_with_another_posterior_the_bound_tightens_with_the_draws():
    random = np.random.default_rng(0)
    params, x, nll = linear_gaussian()
    true = params["encoder"]["Dense_0"]
    kernel = true["kernel"] + np.pad(0.08 * random.normal(size=(5, 2)).astype(np.float32), ((0, 0), (0, 2)))
    off = {"kernel": kernel, "bias": true["bias"] + np.float32([0.2, -0.2, 0.7, 0.7])}  # moved and wider
    model = Autoencoder(*linear(2, 5, sides=2), Normal())
    tasks = {draws: ImportanceWeighted(model, Gaussian(0.5), draws=draws) for draws in (1, 5, 50)}
    elbo = VariationalAutoencoding(model, Gaussian(0.5), importance=3000)

    def bounds(params, x):
        x = jnp.repeat(x, 10, 0)
        return [values(task, params, x, train=True)["loss"] for task in tasks.values()], values(elbo, params, x)

    found, told = one_program(bounds, {**params, "encoder": {"Dense_0": off}}, x)
    assert found[0] > found[1] + 0.02 > found[2] + 0.03 > nll.mean() + 0.02
    assert told["nll"] == pytest.approx(nll.mean(), abs=0.01)
    assert told["loss"] > nll.mean()


def test_a_latent_is_active_above_a_variance_of_a_hundredth():
    """Burda et al. 2016; variances 1, 0.09 and 0.0025."""
    code = np.outer(np.tile([-1, 1], 20), [1, 0.3, 0.05]).astype(np.float32)
    x = np.random.default_rng(0).random((40, 5), np.float32)
    task = VariationalAutoencoding(Autoencoder(*linear(3, 5, sides=2), Normal()), Gaussian(0.5))
    assert task.report({"code": code, "input": x, "reconstruction": x}, None)["active_units"] == 2


def test_beta_prices_the_divergence_and_may_be_traced():
    random = np.random.default_rng(0)
    x = random.random((6, 5)).astype(np.float32)
    task = VariationalAutoencoding(Autoencoder(*linear(2, 5, sides=2), Normal()))

    def priced(betas):
        params, _ = task.init(jax.random.key(0), batch_of(x))
        return jax.vmap(lambda beta: values(replace(task, beta=beta), params, x, train=True))(betas)

    got = one_program(priced, np.float32([0, 1, 4]))
    np.testing.assert_allclose(got["loss"], got["reconstruction"] + np.array([0, 1, 4]) * got["kl"], rtol=1e-6)
    assert got["kl"][0] > 0


def test_denoising_and_sparsity_act_in_training_only():
    random = np.random.default_rng(0)
    x = random.random((6, 5)).astype(np.float32)
    model = Autoencoder(*linear(4, 5), Activated(jax.nn.relu))
    plain = Autoencoding(model)
    sparse = replace(plain, sparsity=lambda z: 3.0 * l1_activity(z))
    full = replace(sparse, corrupt=noise.masking(0.5))

    def run(x):
        key = jax.random.key(0)
        params, _ = plain.init(key, batch_of(x))
        code = plain.predict(params, {}, batch_of(x), key)["code"]
        trained = [values(task, params, x, train=True) for task in (sparse, full)]
        return code, *trained, *(values(task, params, x) for task in (plain, full))

    code, sparse, full, evaluated, evaluated_full = one_program(run, x)
    assert sparse["sparsity"] == pytest.approx(3 * np.abs(code).sum(1).mean(), rel=1e-5)
    assert sparse["loss"] == pytest.approx(sparse["reconstruction"] + sparse["sparsity"], rel=1e-6)
    assert evaluated_full == evaluated
    assert full["reconstruction"] != pytest.approx(sparse["reconstruction"])


def test_wrong_requests_are_named():
    random = np.random.default_rng(0)
    x = random.normal(size=(6, 5)).astype(np.float32)
    task = Autoencoding(Autoencoder(*linear(2, 4)))

    def run():
        params, _ = task.init(jax.random.key(0), batch_of(x))
        task.objective(params, {}, batch_of(x), jax.random.key(0), 0, train=True)

    with pytest.raises(ValueError, match=r"the decoder gives \(4,\) for inputs of shape \(5,\)"):
        jax.eval_shape(run)
    fitting = Autoencoding(Autoencoder(*linear(2, 5)))
    exp = Experiment(data=InMemory({"train": {"x": x}}, 6, name="rows"), task=fitting, optimizer=adamw(1e-3), steps=1)
    with pytest.raises(
        ValueError, match=r"rows, train split: a Bernoulli likelihood needs inputs in \[0, 1\].*in_unit_range"
    ):
        jaxdl.train(lambda: exp)
