"""What a run is before it is built: the function `config`, the values of its knobs, and recorded fields that differ from it.

`train`, `sweep`, `load` and every command make a Setup; a run's config.json holds its values, and a trace builds it again.
"""

import inspect
import re
import sys
import traceback
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from jaxdl import formats
from jaxdl.data.text import tokenizers
from jaxdl.engine.stopping import directions
from jaxdl.experiment import RECORDED, Experiment, ExperimentError, check_seed, line_in
from jaxdl.types import UserError

Config = Callable[..., Experiment]

RESERVED = ("callback", "how", "limits", "mesh", "prune", "quiet", "resume", "run", "strategy", "trust")
"""Names that no knob can have: `train` and `sweep` take them themselves. All but these are the user's."""


@dataclass(frozen=True)
class Setup:
    """A function and all that it is called with.

    Args:
        config: the function that returns an Experiment.
        knobs: its arguments, all of them.
        overrides: fields of the Experiment that are changed after the call, by name; those of RECORDED.
        pinned: what these fields were when the run in `home` began; they are changed where the file says something else by now.
        home: the run folder whose tokenizers the data use (None: they make their own).
        rules: those of the run that goes on, or of today (`jaxdl/formats.py`).
    """

    config: Config
    knobs: Mapping[str, Any]
    overrides: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    pinned: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    home: Path | None = None
    rules: formats.Rules = formats.TODAY

    @classmethod
    def of(
        cls,
        config: Config,
        values: Mapping[str, Any],
        *,
        home: Path | None = None,
        rules: formats.Rules = formats.TODAY,
    ) -> "Setup":
        """Values by name, as `train(config, lr=3e-3, precision="bfloat16")` takes them, split into knobs and recorded fields.

        A knob named like a recorded field is the knob. Raises ExperimentError for a name that is neither.
        """
        if isinstance(config, Experiment):
            raise ExperimentError(
                "give the function, not the Experiment that it returned: train(config, lr=3e-3) instead of "
                "train(config(lr=3e-3)); an Experiment made by hand trains as train(lambda: exp)"
            )
        if not callable(config):
            raise ExperimentError(f"config must be a function that returns an Experiment, got {config!r}")
        parameters = inspect.signature(config).parameters
        check_annotations({name: p.annotation for name, p in parameters.items()})
        knobs = {name: p.default for name, p in parameters.items() if p.default is not inspect.Parameter.empty}
        overrides = {}
        for name, value in values.items():
            value = value.item() if isinstance(value, np.generic) else value
            if name in parameters:
                knobs[name] = value
            elif name in RECORDED:
                overrides[name] = value
            else:
                raise ExperimentError(unknown(name, parameters))
        missing = [name for name in parameters if name not in knobs]
        if missing:
            raise ExperimentError(f"{config.__name__} needs a value for {', '.join(missing)}")
        check_seed("seed", knobs.get("seed"))
        return cls(config, knobs, overrides, home=home, rules=rules)

    @classmethod
    def from_json(cls, config: Config, recorded: Mapping[str, Any], home: Path | None = None) -> "Setup":
        """The setup that a run's config.json describes."""
        for name in ("knobs", "recorded"):
            if not isinstance(recorded.get(name), Mapping):
                raise UserError(f"{home or 'the run'}: its config.json has no {name}")
        knobs = {name: as_typed(value) for name, value in recorded["knobs"].items()}
        setup = cls.of(config, knobs, home=home, rules=formats.recorded(recorded))
        pinned = {name: as_typed(recorded["recorded"][name]) for name in RECORDED if name in recorded["recorded"]}
        return replace(setup, pinned={name: value for name, value in pinned.items() if name not in setup.knobs})

    def to_json(self, exp: Experiment) -> dict[str, Any]:
        """What config.json holds of the setup and of the experiment that it builds."""
        return {
            "format": formats.FORMAT,
            "knobs": dict(self.knobs),
            "recorded": {name: getattr(exp, name) for name in RECORDED},
            "select": list(exp.select),
            "directions": directions(exp.task),
            "docstring": self.docstring,
        }

    def build(self, traced: Mapping[str, Any] = MappingProxyType({})) -> Experiment:
        """Call `config`; inside a trace, with traced values of some knobs.

        What `config` itself does wrong is raised as an ExperimentError with the line of its file. What jaxdl refuses, a file that
        cannot be read, and a defect inside jaxdl are raised as they are.
        """
        try:
            with tokenizers.at_home(self.home), formats.under(self.rules):
                exp = self.config(**{**self.knobs, **traced})
        except Exception as error:
            if isinstance(error, UserError):
                error.args = (named_knob(str(error), self.knobs),)
            if traced or isinstance(error, UserError | OSError) or is_inside_jaxdl(error):
                raise
            file = inspect.getsourcefile(inspect.unwrap(self.config)) or self.name
            line = line_in(file, error) or "?"
            raise ExperimentError(f"{file}:{line} config raises {type(error).__name__}: {error}") from error
        if not isinstance(exp, Experiment):
            file = inspect.getsourcefile(inspect.unwrap(self.config)) or self.config.__module__
            raise ExperimentError(f"{file}: {self.name} must return an Experiment, got {type(exp).__name__}")
        if not traced:
            self._unpinned.update({name: getattr(exp, name) for name in self.pinned})
        # a field that follows from a traced knob stays traced: a constant in its place would be another program
        said = self._unpinned
        pinned = {name: value for name, value in self.pinned.items() if name not in said or said[name] != value}
        changed = {**pinned, **self.overrides}
        return replace(exp, **changed) if changed else exp

    def with_values(self, values: Mapping[str, Any]) -> "Setup":
        """The same with other values of some knobs and recorded fields."""
        values = {**self.overrides, **self.knobs, **values}
        return replace(Setup.of(self.config, values, home=self.home, rules=self.rules), pinned=self.pinned)

    @cached_property
    def _unpinned(self) -> dict[str, Any]:
        """What the file says by now of the pinned fields: seen when it was built with its knobs as numbers."""
        return {}

    @property
    def name(self) -> str:
        """The name of the function."""
        return getattr(self.config, "__name__", type(self.config).__name__)

    @property
    def file(self) -> str | None:
        """The file in which the function stands; None for a notebook or a prompt."""
        try:
            file = inspect.getsourcefile(inspect.unwrap(self.config))
        except TypeError:
            return None
        return (
            file if file and Path(file).suffix == ".py" and Path(file).is_file() and "ipykernel" not in file else None
        )

    @property
    def source(self) -> str | None:
        """The experiment file: the file whose `config` this is. None where a copy of the file would not give it back."""
        function = inspect.unwrap(self.config)
        module = sys.modules.get(getattr(function, "__module__", ""))
        is_config = getattr(function, "__qualname__", "") == "config" or getattr(module, "config", None) is self.config
        return self.file if is_config else None

    @property
    def stem(self) -> str:
        """What its run folders are named by."""
        return Path(self.file).stem if self.file else "notebook"

    @property
    def docstring(self) -> str:
        """What the experiment says of itself: the docstring of its file, else that of the function."""
        module = inspect.getmodule(self.config)
        return inspect.cleandoc((module and module.__doc__) or self.config.__doc__ or "")

    def __str__(self) -> str:
        return ", ".join(f"{name} = {value}" for name, value in {**self.knobs, **self.overrides}.items())


