"""Multi-label classification: PyTorch's formula, scikit-learn's numbers, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sklearn import metrics as sklearn

from jaxdl import Experiment
from jaxdl.data.table.columns import from_columns
from jaxdl.engine.evaluate import evaluate
from jaxdl.models.mlp import MLP
from jaxdl.runs.prepare import prepare
from jaxdl.runs.run import Run
from jaxdl.setup import Setup
from jaxdl.tasks.multilabel import MultiLabelClassification
from jaxdl.types import UserError
from tests.programs import one_program
from tests.tasks.given import Given, objective

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(6, 4)).astype(np.float32)
LABELS = RNG.integers(0, 2, (6, 4)).astype(np.int32)
MASK = np.array([1, 1, 1, 0, 1, 1], np.float32)


def measured(task, labels=LABELS):
    return objective(task, {"x": LOGITS, "y": labels, "mask": MASK})


def test_the_loss_is_the_mean_of_binary_cross_entropies():
    """log(1 + e^z) - y·z, as PyTorch's BCEWithLogitsLoss computes it."""
    each = np.logaddexp(0, LOGITS) - LABELS * LOGITS
    loss, metrics = measured(MultiLabelClassification(Given(4)))
    np.testing.assert_allclose(loss, each[MASK > 0].mean(), rtol=1e-6)
    whole = ((LOGITS > 0) == LABELS).all(1)[MASK > 0]
    np.testing.assert_allclose(metrics["subset_accuracy"], whole.mean(), rtol=1e-6)


def config(*, seed: int = 0) -> Experiment:
    """Five words that are said of a row where a linear map of it is above 0.5."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(240, 6)).astype(np.float32)
    said = x @ rng.normal(size=(6, 5)) + 0.3 * rng.normal(size=(240, 5)) > 0.5
    words = np.array(["red", "green", "blue", "round", "old"])
    data = from_columns({"row": x, "words": [list(words[row]) for row in said]}, x="row", y="words", batch=24)
    task = MultiLabelClassification(MLP(features=(16,), classes=5))
    return Experiment(data=data, task=task, optimizer=optax.adam(0.02), steps=120, seed=seed)


@pytest.fixture(scope="module")
def trained():
    program = prepare(Setup.of(config, {}))
    source = program.place(program.data.source(0, 1, 0))
    state, _ = program.chunk(program.init(), source, np.int32(120), np.int32(10))
    return Run(Setup.of(config, {}), program, state)


def test_it_learns_and_its_report_is_that_of_scikit_learn(trained):
    found = evaluate(trained.program, trained.weights, "test")
    y = trained.experiment.data.splits["test"]["y"]
    outputs = trained.predict(trained.experiment.data.splits["test"]["x"])
    p, label = outputs["probability"], outputs["label"]
    np.testing.assert_array_equal(label, p >= 0.5)
    assert trained.experiment.data.classes == ("blue", "green", "old", "red", "round")
    assert found.metrics["average_precision"] > 0.85
    expected = {
        "average_precision": sklearn.average_precision_score(y, p, average="macro"),
        "average_precision_micro": sklearn.average_precision_score(y, p, average="micro"),
        "f1_micro": sklearn.f1_score(y, label, average="micro"),
        "f1_macro": sklearn.f1_score(y, label, average="macro"),
        "subset_accuracy": sklearn.accuracy_score(y, label),
    }
    for name, value in expected.items():
        np.testing.assert_allclose(found.metrics[name], value, rtol=1e-6, err_msg=name)
    by_label = found.report["f1_by_label"].values
    np.testing.assert_allclose(by_label, sklearn.f1_score(y, label, average=None), rtol=1e-6)


def test_a_lower_threshold_predicts_more_labels():
    task = MultiLabelClassification(Given(4), threshold=0.25)
    label = one_program(lambda x: task.predict({}, {}, {"x": x}, jax.random.key(0))["label"], LOGITS)
    np.testing.assert_array_equal(label, 1 / (1 + np.exp(-LOGITS)) >= 0.25)
    for wrong in (0.0, 1.5, -1):
        with pytest.raises(UserError, match=str(wrong)):
            MultiLabelClassification(Given(4), threshold=wrong)


REFUSED = {
    "class numbers": (LABELS[:, 0], ["(6,)", "4"]),
    "another number of labels": (LABELS[:, :3], ["(6, 3)", "4"]),
    "a two": (LABELS + np.eye(6, 4, dtype=np.int32) * 2, ["row 0", "label 0"]),
    "halves": (LABELS * 0.5, ["0.5"]),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_refuses_what_are_no_labels(kind):
    targets, says = REFUSED[kind]
    with pytest.raises(UserError) as told:
        MultiLabelClassification(Given(4)).check(targets)
    assert all(part in str(told.value) for part in says), told.value


def test_a_loss_that_is_reduced_is_refused():
    with pytest.raises(UserError, match=r"\(6, 4\)"):
        measured(MultiLabelClassification(Given(4), loss=lambda logits, labels: jnp.float32(0)))
