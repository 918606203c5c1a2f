"""`verify`: intact and repeatable, or which file, or which step."""

import json
import shutil
import signal

import numpy as np
import pytest

from jaxdl import train
from jaxdl.cli import verify
from jaxdl.engine.loop import Limits
from jaxdl.record.checkpoint import Checkpoints
from jaxdl.types import UserError

pytestmark = pytest.mark.programs(
    30, "whole runs are the subject: alone, one compiles about 20 programs; together, tests share them"
)


@pytest.fixture(scope="module")
def run(tiny, tmp_path_factory):
    """Checkpoints at 15 and 24 between which the log has lines at 16, 18 (evaluation) and 24."""
    limits = Limits(log_every=8, checkpoint_every=15)
    return train(tiny.config, run=tmp_path_factory.mktemp("verify"), limits=limits, quiet=True).folder


@pytest.fixture
def copy(run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    return tmp_path / "run"


def test_an_honest_run_replays_to_the_same_digest(run, capsys):
    steps = Checkpoints(run / "checkpoints").steps()
    assert verify.run([str(run)]) == 0
    out = capsys.readouterr().out
    assert f"step {steps[-1]}: intact" in out
    assert f"replayed steps {steps[-2]} to {steps[-1]}: the same digest, " in out
    (line,) = (
        json.loads(t)
        for t in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        if f'"step": {steps[-1]}, "digest"' in t
    )
    assert line["digest"] in out


def test_a_replay_that_is_stopped_is_no_difference(run, capsys, monkeypatch):
    monkeypatch.setattr(verify.Lines, "progress", lambda *_: signal.raise_signal(signal.SIGTERM))
    with pytest.raises(KeyboardInterrupt, match="SIGTERM"):
        verify.run([str(run)])
    assert "digest" not in capsys.readouterr().out


def test_a_flipped_byte_is_named(copy, capsys):
    newest = copy / "checkpoints" / str(Checkpoints(copy / "checkpoints").steps()[-1])
    meta = newest / "meta.json"
    meta.write_bytes(meta.read_bytes()[:-1] + b" ")
    assert verify.run([str(copy), "--no-replay"]) == 1
    assert f"step {newest.name}: meta.json is damaged" in capsys.readouterr().out


def test_the_first_step_that_differs_is_named(copy, capsys, monkeypatch):
    """Another learning rate than the one recorded stands for a machine that computes otherwise."""
    config = json.loads((copy / "config.json").read_text(encoding="utf-8"))
    config["knobs"]["lr"] *= 1 + 1e-6
    (copy / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(UserError, match=r"lr was .*--trust"):
        verify.run([str(copy)])
    assert verify.run([str(copy), "--trust"]) == 1
    out = capsys.readouterr().out
    assert "first difference, step 16 (train): " in out
    assert "the checkpoint's is " in out


def test_one_checkpoint_cannot_be_replayed(copy, capsys):
    for step in Checkpoints(copy / "checkpoints").steps()[:-1]:
        shutil.rmtree(copy / "checkpoints" / str(step))
    assert verify.run([str(copy)]) == 0
    assert "no replay: " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("steps", "last", "every"), [((50, 100, 130), 130, 50), ((24,), 24, 24), ((), 500, 500), ((60,), 500, 60)]
)
def test_the_log_tells_how_often_it_was_written(steps, last, every):
    assert verify.grid([{"kind": "train", "step": step} for step in steps], last) == every
    assert np.all([verify.grid([{"kind": "eval", "step": step}], last) == last for step in steps])
