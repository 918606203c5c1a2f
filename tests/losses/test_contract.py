"""What every loss promises, from one table: a value per example, one value under jit, finite at ±1e4, traceable knobs.

One program a row gives all that its tests look at.
"""

import functools
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl import losses as L
from jaxdl.losses import adversarial, metric_learning, variational
from jaxdl.types import UserError
from tests.programs import one_program
from tests.tables import rows


class Row(NamedTuple):
    loss: Callable
    predictions: tuple[int, ...]  # the shape of the differentiated argument
    rest: tuple  # the other positional arguments
    knobs: Mapping[str, float] = MappingProxyType({})  # settings at which each of them changes a value
    options: Mapping = MappingProxyType({})
    shape: tuple[int, ...] = (4,)


LABELS, WHO = np.array([0, 2, 1, 2]), np.array([0, 0, 1, 1])
YES = np.float32([1, 0, 1, 0])
TARGETS = np.float32([1.5, -2, 0.3, 1e4])
MASK = np.float32([1, 1, 1, 0])


def pair(loss: Callable, shift: float = 0.0) -> Callable:
    """A loss of (mean, log scale) as a loss of one array, whose log scale is shifted."""
    return lambda x, y, **knobs: loss((x[..., 0], x[..., 1] + shift), y, **knobs)


def kl(x, **knobs):
    return variational.kl_standard_normal(x, jnp.zeros_like(x), **knobs)


