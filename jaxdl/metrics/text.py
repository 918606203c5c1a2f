"""Metrics of text: edit distance, word and character error rate, exact match, BLEU. NumPy on the host.

Predictions and targets are sequences of strings, or of sequences of tokens; targets are the references.
"""

import math
import re
import string
from collections import Counter
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from jaxdl.counts import check_count
from jaxdl.types import UserError

Tokens = Sequence[Hashable]
APART = re.compile("([" + re.escape("".join(set(string.punctuation) - set("',-."))) + "])")
"""Characters that are always separate words; points, commas and dashes depend on neighbouring digits."""


DIRECTIONS = {"exact_match": "max", "bleu": "max", "word_error_rate": "min", "character_error_rate": "min"}
"""Whether more or less of each number is better."""


def edit_distance(prediction: Tokens, target: Tokens) -> int:
    """Return the edit distance: the smallest number of insertions, deletions and substitutions (Levenshtein 1966).

        d(i, j) = min(d(i-1, j) + 1,  d(i, j-1) + 1,  d(i-1, j-1) + [p_i ≠ t_j])

    >>> edit_distance("kitten", "sitting")
    3
    """
    number = {token: i for i, token in enumerate({*prediction, *target})}
    p, t = ([number[token] for token in tokens] for tokens in (prediction, target))
    columns = np.arange(len(t) + 1)
    row, t = columns, np.asarray(t, int)
    for token in p:
        best = np.concatenate([[row[0] + 1], np.minimum(row[1:] + 1, row[:-1] + (t != token))])
        row = np.minimum.accumulate(best - columns) + columns  # d(i, j-1) + 1, for all j at once
    return int(row[-1])


def error_rate(predictions: Sequence[Tokens], targets: Sequence[Tokens]) -> float:
    """Return Σ edit distances / Σ lengths of the targets: 0 is perfect, 1 is that of empty predictions; it can exceed 1.

    Raises `UserError` if the numbers of sequences differ or all targets are empty.

    >>> error_rate([["a", "b"], ["c"]], [["a", "b", "x"], ["c"]])
    0.25
    """
    check_pairs(predictions, targets)
    total = sum(len(target) for target in targets)
    if not total:
        raise UserError("targets must not all be empty: an error rate is relative to their length")
    return sum(map(edit_distance, predictions, targets)) / total


def word_error_rate(predictions: Sequence[str], targets: Sequence[str]) -> float:
    """Return the word error rate (WER): `error_rate` of words, split at white space.

    >>> word_error_rate(["the cat sat"], ["the cat sat down"])
    0.25
    """
    check_pairs(predictions, targets)
    return error_rate([text.split() for text in predictions], [text.split() for text in targets])


def character_error_rate(predictions: Sequence[str], targets: Sequence[str]) -> float:
    """Return the character error rate (CER): `error_rate` of characters, including spaces."""
    return error_rate(predictions, targets)


def exact_match(predictions: Sequence[Any], targets: Sequence[Any]) -> float:
    """Return the share of predictions that equal their target.

    >>> exact_match(["one", "two"], ["one", "too"])
    0.5
    """
    check_pairs(predictions, targets)
    return sum(p == t for p, t in zip(predictions, targets, strict=True)) / len(targets)


def bleu(predictions: Sequence[str], targets: Sequence[str], *, order: int = 4, tokenize: bool = True) -> float:
    """Return BLEU of a corpus, from 0 to 100: the precision of n-grams, with a penalty for short predictions.

        BLEU = 100 · min(1, e^(1 - r/c)) · (Π_n p_n)^(1/order)        p_n: clipped matches / n-grams, over the whole corpus
                                                                      c, r: tokens of the predictions, of the references

    The numbers are those of sacrebleu with its defaults: one reference each, tokenization of mteval-v13a (`tokenize=False`: at
    white space), case-sensitive, and the smoothing of NIST: n-gram sizes without a match count 1/2, 1/4, ... of a match.
    Source: Papineni et al. 2002; Post 2018, arXiv:1804.08771; smoothing: Chen and Cherry 2014, method 3.

    >>> print(f"{bleu(['the cat sat on the mat'], ['the cat sat on a mat']):.2f}")  # 5/6, 3/5, 2/4, 1/3
    53.73
    """
    check_count("order", order)
    check_pairs(predictions, targets)
    matches, totals, c, r = np.zeros(order), np.zeros(order), 0, 0
    split = tokens_13a if tokenize else str.split
    for prediction, target in zip(predictions, targets, strict=True):
        p, t = split(prediction), split(target)
        c, r = c + len(p), r + len(t)
        for n in range(1, order + 1):
            ours, theirs = _ngrams(p, n), _ngrams(t, n)
            matches[n - 1] += (ours & theirs).total()
            totals[n - 1] += ours.total()
    if not matches.any():
        return 0.0
    logs, missed = 0.0, 0
    for match, total in zip(matches, totals, strict=True):
        if not total:  # every prediction is shorter than n
            return 0.0
        missed += match == 0
        logs += math.log((match or 0.5**missed) / total)
    return 100 * math.exp(min(0.0, 1 - r / c) + logs / order)


def tokens_13a(text: str) -> list[str]:
    """Tokenize as mteval-v13a: punctuation is separate, except points and commas within numbers.

    >>> tokens_13a("Well, 1,000.5 of them (all) cost $3-4.")
    ['Well', ',', '1,000.5', 'of', 'them', '(', 'all', ')', 'cost', '$', '3', '-', '4', '.']
    """
    text = text.replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    for entity, character in (("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">")):
        text = text.replace(entity, character)
    text = APART.sub(r" \1 ", f" {text} ")
    text = re.sub(r"([^0-9])([.,])", r"\1 \2 ", text)
    text = re.sub(r"([.,])([^0-9])", r" \1 \2", text)
    return re.sub(r"([0-9])(-)", r"\1 \2 ", text).split()


def check_pairs(predictions: Sequence[Any], targets: Sequence[Any]) -> None:
    """`UserError` unless there are as many predictions as targets, at least one."""
    if len(predictions) != len(targets) or not len(targets):
        raise UserError(
            f"there must be one prediction for each target, got {len(predictions)} for {len(targets)} targets"
        )
    if isinstance(predictions, str) or isinstance(targets, str):
        raise UserError("predictions and targets must be lists of strings, got one string")


def _ngrams(tokens: list[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(tokens[i:] for i in range(n)), strict=False))