def refuse_reserved(config: Config) -> None:
    """ExperimentError for a knob that `train(config, ...)` or `sweep(config, ...)` would take for an argument of its own."""
    for name in inspect.signature(config).parameters if callable(config) else ():
        if name in RESERVED:
            raise ExperimentError(
                f"knob {name!r} of config has the name of an argument of train or sweep ({', '.join(RESERVED)}): "
                "call it something else"
            )


def knob_types(config: Config) -> dict[str, Any]:
    """The annotations of the knobs; ExperimentError for one that is no type, as in `lr: 0.1`, or a name that does not exist."""
    try:
        hints = typing.get_type_hints(config)
    except (NameError, TypeError, SyntaxError, AttributeError) as error:
        raise ExperimentError(f"config: an annotation is no type ({error}): write it as in `lr: float = 0.1`") from None
    check_annotations(hints)
    return hints


def check_annotations(hints: Mapping[str, Any]) -> None:
    """ExperimentError for a value or a function in the place of a type."""
    for name, hint in hints.items():
        if isinstance(hint, bool | int | float | complex | bytes | tuple | list | dict) or inspect.isroutine(hint):
            raise ExperimentError(
                f"knob {name!r} of config is annotated by {hint!r}, which is no type: write `{name}: float`"
            )


def is_inside_jaxdl(error: Exception) -> bool:
    """Raised by a line of jaxdl itself, not by the user's code or a library."""
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and Path(__file__).resolve().parent in Path(frames[-1].filename).resolve().parents


def unknown(name: str, knobs: Mapping[str, Any]) -> str:
    """What is said of a name that is neither a knob nor a recorded field."""
    if name in Experiment.__dataclass_fields__:
        return f"{name} follows from the knobs of config ({', '.join(knobs)}): change it there"
    close = get_close_matches(name, [*knobs, *RECORDED], n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join([*knobs, *RECORDED])}"
    return f"config has no knob {name!r}: {hint}"


def as_typed(value: Any) -> Any:
    """JSON has no tuples."""
    return tuple(as_typed(item) for item in value) if isinstance(value, list) else value


def named_knob(problem: str, knobs: Mapping[str, Any]) -> str:
    """The message of a refused argument, after the only knob that has its value where that has another name.

    >>> named_knob("peak = -1.0 must be a number of at least 0", {"lr": -1.0, "decay": 0.1})
    'lr = -1.0: peak = -1.0 must be a number of at least 0'
    """
    found = re.match(r"(\w+) = (\S+) must ", problem)
    same = [name for name, value in knobs.items() if found and repr(value) == found[2]]
    return f"{same[0]} = {found[2]}: {problem}" if found and len(same) == 1 and same[0] != found[1] else problem
