"""The losses beside PyTorch and pytorch-metric-learning: one table, read by the tests and by this script.

`python -m tests.golden.losses` writes `losses.npz`: for every case the oracle's values, in float64, and the gradient of
their sum (weighted 1, 2, 3, ...) with respect to the first input; and a digest of its inputs, so that a file made for
other inputs is noticed without PyTorch. The tests compare with the file; `-m parity` runs the oracles again.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import losses as L
from jaxdl.losses import adversarial as gan
from jaxdl.losses import metric_learning, variational
from tests.golden.loss_oracles import (
    ALL,
    BITS,
    CENTRES,
    FACES,
    GROUPS,
    LENGTHS,
    LOGITS,
    PAIRED,
    SOFT,
    VIEWS,
    W4,
    WHO,
    WORD_LENGTHS,
    WORDS,
    A,
    B,
    E,
    P,
    T,
    X,
    Y,
    bce,
    cosines,
    critic,
    cross_entropy,
    ctc,
    dice,
    fairseq,
    functional,
    info_nce,
    insightface,
    kl,
    our_contrastive,
    penalty,
    pml,
    pml_batch_hard,
    pml_contrastive,
    poly,
    sigmoid_focal,
    softmax_focal,
    unguarded,
)

FILE = Path(__file__).with_suffix(".npz")


class Case(NamedTuple):
    inputs: tuple  # NumPy arrays; the first is differentiated
    ours: Callable[..., Any]
    oracle: Callable[..., Any]  # takes torch, then tensors


CASES = {
    # classification
    "cross_entropy": Case((X, Y), L.cross_entropy, cross_entropy()),
    "cross_entropy_weighted_smoothed": Case(
        (X, Y),
        lambda x, y: L.cross_entropy(x, y, weights=W4, smoothing=0.1),
        cross_entropy(weighted=True, label_smoothing=0.1),
    ),
    "cross_entropy_soft": Case((X, SOFT), L.cross_entropy, cross_entropy()),
    "cross_entropy_soft_weighted_smoothed": Case(
        (X, SOFT),
        lambda x, y: L.cross_entropy(x, y, weights=W4, smoothing=0.2),
        cross_entropy(weighted=True, label_smoothing=0.2),
    ),
    "cross_entropy_weighted_mean": Case(
        (X, Y),
        lambda x, y: L.cross_entropy(x, y, weights=W4).sum() / L.class_weight(y, W4).sum(),
        lambda t, x, y: t.nn.functional.cross_entropy(x, y, weight=t.tensor(W4, dtype=x.dtype)),
    ),
    "cross_entropy_mean_of_valid": Case(
        (X, Y),
        lambda x, y: L.cross_entropy(x, y, smoothing=0.3).sum() / L.valid_labels(y).sum(),
        lambda t, x, y: t.nn.functional.cross_entropy(x, y, label_smoothing=0.3),
    ),
    "binary_cross_entropy": Case(
        (X, BITS), L.binary_cross_entropy, lambda t, x, y: functional("binary_cross_entropy_with_logits")(t, x, y + 0.0)
    ),
    "binary_cross_entropy_positive_weight": Case(
        (X, SOFT),
        lambda x, y: L.binary_cross_entropy(x, y, positive_weight=W4),
        lambda t, x, y: functional("binary_cross_entropy_with_logits", pos_weight=t.tensor(W4, dtype=x.dtype))(t, x, y),
    ),
    "binary_cross_entropy_from_probabilities": Case(
        (P, SOFT), L.binary_cross_entropy_from_probabilities, functional("binary_cross_entropy")
    ),
    "sigmoid_focal": Case((X, SOFT), L.sigmoid_focal_loss, sigmoid_focal),
    "focal": Case((X, SOFT), lambda x, y: L.focal_loss(x, y, gamma=1.5), softmax_focal),
    "poly": Case((X, ALL), L.poly_cross_entropy, poly),
    "dice": Case((P, SOFT), L.dice, dice),
    "kl_divergence": Case(
        (X, SOFT),
        L.kl_divergence,
        lambda t, x, y: t.nn.functional.kl_div(t.log_softmax(x, -1), y, reduction="none").sum(-1),
    ),
    "distillation": Case(
        (X, T),
        lambda x, y: L.distillation(x, y, temperature=3.0),
        lambda t, x, y: (
            9 * t.nn.functional.kl_div(t.log_softmax(x / 3, -1), t.softmax(y / 3, -1), reduction="none").sum(-1)
        ),
    ),
    # regression
    "squared_error": Case((X, T), L.squared_error, functional("mse_loss")),
    "absolute_error": Case((X, T), L.absolute_error, functional("l1_loss")),
    "huber": Case((X, T), lambda x, y: L.huber(x, y, delta=1.7), functional("huber_loss", delta=1.7)),
    "smooth_l1": Case((X, T), lambda x, y: L.smooth_l1(x, y, beta=1.7), functional("smooth_l1_loss", beta=1.7)),
    "log_cosh": Case((X, T), L.log_cosh, lambda t, x, y: t.log(t.cosh(x - y))),
    "quantile": Case(
        (X, T), lambda x, y: L.quantile(x, y, level=0.9), lambda t, x, y: t.maximum(0.9 * (y - x), -0.1 * (y - x))
    ),
    "gaussian_nll": Case(
        (X, T, P),
        lambda x, y, v: L.gaussian_nll((x, jnp.log(v)), y, full=True),
        functional("gaussian_nll_loss", full=True),
    ),
    "student_t_nll": Case(
        (X, T, P),
        lambda x, y, s: L.student_t_nll((x, jnp.log(s)), y, df=3.0),
        lambda t, x, y, s: -t.distributions.StudentT(3.0, x, s).log_prob(y),
    ),
    # metric learning
    "contrastive_linear": Case((E,), our_contrastive, pml_contrastive),
    "triplet": Case(
        (A, B, A[::-1].copy()),
        lambda a, p, n: L.triplet(a, p, n, margin=0.8),
        lambda t, a, p, n: t.nn.functional.triplet_margin_loss(a, p, n, margin=0.8, eps=1e-12, reduction="none"),
    ),
    "triplet_swap": Case(
        (A, B, A[::-1].copy()),
        lambda a, p, n: L.triplet(a, p, n, swap=True),
        lambda t, a, p, n: t.nn.functional.triplet_margin_loss(a, p, n, swap=True, eps=1e-12, reduction="none"),
    ),
    "triplet_cosine": Case(
        (A, B, A[::-1].copy()),
        lambda a, p, n: L.triplet(a, p, n, margin=0.3, distance=metric_learning.cosine_distance),
        lambda t, a, p, n: t.nn.functional.triplet_margin_with_distance_loss(
            a, p, n, margin=0.3, reduction="none", distance_function=lambda x, y: 1 - t.cosine_similarity(x, y)
        ),
    ),
    "batch_hard": Case((E,), lambda e: L.mined_triplet(e, jnp.asarray(GROUPS), margin=0.7), pml_batch_hard),
    "nt_xent": Case(
        (E,),
        lambda e: L.nt_xent(e, jnp.asarray(VIEWS), temperature=0.2),
        pml("NTXentLoss", labels=VIEWS, temperature=0.2),
    ),
    "supervised_contrastive": Case(
        (E,),
        lambda e: L.supervised_contrastive(e, jnp.asarray(PAIRED)),
        pml("SupConLoss", labels=PAIRED),
    ),
    "info_nce": Case((A, B), L.info_nce, info_nce),
    "arcface": Case(
        (FACES,),
        lambda e: L.arcface(cosines(e), WHO, margin=np.radians(28.6), scale=16.0),
        pml("ArcFaceLoss", labels=WHO, num_classes=4, embedding_size=5, scale=16),
    ),
    "arcface_insightface": Case((FACES,), lambda e: L.arcface(cosines(e), WHO, **unguarded), insightface),
    "cosface": Case(
        (FACES,), lambda e: L.cosface(cosines(e), WHO), pml("CosFaceLoss", labels=WHO, num_classes=4, embedding_size=5)
    ),
    "sphereface": Case(
        (FACES,),
        lambda e: L.sphereface(cosines(e), WHO, scale=jnp.linalg.norm(e, axis=1)),
        pml("SphereFaceLoss", labels=WHO, num_classes=4, embedding_size=5, margin=4),
    ),
    # sequences
    "ctc": Case((LOGITS, WORDS), lambda x, y: L.ctc(x, y, logit_lengths=LENGTHS, label_lengths=WORD_LENGTHS), ctc),
    "label_smoothed_nll": Case((LOGITS[:, :4], WORDS), lambda x, y: L.label_smoothed_nll(x, y, mask=y != 0), fairseq),
    # adversarial
    "gan_critic": Case((A, B), gan.nonsaturating.critic, lambda t, r, f: bce(t, r, 1.0) + bce(t, f, 0.0)),
    "gan_generator": Case((A,), gan.nonsaturating.generator, lambda t, f: bce(t, f, 1.0)),
    "gan_minimax": Case((A,), gan.minimax.generator, lambda t, f: -bce(t, f, 0.0)),
    "gan_hinge": Case((A, B), gan.hinge.critic, lambda t, r, f: t.relu(1 - r) + t.relu(1 + f)),
    "gan_least_squares": Case((A, B), gan.least_squares.critic, lambda t, r, f: ((r - 1) ** 2 + f**2) / 2),
    "gradient_penalty": Case(
        (CENTRES, E),
        lambda w, x: gan.gradient_penalty(critic(w), x, x, key=jax.random.key(0)),
        lambda t, w, x: penalty(t, w, x, 1.0),
    ),
    "r1": Case((CENTRES, E), lambda w, x: gan.r1(critic(w), x), lambda t, w, x: penalty(t, w, x, None)),
    # variational
    "kl_standard_normal": Case((A, B), L.kl_standard_normal, kl),
    "kl_normal": Case(
        (A, B, X[:, :3], T[:, :3]),
        lambda m, v, m0, v0: L.kl_normal(m, v, prior_mean=m0, prior_log_variance=v0),
        kl,
    ),
    "bernoulli_reconstruction": Case(
        (X, SOFT),
        variational.bernoulli_reconstruction,
        lambda t, x, y: functional("binary_cross_entropy_with_logits")(t, x, y).sum(1),
    ),
    "gaussian_reconstruction": Case(
        (X, T),
        lambda x, y: variational.gaussian_reconstruction(x, y, log_variance=-1.0),
        lambda t, x, y: -t.distributions.Normal(x, t.tensor(-0.5).exp()).log_prob(y).sum(1),
    ),
}


def ramp(values: Any) -> np.ndarray:
    """1, 2, 3, ...: weights that tell every value's gradient from its neighbours'."""
    return np.arange(1, values.size + 1, dtype=np.float32).reshape(values.shape)


def digest(name: str) -> str:
    """Of a case's inputs, with their types and shapes."""
    parts = [(x.dtype.str, x.shape, np.ascontiguousarray(x).tobytes()) for x in CASES[name].inputs]
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def ask(name: str) -> tuple[np.ndarray, np.ndarray]:
    """The oracle's values and gradient, in float64."""
    import torch

    case = CASES[name]
    tensors = [torch.tensor(x, dtype=torch.float64 if x.dtype == np.float32 else None) for x in case.inputs]
    tensors[0].requires_grad_()
    values = case.oracle(torch, *tensors)
    (values * torch.tensor(ramp(values.detach().numpy()))).sum().backward()
    return values.detach().numpy(), tensors[0].grad.numpy()


if __name__ == "__main__":
    arrays = {f"{name}.{part}": x for name in CASES for part, x in zip("vg", ask(name), strict=True)}
    np.savez_compressed(FILE, **arrays, inputs=np.array([f"{name} {digest(name)}" for name in CASES]))
