"""What a run of an older format keeps: its rules, said in one line, and the metric and direction that were recorded."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from jaxdl import Experiment, formats, load, train
from jaxdl.engine.loop import Limits
from jaxdl.engine.stopping import EarlyStopping
from jaxdl.experiment import load_config
from jaxdl.runs.prepare import prepare
from jaxdl.setup import Setup

OLD = Path(__file__).parent / "museum" / "format-1" / "paused"


def test_a_new_run_records_the_format_and_the_directions(trained):
    config = json.loads((trained.folder / "config.json").read_text(encoding="utf-8"))
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
    setup = Setup.from_json(config, recorded)
    assert setup.build().select == ("confidence", "min")
    assert setup.build({"lr": 0.5}).select == ("confidence", "min")  # also where it is built again, inside a trace
    assert setup.with_values({"seed": 2}).build().select == ("confidence", "min")
    assert formats.current() == formats.Rules()  # and nothing is left behind for the next experiment


def test_old_and_new_rules_are_two_programs(tiny):
    """What is compiled is found again by the text of the step: another average is another text."""

    def text(rules):
        program = prepare(Setup.of(tiny.config, {"ema": 0.9}, rules=rules))
        chunk, count = program.function("chunk"), np.int32(1)
        return chunk.lower(program.knobs, program.shapes, program.source_shapes, count, count).as_text()

    now, old = text(formats.TODAY), text(formats.Rules(1, ("accuracy", "max")))
    assert text(formats.TODAY) == now != old


@pytest.mark.slow
@pytest.mark.programs(20, "a run is loaded and resumed")
def test_an_old_run_says_so_in_one_line_when_it_is_loaded_and_resumed(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("jaxdl.record.report.write_report", lambda *_: None)  # tests/test_museum.py goes on to the end
    load(OLD)
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("note:")]
    assert len(said) == 1
    assert "is a run of format 1 and keeps the rules of then" in said[0]
    copy = shutil.copytree(OLD, tmp_path / "paused")
    config = load_config(copy / "experiment.py")
    assert config().follows == formats.Rules()
    run = train(
        config, resume=copy, limits=Limits(stop_at=21), quiet=True
    )  # a function of today follows the run it goes on with
    assert run.experiment.follows == formats.Rules(1, ("loss", "min"))
    assert sum("format 1" in line for line in capsys.readouterr().err.splitlines()) == 1
    assert "format" not in json.loads((copy / "config.json").read_text(encoding="utf-8"))


@pytest.mark.programs(10, "the leaves of a checkpoint are put on the device one by one")
def test_a_new_run_says_nothing(trained, tiny, capsys):
    load(trained.folder, config=tiny.config)
    assert "note" not in capsys.readouterr().err
