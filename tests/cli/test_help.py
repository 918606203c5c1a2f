"""The help of an experiment, and flags that may be left out."""

import pytest

from jaxdl.cli.options import RunOptions, read_flags
from tests.cli.test_commands import ROOT, call, output


def test_help_of_an_experiment_keeps_its_lines_and_has_three_groups(capfd, monkeypatch):
    monkeypatch.chdir(ROOT)
    text = output(capfd, "train", "digits_cnn", "--help")
    for line in (ROOT / "experiments" / "digits_cnn.py").read_text(encoding="utf-8").split('"""')[1].splitlines():
        assert line in text.splitlines()
    knobs, recorded, options = (text.index(f"{name} options ") for name in ("knobs", "recorded", "run"))
    assert (
        knobs < text.index("--lr FLOAT") < recorded < text.index("--ema FLOAT") < options < text.index("--stop-at INT")
    )
    assert "{None}" not in text


@pytest.mark.parametrize(("word", "value"), [("5", 5), ("None", None)])
def test_an_optional_flag_takes_none(word, value):
    assert read_flags(RunOptions, ["--stop-at", word], prog="x").stop_at == value


def test_a_flag_that_is_no_number_is_refused(capfd):
    assert call("train", "digits_cnn", "--stop-at", "soon") == 2
    assert "--stop-at" in capfd.readouterr().err
