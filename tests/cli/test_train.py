"""Where the experiment file may stand on the command line."""

import pytest

from jaxdl.cli.train import place_of_file

PLACES = {
    "first": (["exp.py", "--quiet"], 0),
    "first, a folder": (["exp", "--quiet"], 0),
    "after a flag": (["--quiet", "exp.py"], 1),
    "after --resume": (["--resume", "exp.py"], 1),
    "in the middle": (["--lr", "0.1", "exp.py", "--quiet"], 2),
    "no file": (["--resume", "runs/a"], None),
    "nothing": ([], None),
}


@pytest.mark.parametrize("name", PLACES)
def test_place_of_file(name):
    args, place = PLACES[name]
    assert place_of_file(args) == place
