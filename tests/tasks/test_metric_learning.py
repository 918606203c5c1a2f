"""Metric learning: the losses by hand, on every cut of the batch over devices; views, probe, reports, a whole run."""

import importlib
import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxdl.augment import views
from jaxdl.layers.dense import Dense
from jaxdl.losses import arcface, cross_entropy, mined_triplet, nt_xent, paired_contrastive, supervised_contrastive
from jaxdl.losses.metric_learning import normalize
from jaxdl.models.projection import Projected
from jaxdl.tasks.metric_learning import MetricLearning
from jaxdl.tracing import rows_from
from tests.programs import one_program
from tests.tables import rows

HERE = Path(__file__).parent


class Linear(nn.Module):
    """W·x, so that everything can be worked out by hand."""

    dim: int = 3

    @nn.compact
    def __call__(self, x, *, train, features=False):
        e = x.reshape(len(x), -1) @ self.param("kernel", nn.initializers.normal(1.0), (x[0].size, self.dim))
        return (e, {"input": x.reshape(len(x), -1)}) if features else e


RANDOM = np.random.default_rng(0)
BATCH = {
    "x": RANDOM.normal(size=(8, 5)).astype(np.float32),
    "y": np.array([0, 0, 1, 1, 2, 2, 2, 0], np.int32),
    "mask": np.ones(8, np.float32),
}


def objective(task, params, batch=BATCH, train=True):
    return task.objective(params, {}, batch, jax.random.key(0), jnp.int32(0), train=train)


def values(task, params, batch=BATCH, train=True):
    """Loss and metrics, to be compiled."""
    loss, (_, metrics) = objective(task, params, batch, train)
    return loss, means(metrics)


def means(metrics):
    return {name: total / weight for name, (total, weight) in metrics.items()}


WITHIN = {
    "triplet": mined_triplet,
    "contrastive": paired_contrastive,
    "nt_xent": nt_xent,
    "supcon": supervised_contrastive,
}
TASKS = {name: MetricLearning(Linear(), loss) for name, loss in WITHIN.items()}
PADDED = {**BATCH, "mask": np.float32([1, 1, 0, 1, 1, 1, 0, 1])}
REAL, ANCHORS = np.array([0, 1, 3, 4, 5, 7]), np.array([0, 1, 3, 4, 5])  # row 3 of the padded batch has no partner left
PARAMS = {"kernel": RANDOM.normal(size=(5, 3)).astype(np.float32)}


def test_a_loss_within_the_batch_is_its_mean_over_anchors_with_a_partner():
    def all_losses(params):
        e, y = normalize(BATCH["x"] @ params["kernel"]), jnp.asarray(BATCH["y"])
        of_task = {n: [objective(task, params, b)[0] for b in (BATCH, PADDED)] for n, task in TASKS.items()}
        by_hand = {n: [f(e, y).mean(), f(e[REAL], y[REAL])[ANCHORS].mean()] for n, f in WITHIN.items()}
        return of_task, by_hand

    of_task, by_hand = one_program(all_losses, PARAMS)
    chex.assert_trees_all_close(of_task, by_hand, rtol=1e-5)


def test_similarities_show_what_a_batch_is_like():
    e, y = BATCH["x"] @ PARAMS["kernel"], BATCH["y"]
    e /= np.linalg.norm(e, axis=1, keepdims=True)
    same = (y[:, None] == y) & ~np.eye(8, dtype=bool)
    loss, metrics = one_program(partial(values, TASKS["nt_xent"]), PARAMS)
    assert metrics["loss"] == pytest.approx(loss)
    assert metrics["similarity_same"] == pytest.approx((e @ e.T)[same].mean(), rel=1e-5)
    assert metrics["similarity_other"] == pytest.approx((e @ e.T)[y[:, None] != y].mean(), rel=1e-5)


def test_losses_against_classes_read_cosines_or_logits():
    margin = MetricLearning(Linear(), lambda c, y: arcface(c, y, scale=8.0), classes=4)
    plain = MetricLearning(Linear(), cross_entropy, classes=4, head="linear")

    def run():
        params, _ = margin.init(jax.random.key(0), BATCH)
        e, w, y = BATCH["x"] @ params["kernel"], params["centres"], jnp.asarray(BATCH["y"])
        cosines = (e / jnp.linalg.norm(e, axis=1)[:, None]) @ (w / jnp.linalg.norm(w, axis=0)[None])
        wanted = arcface(cosines, y, scale=8.0).mean(), cross_entropy(e @ w, y).mean()
        found = values(margin, params), values(plain, params), values(margin, params, train=False)
        return params, cosines, wanted, found

    params, cosines, wanted, ((loss, metrics), (linear, _), (_, unseen)) = one_program(run)
    assert params["centres"].shape == (3, 4)
    assert loss == pytest.approx(float(wanted[0]), rel=1e-5)
    assert metrics["accuracy"] == pytest.approx((cosines.argmax(1) == BATCH["y"]).mean())
    assert linear == pytest.approx(float(wanted[1]), rel=1e-5)
    assert set(unseen) == {"embedding_norm"}, "of unseen classes there is no loss"


