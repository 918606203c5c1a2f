"""Edit distance, error rates and BLEU: by hand, by definition, and as sacrebleu and jiwer give them."""

import functools
import json
from pathlib import Path

import numpy as np
import pytest

from jaxdl.metrics import text
from jaxdl.types import UserError

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "bleu.json").read_text(encoding="utf-8"))


def by_definition(p, t):
    @functools.cache
    def d(i, j):
        if not i or not j:
            return i + j
        return min(d(i - 1, j) + 1, d(i, j - 1) + 1, d(i - 1, j - 1) + (p[i - 1] != t[j - 1]))

    return d(len(p), len(t))


def test_edit_distance_is_the_recursion():
    rng = np.random.default_rng(0)
    for _ in range(100):
        p, t = (tuple(rng.integers(0, 3, rng.integers(0, 9)).tolist()) for _ in range(2))
        assert text.edit_distance(p, t) == by_definition(p, t)


def corpus(seed=0, n=40):
    rng = np.random.default_rng(seed)
    words = np.array(
        ["a", "the", "cat", "sat", "3.5", "(on)", "1,000", "mat.", "well,", "x-ray", "10-20", "Straße", "&amp;"]
    )
    target = [" ".join(rng.choice(words, rng.integers(1, 14))) for _ in range(n)]
    change = lambda line: " ".join(
        w if rng.random() < 0.7 else rng.choice(words) for w in line.split()[: rng.integers(1, 14)]
    )
    return [change(line) for line in target], target


def test_bleu_is_the_committed_one():
    for case in GOLDEN:
        ours = text.bleu(case["predictions"], case["targets"])
        assert ours == pytest.approx(case["bleu"], rel=1e-9), case["note"]


@pytest.mark.parity
def test_bleu_is_sacrebleus():
    sacrebleu = pytest.importorskip("sacrebleu")
    for seed in range(5):
        p, t = corpus(seed)
        assert text.bleu(p, t) == pytest.approx(sacrebleu.corpus_bleu(p, [t]).score, rel=1e-9)
        plain = sacrebleu.corpus_bleu(p, [t], tokenize="none").score
        assert text.bleu(p, t, tokenize=False) == pytest.approx(plain, rel=1e-9)
    assert text.bleu(["a b c d e"], ["v w x y z"]) == sacrebleu.corpus_bleu(["a b c d e"], [["v w x y z"]]).score == 0


def test_error_rates_are_the_edits_of_the_corpus_over_its_length():
    p, t = corpus(9)
    for metric, split in ((text.word_error_rate, str.split), (text.character_error_rate, list)):
        pairs = [(tuple(split(a)), tuple(split(b))) for a, b in zip(p, t, strict=True)]
        expected = sum(by_definition(a, b) for a, b in pairs) / sum(len(b) for _, b in pairs)
        assert metric(p, t) == pytest.approx(expected, rel=1e-12)
        assert 0.1 < expected < 1


@pytest.mark.parity
def test_error_rates_are_jiwers():
    jiwer = pytest.importorskip("jiwer")
    p, t = corpus(9)
    assert text.word_error_rate(p, t) == pytest.approx(jiwer.wer(t, p))
    assert text.character_error_rate(p, t) == pytest.approx(jiwer.cer(t, p))


def test_limits():
    same = ["one two three four five", "six"]
    assert text.bleu(same, same) == pytest.approx(100)
    assert text.word_error_rate(same, same) == 0
    assert text.word_error_rate(["", ""], same) == 1
    assert text.bleu(["", ""], same) == 0


@pytest.mark.parametrize("metric", [text.bleu, text.word_error_rate, text.exact_match])
def test_says_what_is_wrong(metric):
    with pytest.raises(UserError, match="1 for 2 "):
        metric(["a"], ["a", "b"])
    with pytest.raises(UserError, match="0 for 0 "):
        metric([], [])
    with pytest.raises(UserError, match="list"):
        metric("ab", "ab")


def test_empty_targets_have_no_rate():
    with pytest.raises(UserError, match="empty"):
        text.word_error_rate(["a"], [" "])
