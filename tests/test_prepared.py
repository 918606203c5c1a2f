"""A compiled program is used again where it says what the experiment says, and only there."""

import jax
import numpy as np
import optax
import pytest

from jaxdl import Experiment
from jaxdl.data.stream import InMemory
from jaxdl.engine.program import traceable
from jaxdl.models.mlp import MLP
from jaxdl.runs.prepare import prepare
from jaxdl.runs.run import check_values
from jaxdl.setup import Setup
from jaxdl.tasks.classification import Classification

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(40, 4)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int32)
WIDTH = 8


def data_of(x: np.ndarray, y: np.ndarray) -> InMemory:
    return InMemory({"train": {"x": x, "y": y}}, batch=20, name="made")


def config(*, lr: float = 1e-2, noise: float = 0.0, seed: int = 0) -> Experiment:
    """Refers to three globals, and makes its data from a knob."""
    x = X + np.float32(noise) if isinstance(noise, float) else X + noise
    task = Classification(MLP(features=(WIDTH,), classes=2))
    return Experiment(data=data_of(x, Y), task=task, optimizer=optax.adam(lr), steps=2, seed=seed)


def peeking(*, lr: float = 1e-2, decay: float = 0.1, seed: int = 0) -> Experiment:
    """Looks at the type of one knob, prints another, and makes data from the seed on the host."""
    optimizer = optax.adam(1e-3) if isinstance(lr, float) else optax.sgd(1e-3, momentum=0.9)
    assert f"{decay:.2f}"
    x = np.random.default_rng(seed).normal(size=(40, 4)).astype(np.float32)
    task = Classification(MLP(features=(8,), classes=2))
    return Experiment(data=data_of(x, Y), task=task, optimizer=optimizer, steps=2, seed=seed)


def test_a_knob_that_python_looks_at_is_not_traced_and_the_reason_is_told() -> None:
    exp = config()
    traced, reasons = traceable(exp, exp.origin.knobs)
    assert sorted(traced) == ["lr", "seed"]
    assert reasons == {"noise": "the data are made from it"}
    exp = peeking()
    traced, reasons = traceable(exp, exp.origin.knobs)
    assert traced == {}
    assert "builds something else" in reasons["lr"]
    assert "test_prepared.py" in reasons["decay"]
    assert "Python needs its value" in reasons["seed"]


def test_another_learning_rate_or_seed_finds_the_program_again() -> None:
    assert (
        prepare(Setup.of(config, {"lr": 0.1, "seed": 3})).program
        is prepare(Setup.of(config, {"lr": 0.2, "seed": 4})).program
    )


@pytest.mark.parametrize("name", ["Y", "WIDTH", "data_of"])
def test_what_config_refers_to_is_part_of_the_program(monkeypatch, name) -> None:
    before = prepare(Setup.of(config, {}))

    def batch_of_ten(x: np.ndarray, y: np.ndarray) -> InMemory:
        return InMemory({"train": {"x": x, "y": y}}, batch=10, name="made")

    monkeypatch.setitem(config.plain.__globals__, name, {"Y": 1 - Y, "WIDTH": 16, "data_of": batch_of_ten}[name])
    after = prepare(Setup.of(config, {}))
    assert after.program is not before.program
    assert after.program.data is after.experiment.data
    if name == "WIDTH":
        assert jax.tree.leaves(after.shapes.params)[0].shape == (16,)


def test_data_that_were_written_to_are_new_data() -> None:
    before, old = prepare(Setup.of(config, {})).program, X.copy()
    X[0] += 1
    after = prepare(Setup.of(config, {})).program
    X[:] = old
    assert after is not before
    assert prepare(Setup.of(config, {})).program is before


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


def test_no_inputs_are_refused() -> None:
    with pytest.raises(ValueError, match=r"no inputs to predict for: their shape is \(0, 4\)"):
        prepare(Setup.of(config, {})).predict(({}, {}), np.zeros((0, 4), np.float32))


def test_texts_are_encoded_and_decoded_by_the_data(monkeypatch) -> None:
    exp = config()
    prepared = prepare(Setup.of(lambda: exp, {}))
    weights = prepared.program.weights(prepared.program.init())
    with pytest.raises(ValueError, match=r"inputs must be numbers .*, got text"):
        prepared.predict(weights, ["a"])
    encode = lambda self, texts: np.array([[len(t), 0, 0, 0] for t in texts], np.float32)
    decode = lambda self, outputs: {"text": [str(int(label)) for label in outputs["label"]]}
    monkeypatch.setattr(InMemory, "encode", encode, raising=False)
    monkeypatch.setattr(InMemory, "decode", decode, raising=False)
    several, one = prepared.predict(weights, ["ab", "c"]), prepared.predict(weights, "ab")
    assert several["probability"].shape == (2, 2)
    assert several["text"] == [str(label) for label in several["label"]]
    np.testing.assert_array_equal(one["probability"], several["probability"][0])
    assert one["text"] == several["text"][0]
