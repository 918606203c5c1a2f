"""Outputs for two classes: T-shirts against shirts (clothing halved to 14x14, the pair that is hardest to tell apart).

A dense network 196-64 with one of four outputs, 400 steps of Adam (3e-3) on batches of 32 of 1,800 images: a sigmoid with binary
cross-entropy; softmax of two; a linear output with squared error, clipped to [0, 1]; tanh with squared error, moved to [0, 1].
Values on 400 test images: the Brier score, and the calibration error in ten bins of equal width.
"""

from functools import cache

import jax
import jax.numpy as jnp

from jaxdl.losses.classification import binary_cross_entropy, cross_entropy
from jaxdl.optim import adam
from jaxdl.runs.claim_training import minimise, population, small_clothing
from jaxdl.runs.claims import Comparison, Study

STEPS, BATCH, SHIRT = 400, 32, 6


@cache
def split(name: str):
    x, y = small_clothing(name)
    pair = (y == 0) | (y == SHIRT)
    return x[pair], (y[pair] == SHIRT).astype("int32")


def forward(params, x):
    return jax.nn.relu(x @ params["in"] + params["bias"]) @ params["out"] + params["top"]


def loss(z, y, head: str):
    if head == "softmax":
        return cross_entropy(z, y).mean()
    if head == "sigmoid":
        return binary_cross_entropy(z[:, 0], y).mean()
    return jnp.mean(((z[:, 0] if head == "linear" else (jnp.tanh(z[:, 0]) + 1) / 2) - y) ** 2)


def probability(z, head: str):
    if head == "softmax":
        return jax.nn.softmax(z)[:, 1]
    if head == "sigmoid":
        return jax.nn.sigmoid(z[:, 0])
    return jnp.clip(z[:, 0], 0, 1) if head == "linear" else (jnp.tanh(z[:, 0]) + 1) / 2


def train(key, *, head: str):
    first, second, order = jax.random.split(key, 3)
    (x, y), (tx, ty) = (tuple(map(jnp.asarray, split(name))) for name in ("train", "test"))
    outputs = 2 if head == "softmax" else 1
    params = {
        "in": (2 / 196) ** 0.5 * jax.random.normal(first, (196, 64)),
        "bias": jnp.zeros(64),
        "out": (1 / 64) ** 0.5 * jax.random.normal(second, (64, outputs)),
        "top": jnp.zeros(outputs),
    }
    rows = jax.random.randint(order, (STEPS, BATCH), 0, len(y))
    params = minimise(lambda p, take: loss(forward(p, x[take]), y[take], head), params, adam(3e-3), rows)
    p = probability(forward(params, tx), head)
    bins = jax.nn.one_hot(jnp.minimum((10 * p).astype(int), 9), 10)
    return jnp.stack([((p - ty) ** 2).mean(), abs(((p - ty)[:, None] * bins).sum(0)).sum() / len(ty)])


both = population(train, block=12)


def measure(*, what: int, head: str, seed: int) -> float:
    return both(seed=seed, head=head)[what]


CLAIM = "sigmoid for binary outputs"
study = Study(
    measure=measure,
    settings={
        **{f"Brier, {head}": {"what": 0, "head": head} for head in ("sigmoid", "softmax", "linear", "tanh")},
        **{f"calibration, {head}": {"what": 1, "head": head} for head in ("sigmoid", "linear")},
    },
    comparisons=(
        Comparison("C21", CLAIM, "Brier, sigmoid", "Brier, linear", 0.003, "against a linear output"),
        Comparison("C21", CLAIM, "Brier, sigmoid", "Brier, tanh", 0.003, "against tanh"),
        Comparison("C21", CLAIM, "Brier, sigmoid", "Brier, softmax", 0.003, "like softmax of two", alike=True),
        Comparison("C21", CLAIM, "calibration, sigmoid", "calibration, linear", 0.01, "calibration"),
    ),
    unit="Brier score; expected calibration error",
    smaller=True,
)
