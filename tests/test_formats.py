"""What a run of an older format keeps: its rules, said in one line, and the metric and direction that were recorded."""

import json
import shutil
from pathlib import Path

import pytest
from jaxdl.prepared import prepare

from jaxdl import Experiment, formats, load, train
from jaxdl.engine.stopping import EarlyStopping
from jaxdl.experiment import load_config
from jaxdl.runs.provenance import following, rebuild

OLD = Path(__file__).parent / "museum" / "format-1" / "paused"


def test_a_new_run_records_the_format_and_the_directions(trained):
    config = json.loads((trained.folder / "config.json").read_text())
    assert config["format"] == formats.FORMAT == 2
    assert config["directions"]["f1"] == "max"
    assert config["directions"]["loss"] == "min"
    assert formats.recorded(config) == formats.Rules()


def test_a_missing_format_is_1_and_a_later_one_is_refused():
    assert formats.recorded({"select": ["cer", "max"]}) == formats.Rules(1, ("cer", "max"))
    with pytest.raises(ValueError, match="the run has format 3, this jaxdl reads formats 1 to 2"):
        formats.recorded({"format": 3})


def test_an_old_select_is_obeyed_as_it_is(tiny):
    """Early stopping on a name without a stated direction, which was guessed then: a new experiment would be refused."""

    def config(*, lr: float = 0.01, seed: int = 0) -> Experiment:
        exp = tiny.config(lr=lr, seed=seed)
        return Experiment(
            data=exp.data, task=exp.task, optimizer=exp.optimizer, steps=24, stop=EarlyStopping("confidence"), seed=seed
        )

    with pytest.raises(ValueError, match="'confidence' states no direction"):
        config()
    recorded = {"knobs": {"lr": 0.02, "seed": 1}, "recorded": {}, "select": ["confidence", "min"]}
    exp = rebuild(config, recorded)
    assert exp.select == ("confidence", "min")
    assert exp.origin.build({"lr": 0.5}).select == ("confidence", "min")  # also where it is built again, inside a trace


def test_old_and_new_rules_are_two_programs(tiny):
    exp = tiny.config()
    old = following(exp, formats.Rules(1, exp.select))
    assert prepare(exp).program is prepare(exp).program
    assert prepare(old).program is not prepare(exp).program
    assert following(old, old.follows) is old


def test_an_old_run_says_so_in_one_line_when_it_is_loaded_and_resumed(capsys, tmp_path):
    load(OLD)
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("note:")]
    assert len(said) == 1
    assert "is a run of format 1 and keeps the rules of then" in said[0]
    copy = shutil.copytree(OLD, tmp_path / "paused")
    exp = load_config(copy / "experiment.py")(**json.loads((copy / "config.json").read_text())["knobs"])
    assert exp.follows == formats.Rules()
    run = train(exp, resume=copy, quiet=True)  # an experiment that was made anew follows the run it goes on with
    assert run.experiment.follows == formats.Rules(1, ("loss", "min"))
    assert sum("format 1" in line for line in capsys.readouterr().err.splitlines()) == 1
    assert "format" not in json.loads((copy / "config.json").read_text())


def test_a_new_run_says_nothing(trained, tiny, capsys):
    load(trained.folder, config=tiny.config)
    assert "note" not in capsys.readouterr().err
