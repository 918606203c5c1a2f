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

from jaxdl import Experiment, api
from jaxdl.data.stream import InMemory
from jaxdl.engine.evaluate import evaluate
from jaxdl.engine.loop import Limits
from jaxdl.layers.quantize import VectorQuantizer
from jaxdl.losses.activity import l1_activity
from jaxdl.metrics.reduction import pca
from jaxdl.models.autoencoder import Activated, Autoencoder, Normal, SpatialDecoder, SpatialEncoder
from jaxdl.models.mlp import MLP
from jaxdl.optim import adamw
from jaxdl.tasks import noise
from jaxdl.tasks.autoencoding import (
    Autoencoding,
    ImportanceWeighted,
    QuantizedAutoencoding,
    VariationalAutoencoding,
)
from jaxdl.tasks.coder import Gaussian

KEY = jax.random.key(0)


def batch_of(x):
    return {"x": jnp.asarray(x, jnp.float32), "mask": jnp.ones(len(x)), "y": jnp.zeros(len(x), jnp.int32)}


def means(task, variables, batch, *, train=False, key=KEY):
    """The loss and every metric of a task, compiled."""

    def run(params, batch, key):
        return task.objective(params, {}, batch, key, jnp.int32(0), train=train)

    loss, (_, metrics) = jax.jit(run)(variables, batch, key)
    return {name: float(s / w) for name, (s, w) in metrics.items()} | {"loss": float(loss)}


def linear(width, values, *, sides=1):
    return MLP((), sides * width), MLP((), values)


# -- PCA ----------------------------------------------------------------------------------------------------------------


def test_a_trained_linear_autoencoder_spans_the_pca_subspace():
    random = np.random.default_rng(0)
    mixing = np.linalg.qr(random.normal(size=(8, 8)))[0] * [2, 1.6, 1.3, 0.4, 0.3, 0.3, 0.2, 0.1]
    x = (random.normal(size=(300, 8)) @ mixing.T).astype(np.float32)
    task = Autoencoding(Autoencoder(*linear(3, 8)), Gaussian())
    params, _ = task.init(KEY, batch_of(x))
    steps = 10_000
    optimizer = optax.adam(optax.cosine_decay_schedule(0.02, steps))

    @jax.jit
    def train(params, batch):
        def step(carry, i):
            params, state = carry
            grads = jax.grad(lambda p: task.objective(p, {}, batch, KEY, i, train=True)[0])(params)
            updates, state = optimizer.update(grads, state)
            return (optax.apply_updates(params, updates), state), None

        return jax.lax.scan(step, (params, optimizer.init(params)), jnp.arange(steps))[0][0]

    params = train(params, batch_of(x))
    best = pca(x, 3)
    for part, kernel in (("decoder", lambda k: k.T), ("encoder", lambda k: k)):
        kernel = kernel(np.asarray(params[part]["Dense_0"]["kernel"], np.float64))
        assert subspace_angles(kernel, best.components.T).max() < 1e-3
    told = task.predict(params, {}, batch_of(x), KEY)
    error = np.mean((np.asarray(told["reconstruction"], np.float64) - x) ** 2)
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
    return jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), params), x, nll


def test_with_the_true_posterior_every_bound_is_the_likelihood():
    params, x, nll = linear_gaussian()
    model = Autoencoder(*linear(2, 5, sides=2), Normal())
    for draws in (1, 7):
        task = ImportanceWeighted(model, Gaussian(0.5), draws=draws)
        for i in (0, 20):  # of each part of the set, for any noise, in training too
            got = means(task, params, batch_of(x[i : i + 20]), train=True, key=jax.random.key(draws))
            assert got["loss"] == pytest.approx(nll[i : i + 20].mean(), rel=1e-5)
    elbo = VariationalAutoencoding(model, Gaussian(0.5), draws=4000, importance=3)
    got = means(elbo, params, batch_of(x))
    assert got["loss"] == pytest.approx(nll.mean(), abs=0.01)
    assert got["nll"] == pytest.approx(nll.mean(), rel=1e-5)


def test_with_another_posterior_the_bound_tightens_with_the_draws():
    random = np.random.default_rng(0)
    params, x, nll = linear_gaussian()
    true = params["encoder"]["Dense_0"]
    kernel = true["kernel"].at[:, :2].add(0.08 * random.normal(size=(5, 2)))
    off = {"Dense_0": {"kernel": kernel, "bias": true["bias"] + jnp.array([0.2, -0.2, 0.7, 0.7])}}  # moved and wider
    params, batch = {**params, "encoder": off}, batch_of(np.repeat(x, 10, 0))
    model, found = Autoencoder(*linear(2, 5, sides=2), Normal()), []
    for draws in (1, 5, 50):
        found.append(means(ImportanceWeighted(model, Gaussian(0.5), draws=draws), params, batch, train=True)["loss"])
    elbo = VariationalAutoencoding(model, Gaussian(0.5), importance=3000)
    told = means(elbo, params, batch_of(x))
    assert found[0] > found[1] + 0.02 > found[2] + 0.03 > nll.mean() + 0.02
    assert told["nll"] == pytest.approx(nll.mean(), abs=0.01)
    assert told["loss"] > nll.mean()