LOSSES = {
    "cross_entropy": Row(L.cross_entropy, (4, 3), (LABELS,), {"smoothing": 0.1}),
    "cross_entropy_ignoring": Row(L.cross_entropy, (4, 3), (np.array([0, -100, 1, 2]),), {"smoothing": 0.1}),
    "cross_entropy_soft": Row(L.cross_entropy, (4, 3), (np.eye(3, dtype=np.float32)[LABELS],), {"smoothing": 0.1}),
    "cross_entropy_sequence": Row(L.cross_entropy, (4, 5, 3), (np.zeros((4, 5), int),), {}, {}, (4, 5)),
    "cross_entropy_weighted": Row(L.cross_entropy, (4, 3), (LABELS,), {}, {"weights": np.float32([1, 2, 3])}),
    "binary_cross_entropy": Row(L.binary_cross_entropy, (4,), (YES,), {"positive_weight": 3.0, "smoothing": 0.1}),
    "focal": Row(L.focal_loss, (4, 3), (LABELS,), {"gamma": 2.0}),
    "focal_root": Row(L.focal_loss, (4, 3), (LABELS,), {"gamma": 0.5}),
    "sigmoid_focal": Row(L.sigmoid_focal_loss, (4,), (YES,), {"gamma": 0.5, "alpha": 0.25}),
    "poly": Row(L.poly_cross_entropy, (4, 3), (LABELS,), {"epsilon": 2.0}),
    "softmax_dice": Row(L.softmax_dice, (4, 2, 3), (np.array([[0, 1], [2, 1], [1, 1], [0, 0]]),), {"smooth": 1.0}),
    "kl_divergence": Row(L.kl_divergence, (4, 3), (np.eye(3, dtype=np.float32)[LABELS],)),
    "distillation": Row(L.distillation, (4, 3), (1e4 * np.eye(4, 3),), {"temperature": 4.0}),
    "squared_error": Row(L.squared_error, (4,), (TARGETS,)),
    "absolute_error": Row(L.absolute_error, (4,), (TARGETS,)),
    "huber": Row(L.huber, (4,), (TARGETS,), {"delta": 1.0}),
    "smooth_l1": Row(L.smooth_l1, (4,), (TARGETS,), {"beta": 1.0}),
    "log_cosh": Row(L.log_cosh, (4,), (TARGETS,)),
    "quantile": Row(L.quantile, (4,), (TARGETS,), {"level": 0.9}),
    "gaussian_nll": Row(pair(L.gaussian_nll, -14.0), (4, 2), (TARGETS,), {"floor": 1e-6}),
    "student_t_nll": Row(pair(L.student_t_nll), (4, 2), (TARGETS,), {"df": 4.0}),
    "contrastive": Row(L.contrastive, (4,), (YES,), {"margin": 1.0}),
    "contrastive_linear": Row(L.contrastive_linear, (4,), (YES,), {"positive_margin": 0.1, "negative_margin": 1.0}),
    "triplet": Row(L.triplet, (4, 3), (np.zeros((4, 3)), np.ones((4, 3))), {"margin": 1.0}),
    "paired_contrastive": Row(L.paired_contrastive, (4, 3), (WHO,), {"margin": 4.0}, {"mask": MASK}),
    "mined_triplet": Row(L.mined_triplet, (4, 3), (WHO,), {"margin": 3.0}),
    "nt_xent": Row(L.nt_xent, (4, 3), (WHO,), {"temperature": 0.5}, {"mask": MASK}),
    "supervised_contrastive": Row(L.supervised_contrastive, (4, 3), (WHO,), {"temperature": 0.1}),
    "info_nce": Row(L.info_nce, (4, 3), (np.eye(4, 3),), {"temperature": 0.07}),
    "arcface": Row(L.arcface, (4, 3), (LABELS,), {"margin": 0.5, "scale": 64.0}),
    "cosface": Row(L.cosface, (4, 3), (LABELS,), {"margin": 0.35, "scale": 64.0}),
    "sphereface": Row(L.sphereface, (4, 3), (LABELS,), {"margin": 4.0, "scale": 30.0}),
    "combined_margin": Row(L.combined_margin, (4, 3), (LABELS,), {"m1": 1.0, "m2": 0.3, "m3": 0.2}),
    "ctc": Row(L.ctc, (4, 6, 3), (np.tile([1, 2], (4, 1)),)),
    "label_smoothed_nll": Row(L.label_smoothed_nll, (4, 3), (LABELS,), {"smoothing": 0.1}, {"mask": MASK}),
    "kl_standard_normal": Row(kl, (4, 3), (), {"free_bits": 0.1}),
    "l1_activity": Row(L.l1_activity, (4, 3), ()),
    "kl_activity": Row(L.kl_activity, (4, 3), (), {"rate": 0.2}, {"mask": MASK}),
    "importance_weighted": Row(lambda x: L.importance_weighted(x.T), (4, 3), ()),
    "commitment": Row(variational.commitment, (4, 3), (np.ones((4, 3), np.float32),)),
    **{
        f"{name}_{player}": Row(getattr(getattr(adversarial, name), player), (4,), (YES,) * (player == "critic"))
        for name in ("nonsaturating", "minimax", "least_squares", "hinge", "wasserstein")
        for player in ("critic", "generator")
    },
}
DEFAULT = (  # one of each kind; all of them have their golden values in test_golden.py or a closed form beside it
    "cross_entropy cross_entropy_soft binary_cross_entropy focal_root kl_divergence squared_error huber quantile "
    "gaussian_nll contrastive triplet mined_triplet cosface label_smoothed_nll kl_standard_normal importance_weighted "
    "commitment nonsaturating_critic least_squares_critic minimax_generator hinge_generator"
).split()
NAMES = {name: name for name in LOSSES}
KNOBS = {name: name for name, row in LOSSES.items() if row.knobs}


def predictions(row: Row) -> np.ndarray:
    return np.random.default_rng(14).normal(size=row.predictions).astype(np.float32)


def call(row: Row, x: jax.Array, **knobs) -> jax.Array:
    return row.loss(x, *map(jnp.asarray, row.rest), **{**row.options, **row.knobs, **knobs})


class Facts(NamedTuple):
    values: np.ndarray  # of the predictions, then of the extremes
    jacobians: np.ndarray  # the same, of each example's sum
    half: tuple[np.ndarray, np.ndarray]  # value and gradient of the predictions in bfloat16
    swept: np.ndarray  # all knobs as they are in the table, then one after the other at the half


