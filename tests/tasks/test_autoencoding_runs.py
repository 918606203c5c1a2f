"""Autoencoders trained: evaluation, what a report shows, resume, sweeps, and data without labels."""

from dataclasses import replace
from functools import cache

import jax
import numpy as np
import pytest

import jaxdl
from jaxdl import Experiment
from jaxdl.data.source import InMemory
from jaxdl.engine.evaluate import evaluate
from jaxdl.engine.loop import Limits
from jaxdl.engine.program import Program
from jaxdl.engine.traced import Members
from jaxdl.layers.quantize import VectorQuantizer
from jaxdl.metrics.reduction import pca
from jaxdl.models.autoencoder import Autoencoder, Normal, SpatialDecoder, SpatialEncoder
from jaxdl.models.mlp import MLP
from jaxdl.optim import adamw
from jaxdl.runs.prepare import prepare
from jaxdl.runs.run import Run
from jaxdl.setup import Setup
from jaxdl.tasks.autoencoding import QuantizedAutoencoding, VariationalAutoencoding
from jaxdl.tasks.coder import Gaussian
from tests.programs import one_program


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
    return prepare(Setup.of(lambda: exp, {})).init()


@pytest.mark.slow
@pytest.mark.programs(8, "evaluations of two batch sizes, and predictions")
def test_an_evaluation_does_not_depend_on_the_batch_and_shows_what_it_should():
    found, state = {}, None
    for batch in (8, 32):
        program = prepare(Setup.of(variational, {"batch": batch}))
        state = program.init() if state is None else state
        found[batch] = evaluate(program, program.weights(state), "validation")
    few, many = found.values()
    assert {"loss", "nll", "kl", "mse", "pca_mse", "knn_accuracy", "trustworthiness", "active_units"} <= set(
        few.metrics
    )
    for name, value in many.metrics.items():
        assert few.metrics[name] == pytest.approx(value, rel=1e-5), name
    assert many.metrics["nll"] < many.metrics["loss"]
    images = {name: np.asarray(picture) for name, picture in many.report.items()}
    assert images["reconstructions"].shape == (42, 8, 8, 1)
    assert images["samples"].shape == (21, 8, 8, 1), "as many as there are rows"
    assert images["traversals"].shape == (21, 8, 8, 1)
    np.testing.assert_allclose(few.report["samples"], images["samples"][:8], rtol=1e-5, err_msg="fixed latents")
    assert many.report["latent_map"].points.shape == (21, 2)
    np.testing.assert_array_equal(images["reconstructions"][:8], bars(8).splits["validation"]["x"][:8])
    told = Run(Setup.of(variational, {"batch": 32}), program, state).predict(bars(8).splits["validation"]["x"])
    assert set(told) == {"code", "reconstruction"}
    np.testing.assert_allclose(told["reconstruction"], many.outputs["reconstruction"], rtol=1e-5)


@pytest.mark.slow
@pytest.mark.programs(30, "three runs with their reports")
def test_a_quantized_run_resumes_bit_for_bit_and_predicts(tmp_path):
    whole = jaxdl.train(quantized, run=tmp_path / "a", quiet=True)
    part = jaxdl.train(quantized, run=tmp_path / "b", quiet=True, limits=Limits(stop_at=2))
    part = jaxdl.train(quantized, run=tmp_path / "b", resume=part.folder, quiet=True)
    same = jax.tree.map(
        np.array_equal, *((r.state.params, r.state.model_state, r.state.opt_state) for r in (whole, part))
    )
    assert jax.tree.all(same)
    start, end = (state.model_state["codebook"]["bottleneck"]["count"] for state in (begun(quantized()), whole.state))
    assert not np.array_equal(start, end)
    x = bars(8).splits["validation"]["x"]
    told = jaxdl.load(whole.folder, "last", config=quantized).predict(x)
    assert told["index"].shape == (21, 4, 4)
    assert told["reconstruction"].shape == x.shape
    result = whole.evaluate("validation")
    assert 1 <= result.metrics["perplexity"] <= result.metrics["codes_used"] <= 8
    assert {p.name for p in (whole.folder / "samples").iterdir()} == {
        f"{name}-{step:06d}.png" for name in ("reconstructions", "samples", "latent_map") for step in (3, 6)
    }
    text = (whole.folder / "report.md").read_text(encoding="utf-8")
    assert "(plots/reconstructions.png)" in text
    assert "reconstructions.gif" in text


@pytest.mark.slow
@pytest.mark.programs(20, "a sweep, and its members alone")
def test_members_of_a_sweep_over_beta_and_seeds_are_the_runs_alone():
    alone = []
    settings = [(0.5, 0), (4.0, 1)]
    for beta, seed in settings:
        setup = Setup.of(variational, {"beta": beta, "seed": seed})
        program = prepare(setup)
        source = program.place(program.exp.data.source(0, 6, seed))
        state, _ = program.chunk(program.init(), source, np.int32(6), np.int32(9))
        alone.append(jax.device_get(state.params))
    assert {"beta", "lr", "seed"} <= set(program.knobs)
    knobs = {name: np.stack([value] * 2) for name, value in program.knobs.items()}
    knobs |= {"beta": np.float32([b for b, _ in settings]), "seed": np.int32([s for _, s in settings])}
    program = Program(program.exp, setup.build, knobs, members=Members())
    state, _ = program.chunk(program.init(), source, np.int32(6), np.int32(9))
    for i, want in enumerate(alone):
        for a, b in zip(jax.tree.leaves(want), jax.tree.leaves(state.params), strict=True):
            np.testing.assert_allclose(b[i], a, rtol=2e-4, atol=2e-6)


@pytest.mark.slow
@pytest.mark.programs(16, "a run with its report")
def test_labels_are_not_needed_and_new_examples_come_of_the_prior(tmp_path):
    data = bars(8)
    data = replace(data, splits={part: {"x": arrays["x"]} for part, arrays in data.splits.items()})
    run = jaxdl.train(lambda: replace(variational(), data=data), run=tmp_path, quiet=True)
    metrics = run.evaluate("validation").metrics
    assert "trustworthiness" in metrics
    assert "knn_accuracy" not in metrics
    assert (run.folder / "plots" / "latent_map.png").is_file()
    task, batch = run.experiment.task, {"x": np.zeros((5, 8, 8, 1), np.float32)}
    made = one_program(task.sample, *run.weights, batch, jax.random.key(0))
    assert made.shape == (5, 8, 8, 1)
    assert 0 <= made.min() < made.max() <= 1
    assert len(np.unique(made.reshape(5, -1), axis=0)) == 5
