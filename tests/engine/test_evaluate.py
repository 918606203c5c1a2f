"""Exact evaluation: one number whatever the batch size, with soft, weighted and ignored labels, and its report."""

from functools import cache

import jax
import numpy as np
import pytest

from jaxdl.data.source import InMemory
from jaxdl.engine.evaluate import evaluate, means
from jaxdl.experiment import Experiment
from jaxdl.layers.normalization import BatchNorm
from jaxdl.models.mlp import MLP
from jaxdl.optim import sgd
from jaxdl.runs.prepare import prepare
from jaxdl.setup import Setup
from jaxdl.tasks.classification import BinaryClassification, Classification
from jaxdl.tasks.regression import Regression
from tests.programs import one_program

SIZE = 150
BATCHES = (1, 7, 64)


def arrays(kind):
    rng = np.random.default_rng(4)
    x = rng.normal(size=(SIZE, 5)).astype(np.float32)
    y = rng.integers(0, 3, SIZE).astype(np.int32)
    if kind == "soft":
        y = rng.dirichlet(np.ones(3), SIZE).astype(np.float32)
    elif kind == "ignored":
        y[140:] = -100  # with batches of 1 and 7, some hold nothing that counts
        y[::9] = -100
    elif kind == "binary":
        y = (y == 1).astype(np.int32)
    elif kind == "regression":
        y = (x @ np.arange(5.0) * 10 + 100).astype(np.float32)
    return {"x": x, "y": y}


def model(classes=3):
    return MLP(features=(7,), classes=classes, rate=0.5, norm=BatchNorm)


TASKS = {
    "integers": Classification(model()),
    "soft": Classification(model()),
    "ignored": Classification(model()),
    "weighted": Classification(model(), class_weights=(0.2, 1.0, 5.0)),
    "binary": BinaryClassification(model(1)),
    "regression": Regression(model(1), center=100.0, scale=30.0),
}
DEFAULT = [("ignored", 7), ("weighted", 7)]
ROWS = [
    pytest.param(kind, batch, marks=() if (kind, batch) in DEFAULT else pytest.mark.slow)
    for kind in TASKS
    for batch in BATCHES
    if batch < 64 or kind == "weighted"  # 64 does not divide 150 either, as 7
]


@cache
def program(kind, batch):
    data = InMemory({"train": arrays(kind), "test": arrays(kind)}, batch)
    return prepare(Setup.of(lambda: Experiment(data=data, task=TASKS[kind], optimizer=sgd(0.1), steps=1), {}))


@cache
def weights(kind):
    """The same for each batch size."""
    state = program(kind, SIZE).init()
    return jax.device_get((state.params, state.model_state))


@cache
def evaluated(kind, batch):
    return evaluate(program(kind, batch), weights(kind), "test")


@pytest.mark.parametrize(("kind", "batch"), ROWS)
def test_does_not_depend_on_the_batch_size(kind, batch):
    whole, other = evaluated(kind, SIZE), evaluated(kind, batch)
    assert len(whole.targets) == SIZE
    assert other.metrics.keys() == whole.metrics.keys()
    for name, value in whole.metrics.items():
        assert other.metrics[name] == pytest.approx(value, rel=2e-6, abs=1e-7), name
    assert other.report.keys() == whole.report.keys()
    for name, value in whole.report.items():
        np.testing.assert_allclose(other.report[name], value, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(other.targets, arrays(kind)["y"])  # in the stored order
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5), other.outputs, whole.outputs)


WEIGHTED = {"weighted": (0.2, 1.0, 5.0)}


def logits(kind):
    params, state = weights(kind)
    apply = lambda params, state, x: TASKS[kind].model.apply({"params": params, **state}, x, train=False)
    return one_program(apply, params, state, arrays(kind)["x"])


@pytest.mark.parametrize("kind", [pytest.param("integers", marks=pytest.mark.slow), "ignored", "weighted", "soft"])
def test_loss_is_cross_entropy_over_the_whole_set(kind):
    """As PyTorch documents it: a mean weighted by the class weights, without the rows that are ignored."""
    z, y = logits(kind).astype(float), arrays(kind)["y"]
    log = z - np.log(np.exp(z).sum(-1, keepdims=True))
    if kind == "soft":
        expected = -(y * log).sum(-1).mean()
    else:
        weight = np.where(y >= 0, np.array(WEIGHTED.get(kind, (1.0, 1.0, 1.0)))[np.maximum(y, 0)], 0.0)
        expected = -(weight * log[np.arange(SIZE), np.maximum(y, 0)]).sum() / weight.sum()
    assert evaluated(kind, 7).metrics["loss"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parity
@pytest.mark.parametrize("kind", ["integers", "ignored", "weighted", "soft"])
def test_loss_is_pytorchs_over_the_whole_set(kind):
    torch = pytest.importorskip("torch")
    y = torch.tensor(arrays(kind)["y"])
    weight = torch.tensor(WEIGHTED[kind]) if kind in WEIGHTED else None
    z = torch.tensor(logits(kind))
    theirs = torch.nn.functional.cross_entropy(z, y if kind == "soft" else y.long(), weight=weight)
    assert evaluated(kind, 7).metrics["loss"] == pytest.approx(theirs.item(), rel=1e-5)


def test_report_and_means_agree():
    result = evaluated("ignored", 7)
    counted = arrays("ignored")["y"] >= 0
    assert result.metrics["examples"] == counted.sum()
    labels = result.outputs["label"][counted]
    assert result.metrics["accuracy"] == (labels == arrays("ignored")["y"][counted]).mean()
    assert result.report["confusion_matrix"].counts.sum() == counted.sum()


def test_an_unknown_split_is_named():
    data = InMemory({"train": arrays("integers")}, 8)
    without = prepare(Setup.of(lambda: Experiment(data=data, task=TASKS["integers"], optimizer=sgd(0.1), steps=1), {}))
    with pytest.raises(ValueError, match="split = 'test' is not one of train"):
        evaluate(without, weights("ignored"), "test")


def test_means_divide_once():
    pairs = {"a": (np.float64(6), np.float64(4)), "nothing": (np.float64(0), np.float64(0))}
    assert means(pairs)["a"] == 1.5
    assert np.isnan(means(pairs)["nothing"])


def test_nan_weights_have_no_metrics_and_no_report():
    params, state = weights("ignored")
    broken = jax.tree.map(lambda a: a * np.float32(np.nan), params)
    result = evaluate(program("ignored", 7), (broken, state), "test")
    assert np.isnan(result.metrics["loss"])
    assert np.isnan(result.metrics["accuracy"])  # argmax of NaN is class 0, which is sometimes right
    assert not result.report
