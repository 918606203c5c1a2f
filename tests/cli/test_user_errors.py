"""Whose mistake an exception is: a refusal of jaxdl is one line, a defect inside jaxdl keeps its traceback."""

import ast
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import jaxdl
from jaxdl.cli.errors import guarded
from jaxdl.experiment import ExperimentError
from jaxdl.record.checkpoint import CheckpointError
from jaxdl.setup import Setup
from jaxdl.types import MissingPackage, UserError, UserTypeError

PACKAGE = Path(jaxdl.__file__).parent


def inside(statement):
    """A function that runs a statement as if it stood in a file of jaxdl."""
    code = compile(statement, str(PACKAGE / "made_up.py"), "exec")
    return lambda: exec(code, {})


@pytest.mark.parametrize("statement", ["a, b = 1, 2, 3", "list(zip([1], [], strict=True))", "int('x')", "len(3)"])
def test_a_defect_inside_jaxdl_keeps_its_traceback(statement):
    """Each of these is a ValueError or TypeError whose last line is ours."""
    with pytest.raises((ValueError, TypeError)) as caught:
        guarded(inside(statement))
    assert Path(str(caught.traceback[-1].path)).name == "made_up.py"


@pytest.mark.parametrize("kind", [UserError, UserTypeError, MissingPackage, ExperimentError, CheckpointError])
def test_what_jaxdl_refuses_is_one_line(kind, capsys):
    def refuse():
        raise kind("lr = -1\nmust be above 0")

    assert guarded(refuse) == 2
    assert capsys.readouterr().err == "error: lr = -1 must be above 0\n"


def test_files_that_cannot_be_read_or_written_are_the_users(tmp_path, capsys):
    assert guarded((tmp_path / "absent").read_text) == 2
    assert guarded(tmp_path.read_text) == 2
    assert guarded((tmp_path / ("x" * 1000)).read_text) == 2  # a name that is too long
    assert capsys.readouterr().err.count("error:") == 3


def test_who_catches_a_value_error_catches_a_refusal():
    assert issubclass(UserError, ValueError)
    assert issubclass(UserTypeError, TypeError)
    assert issubclass(MissingPackage, ModuleNotFoundError)
    assert issubclass(ExperimentError, UserError)


def test_a_config_that_raises_is_told_with_its_line_unless_the_defect_is_ours():
    def config(*, seed):
        raise RuntimeError("no such thing")

    with pytest.raises(ExperimentError, match=r"test_user_errors\.py:\d+ config raises RuntimeError: no such thing"):
        Setup.of(config, {"seed": 0}).build()
    with pytest.raises(ValueError, match="unpack") as caught:
        Setup.of(lambda *, seed: inside("a, b = 1, 2, 3")(), {"seed": 0}).build()
    assert not isinstance(caught.value, UserError)


def test_jaxdl_refuses_by_user_errors_only():
    """No plain ValueError or TypeError is raised by a statement of ours."""
    plain = []
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            raised = node.exc.func if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) else None
            if isinstance(raised, ast.Name) and raised.id in ("ValueError", "TypeError", "ModuleNotFoundError"):
                plain.append(f"{path.relative_to(PACKAGE)}:{node.lineno}")
    assert plain == []


INTERRUPTED = """
import importlib.abc, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it for what it starts with &

class Interrupt(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[1]:
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
import jaxdl
from jaxdl import Experiment
"""


@pytest.mark.parametrize("module", ["jax", "numpy"])
def test_ctrl_c_while_a_script_imports_jaxdl_is_no_traceback(module):
    done = subprocess.run([sys.executable, "-c", INTERRUPTED, module], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "interrupted\n")


def test_ctrl_c_elsewhere_in_a_script_keeps_its_traceback():
    program = "import signal, jaxdl\nsignal.signal(2, signal.default_int_handler)\nsignal.raise_signal(2)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGINT
    assert "Traceback" in done.stderr
