"""Inputs of the losses and what PyTorch and pytorch-metric-learning say of them; the cases stand in `losses.py`.

An oracle takes the module torch, then tensors, and gives one value per example.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import losses as L
from jaxdl.losses import metric_learning

draw = np.random.default_rng(0)


def normal(*shape: int, scale: float = 1.0) -> np.ndarray:
    return (draw.normal(size=shape) * scale).astype(np.float32)


X, Y = normal(6, 4, scale=2), np.array([0, 3, -100, 1, 2, 3])
ALL = np.array([0, 3, 1, 1, 2, 3])
SOFT = draw.dirichlet(np.ones(4), 6).astype(np.float32)
SOFT2 = draw.dirichlet(np.ones(4), 6).astype(np.float32)
W4 = np.float32([0.5, 2.0, 1.0, 3.0])
P, BITS, T = draw.uniform(0.02, 0.98, (6, 4)).astype(np.float32), draw.integers(0, 2, (6, 4)), normal(6, 4, scale=2)
E, GROUPS = normal(8, 5), np.array([0, 1, 0, 2, 1, 0, 3, 2])
PAIRED = np.array([0, 1, 0, 2, 1, 0, 2, 2])  # no one alone: its SupConLoss divides by 1e-308 there
VIEWS = np.array([0, 1, 2, 3, 0, 1, 2, 3])
CENTRES = normal(5, 4)
FACES = np.concatenate([normal(6, 5), -CENTRES.T[:2] + normal(2, 5, scale=0.05)])  # two almost opposite their class
WHO = np.array([0, 3, 1, 1, 2, 3, 0, 1])
LOGITS, WORDS = normal(3, 9, 5, scale=2), np.array([[1, 2, 2, 3], [4, 4, 0, 0], [3, 0, 0, 0]])
LENGTHS, WORD_LENGTHS = np.array([9, 6, 5]), np.array([4, 2, 1])
A, B = normal(6, 3), normal(6, 3)


def functional(name: str, **options: Any) -> Callable:
    """torch.nn.functional.<name>(..., reduction="none")."""
    return lambda torch, *tensors: getattr(torch.nn.functional, name)(*tensors, reduction="none", **options)


def cross_entropy(weighted: bool = False, **options: Any) -> Callable:
    def oracle(torch, x, y):
        weight = torch.tensor(W4, dtype=x.dtype) if weighted else None
        return torch.nn.functional.cross_entropy(x, y, weight=weight, reduction="none", **options)

    return oracle


def sigmoid_focal(torch, x, y, alpha=0.25, gamma=2.0):
    """torchvision's `sigmoid_focal_loss`, from its definition."""
    p, loss = torch.sigmoid(x), torch.nn.functional.binary_cross_entropy_with_logits(x, y, reduction="none")
    return (alpha * y + (1 - alpha) * (1 - y)) * (1 - (p * y + (1 - p) * (1 - y))) ** gamma * loss


def softmax_focal(torch, x, y, gamma=1.5):
    log_p = torch.log_softmax(x, -1)
    return -(y * (1 - log_p.exp()) ** gamma * log_p).sum(-1)


def pml(name: str, labels: np.ndarray = GROUPS, **options: Any) -> Callable:
    """A loss of pytorch-metric-learning, unreduced."""

    def oracle(torch, e):
        from pytorch_metric_learning import losses, reducers

        loss = getattr(losses, name)(reducer=reducers.DoNothingReducer(), **options)
        if hasattr(loss, "W"):
            loss.W.data = torch.tensor(CENTRES, dtype=e.dtype)
        return loss(e, torch.tensor(labels))["loss"]["losses"]

    return oracle


def pml_contrastive(torch, e):
    from pytorch_metric_learning import losses

    return losses.ContrastiveLoss(pos_margin=0.1, neg_margin=1.2)(e, torch.tensor(GROUPS))


