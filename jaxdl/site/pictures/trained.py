"""Small models that some pictures show at work: each is trained in a second or two, once per process, on bundled data.

Each function is one compiled program that initialises, trains and applies a model of `jaxdl.models`; it returns NumPy arrays.
"""

from functools import cache
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxdl import losses
from jaxdl.data.image import vision
from jaxdl.models.cnn import CNN
from jaxdl.optim import adamw, schedules
from jaxdl.runs.claim_training import minimise


@cache
def digits_arrays(split: str) -> tuple[np.ndarray, np.ndarray]:
    """Images `(n, 8, 8, 1)` in [0, 1], and their labels."""
    part = vision.digits().splits[split]
    return (part["x"] / 16.0).astype(np.float32), np.asarray(part["y"])


class Trained(NamedTuple):
    """A model, its variables, and its accuracy on the test split."""

    model: Any
    params: Any
    accuracy: float


@cache
def digits_cnn() -> Trained:
    """The sheet's network on 8x8 digits."""
    model, steps, batch = CNN(classes=10), 200, 48
    transform = adamw(schedules.warmup_cosine(peak=4e-3, steps=steps), decay=0.01)

    def train(x: jax.Array, y: jax.Array, test: jax.Array, key: jax.Array) -> tuple[Any, jax.Array]:
        start, order = jax.random.split(key)
        rows = jax.random.randint(order, (steps, batch), 0, len(y))

        def loss(params: Any, rows: jax.Array) -> jax.Array:
            return losses.cross_entropy(model.apply(params, x[rows], train=True), y[rows]).mean()

        params = minimise(loss, model.init(start, x[:1], train=False), transform, rows)
        return params, model.apply(params, test, train=False).argmax(-1)

    test, truth = digits_arrays("test")
    params, found = jax.device_get(jax.jit(train)(*digits_arrays("train"), test, jax.random.key(0)))
    return Trained(model, params, float((found == truth).mean()))