def test_beta_prices_the_divergence_and_may_be_traced():
    random = np.random.default_rng(0)
    x = random.random((6, 5)).astype(np.float32)
    task = VariationalAutoencoding(Autoencoder(*linear(2, 5, sides=2), Normal()))
    params, _ = task.init(KEY, batch_of(x))

    @jax.jit
    @jax.vmap
    def priced(beta):
        return replace(task, beta=beta).objective(params, {}, batch_of(x), KEY, 0, train=True)[1][1]

    got = {name: np.asarray(s / w) for name, (s, w) in priced(jnp.array([0.0, 1.0, 4.0])).items()}
    np.testing.assert_allclose(got["loss"], got["reconstruction"] + np.array([0, 1, 4]) * got["kl"], rtol=1e-6)
    assert got["kl"][0] > 0


def test_denoising_and_sparsity_act_in_training_only():
    random = np.random.default_rng(0)
    x = random.random((6, 5)).astype(np.float32)
    model = Autoencoder(*linear(4, 5), Activated(jax.nn.relu))
    plain = Autoencoding(model)
    params, _ = plain.init(KEY, batch_of(x))
    full = replace(plain, corrupt=noise.masking(0.5), sparsity=lambda z: 3.0 * l1_activity(z))
    code = np.asarray(plain.predict(params, {}, batch_of(x), KEY)["code"])
    sparse = means(replace(plain, sparsity=lambda z: 3.0 * l1_activity(z)), params, batch_of(x), train=True)
    assert sparse["sparsity"] == pytest.approx(3 * np.abs(code).sum(1).mean(), rel=1e-5)
    assert sparse["loss"] == pytest.approx(sparse["reconstruction"] + sparse["sparsity"], rel=1e-6)
    assert means(full, params, batch_of(x)) == means(plain, params, batch_of(x))
    assert means(full, params, batch_of(x), train=True)["reconstruction"] != pytest.approx(sparse["reconstruction"])


# -- runs ---------------------------------------------------------------------------------------------------------------


@cache
def bars(batch):
    """Images of one bright row or column."""

    def rows(n, seed):
        y = np.random.default_rng(seed).integers(0, 16, n).astype(np.int32)
        x = np.zeros((n, 8, 8, 1), np.float32)
        for image, i in zip(x, y, strict=True):
            image[i % 8 if i < 8 else slice(None), i % 8 if i >= 8 else slice(None)] = 1
        return {"x": x, "y": y}

    return InMemory({"train": rows(64, 0), "validation": rows(21, 1)}, batch, name="bars", split="drawn bars")


def variational(*, beta: float = 1.0, lr: float = 0.01, batch: int = 8, seed: int = 0) -> Experiment:
    model = Autoencoder(MLP((16,), 6), MLP((16,), 64), Normal())
    return Experiment(
        data=bars(batch),
        task=VariationalAutoencoding(model, beta=beta, importance=4, baseline=pca(bars(8).splits["train"]["x"], 3)),
        optimizer=adamw(lr),
        steps=6,
        eval_every=3,
        seed=seed,
    )


def quantized(*, average: float = 0.9, lr: float = 0.01, seed: int = 0) -> Experiment:
    model = Autoencoder(SpatialEncoder(3, (4,)), SpatialDecoder(1, (4,)), VectorQuantizer(8, decay=average))
    return Experiment(
        data=bars(8), task=QuantizedAutoencoding(model, Gaussian(0.5)), optimizer=adamw(lr), steps=6, eval_every=3, seed=seed
    )  # fmt: skip


def begun(exp):
    """The state before the first step."""
    prepared = api.prepare(exp)
    return prepared.program.init(dict(prepared.traced))


def test_an_evaluation_does_not_depend_on_the_batch_and_shows_what_it_should():
    found = {}
    for batch in (8, 32):
        prepared = api.prepare(variational(batch=batch))
        weights = prepared.program.weights(dict(prepared.traced), begun(variational(batch=batch)))
        found[batch] = evaluate(
            prepared.program, prepared.experiment.task, dict(prepared.traced), weights, "validation"
        )
    few, many = found.values()
    assert {"loss", "nll", "kl", "mse", "pca_mse", "knn_accuracy", "trustworthiness", "active_units"} <= set(
        few.metrics
    )
    for name, value in many.metrics.items():
        assert few.metrics[name] == pytest.approx(value, rel=1e-5), name
    assert many.metrics["nll"] < many.metrics["loss"]
    images = many.report
    assert images["reconstructions"].shape == (42, 8, 8, 1)
    assert images["samples"].shape == (21, 8, 8, 1), "as many as there are rows"
    assert images["traversals"].shape == (21, 8, 8, 1)
    np.testing.assert_allclose(few.report["samples"], images["samples"][:8], rtol=1e-5, err_msg="fixed latents")
    assert images["latent_map"].shape == (21, 2)
    np.testing.assert_array_equal(images["reconstructions"][:8], bars(8).splits["validation"]["x"][:8])
    told = prepared.predict(weights, bars(8).splits["validation"]["x"])
    assert set(told) == {"code", "reconstruction"}
    np.testing.assert_allclose(told["reconstruction"], many.outputs["reconstruction"], rtol=1e-5)


