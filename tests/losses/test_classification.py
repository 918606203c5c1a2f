"""Classification losses: how they relate to each other, what they refuse, and the ONNX cases."""

import importlib

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxdl.losses import classification as C

X = jax.random.normal(jax.random.key(0), (5, 4)) * 3
Y = jnp.array([0, 3, 1, 2, 2])
YES = jnp.array([[1.0, 0, 0, 1]] * 5)
ONE_HOT = jax.nn.one_hot(Y, 4)


def test_integers_and_one_hot_rows_agree_in_every_loss_that_takes_both():
    for loss in (C.cross_entropy, C.focal_loss, C.poly_cross_entropy):
        np.testing.assert_allclose(loss(X, Y), loss(X, ONE_HOT), rtol=2e-6)
    np.testing.assert_allclose(C.cross_entropy(X, ONE_HOT.astype(int)), C.cross_entropy(X, Y), rtol=2e-6)
    weights = jnp.array([1.0, 2, 3, 4])
    np.testing.assert_allclose(C.class_weight(Y, weights), C.class_weight(ONE_HOT, weights))


def test_focal_is_cross_entropy_when_nothing_fades():
    np.testing.assert_allclose(C.focal_loss(X, Y, gamma=0.0), C.cross_entropy(X, Y), rtol=1e-6)
    plain = C.sigmoid_focal_loss(X, YES, gamma=0.0, alpha=None)
    np.testing.assert_allclose(plain, C.binary_cross_entropy(X, YES), rtol=1e-6)
    np.testing.assert_allclose(C.poly_cross_entropy(X, Y, epsilon=0.0), C.cross_entropy(X, Y), rtol=1e-6)
    np.testing.assert_allclose(C.kl_divergence(X, jax.nn.softmax(X)), 0, atol=1e-6)


def test_optax_agrees_where_it_has_the_loss():
    np.testing.assert_allclose(
        C.cross_entropy(X, ONE_HOT, smoothing=0.1),
        optax.softmax_cross_entropy(X, optax.smooth_labels(ONE_HOT, 0.1)),
        rtol=2e-6,
    )
    np.testing.assert_allclose(
        C.sigmoid_focal_loss(X, YES), optax.sigmoid_focal_loss(X, YES, alpha=0.25, gamma=2.0), rtol=1e-5, atol=1e-7
    )


def test_two_classes_are_a_binary_answer():
    two = jnp.stack([jnp.zeros(5), X[:, 0]], axis=1)
    np.testing.assert_allclose(C.cross_entropy(two, Y % 2), C.binary_cross_entropy(X[:, 0], Y % 2), rtol=2e-6)
    from_p = C.binary_cross_entropy_from_probabilities(jax.nn.sigmoid(X), YES)
    np.testing.assert_allclose(from_p, C.binary_cross_entropy(X, YES), rtol=1e-4)
    smooth = C.binary_cross_entropy(X, YES, smoothing=0.2)
    np.testing.assert_allclose(smooth, C.binary_cross_entropy(X, 0.8 * YES + 0.1), rtol=1e-6)


def test_probabilities_of_exactly_zero_and_one_stay_finite():
    p, y = jnp.array([0.0, 1.0, 0.0, 1.0]), jnp.array([0, 1, 1, 0])
    value, gradient = jax.value_and_grad(lambda p: C.binary_cross_entropy_from_probabilities(p, y).sum())(p)
    np.testing.assert_allclose(value, 200)
    assert np.isfinite(gradient).all()


def test_an_ignored_label_has_neither_loss_nor_gradient_nor_weight():
    labels = Y.at[1].set(-100)
    for loss in (C.cross_entropy, C.focal_loss):
        assert loss(X, labels)[1] == 0
        gradient = jax.jit(jax.grad(lambda x, loss=loss: loss(x, labels).sum()))(X)
        np.testing.assert_array_equal(np.abs(gradient).sum(1) > 0, [True, False, True, True, True])
    assert C.cross_entropy(X, labels - 7, ignore=-107)[1] == 0
    assert C.valid_labels(labels).tolist() == [1, 0, 1, 1, 1]
    assert C.class_weight(labels, jnp.ones(4) * 2).tolist() == [2, 0, 2, 2, 2]


def test_a_class_masked_by_minus_infinity_costs_nothing():
    masked = X.at[:, 3].set(-jnp.inf)
    labels = jnp.array([0, 1, 2, 0, 1])
    for loss in (C.cross_entropy, C.focal_loss):
        for y in (labels, jax.nn.one_hot(labels, 4)):
            value, gradient = jax.value_and_grad(lambda x, loss=loss, y=y: loss(x, y).sum())(masked)
            np.testing.assert_allclose(value, loss(X[:, :3], labels).sum(), rtol=1e-6)
            assert np.isfinite(gradient).all()


def test_the_focal_bias_says_yes_with_the_given_probability():
    np.testing.assert_allclose(jax.nn.sigmoid(C.focal_bias(0.03)), 0.03, rtol=1e-6)


def test_dice_of_equal_and_of_disjoint_regions():
    region = jnp.array([[1.0, 1, 0, 0]])
    np.testing.assert_allclose(C.dice(region, region), 0)
    np.testing.assert_allclose(C.dice(region, 1 - region, smooth=0.0), 1)


@pytest.mark.parametrize(
    ("labels", "message"),
    [(jnp.zeros(5), "float32"), (jnp.zeros((5, 3)), "distribution"), (jnp.zeros((5, 4, 1), int), "logits")],
)
def test_labels_of_another_kind_are_refused_by_name(labels, message):
    with pytest.raises(ValueError, match=message):
        C.cross_entropy(X, labels)


def test_weights_of_another_length_are_refused():
    with pytest.raises(ValueError, match="weights has shape"):
        C.cross_entropy(X, Y, weights=jnp.ones(3))


@pytest.mark.filterwarnings("ignore")  # of onnx, while it builds its cases
def test_matches_the_onnx_cases_of_softmax_cross_entropy():
    helper = pytest.importorskip("onnx").helper
    suite = importlib.import_module("onnx.backend.test.case.node")
    importlib.import_module("onnx.backend.test.case.node.softmax_cross_entropy_loss")  # which registers its cases
    checked = 0
    for case in suite._NodeTestCases:
        node = case.model.graph.node[0]
        if len(case.model.graph.node) > 1 or node.op_type != "SoftmaxCrossEntropyLoss":
            continue
        settings = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        reduction, ignore = settings.get("reduction", b"mean"), settings.get("ignore_index", -100)
        (inputs, outputs), *_ = case.data_sets
        if inputs[0].ndim > 3:  # more spatial axes check nothing new
            continue
        logits, labels = np.moveaxis(inputs[0], 1, -1), jnp.asarray(inputs[1])
        weights = jnp.asarray(inputs[2]) if len(inputs) > 2 else None
        values = C.cross_entropy(jnp.asarray(logits), labels, weights=weights, ignore=ignore)
        divisor = (
            C.valid_labels(labels, ignore=ignore) if weights is None else C.class_weight(labels, weights, ignore=ignore)
        )
        got = {b"none": values, b"sum": values.sum(), b"mean": values.sum() / divisor.sum()}[reduction]
        np.testing.assert_allclose(got, outputs[0], rtol=2e-6, err_msg=case.name)
        checked += 1
    assert checked >= 10
