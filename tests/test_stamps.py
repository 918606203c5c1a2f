"""Notebooks and tables of results say which versions made them."""

import base64
import importlib.util
import io
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
VERSION = r"\d+\.\d+(\.\d+)*"


def stamps():
    spec = importlib.util.spec_from_file_location("stamp", ROOT / "notebooks" / "stamp.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_says_which_versions_ran_it(path):
    versions = stamps().stamp(path)
    assert {"python", "jax", "jaxlib"} <= versions.keys()
    assert all(re.fullmatch(VERSION, version) for version in versions.values())
    kernel = nbformat.read(path, as_version=4).metadata.language_info.version
    assert versions["python"] == kernel, "it ran again without `notebooks/stamp.py --run`"


@pytest.mark.parametrize("page", ["measured", "speed"])
def test_a_page_of_results_says_which_versions_made_them(page):
    assert re.search(rf"jax {VERSION}", (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize("kind", ["grey", "few colours"])
def test_a_stored_picture_is_smaller_and_has_the_same_pixels(kind):
    random = np.random.default_rng(0)
    colours = np.repeat(random.integers(0, 256, (50, 1)), 3, 1) if kind == "grey" else random.integers(0, 256, (50, 3))
    pixels = colours[random.integers(0, 50, (60, 80))].astype(np.uint8)
    png = io.BytesIO()
    Image.fromarray(np.dstack([pixels, np.full((60, 80), 255, np.uint8)])).save(png, format="png", dpi=(120, 120))
    before = base64.b64encode(png.getvalue()).decode()
    after = stamps().shrunk(before)
    assert len(after) < len(before)
    with Image.open(io.BytesIO(base64.b64decode(after))) as picture:
        np.testing.assert_array_equal(np.asarray(picture.convert("RGB")), pixels)
        np.testing.assert_allclose(picture.info["dpi"], 120, atol=0.1)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the client
def test_a_notebook_that_runs_is_stamped_with_what_its_kernel_has(tmp_path):
    import jax
    import numpy

    path = tmp_path / "one.ipynb"
    cells = [nbformat.v4.new_code_cell(source) for source in ("x = 1", "print(x + 1)")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    module = stamps()
    assert module.stamp(path) == {}
    versions = module.run(path)
    assert module.stamp(path) == versions
    assert (versions["jax"], versions["numpy"]) == (jax.__version__, numpy.__version__)
    saved = nbformat.read(path, as_version=4)
    assert [cell.execution_count for cell in saved.cells] == [1, 2]
    assert saved.cells[1].outputs[0].text == "2\n"
