"""Sequence losses: CTC by enumeration, impossible transcripts, padding; smoothing in its two forms."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.losses import cross_entropy, ctc, label_smoothed_nll, per_sequence


def collapse(path):
    return tuple(symbol for symbol, _ in itertools.groupby(path) if symbol != 0)


def test_ctc_is_the_sum_over_all_alignments():
    logits = jax.random.normal(jax.random.key(0), (1, 4, 3))
    p = np.asarray(jax.nn.softmax(logits[0]))
    for label in ((1,), (1, 2), (1, 1), (2, 1, 2)):
        paths = [q for q in itertools.product(range(3), repeat=4) if collapse(q) == label]
        expected = -np.log(sum(np.prod([p[t, s] for t, s in enumerate(path)]) for path in paths))
        np.testing.assert_allclose(ctc(logits, jnp.array([label]))[0], expected, rtol=1e-5)
    np.testing.assert_allclose(
        ctc(logits, jnp.zeros((1, 2), int), label_lengths=jnp.array([0]))[0], -np.log(p[:, 0]).sum(), rtol=1e-5
    )


def test_an_impossible_transcript_is_infinite_or_zero_and_gives_no_gradient():
    logits, labels = jax.random.normal(jax.random.key(0), (2, 2, 3)), jnp.array([[1, 1], [1, 2]])
    assert ctc(logits, labels)[0] == jnp.inf
    assert np.isfinite(ctc(logits, labels)[1])
    assert ctc(logits, labels, zero_infinity=True)[0] == 0
    gradient = jax.grad(lambda x: ctc(x, labels, zero_infinity=True).sum())(logits)
    np.testing.assert_array_equal(gradient[0], 0)
    assert np.abs(gradient[1]).max() > 0


def test_ctc_is_exact_for_large_logits_and_blind_to_padding():
    logits = 1e4 * jax.nn.one_hot(
        jnp.zeros((1, 6), int), 3
    )  # certain of the blank, but the label is 1, 2: log p = -2e4
    np.testing.assert_allclose(ctc(20 * logits, jnp.array([[1, 2]])), 4e5, rtol=1e-5)
    x = jax.random.normal(jax.random.key(1), (1, 6, 3))
    long = jnp.concatenate([x, jnp.full((1, 3, 3), 7.0)], axis=1)
    got = ctc(long, jnp.array([[1, 2, 1, 1]]), logit_lengths=jnp.array([6]), label_lengths=jnp.array([2]))
    np.testing.assert_allclose(got, ctc(x, jnp.array([[1, 2]])), rtol=1e-6)


def test_smoothing_over_the_other_tokens_against_smoothing_over_all():
    x, y = jax.random.normal(jax.random.key(0), (2, 3, 5)), jnp.array([[1, 2, 0], [4, 0, 0]])
    target = 0.1 / 4 * jnp.ones((2, 3, 5)) + (0.9 - 0.1 / 4) * jax.nn.one_hot(y, 5)  # 0.9 on the truth, the rest equal
    np.testing.assert_allclose(label_smoothed_nll(x, y), cross_entropy(x, target), rtol=1e-5)
    masked = label_smoothed_nll(x, y, mask=y != 0)
    np.testing.assert_array_equal(masked == 0, y == 0)
    expected = [masked[0, :2].mean(), masked[1, 0]]
    np.testing.assert_allclose(per_sequence(masked, y != 0), expected, rtol=1e-6)
