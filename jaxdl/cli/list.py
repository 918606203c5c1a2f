"""`list`: the experiments by the names that `train` takes, with the first line of their docstrings."""

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from jaxdl import shipped
from jaxdl.cli.options import read_flags
from jaxdl.experiment import ExperimentError


@dataclass(frozen=True)
class Options:
    """List the experiments, one per line. `python -m jaxdl train NAME` trains one."""

    folder: tyro.conf.Positional[Path | None] = None
    """The folder to list. None: ./experiments, and the experiments that are installed with jaxdl."""


def rows(folder: Path) -> list[tuple[Path, str]]:
    """(file, first docstring line) of every experiment, read without running anything."""
    found = []
    for file in shipped.files(folder):
        try:
            tree = ast.parse(file.read_text(encoding="utf-8"))
        except SyntaxError as error:
            found.append((file, f"(does not parse: line {error.lineno})"))
            continue
        if any(isinstance(node, ast.FunctionDef) and node.name == "config" for node in tree.body):
            found.append((file, (ast.get_docstring(tree) or "").split("\n")[0]))
    return found


def run(args: Sequence[str]) -> int:
    options = read_flags(Options, args, prog="python -m jaxdl list")
    if options.folder and not options.folder.is_dir():
        raise ExperimentError(f"no folder {options.folder} with experiments; make one: python -m jaxdl new NAME")
    folders = [options.folder] if options.folder else shipped.folders()
    named = {
        file.stem: (file, line) for folder in reversed(folders) for file, line in rows(folder)
    }  # the first one wins
    found = [named[name] for name in sorted(named)]
    width = max((len(file.stem) for file, _ in found), default=0)
    for recipes in (False, True):
        shelf = [(file, line) for file, line in found if (file.parent.name == shipped.RECIPES) is recipes]
        if recipes and shelf:
            print("\nRecipes, whose data or machines were not at hand (published numbers stand in their docstrings):\n")
        for file, line in shelf:
            print(f"{file.stem:<{width}}  {line}")
    if not found:
        print(f"no experiments in {' or '.join(map(str, folders)) or './experiments'}")
    return 0
