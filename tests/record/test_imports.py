"""A run copies one file; of the local files which that imports it knows whether they changed."""

import json
import sys

import pytest

from jaxdl import load, train
from jaxdl.experiment import load_config
from jaxdl.record.imports import changed_since, local_imports
from jaxdl.record.run import create_run, open_run

FILE = """
import json
import numpy as np
import helper_of_imports
from package_of_imports.part import WIDTH

def config(*, seed: int = 0):
    return None
"""


@pytest.fixture
def source(tmp_path, monkeypatch):
    """An experiment file that imports a helper, which imports another, and a package."""
    (tmp_path / "helper_of_imports.py").write_text("import second_of_imports\nDEPTH = 2\n", encoding="utf-8")
    (tmp_path / "second_of_imports.py").write_text("RATE = 0.1\n", encoding="utf-8")
    (tmp_path / "unused_of_imports.py").write_text("RATE = 0.2\n", encoding="utf-8")
    (tmp_path / "package_of_imports").mkdir()
    (tmp_path / "package_of_imports" / "__init__.py").write_text("", encoding="utf-8")
    (tmp_path / "package_of_imports" / "part.py").write_text("from .other import WIDTH\n", encoding="utf-8")
    (tmp_path / "package_of_imports" / "other.py").write_text("WIDTH = 3\n", encoding="utf-8")
    path = tmp_path / "mine_of_imports.py"
    path.write_text(FILE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    load_config(path)
    yield path
    for name in [name for name in sys.modules if "_of_imports" in name]:
        del sys.modules[name]


@pytest.mark.slow
def test_local_files_are_found_in_turn_and_libraries_are_not(source):
    found = {path.removeprefix(f"{source.parent.resolve()}/") for path in local_imports(source)}
    assert found == {
        "helper_of_imports.py",
        "second_of_imports.py",
        "package_of_imports/__init__.py",
        "package_of_imports/part.py",
        "package_of_imports/other.py",
    }


def test_a_changed_helper_is_named(source, tmp_path):
    run = create_run(tmp_path / "runs", "mine", seed=0, config={"knobs": {}}, source=source)
    assert changed_since(open_run(run.folder).config) == []
    (source.parent / "second_of_imports.py").write_text("RATE = 0.5\n", encoding="utf-8")
    (source.parent / "package_of_imports" / "other.py").unlink()
    changed = changed_since(json.loads((run.folder / "config.json").read_text(encoding="utf-8")))
    assert {path.rpartition("/")[2] for path in changed} == {"second_of_imports.py", "other.py"}


def test_a_run_of_before_has_nothing_to_say():
    assert changed_since({"experiment": "old"}) == []


@pytest.mark.slow
@pytest.mark.programs(40, "a whole training, loaded twice")
def test_load_says_so_in_one_line(tiny_file, tmp_path, capsys, monkeypatch):
    """The run of a file beside a helper; loading it goes on, with a note."""
    (tmp_path / "beside_of_imports.py").write_text("WIDTH = 4\n", encoding="utf-8")
    text = tiny_file.read_text(encoding="utf-8").replace("import numpy", "import beside_of_imports\nimport numpy")
    path = tmp_path / "tiny_of_imports.py"
    path.write_text(text.replace("width: int = 8", "width: int = beside_of_imports.WIDTH"), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    run = train(load_config(path), steps=6, run=tmp_path / "runs", quiet=True)
    load(run.folder)
    assert "changed since" not in capsys.readouterr().err
    (tmp_path / "beside_of_imports.py").write_text("WIDTH = 4  # edited\n", encoding="utf-8")
    load(run.folder)
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "changed since" in line]
    assert line.endswith("beside_of_imports.py")
    for name in [name for name in sys.modules if "_of_imports" in name]:
        del sys.modules[name]