@pytest.mark.slow
def test_a_quantized_run_resumes_bit_for_bit_and_predicts(tmp_path):
    whole = api.train(quantized(), run=tmp_path / "a", quiet=True)
    part = api.train(quantized(), run=tmp_path / "b", quiet=True, limits=Limits(stop_at=2))
    part = api.train(quantized(), run=tmp_path / "b", resume=part.folder, quiet=True)
    same = jax.tree.map(
        np.array_equal, *((r.state.params, r.state.model_state, r.state.opt_state) for r in (whole, part))
    )
    assert jax.tree.all(same)
    start, end = (state.model_state["codebook"]["bottleneck"]["count"] for state in (begun(quantized()), whole.state))
    assert not np.array_equal(start, end)
    x = bars(8).splits["validation"]["x"]
    told = api.load(whole.folder, "last", config=quantized).predict(x)
    assert told["index"].shape == (21, 4, 4)
    assert told["reconstruction"].shape == x.shape
    result = whole.evaluate("validation")
    assert 1 <= result.metrics["perplexity"] <= result.metrics["codes_used"] <= 8
    assert {p.name for p in (whole.folder / "samples").iterdir()} == {
        f"{name}-{step:06d}.png" for name in ("reconstructions", "samples", "latent_map") for step in (3, 6)
    }
    text = (whole.folder / "report.md").read_text()
    assert "what is left of it after its code" in text
    assert "reconstructions.gif" in text


@pytest.mark.slow
def test_members_of_a_sweep_over_beta_and_seeds_are_the_runs_alone():
    from jaxdl.engine.population import Members

    alone = []
    settings = [(0.5, 0), (4.0, 1)]
    for beta, seed in settings:
        prepared = api.prepare(variational(beta=beta, seed=seed))
        state = prepared.program.init(dict(prepared.traced))
        source = prepared.program.place(prepared.experiment.data.source(0, 6, seed))
        state, _ = prepared.program.chunk(dict(prepared.traced), state, source, np.int32(6), np.int32(9))
        alone.append(jax.device_get(state.params))
    assert {"beta", "lr", "seed"} <= set(prepared.traced)
    knobs = {name: np.stack([value] * 2) for name, value in prepared.traced.items()}
    knobs |= {"beta": np.float32([b for b, _ in settings]), "seed": np.int32([s for _, s in settings])}
    program = type(prepared.program)(
        prepared.experiment.origin.build, prepared.experiment.data, knobs, members=Members()
    )
    state = program.init(knobs)
    state, _ = program.chunk(knobs, state, source, np.int32(6), np.int32(9))
    for i, want in enumerate(alone):
        for a, b in zip(jax.tree.leaves(want), jax.tree.leaves(state.params), strict=True):
            np.testing.assert_allclose(b[i], a, rtol=2e-4, atol=2e-6)


def test_wrong_requests_are_named():
    random = np.random.default_rng(0)
    x = random.normal(size=(6, 5)).astype(np.float32)
    task = Autoencoding(Autoencoder(*linear(2, 4)))
    params, _ = task.init(KEY, batch_of(x))
    with pytest.raises(ValueError, match=r"the decoder gives \(4,\) for inputs of shape \(5,\)"):
        jax.eval_shape(lambda: task.objective(params, {}, batch_of(x), KEY, 0, train=True))
    fitting = Autoencoding(Autoencoder(*linear(2, 5)))
    exp = Experiment(data=InMemory({"train": {"x": x}}, 6, name="rows"), task=fitting, optimizer=adamw(1e-3), steps=1)
    with pytest.raises(
        ValueError, match=r"rows, train split: a Bernoulli likelihood needs inputs in \[0, 1\].*in_unit_range"
    ):
        api.train(exp)


@pytest.mark.slow
def test_labels_are_not_needed_and_new_examples_come_of_the_prior(tmp_path):
    data = bars(8)
    data = replace(data, splits={part: {"x": arrays["x"]} for part, arrays in data.splits.items()})
    run = api.train(replace(variational(), origin=None, data=data), run=tmp_path, quiet=True)
    metrics = run.evaluate("validation").metrics
    assert "trustworthiness" in metrics
    assert "knn_accuracy" not in metrics
    assert (run.folder / "plots" / "latent_map.png").is_file()
    task, batch = run.experiment.task, {"x": np.zeros((5, 8, 8, 1), np.float32)}
    made = np.asarray(jax.jit(task.sample)(*run.weights, batch, jax.random.key(0)))
    assert made.shape == (5, 8, 8, 1)
    assert 0 <= made.min() < made.max() <= 1
    assert len(np.unique(made.reshape(5, -1), axis=0)) == 5
