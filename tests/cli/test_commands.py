"""The commands on one trained run: train and resume, evaluate, predict, compare, summary, list, new, doctor."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxdl.__main__ import COMMANDS, main
from jaxdl.experiment import load_config
from jaxdl.record.checkpoint import Checkpoints
from jaxdl.record.log import comparable, read

pytestmark = pytest.mark.programs(
    40, "whole runs are the subject: alone, one compiles about 20 programs; together, tests share them"
)

ROOT = Path(__file__).parents[2]


def call(*args):
    try:
        return main([str(arg) for arg in args])
    except SystemExit as error:
        return error.code


def output(capfd, *args, code=0):
    """Standard output of a command that must succeed."""
    capfd.readouterr()
    assert call(*args) == code
    return capfd.readouterr().out


# -- train -------------------------------------------------------------------------------------------------------------


def test_train_writes_a_run_folder_that_a_person_can_read(here, capfd, tiny_file):
    assert call("train", tiny_file, "--lr", "0.02", "--seed", "3", "--ema", "0.5", "--quiet") == 0
    out, err = capfd.readouterr()
    assert "report:" in err
    assert out.startswith("validation accuracy 0.")  # results, and nothing else, on standard output
    assert "test accuracy 0." in out
    (run,) = (here / "runs" / "tiny").iterdir()
    assert run.name.endswith("-s3")
    config = json.loads((run / "config.json").read_text(encoding="utf-8"))
    assert config["knobs"] == {
        "steps": 24, "batch": 16, "width": 8, "lr": 0.02, "rate": 0.1, "patience": 100, "min_delta": 0.0, "seed": 3,
    }  # fmt: skip
    assert config["recorded"]["ema"] == 0.5
    assert config["source"] == str(tiny_file)
    assert len(config["source_hash"]) == 16
    env = json.loads((run / "env.json").read_text(encoding="utf-8"))
    assert env["backend"] == "cpu"
    assert env["versions"]["jax"]
    assert (run / "experiment.py").read_bytes() == tiny_file.read_bytes()
    assert list((run / "tensorboard").iterdir())
    assert list((run / "plots").iterdir())
    report = (run / "report.md").read_text(encoding="utf-8")
    assert "64, 21 and 12 drawn rows" in report
    assert "0.02" in report


@pytest.mark.slow
def test_stop_at_and_resume_give_the_same_run(here, tiny_file, unreported):
    whole = ("train", tiny_file, "--quiet", "--log-every", "5", "--run", "whole")
    assert call(*whole) == 0
    assert call("train", tiny_file, "--quiet", "--log-every", "5", "--stop-at", "11") == 0
    (run,) = (here / "runs" / "tiny").iterdir()
    assert Checkpoints(run / "checkpoints").steps()[-1] == 11
    # the latest run, without a value; then a finished one by its folder, twice, from its own copy of the settings
    assert call("train", tiny_file, "--quiet", "--log-every", "5", "--resume") == 0
    assert list((here / "runs" / "tiny").iterdir()) == [run]
    (other,) = (here / "whole" / "tiny").iterdir()
    for _ in range(2):
        assert comparable(read(run)) == comparable(read(other))
        ends = [[line for line in read(r) if line["kind"] == "checkpoint"][-1] for r in (run, other)]
        assert ends[0] == ends[1]
        assert call("train", "--resume", run, "--quiet", "--log-every", "5") == 0


@pytest.mark.slow
def test_resume_repeats_the_knobs_and_refuses_others(here, capfd, tiny_file, unreported):
    assert call("train", tiny_file, "--quiet", "--lr", "0.02", "--stop-at", "6") == 0
    (run,) = (here / "runs" / "tiny").iterdir()
    capfd.readouterr()
    assert call("train", tiny_file, "--quiet", "--resume", run, "--lr", "0.5") == 2
    assert "cannot resume with other settings: lr was 0.02, now 0.5" in capfd.readouterr().err
    assert call("train", "--resume", run, "--quiet", "--accumulate", "2") == 2
    assert "accumulate was 1, now 2" in capfd.readouterr().err
    assert call("train", "--resume", run, "--quiet", "--stop-at", "9") == 0
    assert Checkpoints(run / "checkpoints").steps()[-1] == 9


@pytest.mark.slow
def test_an_edited_file_is_told_of_on_resume(here, capfd, tiny_file, unreported):
    mine = here / "mine.py"
    mine.write_text(tiny_file.read_text(encoding="utf-8"), encoding="utf-8")
    assert call("train", mine, "--quiet", "--stop-at", "6") == 0
    mine.write_text(tiny_file.read_text(encoding="utf-8") + "\n# a remark\n", encoding="utf-8")
    (run,) = (here / "runs" / "mine").iterdir()
    capfd.readouterr()
    assert call("train", mine, "--quiet", "--resume", "--stop-at", "8") == 0
    assert f"note: {mine} was edited since" in capfd.readouterr().err
    mine.unlink()  # its copy in the run folder goes on
    assert call("train", "--quiet", "--resume", run) == 0
    assert "was edited" not in capfd.readouterr().err


def test_help_shows_every_knob_and_option(capfd, tiny_file):
    from dataclasses import fields

    from jaxdl.cli.options import RunOptions
    from jaxdl.experiment import RECORDED

    text = " ".join(output(capfd, "train", tiny_file, "--help").split())
    flags = [
        "steps",
        "batch",
        "lr",
        "rate",
        "min_delta",
        "seed",
        *RECORDED,
        *(field.name for field in fields(RunOptions)),
    ]
    for flag in flags:
        assert f"--{flag.replace('_', '-')}" in text
    assert "peak learning rate. (default: 0.01)" in text
    assert "FLOAT" in text


def test_every_flag_has_its_line_of_help():
    """A flag without one is a riddle; also of the options of the other commands."""
    from dataclasses import fields

    from jaxdl.cli import options
    from jaxdl.experiment import RECORDED

    assert set(options.DOCS) == set(RECORDED)
    source = Path(options.__file__).read_text(encoding="utf-8")
    for field in fields(options.RunOptions):
        after = source.split(f"    {field.name}: ", 1)[1].split("\n", 2)[1]
        assert after.strip().startswith('"""'), field.name


