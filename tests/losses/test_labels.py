"""A label that does not exist has loss NaN in every loss; the ignored one has loss 0; the others do not notice."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl import losses as L
from tests.programs import one_program

SCORES = np.random.default_rng(0).uniform(-0.9, 0.9, (6, 3)).astype(np.float32)
LABELS = np.array([2, -1, 3, -100, 1, -4])
MISSING = [False, True, True, False, False, True]
OF_CLASSES = (
    L.cross_entropy,
    L.focal_loss,
    L.poly_cross_entropy,
    L.arcface,
    L.cosface,
    L.sphereface,
    L.combined_margin,
    L.label_smoothed_nll,
)


@pytest.fixture(scope="module")
def values():
    """Each loss of class numbers, with and without the rows that are wrong, from one program."""
    run = jax.jit(lambda x, y: {loss.__name__: loss(x, y) for loss in OF_CLASSES})
    right = np.where(MISSING, 0, LABELS)
    return jax.device_get(run(SCORES, LABELS)), jax.device_get(run(SCORES, right))


@pytest.mark.parametrize("name", [loss.__name__ for loss in OF_CLASSES])
def test_a_label_that_is_no_class_gives_nan(values, name):
    wrong, right = (found[name] for found in values)
    np.testing.assert_array_equal(np.isnan(wrong), MISSING)
    assert wrong[3] == 0
    np.testing.assert_array_equal(wrong[[0, 3, 4]], right[[0, 3, 4]])
    assert np.isfinite(right).all()


def test_small_integers_reach_every_class():
    """An int8 label beside 200 classes: -1 must not come back as a class."""
    logits = np.zeros((2, 200), np.float32)
    found = one_program(L.cross_entropy, logits, np.array([100, -1], np.int8))
    np.testing.assert_allclose(found, [np.log(200), np.nan], rtol=1e-6)


def test_class_weights():
    found = one_program(L.class_weight, LABELS, np.float32([1, 2, 5]))
    np.testing.assert_array_equal(found, [5, np.nan, np.nan, 0, 2, np.nan])


def test_answers_are_zero_or_one():
    """±1 for "yes" and "no" is another convention; as labels of these losses it has no lower bound."""
    answers, scores = np.array([1, -1, 0, 2]), np.float32([0.5, 0.5, 0.5, 0.5])

    @jax.jit
    def run(y):
        flat = [L.binary_cross_entropy, L.binary_cross_entropy_from_probabilities, L.sigmoid_focal_loss]
        pairs = [L.contrastive, L.contrastive_linear, lambda p, y: L.dice(p[:, None], y[:, None])]
        return [loss(scores, y) for loss in flat + pairs]

    floats = run(answers.clip(0, 1).astype(np.float32))
    for found, expected in zip(run(answers), floats, strict=True):
        np.testing.assert_array_equal(np.isnan(found), [False, True, False, True])
        np.testing.assert_array_equal(found[::2], expected[::2])


def test_a_symbol_that_does_not_exist_gives_nan():
    """Two frames of p = 1/3 each: one path of nine says 1 2, three say 1. What stands beyond the length counts nowhere."""
    labels = np.array([[1, 2], [1, 3], [-1, 1], [0, 1], [1, 7]])
    lengths = np.array([2, 2, 2, 2, 1])
    run = jax.jit(lambda y, n: L.ctc(jnp.zeros((5, 2, 3)), y, label_lengths=n, zero_infinity=True))
    np.testing.assert_allclose(run(labels, lengths), [np.log(9), np.nan, np.nan, np.nan, np.log(3)], rtol=1e-6)


def test_a_key_that_does_not_exist_gives_nan():
    found = one_program(lambda keys: L.info_nce(jnp.eye(3), jnp.eye(3), positives=keys), np.array([0, -1, 3]))
    np.testing.assert_array_equal(np.isnan(found), [False, True, True])


@pytest.mark.slow
@pytest.mark.programs(200, "operation by operation is the subject")
def test_labels_that_exist_make_no_nan_on_the_way():
    """`--debug-nans` runs a step operation by operation and stops at the first NaN, which must be one that does harm."""
    labels, weights = np.array([2, 0, 1, -100, 1, 2]), np.ones(3, np.float32)
    with jax.disable_jit(), jax.debug_nans(True):
        losses = [L.cross_entropy(SCORES, labels, weights=weights), L.binary_cross_entropy(SCORES[:, 0], labels > 0)]
        losses += [L.class_weight(labels, weights), L.ctc(SCORES[None], np.array([[1, 2]]))]
        assert all(np.isfinite(loss).all() for loss in losses)
        with pytest.raises(FloatingPointError):
            L.cross_entropy(SCORES, LABELS)
