"""The alignment that `experiments/number_words.py` measures against, and its baseline."""

import re

import numpy as np

from experiments.number_words import ENGLISH, GERMAN, IntoGerman, alignment, word_by_word
from jaxdl.data.text.translation import number_table, number_words


def test_every_word_is_aligned_once():
    for english, german, _ in number_table():
        words = re.findall(r"\w+|[^\w\s]", english)
        pairs = alignment(words, german)
        assert sorted(word for _, word in pairs) == [i for i, word in enumerate(words) if word in ENGLISH]
        for at, word in pairs:
            assert german[at:].startswith(GERMAN[ENGLISH.index(words[word])])


def test_the_baseline():
    assert word_by_word("three hundred and forty-two") == "dreihundertvierzigzwei"
    assert word_by_word("nine thousand and eleven") == "neuntausendelf"


def test_the_report_counts_where_parts_begin():
    data = number_words(batch=2, tokens="letters")
    task = IntoGerman(None, data.source_tokenizer, data.target_tokenizer, steps=30)
    x = data.encode(["three hundred and forty-two", "twelve"])
    y = np.stack(
        [np.pad(data.target_tokenizer.encode(w), (0, 30 - len(w))) for w in ("dreihundertzweiundvierzig", "zwölf")]
    )
    weights = np.full((2, 30, x.shape[1]), 0.01)
    for row, at, word in ((0, 0, 0), (0, 4, 2), (0, 11, 5), (0, 18, 0), (1, 0, 0)):
        weights[row, at, word] = 0.9  # on its word but for "hundert" and "vierzig"
    report = task.report({"tokens": y, "source": x, "attention": weights}, y)
    assert (report["aligned"], report["aligned_digits"], report["exact_match"]) == (3 / 5, 3 / 4, 1)
