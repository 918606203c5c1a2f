"""IBM's model 1 finds which word says which, though no pair says it alone."""

import sys

import pytest

from experiments import _translate_baseline as baseline


def test_words_are_told_apart_by_the_sentences_they_share():
    """Brown et al.'s own kind of example: two pairs of two words each, of which one word is common."""
    pairs = [("the house", "das Haus"), ("the book", "das Buch"), ("a book", "ein Buch")]
    assert baseline.lexicon(pairs) == {"the": "das", "house": "Haus", "book": "Buch", "a": "ein"}


def test_the_command(tmp_path, monkeypatch, capsys):
    for part in ("train", "test"):
        (tmp_path / f"{part}.en").write_text("the house\nthe book\na book\n", encoding="utf-8")
        (tmp_path / f"{part}.de").write_text("das Haus\ndas Buch\nein Buch\n", encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["baseline", "--folder", str(tmp_path)])
    baseline.main()
    assert "the house -> das Haus" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["baseline", "--folder", str(tmp_path / "nowhere")])
    with pytest.raises(SystemExit, match="2"):
        baseline.main()
    assert "nowhere: no such folder" in capsys.readouterr().err
