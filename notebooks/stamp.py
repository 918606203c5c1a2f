"""Which versions ran each notebook: shown, checked, and written when a notebook runs.

python notebooks/stamp.py                               a line a notebook
python notebooks/stamp.py --run notebooks/01_*.ipynb    run from top to bottom, save the outputs and the stamp

The stamp lies in the notebook's metadata, under "jaxdl": the versions that its kernel had while it ran. Pictures are
stored as small PNGs, which keeps a notebook below 1 MB.
"""

import argparse
import base64
import io
import json
import os
from pathlib import Path

FOLDER = Path(__file__).parent
PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "matplotlib")
PHOTOGRAPH = 8192
"""A picture with more colours is a photograph, which is dithered: few colours would leave bands in it."""
ASK = f"""
import json, platform
from importlib import metadata
json.dumps({{"python": platform.python_version(), **{{name: metadata.version(name) for name in {PACKAGES!r}}}}})
"""


def stamp(path: Path) -> dict[str, str]:
    """package -> version, as the notebook says; {} without a stamp."""
    return json.loads(path.read_text(encoding="utf-8"))["metadata"].get("jaxdl", {}).get("versions", {})


def shrunk(png: str) -> str:
    """The same picture as a smaller PNG, both in base64: grey if all of it is, else with 256 colours that fit."""
    from PIL import Image

    picture, out = Image.open(io.BytesIO(base64.b64decode(png))), io.BytesIO()
    new = picture.convert("RGB")
    red, green, blue = new.split()
    grey = red.tobytes() == green.tobytes() == blue.tobytes()
    few = new.getcolors(PHOTOGRAPH) is not None
    method, dither = ("MAXCOVERAGE", "NONE") if few else ("MEDIANCUT", "FLOYDSTEINBERG")
    new = red if grey else new.quantize(256, method=Image.Quantize[method], dither=Image.Dither[dither])
    dpi = {"dpi": picture.info["dpi"]} if "dpi" in picture.info else {}
    new.save(out, format="png", optimize=True, **dpi)
    return min(base64.b64encode(out.getvalue()).decode(), png, key=len)


def run(path: Path) -> dict[str, str]:
    """Run a notebook where it lies, ask its kernel for the versions and save it with both."""
    import nbformat
    from nbclient import NotebookClient

    os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=3600,
        kernel_name="python3",
        resources={"metadata": {"path": path.parent}},
        record_timing=False,
    )
    notebook.cells.append(nbformat.v4.new_code_cell(ASK))
    with client.setup_kernel():
        for index, cell in enumerate(notebook.cells):
            client.execute_cell(cell, index)
    question = notebook.cells.pop()
    for output in (output for cell in notebook.cells for output in cell.get("outputs", ())):
        if "image/png" in output.get("data", {}):
            output.data["image/png"] = shrunk(output.data["image/png"])
    (answer,) = (output["data"]["text/plain"] for output in question.outputs if output.output_type == "execute_result")
    versions = json.loads(answer.strip("'"))
    notebook.metadata["jaxdl"] = {"versions": versions}
    notebook.metadata["language_info"] = {"name": "python", "version": versions["python"]}
    nbformat.write(notebook, path)
    return versions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", nargs="+", type=Path, default=[], metavar="NOTEBOOK", help="run these and stamp them")
    for path in parser.parse_args().run:
        run(path)
    for path in sorted(FOLDER.glob("*.ipynb")):
        said = ", ".join(f"{name} {version}" for name, version in stamp(path).items())
        print(f"{path.stem:38} {said or 'no stamp'}")


if __name__ == "__main__":
    main()
