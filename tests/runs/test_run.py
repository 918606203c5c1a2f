"""What a trained experiment predicts: raw inputs as the data set has them, texts where the data can encode them."""

import numpy as np
import optax
import pytest

from jaxdl import Experiment
from jaxdl.data.source import InMemory
from jaxdl.models.mlp import MLP
from jaxdl.runs.prepare import prepare
from jaxdl.runs.run import Run, check_values, rows_for
from jaxdl.setup import Setup
from jaxdl.tasks.classification import Classification

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(40, 4)).astype(np.float32)
SPLITS = {"train": {"x": X, "y": (X[:, 0] > 0).astype(np.int32)}}


def config(*, lr: float = 1e-2, seed: int = 0) -> Experiment:
    task = Classification(MLP(features=(8,), classes=2))
    return Experiment(data=InMemory(SPLITS, batch=20), task=task, optimizer=optax.adam(lr), steps=2, seed=seed)


@pytest.fixture(scope="module")
def run():
    """One that has not trained."""
    setup = Setup.of(config, {})
    program = prepare(setup)
    return Run(setup, program, program.init())


VALUES = {
    # (inputs, dtype of the data, maximum) -> what the refusal says
    "fractions": (np.array([0.0, 0.5]), "uint8", None, "whole numbers like the training data's .uint8., got 0.5"),
    "beyond the type": (np.array([0, 256]), "uint8", None, "from 0 to 256 do not fit"),
    "negative": (np.array([-1.0, 2.0]), "uint8", None, "from -1 to 2 do not fit"),
    "beyond the set": (np.array([0, 255], np.uint8), "uint8", 16.0, "values reach 255, this set's go from 0 to 16"),
    "bytes for floats": (np.array([0, 255], np.uint8), "float32", 1.0, "values reach 255, this set's go from 0 to 1"),
    "NaN": (np.array([np.nan]), "float32", None, "must be finite"),
    "infinity": (np.array([np.inf]), "uint8", None, "must be finite"),
    "too large": (np.array([1e300]), "float32", None, "do not fit the training data's float32"),
    "text": (np.array(["a"]), "float32", None, "must be numbers"),
}


@pytest.mark.parametrize("name", VALUES)
def test_inputs_that_a_cast_would_change_are_refused(name) -> None:
    x, dtype, maximum, message = VALUES[name]
    with pytest.raises(ValueError, match=message):
        check_values(x, np.dtype(dtype), maximum)


def test_inputs_that_are_the_same_in_another_type_pass() -> None:
    check_values(np.array([0.0, 16.0]), np.dtype("uint8"), 16.0)
    check_values(np.array([-3, 5]), np.dtype("float32"))
    check_values(np.array([True]), np.dtype("uint8"), 16.0)


def test_no_inputs_are_refused(run) -> None:
    with pytest.raises(ValueError, match=r"no inputs to predict for: their shape is \(0, 4\)"):
        run.predict(np.zeros((0, 4), np.float32))


def test_texts_are_encoded_and_decoded_by_the_data(run, monkeypatch) -> None:
    with pytest.raises(ValueError, match=r"inputs must be numbers .*, got text"):
        run.predict(["a"])
    encode = lambda self, texts: np.array([[len(t), 0, 0, 0] for t in texts], np.float32)
    decode = lambda self, outputs: {"text": [str(int(label)) for label in outputs["label"]]}
    monkeypatch.setattr(InMemory, "encode", encode)
    monkeypatch.setattr(InMemory, "decode", decode)
    several, one = run.predict(["ab", "c"]), run.predict("ab")
    assert several["probability"].shape == (2, 2)
    assert several["text"] == [str(label) for label in several["label"]]
    # programs of one and of two rows round apart
    np.testing.assert_allclose(one["probability"], several["probability"][0], rtol=1e-6)
    assert one["text"] == several["text"][0]


def test_of_all_numbers_of_examples_there_are_few_programs() -> None:
    assert {rows_for(count, 20) for count in range(1, 200)} == {1, 2, 4, 8, 16, 20}
    assert all(rows_for(count, 20) >= min(count, 20) for count in range(1, 200))
