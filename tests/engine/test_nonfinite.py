"""An output that is not finite costs the report that cannot be made of it, not the metrics; a diverged model has none."""

import warnings
from dataclasses import dataclass, replace
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl import train, trial
from jaxdl.engine.evaluate import measured, summarised
from jaxdl.engine.stopping import EarlyStopping
from jaxdl.tasks.classification import Classification

SUMS = {"loss": (np.float64(3.0), np.float64(4.0)), "accuracy": (np.float64(2.0), np.float64(4.0))}


def task(report):
    return SimpleNamespace(report=report)


def entropy(outputs, targets):
    if not np.isfinite(outputs["probability"]).all():
        raise ValueError("probabilities must be finite")
    return {"f1": 0.5}


def concluded(report, outputs, sums=SUMS):
    return summarised(task(report), "validation", sums, {"outputs": outputs, "targets": np.zeros(4)}, {})


def test_one_infinite_score_costs_the_report_alone():
    found = concluded(entropy, {"probability": np.array([0.1, -np.inf, 0.2, 0.3])})
    assert found.metrics == {"loss": 0.75, "accuracy": 0.5}
    (note,) = found.report["notes"].lines
    assert note == found.note
    assert "no report of the validation split: NaN or infinite values in its outputs: 1 (" in note
    assert "probabilities must be finite" in note


def test_a_report_that_can_be_made_is_made():
    outputs = {"probability": np.array([0.1, 0.9, 0.2, 0.3]), "score": np.array([0.0, -np.inf, 0.0, 0.0])}
    found = concluded(entropy, outputs)
    assert found.metrics == {"loss": 0.75, "accuracy": 0.5, "f1": 0.5}
    assert (found.note, found.report) == ("", {})


def test_a_report_over_such_values_warns_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = concluded(lambda outputs, targets: {"spread": outputs["a"].std()}, {"a": np.array([1.0, np.inf])})
    assert np.isnan(found.metrics["spread"])


def test_a_mistake_of_a_report_on_finite_outputs_is_still_told():
    with pytest.raises(ValueError, match="of our own"):
        concluded(lambda *_: (_ for _ in ()).throw(ValueError("of our own")), {"a": np.ones(4)})


@pytest.mark.parametrize("total", [np.nan, np.inf])
def test_a_diverged_model_has_no_metrics(total):
    sums = SUMS | {"loss": (np.float64(total), np.float64(4.0))}
    found = concluded(entropy, {"probability": np.full(4, np.nan)}, sums)
    assert np.isnan([*found.metrics.values()]).all()
    assert found.metrics.keys() == SUMS.keys()
    metrics, note = measured(sums)  # also where an evaluation has no report
    assert np.isnan([*metrics.values()]).all()
    assert (metrics.keys(), note) == (SUMS.keys(), "the loss is not finite")
    assert measured(SUMS) == ({"loss": 0.75, "accuracy": 0.5}, "")


def test_nothing_that_counts_is_no_divergence():
    found = concluded(entropy, {"probability": np.ones(4)}, {"loss": (np.float64(0.0), np.float64(0.0))})
    assert np.isnan(found.metrics["loss"])
    assert found.metrics["f1"] == 0.5


@dataclass(frozen=True, eq=False)
class Masked(Classification):
    """One class is masked for every example: the logit of it is -inf, as one writes it for what cannot be."""

    def predict(self, params, model_state, batch, key):
        found = super().predict(params, model_state, batch, key)
        return {**found, "logit": jnp.full(len(batch["x"]), -jnp.inf)}


@dataclass(frozen=True, eq=False)
class Unreported(Masked):
    def report(self, outputs, targets):
        if not np.isfinite(outputs["logit"]).all():
            raise ValueError("logits must be finite")
        return {"f1": 1.0}


@pytest.mark.programs(40, "a whole training")
def test_a_run_keeps_its_metrics_and_goes_on(tiny):
    exp = replace(tiny.config(steps=12), stop=None, task=Masked(tiny.config().task.model))
    lines = trial(lambda: exp).outcome.history
    assert [line["step"] for line in lines] == [6, 12]
    assert all(np.isfinite([line["accuracy"], line["loss"], line["f1"]]).all() for line in lines)


@pytest.mark.slow
@pytest.mark.programs(40, "a whole training")
def test_a_run_selected_by_a_report_that_cannot_be_made_says_so_and_goes_on(tiny, tmp_path):
    exp = tiny.config(steps=12)
    exp = replace(exp, stop=EarlyStopping(metric="f1"), task=Unreported(exp.task.model))
    run = train(lambda: exp, run=tmp_path, quiet=True)
    assert run.outcome.reason == "finished"
    notes = [line["note"] for line in run.history if line["kind"] == "note"]
    assert len(notes) == 2
    assert all("logits must be finite" in note for note in notes)
    assert "logits must be finite" in (run.folder / "report.md").read_text(encoding="utf-8")
