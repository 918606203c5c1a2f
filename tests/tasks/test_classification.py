"""Classification: the weighted mean of PyTorch, soft and ignored labels, padding, and what is refused."""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.losses.classification import focal_loss
from jaxdl.tasks.classification import BinaryClassification, Classification
from tests.programs import one_program
from tests.tasks.given import Given

CLASS_WEIGHTS = (0.5, 1.0, 2.0, 4.0)


class TwoHeads(Given):
    """An auxiliary head that gives half of the logits."""

    @nn.compact
    def __call__(self, x, *, train, features=False):
        return (x, {"aux1": x / 2}) if features else x


RANDOM = np.random.default_rng(0)
X, Y = RANDOM.normal(size=(9, 4)).astype(np.float32) * 2, RANDOM.integers(0, 4, 9).astype(np.int32)
TARGET = np.where(np.isin(np.arange(9), [1, 4, 5]), -100, Y)
SEVEN = np.float32(np.arange(9) < 7)
ONE_HOT = np.eye(4, dtype=np.float32)[Y]
SOFT = np.random.default_rng(1).dirichlet(np.ones(4), 9).astype(np.float32)
ONE = np.random.default_rng(3).normal(size=(12, 1)).astype(np.float32)
BITS = np.int32(np.random.default_rng(4).uniform(size=12) > 0.4)
SOFT_BITS = np.float32(np.clip(BITS, 0.1, 0.9))
KEPT = np.array([1, 0, -100, 1, 0, 0, -100, 1, 1, 0, 1, 0], np.int32)
WEIGHTS = {"plain": None, "weighted": CLASS_WEIGHTS}
KINDS = {"integers": (Y, None), "ignored": (TARGET, None), "padded": (Y, np.float32(TARGET >= 0))}

PLAIN, BINARY = Classification(Given(4)), BinaryClassification(Given(1))
AUXILIARY = Classification(TwoHeads(4), auxiliary={"aux1": 0.4})
PENALISED = Classification(Given(4), penalty=lambda params: jnp.float32(10))
WEIGHTED_BITS = BinaryClassification(Given(1), class_weights=(1.0, 3.0))
# name -> (task, logits, labels, mask, training?)
CASES = {
    "main": (PLAIN, X, Y, SEVEN, False),
    "half": (PLAIN, X / 2, Y, SEVEN, False),
    "auxiliary": (AUXILIARY, X, Y, SEVEN, False),
    "auxiliary trained": (AUXILIARY, X, Y, SEVEN, True),
    "soft": (PLAIN, X, SOFT, None, False),
    "focal": (Classification(Given(4), loss=focal_loss), X, Y, None, False),
    "penalised": (PENALISED, X, Y, None, False),
    "penalised trained": (PENALISED, X, Y, None, True),
    "nothing": (PLAIN, X, Y, np.zeros(9, np.float32), True),
    "binary": (BINARY, ONE, BITS, None, False),
    "binary soft": (BINARY, ONE, SOFT_BITS, None, False),
    "binary weighted": (WEIGHTED_BITS, ONE, BITS, None, False),
    "binary soft weighted": (WEIGHTED_BITS, ONE, SOFT_BITS, None, False),
    "binary ignored": (BINARY, ONE, KEPT, None, False),
    "gradient": (Classification(Given(4), class_weights=CLASS_WEIGHTS), X, TARGET, None, True),
}
SLOPES = ("nothing", "gradient")
for name, weights in WEIGHTS.items():
    task = Classification(Given(4), class_weights=weights)
    CASES |= {f"{name} {kind}": (task, X, y, mask, False) for kind, (y, mask) in KINDS.items()}
    CASES |= {f"{name} one-hot": (task, X, ONE_HOT, None, False)}


def run(task, x, y, mask, train):
    batch = {"x": x, "y": y, "mask": jnp.ones(len(x)) if mask is None else mask}
    loss, (_, metrics) = task.objective({}, {}, batch, jax.random.key(0), jnp.int32(0), train=train)
    return loss, {name: total / weight for name, (total, weight) in metrics.items()}


@pytest.fixture(scope="module")
def found():
    """Loss, metrics and, of two, the loss's gradient, in one program: name -> (loss, metrics, gradient)."""

    def every(inputs):
        out = {}
        for name, (task, *_, train) in CASES.items():
            one = lambda x, y, mask, task=task, train=train: run(task, x, y, mask, train)
            slope = jax.grad(lambda *case, one=one: one(*case)[0])(*inputs[name]) if name in SLOPES else None
            out[name] = (*one(*inputs[name]), slope)
        return out

    return one_program(every, {name: inputs for name, (_, *inputs, _) in CASES.items()})


