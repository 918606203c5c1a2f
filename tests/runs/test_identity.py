"""A run folder that was edited after the training: the difference is named, and nothing of it is loaded or resumed."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jaxdl import load, sweep, train
from jaxdl.data.image import images
from jaxdl.engine.loop import Limits
from jaxdl.record.manifest import write_manifest
from jaxdl.record.run import open_run
from jaxdl.runs import sweep as sweeps
from jaxdl.runs.provenance import check_recorded, data_record, identity
from jaxdl.types import UserError

pytestmark = pytest.mark.programs(20, "whole trainings")

CONFIG = {
    "format": 2,
    "knobs": {
        "lr": 0.1,
        "folder": "/home/me/photos",
        "workers": 3,
        "hub": "me/net",
        "widths": (8, 4),
        "decay": 0.5,
        "seed": 0,
    },
    "recorded": {"eval_every": 5, "ema": None, "precision": "float32"},
    "select": ["loss", "min"],
    "data": "07b95e3d",
    "experiment": "mine",
    "source_hash": "4584cda4ac39463f",
}


@pytest.fixture
def written(tmp_path):
    """A run folder with one checkpoint, without arrays."""
    (tmp_path / "config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    checkpoint = tmp_path / "checkpoints" / "7"
    checkpoint.mkdir(parents=True)
    meta = {"run": identity(CONFIG), "source": CONFIG["source_hash"]}
    (checkpoint / "meta.json").write_text(json.dumps({"step": 7, "meta": meta}), encoding="utf-8")
    write_manifest(checkpoint)
    return tmp_path


def edit(folder: Path, old: str, new: str, name: str = "config.json") -> None:
    text = (folder / name).read_text(encoding="utf-8")
    assert old in text
    (folder / name).write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ('"lr": 0.1', '"lr": 0.2', "lr was 0.1, is now 0.2"),
        ('"seed": 0', '"seed": 1', "seed was 0, is now 1"),
        ('"decay": 0.5', '"decay": "0.5"', "decay was 0.5, is now 0.5"),
        ('"ema": null', '"ema": 0.9', "ema was None, is now 0.9"),
        ('"eval_every": 5', '"eval_every": 6', "eval_every was 5, is now 6"),
        ("[8, 4]", "[8]", "widths"),
        ("me/net", "you/net", "hub"),
        ('"min"', '"max"', "select"),
        ('"format": 2', '"format": 1', "format"),
        ('"data": "0', '"data": "1', "data"),
        ('"source_hash": "4', '"source_hash": "5', "source_hash"),
        ('"knobs"', '"knobr"', "lr was 0.1, is now None"),
    ],
)
def test_an_edit_of_config_json_is_named(written, old, new, named):
    edit(written, old, new)
    with pytest.raises(UserError, match=re.escape(named)):
        check_recorded(open_run(written))


@pytest.mark.parametrize(
    ("old", "new"),
    [("/home/me", "/mnt"), ('"workers": 3', '"workers": 0'), ('"experiment": "mine"', '"experiment": "yours"')],
)
def test_what_changes_no_result_may_change(written, old, new):
    edit(written, old, new)
    check_recorded(open_run(written))


def test_trust_is_a_note(written, capsys):
    edit(written, '"lr": 0.1', '"lr": 0.2')
    check_recorded(open_run(written), trust=True)
    assert "lr was 0.1, is now 0.2" in capsys.readouterr().err


def test_after_a_resume_with_trust_only_the_newest_checkpoint_decides(written, capsys):
    edit(written, '"lr": 0.1', '"lr": 0.2')
    newer = written / "checkpoints" / "12"
    newer.mkdir()
    meta = {"run": identity({**CONFIG, "knobs": {**CONFIG["knobs"], "lr": 0.2}}), "source": CONFIG["source_hash"]}
    (newer / "meta.json").write_text(json.dumps({"step": 12, "meta": meta}), encoding="utf-8")
    write_manifest(newer)
    check_recorded(open_run(written))
    note = capsys.readouterr().err
    assert note.startswith("note: ")
    assert "step 7" in note
    assert "lr was 0.1, is now 0.2" in note
    edit(written, '"lr": 0.2', '"lr": 0.1')
    with pytest.raises(UserError, match=r"step 12 .* lr was 0\.2, is now 0\.1"):
        check_recorded(open_run(written))


def test_a_damaged_record_accuses_nobody(written):
    edit(written, '"lr": 0.1', '"lr": 0.3', "checkpoints/7/meta.json")
    check_recorded(open_run(written))


def test_a_run_is_not_loaded_or_resumed_under_other_knobs(tiny, tmp_path, unreported, capsys):
    paused = train(tiny.config, run=tmp_path, limits=Limits(stop_at=6), quiet=True).folder
    meta = json.loads((paused / "checkpoints" / "6" / "meta.json").read_text(encoding="utf-8"))["meta"]
    assert meta["run"]["lr"] == 0.01
    edit(paused, '"lr": 0.01', '"lr": 0.02')
    for action in (lambda: load(paused), lambda: train(tiny.config, resume=paused, quiet=True)):
        with pytest.raises(UserError, match=r"lr was 0\.01, is now 0\.02"):
            action()
    assert load(paused, trust=True).setup.knobs["lr"] == 0.02
    edit(paused, '"lr": 0.02', '"lr": 0.01')
    edit(paused, "rate: float = 0.1", "rate: float = 0.2", "experiment.py")
    with pytest.raises(UserError, match=r"experiment\.py was changed"):
        load(paused)
    capsys.readouterr()
    load(paused, trust=True)
    assert "experiment.py was changed" in capsys.readouterr().err
    assert train(tiny.config, resume=paused, quiet=True).state.step == 24  # its own function: the copy is not executed


@pytest.mark.slow
def test_a_sweep_remembers_its_members(tiny, tmp_path, unreported):
    done = sweep(tiny.config, {"lr": (0.01, 0.03)}, run=tmp_path, how="together", quiet=True, steps=6)
    edit(done.folder, '"lr": 0.03', '"lr": 0.04')
    for action in (lambda: load(done.folder, member=0), lambda: sweeps.resume(done.folder, quiet=True)):
        with pytest.raises(UserError, match=r"lr of member 1 was 0\.03, is now 0\.04"):
            action()


def test_files_of_a_streamed_set_have_a_hash(tmp_path):
    """Of names, sizes and contents: the labels, all that `splits` hold, stay the same here."""
    for number in range(12):
        path = tmp_path / "set" / f"class{number % 2}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 4, 3), number, np.uint8)).save(path)

    def record(folder):
        return data_record(images.streamed(folder, batch=2, image=4, workers=0))

    first = record(tmp_path / "set")
    assert first["files"]
    shutil.copytree(tmp_path / "set", tmp_path / "moved" / "set")
    assert record(tmp_path / "moved" / "set") == first
    path = tmp_path / "moved" / "set" / "class0" / "2.png"
    path.write_bytes(path.read_bytes()[::-1])  # the same size
    images._streamed.cache_clear()
    other = record(tmp_path / "moved" / "set")
    assert (other["data"], other["files"]) == (first["data"], other["files"])
    assert other["files"] != first["files"]
    path.rename(path.with_name("20.png"))
    images._streamed.cache_clear()
    images._listed.cache_clear()
    assert record(tmp_path / "moved" / "set")["files"] not in (first["files"], other["files"])
