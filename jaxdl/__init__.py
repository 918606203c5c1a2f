"""jaxdl: the deep-learning cheat sheet, executable. See README.md; `python -m jaxdl --help` for the commands.

Importing this is light: no backend starts, and nothing heavy is loaded until it is used.
"""

from typing import Any

__version__ = "0.1.0"

_LAZY = {
    "Experiment": "jaxdl.experiment",
    "main": "jaxdl.experiment",
    "load": "jaxdl.api",
    "sweep": "jaxdl.sweeps",
    "configure": "jaxdl.runtime",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'jaxdl' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *_LAZY]
