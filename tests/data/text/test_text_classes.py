"""Labelled texts: three kinds of files, tokens in one length, groups that stay together, wrong files."""

import gzip

import numpy as np
import pytest

from jaxdl.data import files, splits
from jaxdl.data.text import text_classes
from jaxdl.data.text.text_classes import Labelled

LINES = "\n".join(f"{'ab'[i % 2]}\t{'xyz'[i % 3] * (i % 5 + 1)} no {i}" for i in range(60))


def test_lines_a_table_and_a_folder_are_the_same_texts(tmp_path):
    (tmp_path / "lines.tsv").write_text(LINES + "\n\n", encoding="utf-8")
    rows = [line.split("\t") for line in LINES.split("\n")]
    (tmp_path / "table.csv").write_text(
        "label,text\n" + "\n".join(f'{a},"{b}"' for a, b in rows) + "\n", encoding="utf-8"
    )
    for i, (label, text) in enumerate(rows):
        (tmp_path / "folder" / label).mkdir(parents=True, exist_ok=True)
        (tmp_path / "folder" / label / f"{i:02d}.txt").write_text(text + "\n", encoding="utf-8")
    found = [text_classes.read_labelled(tmp_path / name) for name in ("lines.tsv", "table.csv", "folder")]
    assert {frozenset(zip(f.texts, f.labels, strict=True)) for f in found} == {frozenset((t, a) for a, t in rows)}
    (tmp_path / "lines.tsv.gz").write_bytes(gzip.compress(LINES.encode()))
    assert text_classes.read_labelled(tmp_path / "lines.tsv.gz") == found[0]
    data = text_classes.file(tmp_path / "lines.tsv", batch=8, time=6)
    assert data is text_classes.file(tmp_path / "lines.tsv", batch=8, time=6), "cached: one set a process"
    assert [data.size(part) for part in data.splits] == [42, 8, 10]
    assert data.classes == ("a", "b")
    assert "texts of 60 are longer than 6 tokens and cut" in data.split


def test_a_csv_file_is_asked_about_by_its_column(tmp_path):
    """The column that training read; others and the label's may be there or not."""
    rows = [f'{i},"word, {i % 7}",{"ab"[i % 2]}' for i in range(40)]
    (tmp_path / "table.csv").write_text("\n".join(["id,review,stars", *rows]) + "\n", encoding="utf-8")
    data = text_classes.file(tmp_path / "table.csv", batch=8, time=12, text="review", label="stars")
    (tmp_path / "asked.csv").write_text('review,of\n"word, 1",me\n"word, 2",you\n', encoding="utf-8")
    np.testing.assert_array_equal(data.read(tmp_path / "asked.csv")["x"], data.encode(["word, 1", "word, 2"]))
    (tmp_path / "asked.csv").write_text("text\nword\n", encoding="utf-8")
    with pytest.raises(ValueError, match="review"):
        data.read(tmp_path / "asked.csv")


def test_texts_become_tokens_and_unseen_characters_unknown(tmp_path):
    (tmp_path / "lines.tsv").write_text(LINES, encoding="utf-8")
    data = text_classes.file(tmp_path / "lines.tsv", batch=8, time=12)
    x = data.encode(["xx no", "é", ""])
    assert x.shape == (3, 12)
    assert data.tokenizer.decode(x[0]) == "xx no"
    assert (x[0, 5:] == 0).all()
    assert x[1, 0] == x[2, 0] == data.tokenizer.unknown == 1
    (tmp_path / "asked.txt").write_text("xx no\nzz \n", encoding="utf-8")
    np.testing.assert_array_equal(data.read(tmp_path / "asked.txt")["x"], data.encode(["xx no", "zz"]))
    assert data.tokenizers == {"tokenizer": data.tokenizer}
    words = text_classes.file(tmp_path / "lines.tsv", batch=8, time=12, unit="words")
    assert words.tokenizer.decode(words.encode(["no rare no"])[0]) == "no <unk> no"


def test_only_the_end_of_a_line_ends_a_text(tmp_path):
    """A form feed and Unicode's line separator stand inside of texts that people write."""
    odd = [f"a\tone\u2028two\x0c {i}" if i % 2 else f"b\tthree\x85four {i}" for i in range(60)]
    (tmp_path / "odd.tsv").write_text("\n".join(odd), encoding="utf-8")
    assert text_classes.read_labelled(tmp_path / "odd.tsv").texts[:2] == ("three\x85four 0", "one\u2028two\x0c 1")
    data = text_classes.file(tmp_path / "odd.tsv", batch=8, time=20)
    (tmp_path / "asked.txt").write_bytes("one\u2028two\r\nthree\x0cfour\r\n".encode())
    found = [data.tokenizer.decode(row) for row in data.read(tmp_path / "asked.txt")["x"]]
    assert found == ["one\u2028two", "three\x0cfour"]


