"""The old names of modules that have moved, so that copies of experiment files in run folders still work.

The only compatibility code of the package. A module that moves gets a row here.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

ENGINE = ("diagnosis", "distributed", "evaluate", "halving", "keys", "loop", "parallel", "population", "program")

DATA = {
    "image": ("vision", "folder", "images", "decoding", "identities", "pairs", "pixels"),
    "text": ("text_classes", "translation", "tokenizers", "symbols", "bpe", "buckets"),
    "audio": ("speech", "spoken", "tones", "librispeech", "spectrogram"),
    "table": ("tabular", "columns", "named", "series", "stamps"),
}

MOVED = {
    **{f"jaxdl.data.{name}": f"jaxdl.data.{kind}.{name}" for kind, names in DATA.items() for name in names},
    **dict.fromkeys(("jaxdl.data.wav", "jaxdl.data.audio.wav"), "jaxdl.data.audio.soundfiles"),
    "jaxdl.data.table_encoder": "jaxdl.data.table.encoder",
    "jaxdl.data.parallel_text": "jaxdl.data.text.parallel",
    "jaxdl.data.stream": "jaxdl.data.source",
    "jaxdl.data.groups": "jaxdl.data.splits",
    **{f"jaxdl.train.{name}": f"jaxdl.engine.{name}" for name in (*ENGINE, "signals", "step", "stopping")},
    "jaxdl.api": "jaxdl",
    "jaxdl.judge": "jaxdl.runs.judge",
    "jaxdl.sweeps": "jaxdl.runs.sweep",
    "jaxdl.transfer": "jaxdl.runs.weights",
    "jaxdl.commands.trial": "jaxdl.runs.trial",
}
"""Old dotted name of a module -> its new one."""

MOVED_NAMES = {
    ("jaxdl.experiment", "main"): "jaxdl.cli.train",
    ("jaxdl.data.files", "read_csv"): "jaxdl.data.table.csv",
    ("jaxdl.data.files", "read_image"): "jaxdl.data.image.reader",
    ("jaxdl.data.files", "open_image"): "jaxdl.data.image.reader",
}
"""(module, name in it) -> the module that has it now."""


class Moved(ModuleType):
    """A module under its old name; the new module is imported when an attribute is read."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(import_module(MOVED[self.__name__]), name)


def install() -> None:
    """Make `import` find the old names. A full name in sys.modules is found without its parent package."""
    for old in MOVED:
        sys.modules.setdefault(old, Moved(old))


def moved_name(module: str, name: str) -> Any:
    """What `module.name` was before it moved. Raises AttributeError where it never was."""
    new = MOVED_NAMES.get((module, name))
    if new is None:
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    return getattr(import_module(new), name)