OF_ALL = {**TASKS, "arcface": MetricLearning(Linear(), arcface, classes=3)}


@rows(OF_ALL, default=["supcon", "arcface"], name="task")
def test_the_loss_is_over_the_batch_of_all_devices(task):
    """The device axis bound by vmap, as pmap binds it: sums of losses and gradients, divided by summed weights, are exact."""
    batch = {**BATCH, "mask": np.float32([1, 1, 0, 1, 1, 1, 1, 1])}  # so that devices have different weights
    cut = {name: a.reshape(4, 2, *a.shape[1:]) for name, a in batch.items()}
    params = {**PARAMS, "centres": np.random.default_rng(1).normal(size=(3, 3)).astype(np.float32)}

    def part(params, rows):
        (loss, (_, metrics)), grads = jax.value_and_grad(lambda p: objective(task, p, rows), has_aux=True)(params)
        weight = metrics["loss"][1]
        sums = jax.tree.map(lambda a: jax.lax.psum(a * weight, "data"), (loss, grads))
        return jax.tree.map(lambda a: a / jax.lax.psum(weight, "data"), sums), jax.lax.psum(metrics, "data")

    def both_ways(params, batch, cut):
        whole = jax.value_and_grad(lambda p: objective(task, p, batch), has_aux=True)(params)
        return whole, jax.vmap(lambda rows: part(params, rows), axis_name="data")(cut)

    ((loss, (_, metrics)), grads), ((ours, slopes), sums) = one_program(both_ways, params, batch, cut)
    np.testing.assert_allclose(ours, np.full(4, loss), rtol=2e-6)
    chex.assert_trees_all_close(jax.tree.map(lambda a: a[0], slopes), grads, rtol=1e-4, atol=1e-6)
    chex.assert_trees_all_close(means(jax.tree.map(lambda a: a[0], sums)), means(metrics), rtol=1e-5)


def test_views_of_an_example_belong_together_and_labels_do_not_matter():
    flip = views.several(lambda key, batch: batch | {"x": batch["x"] + 0.3 * jax.random.normal(key, batch["x"].shape)})
    task, params = MetricLearning(Linear(), nt_xent, views=2, by_example=True), PARAMS
    by_class = MetricLearning(Linear(), supervised_contrastive, views=2)

    def run(batch):
        two = flip(jax.random.key(0), batch)
        e = normalize(two["x"].reshape(16, 5) @ params["kernel"])
        with rows_from(40):  # later rows of a larger batch
            loss, _ = values(task, params, two)
        wanted = nt_xent(e, jnp.repeat(jnp.arange(8), 2)).mean()
        class_loss = supervised_contrastive(e, jnp.repeat(batch["y"], 2)).mean()
        return two, loss, wanted, values(by_class, params, two)[0], class_loss

    two, loss, wanted, class_loss, class_wanted = one_program(run, BATCH)
    assert two["x"].shape == (8, 2, 5)
    assert not np.allclose(two["x"][:, 0], two["x"][:, 1])
    assert loss == pytest.approx(float(wanted), rel=1e-5)
    assert class_loss == pytest.approx(float(class_wanted), rel=1e-5)
    with pytest.raises(ValueError, match=r"views = 2, but the batch .* augment with views.several"):
        jax.eval_shape(lambda: values(task, params))
    with pytest.raises(ValueError, match="by_example needs two views"):
        MetricLearning(Linear(), nt_xent, by_example=True)


