"""What stands beside a result: the naive method of each kind of task, judged by the task's own report."""

import numpy as np
import pytest

from jaxdl import shipped
from jaxdl.experiment import load_config
from jaxdl.metrics.ranking import retrieval
from jaxdl.runs import naive
from jaxdl.setup import Setup

pytestmark = pytest.mark.programs(12, "splits are prepared eagerly, outside of a compiled step")


def found(name, **knobs):
    setup = Setup.of(load_config(name), knobs)
    return setup.build(), *naive.baseline(setup)


def test_of_classes():
    exp, metrics, by = found("digits_regularization")
    assert by == "logistic regression"
    assert 0.85 < metrics["accuracy"] < 0.95, "100 digits"
    assert {"f1", "calibration_error"} <= set(metrics)
    y = exp.data.splits["test"]["y"]
    assert metrics["log_loss"] < np.log(10)
    assert len(y) == metrics["examples"]


def test_of_values():
    """Linear regression of the diabetes data, as scikit-learn computes it on this split."""
    linear_model = pytest.importorskip("sklearn.linear_model")
    exp, metrics, by = found("diabetes_mlp")
    train, test = (exp.data.splits[part] for part in ("train", "test"))
    theirs = linear_model.LinearRegression().fit(train["x"], train["y"]).predict(test["x"])
    assert metrics["mae"] == pytest.approx(np.abs(theirs - test["y"]).mean(), rel=1e-4)
    assert by == "linear regression"


def test_of_embeddings():
    exp, metrics, by = found("digits_metric")
    test = exp.data.splits["test"]
    flat = test["x"].reshape(len(test["x"]), -1).astype(np.float64)
    unit = flat / np.linalg.norm(flat, axis=1, keepdims=True)
    assert metrics["map_at_r"] == pytest.approx(retrieval(unit, test["y"])["map_at_r"])
    assert by == "cosines of the pixels"


def test_of_pixels():
    _, metrics, _ = found("digits_segmentation")
    assert metrics["mean_accuracy"] == pytest.approx(1 / 11), "all ground: right on one class of eleven"
    assert metrics["pixel_accuracy"] > 0.8


def test_of_binary_images():
    """Σ H(pᵢ) with each pixel's frequency."""
    exp, metrics, _ = found("digits_vae")
    p = (exp.data.splits["test"]["x"] > 0).mean(0)
    p = p[(p > 0) & (p < 1)]
    assert metrics["nll"] == pytest.approx(-(p * np.log(p) + (1 - p) * np.log(1 - p)).sum(), rel=1e-6)


def test_of_a_gan():
    _, metrics, _ = found("ring_gan")
    assert metrics["high_quality"] < 0.02, "one Gaussian over a ring hits it rarely"


def test_a_file_beside_the_experiment():
    _, metrics, by = found("number_words")
    assert by == "word by word"
    assert 0.2 < metrics["exact_match"] < 0.4, "one to twenty and the round ones"
    assert found("number_words", language="fr")[1:] == ({}, "")


def test_an_own_baseline_goes_before_the_kind_of_task(tmp_path):
    text = shipped.locate("digits_mlp").read_text(encoding="utf-8")
    (tmp_path / "mine.py").write_text(
        text.replace(
            "if __name__ ==", 'def baseline(data):\n    """a guess"""\n    return {"accuracy": 0.1}\n\n\nif __name__ =='
        ),
        encoding="utf-8",
    )
    setup = Setup.of(load_config(tmp_path / "mine.py"), {})
    assert naive.baseline(setup) == ({"accuracy": 0.1}, "a guess")
