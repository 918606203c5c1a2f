"""Learned distances on unseen classes of clothing (halved to 14x14): five classes for training, the other five for the test.

A seed draws the classes. Dense networks 196-128-32 are trained by 400 steps of Adam (1e-3) on batches of 64 of 4,500 images. The
value is the accuracy of the nearest neighbour by cosine among 250 labelled images of the unseen classes, for 500 others.
Margins and scales were chosen before, as in the papers where 32 dimensions allow (scale 16; ArcFace 0.3, CosFace 0.2). "pixels"
trains nothing; the features of the classifier are what its last layer reads.
"""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.losses import margin, metric_learning
from jaxdl.losses.classification import cross_entropy
from jaxdl.optim import adam
from jaxdl.runs.claim_training import minimise, population, small_clothing
from jaxdl.runs.claims import Comparison, Study

STEPS, BATCH, DIM = 400, 64, 32


@cache
def by_class(name: str):
    """Images (class, image, 196)."""
    x, y = small_clothing(name)
    return np.stack([x[y == label] for label in range(10)])


def embed(params, x):
    return jax.nn.relu(x @ params["in"]) @ params["out"]


def loss(params, x, y, what: str):
    z = embed(params, x)
    if what == "contrastive":
        return metric_learning.paired_contrastive(metric_learning.normalize(z), y).mean()
    if what == "triplet":
        return metric_learning.mined_triplet(metric_learning.normalize(z), y).mean()
    if what == "classifier":
        return cross_entropy(jax.nn.relu(z) @ params["classes"], y).mean()
    weights = params["classes"] / jnp.linalg.norm(params["classes"], axis=0)
    cosines = metric_learning.normalize(z) @ weights
    if what == "arcface":
        return margin.arcface(cosines, y, margin=0.3, scale=16.0).mean()
    return margin.cosface(cosines, y, margin=0.2, scale=16.0).mean()


def train(key, *, what: str):
    draw, start, order = jax.random.split(key, 3)
    classes = jax.random.permutation(draw, 10)
    x = jnp.asarray(by_class("train"))[classes[:5]].reshape(-1, 196)
    y = jnp.repeat(jnp.arange(5), len(x) // 5)
    shapes = {"in": (196, 128), "out": (128, DIM), "classes": (DIM, 5)}
    keys = zip(jax.random.split(start, 3), shapes.items(), strict=True)
    params = {name: jax.random.normal(key, shape) * shape[0] ** -0.5 for key, (name, shape) in keys}
    if what != "pixels":
        rows = jax.random.randint(order, (STEPS, BATCH), 0, len(y))
        params = minimise(lambda p, take: loss(p, x[take], y[take], what), params, adam(1e-3), rows)
    unseen = jnp.asarray(by_class("test"))[classes[5:]]
    known, asked = unseen[:, :50].reshape(-1, 196), unseen[:, -100:].reshape(-1, 196)
    if what != "pixels":
        known, asked = embed(params, known), embed(params, asked)
    if what == "classifier":
        known, asked = jax.nn.relu(known), jax.nn.relu(asked)
    near = metric_learning.normalize(asked) @ metric_learning.normalize(known).T
    return (near.argmax(-1) // 50 == jnp.arange(len(asked)) // 100).mean()


RIVALS = (("classifier", "against a classifier's features"), ("pixels", "against pixels"))
CLAIMS = (
    ("C29", "contrastive loss pulls similar examples together and others apart", "contrastive", ""),
    ("C30", "triplets learn a metric", "triplet", ""),
    ("C31", "ArcFace and CosFace suit face recognition: unseen classes", "arcface", "ArcFace "),
    ("C31", "ArcFace and CosFace suit face recognition: unseen classes", "cosface", "CosFace "),
)
study = Study(
    measure=population(train),
    settings={
        what: {"what": what} for what in ("contrastive", "triplet", "arcface", "cosface", "classifier", "pixels")
    },
    comparisons=tuple(
        Comparison(number, claim, what, rival, 0.01, name + said)
        for number, claim, what, name in CLAIMS
        for rival, said in RIVALS
    ),
    unit="accuracy of the nearest neighbour on unseen classes",
)
