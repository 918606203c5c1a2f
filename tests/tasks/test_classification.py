"""Classification: the weighted mean of PyTorch, soft and ignored labels, padding, and what is refused."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.losses.classification import focal_loss
from jaxdl.models.mlp import MLP
from jaxdl.tasks.classification import BinaryClassification, Classification

KEY = jax.random.key(0)


class Given(nn.Module):
    """The logits are the input: a network that is known."""

    classes: int

    @nn.compact
    def __call__(self, x, *, train):
        return x


def given(seed=0, n=9, classes=4):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, classes)).astype(np.float32) * 2, rng.integers(0, classes, n).astype(np.int32)


def numbers(task, x, y, mask=None, *, train=False):
    batch = {"x": jnp.asarray(x), "y": jnp.asarray(y), "mask": jnp.ones(len(x)) if mask is None else jnp.asarray(mask)}
    loss, (_, metrics) = jax.jit(lambda b: task.objective({}, {}, b, KEY, jnp.int32(0), train=train))(batch)
    return float(loss), {name: float(s / w) for name, (s, w) in metrics.items()}


class TwoHeads(Given):
    """An auxiliary head that gives half of the logits."""

    @nn.compact
    def __call__(self, x, *, train, features=False):
        return (x, {"aux1": x / 2}) if features else x


def test_auxiliary_heads_count_in_training_only():
    x, y = given()
    task, mask = Classification(TwoHeads(4), auxiliary={"aux1": 0.4}), np.arange(9) < 7
    main, half = (numbers(Classification(Given(4)), logits, y, mask)[0] for logits in (x, x / 2))
    loss, metrics = numbers(task, x, y, mask, train=True)
    np.testing.assert_allclose(loss, main + 0.4 * half, rtol=1e-6)
    np.testing.assert_allclose(metrics["loss"], main, rtol=1e-6)  # the log shows that of the network itself
    np.testing.assert_allclose(numbers(task, x, y, mask)[0], main, rtol=1e-6)


WEIGHTS = {"plain": None, "weighted": (0.5, 1.0, 2.0, 4.0)}
KINDS = ("integers", "ignored", "padded")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weights", WEIGHTS)
def test_mean_is_pytorchs(weights, kind):
    torch = pytest.importorskip("torch")
    x, y = given()
    mask = np.ones(len(y), np.float32)
    target = y.copy()
    if kind != "integers":
        target[[1, 4, 5]] = -100
    if kind == "ignored":
        y = target
    elif kind == "padded":
        mask = (target >= 0).astype(np.float32)
    w = None if WEIGHTS[weights] is None else torch.tensor(WEIGHTS[weights])
    theirs = torch.nn.functional.cross_entropy(torch.tensor(x), torch.tensor(target).long(), weight=w)
    task = Classification(Given(4), class_weights=WEIGHTS[weights])
    loss, metrics = numbers(task, x, y, mask)
    assert loss == pytest.approx(float(theirs), rel=1e-6)
    assert metrics["loss"] == pytest.approx(float(theirs), rel=1e-6)
    real = target >= 0
    assert metrics["accuracy"] == pytest.approx((x.argmax(1) == target)[real].mean(), rel=1e-6)


def test_gradient_is_pytorchs_too():
    torch = pytest.importorskip("torch")
    x, y = given()
    y[2] = -100
    weights = (0.5, 1.0, 2.0, 4.0)
    task = Classification(Given(4), class_weights=weights)
    batch = {"y": jnp.asarray(y), "mask": jnp.ones(len(y))}
    ours = jax.grad(lambda x: task.objective({}, {}, {**batch, "x": x}, KEY, jnp.int32(0), train=True)[0])(
        jnp.asarray(x)
    )
    leaf = torch.tensor(x, requires_grad=True)
    torch.nn.functional.cross_entropy(leaf, torch.tensor(y).long(), weight=torch.tensor(weights)).backward()
    np.testing.assert_allclose(ours, leaf.grad, rtol=1e-5, atol=1e-8)


def test_soft_labels_of_one_class_are_the_class():
    x, y = given()
    for weights in WEIGHTS.values():
        task = Classification(Given(4), class_weights=weights)
        hard, soft = numbers(task, x, y), numbers(task, x, np.eye(4, dtype=np.float32)[y])
        assert soft[0] == pytest.approx(hard[0], rel=1e-6)
        assert soft[1] == pytest.approx(hard[1], rel=1e-6)


def test_soft_labels_are_pytorchs():
    torch = pytest.importorskip("torch")
    x, _ = given()
    y = np.random.default_rng(1).dirichlet(np.ones(4), len(x)).astype(np.float32)
    theirs = torch.nn.functional.cross_entropy(torch.tensor(x), torch.tensor(y))
    assert numbers(Classification(Given(4)), x, y)[0] == pytest.approx(float(theirs), rel=1e-6)


def test_any_loss_of_one_value_per_example():
    x, y = given()
    loss, _ = numbers(Classification(Given(4), loss=focal_loss), x, y)
    assert loss == pytest.approx(float(focal_loss(jnp.asarray(x), jnp.asarray(y)).mean()), rel=1e-6)


def test_penalty_counts_in_training_only():
    x, y = given()
    task = Classification(Given(4), penalty=lambda params: jnp.float32(10))
    (train, metrics), (evaluation, _) = numbers(task, x, y, train=True), numbers(task, x, y)
    assert train == pytest.approx(evaluation + 10, rel=1e-6)
    assert metrics["loss"] == pytest.approx(evaluation, rel=1e-6)


def test_nothing_that_counts_is_zero_not_nan():
    x, y = given()
    loss, gradient = jax.value_and_grad(
        lambda x: Classification(Given(4)).objective(
            {}, {}, {"x": x, "y": jnp.asarray(y), "mask": jnp.zeros(len(y))}, KEY, jnp.int32(0), train=True
        )[0]
    )(jnp.asarray(x))
    assert loss == 0
    assert not np.asarray(gradient).any()


@pytest.mark.parametrize("soft", [False, True])
def test_binary(soft):
    """One logit; accuracy and class weights too (labels and logits have one rank there)."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(3)
    x = rng.normal(size=(12, 1)).astype(np.float32)
    y = (rng.uniform(size=12) > 0.4).astype(np.int32)
    labels = np.clip(y, 0.1, 0.9).astype(np.float32) if soft else y
    logits, target = torch.tensor(x[:, 0]), torch.tensor(labels).float()
    theirs = torch.nn.functional.binary_cross_entropy_with_logits(logits, target)
    loss, metrics = numbers(BinaryClassification(Given(1)), x, labels)
    assert loss == pytest.approx(float(theirs), rel=1e-6)
    assert metrics["accuracy"] == pytest.approx(((x[:, 0] > 0) == y).mean(), rel=1e-6)
    weight = torch.where(target > 0.5, 3.0, 1.0) if not soft else 1 + 2 * target
    each = torch.nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    loss, _ = numbers(BinaryClassification(Given(1), class_weights=(1.0, 3.0)), x, labels)
    assert loss == pytest.approx(float((weight * each).sum() / weight.sum()), rel=1e-6)