@pytest.mark.slow
def test_ctrl_c_in_a_process(tmp_path, tiny_file):
    """Once: saves, exits with 75 and says how to go on, which then works."""
    args = [sys.executable, "-m", "jaxdl", "train", str(tiny_file), "--steps", "500000", "--log-every", "100"]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(args, cwd=tmp_path, env=env, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not any(p.stat().st_size for p in tmp_path.glob("runs/*/*/metrics.jsonl")):
        time.sleep(0.1)  # until its first line, or its end
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 75, err
    assert "saving, then stopping" in err
    (run,) = tmp_path.glob("runs/*/*")
    assert f"to go on: python -m jaxdl train --resume {run}" in err
    step = Checkpoints(run / "checkpoints").steps()[-1]
    more = [sys.executable, "-m", "jaxdl", "train", "--resume", str(run), "--stop-at", str(step + 5)]
    subprocess.run(more, cwd=tmp_path, env=env, check=True, capture_output=True)
    assert Checkpoints(run / "checkpoints").steps()[-1] == step + 5


# -- the others --------------------------------------------------------------------------------------------------------


def test_evaluate(capfd, trained):
    shown = json.loads(output(capfd, "evaluate", trained.folder, "--json"))
    expected = trained.evaluate("test")
    assert shown["metrics"] == pytest.approx(expected.metrics)
    assert np.sum(shown["report"]["confusion_matrix"]) == 12
    (end,) = [line for line in trained.history if line["kind"] == "end"]
    assert shown["metrics"]["accuracy"] == pytest.approx(end["results"]["test"]["accuracy"])
    table = " ".join(output(capfd, "evaluate", trained.folder, "--split", "validation", "--checkpoint", "last").split())
    assert "validation split of tiny, last weights" in table
    assert "accuracy of b" in table


def test_predict_arrays(here, capfd, trained):
    x = trained.experiment.data.splits["test"]["x"]
    np.save(here / "many.npy", x)
    np.save(here / "one.npy", x[0])
    np.savez(here / "more.npz", x=x[:2])
    np.savez(here / "single.npz", x=x[0])
    text = output(capfd, "predict", trained.folder, "many.npy", "one.npy", "more.npz", "--json")
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["file"] for line in lines] == [
        *(f"many.npy[{i}]" for i in range(12)), "one.npy", "more.npz[0]", "more.npz[1]",
    ]  # fmt: skip
    expected = trained.predict(x)
    assert [line["label"] for line in lines[:12]] == expected["label"].tolist()
    np.testing.assert_allclose([line["probability"] for line in lines[:12]], expected["probability"], rtol=1e-6)
    assert lines[0]["top"][0][0] == "abc"[lines[0]["label"]]
    one, single = (output(capfd, "predict", trained.folder, f"{n}", "--top", "1") for n in ("one.npy", "single.npz"))
    assert one.startswith("one.npy: ")
    assert single == one.replace("one.npy", "single.npz")


