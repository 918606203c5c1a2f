"""Every notebook runs from top to bottom, offline and shrunk (JAXDL_SHORT), and is committed with small outputs."""

import importlib.util
import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def read(path):
    return nbformat.read(path, as_version=4)


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the client, not of the notebook
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path, tmp_path, monkeypatch):
    monkeypatch.setenv("JAXDL_SHORT", "1")
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    monkeypatch.setenv("XLA_FLAGS", os.environ["XLA_FLAGS"].replace("optimization_level=1", "optimization_level=0"))
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")  # the notebooks share their small programs
    for name in ("PIP_INDEX_URL", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # whoever reaches for the network fails at once
    client = NotebookClient(read(path), timeout=900, kernel_name="python3", resources={"metadata": {"path": tmp_path}})
    client.execute()
    pictures = [output for cell in code(client.nb) for output in cell.outputs if "image/png" in output.get("data", {})]
    assert len(pictures) >= 3


def test_there_are_notebooks_and_they_are_small():
    assert len(NOTEBOOKS) >= 4
    assert all(path.stat().st_size < 1e6 for path in NOTEBOOKS)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_committed_as_it_ran(path):
    notebook = read(path)
    nbformat.validate(notebook)
    counts = [cell.execution_count for cell in code(notebook)]
    assert counts == list(range(1, len(counts) + 1)), "run it from top to bottom, then save"
    assert not [o for cell in code(notebook) for o in cell.outputs if o.output_type == "error"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_trains_with_the_project_and_defines_no_model(path):
    for cell in code(read(path)):
        assert "import flax" not in cell.source
        assert "nn.Module" not in cell.source


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.parametrize("installed", [True, False])
def test_the_first_cell_installs_only_what_is_missing_and_never_jax(path, installed, tmp_path, monkeypatch):
    """The cell's own code, with shell and pip recorded instead of run."""
    from IPython.core.inputtransformer2 import TransformerManager

    first = code(read(path))[0].source
    assert [code(read(other))[0].source for other in NOTEBOOKS].count(first) == len(NOTEBOOKS), "the same everywhere"
    ran = []

    class Shell:
        def system(self, line):
            ran.append(line)

        def run_line_magic(self, name, line):
            ran.append(f"%{name} {line}")

    class Namespace(dict):
        """IPython puts {values} into shell lines; here it is done when they are recorded."""

    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "jaxdl" and not installed else real(name)
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", list(__import__("sys").path))
    space = Namespace(get_ipython=Shell)
    exec(TransformerManager().transform_cell(first), space)
    if installed:
        assert ran == []
        assert space["clone"] == ROOT
    else:
        clone, install = ran
        assert clone.startswith("git clone")
        assert install.startswith("%pip install --quiet")
        import jax
        import jaxlib

        assert space["pins"].split() == [f"jax=={jax.__version__}", f"jaxlib=={jaxlib.__version__}"]
        assert "{pins}" in install
        assert "upgrade" not in install
