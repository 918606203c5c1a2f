"""Whether more or less of a metric is better: stated where it is defined, asked for where nobody states it."""

import json
from dataclasses import replace
from typing import Any

import pytest

from jaxdl.__main__ import main
from jaxdl.data.text.symbols import Bytes
from jaxdl.engine.stopping import EarlyStopping, directions
from jaxdl.metrics.generation import OnFeatures, OnModes
from jaxdl.tasks.adversarial import Adversarial
from jaxdl.tasks.autoencoding import QuantizedAutoencoding, VariationalAutoencoding
from jaxdl.tasks.classification import Classification
from jaxdl.tasks.ctc import Transcription
from jaxdl.tasks.forecasting import Forecasting
from jaxdl.tasks.language import NextToken
from jaxdl.tasks.metric_learning import MetricLearning
from jaxdl.tasks.regression import Regression
from jaxdl.tasks.seq2seq import Translation

MODEL: Any = None
TASKS = {
    "classification": Classification(MODEL),
    "regression": Regression(MODEL),
    "forecasting": Forecasting(MODEL, (0.0,), (1.0,)),
    "speech": Transcription(MODEL, "-ab"),
    "language": NextToken(MODEL),
    "embeddings": MetricLearning(MODEL, MODEL),
    "translation": Translation(MODEL, Bytes(), Bytes(), 4),
    "autoencoder": VariationalAutoencoding(MODEL),
    "codes": QuantizedAutoencoding(MODEL),
    "points": Adversarial(MODEL, MODEL, measures=(OnModes(MODEL, 1.0),)),
    "images": Adversarial(MODEL, MODEL, measures=(OnFeatures(MODEL, "a network"),)),
}
BETTER = {
    # an error rate, a cost or a distance falls; a share of right answers, a score or an area rises
    "classification": {"accuracy": "max", "f1": "max", "roc_auc": "max", "brier": "min", "calibration_error": "min"},
    "regression": {"mse": "min", "r2": "max", "max_error": "min", "pearson": "max"},
    "forecasting": {"mae_units": "min", "rmse_units": "min"},
    "speech": {"word_error_rate": "min", "character_error_rate": "min", "exact_match": "max"},
    "language": {"perplexity": "min", "accuracy": "max", "bits_per_character": "min"},
    "embeddings": {"eer": "min", "map_at_r": "max", "recall_at_5": "max", "tar_at_far_0.001": "max"},
    "translation": {"cer": "min", "wer": "min", "bleu": "max", "token_accuracy": "max"},
    "autoencoder": {"kl": "min", "reconstruction": "min", "nll": "min", "knn_accuracy": "max"},
    "codes": {"commitment": "min", "mse": "min", "codes_used": "max"},
    "points": {"mode_kl": "min", "high_quality": "max", "penalty": "min"},
    "images": {"fid": "min", "kid": "min", "precision": "max", "coverage": "max"},
}


@pytest.mark.parametrize("name", TASKS)
def test_a_task_states_the_direction_of_its_metrics(name):
    stated = directions(TASKS[name])
    assert BETTER[name].items() <= stated.items()
    assert stated["loss"] == "min"
    assert stated[TASKS[name].metric[0]] == TASKS[name].metric[1]
    assert set(stated.values()) <= {"max", "min"}


UNSTATED = ["answer_accuracy", "confidence", "fidelity", "power", "lower_bound", "acuracy"]


@pytest.mark.parametrize("metric", UNSTATED)
def test_an_unstated_direction_is_asked_for_when_the_experiment_is_built(metric, tiny):
    exp = tiny.config()
    with pytest.raises(
        ValueError, match=f"metric '{metric}' states no direction: say mode='max' or mode='min'"
    ) as told:
        replace(exp, stop=EarlyStopping(metric=metric))
    assert "\n" not in str(told.value)
    for mode in ("max", "min"):
        assert replace(exp, stop=EarlyStopping(metric=metric, mode=mode)).select == (metric, mode)


def test_a_mode_overrules_and_the_tasks_own_metric_keeps_its_direction(tiny):
    exp = tiny.config()
    assert replace(exp, stop=EarlyStopping(metric="accuracy", mode="min")).select == ("accuracy", "min")
    own = Classification(exp.task.model, metric=("lower_bound", "max"))
    assert replace(exp, task=own, stop=EarlyStopping()).select == ("lower_bound", "max")
    assert replace(exp, task=own, stop=EarlyStopping(metric="loss")).select == ("loss", "min")


def make(root, number, cer, **more):
    """A run folder of three files' worth: what compare reads."""
    folder = root / "runs" / "x" / f"2026-01-01_00-00-0{number}-s0"
    folder.mkdir(parents=True)
    config = {"experiment": "x", "seed": 0, "source_hash": "a" * 16, "select": ["loss", "min"]}
    config |= {"knobs": {"width": number}, "recorded": {}, **more}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    lines = [{"kind": "eval", "split": "validation", "step": i, "cer": v, "loss": 1.0} for i, v in enumerate(cer)]
    lines.append({"kind": "end", "step": 2, "reason": "finished", "results": {}})
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def test_compare_takes_the_direction_that_the_runs_recorded(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for number, cer in enumerate(([0.9, 0.5], [0.6, 0.3])):
        make(tmp_path, number, cer, format=2, directions={"cer": "min"})
    assert main(["compare", "runs/x", "--metric", "cer", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["mode"] == "min"
    assert [row["best cer"][0] for row in shown["rows"]] == [0.3, 0.5]


def test_compare_asks_for_the_direction_that_old_runs_do_not_say(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    make(tmp_path, 0, [0.9, 0.5])
    assert main(["compare", "runs/x", "--metric", "cer"]) == 2
    said = capsys.readouterr().err
    assert "'cer'" in said
    assert "--mode" in said
    assert main(["compare", "runs/x", "--metric", "cer", "--mode", "min", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"][0]["best cer"][0] == 0.5
    assert main(["compare", "runs/x", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["mode"] == "min"