def test_predictions_have_the_numbers_of_the_lines(tmp_path):
    """Five lines are five predictions, of which those of empty lines are marked; a label is not read as text."""
    (tmp_path / "lines.tsv").write_text(LINES, encoding="utf-8")
    data = text_classes.file(tmp_path / "lines.tsv", batch=8, time=16)
    (tmp_path / "asked.txt").write_text("xx no\n\nzz\n \nxx\n", encoding="utf-8")
    with pytest.warns(UserWarning, match=r"asked\.txt: line 2 and 1 more lines are empty"):
        x = data.read(tmp_path / "asked.txt")["x"]
    np.testing.assert_array_equal(x, data.encode(["xx no", "", "zz", "", "xx"]))
    with pytest.warns(UserWarning, match=r"lines\.tsv: its lines are labelled"):
        x = data.read(tmp_path / "lines.tsv")["x"]
    np.testing.assert_array_equal(x, data.encode([line.split("\t")[1] for line in LINES.split("\n")]))
    for content, line in (("a\txx\nc\tyy\n", 1), ("xx\nno\tone\n", 2), ("a\tx\nno\n", 1)):
        (tmp_path / "asked.tsv").write_text(content, encoding="utf-8")
        with pytest.raises(ValueError, match=rf"asked\.tsv:{line}: holds a tab: .* \(labels: 'a', 'b'\)"):
            data.read(tmp_path / "asked.tsv")


def test_a_header_between_tabs_names_columns(tmp_path):
    """As Rotten Tomatoes' train.tsv has it: quotes are text. pandas reads it so with quoting=3."""
    rows = [f'{i}\tsaid "{i + 7}\t{i % 2}' for i in range(60)]
    (tmp_path / "train.tsv").write_text("\n".join(["id\tPhrase\tSentiment", *rows]) + "\n\n", encoding="utf-8")
    data = text_classes.file(tmp_path / "train.tsv", batch=8, time=8, text="Phrase", label="Sentiment")
    assert data.classes == ("0", "1")
    np.testing.assert_array_equal(
        data.read(tmp_path / "train.tsv")["x"], data.encode([row.split("\t")[1] for row in rows])
    )
    (tmp_path / "headed.tsv").write_text("label\ttext\n" + LINES, encoding="utf-8")
    assert text_classes.file(tmp_path / "headed.tsv", batch=8).classes == ("a", "b"), "not a class called label"
    (tmp_path / "train.tsv").write_text("id\tPhrase\tSentiment\n0\tgood\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"train\.tsv:2: has 2 cells for 3 columns"):
        text_classes.file(tmp_path / "train.tsv", batch=8, text="Phrase", label="Sentiment")


def test_a_folder_is_walked_as_every_folder_is(tmp_path):
    """Hidden folders are no classes, suffixes count in any case, and what is not read is counted."""
    for label in "ab":
        (tmp_path / label).mkdir()
        for i in range(20):
            (tmp_path / label / f"{i}.{'TXT' if i % 2 else 'txt'}").write_text(f"{label} {i}", encoding="utf-8")
        (tmp_path / label / "._0.txt").write_bytes(b"\0\xff")
    (tmp_path / ".ipynb_checkpoints").mkdir()
    (tmp_path / ".ipynb_checkpoints" / "0.txt").write_text("hidden", encoding="utf-8")
    found = text_classes.read_labelled(tmp_path)
    assert sorted(zip(found.labels, found.texts, strict=True)) == sorted(
        (a, f"{a} {i}") for a in "ab" for i in range(20)
    )
    (tmp_path / "b" / "note.rtf").write_text("x", encoding="utf-8")
    with pytest.warns(UserWarning, match=r"class b: 1 \.rtf not read"):
        text_classes.read_labelled(tmp_path)


def test_other_columns_of_a_table(tmp_path):
    path = tmp_path / "reviews.csv"
    path.write_text(
        "id,review,stars\n" + "\n".join(f"{'x' * (i % 2)}{i},text {i},{i % 3}" for i in range(60)), encoding="utf-8"
    )
    data = text_classes.file(path, batch=2, text="review", label="stars")
    assert data.classes == ("0", "1", "2")
    with pytest.raises(ValueError, match=r"reviews.csv: has no column 'text'; it has id, review, stars"):
        text_classes.file(path, batch=2, label="stars")
    path.rename(tmp_path / "reviews.tsv")
    with pytest.raises(ValueError, match=r"reviews.tsv: has no columns 'review' and 'stars': .* ends in .csv"):
        text_classes.file(tmp_path / "reviews.tsv", batch=2, text="review", label="stars")


def test_the_report_says_what_the_texts_are_as_tokens():
    """60 different texts of 1 to 30 letters p or q: the vocabulary is those two, padding and unknown."""
    texts = tuple(letter * (n + 1) for letter in "pq" for n in range(30))
    labelled = Labelled(texts, ("a",) * 30 + ("b",) * 30, tuple(map(str, range(60))))
    said = text_classes.texts(labelled, batch=4, time=28).split
    told = "; vocabulary 4, 0 % unknown; 60 texts of 1 to 30 tokens, median 15.5"
    assert said.endswith(f"{told}; 4 texts of 60 are longer than 28 tokens and cut")
    with pytest.raises(ValueError, match=r"^time = 0 must be 1 or more"):
        text_classes.texts(labelled, batch=4, time=0)


def test_groups_and_equal_texts_stay_in_one_part():
    rows = [(f"sentence {i} of {label}", label, str(i)) for i in range(80) for label in "ab"]
    rows[0] = ("the same", "a", "0")
    rows[21] = ("the same", "b", "10")  # groups 0 and 10 share a text
    labelled = Labelled(*map(tuple, zip(*rows, strict=True)))
    y = np.array([int(label == "b") for label in labelled.labels])
    parts, sentence = splits.split(labelled.texts, labelled.groups, y, classes=("a", "b"), source="s")
    assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(160))
    home = {i: part for part, members in parts.items() for i in members.tolist()}
    for i in range(0, 160, 2):
        assert home[i] == home[i + 1]
    assert home[0] == home[21]
    assert "the 79 groups stay together" in sentence


