"""`list`: the experiments of a folder with the first line of their docstrings."""

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from jaxdl.experiment import ExperimentError


@dataclass(frozen=True)
class Options:
    """The experiments in a folder, a line each."""

    folder: tyro.conf.Positional[Path | None] = None
    """Where to look; by default ./experiments, else the one beside the package."""


def folder_of_experiments(given: Path | None = None) -> Path:
    beside = Path(__file__).resolve().parents[2] / "experiments"
    for folder in [given] if given else [Path("experiments"), beside]:
        if folder.is_dir():
            return folder
    raise ExperimentError(f"no folder {given or 'experiments'} with experiments; make one: python -m jaxdl new NAME")


def rows(folder: Path) -> list[tuple[Path, str]]:
    """(file, first docstring line) of every experiment, read without running anything."""
    found = []
    for file in sorted(folder.glob("*.py")):
        if file.name.startswith("_"):
            continue
        try:
            tree = ast.parse(file.read_text())
        except SyntaxError as error:
            found.append((file, f"(does not parse: line {error.lineno})"))
            continue
        if any(isinstance(node, ast.FunctionDef) and node.name == "config" for node in tree.body):
            found.append((file, (ast.get_docstring(tree) or "").split("\n")[0]))
    return found


def run(args: Sequence[str]) -> int:
    options = tyro.cli(Options, args=args, prog="python -m jaxdl list")
    folder = folder_of_experiments(options.folder)
    found = rows(folder)
    width = max((len(file.stem) for file, _ in found), default=0)
    for file, line in found:
        print(f"{file.stem:<{width}}  {line}")
    if not found:
        print(f"no experiments in {folder}")
    return 0
