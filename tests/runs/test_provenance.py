"""What a resume tells and records: an experiment file that was edited, a pause that lies behind."""

import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from jaxdl import load, train
from jaxdl.__main__ import main
from jaxdl.engine.loop import Limits
from jaxdl.experiment import ExperimentError
from jaxdl.record.run import content_hash, open_run
from jaxdl.runs.prepare import prepare
from jaxdl.runs.provenance import checksum
from jaxdl.setup import Setup
from jaxdl.tasks.classification import Classification

pytestmark = pytest.mark.programs(40, "whole trainings")


@pytest.fixture(scope="module")
def edited(tiny_file, tmp_path_factory):
    """A run that began at width 8 with decay 0.01, whose file was edited at step 10 and which ended at step 24."""
    there = tmp_path_factory.mktemp("edited")
    file = there / "mine.py"
    shutil.copyfile(tiny_file, file)
    old = content_hash(file)
    assert main(["train", str(file), "--run", str(there / "runs"), "--stop-at", "10", "--quiet"]) == 0
    (run,) = there.glob("runs/mine/*")
    file.write_text(file.read_text(encoding="utf-8").replace("decay=0.01", "decay=0.02"), encoding="utf-8")
    assert main(["train", "--resume", str(run), "--stop-at", "15", "--quiet"]) == 0
    assert main(["train", "--resume", str(run), "--quiet", "--checkpoint-every", "5"]) == 0
    return run, file, old


def test_an_edit_is_kept_and_recorded(edited):
    run, file, old = edited
    found, new = open_run(run), content_hash(file)
    assert found.config["source_hash"] == old == content_hash(run / "experiment.py")
    assert found.edits == [{"step": 10, "source_hash": new, "file": f"experiment-{new[:8]}.py"}]
    assert found.experiment.read_text(encoding="utf-8") == file.read_text(encoding="utf-8")
    assert found.experiment_at(9) == run / "experiment.py"
    assert found.experiment_at(10) == found.experiment
    assert f"at step 10: `experiment-{new[:8]}.py`" in found.report.read_text(encoding="utf-8")
    assert load(run, "last").state.step == 24
    assert not list(run.glob("*.new"))


def test_verify_replays_after_the_edit_and_not_across_it(edited, tmp_path, capsys):
    run = edited[0]
    assert main(["verify", str(run)]) == 0
    out = capsys.readouterr().out
    assert "edited at step 10: a replay across it cannot be the same" in out
    assert "the same digest" in out
    shutil.copytree(run, tmp_path / "run")
    config = json.loads((run / "config.json").read_text(encoding="utf-8"))
    config["edits"][0]["step"] = 23
    (tmp_path / "run" / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert main(["verify", str(tmp_path / "run")]) == 0
    assert "no replay: the experiment file was edited at step 23" in capsys.readouterr().out


@pytest.mark.slow
def test_a_pause_that_lies_behind_is_told(tiny, tiny_file, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("jaxdl.record.report.write_report", lambda *_: None)
    assert main(["train", str(tiny_file), "--run", str(tmp_path), "--stop-at", "12", "--quiet"]) == 0
    (run,) = tmp_path.glob("*/*")
    assert main(["train", "--resume", str(run), "--stop-at", "5", "--quiet"]) == 0
    assert "the run is already at step 12: stopping at step 5 has no effect" in capsys.readouterr().err
    assert main(["train", "--resume", str(run), "--quiet"]) == 0
    capsys.readouterr()
    assert main(["train", "--resume", str(run), "--stop-at", "30", "--quiet"]) == 0
    assert "the run has ended, at step 24: stopping at step 30 has no effect" in capsys.readouterr().err


def test_a_network_with_a_part_of_no_size_is_refused(tiny):
    """Newer jax initialises it without a word; nothing would go through it."""

    class Closed(nn.Module):
        @nn.compact
        def __call__(self, x, *, train):
            empty = self.param("empty", lambda key: jnp.zeros((3, 0)))
            return nn.Dense(3)(x) + empty.sum()

    exp = replace(tiny.config(), task=Classification(model=Closed()))
    with pytest.raises(ExperimentError, match=r"parameter empty of shape \(3, 0\) has no elements"):
        prepare(Setup.of(lambda: exp, {}))


@pytest.mark.slow
def test_other_data_are_told_of_on_resume(tiny, tmp_path, capsys, monkeypatch):
    """The same shapes and other values, as where a file was replaced."""
    monkeypatch.setattr("jaxdl.record.report.write_report", lambda *_: None)
    exp = tiny.config()
    first = train(lambda: exp, run=tmp_path, limits=Limits(stop_at=8), quiet=True)
    changed = {name: {**arrays} for name, arrays in exp.data.splits.items()}
    changed["train"]["x"] = changed["train"]["x"] + 1
    capsys.readouterr()
    train(lambda: exp, resume=first.folder, limits=Limits(stop_at=16), quiet=True)
    assert "not the data" not in capsys.readouterr().err
    train(lambda: replace(exp, data=replace(exp.data, splits=changed)), resume=first.folder, quiet=True)
    assert "tiny: not the data this run began with; it trains on from step 16 with these" in capsys.readouterr().err


def test_a_checksum_is_of_shapes_and_values():
    split = lambda x: SimpleNamespace(splits={"train": {"x": x}})
    x = np.arange(12, dtype=np.float32)
    assert checksum(split(x)) == checksum(split(x.copy()))
    others = (x + 1, x.reshape(3, 4), x.astype(np.float64), x[:0], np.array(["a"] * 12))
    assert len({checksum(split(other)) for other in (x, *others)}) == 6
