"""What goes wrong is told in one line that names it, with exit code 2 (1 where a run failed)."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from jaxdl.__main__ import main
from jaxdl.record.checkpoint import Checkpoints

pytestmark = pytest.mark.programs(
    30, "whole runs are the subject: alone, one compiles about 20 programs; together, tests share them"
)

ROOT = Path(__file__).parents[2]
FILE = """
    from dataclasses import replace
    import numpy as np
    from jaxdl.data.source import InMemory
    from jaxdl import Experiment
    from jaxdl.models.mlp import MLP
    from jaxdl.optim import sgd
    from jaxdl.tasks.classification import Classification

    x, y = np.ones((8, 3), np.float32), np.arange(8, dtype=np.int32) % 2

    def config(*, lr: float = 0.1, batch: int = 4, seed: int = 0) -> Experiment:
        data = InMemory({"train": {"x": x, "y": y}}, batch, name="ones")
        return Experiment(data=data, task=Classification(MLP(features=(), classes=2)), optimizer=sgd(lr), steps=2)
"""


def write(folder, text, name="mine.py"):
    path = folder / name
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return path


def call(*args):
    """The exit code of a command line; argparse and tyro leave by SystemExit."""
    try:
        return main([str(arg) for arg in args])
    except SystemExit as error:
        return error.code


def refused(capfd, *args, code=2):
    """The message of a command that is refused: one line, and no traceback."""
    assert call(*args) == code
    out, err = capfd.readouterr()
    assert "Traceback" not in out + err
    (line,) = [line for line in err.splitlines() if line.startswith("error:")]
    assert err.rstrip().endswith(line), "the error comes last"
    return line


# -- the command line --------------------------------------------------------------------------------------------------


def test_unknown_flag_is_named_with_the_nearest(here, capfd, tiny_file):
    assert call("train", tiny_file, "--patiense", "3") == 2
    text = "".join(capfd.readouterr())
    assert "--patiense" in text
    assert "--patience" in text
    assert not list(here.iterdir())


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (("--lr", "fast"), "fast"),
        (("--steps", "2.5"), "2.5"),
        (("--precision", "float8"), "float8"),
        (("--device", "abacus"), "abacus"),
    ],
)
def test_wrong_type_is_named(here, capfd, tiny_file, flags, named):
    assert call("train", tiny_file, *flags) == 2
    text = "".join(capfd.readouterr())
    assert flags[0] in text
    assert named in text
    assert not list(here.iterdir())


LINES = {
    "a command": (("trian",), "no command 'trian'; did you mean 'train'?"),
    "no experiment": (("train",), "train needs an experiment"),
    "a missing file": (("train", "tny.py"), "no experiment file tny.py (did you mean tiny.py?)"),
    "a folder": (("train", "."), "no experiment file"),
    "width 0": (("train", "tiny.py", "--width", "0"), "= 0 must be 1 or more"),  # older jax divides by zero
    "a large seed": (
        ("train", "tiny.py", "--seed", "5000000000"),
        "seed = 5000000000 must be between 0 and 2147483647",
    ),
    "a negative seed": (("train", "tiny.py", "--seed", "-1"), "seed = -1 must be between 0 and 2147483647"),
    "a knob swept twice": (
        ("sweep", "tiny.py", "--seed", "0:2", "--seed", "5:7"),
        "--seed is given twice: 0:2 and 5:7",
    ),
    "stop-at 0": (("train", "tiny.py", "--stop-at", "0"), "--stop-at 0: must be 1 or more"),
    "log-every 0": (("train", "tiny.py", "--log-every", "0"), "--log-every 0: must be 1 or more"),
    "steps 0": (("train", "tiny.py", "--steps", "0"), "steps = 0 must be 1 or more"),
    "a large batch": (("train", "tiny.py", "--batch", "65"), "batch = 65 must lie between 1 and 64"),
    "a batch of zero": (("train", "tiny.py", "--batch", "0"), "batch = 0 must lie between 1 and 64"),
    "an ema": (("train", "tiny.py", "--ema", "1.5"), "ema = 1.5 is a decay"),
    "accumulate": (("train", "tiny.py", "--accumulate", "3"), "accumulate = 3 must divide the batch of 16"),
    "init_from": (("train", "tiny.py", "--init-from", "nowhere"), "nowhere is not a run folder"),
    "resume": (("train", "tiny.py", "--resume", "nowhere"), "nowhere is not a run folder: there is no such folder"),
    "resume alone": (("train", "--resume", "nowhere"), "nowhere is not a run folder"),
    "resume nothing": (("train", "tiny.py", "--resume"), "no run of tiny in runs to resume"),
    "evaluate": (("evaluate", "nowhere"), "nowhere is not a run folder: there is no such folder"),
    "evaluate a file": (("evaluate", "tiny.py"), "tiny.py is not a run folder: it is a file"),
    "evaluate a folder": (("evaluate", "."), "is not a run folder: it has no config.json"),
    "predict": (("predict", "nowhere", "tiny.py"), "nowhere is not a run folder"),
    "predict nothing": (("predict", "nowhere", "absent.npy"), "no file absent.npy"),
    "compare": (("compare", "nowhere"), "nowhere is not a run folder"),
    "compare nothing": (("compare", "."), "holds no run folder"),
    "summary": (("summary", "absent.py"), "no experiment file absent.py"),
    "list": (("list", "absent"), "no folder absent"),
    "new": (("new", "my-idea"), "'my-idea' is not a Python name"),
    "new, a keyword": (("new", "class"), "'class' is not a Python name"),
    "new, there": (("new", "tiny"), "tiny.py exists already"),
}


@pytest.mark.parametrize("what", LINES)
def test_one_line(here, capfd, tiny_file, what):
    (here / "tiny.py").write_text(tiny_file.read_text(encoding="utf-8"), encoding="utf-8")
    args, message = LINES[what]
    assert message in refused(capfd, *args)
    assert sorted(path.name for path in here.iterdir()) in (["tiny.py"], ["__pycache__", "tiny.py"])


def test_only_a_name_that_is_near_is_proposed(here, capfd, tiny_file):
    (here / "tiny.py").write_text(tiny_file.read_text(encoding="utf-8"), encoding="utf-8")
    assert refused(capfd, "train", "time.py").endswith("no experiment file time.py")


# -- folders, checkpoints, divergence ----------------------------------------------------------------------------------


def test_an_unwritable_folder(here, capfd, tiny_file):
    (here / "runs").write_text("a file in the way", encoding="utf-8")  # a mode would not stop root
    line = refused(capfd, "train", tiny_file, "--quiet")
    assert "cannot write a run folder" in line
    assert "--run" in line


def test_a_damaged_config(here, capfd):
    (here / "run").mkdir()
    (here / "run" / "config.json").write_text('{"experiment": "x"', encoding="utf-8")
    assert "its config.json cannot be read" in refused(capfd, "evaluate", "run")


@pytest.mark.slow
def test_corrupt_checkpoint_falls_back_and_says_so(here, capfd, tiny_file, unreported):
    assert call("train", tiny_file, "--quiet", "--checkpoint-every", "6") == 0
    (run,) = (here / "runs" / "tiny").iterdir()
    capfd.readouterr()
    steps = Checkpoints(run / "checkpoints").steps()
    damage(run / "checkpoints" / str(steps[-1]))
    for command in (("evaluate", run), ("train", "--resume", run, "--quiet")):
        assert call(*command) == 0
        assert f"using step {steps[-2]} instead" in capfd.readouterr().err
        damage(run / "checkpoints" / str(steps[-1]))  # the resumed run wrote it anew
    for step in Checkpoints(run / "checkpoints").steps():
        damage(run / "checkpoints" / str(step))
    assert "no usable checkpoint" in refused(capfd, "evaluate", run)


def damage(folder):
    for file in (folder / "state").rglob("*"):
        if file.is_file():
            file.write_bytes(b"\0" * file.stat().st_size)


def test_a_run_without_a_checkpoint(here, capfd, tiny_file, unreported):
    assert call("train", tiny_file, "--quiet", "--stop-at", "1") == 0
    (run,) = (here / "runs" / "tiny").iterdir()
    import shutil

    shutil.rmtree(run / "checkpoints")
    assert "has no checkpoint yet" in refused(capfd, "evaluate", run)


def test_an_unknown_split(capfd, trained):
    assert "split = 'dev' is not one of train, validation, test" in refused(
        capfd, "evaluate", trained.folder, "--split", "dev"
    )


PREDICTIONS = {
    "shape": (np.zeros((2, 5), np.float32), "inputs have shape (5,) each, the model was trained on (6,)"),
    "text": (None, "expected npy"),
}


@pytest.mark.parametrize("what", PREDICTIONS)
def test_predict(here, capfd, trained, what):
    array, message = PREDICTIONS[what]
    path = here / ("x.npy" if array is not None else "x.txt")
    path.write_text("hello", encoding="utf-8") if array is None else np.save(path, array)
    line = refused(capfd, "predict", trained.folder, path)
    assert message in line
    assert str(path) in line


@pytest.mark.slow
def test_a_loss_that_turns_nan(here, capfd, tiny_file, unreported):
    """The step, the last good checkpoint and its folder are named; the checkpoint is kept; the exit code is 1."""
    text = tiny_file.read_text(encoding="utf-8").replace(
        "model=MLP(features=(width,), classes=3, rate=rate)",
        "model=MLP(features=(width,), classes=3, rate=rate), penalty=explode",
    )
    write(here, text.replace("\ndef config", EXPLODE + "\n\ndef config"))
    line = refused(
        capfd, "train", "mine.py", "--steps", "600", "--lr", "0.05", "--max-bad-steps", "4", "--quiet", code=1
    )
    (run,) = (here / "runs" / "mine").iterdir()
    steps = Checkpoints(run / "checkpoints").steps()
    assert steps
    assert f"the last good checkpoint is step {steps[-1]}, in {run}" in line
    (end,) = [
        json.loads(text)
        for text in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        if '"kind": "end"' in text
    ]
    assert f"in 4 steps in a row, up to step {end['step']}" in line
    assert end["step"] > steps[-1]
    capfd.readouterr()
    assert call("evaluate", run) == 0


EXPLODE = '''
def explode(params):
    """NaN once the first layer has moved far enough."""
    import jax.numpy as jnp

    norm = jnp.linalg.norm(params["Dense_1"]["bias"])
    return jnp.where(norm > 0.2, jnp.nan, 0.0)
'''


# -- in a process of its own -------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("args", "message"),
    [
        pytest.param(
            ("-m", "jaxdl", "train", "absent.py"), "no experiment file absent.py", marks=pytest.mark.slow, id="jaxdl"
        ),
        pytest.param(
            ("-m", "experiments.digits_mlp", "--resume", "nowhere"), "nowhere is not a run folder", id="an experiment"
        ),
    ],
)
def test_as_a_process(tmp_path, args, message):
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, *args], capture_output=True, text=True, cwd=tmp_path, env=env, check=False)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not done.stdout
