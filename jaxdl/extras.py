"""What is not installed by default: the command that installs it, as it works from where the user stands."""

import os
import shutil
import sys
from pathlib import Path

from jaxdl.types import MissingPackage

CHECKOUT = Path(__file__).resolve().parent.parent
"""The folder that holds the package: of a clone, the one with pyproject.toml."""


def command(extra: str) -> str:
    """The line for a shell that adds an extra to this very Python: from the clone, or to the installed jaxdl."""
    clone = (CHECKOUT / "pyproject.toml").is_file()
    here = clone and Path.cwd() == CHECKOUT
    what = f"{'.' if here else CHECKOUT}[{extra}]" if clone else f"jaxdl[{extra}]"
    return f"{python()} -m pip install {'-e ' * clone}{quoted(what)}"


def python() -> str:
    """`python` if that is the one that runs, else its path."""
    first = shutil.which("python")
    same = first is not None and Path(first).parent == Path(sys.executable).parent
    return "python" if same else quoted(sys.executable) if " " in sys.executable else sys.executable


def quoted(word: str) -> str:
    """In quotes: single ones for a POSIX shell, which may read [ ] as a pattern; cmd.exe knows double ones only."""
    return f'"{word}"' if os.name == "nt" else f"'{word}'"


def missing(what: str, error: ModuleNotFoundError, extra: str) -> MissingPackage:
    """The error to raise where a package of an extra is imported and not there.

    >>> error = missing("byte-pair encoding", ModuleNotFoundError("...", name="tokenizers"), "bpe")
    >>> str(error).split(": ")[0]
    'byte-pair encoding needs the package tokenizers'
    """
    found = MissingPackage(f"{what} needs the package {error.name}: {command(extra)}")
    found.name = error.name
    return found