@functools.cache
def facts(name: str) -> Facts:
    row = LOSSES[name]
    x = predictions(row)
    signs = np.sign(x)
    points = np.stack([x, 1e4 * signs, -1e4 * signs, np.full_like(signs, 1e4), np.zeros_like(signs)])
    settings = {
        knob: np.float32([value, *(value / (1 + (knob == other)) for other in row.knobs)])
        for knob, value in row.knobs.items()
    }

    def everything(points, half, settings):
        sums = lambda x: (call(row, x).reshape(4, -1).sum(1), call(row, x))
        jacobians, values = jax.vmap(jax.jacrev(sums, has_aux=True))(points)
        gradient, rough = jax.grad(lambda x: (call(row, x).sum(), call(row, x)), has_aux=True)(half)
        swept = jax.vmap(lambda knobs: call(row, points[0], **knobs))(settings) if row.knobs else values[:1]
        return Facts(values, jacobians, (rough, gradient), swept)

    return one_program(everything, points, x.astype(jnp.bfloat16), settings)


each = rows(NAMES, default=DEFAULT, name="name")


@each
def test_one_float32_value_per_example(name):
    values = facts(name).values
    assert values.shape == (5, *LOSSES[name].shape)
    assert values.dtype == np.float32


@rows(NAMES, default=["binary_cross_entropy"], name="name")
@pytest.mark.programs(80, "eager jax, one program for every operation, is what is compared with one program for all")
def test_the_same_value_without_jit(name):
    eager = call(LOSSES[name], jnp.asarray(predictions(LOSSES[name])))
    assert eager.dtype == jnp.float32
    np.testing.assert_allclose(facts(name).values[0], eager, rtol=2e-6, atol=1e-6)


@each
def test_value_and_gradient_are_finite_at_extremes_and_at_zero(name):
    assert np.isfinite(facts(name).values).all()
    assert np.isfinite(facts(name).jacobians).all()


@each
def test_bfloat16_predictions_give_a_finite_float32_loss_and_a_bfloat16_gradient(name):
    values, gradient = facts(name).half
    assert values.dtype == np.float32
    assert gradient.dtype == jnp.bfloat16
    assert np.isfinite(values).all()
    assert np.isfinite(np.float32(gradient)).all()


@rows(KNOBS, default=[name for name in DEFAULT if name in KNOBS], name="name")
def test_every_knob_can_be_swept_inside_jit_and_vmap_and_does_something(name):
    traced, *others = facts(name).swept
    np.testing.assert_allclose(traced, facts(name).values[0], rtol=5e-6, atol=2e-6)
    for knob, other in zip(LOSSES[name].knobs, others, strict=True):
        assert np.abs(other - traced).max() > 0, knob


SHARES = ("smoothing", "level", "rate")
REFUSED = {"smoothing", "level", "rate", "delta", "beta", "gamma", "floor", "df", "temperature", "free_bits"}


@pytest.mark.parametrize("bad", [-0.1, True, float("nan"), "0.5"])
@pytest.mark.parametrize("name", [name for name, row in LOSSES.items() if REFUSED.intersection(row.knobs)])
def test_numbers_that_have_no_meaning_are_refused(name, bad):
    row = LOSSES[name]
    for knob in REFUSED.intersection(row.knobs):
        for value in (bad, 1.5) if knob in SHARES else (bad,):
            with pytest.raises(UserError, match=f"^{knob} = {value!r} "):
                jax.eval_shape(lambda x, knob=knob, value=value: call(row, x, **{knob: value}), predictions(row))


@pytest.mark.parametrize("bad", [-1, 1.5, True, float("nan"), "0"])
def test_a_blank_that_is_no_class(bad):
    with pytest.raises(UserError, match=r"^blank = "):
        jax.eval_shape(lambda: L.ctc(jnp.zeros((1, 2, 3)), jnp.array([[1]]), blank=bad))


