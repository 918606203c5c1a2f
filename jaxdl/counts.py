"""Checks of numbers and names where they enter: a loop over 19.5 steps would never end."""

import math
from collections.abc import Collection
from difflib import get_close_matches
from typing import Any

import numpy as np
from jax.core import Tracer

from jaxdl.types import UserError


def check_counts(least: int = 1, /, **values: Any) -> None:
    """`check_count` of several values by name."""
    for name, value in values.items():
        check_count(name, value, least)


def check_count(name: str, value: Any, least: int = 1) -> None:
    """Raise UserError unless a value is a whole number of at least `least`. None (not given) passes.

    >>> check_count("steps", 19.5)
    Traceback (most recent call last):
    jaxdl.types.UserError: steps = 19.5 must be a whole number: give steps = 20, or compute it with round(...)
    """
    if value is None:
        return
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer):
        finite = isinstance(value, float | np.floating) and np.isfinite(value)
        hint = f": give {name} = {max(round(float(value)), least)}, or compute it with round(...)" if finite else ""
        shown = repr(value.item() if isinstance(value, np.generic) else value)
        raise UserError(f"{name} = {shown} must be a whole number{hint}")
    if value < least:
        raise UserError(f"{name} = {value} must be {least} or more")


def check_numbers(least: float = 0.0, most: float = math.inf, /, **values: Any) -> None:
    """`UserError` unless the values, also those in tuples, are finite numbers from `least` to `most`.

    None, traced values and functions pass.

    >>> check_numbers(0, 1, rate=1.5)
    Traceback (most recent call last):
    jaxdl.types.UserError: rate = 1.5 must be a number from 0 to 1
    """
    every = ((name, one) for name, value in values.items() for one in (value if isinstance(value, tuple) else (value,)))
    for name, value in every:
        if value is None or callable(value) or isinstance(value, Tracer):
            continue
        array = np.asarray(value)
        number = array.dtype.kind not in "bcOSUMm"
        if not number or not (np.isfinite(array) & (array >= least) & (array <= most)).all():
            wanted = f"from {least:g} to {most:g}" if math.isfinite(most) else f"of at least {least:g}"
            shown = array.item() if array.ndim == 0 else value
            raise UserError(f"{name} = {shown!r} must be a number {wanted}")


def unknown_model(name: str, models: Collection[str]) -> UserError:
    """The error for a name that is not among the named models, with near names."""
    close = ", ".join(get_close_matches(name, models, n=3, cutoff=0.5))
    return UserError(f"model {name!r} is unknown{close and f' (near: {close})'}: `models` lists {len(models)} names")
