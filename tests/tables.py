"""Tables of cases, of which the representative rows run by default and all of them in CI (`-m slow`)."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

import pytest


def rows(table: Mapping[str, Any], default: Collection[str] | None = None, name: str = "row") -> Callable:
    """Parametrize a test with the rows of a table; those that are not among `default` (None: all) are marked slow."""
    unknown = set(default or ()) - set(table)
    assert not unknown, f"no such rows: {sorted(unknown)}"
    marks = {key: () if default is None or key in default else (pytest.mark.slow,) for key in table}
    return pytest.mark.parametrize(name, [pytest.param(row, id=key, marks=marks[key]) for key, row in table.items()])
