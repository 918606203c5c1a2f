"""Every notebook runs from top to bottom, offline and shrunk (JAXDL_SHORT), is committed as it ran, and is built to teach."""

import base64
import importlib.util
import io
import os
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from PIL import Image

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def read(path):
    return nbformat.read(path, as_version=4)


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def prose(notebook):
    return [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]


def pictures_of(notebook):
    outputs = [output for cell in code(notebook) for output in cell.outputs]
    return [base64.b64decode(o.data["image/png"]) for o in outputs if "image/png" in o.get("data", {})]


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
    assert len(pictures_of(client.nb)) >= 3


def test_there_are_notebooks_and_they_are_small():
    assert len(NOTEBOOKS) >= 13
    assert all(path.stat().st_size < 1e6 for path in NOTEBOOKS)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_committed_as_it_ran(path):
    notebook = read(path)
    nbformat.validate(notebook)
    counts = [cell.execution_count for cell in code(notebook)]
    assert counts == list(range(1, len(counts) + 1)), "run it from top to bottom, then save"
    assert not [o for cell in code(notebook) for o in cell.outputs if o.output_type == "error"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_pictures_are_sharp_and_of_one_style(path):
    notebook = read(path)
    source = "\n".join(cell.source for cell in code(notebook))
    assert "dpi" not in source, "one resolution for all, in jaxdl.record.pictures.STYLE"
    assert "plt." not in source or "plt.rcParams.update(STYLE)" in source
    pictures = [Image.open(io.BytesIO(png)) for png in pictures_of(notebook)]
    assert len(pictures) >= 3
    assert all(min(picture.info["dpi"]) > 119 for picture in pictures)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_built_to_teach(path):
    """A frame, the idea by hand checked against the library, formulas, papers, three exercises with hidden answers."""
    notebook = read(path)
    first, *_, last = prose(notebook)
    assert all(word in first for word in ("**You will see**", "**You need**", "**Time**", "minute"))
    assert any("assert_allclose" in cell.source for cell in code(notebook))
    assert any("$$" in text for text in prose(notebook))
    assert re.search(r"\]\(https://", last)
    whole = "\n".join(prose(notebook))
    assert whole.count("<details><summary>") == whole.count("</details>") == 3
    assert code(notebook)[0].metadata["jupyter"]["source_hidden"] is True


def test_their_readme_leads_through_all_notebooks_in_their_order():
    path = (ROOT / "notebooks" / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"\((\w+)\.ipynb\)", path) == [notebook.stem for notebook in NOTEBOOKS]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_links_between_notebooks_lead_somewhere(path):
    links = re.findall(r"\]\((?!https?://)([^)#]+)\)", "\n".join(prose(read(path))))
    assert links or path == NOTEBOOKS[-1]
    assert all((path.parent / link).exists() for link in links)


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