def cross_entropy(x, y, weights=None):
    """PyTorch's: the weighted mean over labels that are not -100, in double precision; test_pytorch_agrees says so."""
    log_p = np.float64(x) - np.log(np.exp(np.float64(x)).sum(1, keepdims=True))
    if y.ndim == 2:
        return -(y * log_p).sum(1).mean()
    kept = np.flatnonzero(y >= 0)
    w = np.ones(len(kept)) if weights is None else np.array(weights)[y[kept]]
    return -(w * log_p[kept, y[kept]]).sum() / w.sum()


def binary_cross_entropy(x, y, weights=(1.0, 1.0)):
    p = 1 / (1 + np.exp(-np.float64(x)))
    w = weights[0] + (weights[1] - weights[0]) * y
    return -(w * (y * np.log(p) + (1 - y) * np.log(1 - p))).sum() / w.sum()


@pytest.mark.parity
def test_pytorch_agrees(found):
    """Its loss and gradients, of every kind of label, beside ours and beside the formulas above."""
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    for name, weights in WEIGHTS.items():
        for kind in KINDS:
            w = None if weights is None else torch.tensor(weights)
            target = Y if kind == "integers" else TARGET
            theirs = float(functional.cross_entropy(torch.tensor(X), torch.tensor(target).long(), weight=w))
            assert theirs == pytest.approx(cross_entropy(X, target, weights), rel=1e-6)
            assert found[f"{name} {kind}"][0] == pytest.approx(theirs, rel=1e-6)
    theirs = functional.cross_entropy(torch.tensor(X), torch.tensor(SOFT))
    assert found["soft"][0] == pytest.approx(float(theirs), rel=1e-6)
    leaf = torch.tensor(X, requires_grad=True)
    functional.cross_entropy(leaf, torch.tensor(TARGET).long(), weight=torch.tensor(CLASS_WEIGHTS)).backward()
    np.testing.assert_allclose(found["gradient"][2], leaf.grad, rtol=1e-5, atol=1e-8)
    for name, labels in {"binary": BITS, "binary soft": SOFT_BITS}.items():
        theirs = functional.binary_cross_entropy_with_logits(torch.tensor(ONE[:, 0]), torch.tensor(labels).float())
        assert found[name][0] == pytest.approx(float(theirs), rel=1e-6)
        assert float(theirs) == pytest.approx(binary_cross_entropy(ONE[:, 0], labels), rel=1e-6)


