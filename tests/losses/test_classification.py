"""Classification losses: how they relate to each other, what they refuse, and the ONNX cases."""

import importlib

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxdl import losses as L
from jaxdl.losses import classification as C
from jaxdl.types import UserError
from tests.programs import one_program

RANDOM = np.random.default_rng(0)
X = 3 * RANDOM.normal(size=(5, 4)).astype("f4")
Y = np.array([0, 3, 1, 2, 2])
YES = np.float32([[1, 0, 0, 1]] * 5)
ONE_HOT = np.eye(4, dtype="f4")[Y]


def test_integers_and_one_hot_rows_agree_in_every_loss_that_takes_both():
    losses = (C.cross_entropy, C.focal_loss, C.poly_cross_entropy)
    weights = np.float32([1, 2, 3, 4])

    def both(x):
        pairs = [(loss(x, Y), loss(x, ONE_HOT)) for loss in losses]
        pairs += [(C.cross_entropy(x, Y), C.cross_entropy(x, ONE_HOT.astype(int)))]
        return [*pairs, (C.class_weight(Y, weights), C.class_weight(ONE_HOT, weights))]

    *pairs, classes = one_program(both, X)
    for integers, rows in pairs:
        np.testing.assert_allclose(integers, rows, rtol=2e-6)
    np.testing.assert_allclose(classes[0], weights[Y])
    np.testing.assert_allclose(*classes)


def test_focal_is_cross_entropy_when_nothing_fades():
    def everything(x):
        cross, yes = C.cross_entropy(x, Y), C.binary_cross_entropy(x, YES)
        return [
            (C.focal_loss(x, Y, gamma=0.0), cross),
            (C.sigmoid_focal_loss(x, YES, gamma=0.0, alpha=None), yes),
            (C.poly_cross_entropy(x, Y, epsilon=0.0), cross),
        ], C.kl_divergence(x, jax.nn.softmax(x))

    pairs, divergence = one_program(everything, X)
    for faded, plain in pairs:
        np.testing.assert_allclose(faded, plain, rtol=1e-6)
    np.testing.assert_allclose(divergence, 0, atol=1e-6)


def test_optax_agrees_where_it_has_the_loss():
    def everything(x):
        return (
            C.cross_entropy(x, ONE_HOT, smoothing=0.1),
            optax.softmax_cross_entropy(x, optax.smooth_labels(ONE_HOT, 0.1)),
            C.sigmoid_focal_loss(x, YES),
            optax.sigmoid_focal_loss(x, YES, alpha=0.25, gamma=2.0),
        )

    smooth, smooth_optax, focal, focal_optax = one_program(everything, X)
    np.testing.assert_allclose(smooth, smooth_optax, rtol=2e-6)
    np.testing.assert_allclose(focal, focal_optax, rtol=1e-5, atol=1e-7)


def test_two_classes_are_a_binary_answer():
    def everything(x):
        two = jnp.stack([jnp.zeros(5), x[:, 0]], axis=1)
        return (
            (C.cross_entropy(two, Y % 2), C.binary_cross_entropy(x[:, 0], Y % 2)),
            (C.binary_cross_entropy_from_probabilities(jax.nn.sigmoid(x), YES), C.binary_cross_entropy(x, YES)),
            (C.binary_cross_entropy(x, YES, smoothing=0.2), C.binary_cross_entropy(x, 0.8 * YES + 0.1)),
        )

    of_two, from_probabilities, smooth = one_program(everything, X)
    # atol: the softmax rounds 1 + exp(-7), of which the smallest of these losses is the logarithm
    np.testing.assert_allclose(*of_two, rtol=2e-6, atol=1.2e-7)
    np.testing.assert_allclose(*from_probabilities, rtol=1e-4)
    np.testing.assert_allclose(*smooth, rtol=1e-6)


def test_probabilities_of_exactly_zero_and_one_stay_finite():
    p, y = np.float32([0, 1, 0, 1]), np.array([0, 1, 1, 0])
    value, gradient = one_program(
        jax.value_and_grad(lambda p: C.binary_cross_entropy_from_probabilities(p, y).sum()), p
    )
    np.testing.assert_allclose(value, 200)
    assert np.isfinite(gradient).all()


def test_an_ignored_label_has_neither_loss_nor_gradient_nor_weight():
    labels = np.where(np.arange(5) == 1, -100, Y)

    def everything(x):
        losses = [
            (f(x, labels), jax.grad(lambda x, f=f: f(x, labels).sum())(x)) for f in (C.cross_entropy, C.focal_loss)
        ]
        weight = C.class_weight(labels, np.full(4, 2, "f4"))
        return losses, C.cross_entropy(x, labels - 7, ignore=-107), C.valid_labels(labels), weight

    losses, renamed, valid, weight = one_program(everything, X)
    for values, gradient in losses:
        assert values[1] == 0
        np.testing.assert_array_equal(np.abs(gradient).sum(1) > 0, [True, False, True, True, True])
    assert renamed[1] == 0
    assert valid.tolist() == [1, 0, 1, 1, 1]
    assert weight.tolist() == [2, 0, 2, 2, 2]


def test_a_class_masked_by_minus_infinity_costs_nothing():
    masked, labels = X.copy(), np.array([0, 1, 2, 0, 1])
    masked[:, 3] = -np.inf

    def everything(x):
        return [
            (jax.value_and_grad(lambda x, loss=loss, y=y: loss(x, y).sum())(x), loss(x[:, :3], labels).sum())
            for loss in (C.cross_entropy, C.focal_loss)
            for y in (labels, np.eye(4, dtype="f4")[labels])
        ]

    for (value, gradient), without in one_program(everything, masked):
        np.testing.assert_allclose(value, without, rtol=1e-6)
        assert np.isfinite(gradient).all()