def our_contrastive(e):
    distances = metric_learning.pairwise(metric_learning.normalize(e))
    positive, negative = metric_learning.pair_masks(jnp.asarray(GROUPS))
    values = L.contrastive_linear(distances, positive, positive_margin=0.1, negative_margin=1.2)
    return sum(L.average_nonzero(jnp.where(pairs, values, 0)) for pairs in (positive, negative))


def pml_batch_hard(torch, e):
    from pytorch_metric_learning import distances, losses, miners, reducers

    plain = distances.LpDistance(normalize_embeddings=False)
    mined = miners.BatchHardMiner(distance=plain)(e, torch.tensor(GROUPS))
    loss = losses.TripletMarginLoss(margin=0.7, distance=plain, reducer=reducers.DoNothingReducer())
    values = torch.zeros(len(e), dtype=e.dtype)
    return values.index_put((mined[0],), loss(e, torch.tensor(GROUPS), mined)["loss"]["losses"])


def cosines(e: jax.Array) -> jax.Array:
    return metric_learning.normalize(e) @ metric_learning.normalize(CENTRES.T).T


def insightface(torch, e):
    """insightface's ArcFace forward: the angle moves outside of autograd, unguarded."""
    logits = torch.nn.functional.normalize(e) @ torch.nn.functional.normalize(
        torch.tensor(CENTRES, dtype=e.dtype), dim=0
    )
    with torch.no_grad():
        rows, who = torch.arange(len(e)), torch.tensor(WHO)
        moved = torch.cos(torch.arccos(logits[rows, who]) + 0.5) - logits[rows, who]
    shift = torch.zeros_like(logits).index_put((rows, who), moved)
    return torch.nn.functional.cross_entropy(64 * (logits + shift), who, reduction="none")


def ctc(torch, x, y):
    log_p = torch.log_softmax(x, -1).transpose(0, 1)
    lengths = torch.tensor(LENGTHS), torch.tensor(WORD_LENGTHS)
    return torch.nn.functional.ctc_loss(log_p, y, *lengths, reduction="none")


def fairseq(torch, x, y, epsilon=0.1):
    """fairseq's `label_smoothed_nll_loss`, from its definition."""
    log_p = torch.log_softmax(x, -1)
    share = epsilon / (x.shape[-1] - 1)
    nll = -log_p.gather(-1, y[..., None])[..., 0]
    return ((1 - epsilon - share) * nll - share * log_p.sum(-1)) * (y != 0)


def kl(torch, mean, log_variance, *prior):
    normal = torch.distributions.Normal
    q = normal(mean, (log_variance / 2).exp())
    p = normal(prior[0], (prior[1] / 2).exp()) if prior else normal(0.0, 1.0)
    return torch.distributions.kl_divergence(q, p).sum(-1)


def poly(torch, x, y):
    return torch.nn.functional.cross_entropy(x, y, reduction="none") + 2 * (
        1 - torch.softmax(x, -1).gather(1, y[:, None])[:, 0]
    )


def dice(torch, p, y):
    return 1 - (2 * (p * y).sum(1) + 1) / (p.sum(1) + y.sum(1) + 1)


def info_nce(torch, q, k):
    unit = torch.nn.functional.normalize
    return torch.nn.functional.cross_entropy(unit(q) @ unit(k).T / 0.07, torch.arange(6), reduction="none")


def penalty(torch, w, x, target):
    """(‖∇ₓ Σ tanh(x·w)‖ - target)², or ½·10·‖∇‖² for target None: a second derivative with respect to w."""
    x = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(torch.tanh(x @ w).sum(), x, create_graph=True)
    return 5 * gradient.square().sum(1) if target is None else (gradient.norm(dim=1) - target) ** 2


def critic(w):
    return lambda x: jnp.tanh(x @ w).sum(1)


bce = lambda torch, x, y: torch.nn.functional.binary_cross_entropy_with_logits(
    x, torch.full_like(x, y), reduction="none"
)
unguarded = {"guard": "none", "gradient": "straight_through"}