def test_auxiliary_heads_count_in_training_only(found):
    main, half, trained = (found[name][0] for name in ("main", "half", "auxiliary trained"))
    np.testing.assert_allclose(trained, main + 0.4 * half, rtol=1e-6)
    loss = found["auxiliary trained"][1]["loss"]
    np.testing.assert_allclose(loss, main, rtol=1e-6)  # the log shows that of the network itself
    np.testing.assert_allclose(found["auxiliary"][0], main, rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weights", WEIGHTS)
def test_the_mean_is_weighted_as_pytorchs(weights, kind, found):
    target = Y if kind == "integers" else TARGET
    wanted = cross_entropy(X, target, WEIGHTS[weights])
    loss, metrics, _ = found[f"{weights} {kind}"]
    assert loss == pytest.approx(wanted, rel=1e-6)
    assert metrics["loss"] == pytest.approx(wanted, rel=1e-6)
    assert metrics["accuracy"] == pytest.approx((X.argmax(1) == target)[target >= 0].mean(), rel=1e-6)


def test_the_gradient_is_that_of_the_formula(found):
    """(softmax - one-hot) times the share of the example's weight; nothing where the label is ignored."""
    kept = TARGET >= 0
    p = np.exp(np.float64(X)) / np.exp(np.float64(X)).sum(1, keepdims=True)
    w = np.where(kept, np.array(CLASS_WEIGHTS)[Y], 0)
    np.testing.assert_allclose(found["gradient"][2], (p - ONE_HOT) * (w / w.sum())[:, None], rtol=1e-5, atol=1e-8)


def test_soft_labels_of_one_class_are_the_class(found):
    for weights in WEIGHTS:
        (hard, numbers, _), (soft, soft_numbers, _) = found[f"{weights} integers"], found[f"{weights} one-hot"]
        assert soft == pytest.approx(float(hard), rel=1e-6)
        chex.assert_trees_all_close(soft_numbers, numbers, rtol=1e-6)


def test_soft_labels(found):
    assert found["soft"][0] == pytest.approx(cross_entropy(X, SOFT), rel=1e-6)


def test_any_loss_of_one_value_per_example(found):
    """The focal loss is (1 - p)² times the cross-entropy."""
    log_p = (np.float64(X) - np.log(np.exp(np.float64(X)).sum(1, keepdims=True)))[np.arange(9), Y]
    assert found["focal"][0] == pytest.approx(-((1 - np.exp(log_p)) ** 2 * log_p).mean(), rel=1e-6)


def test_penalty_counts_in_training_only(found):
    trained, evaluated = found["penalised trained"], found["penalised"]
    assert trained[0] == pytest.approx(evaluated[0] + 10, rel=1e-6)
    assert trained[1]["loss"] == pytest.approx(float(evaluated[0]), rel=1e-6)


def test_nothing_that_counts_is_zero_not_nan(found):
    loss, _, gradient = found["nothing"]
    assert loss == 0
    assert not gradient.any()


@pytest.mark.parametrize(("name", "labels"), [("binary", BITS), ("binary soft", SOFT_BITS)])
def test_binary(name, labels, found):
    """One logit; accuracy and class weights too (labels and logits have one rank there)."""
    loss, metrics, _ = found[name]
    assert loss == pytest.approx(binary_cross_entropy(ONE[:, 0], labels), rel=1e-6)
    assert metrics["accuracy"] == pytest.approx(((ONE[:, 0] > 0) == BITS).mean(), rel=1e-6)
    assert found[f"{name} weighted"][0] == pytest.approx(binary_cross_entropy(ONE[:, 0], labels, (1, 3)), rel=1e-6)


def test_binary_ignores_labels(found):
    loss, metrics, _ = found["binary ignored"]
    keep = KEPT >= 0
    assert loss == pytest.approx(binary_cross_entropy(ONE[keep, 0], KEPT[keep]), rel=1e-6)
    assert metrics["accuracy"] == pytest.approx(((ONE[:, 0] > 0) == KEPT)[keep].mean(), rel=1e-6)


def test_predict_and_report():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 4)).astype(np.float32) * 2, rng.integers(0, 4, 40).astype(np.int32)
    out = one_program(lambda x: PLAIN.predict({}, {}, {"x": x}, jax.random.key(0)), x)
    np.testing.assert_array_equal(out["label"], x.argmax(-1))
    np.testing.assert_allclose(out["probability"].sum(-1), 1, rtol=1e-6)
    report = PLAIN.report(out, y)
    assert report["accuracy"] == (x.argmax(-1) == y).mean()
    assert report["confusion_matrix"].counts.sum() == 40
    half = y.copy()
    half[::2] = -100
    assert PLAIN.report(out, half)["examples"] == 20
    assert PLAIN.report(out, np.eye(4)[y])["accuracy"] == report["accuracy"]


def test_binary_predicts_two_probabilities():
    out = one_program(lambda x: BINARY.predict({}, {}, {"x": x}, jax.random.key(0)), np.float32([[0.0], [2.0]]))
    np.testing.assert_allclose(out["probability"][1], [1 - 0.880797, 0.880797], rtol=1e-5)
    assert out["label"].tolist() == [0, 1]


def test_views_are_averaged_in_evaluation_and_prediction_only():
    """Logits x, 2x and -4x with the weights ½, ¼ and ⅛ are x / 2: in training nothing of it."""
    views = lambda x: (np.array([0.5, 0.25, 0.125], np.float32), jnp.stack([x, 2 * x, -4 * x]))
    task, key = Classification(Given(4), views=views), jax.random.key(0)
    batch = {"x": X, "y": Y, "mask": SEVEN}

    def run(batch):
        losses = [task.objective({}, {}, batch, key, 0, train=train)[0] for train in (True, False)]
        half = PLAIN.objective({}, {}, batch | {"x": X / 2}, key, 0, train=False)[0]
        whole = PLAIN.objective({}, {}, batch, key, 0, train=False)[0]
        return losses, [whole, half], task.predict({}, {}, batch, key)["probability"], jax.nn.softmax(X / 2)

    ours, plain, probability, expected = one_program(run, batch)
    np.testing.assert_allclose(ours, plain, rtol=1e-6)
    np.testing.assert_allclose(probability, expected, rtol=1e-5)
