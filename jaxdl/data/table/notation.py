"""How numbers are written: decimal marks, groups of three digits, units beside them."""

import re
from collections.abc import Collection
from itertools import islice

from jaxdl.types import UserError

NOTATION_MARKS = (".", ",", " ", "'", "\u2019", "\u00a0", "\u202f", "")
"""Marks that numbers are written with, as the decimal one or between groups of three digits."""


def number_pattern(decimal: str = ".", thousands: str = "") -> str:
    """A regular expression of numbers in a notation.

    >>> [bool(re.match(number_pattern(",", "."), cell)) for cell in ("1.000,5", "-3", "1.5", "1,5e3")]
    [True, True, False, True]
    """
    for name, mark in (("decimal", decimal), ("thousands", thousands)):
        if mark not in NOTATION_MARKS or (not mark and name == "decimal"):
            raise UserError(f"{name} = {mark!r} is not one of {', '.join(map(repr, NOTATION_MARKS))}")
    if decimal == thousands:
        raise UserError(f"decimal and thousands are both {decimal!r}")
    point = re.escape(decimal)
    whole = rf"(\d+|\d{{1,3}}({re.escape(thousands)}\d{{3}})+)" if thousands else r"\d+"
    return rf"^[+-]?(({whole}({point}\d*)?|{point}\d+)([eE][+-]?\d+)?|(?i:inf|infinity|nan))$"


def parsed_number(cell: str) -> float | None:
    """The number that a cell shows, None if it shows none; Python reads 1_2 as 12, which no table means."""
    try:
        return None if "_" in cell else float(cell)
    except ValueError:
        return None


NOTATIONS = {
    r"[+-]?\d{1,3}(\.\d{3})+,\d+": "numbers in another notation: decimal = ',', thousands = '.'",
    r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?": "numbers in another notation: thousands = ','",
    r"[+-]?\d{1,3}(\.\d{3}){2,}": "numbers in another notation: thousands = '.'",
    r"[+-]?\d{1,3}( \d{3})+([.,]\d+)?": "numbers in another notation: thousands = ' '",
    r"[+-]?\d{1,3}('\d{3})+(\.\d+)?": 'numbers in another notation: thousands = "\'"',
    r"[+-]?\d*,\d+": "numbers in another notation: decimal = ','",
    r"[+-]?[\d.,' ]*\d\s*(%|‰|[€$£¥₹]|[A-Z]{3})|[€$£¥₹]\s*[+-]?\d[\d.,' ]*": "numbers with a unit: write the number alone",
}
"""How numbers are written that Python does not read."""


def notation_of(cells: Collection[str]) -> str:
    """What to do about cells that are all numbers in another notation; "" where they are none.

    >>> notation_of(["0,5", "12,25"])
    "numbers in another notation: decimal = ','"
    """
    some = [cell.replace("\u00a0", " ").replace("\u202f", " ") for cell in islice(cells, 1000) if cell]
    for pattern, hint in NOTATIONS.items():
        fits = all(re.fullmatch(pattern, cell) or parsed_number(cell) is not None for cell in some)
        if fits and any(parsed_number(cell) is None for cell in some):
            return hint
    return ""
