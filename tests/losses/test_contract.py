"""What every loss promises, from one table: a value per example, one value under jit, finite at ±1e4, traceable knobs."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl import losses as L
from jaxdl.losses import adversarial, metric_learning, variational


class Row(NamedTuple):
    loss: Callable
    predictions: tuple[int, ...]  # the shape of the differentiated argument
    rest: tuple  # the other positional arguments
    knobs: Mapping[str, float] = MappingProxyType({})
    options: Mapping = MappingProxyType({})
    shape: tuple[int, ...] = (4,)


LABELS, WHO = np.array([0, 2, 1, 2]), np.array([0, 0, 1, 1])
YES = np.float32([1, 0, 1, 0])
TARGETS = np.float32([1.5, -2, 0.3, 1e4])
MASK = np.float32([1, 1, 1, 0])


def pair(loss: Callable) -> Callable:
    """A loss of (mean, log scale) as a loss of one array."""
    return lambda x, y, **knobs: loss((x[..., 0], x[..., 1]), y, **knobs)


def kl(x, **knobs):
    return variational.kl_standard_normal(x, jnp.zeros_like(x), **knobs)


LOSSES = {
    "cross_entropy": Row(L.cross_entropy, (4, 3), (LABELS,), {"smoothing": 0.1}),
    "cross_entropy_ignoring": Row(L.cross_entropy, (4, 3), (np.array([0, -100, 1, 2]),), {"smoothing": 0.1}),
    "cross_entropy_soft": Row(L.cross_entropy, (4, 3), (np.eye(3, dtype=np.float32)[LABELS],), {"smoothing": 0.0}),
    "cross_entropy_sequence": Row(L.cross_entropy, (4, 5, 3), (np.zeros((4, 5), int),), {}, {}, (4, 5)),
    "cross_entropy_weighted": Row(L.cross_entropy, (4, 3), (LABELS,), {}, {"weights": np.float32([1, 2, 3])}),
    "binary_cross_entropy": Row(L.binary_cross_entropy, (4,), (YES,), {"positive_weight": 3.0, "smoothing": 0.1}),
    "focal": Row(L.focal_loss, (4, 3), (LABELS,), {"gamma": 2.0}),
    "focal_root": Row(L.focal_loss, (4, 3), (LABELS,), {"gamma": 0.5}),
    "sigmoid_focal": Row(L.sigmoid_focal_loss, (4,), (YES,), {"gamma": 0.5, "alpha": 0.25}),
    "poly": Row(L.poly_cross_entropy, (4, 3), (LABELS,), {"epsilon": 2.0}),
    "kl_divergence": Row(L.kl_divergence, (4, 3), (np.eye(3, dtype=np.float32)[LABELS],)),
    "distillation": Row(L.distillation, (4, 3), (1e4 * np.eye(4, 3),), {"temperature": 4.0}),
    "squared_error": Row(L.squared_error, (4,), (TARGETS,)),
    "absolute_error": Row(L.absolute_error, (4,), (TARGETS,)),
    "huber": Row(L.huber, (4,), (TARGETS,), {"delta": 1.0}),
    "smooth_l1": Row(L.smooth_l1, (4,), (TARGETS,), {"beta": 1.0}),
    "log_cosh": Row(L.log_cosh, (4,), (TARGETS,)),
    "quantile": Row(L.quantile, (4,), (TARGETS,), {"level": 0.9}),
    "gaussian_nll": Row(pair(L.gaussian_nll), (4, 2), (TARGETS,), {"floor": 1e-6}),
    "student_t_nll": Row(pair(L.student_t_nll), (4, 2), (TARGETS,), {"df": 4.0}),
    "contrastive": Row(L.contrastive, (4,), (YES,), {"margin": 1.0}),
    "contrastive_linear": Row(L.contrastive_linear, (4,), (1 - YES,), {"positive_margin": 0.1, "negative_margin": 1.0}),
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
rows = pytest.mark.parametrize("row", LOSSES.values(), ids=LOSSES)


def call(row: Row, x: jax.Array, **knobs) -> jax.Array:
    return row.loss(x, *map(jnp.asarray, row.rest), **{**row.options, **row.knobs, **knobs})


def predictions(row: Row, scale: float = 1.0) -> jax.Array:
    return scale * jax.random.normal(jax.random.key(1), row.predictions)


@rows
def test_one_float32_value_per_example_the_same_under_jit(row):
    x = predictions(row)
    values = call(row, x)
    assert values.shape == row.shape
    assert values.dtype == jnp.float32
    np.testing.assert_allclose(jax.jit(lambda x: call(row, x))(x), values, rtol=2e-6, atol=1e-6)


@rows
def test_value_and_gradient_are_finite_at_extremes_and_at_zero(row):
    signs = jnp.sign(predictions(row))
    extremes = jnp.stack([1e4 * signs, -1e4 * signs, jnp.full_like(signs, 1e4), jnp.zeros_like(signs)])
    gradients, values = jax.jit(jax.vmap(jax.grad(lambda x: (call(row, x).sum(), call(row, x)), has_aux=True)))(
        extremes
    )
    assert np.isfinite(values).all()
    assert np.isfinite(gradients).all()


@rows
def test_bfloat16_predictions_give_a_finite_float32_loss_and_a_bfloat16_gradient(row):
    x = predictions(row).astype(jnp.bfloat16)
    gradient, values = jax.jit(jax.grad(lambda x: (call(row, x).sum(), call(row, x)), has_aux=True))(x)
    assert values.dtype == jnp.float32
    assert gradient.dtype == jnp.bfloat16
    assert np.isfinite(values).all()
    assert np.isfinite(np.float32(gradient)).all()


WITH_KNOBS = {f"{name}-{knob}": (row, knob) for name, row in LOSSES.items() for knob in row.knobs}


@pytest.mark.parametrize(("row", "knob"), WITH_KNOBS.values(), ids=WITH_KNOBS)
def test_every_knob_can_be_swept_inside_jit_and_vmap(row, knob):
    x, settings = predictions(row), np.float32([0.5, 1.0]) * (row.knobs[knob] or 0.2)
    swept = jax.jit(jax.vmap(lambda value: call(row, x, **{knob: value})))(settings)
    np.testing.assert_allclose(swept[1], call(row, x, **{knob: float(settings[1])}), rtol=5e-6, atol=2e-6)
    assert knob in ("floor", "smoothing", "free_bits") or np.abs(swept[0] - swept[1]).max() > 0


@rows
def test_gradient_reaches_only_its_own_example(row):
    in_batch = (L.paired_contrastive, L.mined_triplet, L.nt_xent, L.supervised_contrastive, L.kl_activity)
    jacobian = jax.jit(jax.jacrev(lambda x: call(row, x).reshape(4, -1).sum(1)))(predictions(row))  # (4, 4, ...)
    across = np.abs(np.asarray(jacobian).reshape(4, 4, -1).sum(-1)) * (1 - np.eye(4))
    if row.loss in in_batch:
        assert across.max() > 0
    else:
        assert across.max() == 0


def test_padding_counts_nowhere_in_the_losses_of_a_batch():
    x, padded = jax.random.normal(jax.random.key(0), (6, 3)), np.float32([1, 1, 1, 1, 0, 0])
    labels = jnp.array([0, 0, 1, 1, 0, 1])
    for loss in (L.nt_xent, L.supervised_contrastive, L.mined_triplet, L.paired_contrastive):
        np.testing.assert_allclose(loss(x, labels, mask=padded)[:4], loss(x[:4], labels[:4]), rtol=1e-6)
        np.testing.assert_allclose(loss(x, labels, mask=padded)[4:], 0)
    for mine in (metric_learning.batch_all, metric_learning.hard, metric_learning.semi_hard):
        got = L.mined_triplet(x, labels, mask=padded, mine=mine)
        np.testing.assert_allclose(got[:4], L.mined_triplet(x[:4], labels[:4], mine=mine), rtol=1e-6)
