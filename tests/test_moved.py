"""Old names of modules go on working: copies of experiment files in run folders import them."""

import subprocess
import sys
from importlib import import_module

import pytest

from jaxdl.moved import MOVED, MOVED_NAMES


@pytest.mark.parametrize("old", MOVED)
def test_every_new_name_exists(old):
    import_module(MOVED[old])


@pytest.mark.slow
def test_old_names_import_what_moved_and_leave_the_verb_alone():
    code = (
        "import jaxdl\n"
        "from jaxdl.train.stopping import EarlyStopping\n"
        "import jaxdl.train.loop\n"
        "from jaxdl.experiment import Experiment, experiment, main\n"
        "from jaxdl.api import load, train\n"
        "from jaxdl.engine.stopping import EarlyStopping as now\n"
        "import jaxdl.cli.train, jaxdl.runs.train\n"
        "assert EarlyStopping is now and experiment(len) is len\n"
        "assert main is jaxdl.cli.train.main and train is jaxdl.train is jaxdl.runs.train.train\n"
        "print(callable(jaxdl.train))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("True\n", 0), done.stderr


def test_a_name_that_never_was_is_an_attribute_error():
    import jaxdl.experiment

    assert all(hasattr(import_module(module), name) for module, name in MOVED_NAMES)
    with pytest.raises(AttributeError, match="nothing"):
        _ = jaxdl.experiment.nothing