def test_the_languages_never_test_a_translation_of_what_was_trained_on():
    data = text_classes.languages(batch=64)
    assert len(data.classes) == 20
    assert sum(data.size(part) for part in data.splits) == 5006
    labelled = text_classes.read_labelled(files.BUNDLED / "languages.tsv")
    group = dict(zip(labelled.texts, labelled.groups, strict=True))
    english = {labelled.texts[i] for i, label in enumerate(labelled.labels) if label == "en"}
    assert "This field is required." in english
    parts = {}
    for part, arrays in data.splits.items():
        texts = {data.tokenizer.decode(row) for row in arrays["x"]}
        parts[part] = {group[text] for text in texts if text in group}
        assert len(parts[part]) > 30
        assert len(np.unique(arrays["y"])) == 20
    assert not parts["train"] & parts["test"]
    assert not parts["train"] & parts["validation"]


def test_naive_bayes_by_hand():
    """One letter a class, but for one training text of a that reads as b."""
    texts = tuple(letter * (n + 1) for letter in "pq" for n in range(30))
    data = text_classes.texts(Labelled(texts, ("a",) * 30 + ("b",) * 30, tuple(map(str, range(60)))), batch=4, time=32)
    assert text_classes.naive_bayes(data, n=2) == 1.0


WRONG = {
    "no tab": ("a\tb\nonly words\n", r":2: 'only words' is not `label <tab> text`"),
    "no text": ("a\t\n", r":1: .* is not"),
    "empty": ("", "holds no text"),
    "one class": ("a\tb\na\tc\n", "has one class only, 'a'"),
}


@pytest.mark.parametrize(("content", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_file_is_one_line(content, message, tmp_path):
    path = tmp_path / "lines.tsv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=message) as caught:
        text_classes.file(path, batch=2)
    assert "\n" not in str(caught.value)
    assert "lines.tsv" in str(caught.value)


def test_other_wrong_requests_are_one_line(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere: no such file or folder"):
        text_classes.file(tmp_path / "nowhere", batch=2)
    with pytest.raises(ValueError, match=r"holds no folder with \.txt files"):
        text_classes.file(tmp_path, batch=2)
    (tmp_path / "latin.tsv").write_bytes("a\tb\nb\tcafé\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"latin.tsv:2: is not text in UTF-8"):
        text_classes.file(tmp_path / "latin.tsv", batch=2)
    (tmp_path / "table.csv").write_text("label,review\na,b\n", encoding="utf-8")
    with pytest.raises(ValueError, match="has no column 'text'"):
        text_classes.file(tmp_path / "table.csv", batch=2)
    for rows, column, row in (("a,b\na,\n", "text", 2), ("a,b\n\n,c\nb,NA\n", "label", 3)):
        (tmp_path / "gaps.csv").write_text(f"label,text\n{rows}", encoding="utf-8")
        with pytest.raises(ValueError, match=rf"gaps.csv: 1 rows have no '{column}', the first is row {row} "):
            text_classes.file(tmp_path / "gaps.csv", batch=2)
    (tmp_path / "folder" / "a").mkdir(parents=True)
    (tmp_path / "folder" / "a" / "0.txt").write_text(" \n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"0\.txt: holds no text"):
        text_classes.file(tmp_path / "folder", batch=2)
    (tmp_path / "lines.tsv").write_text(LINES, encoding="utf-8")
    with pytest.raises(ValueError, match="unit = 'letters'"):
        text_classes.file(tmp_path / "lines.tsv", batch=2, unit="letters")


def test_a_text_to_predict_that_is_a_mark_of_nothing_is_refused(tmp_path):
    (tmp_path / "lines.tsv").write_text(LINES, encoding="utf-8")
    data = text_classes.file(tmp_path / "lines.tsv", batch=2)
    (tmp_path / "new.csv").write_text("text\nword\nNA\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"new\.csv: 1 rows have no 'text', the first is row 2 "):
        data.read(tmp_path / "new.csv")
