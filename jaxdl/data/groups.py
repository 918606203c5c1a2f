"""Splits that leave together what belongs together: translations of one text, equal texts, the recordings of one speaker."""

from collections.abc import Hashable, Mapping, Sequence

import numpy as np
from jaxtyping import Int

from jaxdl.data import prepare
from jaxdl.types import UserError


def joined(groups: Sequence[int], keys: Sequence[Hashable]) -> Int[np.ndarray, "n"]:
    """The group of each row, where groups that share a key are one, be it through others.

    >>> joined([0, 1, 2, 3], ["a", "b", "a", "b"]).tolist(), joined([0, 0, 1], ["a", "b", "b"]).tolist()
    ([0, 1, 0, 1], [0, 0, 0])
    """
    first: dict[Hashable, int] = {}
    root = {g: g for g in groups}

    def find(g: int) -> int:
        while root[g] != g:
            root[g] = root[root[g]]
            g = root[g]
        return g

    for key, g in zip(keys, groups, strict=True):
        root[find(g)] = find(first.setdefault(key, g))
    return np.array([find(g) for g in groups])


def split(
    keys: Sequence[str],
    groups: Sequence[str],
    y: Int[np.ndarray, "n"],
    fractions: Mapping[str, float] = prepare.FRACTIONS,
    *,
    classes: Sequence[str],
    source: str,
    of: str = "groups",
) -> tuple[dict[str, Int[np.ndarray, "rows"]], str]:
    """Rows by part, drawn once for every seed, those of one group and those of equal keys together; a sentence for the report.

    Where every row is its own group and hardly any key repeats, the draw is stratified by class. Whole groups cannot be: then
    ValueError says which class a part has no example of.
    """
    number = np.unique(np.array(groups), return_inverse=True)[1]
    repeats = len(keys) - len(set(keys))
    if (
        len(set(groups)) == len(groups) and repeats <= len(keys) / 10
    ):  # more, and `split_rows` draws equal rows like all
        return prepare.split_rows(np.array(keys), y, fractions, source=source)
    kinds, place = np.unique(joined(number.tolist(), keys), return_inverse=True)
    drawn, _ = prepare.split_rows(kinds, None, fractions, source=f"{source}, {of} that stay together")
    rows = {part: np.flatnonzero(np.isin(place, members)) for part, members in drawn.items()}
    for part, members in rows.items():
        if missing := set(range(len(classes))) - set(y[members].tolist()):
            raise UserError(f"{source}: no example of class {classes[min(missing)]!r} is left for {part}")
    sizes = " / ".join(f"{len(members)} {part}" for part, members in rows.items())
    return rows, f"{sizes}: one random draw for every seed; the {len(kinds)} {of} stay together"
