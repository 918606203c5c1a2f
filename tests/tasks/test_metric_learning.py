"""Metric learning: the losses by hand, on every cut of the batch over devices; views, probe, reports, a whole run."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

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
from jaxdl.metrics import ranking
from jaxdl.models.projection import Projected
from jaxdl.tasks.metric_learning import MetricLearning
from jaxdl.tracing import rows_from

HERE, KEY = Path(__file__).parent, jax.random.key(0)


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
    return task.objective(params, {}, batch, KEY, jnp.int32(0), train=train)


def means(metrics):
    return {name: float(total / weight) for name, (total, weight) in metrics.items()}


def losses(task, params, batch=BATCH, train=True):
    loss, (_, metrics) = jax.jit(lambda p, b: objective(task, p, b, train))(params, batch)
    return float(loss), means(metrics)


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
    @jax.jit
    def all_losses(params):
        e, y = normalize(BATCH["x"] @ params["kernel"]), jnp.asarray(BATCH["y"])
        of_task = {n: [objective(task, params, b)[0] for b in (BATCH, PADDED)] for n, task in TASKS.items()}
        by_hand = {n: [f(e, y).mean(), f(e[REAL], y[REAL])[ANCHORS].mean()] for n, f in WITHIN.items()}
        return of_task, by_hand

    of_task, by_hand = all_losses(PARAMS)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), of_task, by_hand)


def test_similarities_show_what_a_batch_is_like():
    e, y = BATCH["x"] @ PARAMS["kernel"], BATCH["y"]
    e /= np.linalg.norm(e, axis=1, keepdims=True)
    same = (y[:, None] == y) & ~np.eye(8, dtype=bool)
    loss, metrics = losses(TASKS["nt_xent"], PARAMS)
    assert metrics["loss"] == pytest.approx(loss)
    assert metrics["similarity_same"] == pytest.approx((e @ e.T)[same].mean(), rel=1e-5)
    assert metrics["similarity_other"] == pytest.approx((e @ e.T)[y[:, None] != y].mean(), rel=1e-5)


def test_losses_against_classes_read_cosines_or_logits():
    margin = MetricLearning(Linear(), lambda c, y: arcface(c, y, scale=8.0), classes=4)
    params, _ = jax.jit(margin.init)(KEY, BATCH)
    assert params["centres"].shape == (3, 4)
    e, w = BATCH["x"] @ params["kernel"], params["centres"]
    cosines = (e / jnp.linalg.norm(e, axis=1)[:, None]) @ (w / jnp.linalg.norm(w, axis=0)[None])
    loss, metrics = losses(margin, params)
    assert loss == pytest.approx(float(arcface(cosines, BATCH["y"], scale=8.0).mean()), rel=1e-5)
    assert metrics["accuracy"] == pytest.approx(float((cosines.argmax(1) == BATCH["y"]).mean()))
    plain = MetricLearning(Linear(), cross_entropy, classes=4, head="linear")
    assert losses(plain, params)[0] == pytest.approx(float(cross_entropy(e @ w, BATCH["y"]).mean()), rel=1e-5)
    assert set(losses(margin, params, train=False)[1]) == {"embedding_norm"}, "of unseen classes there is no loss"


def test_the_loss_is_over_the_batch_of_all_devices():
    """The device axis bound by vmap, as pmap binds it: sums of losses and gradients, divided by summed weights, are exact."""
    batch = {**BATCH, "mask": np.float32([1, 1, 0, 1, 1, 1, 1, 1])}  # so that devices have different weights
    cut = jax.tree.map(lambda a: a.reshape(4, 2, *a.shape[1:]), batch)
    params = {**PARAMS, "centres": RANDOM.normal(size=(3, 3)).astype(np.float32)}
    tasks = {**TASKS, "arcface": MetricLearning(Linear(), arcface, classes=3)}

    def part(task, rows):
        (loss, (_, metrics)), grads = jax.value_and_grad(lambda p: objective(task, p, rows), has_aux=True)(params)
        weight = metrics["loss"][1]
        sums = jax.tree.map(lambda a: jax.lax.psum(a * weight, "data"), (loss, grads))
        return jax.tree.map(lambda a: a / jax.lax.psum(weight, "data"), sums), jax.lax.psum(metrics, "data")

    @jax.jit
    def both_ways():
        whole = {
            n: jax.value_and_grad(lambda p, t=t: objective(t, p, batch), has_aux=True)(params) for n, t in tasks.items()
        }
        parts = {n: jax.vmap(lambda rows, t=t: part(t, rows), axis_name="data")(cut) for n, t in tasks.items()}
        return whole, parts

    whole, parts = both_ways()
    for name, ((loss, (_, metrics)), grads) in whole.items():
        (ours, slopes), sums = parts[name]
        np.testing.assert_allclose(ours, np.full(4, loss), rtol=2e-6)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a[0], b, rtol=1e-4, atol=1e-6), slopes, grads)
        assert means(jax.tree.map(lambda a: a[0], sums)) == pytest.approx(means(metrics), rel=1e-5)


def test_views_of_an_example_belong_together_and_labels_do_not_matter():
    flip = views.several(lambda key, batch: batch | {"x": batch["x"] + 0.3 * jax.random.normal(key, batch["x"].shape)})
    two = jax.jit(flip)(KEY, {name: jnp.asarray(value) for name, value in BATCH.items()})
    assert two["x"].shape == (8, 2, 5)
    assert not np.allclose(two["x"][:, 0], two["x"][:, 1])
    task, params = MetricLearning(Linear(), nt_xent, views=2, by_example=True), PARAMS
    e = normalize(two["x"].reshape(16, 5) @ params["kernel"])
    with rows_from(40):  # later rows of a larger batch
        loss, _ = losses(task, params, two)
    assert loss == pytest.approx(float(jax.jit(nt_xent)(e, jnp.repeat(jnp.arange(8), 2)).mean()), rel=1e-5)
    by_class = MetricLearning(Linear(), supervised_contrastive, views=2)
    wanted = jax.jit(supervised_contrastive)(e, jnp.repeat(BATCH["y"], 2)).mean()
    assert losses(by_class, params, two)[0] == pytest.approx(float(wanted), rel=1e-5)
    with pytest.raises(ValueError, match=r"views = 2, but the batch .* augment with views.several"):
        losses(task, params)
    with pytest.raises(ValueError, match="by_example needs two views"):
        MetricLearning(Linear(), nt_xent, by_example=True)


def test_a_probe_reads_the_representation_and_leaves_it_alone():
    task = MetricLearning(
        Projected(Linear(4), hidden=6, dim=2), nt_xent, embedding="representation", probe=3, normalise=False
    )
    params, _ = jax.jit(task.init)(KEY, BATCH)
    assert params["probe"]["kernel"].shape == (4, 3)
    h = BATCH["x"] @ params["backbone"]["kernel"]
    logits = h @ params["probe"]["kernel"]
    loss, metrics = losses(task, params, train=False)
    assert loss == metrics["probe_loss"] == pytest.approx(float(cross_entropy(logits, BATCH["y"]).mean()), rel=1e-5)
    grads = jax.jit(jax.grad(lambda p: objective(task, p, train=False)[0]))(params)
    assert float(jnp.abs(grads["probe"]["kernel"]).max()) > 1e-3
    assert float(jnp.abs(grads["backbone"]["kernel"]).max()) == 0
    outputs = jax.jit(lambda b: task.predict(params, {}, b, KEY))(BATCH)
    np.testing.assert_allclose(outputs["embedding"], h, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(outputs["probe_label"], logits.argmax(1))
    with pytest.raises(ValueError, match="embedding = 'h' is none of the model's features: representation"):
        MetricLearning(Projected(Linear(4)), nt_xent, embedding="h").init(KEY, BATCH)


def test_mirrored_embeddings_see_both_sides():
    x = RANDOM.normal(size=(2, 3, 4, 1)).astype(np.float32)
    task = MetricLearning(Linear(), nt_xent, mirror=True)
    batch = {"x": x, "y": np.arange(2), "mask": np.ones(2, np.float32)}
    params, _ = jax.jit(task.init)(KEY, batch)
    one = task.predict(params, {}, batch, KEY)["embedding"]
    np.testing.assert_allclose(
        one, task.predict(params, {}, {**batch, "x": x[:, :, ::-1]}, KEY)["embedding"], rtol=1e-5
    )
    np.testing.assert_allclose(jnp.linalg.norm(one, axis=1), np.ones(2), rtol=1e-6)


def clusters(n=90, classes=6):
    labels = RANDOM.integers(0, classes, n)
    return RANDOM.normal(size=(classes, 4))[labels] + 0.7 * RANDOM.normal(size=(n, 4)), labels


def test_the_report_is_that_of_the_whole_set():
    task = MetricLearning(Linear(), nt_xent)
    e, y = clusters()
    found = task.report({"embedding": e}, y)
    scores, same = ranking.all_pairs(e, y)
    for name, value in {**ranking.retrieval(e, y), **ranking.verification(scores, same)}.items():
        assert found[name] == pytest.approx(value, rel=1e-9), name
    assert 0.5 < found["verification_accuracy"] < 1
    assert found["embedding_map"].shape == (90, 3)
    rows, labels = found["neighbours"][..., 0], found["neighbours"][..., 1]
    unit = e / np.linalg.norm(e, axis=1, keepdims=True)
    np.testing.assert_array_equal(labels, y[rows])
    for query, *near in rows:
        np.testing.assert_array_equal(near, np.argsort(-(unit @ unit[query]))[1:8])
    far, tar = found["roc"].T
    assert (np.diff(far) > 0).all()
    assert (np.diff(tar) >= 0).all()
    assert (far[-1], tar[-1]) == (1, 1)


def test_listed_pairs_are_scored_in_their_order():
    task = MetricLearning(Linear(), nt_xent)
    e, y = clusters()
    i, j = ranking.balanced_pairs(y, 40)
    rows = np.column_stack([i, j]).ravel()
    found = task.report({"embedding": 3 * e[rows]}, np.column_stack([y[rows], np.repeat(np.arange(len(i)), 2)]))
    unit = e / np.linalg.norm(e, axis=1, keepdims=True)
    accuracy, error = ranking.verification_accuracy((unit[i] * unit[j]).sum(1), y[i] == y[j])
    assert (found["verification_accuracy"], found["verification_error"]) == pytest.approx((accuracy, error))
    assert "recall_at_1" not in found


@pytest.mark.parametrize(("same", "other"), [(2, 3), (3, 50), (30, 4), (40, 40)])
def test_lists_of_few_pairs_of_a_kind_are_scored(same, other):
    """In as many folds as each kind can fill, ten at most; the list is not in the order of LFW."""
    kind = np.arange(same + other) < same
    y = np.stack([np.zeros(len(kind)), ~kind], 1).ravel()
    e = np.stack([np.ones(2 * len(kind)), 4 * y], 1)
    found = MetricLearning(Linear(), nt_xent).report(
        {"embedding": e}, np.column_stack([y, np.repeat(np.arange(len(kind)), 2)])
    )
    assert (found["verification_accuracy"], found["verification_error"], found["eer"]) == (1, 0, 0)


def test_a_set_of_two_images_of_each_class_has_an_accuracy_of_half_without_skill():
    y = np.repeat(np.arange(60), 2)
    found = MetricLearning(Linear(), nt_xent).report({"embedding": np.random.default_rng(0).normal(size=(120, 8))}, y)
    assert found["verification_accuracy"] == pytest.approx(0.5, abs=0.14)  # three standard deviations of 120 pairs


@pytest.mark.parametrize("name", ["faces", "lfw_verification"])
def test_each_margin_has_its_own_default(name, tmp_path):
    config = importlib.import_module(f"experiments.{name}").config
    for i in range(24):
        (tmp_path / "abcdefgh"[i // 3]).mkdir(exist_ok=True)
        image = Image.fromarray(np.full((4, 4, 3), i, np.uint8))
        image.save(tmp_path / "abcdefgh"[i // 3] / f"{'abcdefgh'[i // 3]}_{i % 3 + 1:04d}.png")
    pairs = tmp_path / "pairs.txt"
    pairs.write_text("a 1 2\na 1 b 2\nb 2 3\na 2 b 1\n")
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
        MetricLearning(Dense(2), nt_xent).init(KEY, wrong)


@pytest.mark.slow
def test_a_run_resumes_is_reported_and_is_the_same_on_many_devices(tmp_path):
    """In a process of its own with 4 devices: see metric_runs.py."""
    flags = "--xla_cpu_collective_call_terminate_timeout_seconds=60"
    env = {**os.environ, "PYTHONPATH": str(HERE.parents[1]), "XLA_FLAGS": flags}
    words = [sys.executable, str(HERE / "metric_runs.py"), str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=600, env=env, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "found.json").read_text())
    one = found["one"]
    for mesh in ("data", "pmap"):
        np.testing.assert_allclose(found[mesh]["losses"], one["losses"], atol=2e-6, rtol=0)
        np.testing.assert_allclose(found[mesh]["params"], one["params"], atol=1e-5, rtol=0)
    assert one["losses"][-1] < one["losses"][0]
    assert found["resumed"] == found["through"], "bit for bit"
    assert set(found["pictures"]) >= {"embedding_map.png", "neighbours.png", "roc.png", "learning_curves.png"}
    assert "map_at_r" in found["report"]


def test_with_one_pair_of_a_kind_there_is_no_accuracy_over_folds():
    found = MetricLearning(Linear(), nt_xent).report({"embedding": np.eye(3)}, np.array([0, 0, 1]))
    assert "verification_accuracy" not in found
    assert "recall_at_1" in found
