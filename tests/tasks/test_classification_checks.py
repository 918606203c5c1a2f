"""Classification refuses or says what its labels, loss and model cannot mean together."""

import flax.linen as nn
import jax
import numpy as np
import optax
import pytest

from jaxdl import Experiment
from jaxdl.data.source import InMemory
from jaxdl.losses.classification import focal_loss
from jaxdl.models.mlp import MLP
from jaxdl.runs.prepare import prepare
from jaxdl.setup import Setup
from jaxdl.tasks.classification import BinaryClassification, Classification
from jaxdl.types import UserError
from tests.tasks.given import Given
from tests.tasks.test_classification import X, Y, run

REFUSED = {
    "0 … 3.*got 4": (Classification(Given(4)), np.array([0, 4])),
    "0 … 3.*got -1": (Classification(Given(4)), np.array([-1, 2])),
    "0 … 1.*got 2": (BinaryClassification(Given(1)), np.array([0, 2])),
    "labels must be integers": (Classification(Given(4)), np.array([0.0, 1.0])),
}


@pytest.mark.parametrize("message", REFUSED)
def test_labels_that_the_model_cannot_mean_are_refused(message):
    task, y = REFUSED[message]
    with pytest.raises(ValueError, match=message):
        task.check(y)


def test_labels_that_are_fine():
    Classification(Given(4)).check(np.array([0, 3, -100]))
    Classification(Given(4)).check(np.eye(4))
    BinaryClassification(Given(1)).check(np.array([0, 1]))
    BinaryClassification(Given(1)).check(np.array([0.0, 0.3, 1.0]))


def test_binary_wants_one_logit():
    with pytest.raises(ValueError, match="one logit"):
        jax.eval_shape(BinaryClassification(Given(2)).logits, np.zeros((3, 2), np.float32))


def test_init_gives_params_and_the_rest():
    task = Classification(MLP(features=(3,), classes=2))
    params, state = jax.eval_shape(task.init, jax.random.key(0), {"x": np.zeros((4, 5), np.float32)})
    assert params["Dense_0"]["kernel"].shape == (5, 3)
    assert state == {}


def test_a_loss_that_is_reduced_is_refused():
    task = Classification(Given(4), loss=lambda logits, labels: focal_loss(logits, labels).mean())
    with pytest.raises(ValueError, match=r"one value per example, shape \(9,\), got \(\): do not reduce it"):
        jax.eval_shape(lambda: run(task, X, Y, None, False))


def test_two_classes_from_one_logit_have_their_own_task():
    with pytest.raises(ValueError, match="got 1; two classes from one logit are BinaryClassification"):
        Classification(Given(1)).check(np.array([0, 1]))


@pytest.mark.parametrize(("model", "got"), [(lambda x: x, "a function"), (MLP, "the class MLP")])
def test_a_model_is_a_linen_module(model, got):
    with pytest.raises(ValueError, match=f"model must be a Linen module.*got {got}"):
        Classification(model).init(jax.random.key(0), {"x": np.zeros((2, 4), np.float32)})


@pytest.mark.parametrize("labels", [[1, 2, 1, 2], [0, 1, 2, 255]])
def test_labels_beyond_the_logits_of_any_module_are_refused(labels):
    """`nn.Dense` has no attribute `classes`; cross-entropy of a label beyond its logits would be NaN."""
    data = InMemory({"train": {"x": np.ones((4, 3), np.float32), "y": np.array(labels)}}, batch=2)
    task = Classification(nn.Dense(2), ignore=255)
    with pytest.raises(UserError, match=r"train split.* 2 logits.* got 2") as refused:
        task.notes(data, lambda: {"probability": np.zeros((2, 2))})
    assert ("subtract 1" in str(refused.value)) == (min(labels) == 1)
    three = Classification(nn.Dense(3), ignore=255)
    assert len(three.notes(data, lambda: {"probability": np.zeros((2, 3))})) == 0


@pytest.mark.parametrize("declared", [True, False])
def test_more_logits_than_classes_are_said(declared):
    """Three logits for labels 0 and 1; of a module without `classes` the shape of its predictions says so."""
    y = np.arange(16) % 2
    data = InMemory({"train": {"x": np.ones((16, 3), np.float32), "y": y}}, batch=4)
    task = Classification(MLP(features=(), classes=3) if declared else nn.Dense(3))
    exp = Experiment(data=data, task=task, optimizer=optax.sgd(0.1), steps=1)
    (note,) = task.notes(data, prepare(Setup.of(lambda: exp, {})).predicted_shapes)
    assert "3 logits for 2 classes" in note
    assert Classification(MLP(features=(), classes=2)).notes(data, dict) == ()
    soft = InMemory({"train": {"x": np.ones((16, 3), np.float32), "y": np.full((16, 3), 1 / 3, np.float32)}}, batch=4)
    assert (
        Classification(nn.Dense(3)).notes(soft, lambda: {"probability": np.zeros((4, 3))}) == ()
    )  # the labels have three columns


def test_soft_labels_say_how_many_classes_there_are():
    data = InMemory({"train": {"x": X, "y": np.eye(3, dtype=np.float32)[Y % 3]}}, batch=3)
    (note,) = Classification(MLP(features=(4,), classes=5)).notes(data, dict)
    assert "5 logits for 3 classes" in note
    assert not Classification(MLP(features=(4,), classes=3)).notes(data, dict)
