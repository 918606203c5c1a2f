"""jaxdl: the deep-learning cheat sheet, executable. See README.md; `python -m jaxdl --help` for the commands.

Importing this is light: no backend starts, and nothing heavy is loaded until it is used.
"""

import signal
import sys
from types import TracebackType
from typing import Any

from jaxdl.moved import install as install_old_names

__version__ = "0.1.0"

_LAZY = {
    "Experiment": "jaxdl.experiment",
    "Setup": "jaxdl.setup",
    "configure": "jaxdl.runtime",
    "import_weights": "jaxdl.pretrained.folder",
    "load": "jaxdl.runs.members",
    "main": "jaxdl.cli.train",
    "open_weights": "jaxdl.pretrained.folder",
    "sweep": "jaxdl.runs.sweep",
    "train": "jaxdl.runs.train",
    "trial": "jaxdl.runs.trial",
}
__all__ = [
    "Experiment",
    "Setup",
    "configure",
    "import_weights",
    "load",
    "main",
    "open_weights",
    "sweep",
    "train",
    "trial",
]

install_old_names()
_shown = sys.excepthook


def _ended(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """End a script by Ctrl-C without a traceback while it imports modules, which takes seconds. The exit code is 130."""
    importing, at, first = False, trace, error
    while at is not None:
        importing, at = importing or at.tb_frame.f_code.co_filename.startswith("<frozen importlib"), at.tb_next
    while (before := first.__cause__ or first.__context__) is not None:  # extension modules raise ImportError from it
        first = before
    if importing and isinstance(first, KeyboardInterrupt):
        print("interrupted", file=sys.stderr, flush=True)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.raise_signal(signal.SIGINT)
    _shown(kind, error, trace)


sys.excepthook = _ended


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'jaxdl' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *_LAZY]
