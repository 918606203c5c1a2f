"""Parallel files, one sentence a line: found in a folder, read in pairs, and drawn from where there is one pair of files only."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxdl.data import files
from jaxdl.data.splits import draw_groups, joined
from jaxdl.data.text.tokenizers import named
from jaxdl.types import UserError

Pair = tuple[str, str]
PathLike = str | Path
PARTS = {"train": ("train",), "validation": ("validation", "valid", "val", "dev"), "test": ("test",)}


def read_sentences(path: PathLike) -> list[str]:
    """The lines of a text file (`files.read_lines`) without white space around them."""
    return [line.strip() for line in files.read_lines(path)]


def read_parallel(source: PathLike, target: PathLike) -> list[Pair]:
    """Line i of one file with line i of the other; ValueError if one of them ends first, with the line."""
    x, y = read_sentences(source), read_sentences(target)
    if len(x) != len(y):
        (short, n), (long, m) = sorted([(source, len(x)), (target, len(y))], key=lambda end: end[1])
        raise UserError(f"{short}: ends at line {n}, but {long} at line {m}: parallel files have one sentence a line")
    return list(zip(x, y, strict=True))


def find_files(folder: PathLike, source: str, target: str) -> dict[str, tuple[Path, Path]]:
    """The files of both languages in a folder: train.en and train.de, val.en…, test_2016.de.gz…

    A pair has one name but for the language (and .gz); of several the shortest, then the first in the alphabet: train.en and
    train.ru before train.tok.en and train.tok.ru.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder}: no such folder; it should hold train.{source}, train.{target} and val.*, test.*"
        )
    held = sorted(file.name for file in folder.iterdir() if file.is_file())
    stems = [
        {n.removesuffix(".gz").removesuffix(end): n for n in reversed(held) if n.removesuffix(".gz").endswith(end)}
        for end in (f".{source}", f".{target}")
    ]  # reversed: train.en wins over train.en.gz
    found = {}
    for part, names in PARTS.items():
        of_part = [{stem for stem in side if stem.startswith(names)} for side in stems]
        rank = lambda stem, names=names: (next(i for i, n in enumerate(names) if stem.startswith(n)), len(stem), stem)
        if both := sorted(of_part[0] & of_part[1], key=rank):
            found[part] = (folder / stems[0][both[0]], folder / stems[1][both[0]])
        elif alone := [side[stem] for side, several in zip(stems, of_part, strict=True) for stem in sorted(several)]:
            raise FileNotFoundError(
                f"{folder}: has {', '.join(alone)}, but not in both languages, {source} and {target}, under one name"
            )
    if "train" not in found:
        raise FileNotFoundError(
            f"{folder}: holds no train.{source} and train.{target} (or .gz), but {named(held) or 'nothing'}"
        )
    return found


def drawn(pairs: Sequence[Pair], missing: Sequence[str], *, source: str) -> tuple[dict[str, tuple[Pair, ...]], str]:
    """`train` and the `missing` parts, 5 % of the pairs each (at most 2000), the same for every seed; a sentence for the report.

    Pairs that share a sentence, be it the source or the target, stay in one part: what was read or written in training tests
    nothing. Such a group goes where its first pair is drawn to, if there is room for all of it, and is trained on otherwise.
    """
    size = len(pairs)
    count = min(2000, size // 20)
    number: dict[str, int] = {}
    group = joined([number.setdefault(x, len(number)) for x, _ in pairs], [y for _, y in pairs])
    rows = draw_groups(group, missing, count)
    if not all(rows[part] for part in missing):
        alike = f" in {len(np.unique(group))} groups that share a sentence" if count else ""
        raise UserError(f"{source}: {size} lines{alike} are too few to draw {' and '.join(missing)} from")
    most = "at most " if any(len(rows[part]) < count for part in missing) else ""
    made = f"{most}{count} of {size} lines each for {' and '.join(missing)}, by a fixed draw"
    parts = {part: tuple(pairs[i] for i in some) for part, some in rows.items()}
    return parts, f"{made} (those that share a sentence stay together)"