def test_a_probe_reads_the_representation_and_leaves_it_alone():
    task = MetricLearning(
        Projected(Linear(4), hidden=6, dim=2), nt_xent, embedding="representation", probe=3, normalise=False
    )

    def run():
        params, _ = task.init(jax.random.key(0), BATCH)
        h = BATCH["x"] @ params["backbone"]["kernel"]
        logits = h @ params["probe"]["kernel"]
        wanted = cross_entropy(logits, jnp.asarray(BATCH["y"])).mean()
        grads = jax.grad(lambda p: objective(task, p, train=False)[0])(params)
        told = task.predict(params, {}, BATCH, jax.random.key(0))
        return params, h, logits, wanted, values(task, params, train=False), grads, told

    params, h, logits, wanted, (loss, metrics), grads, outputs = one_program(run)
    assert params["probe"]["kernel"].shape == (4, 3)
    assert loss == metrics["probe_loss"] == pytest.approx(float(wanted), rel=1e-5)
    assert np.abs(grads["probe"]["kernel"]).max() > 1e-3
    assert np.abs(grads["backbone"]["kernel"]).max() == 0
    np.testing.assert_allclose(outputs["embedding"], h, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(outputs["probe_label"], logits.argmax(1))
    with pytest.raises(ValueError, match="embedding = 'h' is none of the model's features: representation"):
        jax.eval_shape(MetricLearning(Projected(Linear(4)), nt_xent, embedding="h").init, jax.random.key(0), BATCH)


def test_mirrored_embeddings_see_both_sides():
    x = RANDOM.normal(size=(2, 3, 4, 1)).astype(np.float32)
    task = MetricLearning(Linear(), nt_xent, mirror=True)
    batch = {"x": x, "y": np.arange(2), "mask": np.ones(2, np.float32)}

    def run(batch):
        params, _ = task.init(jax.random.key(0), batch)
        told = lambda x: task.predict(params, {}, {**batch, "x": x}, jax.random.key(0))["embedding"]
        return jax.lax.map(told, jnp.stack([batch["x"], batch["x"][:, :, ::-1]]))

    one, mirrored = one_program(run, batch)
    np.testing.assert_allclose(one, mirrored, rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(one, axis=1), np.ones(2), rtol=1e-6)


@pytest.mark.parametrize("name", ["faces", "lfw_verification"])
def test_each_margin_has_its_own_default(name, tmp_path):
    config = importlib.import_module(f"experiments.{name}").config
    for i in range(24):
        (tmp_path / "abcdefgh"[i // 3]).mkdir(exist_ok=True)
        image = Image.fromarray(np.full((4, 4, 3), i, np.uint8))
        image.save(tmp_path / "abcdefgh"[i // 3] / f"{'abcdefgh'[i // 3]}_{i % 3 + 1:04d}.png")
    pairs = tmp_path / "pairs.txt"
    pairs.write_text("a 1 2\na 1 b 2\nb 2 3\na 2 b 1\n", encoding="utf-8")
    knobs = {"faces": {"size": 4}, "lfw_verification": {"lfw": str(tmp_path), "dev_pairs": str(pairs), "workers": 0}}[
        name
    ]
    knobs |= {"folder": str(tmp_path), "pairs": str(pairs), "batch": 4}
    margins = [config(loss=loss, **knobs).task.loss.keywords["margin"] for loss in ("arcface", "cosface")]
    assert margins == [0.5, 0.4]
    assert float(config(loss="cosface", margin=0.3, **knobs).task.loss.keywords["margin"]) == pytest.approx(0.3)


def test_labels_that_the_loss_cannot_mean_are_refused():
    with pytest.raises(ValueError, match=r"labels to train on must lie in 0 … 1, got 0 to 2"):
        MetricLearning(Linear(), arcface, classes=2).check(BATCH["y"])
    MetricLearning(Linear(), nt_xent).check(BATCH["y"] + 100)
    assert MetricLearning(Linear(), arcface, classes=2).open_set
    assert not MetricLearning(Linear(), nt_xent, probe=2).open_set
    with pytest.raises(ValueError, match="head = 'sine'"):
        MetricLearning(Linear(), arcface, classes=2, head="sine")
    wrong = {**BATCH, "x": np.zeros((2, 3, 4), np.float32)}
    with pytest.raises(ValueError, match=r"the model's output must be \(batch, dim\)"):
        jax.eval_shape(MetricLearning(Dense(2), nt_xent).init, jax.random.key(0), wrong)


@pytest.mark.slow
def test_a_run_resumes_is_reported_and_is_the_same_on_many_devices(tmp_path):
    """In a process of its own with 4 devices: see metric_runs.py."""
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_collective_call_terminate_timeout_seconds=60"
    env = {**os.environ, "PYTHONPATH": str(HERE.parents[1]), "XLA_FLAGS": flags}
    words = [sys.executable, str(HERE / "metric_runs.py"), str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=600, env=env, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    one = found["one"]
    for mesh in ("data", "pmap"):
        np.testing.assert_allclose(found[mesh]["losses"], one["losses"], atol=2e-6, rtol=0)
        np.testing.assert_allclose(found[mesh]["params"], one["params"], atol=1e-5, rtol=0)
    assert one["losses"][-1] < one["losses"][0]
    assert found["resumed"] == found["through"], "bit for bit"
    assert set(found["pictures"]) >= {"embedding_map.png", "neighbours.png", "roc.png", "learning_curves.png"}
    assert "map_at_r" in found["report"]
