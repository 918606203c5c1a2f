"""Lists of pairs of images to verify: is it one identity or two?"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxdl.data import files
from jaxdl.types import UserError

Pairs = tuple[list[str], np.ndarray]
LEAST = 2
"""Pairs of each kind that a list needs."""


def read_pairs(path: str | Path, folder: str | Path) -> Pairs:
    """Image files of a list of pairs, row 2p and 2p + 1 those of pair p, and `(2·pairs, 2)`: identity, number of the pair.

    Two forms: LFW's (`name i j` for `name/name_000i.jpg` and `…j`; `name i other j` for two people; a first line of one or two
    counts), or two paths below the folder and 1 or 0 for the same identity or two.

    Errors: `FileNotFoundError` for a file that is not there, `ValueError` for a line of neither form; with file and line.
    `ValueError` for fewer than two pairs of a kind: one is to find a threshold and one to test it.
    Source: Huang et al. 2007, Labeled Faces in the Wild, section 4.
    """
    path, folder = files.existing(path), Path(folder).expanduser()
    listed, kinds = [], []
    for number, line in enumerate(files.read_lines(path), 1):
        words = line.split()
        if not words or (number == 1 and len(words) <= 2 and all(word.isdigit() for word in words)):
            continue
        names, same = _pair(words, path, number)
        for name in names:
            tried = (folder / name, folder / f"{name}.jpg", folder / f"{name}.png")
            file = next((f for f in tried if f.is_file()), None)
            if file is None:
                raise FileNotFoundError(
                    f"{path}:{number}: names {folder / name}, which does not exist (nor with .jpg or .png)"
                )
            listed.append(str(file))
        kinds.append(same)
    same = np.array(kinds, bool)
    if min(same.sum(), (~same).sum()) < LEAST:
        kinds = f"{same.sum()} and {(~same).sum()}"
        raise UserError(f"{path}: verification needs {LEAST} pairs or more of one identity, and of two; got {kinds}")
    pair = np.repeat(np.arange(len(same)), 2)
    other = np.arange(2 * len(same)) % 2 * ~np.repeat(same, 2)
    return listed, np.column_stack([2 * pair + other, pair]).astype(np.int32)


def _pair(words: Sequence[str], path: Path, number: int) -> tuple[tuple[str, str], bool]:
    """Two names below the folder, and whether they are of one identity."""
    if len(words) == 3 and words[1].isdigit() and words[2].isdigit():
        return tuple(f"{words[0]}/{words[0]}_{int(i):04d}" for i in words[1:]), True
    if len(words) == 4 and words[1].isdigit() and words[3].isdigit():
        return tuple(f"{name}/{name}_{int(i):04d}" for name, i in (words[:2], words[2:])), False
    if len(words) == 3 and words[2] in ("0", "1"):
        return (words[0], words[1]), words[2] == "1"
    raise UserError(
        f"{path}:{number}: expected `name i j`, `name i other j` or `one.jpg other.jpg 1`, got {' '.join(words)!r}"
    )
