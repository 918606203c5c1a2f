"""Labelled texts: one class for each sentence, from a file of lines, a CSV file or a folder; tokens in one fixed length.

    de <tab> Das Formular ist ungültig. [<tab> group]      a line of a text file
    neg/0001.txt, pos/0001.txt, ...                        a folder with one folder a class, one file a text

Rows of one `group` (translations of one sentence, sentences of one author) and equal texts stay in one part of the split.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Int

from jaxdl.data import files, prepare
from jaxdl.data.stream import InMemory
from jaxdl.data.tokenizers import PAD, UNKNOWN, Bytes, Characters, Tokenizer, Words, kept

BUNDLED = Path(__file__).parent / "bundled"
SPECIALS = (PAD, UNKNOWN)
Unit = Literal["characters", "bytes", "words"]


@dataclass(frozen=True)
class Labelled:
    """Texts, the name of the class of each, and the group that must not be torn apart."""

    texts: tuple[str, ...]
    labels: tuple[str, ...]
    groups: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Texts(InMemory):
    """Texts as tokens `x` `(n, time)`, padded behind; 0 is padding, what is longer than `time` is cut."""

    tokenizer: Tokenizer = field(default_factory=Bytes)
    time: int = 1

    @property
    def tokenizers(self) -> dict[str, Tokenizer]:
        """What a run keeps in its folder."""
        return {"tokenizer": self.tokenizer}

    def read(self, path: str | Path) -> dict[str, np.ndarray]:
        """The lines of a text file, one text each (empty ones are left out), for predictions."""
        return {"x": self.encode([line for line in lines_of(path) if line.strip()])}

    def encode(self, texts: Sequence[str]) -> Int[np.ndarray, "n time"]:
        """Texts in rows of `time` tokens."""
        return encoded(texts, self.tokenizer, self.time)


def texts(
    labelled: Labelled,
    *,
    batch: int,
    unit: Unit = "characters",
    time: int = 128,
    vocab: int = 20_000,
    least: int = 2,
    lower: bool = False,
    parts: Sequence[float] = (0.7, 0.15, 0.15),
    name: str = "texts",
) -> Texts:
    """A data set of labelled texts: 70 % training, 15 % validation, 15 % test, stratified by class.

    Args:
        batch: texts in a training step.
        unit: what a token is. Tokens are those of the training texts; others are unknown.
        time: tokens of a text; longer texts are cut.
        vocab, least, lower: for words: how many tokens at most, how often one must occur, all in lower case.
        parts: shares of training, validation and test.
        name: what the report calls the set.
    """
    classes = tuple(sorted(set(labelled.labels)))
    if len(classes) < 2:
        raise ValueError(f"{name}: has one class only, {classes[0]!r}")
    number = {label: i for i, label in enumerate(classes)}
    y = np.array([number[label] for label in labelled.labels], np.int32)
    shares = dict(zip(("train", "validation", "test"), parts, strict=True))
    rows, sentence = split_by_group(labelled, y, shares, source=name)
    training = [labelled.texts[i] for i in rows["train"]]
    tokenizer = kept("tokenizer", lambda: tokenizer_of(training, unit, vocab, least, lower))
    x = encoded(labelled.texts, tokenizer, time)
    for array in (x, y):
        array.setflags(write=False)  # nobody changes it, so it needs no checksum
    splits = {part: {"x": x[r], "y": y[r]} for part, r in rows.items()}
    cut = sum(len(tokenizer.encode(text)) > time for text in labelled.texts)
    note = f"; {cut} texts of {len(x)} are longer than {time} tokens and cut" if cut else ""
    return Texts(
        splits=splits, batch=batch, name=name, split=sentence + note, classes=classes, tokenizer=tokenizer, time=time
    )


def file(
    path: str | Path,
    *,
    batch: int,
    text: str = "text",
    label: str = "label",
    unit: Unit = "characters",
    time: int = 128,
    vocab: int = 20_000,
    least: int = 2,
    lower: bool = False,
) -> Texts:
    """A data set of a labelled text file, a CSV file (`text` and `label` name its columns), or a folder; see `texts`."""
    path = Path(path).expanduser()
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder")
    inside = sorted(path.rglob("*")) if path.is_dir() else [path]
    stamp = tuple((p.name, p.stat().st_mtime_ns, p.stat().st_size) for p in inside)
    return _file(
        path, hash(stamp), batch, text, label, unit, time, vocab, least, lower, kept("tokenizer", lambda: None)
    )


@cache
def _file(path, stamp, batch, text, label, unit, time, vocab, least, lower, tokenizer) -> Texts:
    del stamp, tokenizer  # what the cache is told apart by: a file that was edited, a run that has its own tokenizer
    labelled = read(path, text=text, label=label)
    return texts(labelled, batch=batch, unit=unit, time=time, vocab=vocab, least=least, lower=lower, name=path.name)


def languages(*, batch: int, unit: Unit = "characters", time: int = 128, **options: object) -> Texts:
    """5,006 sentences of 20 European languages, from the message catalogs of Django (BSD-3-Clause, bundled).

    The translations of a sentence stay in one part. Source: `bundled/make_languages.py`.
    """
    return file(BUNDLED / "languages.tsv", batch=batch, unit=unit, time=time, **options)


# -- reading ----------------------------------------------------------------------------------------------------------


def read(path: Path, *, text: str = "text", label: str = "label") -> Labelled:
    """A folder of folders, a CSV file, or lines `label <tab> text [<tab> group]`, which their first form decides."""
    if path.is_dir():
        return read_folder(path)
    if path.suffix.lower() == ".csv":
        table = files.read_csv(path, names=(text, label))
        found = list(zip(table[label].tolist(), table[text].tolist(), strict=True))
        if empty := [i + 1 for i, (name, _) in enumerate(found) if not name]:
            raise ValueError(f"{path}: {len(empty)} rows have no {label!r}, the first is row {empty[0]}")
        return Labelled(tuple(t for _, t in found), tuple(n for n, _ in found), tuple(map(str, range(len(found)))))
    rows = []
    for i, line in enumerate(lines_of(path), 1):
        if not line.strip():
            continue
        cells = line.split("\t")
        if not 2 <= len(cells) <= 3 or not cells[0].strip() or not cells[1].strip():
            raise ValueError(f"{path}:{i}: {line[:40]!r} is not `label <tab> text` or `label <tab> text <tab> group`")
        rows.append((cells[1].strip(), cells[0].strip(), cells[2].strip() if len(cells) == 3 else f"line {i}"))
    return Labelled(*map(tuple, zip(*rows, strict=True)))


def read_folder(path: Path) -> Labelled:
    """One folder a class, one .txt file a text."""
    found = [(file.parent.name, file) for file in sorted(path.glob("*/*.txt"))]
    if not found:
        raise ValueError(f"{path}: holds no folder with .txt files, one folder a class")
    texts = [" ".join("\n".join(lines_of(file, empty=True)).split()) for _, file in found]
    return Labelled(tuple(texts), tuple(name for name, _ in found), tuple(str(file) for _, file in found))


def lines_of(path: str | Path, *, empty: bool = False) -> list[str]:
    """The lines of a text file in UTF-8, gzipped or not; an empty one is an error."""
    content = files.read_bytes(path)
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ValueError(f"{path}:{line}: is not text in UTF-8 ({error.reason} at byte {error.start})") from None
    if not empty and not any(line.strip() for line in lines):
        raise ValueError(f"{path}: holds no text")
    return lines


def tokenizer_of(texts: Sequence[str], unit: Unit, vocab: int, least: int, lower: bool) -> Tokenizer:
    """The tokenizer of the training texts."""
    if unit == "characters":
        return Characters.of(texts, specials=SPECIALS)
    if unit == "bytes":
        return Bytes(specials=SPECIALS)
    if unit == "words":
        return Words.of(texts, size=vocab, least=least, lower=lower, specials=SPECIALS)
    raise ValueError(f"unit = {unit!r} is not one of characters, bytes, words")


def encoded(texts: Sequence[str], tokenizer: Tokenizer, time: int) -> Int[np.ndarray, "n time"]:
    """Tokens in rows of `time`, cut or padded with 0; a text without any token is one unknown."""
    rows = np.zeros((len(texts), time), np.int32)
    for row, text in zip(rows, texts, strict=True):
        tokens = tokenizer.encode(text)[:time]
        row[: len(tokens)] = tokens
        if not len(tokens):
            row[0] = tokenizer.unknown
    return rows


def split_by_group(
    labelled: Labelled, y: Int[np.ndarray, "n"], shares: dict[str, float], *, source: str
) -> tuple[dict[str, np.ndarray], str]:
    """Rows by part, groups and equal texts together. Where every text is its own group, stratified by class."""
    group = np.unique(np.array(labelled.groups), return_inverse=True)[1]
    alone = len(np.unique(group)) == len(group)
    if alone:
        return prepare.split_rows(np.array(labelled.texts), y, shares, source=source)
    leader = {}  # groups that share a text are one
    root = {g: g for g in group.tolist()}

    def find(g: int) -> int:
        while root[g] != g:
            g = root[g]
        return g

    for text, g in zip(labelled.texts, group.tolist(), strict=True):
        root[find(g)] = find(leader.setdefault(text, g))
    group = np.array([find(g) for g in group.tolist()])
    kinds, place = np.unique(group, return_inverse=True)
    drawn, _ = prepare.split_rows(kinds, None, shares, source=source)
    rows = {part: np.flatnonzero(np.isin(place, members)) for part, members in drawn.items()}
    for part, members in rows.items():
        if missing := set(range(int(y.max()) + 1)) - set(y[members].tolist()):
            raise ValueError(
                f"{source}: no text of class {sorted(set(labelled.labels))[min(missing)]!r} is left for {part}"
            )
    sizes = " / ".join(f"{len(members)} {part}" for part, members in rows.items())
    return rows, f"{sizes}: one random draw for every seed; the {len(kinds)} groups stay together"


# -- what needs no network --------------------------------------------------------------------------------------------


def naive_bayes(data: Texts, *, split: str = "test", n: int = 3, alpha: float = 0.1) -> float:
    """The accuracy of multinomial naive Bayes over token n-grams of 1 … n, trained on the training split.

    argmax_c log P(c) + Σ_g log P(g | c),    P(g | c) = (count(g, c) + α) / (Σ_g' count(g', c) + α·V)
    """
    classes = len(data.classes)

    def grams(row: np.ndarray) -> list[tuple[int, ...]]:
        tokens = row[row != 0].tolist()
        return [tuple(tokens[i : i + k]) for k in range(1, n + 1) for i in range(len(tokens) - k + 1)]

    counts = [Counter() for _ in range(classes)]
    train = data.splits["train"]
    for row, label in zip(train["x"], train["y"], strict=True):
        counts[label].update(grams(row))
    vocabulary = set().union(*counts)
    totals = np.log([sum(c.values()) + alpha * len(vocabulary) for c in counts])
    prior = np.log(np.bincount(train["y"], minlength=classes) / len(train["y"]))
    hits = 0
    for row, label in zip(data.splits[split]["x"], data.splits[split]["y"], strict=True):
        known = [g for g in grams(row) if g in vocabulary]
        scores = prior + [sum(np.log(c.get(g, 0) + alpha) for g in known) for c in counts] - len(known) * totals
        hits += int(scores.argmax() == label)
    return hits / len(data.splits[split]["y"])