def test_the_focal_bias_says_yes_with_the_given_probability():
    np.testing.assert_allclose(1 / (1 + np.exp(-one_program(C.focal_bias, 0.03))), 0.03, rtol=1e-6)


def test_dice_of_equal_and_of_disjoint_regions():
    region = np.float32([[1, 1, 0, 0]])
    equal, disjoint = one_program(lambda r: (L.dice(r, r), L.dice(r, 1 - r, smooth=0.0)), region)
    np.testing.assert_allclose(equal, 0)
    np.testing.assert_allclose(disjoint, 1)


def test_softmax_dice_is_the_mean_of_dice_over_classes():
    """By hand in float64, for each example, without ignored pixels; NaN where a label is no class."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(4, 3, 5, 3)).astype("f4"), rng.integers(0, 3, (4, 3, 5))
    y[1, 0], y[3, 2, 2] = -100, 3
    found, gradient, ones = one_program(
        lambda x, y: (
            L.softmax_dice(x, y, smooth=0.5),
            jax.grad(lambda x: L.softmax_dice(x, y, smooth=0.5)[:3].sum())(x),
            jnp.stack([L.dice(jax.nn.softmax(x[:1])[..., c], (y[:1] == c).astype("f4"), smooth=0.5) for c in range(3)]),
        ),
        x,
        y,
    )
    p = np.exp(np.float64(x)) / np.exp(np.float64(x)).sum(-1, keepdims=True)
    for value, q, t in zip(found[:3], p, y, strict=False):
        q, t = q[t >= 0], np.eye(3)[t[t >= 0]]
        overlap = (2 * (q * t).sum(0) + 0.5) / (q.sum(0) + t.sum(0) + 0.5)
        np.testing.assert_allclose(value, 1 - overlap.mean(), rtol=1e-6)
    np.testing.assert_allclose(found[0], ones.mean(), rtol=1e-6)
    assert np.isnan(found[3])
    np.testing.assert_array_equal(gradient[1, 0], 0)
    assert (gradient[1, 1:] != 0).all()
    with pytest.raises(UserError, match=r"\(4, 3, 5\).*\(4, 3\)"):
        jax.eval_shape(L.softmax_dice, x, np.zeros((4, 3), int))


@pytest.mark.parametrize(
    ("labels", "values"),
    [
        (np.zeros(5, "f4"), r"\(5, 4\).*float32 \(5,\)"),
        (np.zeros((5, 3)), r"\(5, 4\).*\(5, 3\)"),
        (np.zeros((5, 4, 1), int), r"\(5, 4\).*\(5, 4, 1\)"),
    ],
)
def test_labels_of_another_kind_are_refused(labels, values):
    with pytest.raises(UserError, match=values):
        jax.eval_shape(lambda x: C.cross_entropy(x, labels), X)


def test_weights_of_another_length_are_refused():
    with pytest.raises(UserError, match=r"weights.*\(4,\).*\(3,\)"):
        jax.eval_shape(lambda x: C.cross_entropy(x, Y, weights=np.ones(3)), X)


@pytest.mark.parametrize("bad", [-0.1, 1.5, True, "0.1", float("nan"), float("inf"), np.float32(2)])
@pytest.mark.parametrize("loss", [L.cross_entropy, L.label_smoothed_nll, L.binary_cross_entropy])
def test_smoothing_is_a_share(loss, bad):
    labels = YES if loss is L.binary_cross_entropy else Y
    with pytest.raises(UserError, match=r"^smoothing = .*from 0 to 1"):
        jax.eval_shape(lambda x: loss(x, labels, smoothing=bad), X)


def onnx_cases():
    """(name, inputs, expected output, reduction, ignored label) of ONNX's cases of the operator, up to three axes."""
    helper = pytest.importorskip("onnx").helper
    suite = importlib.import_module("onnx.backend.test.case.node")
    importlib.import_module("onnx.backend.test.case.node.softmax_cross_entropy_loss")  # which registers its cases
    for case in suite._NodeTestCases:
        node = case.model.graph.node[0]
        if len(case.model.graph.node) > 1 or node.op_type != "SoftmaxCrossEntropyLoss":
            continue
        settings = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        (inputs, outputs), *_ = case.data_sets
        if inputs[0].ndim <= 3:  # more spatial axes check nothing new
            yield case.name, inputs, outputs[0], settings.get("reduction", b"mean"), settings.get("ignore_index", -100)


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")  # of onnx, while it builds its cases
def test_matches_the_onnx_cases_of_softmax_cross_entropy():
    cases = list(onnx_cases())
    assert len(cases) >= 10

    def ours(inputs, reduction, ignore):
        logits, labels, *weights = inputs
        weights = weights[0] if weights else None
        values = C.cross_entropy(jnp.moveaxis(logits, 1, -1), labels, weights=weights, ignore=ignore)
        divisor = (
            C.valid_labels(labels, ignore=ignore) if weights is None else C.class_weight(labels, weights, ignore=ignore)
        )
        return {b"none": values, b"sum": values.sum(), b"mean": values.sum() / divisor.sum()}[reduction]

    got = one_program(
        lambda all: [ours(x, *case[3:]) for x, case in zip(all, cases, strict=True)], [c[1] for c in cases]
    )
    for value, (name, _, expected, *_) in zip(got, cases, strict=True):
        np.testing.assert_allclose(value, expected, rtol=2e-6, err_msg=name)
