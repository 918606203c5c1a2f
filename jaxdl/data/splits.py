"""The splits of every set: rows drawn by class or by group, whole groups counted, pairs that share a sentence, borders in time.

What belongs together stays together: translations of one text, equal texts, the recordings of one speaker. A draw depends on the
rows alone, never on the seed of a run.
"""

import hashlib
from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int, UInt64

from jaxdl.data.arrays import taken_rows
from jaxdl.data.order import permute
from jaxdl.types import UserError

FRACTIONS = {"train": 0.7, "validation": 0.15, "test": 0.15}
CHUNK = 2**12
"""Rows whose keys are made at once, so that they are not copied as a whole."""


def split_rows(
    x: np.ndarray | list[np.ndarray],
    strata: np.ndarray | None = None,
    fractions: Mapping[str, float] = FRACTIONS,
    *,
    source: str = "the data",
    groups: Sequence[int] | None = None,
    most: float = 0.1,
) -> tuple[dict[str, Int[np.ndarray, "rows"]], str]:
    """Rows by part, disjoint and complete, and a sentence for the report. Each stratum (class) is divided alike.

    `x` are the rows, or their columns as a list. Rows of one group, and rows with equal inputs, stay in one part: a test example
    that was trained on tests nothing. But where more than a share of `most` repeat others (a table of few categories), equal rows
    are ordinary and are drawn like all.

    >>> rows, sentence = split_rows(np.arange(100.0))
    >>> sentence
    '70 train / 15 validation / 15 test: the same split for every seed; duplicates stay in one part'
    """
    n = len(x[0]) if isinstance(x, list) else len(x)
    strata = np.zeros(n, int) if strata is None else np.asarray(strata)
    _, first, number = np.unique(content_keys(x), return_index=True, return_inverse=True)
    repeated = n - len(first)
    together = repeated <= n * most
    group = first[number] if together else np.arange(n)
    if groups is not None:
        _, first, number = np.unique(joined(groups, group.tolist()), return_index=True, return_inverse=True)
        group = first[number]  # called by its first row
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
    made = {**parts, **{part: {key: taken_rows(value, r) for key, value in whole.items()} for part, r in rows.items()}}
    sentence += "".join(f"; {len(made[part]['x'])} {part} as given" for part in FRACTIONS if part not in rows)
    return {part: made[part] for part in FRACTIONS}, sentence


def content_keys(x: np.ndarray | list[np.ndarray]) -> UInt64[np.ndarray, "n"]:
    """A number for each row: equal rows have equal ones, others differ but for one pair in 2^64.

    Columns of one length may be given one after another, as a list.
    """
    columns = x if isinstance(x, list) else [np.ascontiguousarray(x)]
    keys = np.zeros(len(columns[0]), np.uint64)
    for column in columns:
        if column.dtype.kind == "O":
            number: dict[Any, int] = {}
            column = np.array([number.setdefault(cell, len(number)) for cell in column.tolist()], np.int64)
        rows = column.reshape(len(column), -1).view(np.uint8) if len(column) else np.zeros((0, 8), np.uint8)
        for start in range(0, len(rows), CHUNK):
            part = rows[start : start + CHUNK]
            words = np.pad(part, [(0, 0), (0, -part.shape[1] % 8)]).view(np.uint64)
            for word in words.T:
                keys[start : start + CHUNK] = _mixed(keys[start : start + CHUNK] * np.uint64(0x9E3779B97F4A7C15) + word)
    return keys


def _mixed(h: UInt64[np.ndarray, "n"]) -> UInt64[np.ndarray, "n"]:
    """The 64-bit finaliser of MurmurHash3 (public domain), a bijection: every input bit reaches every output bit."""
    h = (h ^ (h >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    h = (h ^ (h >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return h ^ (h >> np.uint64(33))


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


def draw_names(names: Collection[str], counts: Mapping[str, int]) -> dict[str, list[str]]:
    """So many of the names for each part of `counts`, a fixed draw, and the rest for "train".

    >>> draw_names(["a", "b", "c", "d"], {"test": 1})
    {'test': ['c'], 'train': ['d', 'b', 'a']}
    """
    order = [sorted(names)[i] for i in np.random.RandomState(0).permutation(len(names))]
    parts, start = {}, 0
    for part, count in counts.items():
        parts[part], start = order[start : start + count], start + count
    return {**parts, "train": order[start:]}


def draw_groups(groups: Int[np.ndarray, "n"], parts: Sequence[str], count: int) -> dict[str, list[int]]:
    """At most `count` rows for each part, whole groups, by a fixed draw; the rest for "train", in its order.

    A group goes where its first row is drawn to, if there is room for all of it, and is trained on otherwise.
    """
    members, each = np.bincount(groups), groups.tolist()
    first: Any = np.zeros(1, int)  # seed and epoch
    positions: Any = np.arange(len(each))
    order = permute(first, first, positions, len(each)).tolist() if each else []
    room, home = dict.fromkeys(parts, count), {}
    for row in order:
        g = each[row]
        if g not in home and (part := next((part for part in parts if members[g] <= room[part]), None)):
            home[g] = part
            room[part] -= members[g]
        if not any(room.values()):
            break
    drawn = {part: [row for row in order if home.get(each[row]) == part] for part in parts}
    return {"train": [row for row, g in enumerate(each) if g not in home], **drawn}


def borders(rows: int, lookback: int, horizon: int, parts: Sequence[float], *, source: str) -> list[int]:
    """0 and the row behind each part; ValueError where a part has no whole window."""
    if isinstance(parts, str) or not 2 <= len(parts) <= 3 or min(parts) <= 0:
        raise UserError(f"parts = {tuple(parts)} must be two or three positive numbers: training, validation, test")
    if all(isinstance(part, int) for part in parts):
        edges = np.cumsum([0, *parts]).tolist()
    else:
        edges = np.round(np.cumsum([0, *parts]) / sum(parts) * rows).astype(int).tolist()
    least = [lookback + horizon, *(horizon for _ in parts[1:])]
    for part, start, stop, needed in zip(FRACTIONS, edges, edges[1:], least, strict=False):
        got = min(stop, rows) - start
        if got < needed or stop > rows:
            wanted = max(needed, stop - start)
            raise UserError(
                f"{source}: {rows} rows are too few: {part} gets {max(got, 0)} and needs {wanted} "
                f"(lookback = {lookback}, horizon = {horizon})"
            )
    return edges
