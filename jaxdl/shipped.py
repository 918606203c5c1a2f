"""Experiment files by name: those of ./experiments first, then those that come with jaxdl, wherever it is installed.

A folder of experiments may have a subfolder `at_scale/` of recipes, whose data or machines were not at hand. They go by the same
names: `digits_cnn` is `experiments/digits_cnn.py`, `imagenet_resnet50` is `experiments/at_scale/imagenet_resnet50.py`.
"""

import re
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
RECIPES = "at_scale"


def folders() -> list[Path]:
    """Return the folders of experiments: ./experiments, then those of jaxdl (inside a wheel, beside it in a clone)."""
    inside = PACKAGE / "experiments"
    beside = PACKAGE.parent / "experiments"
    own = inside if inside.is_dir() or not (PACKAGE.parent / "pyproject.toml").is_file() else beside
    here = Path("experiments")
    found = [folder for folder in (here, own) if folder.is_dir()]
    return found[:1] if len(found) == 2 and here.resolve() == own.resolve() else found


def files(folder: Path) -> list[Path]:
    """Return the Python files of a folder and of its recipes in the order of their names, without private ones."""
    found = [*folder.glob("*.py"), *(folder / RECIPES).glob("*.py")]
    return sorted((file for file in found if not file.name.startswith("_")), key=lambda file: file.stem)


def locate(given: str | Path) -> Path:
    """Return the file of an experiment: `digits_cnn` or `experiments/digits_cnn.py`. Other paths are returned as they are.

    A recipe is found at `experiments/NAME.py`, too, where it was before.
    """
    path = Path(given)
    named = path.parts[:-1] in ((), ("experiments",)) and path.suffix in ("", ".py")
    if path.is_file() or not named:
        return path
    found = [place / f"{path.stem}.py" for folder in folders() for place in (folder, folder / RECIPES)]
    return next((file for file in found if file.is_file()), path)


def commands_here(text: str) -> str:
    """A docstring whose commands work from the present folder: `python -m experiments.NAME` needs ./experiments."""
    if (Path("experiments") / "__init__.py").is_file():
        return text
    return re.sub(r"python -m experiments\.(?=\w)", "python -m jaxdl train ", text)
