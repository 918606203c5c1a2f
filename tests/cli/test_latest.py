"""`latest` names the newest run, wherever a command asks for a run folder."""

import pytest

from jaxdl.__main__ import main

pytestmark = pytest.mark.programs(40, "whole runs are the subject")


def test_latest_is_the_newest_run_for_every_command(here, capfd, tiny_file, unreported):
    assert main(["train", str(tiny_file), "--quiet", "--steps", "4"]) == 0
    assert main(["train", str(tiny_file), "--quiet", "--steps", "8", "--stop-at", "4"]) == 0
    old, new = sorted((here / "runs" / "tiny").iterdir())
    capfd.readouterr()
    assert main(["evaluate", "latest"]) == 0
    assert new.name in capfd.readouterr().out
    assert main(["evaluate", "runs/tiny/latest"]) == 0
    assert new.name in capfd.readouterr().out
    assert main(["train", "--resume", "--quiet"]) == 0
    assert (new / "checkpoints" / "8").is_dir()
    assert main(["export", "latest"]) == 0
    assert (new / "export").is_dir()
    assert not (here / "latest").exists()
    assert not (old / "export").exists()


def test_a_folder_without_runs_is_said(here, capfd):
    for command in ("evaluate", "verify", "export", "show"):
        assert main([command, "latest"]) == 2
        assert capfd.readouterr().err == "error: latest: there is no run in runs\n"
    assert main(["train", "--resume"]) == 2
    assert "there is no run in runs" in capfd.readouterr().err


def test_a_folder_of_that_name_is_itself(here, capfd):
    (here / "latest").mkdir()
    assert main(["evaluate", "latest"]) == 2
    assert "latest is not a run folder: it has no config.json" in capfd.readouterr().err
