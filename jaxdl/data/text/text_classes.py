"""Labelled texts: one class for each sentence, from a file of lines, a table or a folder; tokens in one fixed length.

    de <tab> Das Formular ist ungültig. [<tab> group]      a line of a text file
    neg/0001.txt, pos/0001.txt, ...                        a folder with one folder a class, one file a text

Rows of one `group` (translations of one sentence, sentences of one author) and equal texts stay in one part of the split.
"""

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Int

from jaxdl.counts import check_counts
from jaxdl.data import files
from jaxdl.data.source import InMemory
from jaxdl.data.splits import split
from jaxdl.data.table.csv import read_csv
from jaxdl.data.table.delimited import line_of
from jaxdl.data.text.tokenizers import PAD, UNKNOWN, Bytes, Characters, Tokenizer, Tokens, Words, kept, named, summary
from jaxdl.data.walker import Note, list_files, one_folder_a_class, tell
from jaxdl.types import UserError

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
    column: str = "text"
    """Of a table, for predictions."""
    delimiter: str | None = None
    """Of such a file; None: it is found."""

    @property
    def tokenizers(self) -> dict[str, Tokenizer]:
        """What a run keeps in its folder."""
        return {"tokenizer": self.tokenizer}

    def read(self, path: str | Path) -> dict[str, np.ndarray]:
        """A text for each line of a text file, or for each row of a table (`read_table`), for predictions.

        An empty line keeps its place, and a warning names it. Of labelled lines the texts are read, which a warning says.
        """
        if (table := read_table(path, (self.column,), self.delimiter)) is not None:
            return {"x": self.encode(cells_of(table, self.column, path))}
        lines = [line.split("\t") for line in files.read_lines(path)]
        empty = [i for i, cells in enumerate(lines, 1) if not "".join(cells).strip()]
        tabs = next((i for i, cells in enumerate(lines, 1) if len(cells) > 1), None)
        if tabs is not None:
            known = (
                2 <= len(cells) <= 3 and cells[0].strip() in self.classes for cells in lines if "".join(cells).strip()
            )
            if not all(known):
                raise UserError(
                    f"{path}:{tabs}: holds a tab: write one text a line, or `label <tab> text` in every line "
                    f"(labels: {named(self.classes)})"
                )
            warnings.warn(
                f"{path}: its lines are labelled; their texts are read, their labels are not", Note, stacklevel=2
            )
            lines = [cells[1:2] for cells in lines]
        if empty:
            more = f" and {len(empty) - 1} more lines are" if len(empty) > 1 else " is"
            warnings.warn(
                f"{path}: line {empty[0]}{more} empty, with predictions that mean nothing", Note, stacklevel=2
            )
        return {"x": self.encode(["".join(cells).strip() for cells in lines])}

    def encode(self, texts: Sequence[str]) -> Int[np.ndarray, "n time"]:
        """Texts in rows of `time` tokens."""
        return in_rows([self.tokenizer.encode(text) for text in texts], self.tokenizer, self.time)


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
    column: str = "text",
    given: tuple[Mapping[str, Sequence[int]], str] | None = None,
) -> Texts:
    """A data set of labelled texts: 70 % training, 15 % validation, 15 % test, stratified by class.

    Args:
        batch: texts in a training step.
        unit: what a token is. Tokens are those of the training texts; others are unknown.
        time: tokens of a text; longer texts are cut.
        vocab, least, lower: for words: how many tokens at most, how often one must occur, all in lower case.
        parts: shares of training, validation and test.
        name: what the report calls the set.
        column: where the texts stand in a table, for predictions.
        given: the rows of each part and a sentence on them, in place of a draw.
    """
    check_counts(batch=batch, time=time, vocab=vocab, least=least)
    classes = tuple(sorted(set(labelled.labels)))
    if len(classes) < 2:
        raise UserError(f"{name}: has one class only, {classes[0]!r}")
    number = {label: i for i, label in enumerate(classes)}
    y = np.array([number[label] for label in labelled.labels], np.int32)
    shares = dict(zip(("train", "validation", "test"), parts, strict=True))
    rows, made = given or split(labelled.texts, labelled.groups, y, shares, classes=classes, source=name)
    training = [labelled.texts[i] for i in rows["train"]]
    tokenizer = kept("tokenizer", lambda: tokenizer_of(training, unit, vocab, least, lower))
    tokens = [tokenizer.encode(text) for text in labelled.texts]
    x = in_rows(tokens, tokenizer, time)
    for array in (x, y):
        array.setflags(write=False)  # nobody changes it, so it needs no checksum
    splits = {part: {"x": x[r], "y": y[r]} for part, r in rows.items()}
    cut = sum(len(row) > time for row in tokens)
    made += f"; {summary(tokenizer, tokens, of='texts')}"
    made += f"; {cut} texts of {len(x)} are longer than {time} tokens and cut" if cut else ""
    return Texts(splits, batch, name=name, split=made, classes=classes, tokenizer=tokenizer, time=time, column=column)