@pytest.mark.slow
def test_compare(here, capfd, tiny_file, unreported):
    for seed in (0, 1):
        assert call("train", tiny_file, "--quiet", "--seed", seed) == 0
    assert call("train", tiny_file, "--quiet", "--lr", "0.0001") == 0
    shown = json.loads(output(capfd, "compare", "runs/tiny", "--json"))
    assert (shown["metric"], shown["mode"]) == ("accuracy", "max")
    rows = {row["lr"]: row for row in shown["rows"]}
    assert {lr: row["n"] for lr, row in rows.items()} == {0.01: 2, 0.0001: 1}
    best = [
        max(line["accuracy"] for line in read(run) if line["kind"] == "eval")
        for run in (here / "runs" / "tiny").iterdir()
        if json.loads((run / "config.json").read_text(encoding="utf-8"))["knobs"]["lr"] == 0.01
    ]
    assert rows[0.01]["best accuracy"] == pytest.approx([np.mean(best), np.std(best, ddof=1)])
    assert (here / "compare.png").stat().st_size > 5000
    table = output(capfd, "compare", *(here / "runs" / "tiny").iterdir(), "--metric", "loss")
    assert "by best validation loss (minimum first)" in table
    assert "±" in table
    assert (here / "compare-2.png").is_file()
    assert call("compare", "runs/tiny", "--metric", "acuracy") == 2
    assert "has no metric 'acuracy'" in capfd.readouterr().err


def test_summary(capfd):
    text = output(capfd, "summary", ROOT / "experiments" / "digits_cnn.py", "--norm", "none")
    assert "parameters      21," in text  # 320 + 18,496 + 2,570
    assert "21,386" in text
    assert "per example, forward" in text
    assert "memory of a step of 64" in text


def test_list(here, capfd, monkeypatch):
    text = output(capfd, "list", ROOT / "experiments")
    own, recipes = re.split(r"\n\nRecipes, .*\n\n", text)
    rows = dict(line.split("  ", 1) for line in [*own.splitlines(), *recipes.splitlines()])
    assert "digits_cnn  " in own
    assert "imagenet_vgg16  " in recipes
    for name, line in rows.items():
        assert line.strip().endswith("."), name
    (here / "broken.py").write_text("def config(:\n", encoding="utf-8")
    (here / "other.py").write_text('"""No experiment."""\n', encoding="utf-8")
    assert output(capfd, "list", here) == "broken  (does not parse: line 1)\n"


@pytest.mark.slow
def test_new_runs_as_it_is(here, capfd, unreported):
    assert "wrote mine.py" in output(capfd, "new", "mine")
    assert call("train", "mine.py", "--stop-at", "1", "--quiet") == 0
    (here / "experiments").mkdir()
    assert "python -m experiments.second" in output(capfd, "new", "second")
    assert (here / "experiments" / "second.py").is_file()


def test_new_writes_an_nnx_model(here, capfd):
    assert "wrote mine.py" in output(capfd, "new", "mine", "--nnx")
    task = load_config(here / "mine.py")().task
    params, _ = jax.eval_shape(lambda: task.init(jax.random.key(0), {"x": np.zeros((2, 8, 8, 1), np.float32)}))
    assert params["hidden"]["kernel"].shape == (64, 128)
    assert params["head"]["bias"].shape == (10,)
    assert call("new", "other", "--nnx", "--from", "digits_cnn") == 2


def test_new_copies_an_experiment_by_its_name(here, capfd):
    assert "wrote mine.py" in output(capfd, "new", "mine", "--from", "digits_cnn")
    own, copy = (
        (ROOT / "experiments" / "digits_cnn.py").read_text(encoding="utf-8"),
        (here / "mine.py").read_text(encoding="utf-8"),
    )
    assert own.count("python -m experiments.digits_cnn") == copy.count("python -m jaxdl train mine.py") > 0
    assert copy.replace("jaxdl train mine.py", "experiments.digits_cnn") == own
    assert call("new", "other", "--from", "digit_cnn") == 2
    assert "did you mean digits_cnn?" in capfd.readouterr().err
    assert call("new", "mine", "--from", "digits_mlp") == 2
    assert (here / "mine.py").read_text(encoding="utf-8") == copy


def test_doctor(capfd):
    text = output(capfd, "doctor")
    for name in ("python", "jax", "backend", "cache", "XLA", "extra parity"):
        assert name in text


def test_help_lists_the_commands(capfd):
    text = output(capfd, "--help")
    for name in COMMANDS:
        assert f"  {name}" in text
    for name in COMMANDS:
        assert name in output(capfd, name, "--help")
    assert output(capfd, "--version").startswith("jaxdl ")
    assert call() == 2