def test_binary_ignores_labels():
    x, y = given(n=8, classes=1)
    y = np.array([1, 0, -100, 1, 0, 0, -100, 1], np.int32)
    keep = y >= 0
    task = BinaryClassification(Given(1))
    (loss, metrics), (expected, expected_metrics) = numbers(task, x, y), numbers(task, x[keep], y[keep])
    assert loss == pytest.approx(expected, rel=1e-6)
    assert metrics == pytest.approx(expected_metrics, rel=1e-6)


def test_predict_and_report():
    x, y = given(n=40)
    task = Classification(Given(4))
    out = jax.device_get(task.predict({}, {}, {"x": jnp.asarray(x)}, KEY))
    np.testing.assert_array_equal(out["label"], x.argmax(-1))
    np.testing.assert_allclose(out["probability"].sum(-1), 1, rtol=1e-6)
    report = task.report(out, y)
    assert report["accuracy"] == (x.argmax(-1) == y).mean()
    assert report["confusion_matrix"].sum() == 40
    half = y.copy()
    half[::2] = -100
    assert task.report(out, half)["examples"] == 20
    assert task.report(out, np.eye(4)[y])["accuracy"] == report["accuracy"]


def test_binary_predicts_two_probabilities():
    out = BinaryClassification(Given(1)).predict({}, {}, {"x": jnp.array([[0.0], [2.0]])}, KEY)
    np.testing.assert_allclose(out["probability"][1], [1 - 0.880797, 0.880797], rtol=1e-5)
    assert out["label"].tolist() == [0, 1]


REFUSED = {
    "0 … 3.*got 4": (Classification(Given(4)), np.array([0, 4])),
    "0 … 3.*got -1": (Classification(Given(4)), np.array([-1, 2])),
    "0 … 1.*got 2": (BinaryClassification(Given(1)), np.array([0, 2])),
    "labels must be integers": (Classification(Given(4)), np.array([0.0, 1.0])),
}


@pytest.mark.parametrize("message", REFUSED)
def test_labels_that_the_model_cannot_mean_are_refused(message):
    task, y = REFUSED[message]
    with pytest.raises(ValueError, match=message):
        task.check(y)


def test_labels_that_are_fine():
    Classification(Given(4)).check(np.array([0, 3, -100]))
    Classification(Given(4)).check(np.eye(4))
    BinaryClassification(Given(1)).check(np.array([0, 1]))
    BinaryClassification(Given(1)).check(np.array([0.0, 0.3, 1.0]))


def test_binary_wants_one_logit():
    with pytest.raises(ValueError, match="one logit"):
        BinaryClassification(Given(2)).logits(jnp.zeros((3, 2)))


def test_init_gives_params_and_the_rest():
    params, state = Classification(MLP(features=(3,), classes=2)).init(KEY, {"x": jnp.zeros((4, 5))})
    assert params["Dense_0"]["kernel"].shape == (5, 3)
    assert state == {}


def test_a_loss_that_is_reduced_is_refused():
    x, y = given()
    task = Classification(Given(4), loss=lambda logits, labels: focal_loss(logits, labels).mean())
    with pytest.raises(ValueError, match=r"one value per example, shape \(9,\), got \(\): do not reduce it"):
        numbers(task, x, y)


def test_two_classes_from_one_logit_have_their_own_task():
    with pytest.raises(ValueError, match="got 1; two classes from one logit are BinaryClassification"):
        Classification(Given(1)).check(np.array([0, 1]))


@pytest.mark.parametrize(("model", "got"), [(lambda x: x, "a function"), (MLP, "the class MLP")])
def test_a_model_is_a_linen_module(model, got):
    with pytest.raises(ValueError, match=f"model must be a Linen module.*got {got}"):
        Classification(model).init(KEY, {"x": jnp.zeros((2, 4))})
