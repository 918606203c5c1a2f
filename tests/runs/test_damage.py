"""Files of a run folder that are cut, torn, changed or gone: noticed before the training, said in a line, not overwritten."""

import json
import shutil
from dataclasses import replace

import numpy as np
import optax
import pytest

from jaxdl import load, sweep, train, trial
from jaxdl.engine.loop import Diverged, Limits
from jaxdl.record.checkpoint import CheckpointError
from jaxdl.record.log import read
from jaxdl.record.run import open_run
from jaxdl.runs import sweep as sweeps
from jaxdl.setup import Setup
from jaxdl.types import UserError
from tests.tables import rows

pytestmark = pytest.mark.programs(60, "whole trainings")


@pytest.fixture
def copy(trained, tmp_path):
    return shutil.copytree(trained.folder, tmp_path / "run")


@rows(
    {str(text): text for text in (None, "", '{"command": "x"', "[1]", '{"command": "x"}')},
    ["None", '{"command": "x"'],
    "text",
)
def test_a_damaged_env_is_kept_and_written_anew_before_the_training(tiny, copy, text, unreported, capsys):
    (copy / "env.json").unlink() if text is None else (copy / "env.json").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=r"env\.json"):
        _ = open_run(copy).env
    train(tiny.config, resume=copy, quiet=True)
    assert "env.json cannot be read" in capsys.readouterr().err
    assert open_run(copy).env["backend"] == "cpu"
    assert (copy / "env.json.damaged").exists() == (text is not None)
    if text is not None:
        assert (copy / "env.json.damaged").read_text(encoding="utf-8") == text


@rows({"emptied": 0, "cut": 3}, ["cut"], "kept")
def test_a_log_that_was_cut_is_noticed_and_said(tiny, copy, kept, unreported, capsys):
    whole = (copy / "metrics.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (copy / "metrics.jsonl").write_text("".join(whole[:kept]), encoding="utf-8")
    train(tiny.config, resume=copy, quiet=True)
    reached = json.loads(whole[kept - 1])["step"] if kept else 0
    assert f"it reaches step {reached} of 24" in capsys.readouterr().err
    (note,) = [line for line in read(copy) if line["kind"] == "note"]
    assert (note["step"], "was cut" in note["note"]) == (24, True)
    train(tiny.config, resume=copy, quiet=True)
    assert len([line for line in read(copy) if line["kind"] == "note"]) == 2  # the lines are still missing


def test_a_whole_log_is_not_accused(tiny, copy, unreported, capsys):
    train(tiny.config, resume=copy, quiet=True)
    assert "was cut" not in capsys.readouterr().err


@pytest.mark.parametrize("file", ["results.json", pytest.param("group-0/stages.json", marks=pytest.mark.slow)])
def test_a_torn_file_of_a_sweep_is_made_again(tiny, tmp_path, file, unreported, capsys):
    done = sweep(tiny.config, {"seed": (0, 1)}, run=tmp_path, how="together", quiet=True, steps=6)
    torn = done.folder / file
    torn.write_text(torn.read_text(encoding="utf-8")[:20], encoding="utf-8")
    with pytest.raises(UserError, match=f"{torn.name} is damaged"):
        _ = load(done.folder, member=1).history
    assert len(torn.read_text(encoding="utf-8")) == 20
    again = sweeps.resume(done.folder, quiet=True)
    assert again.rows == done.rows
    assert json.loads(torn.read_text(encoding="utf-8"))
    assert f"{torn} was damaged" in capsys.readouterr().err
    assert (done.folder / f"{file}.damaged").stat().st_size == 20


@pytest.mark.parametrize("way", ["removed", "moved"])
def test_a_folder_that_is_gone_ends_the_run_at_the_next_chunk(tiny, tmp_path, way):
    def leave(event):
        if (event.kind, event.step) == ("train", 5):
            shutil.rmtree(event.folder) if way == "removed" else event.folder.rename(tmp_path / "elsewhere")

    with pytest.raises(CheckpointError, match="run folder"):
        train(tiny.config, run=tmp_path / "runs", quiet=True, callback=leave, limits=Limits(log_every=5))
    left = {path.name for path in (tmp_path / "runs" / "tiny").glob("*/*")}
    assert not left & {"checkpoints", "report.md"}  # the thread of TensorBoard may be about to write


def with_split(exp, split, **changes):
    arrays = {name: {**some} for name, some in exp.data.splits.items()}
    arrays[split] |= changes
    return replace(exp, data=replace(exp.data, splits=arrays))


def test_a_split_of_another_shape_leaves_no_folder(tiny, tmp_path):
    with pytest.raises(UserError, match=r"\(5,\) in validation, of \(6,\) in train"):
        train(
            lambda: with_split(tiny.config(), "validation", x=np.zeros((21, 5), np.float32)), run=tmp_path, quiet=True
        )
    assert not any(tmp_path.iterdir())


def test_a_run_whose_steps_were_all_skipped_has_failed(tiny):
    exp = with_split(tiny.config(steps=5), "train", x=np.full((64, 6), 3e38, np.float32))
    with pytest.raises(Diverged, match="any of the 5 steps"):
        trial(lambda: exp)


def test_a_run_that_ends_without_finite_parameters_has_failed(tiny):
    with pytest.raises(Diverged, match="parameters are not finite"):
        trial(lambda: replace(tiny.config(steps=5), stop=None, optimizer=optax.sgd(float("nan"))))


def test_what_is_no_type_is_refused(tiny):
    def config(*, lr: 0.1 = 0.1):
        return tiny.config(lr=lr)

    with pytest.raises(UserError, match=r"'lr' .* 0\.1"):
        Setup.of(config, {})


def test_an_optimizer_that_is_a_text_is_refused(tiny):
    for wrong in ("adam", {"": "adam"}, None):
        with pytest.raises(UserError, match="optimizer"):
            replace(tiny.config(), optimizer=wrong)
