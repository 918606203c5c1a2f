"""The format of a run: `format` in its config.json. A change of jaxdl that changes results changes the format.

1 (not recorded)    The average of `ema` held the parameters alone, at the full decay from the first step on, and was evaluated
                    with the statistics of the raw weights. The direction of a metric was guessed from its name.
2                   The average holds parameters and statistics, and its decay warms up (`train/average.py`). A metric states
                    its direction.

A run is resumed and evaluated with the rules of its format.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from jaxdl.types import UserError

FORMAT = 2
"""What is written today."""


@dataclass(frozen=True)
class Rules:
    """The rules of an experiment: its format, and in format 1 the recorded selecting metric with its direction."""

    format: int = FORMAT
    select: tuple[str, str] | None = None


TODAY = Rules()
_rules: ContextVar[Rules] = ContextVar("rules", default=TODAY)


def current() -> Rules:
    """Return the rules for an experiment that is built now."""
    return _rules.get()


@contextmanager
def under(rules: Rules) -> Iterator[None]:
    """Build experiments with these rules inside the block."""
    token = _rules.set(rules)
    try:
        yield
    finally:
        _rules.reset(token)


def recorded(config: Mapping[str, Any]) -> Rules:
    """Return the rules of a run, from its config.json."""
    number = config.get("format", 1)
    if number not in range(1, FORMAT + 1):
        raise UserError(f"the run has format {number}, this jaxdl reads formats 1 to {FORMAT}: take a newer jaxdl")
    return Rules() if number == FORMAT else Rules(number, tuple(config["select"]) if "select" in config else None)


def note(rules: Rules, folder: Any) -> str | None:
    """Return a note for the user if a run has an older format."""
    if rules.format == FORMAT:
        return None
    kept = "an average of parameters alone, without warm-up, with raw statistics; the recorded direction of its metric"
    return f"note: {folder} is a run of format {rules.format} and keeps the rules of then: {kept}"
