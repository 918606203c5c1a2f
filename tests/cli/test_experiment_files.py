"""Mistakes in an experiment file: one line with the file, the line and the error; and what such a file may import."""

import json
import textwrap

import pytest

from tests.cli.test_errors import FILE, call, refused, write

pytestmark = pytest.mark.programs(20, "a run of its own file, trained and evaluated")

FILES = {
    "no config": ("x = 1\n", "mine.py has no function `config`"),
    "a syntax error": ("def config(:\n", "mine.py:1 raises SyntaxError"),
    "raises": ("import math\n\nmath.sqrt(-1)\n", "mine.py:3 raises ValueError: math domain error"),
    "a missing import": ("\nfrom jaxdl.models.mpl import MLP\n", "mine.py:2 raises ModuleNotFoundError"),
    "config raises": (
        "def config(*, lr: float = 0.1):\n    lr = 1\n    return {}['a']\n",
        "mine.py:3 config raises KeyError: 'a'",
    ),
    "no experiment": (
        "def config(*, lr: float = 0.1):\n    return 3\n",
        "mine.py: config must return an Experiment, got int",
    ),
    "leaves": ("import sys\n\nsys.exit(3)\n", "mine.py:3 raises SystemExit: 3"),
    "divides by zero": (
        "def config(*, width: int = 0):\n    return 1 / width\n",
        "mine.py:2 config raises ZeroDivisionError",
    ),
    "no default": ("def config(*, lr: float):\n    pass\n", "knob 'lr' of config needs a type and a default"),
    "no type": ("def config(*, lr=0.1):\n    pass\n", "knob 'lr' of config needs a type and a default"),
    "an unknown field": (
        "from jaxdl import Experiment\n\ndef config(*, lr: float = 0.1):\n    return Experiment(stesp=3)\n",
        "mine.py:4 config raises TypeError",
    ),
}


@pytest.mark.parametrize("what", FILES)
def test_experiment_file(here, capfd, what):
    text, message = FILES[what]
    write(here, text)
    line = refused(capfd, "train", "mine.py")
    assert message in line
    assert not (here / "runs").exists()


BEFORE = {
    "from jaxdl import Experiment, main\n": "from jaxdl.experiment import Experiment, experiment, main\n",
    "from jaxdl.engine.stopping import": "from jaxdl.train.stopping import",
    "\ndef config(": "\n@experiment\ndef config(",
}
"""What a file of jaxdl 0.1 has in place of what is written today."""


@pytest.mark.slow
def test_a_file_written_for_the_first_version_trains_loads_and_resumes(here, capfd, tiny_file, unreported):
    text = tiny_file.read_text(encoding="utf-8")
    for now, old in BEFORE.items():
        assert text.count(now) == 1
        text = text.replace(now, old)
    write(here, text)
    assert call("train", "mine.py", "--quiet", "--lr", "0.02", "--stop-at", "2") == 0
    (run,) = (here / "runs" / "mine").iterdir()
    assert "@experiment" in (run / "experiment.py").read_text(encoding="utf-8")
    (here / "mine.py").unlink()
    assert call("train", "--resume", run, "--quiet", "--stop-at", "6") == 0
    capfd.readouterr()
    assert call("evaluate", run, "--json") == 0
    assert 0 <= json.loads(capfd.readouterr().out)["metrics"]["accuracy"] <= 1


@pytest.mark.slow
def test_a_file_of_the_folder_may_be_imported(here, capfd, unreported):
    write(here, "WIDTH = 3\n", "beside_this_file.py")
    write(
        here, "from beside_this_file import WIDTH\n" + textwrap.dedent(FILE).replace("features=()", "features=(WIDTH,)")
    )
    assert call("train", "mine.py", "--quiet", "--stop-at", "1") == 0
    (run,) = (here / "runs" / "mine").iterdir()
    assert call("evaluate", run, "--split", "train") == 0
