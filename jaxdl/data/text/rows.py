"""Tokens in rows: windows of a text, documents packed behind one another."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from jaxdl.counts import check_count
from jaxdl.types import UserError

IGNORE = -100
"""The target that counts nowhere."""


def cut(tokens: Int[np.ndarray, "n"], context: int, characters: float = 1.0) -> dict[str, np.ndarray]:
    """Non-overlapping windows over all of a text: every token but the first is a target exactly once."""
    check_count("context", context)
    windows = -(-(len(tokens) - 1) // context)
    x, y = np.zeros(windows * context, np.int32), np.full(windows * context, IGNORE, np.int32)
    x[: len(tokens) - 1], y[: len(tokens) - 1] = tokens[:-1], tokens[1:]
    x, y = x.reshape(windows, context), y.reshape(windows, context)
    return {"x": x, "y": y, "characters": ((y != IGNORE).sum(1) * characters).astype(np.float32)}


def pack(documents: Sequence[Int[np.ndarray, "n"]], context: int, *, whole: bool = False) -> dict[str, np.ndarray]:
    """Documents behind one another in rows of `context` tokens: `x`, `y`, and what keeps them apart, `segments`, `positions`.

    `segments` numbers the documents of a row (0 is padding), attention stays inside a segment; `positions` count from 0 in
    each; the last token of a segment has no target. Documents are cut where a row ends, or, if they are to stay `whole`, put
    into the first row that has room (those longer than a row are cut all the same).

    >>> rows = pack([np.array([1, 2, 3]), np.array([4, 5])], 6)
    >>> [rows[name].tolist() for name in ("x", "y", "segments", "positions")]
    [[[1, 2, 3, 4, 5, 0]], [[2, 3, -100, 5, -100, -100]], [[1, 1, 1, 2, 2, 0]], [[0, 1, 2, 0, 1, 0]]]
    """
    check_count("context", context)
    rows: list[list[np.ndarray]] = []
    room: list[int] = []
    for document in documents:
        rest = document
        while len(rest):
            if whole:
                place = next((i for i, r in enumerate(room) if r >= min(len(rest), context)), None)
            else:
                place = len(room) - 1 if room and room[-1] else None
            if place is None:
                rows.append([])
                room.append(context)
                place = len(rows) - 1
            piece, rest = rest[: room[place]], rest[room[place] :]
            rows[place].append(piece)
            room[place] -= len(piece)
    if not rows:
        raise UserError("there are no documents to pack: each needs at least one token")
    shape = (len(rows), context)
    made = {name: np.zeros(shape, np.int32) for name in ("x", "segments", "positions")} | {"y": np.full(shape, IGNORE)}
    for i, row in enumerate(rows):
        at = 0
        for number, piece in enumerate(row, 1):
            here = slice(at, at + len(piece))
            made["x"][i, here], made["segments"][i, here] = piece, number
            made["positions"][i, here] = np.arange(len(piece))
            made["y"][i, at : at + len(piece) - 1] = piece[1:]
            at += len(piece)
    return made | {"y": made["y"].astype(np.int32)}
