"""jaxdl: the deep-learning cheat sheet, executable. See README.md; `python -m jaxdl --help` for the commands.

Importing this is light: no backend starts, and nothing heavy is loaded until it is used.
"""

from typing import Any

from jaxdl.moved import install as install_old_names

__version__ = "0.1.0"

_LAZY = {
    "Experiment": "jaxdl.experiment",
    "Setup": "jaxdl.setup",
    "configure": "jaxdl.runtime",
    "load": "jaxdl.runs.members",
    "main": "jaxdl.cli.train",
    "sweep": "jaxdl.runs.sweep",
    "train": "jaxdl.runs.train",
    "trial": "jaxdl.runs.trial",
}
__all__ = ["Experiment", "Setup", "configure", "load", "main", "sweep", "train", "trial"]

install_old_names()


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'jaxdl' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *_LAZY]
