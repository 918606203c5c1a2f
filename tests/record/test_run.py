"""Run folders: complete, never overwritten, found again; anything else is refused in one line."""

import json
import os
import subprocess
import sys

import jax
import pytest

import jaxdl.record.run as run_module
from jaxdl.record.run import content_hash, create_run, environment, find_runs, open_run


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "digits.py"
    path.write_text('"""Digits."""\n', encoding="utf-8")
    return path


def test_a_run_is_recorded_and_found_again(tmp_path, source):
    config = {"knobs": {"lr": 1e-3, "sizes": [1, 2]}, "options": {"ema": None}}
    made = create_run(tmp_path / "runs", "digits", seed=3, config=config, source=source)
    assert made.folder.parent == tmp_path / "runs" / "digits"
    assert made.folder.name.endswith("-s3")
    opened = open_run(made.folder)
    assert opened == made
    assert opened.config == {
        **config,
        "experiment": "digits",
        "seed": 3,
        "source": str(source),
        "source_hash": content_hash(source),
        "imports": {},
    }
    assert opened.experiment.read_text(encoding="utf-8") == source.read_text(encoding="utf-8")
    assert opened.env["versions"]["jax"] == jax.__version__
    assert opened.env["devices"] == {jax.devices()[0].device_kind: len(jax.devices())}
    assert opened.plots.is_dir()
    assert (opened.metrics.parent, opened.report.parent, opened.checkpoints.parent) == (opened.folder,) * 3


def test_no_run_is_overwritten_and_the_last_is_the_latest(tmp_path, monkeypatch):
    monkeypatch.setattr(run_module.time, "strftime", lambda *_: "2026-01-02_03-04-05")
    runs = [create_run(tmp_path, "a", seed=1, config={"n": n}, source=None) for n in range(11)]
    create_run(tmp_path, "b", seed=0, config={}, source=None)
    assert [r.folder.name for r in runs[:2]] == ["2026-01-02_03-04-05-s1", "2026-01-02_03-04-05-s1-2"]
    assert [r.config["n"] for r in find_runs(tmp_path, "a")] == list(range(11))
    assert len(find_runs(tmp_path)) == 12
    assert find_runs(tmp_path, "none") == find_runs(tmp_path / "none") == []


def put(path, text):
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: p / "none", "there is no such folder"),
        (lambda p: p, "it has no config.json$"),
        (lambda p: create_run(p, "a", seed=0, config={}, source=None).folder.parent, r"it contains some: .*-s0"),
        (lambda p: put(p / "file", ""), "it is a file"),
        (lambda p: put(p / "config.json", "{").parent, "its config.json cannot be read"),
        (lambda p: put(p / "config.json", "[]").parent, "it names no experiment"),
    ],
)
def test_what_is_not_a_run_folder(tmp_path, make, message):
    path = make(tmp_path)
    with pytest.raises(ValueError, match=f"is not a run folder: .*{message}") as error:
        open_run(path)
    assert "\n" not in str(error.value)


def test_one_bad_folder_blocks_no_other(tmp_path, capsys):
    good = create_run(tmp_path, "a", seed=0, config={}, source=None)
    for name, text in (("2020-01-01_00-00-00-s0", "{"), ("2020-01-01_00-00-00-s1", "[]")):
        (tmp_path / "a" / name).mkdir()
        put(tmp_path / "a" / name / "config.json", text)
    (tmp_path / "a" / "gone").mkdir()
    (tmp_path / "a" / "gone" / "config.json").symlink_to(tmp_path / "nowhere")
    assert find_runs(tmp_path, "a") == find_runs(tmp_path) == [good]
    notes = capsys.readouterr().err.splitlines()
    assert sum("config.json cannot be read" in note for note in notes) == 4
    assert all(note.startswith("note: left out: ") for note in notes)


@pytest.mark.parametrize(("depth", "found"), [(1, True), (3, True), (4, False)])
def test_the_hint_looks_three_levels_down(tmp_path, depth, found):
    folder = tmp_path.joinpath(*"abcd"[:depth])
    folder.mkdir(parents=True)
    put(folder / "config.json", "{}")
    with pytest.raises(ValueError, match=r"it has no config\.json") as error:
        open_run(tmp_path)
    assert (str(folder) in str(error.value)) is found


def test_the_hint_survives_a_folder_that_vanishes(tmp_path, monkeypatch):
    def gone(*_):
        raise FileNotFoundError("gone")

    monkeypatch.setattr(type(tmp_path), "glob", gone)
    with pytest.raises(ValueError, match=r"it has no config\.json$"):
        open_run(tmp_path)


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "runs").write_text("a file in the way", encoding="utf-8")
    with pytest.raises(PermissionError, match=r"cannot write a run folder in .*runs/a: Not a directory; .*--run"):
        create_run(tmp_path / "runs", "a", seed=0, config={}, source=None)


def test_a_config_that_is_no_json_leaves_nothing_behind(tmp_path):
    with pytest.raises(TypeError):
        create_run(tmp_path, "a", seed=0, config={"act": print}, source=None)
    assert not list(tmp_path.iterdir())


def test_the_git_commit_and_whether_it_was_changed(tmp_path, source):
    assert environment(source)["git"] is None
    identity = {
        "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a@b",
        "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@b",
    }
    for words in (["init", "-q"], ["add", "digits.py"], ["commit", "-qm", "x"]):
        subprocess.run(["git", "-C", tmp_path, *words], check=True, env={**os.environ, **identity})
    git = environment(source)["git"]
    assert len(git["commit"]) == 40
    assert git["dirty"] is False
    source.write_text("changed", encoding="utf-8")
    assert environment(source)["git"] == {**git, "dirty": True}


@pytest.mark.slow
def test_the_command_line_can_be_pasted(tmp_path):
    code = "import json; from jaxdl.record.run import environment; print(json.dumps(environment()))"
    out = subprocess.run([sys.executable, "-c", code, "--lr", "a b"], capture_output=True, text=True, check=True).stdout
    command = json.loads(out)["command"]
    assert command.endswith("--lr 'a b'")
    assert command.startswith("python")
