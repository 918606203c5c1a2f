"""Sequence losses: CTC by enumeration, impossible transcripts, padding; smoothing in its two forms."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.losses import cross_entropy, ctc, label_smoothed_nll, per_sequence
from tests.programs import one_program


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("f4")


def collapse(path):
    return tuple(symbol for symbol, _ in itertools.groupby(path) if symbol != 0)


def test_ctc_is_the_sum_over_all_alignments():
    logits = normal(1, 4, 3)
    p = np.exp(logits[0]) / np.exp(logits[0]).sum(-1, keepdims=True)
    labels = ((1,), (1, 2), (1, 1), (2, 1, 2), ())
    padded = np.array([label + (0,) * (3 - len(label)) for label in labels])
    got = one_program(
        lambda x, y, lengths: ctc(jnp.broadcast_to(x, (5, 4, 3)), y, label_lengths=lengths),
        logits,
        padded,
        np.array([len(label) for label in labels]),
    )
    for value, label in zip(got, labels, strict=True):
        paths = [q for q in itertools.product(range(3), repeat=4) if collapse(q) == label]
        expected = -np.log(sum(np.prod([p[t, s] for t, s in enumerate(path)]) for path in paths))
        np.testing.assert_allclose(value, expected, rtol=1e-5)


def test_an_impossible_transcript_is_infinite_or_zero_and_gives_no_gradient():
    logits, labels = normal(2, 2, 3), np.array([[1, 1], [1, 2]])
    zero = lambda x, y: ctc(x, y, zero_infinity=True)
    plain, zeroed, gradient = one_program(
        lambda x, y: (ctc(x, y), zero(x, y), jax.grad(lambda x: zero(x, y).sum())(x)), logits, labels
    )
    assert plain[0] == np.inf
    assert np.isfinite(plain[1])
    assert zeroed[0] == 0
    np.testing.assert_array_equal(gradient[0], 0)
    assert np.abs(gradient[1]).max() > 0


def test_ctc_is_exact_for_large_logits_and_blind_to_padding():
    certain = np.float32(2e5) * np.eye(3, dtype="f4")[np.zeros((1, 6), int)]  # of the blank, but the label is 1, 2
    x = normal(1, 6, 3, seed=1)
    long = np.concatenate([x, np.full((1, 3, 3), 7.0, "f4")], axis=1)
    wanted, more = np.array([[1, 2]]), np.array([[1, 2, 1, 1]])
    large, padded, plain = one_program(
        lambda certain, x, long: (
            ctc(certain, wanted),
            ctc(long, more, logit_lengths=jnp.array([6]), label_lengths=jnp.array([2])),
            ctc(x, wanted),
        ),
        certain,
        x,
        long,
    )
    np.testing.assert_allclose(large, 4e5, rtol=1e-5)  # two frames against their certainty
    np.testing.assert_allclose(padded, plain, rtol=1e-6)


def test_smoothing_over_the_other_tokens_against_smoothing_over_all():
    x, y = normal(2, 3, 5), np.array([[1, 2, 0], [4, 0, 0]])
    target = (0.1 / 4 + (0.9 - 0.1 / 4) * np.eye(5)[y]).astype("f4")  # 0.9 on the truth, the rest equal
    plain, soft, masked, sequences = one_program(
        lambda x, y, target: (
            label_smoothed_nll(x, y),
            cross_entropy(x, target),
            label_smoothed_nll(x, y, mask=y != 0),
            per_sequence(label_smoothed_nll(x, y, mask=y != 0), y != 0),
        ),
        x,
        y,
        target,
    )
    np.testing.assert_allclose(plain, soft, rtol=1e-5)
    np.testing.assert_array_equal(masked == 0, y == 0)
    np.testing.assert_allclose(sequences, [masked[0, :2].mean(), masked[1, 0]], rtol=1e-6)