def log_softmax(x: np.ndarray) -> np.ndarray:
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


@pytest.mark.parametrize("name", ["cross_entropy", "cross_entropy_soft", "label_smoothed_nll", "binary_cross_entropy"])
def test_smoothing_is_the_share_of_the_label_that_goes_to_the_others(name):
    """ε/K of the label on every class; for a yes or no ε/2 on both; ε/(K - 1) on the other tokens."""
    row = LOSSES[name]
    x, (y,) = np.float64(predictions(row)), row.rest
    for epsilon, values in zip((0.1, 0.05), facts(name).swept[[0, -1]], strict=True):  # smoothing is the last knob
        if name == "binary_cross_entropy":
            target = (1 - epsilon) * y + epsilon / 2
            expected = 3 * target * np.log1p(np.exp(-x)) + (1 - target) * np.log1p(np.exp(x))
        else:
            truth = np.eye(3)[LABELS]
            share = epsilon / (2 if name == "label_smoothed_nll" else 3)
            target = share + (1 - epsilon - share * (name == "label_smoothed_nll")) * truth
            expected = -(target * log_softmax(x)).sum(-1) * row.options.get("mask", 1)
        np.testing.assert_allclose(values, expected, rtol=2e-6)


def test_the_floor_holds_the_variance():
    """Below it the loss is that of a variance of `floor`, above it that of its own."""
    mean, log_variance = np.float64(predictions(LOSSES["gaussian_nll"])).T
    variance = np.exp(log_variance - 14)
    assert (variance < 5e-7).any()
    assert (variance > 1e-6).any()
    for floor, values in zip((1e-6, 5e-7), facts("gaussian_nll").swept, strict=True):
        held = np.maximum(variance, floor)
        np.testing.assert_allclose(values, (np.log(held) + (TARGETS - mean) ** 2 / held) / 2, rtol=1e-5)


def test_free_bits_are_the_least_that_a_latent_costs():
    nats = np.float64(predictions(LOSSES["kl_standard_normal"])) ** 2 / 2  # of N(μ, 1)
    assert (nats < 0.05).any()
    assert ((nats > 0.05) & (nats < 0.1)).any()
    assert (nats > 0.1).any()
    for free, values in zip((0.1, 0.05), facts("kl_standard_normal").swept, strict=True):
        np.testing.assert_allclose(values, np.maximum(nats, free).sum(1), rtol=2e-6)


@each
def test_gradient_reaches_only_its_own_example(name):
    in_batch = (L.paired_contrastive, L.mined_triplet, L.nt_xent, L.supervised_contrastive, L.kl_activity)
    across = np.abs(facts(name).jacobians[0]).reshape(4, 4, -1).sum(-1) * (1 - np.eye(4))
    if LOSSES[name].loss in in_batch:
        assert across.max() > 0
    else:
        assert across.max() == 0


IN_BATCH = {
    **{f.__name__: f for f in (L.nt_xent, L.supervised_contrastive, L.mined_triplet, L.paired_contrastive)},
    **{
        mine.__name__: functools.partial(L.mined_triplet, mine=mine)
        for mine in (metric_learning.batch_all, metric_learning.hard, metric_learning.semi_hard)
    },
}


@pytest.mark.parametrize("name", IN_BATCH)
def test_padding_counts_nowhere_in_the_losses_of_a_batch(name):
    x, padded = np.random.default_rng(14).normal(size=(6, 3)).astype("f4"), np.float32([1, 1, 1, 1, 0, 0])
    labels = np.array([0, 0, 1, 1, 0, 1])
    masked, short = one_program(
        lambda x, y, mask: (IN_BATCH[name](x, y, mask=mask), IN_BATCH[name](x[:4], y[:4])), x, labels, padded
    )
    assert short.max() > 0
    np.testing.assert_allclose(masked[:4], short, rtol=1e-6)
    np.testing.assert_allclose(masked[4:], 0)
