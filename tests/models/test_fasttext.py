"""FastText: FNV-1a by hand, the mean over n-grams by hand; padding is never read."""

from functools import partial

import jax
import numpy as np

from jaxdl.models.fasttext import FastText, hashed_ngrams
from tests.programs import one_program

TOKENS = np.array([[1, 5, 2, 7, 3, 6, 4], [4, 4, 6, 0, 0, 0, 0]])
MODEL = FastText(classes=3, buckets=1 << 12, width=4, sizes=(1, 2, 3), pad=0)


def bucket(gram, buckets):
    """FNV-1a (Fowler, Noll, Vo) of whole tokens, folded once, in Python's integers."""
    h = 2166136261 ^ len(gram)
    for token in gram:
        h = (h ^ (int(token) + 1)) * 16777619 % 2**32
    return (h ^ (h >> 15)) % buckets


def test_the_hash_is_fnv_1a():
    found = one_program(partial(hashed_ngrams, n=3, buckets=1 << 12), TOKENS)
    for row, tokens in enumerate(TOKENS):
        assert found[row, :5].tolist() == [bucket(tokens[i : i + 3], 1 << 12) for i in range(5)]


def test_it_is_a_linear_classifier_of_the_mean_over_ngrams_and_does_not_read_padding():
    shapes = jax.eval_shape(partial(MODEL.init, train=False), jax.random.key(0), TOKENS)
    random = np.random.default_rng(0)
    variables = jax.tree.map(lambda s: random.normal(0, 0.5, s.shape).astype(s.dtype), shapes)

    def run(variables, tokens, lengths):
        by_length = MODEL.clone(pad=None).apply(variables, tokens, lengths, train=False)
        return MODEL.apply(variables, tokens, train=False), by_length

    y, by_length = one_program(run, variables, TOKENS, np.array([7, 3]))
    table, head = variables["params"]["embedding"], variables["params"]["head"]
    for row, text in enumerate((TOKENS[0], TOKENS[1][:3])):
        grams = [text[i : i + n] for n in (1, 2, 3) for i in range(len(text) - n + 1)]
        mean = np.mean([table[bucket(gram, 1 << 12)] for gram in grams], 0)
        np.testing.assert_allclose(y[row], mean @ head["kernel"] + head["bias"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(by_length, y, rtol=1e-5, atol=1e-5)
