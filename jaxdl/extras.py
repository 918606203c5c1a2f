"""Optional packages: what each extra needs, and the command that installs it."""

import os
import re
import shutil
import sys
import tomllib
from importlib import metadata
from pathlib import Path

from jaxdl.types import MissingPackage

DISTRIBUTION = "jaxdl-sheet"
"""The name under which pip knows this project; the distribution `jaxdl` on PyPI belongs to somebody else."""

CHECKOUT = Path(__file__).resolve().parent.parent
"""The folder that holds the package; in a clone it has a pyproject.toml."""


def requirements() -> dict[str, list[str]]:
    """The requirements of each extra, from the clone's pyproject.toml or from the installed distribution."""
    if (settings := CHECKOUT / "pyproject.toml").is_file():
        return tomllib.loads(settings.read_text(encoding="utf-8"))["project"].get("optional-dependencies", {})
    found: dict[str, list[str]] = {}
    try:
        lines = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        lines = []
    for line in lines:
        if match := re.fullmatch(r"(.+?)\s*;.*\bextra == ['\"]([\w-]+)['\"]", line):
            found.setdefault(match[2], []).append(match[1])
    return found


def command(extra: str) -> str:
    """The shell command that adds an extra to the running Python.

    In a clone it installs the clone with the extra. Elsewhere it names the packages themselves, so that it works whatever
    jaxdl was installed from.
    """
    if (CHECKOUT / "pyproject.toml").is_file():
        where = "." if Path.cwd() == CHECKOUT else CHECKOUT
        return f"{python()} -m pip install -e {quoted(f'{where}[{extra}]')}"
    packages = requirements().get(extra) or [f"{DISTRIBUTION}[{extra}]"]
    return f"{python()} -m pip install {' '.join(map(quoted, packages))}"


def python() -> str:
    """`python` if the shell finds the running one under that name, else its path."""
    first = shutil.which("python")
    same = first is not None and Path(first).parent == Path(sys.executable).parent
    return "python" if same else quoted(sys.executable) if " " in sys.executable else sys.executable


def quoted(word: str) -> str:
    """A word in quotes: single ones for a POSIX shell, which may expand [ ]; cmd.exe knows only double ones."""
    return f'"{word}"' if os.name == "nt" else f"'{word}'"


def missing(what: str, error: ModuleNotFoundError, extra: str) -> MissingPackage:
    """The error to raise where the package of an extra cannot be imported.

    >>> error = missing("byte-pair encoding", ModuleNotFoundError("...", name="tokenizers"), "bpe")
    >>> str(error).split(": ")[0]
    'byte-pair encoding needs the package tokenizers'
    """
    found = MissingPackage(f"{what} needs the package {error.name}: {command(extra)}")
    found.name = error.name
    return found
