"""Autoencoders against PCA: how much of the variance of unseen clothing (28x28) a code of 2, 8 or 32 numbers keeps.

The autoencoder is 784-128-code-128-784 with ReLU, 800 steps of 64 images. A seed draws 4,000 training images, for PCA the same,
and the weights.
"""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.data.image import vision
from jaxdl.metrics.reduction import pca
from jaxdl.models.autoencoder import Autoencoder
from jaxdl.models.mlp import MLP
from jaxdl.optim import adamw, schedules
from jaxdl.runs.claim_training import minimise
from jaxdl.runs.claims import Comparison, Study

STEPS, IMAGES = 800, 4000


@cache
def arrays(split: str) -> jax.Array:
    x = vision.clothing().splits[split]["x"]
    return jnp.asarray(x.reshape(len(x), -1) / 255.0, jnp.float32)


def kept(made: jax.Array, truth: jax.Array, mean: jax.Array) -> jax.Array:
    """1 - squared error / variance around the training mean."""
    return 1 - jnp.sum((made - truth) ** 2) / jnp.sum((truth - mean) ** 2)


@cache
def trained(width: int):
    """A compiled function (training images, test images, key) -> share of the variance that the autoencoder keeps."""
    model = Autoencoder(MLP((128,), width), MLP((128,), 784))
    transform = adamw(schedules.warmup_cosine(peak=3e-3, steps=STEPS), decay=0.0)

    def train(x, test, key):
        start, order = jax.random.split(key)
        mean = x.mean(0)
        params = model.init(start, x[:1], train=False)

        def loss(params, key):
            rows = x[jax.random.randint(key, (64,), 0, len(x))] - mean
            return jnp.mean((model.apply(params, rows, train=True) - rows) ** 2)

        params = minimise(loss, params, transform, jax.random.split(order, STEPS))
        return kept(model.apply(params, test - mean, train=False) + mean, test, mean)

    return jax.jit(train)


def measure(*, method: str, width: int, seed: int) -> float:
    draw, key = jax.random.split(jax.random.key(seed))
    x, test = jax.random.permutation(draw, arrays("train"))[:IMAGES], arrays("test")
    if method == "autoencoder":
        return float(trained(width)(x, test, key))
    linear = pca(np.asarray(x), width)
    return float(kept(linear.decode(linear.encode(np.asarray(test))), test, x.mean(0)))


study = Study(
    measure=measure,
    settings={
        f"{method}, {width}": {"method": method, "width": width}
        for width in (2, 8, 32)
        for method in ("autoencoder", "PCA")
    },
    comparisons=tuple(
        Comparison(
            "C11",
            "autoencoders reduce dimensions, better than PCA",
            f"autoencoder, {width}",
            f"PCA, {width}",
            0.01,
            f"a code of {width}",
        )
        for width in (8, 2, 32)
    ),
    unit="share of the test variance that is kept",
)
