"""Parallel text: read, split, tokenized, and every way in which files can be wrong told in one line."""

import numpy as np
import pytest

from jaxdl.data.text import translation
from jaxdl.data.text.tokenizers import at_home, save
from jaxdl.data.text.translation import (
    from_files,
    from_pairs,
    number_parts,
    number_table,
    number_words,
)

LINES = [f"a {i:b}".replace("0", "b").replace("1", "c") for i in range(60)]


def test_splits_tokens_and_back(folder):
    options = dict(batch=8, tokens="characters", joint=False, buckets=2, window=2)
    data = from_files({"train": (folder / "train.en", folder / "train.de.gz")}, **options)
    assert data is from_files({"train": (folder / "train.en", folder / "train.de.gz")}, **options)
    assert {split: data.size(split) for split in data.splits} == {"train": 54, "validation": 3, "test": 3}
    assert "3 of 60 lines each for validation and test" in data.split
    lines = []
    for arrays in data.splits.values():
        assert (arrays["x"] == data.source_tokenizer.end).sum(1).tolist() == [1] * len(arrays["x"])
        lines += [data.source_tokenizer.decode(row) for row in arrays["x"]]
        assert [line.upper() + "ß" for line in lines[-len(arrays["x"]) :]] == data.decode({"tokens": arrays["y"]})[
            "text"
        ]
    assert sorted(lines) == sorted(LINES)
    x = data.encode([" abb c "])
    assert x.shape == (1, data.shape[0])
    assert data.source_tokenizer.decode(x[0]) == "abb c"
    with pytest.raises(ValueError, match=r"sentence 2 has 17 tokens, the model was trained on 1 to 8: 'aaaa"):
        data.encode(["a", "a" * 17])
    with pytest.raises(ValueError, match="sentence 1 has 0 tokens"):
        data.encode([""])
    with pytest.raises(ValueError, match="sentence 2 holds 'x', 'y', unknown to the model: 'abxyx'"):
        data.encode(["a", "abxyx"])


def test_the_report_says_what_the_sentences_are_as_tokens():
    """By hand: a and b are the words that occur twice, beside four special tokens; x does not, three of ten source words are."""
    pairs = (("train", (("a b a", "q"), ("b", "q q"))), ("test", (("x a x", "q"), ("a b x", "q"))))
    data = from_pairs(pairs, batch=1, tokens="words", vocab=7, joint=False)
    assert "; source: vocabulary 6, 30 % unknown; 4 sentences of 1 to 3 tokens, median 3;" in data.split
    assert data.split.endswith("; target: vocabulary 5, 0 % unknown; 4 sentences of 1 to 2 tokens, median 1")


def test_long_pairs_are_left_out_and_it_is_said(folder):
    data = from_files({"train": (folder / "train.en", folder / "train.de.gz")}, batch=4, tokens="bytes", longest=9)
    assert "of 54 training pairs left out (empty, or above 9 tokens)" in data.split
    assert max(data.shape) <= 9
    with pytest.raises(ValueError, match="longest = 2"):
        from_files({"train": (folder / "train.en", folder / "train.de.gz")}, batch=4, tokens="bytes", longest=2)


def test_a_run_keeps_its_vocabulary(tmp_path):
    pairs = (("train", (("a b", "x"), ("b c", "y"))), ("test", (("a", "x"),)))
    data = from_pairs(pairs, batch=1, tokens="words", joint=True)
    assert list(data.tokenizers) == ["tokenizer"]
    assert data.source_tokenizer is data.target_tokenizer
    save(data.tokenizers["tokenizer"], tmp_path / "tokenizer.json")
    more = (("train", (("q r", "s"), *pairs[0][1])), pairs[1])
    with at_home(tmp_path):
        assert from_pairs(more, batch=1, tokens="words", joint=True).source_tokenizer == data.source_tokenizer
    with pytest.raises(ValueError, match="joint = True needs one kind of tokens"):
        from_pairs(pairs, batch=1, tokens=("words", "bytes"))
    with pytest.raises(ValueError, match="tokens = 'letters': take one of 'bpe'"):
        from_pairs(pairs, batch=1, tokens="letters")


def test_number_words():
    table = number_table()
    assert len(table) == len(set(table)) == 10_000
    assert table[9999][1] == "neuntausendneunhundertneunundneunzig"
    assert table[81] == ("eighty-one", "einundachtzig", "quatre-vingt-un")
    parts = number_parts(8500)
    assert sorted(np.concatenate(list(parts.values()))) == list(range(10_000))
    data = number_words(batch=32, language="fr", train=100)
    assert {split: data.size(split) for split in data.splits} == {"train": 100, "validation": 500, "test": 1000}
    assert data.decode({"tokens": data.splits["test"]["y"][:2]})["text"] == [table[n][2] for n in parts["test"][:2]]
    with pytest.raises(ValueError, match="train = 9000 must lie between 1 and 8500"):
        number_words(batch=1, train=9000)
    with pytest.raises(ValueError, match="language = 'it'"):
        number_words(batch=1, language="it")
    with pytest.raises(ValueError, match="tokens = 'words': take 'parts' or 'letters'"):
        number_words(batch=1, tokens="words")


@pytest.mark.parametrize(("language", "column"), [("de", 1), ("fr", 2)])
def test_parts_make_up_every_number_word(language, column):
    tokenizer = number_words(batch=1, language=language).target_tokenizer
    for row in number_table():
        assert not tokenizer.missing(row[column])
        assert tokenizer.decode(tokenizer.encode(row[column])) == row[column]
    assert len(tokenizer.encode(number_table()[9999][column])) < 20


@pytest.mark.parity
def test_number_words_are_num2words():
    num2words = pytest.importorskip("num2words").num2words
    for n in (0, 21, 71, 99, 101, 342, 1000, 1100, 4071, 9999):
        assert number_table()[n] == tuple(num2words(n, lang=language) for language in ("en", "de", "fr"))


def test_a_file_of_sentences_is_read_as_inputs(tmp_path):
    data = number_words(batch=32, train=100)
    (tmp_path / "s.txt").write_text("forty-two\nseven\n", encoding="utf-8")
    assert data.read(tmp_path / "s.txt")["x"].shape == (2, data.shape[0])
    (tmp_path / "bad.txt").write_text("one " * 30, encoding="utf-8")
    with pytest.raises(ValueError, match=r"bad.txt: sentence 1 has 30 tokens"):
        data.read(tmp_path / "bad.txt")
    assert translation.read_sentences(tmp_path / "s.txt") == ["forty-two", "seven"]
