"""Numbers that are checked where they enter: counts are whole (a loop over 19.5 steps never ends), rates are not negative."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

from jaxdl.types import UserError


def check_count(name: str, value: Any, least: int = 1) -> None:
    """`ValueError` unless a value is a whole number of at least `least`; None, a count that is not given, passes.

    >>> check_count("steps", 19.5)
    Traceback (most recent call last):
    jaxdl.types.UserError: steps = 19.5 must be a whole number: give steps = 20, or compute it with round(...)
    """
    if value is None:
        return
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer):
        finite = isinstance(value, float | np.floating) and np.isfinite(value)
        hint = f": give {name} = {max(round(value), least)}, or compute it with round(...)" if finite else ""
        shown = repr(value.item() if isinstance(value, np.generic) else value)
        raise UserError(f"{name} = {shown} must be a whole number{hint}")
    if value < least:
        raise UserError(f"{name} = {value} must be {least} or more")


def check_learning_rate(rate: Any) -> None:
    """UserError for a learning rate below 0; a schedule or a traced value passes.

    >>> check_learning_rate(-0.1)
    Traceback (most recent call last):
    jaxdl.types.UserError: learning rate -0.1 is negative, the loss would grow: give 0 or more
    """
    if isinstance(rate, int | float) and rate < 0:
        raise UserError(f"learning rate {rate} is negative, the loss would grow: give 0 or more")


def checks_peak(schedule: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a schedule so that a negative `peak` is refused when it is made."""

    @wraps(schedule)
    def checked(peak: Any, **others: Any) -> Any:
        check_learning_rate(peak)
        return schedule(peak, **others)

    return checked