def file(
    path: str | Path,
    *,
    batch: int,
    text: str = "text",
    label: str = "label",
    delimiter: str | None = None,
    **options: Any,
) -> Texts:
    """A data set of a labelled text file, a table (`text` and `label` name its columns), or a folder of folders.

    `delimiter` is that of a CSV file; None: it is found. `options` are those of `texts`. Equal calls give one
    object until the files change.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder")
    inside = [Path(file) for file in list_files(path, {".txt"}).files] if path.is_dir() else [path]
    stamp = hash(tuple((p.name, p.stat().st_mtime_ns, p.stat().st_size) for p in inside))
    return _file(path, (stamp, kept("tokenizer", lambda: None)), batch, text, label, delimiter, tuple(options.items()))


@cache
def _file(
    path: Path,
    stamp: Any,
    batch: int,
    text: str,
    label: str,
    delimiter: str | None,
    options: tuple[tuple[str, Any], ...],
) -> Texts:
    del stamp  # part of the cache's key: an edited file, a run's own tokenizer
    labelled = read_labelled(path, text=text, label=label, delimiter=delimiter)
    made = texts(labelled, batch=batch, name=path.name, column=text, **dict(options))
    return replace(made, delimiter=delimiter)


def languages(*, batch: int, **options: Any) -> Texts:
    """5,006 sentences of 20 European languages, from the message catalogs of Django (BSD-3-Clause, bundled).

    The translations of a sentence stay in one part. `options` are those of `texts`. Source: `bundled/make_languages.py`.
    """
    return file(files.BUNDLED / "languages.tsv", batch=batch, **options)


# -- reading ----------------------------------------------------------------------------------------------------------


def read_labelled(path: Path, *, text: str = "text", label: str = "label", delimiter: str | None = None) -> Labelled:
    """A folder of folders, a table (`read_table`), or lines `label <tab> text [<tab> group]`."""
    if path.is_dir():
        return read_folder(path)
    if (table := read_table(path, (text, label), delimiter)) is not None:
        labels, texts = cells_of(table, label, path), cells_of(table, text, path)
        return Labelled(tuple(texts), tuple(labels), tuple(map(str, range(len(texts)))))
    if (text, label) != ("text", "label"):
        raise UserError(
            f"{path}: has no columns {text!r} and {label!r}: a file with columns ends in .csv, or has tabs between their "
            "names in its first line"
        )
    rows = []
    for i, line in enumerate(files.read_lines(path), 1):
        if not line.strip():
            continue
        cells = [cell.strip() for cell in line.split("\t")]
        if not 2 <= len(cells) <= 3 or not cells[0] or not cells[1]:
            raise UserError(f"{path}:{i}: {line[:40]!r} is not `label <tab> text` or `label <tab> text <tab> group`")
        rows.append((cells[1], cells[0], cells[2] if len(cells) == 3 else f"line {i}"))
    return Labelled(*map(tuple, zip(*rows, strict=True)))


def read_table(
    path: str | Path, names: tuple[str, ...], delimiter: str | None = None
) -> Mapping[str, np.ndarray] | None:
    """The named columns (the text, the label) of a CSV file, or of lines with tabs whose first one names them; else None.

    Quotes are part of a text where tabs separate the columns.
    """
    if Path(path).suffix.lower() == ".csv":
        return read_csv(path, names=names, columns=names, verbatim=names[1:], delimiter=delimiter)
    head, *lines = ([cell.strip() for cell in line.split("\t")] for line in files.read_lines(path))
    if len(head) < 2 or not set(names) <= set(head):
        return None
    wrong = next((i for i, cells in enumerate(lines, 2) if any(cells) and len(cells) != len(head)), None)
    if wrong is not None:
        raise UserError(f"{path}:{wrong}: has {len(lines[wrong - 2])} cells for {len(head)} columns")
    rows = [cells for cells in lines if any(cells)]
    return {name: np.array([cells[head.index(name)] for cells in rows]) for name in names}


def cells_of(table: Mapping[str, np.ndarray], column: str, path: str | Path) -> list[str]:
    """A column in which no cell is empty; ValueError where one is."""
    if len(empty := np.flatnonzero(table[column] == "")):
        csv = Path(path).suffix.lower() == ".csv"
        first = line_of(path, int(empty[0]) + 1) - 1 if csv else empty[0] + 1  # empty lines are counted
        what = f"{len(empty)} rows have no {column!r}, the first is row {first}"
        raise UserError(f"{path}: {what} (nothing, or a mark of nothing such as NA, stands there)")
    return table[column].tolist()


def read_folder(path: Path) -> Labelled:
    """One folder a class, one .txt file a text; a warning counts what is not read."""
    classes, notes = one_folder_a_class(path, {".txt"})
    if not classes:
        raise UserError(f"{path}: holds no folder with .txt files, one folder a class")
    tell(path, notes)
    found = [
        (" ".join(files.read_text(file).split()), name, file) for name, inside in classes.items() for file in inside
    ]
    return Labelled(*map(tuple, zip(*found, strict=True)))


def tokenizer_of(texts: Sequence[str], unit: Unit, vocab: int, least: int, lower: bool) -> Tokenizer:
    """The tokenizer of the training texts."""
    if unit == "words":
        return Words.of(texts, size=vocab, least=least, lower=lower, specials=SPECIALS)
    if unit not in ("characters", "bytes"):
        raise UserError(f"unit = {unit!r} is not one of characters, bytes, words")
    return Bytes(specials=SPECIALS) if unit == "bytes" else Characters.of(texts, specials=SPECIALS)


def in_rows(tokens: Sequence[Tokens], tokenizer: Tokenizer, time: int) -> Int[np.ndarray, "n time"]:
    """Tokens in rows of `time`, cut or padded with 0; a text without any token is one unknown."""
    if time < 1:
        raise UserError(f"time = {time} must be 1 or more: the tokens of a text")
    rows = np.zeros((len(tokens), time), np.int32)
    for row, found in zip(rows, tokens, strict=True):
        row[: len(found)] = found[:time]
        if not len(found):
            row[0] = tokenizer.unknown
    return rows


# -- what needs no network --------------------------------------------------------------------------------------------


def naive_bayes(data: Texts, *, split: str = "test", n: int = 3, alpha: float = 0.1) -> float:
    """The accuracy of multinomial naive Bayes over token n-grams of 1 … n, trained on the training split.

    argmax_c log P(c) + Σ_g log P(g | c),    P(g | c) = (count(g, c) + α) / (Σ_g' count(g', c) + α·V)
    """

    def grams(row: np.ndarray) -> list[tuple[int, ...]]:
        tokens = row[row != 0].tolist()
        return [tuple(tokens[i : i + k]) for k in range(1, n + 1) for i in range(len(tokens) - k + 1)]

    train, test = data.splits["train"], data.splits[split]
    counts = [Counter() for _ in data.classes]
    for row, label in zip(train["x"], train["y"], strict=True):
        counts[label].update(grams(row))
    vocabulary = set().union(*counts)
    totals = np.log([sum(c.values()) + alpha * len(vocabulary) for c in counts])
    prior = np.log(np.bincount(train["y"], minlength=len(counts)) / len(train["y"]))
    found = []
    for row in test["x"]:
        known = [g for g in grams(row) if g in vocabulary]
        scores = [sum(np.log(c.get(g, 0) + alpha) for g in known) for c in counts]
        found.append((prior + scores - len(known) * totals).argmax())
    return float(np.mean(found == test["y"]))
