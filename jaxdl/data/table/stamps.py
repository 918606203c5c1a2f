"""Stamps of a series: dates or numbers that must advance by one and the same step."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from jaxdl.data.table.csv import MISSING
from jaxdl.types import UserError

Place = Callable[[int], str]
"""Where a row stands, counted from 0."""


def at_row(row: int) -> str:
    return f"row {row}"


def check_time(stamps: np.ndarray, *, source: str, place: Place = lambda row: f"row {row + 1}") -> None:
    """ValueError unless dates or numbers advance by one and the same step; it names the first row that does not.

    A step of dates may be a number of calendar months (a year is 12), whatever their lengths: from the 1st to the 1st, or from
    one month's last day to another's. Numbers are equally far apart if their steps differ by less than 1 %, as decimals are
    rounded; a row that is missing makes 100 %.

    >>> check_time(np.array(["2020-01-31", "2020-02-29", "2020-03-31"]), source="months' ends")
    >>> check_time(np.array([0.1, 0.2, 0.4, 0.5]), source="t")
    Traceback (most recent call last):
    jaxdl.types.UserError: t: from row 2 (0.2) to row 3 (0.4) it does not advance by 0.1: rows are missing, ...
    """
    numbers = stamps.dtype.kind == "f"
    none = np.isnan(stamps) if numbers else np.isin(np.char.lower(stamps.astype(str)), ("", "nat"))
    if none.any():
        raise UserError(f"{source}: {place(int(none.argmax()))} has none")
    try:
        times = stamps.astype(np.float64) if numbers else np.array(stamps.tolist(), "datetime64")
    except ValueError:
        strange = next((stamp for stamp in stamps.tolist() if not is_date(stamp)), stamps[0])
        raise UserError(f"{source}: {str(strange)!r} is not a date like 2016-07-01 or 2016-07-01 13:00:00") from None
    if len(times) < 2:
        return
    step, odd = min(steady(times), key=lambda found: found[1].sum())  # what most rows follow is the rule
    if odd.any():
        row = int(np.argmax(odd))
        where = f"from {place(row)} ({stamps[row]}) to {place(row + 1)} ({stamps[row + 1]}) it does not advance"
        if step <= 0 * step:
            raise UserError(f"{source}: {where}: rows stand in the order of time, the oldest first")
        step = step if times.dtype.kind == "M" else f"{step:.6g}"
        raise UserError(f"{source}: {where} by {step}: rows are missing, repeated or out of order")


def as_days(cells: Any, form: str = "", *, source: str, place: Place = at_row) -> Float[np.ndarray, "n"]:
    """Dates as days since 1970-01-01 00:00 (UTC where they name their offset), NaN where one is missing.

    `cells` are strings in a format of `strptime` (""; ISO 8601), dates of Python or NumPy.

    >>> as_days(np.array(["1970-01-02", "", "1970-01-01 12:00"]), source="day").tolist()
    [1.0, nan, 0.5]
    >>> as_days(np.array(["31.12.1970"]), "%d.%m.%Y", source="day").tolist()
    [364.0]
    """
    cells = np.asarray(cells)
    if cells.dtype.kind == "M":
        days = cells.astype("datetime64[us]").astype(np.int64) / 86_400_000_000
        return np.where(np.isnat(cells), np.nan, days)
    known: dict[Any, float] = {}
    for row, cell in enumerate(cells.tolist()):
        if cell in known:
            continue
        if cell is None or str(cell) in MISSING:
            known[cell] = np.nan
            continue
        try:
            if isinstance(cell, str):
                moment = datetime.strptime(cell, form) if form else datetime.fromisoformat(cell)
            else:
                moment = datetime.combine(cell, datetime.min.time()) if type(cell) is date else cell
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            known[cell] = (moment - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(days=1)
        except (ValueError, TypeError, AttributeError):
            wanted = f"of the form {form!r}" if form else "like 2024-12-31 or 2024-12-31 13:00"
            raise UserError(f"{source}: {str(cell)!r} of {place(row)} is not a date {wanted}") from None
    return np.array([known[cell] for cell in cells.tolist()], np.float64)


def is_date(text: str) -> bool:
    try:
        np.datetime64(text)
    except ValueError:
        return False
    return True


def steady(times: np.ndarray) -> list[tuple[Any, Bool[np.ndarray, "rows-1"]]]:
    """(the usual step, whether each row is not one such step before the next) by the clock or, for dates, the calendar."""
    usual = lambda steps: np.sort(steps)[(len(steps) - 1) // 2]  # of the middle ones the shorter: a gap is longer
    steps = np.diff(times)
    step = usual(steps)
    if times.dtype.kind != "M":
        near = np.abs(steps - step) <= 0.01 * np.abs(step) + 4 * np.spacing(np.abs(times).max())
        return [(step, ~near | (steps <= 0))]
    months = times.astype("datetime64[M]")
    counts = np.diff(months)
    count = usual(counts)
    day, last = times - months, (times + np.timedelta64(1, "D")).astype("datetime64[M]") > months
    same = (day[1:] == day[:-1]) | (last[1:] & last[:-1])
    clock, calendar = ((several != s) | (several <= 0 * s) for s, several in ((step, steps), (count, counts)))
    return [(count, calendar | ~same), (step, clock)]
