"""Splits that leave together what belongs together: translations of one text, equal texts, the recordings of one speaker."""

import hashlib
from collections.abc import Hashable, Mapping, Sequence

import numpy as np
from jaxtyping import Int

from jaxdl.types import UserError

FRACTIONS = {"train": 0.7, "validation": 0.15, "test": 0.15}


def split_rows(
    x: np.ndarray,
    strata: np.ndarray | None = None,
    fractions: Mapping[str, float] = FRACTIONS,
    *,
    source: str = "the data",
    groups: Sequence[int] | None = None,
    most: float = 0.1,
) -> tuple[dict[str, Int[np.ndarray, "rows"]], str]:
    """Rows by part, disjoint and complete, and a sentence for the report. Each stratum (class) is divided alike.

    Rows of one group, and rows with equal inputs, stay in one part: a test example that was trained on tests nothing. But where
    more than a share of `most` repeat others (a table of few categories), equal rows are ordinary and are drawn like all.

    >>> rows, sentence = split_rows(np.arange(100.0))
    >>> sentence
    '70 train / 15 validation / 15 test: the same split for every seed; duplicates stay in one part'
    """
    n = len(x)
    strata = np.zeros(n, int) if strata is None else np.asarray(strata)
    equal = [row_digest(row) for row in x]
    repeated = n - len(set(equal))
    together = repeated <= n * most
    group = joined(range(n) if groups is None else groups, equal if together else range(n))
    group = np.unique(group, return_index=True)[1][np.unique(group, return_inverse=True)[1]]  # called by its first row
    # RandomState, because its stream is frozen: the same rows with every version of NumPy
    order = np.random.RandomState(0).permutation(np.flatnonzero(group == np.arange(n)))
    place = np.zeros(n)
    for stratum in np.unique(strata[order]):
        members = order[strata[order] == stratum]
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
    edges = np.cumsum(list(fractions.values()))
    part = np.searchsorted(edges[:-1] / edges[-1], place[group], side="right")
    rows = {name: np.flatnonzero(part == i) for i, name in enumerate(fractions)}
    empty = [name for name, members in rows.items() if not len(members)]
    if empty:
        apart = f", {len(order)} of which stay apart," if len(order) < n else ""
        raise UserError(f"{source}: {n} rows{apart} are too few, nothing is left for {' and '.join(empty)}")
    sizes = " / ".join(f"{len(members)} {name}" for name, members in rows.items())
    by_class = ", stratified by class" if len(np.unique(strata)) > 1 else ""
    repeats = "; duplicates stay in one part" if together else f"; {repeated} rows repeat others"
    return rows, f"{sizes}: the same split for every seed{by_class}{repeats}"


def with_all_parts(
    parts: Mapping[str, dict[str, np.ndarray]],
    *,
    source: str,
    groups: Sequence[int] | None = None,
    most: float = 0.1,
) -> tuple[dict[str, dict[str, np.ndarray]], str]:
    """Training, validation and test, and a sentence on them. Those that are not given are drawn from the training rows.

    A tenth for validation where there is a test set, else `FRACTIONS`; each class alike where `y` is one class number a row.
    `groups` (of the training rows) and `most`: see `split_rows`.
    """
    drawn = {part: share for part, share in FRACTIONS.items() if part not in parts or part == "train"}
    if len(drawn) == 1:
        return dict(parts), "train, validation and test as given"
    whole = parts["train"]
    labels = whole.get("y")
    strata = labels if labels is not None and labels.ndim == 1 and labels.dtype.kind in "iu" else None
    fractions = drawn if "test" in drawn else {"train": 0.9, "validation": 0.1}
    rows, sentence = split_rows(whole["x"], strata, fractions, source=source, groups=groups, most=most)
    made = {**parts, **{part: {key: value[r] for key, value in whole.items()} for part, r in rows.items()}}
    sentence += "".join(f"; {len(made[part]['x'])} {part} as given" for part in FRACTIONS if part not in rows)
    return {part: made[part] for part in FRACTIONS}, sentence


def shared(keys: Mapping[str, Sequence[Hashable]]) -> str:
    """Say how many rows of each part are in train, too, by the keys that tell rows apart; "" if none is.

    >>> shared({"train": [1, 2], "test": [2, 3]})
    '; 1 of 2 test rows equal one of train'
    """
    known = set(keys["train"])
    counts = {part: sum(key in known for key in some) for part, some in keys.items() if part != "train"}
    return "".join(f"; {n} of {len(keys[part])} {part} rows equal one of train" for part, n in counts.items() if n)


def row_digest(row: np.ndarray) -> bytes:
    """A number of 16 bytes that equal rows share."""
    return hashlib.blake2b(np.ascontiguousarray(row).tobytes(), digest_size=16).digest()


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
    fractions: Mapping[str, float] = FRACTIONS,
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
        return split_rows(np.array(keys), y, fractions, source=source)
    kinds, place = np.unique(joined(number.tolist(), keys), return_inverse=True)
    drawn, _ = split_rows(kinds, None, fractions, source=f"{source}, {of} that stay together")
    rows = {part: np.flatnonzero(np.isin(place, members)) for part, members in drawn.items()}
    for part, members in rows.items():
        if missing := set(range(len(classes))) - set(y[members].tolist()):
            raise UserError(f"{source}: no example of class {classes[min(missing)]!r} is left for {part}")
    sizes = " / ".join(f"{len(members)} {part}" for part, members in rows.items())
    return rows, f"{sizes}: the same split for every seed; the {len(kinds)} {of} stay together"
