"""Classifying clothing of 28x28: a CNN and MLPs, over the number of training images.

The CNN has 18,106 parameters, `mlp` 18,295, `wide mlp` 203,530. 300 steps of 32 images with AdamW. A seed draws the training
images (of 9,000), the initialization and the order.
"""

from functools import cache

import jax
import jax.numpy as jnp

from jaxdl.data.image import vision
from jaxdl.losses.classification import cross_entropy
from jaxdl.models.cnn import CNN
from jaxdl.models.mlp import MLP
from jaxdl.optim import adamw, schedules
from jaxdl.runs.claim_training import minimise
from jaxdl.runs.claims import Comparison, Study

MODELS = {  # model, peak of the learning rate
    "cnn": (CNN(features=(8, 32)), 5e-3),
    "mlp": (MLP(features=(23,)), 5e-3),
    "wide mlp": (MLP(features=(256,)), 2e-3),
}
STEPS = 300
CLAIM = "convolution and pooling suit images"


@cache
def arrays(split: str) -> tuple[jax.Array, jax.Array]:
    part = vision.clothing().splits[split]
    return jnp.asarray(part["x"] / 255.0, jnp.float32), jnp.asarray(part["y"])


@cache
def trained(model: str, images: int):
    """A compiled function of a key: the accuracy after training on some of the images."""
    network, lr = MODELS[model]
    (x, y), (test, labels) = arrays("train"), arrays("test")
    transform = adamw(schedules.warmup_cosine(peak=lr, steps=STEPS), decay=0.01)

    def train(x, y, test, labels, key):
        which, start, order = jax.random.split(key, 3)
        chosen = jax.random.permutation(which, len(y))[:images]
        params = network.init(start, x[:1], train=False)

        def loss(params, key):
            rows = chosen[jax.random.randint(key, (32,), 0, images)]
            return cross_entropy(network.apply(params, x[rows], train=True), y[rows]).mean()

        params = minimise(loss, params, transform, jax.random.split(order, STEPS))
        batches = test.reshape(10, -1, *test.shape[1:])
        guesses = jax.lax.map(lambda x: network.apply(params, x, train=False).argmax(-1), batches)
        return jnp.mean(guesses.reshape(-1) == labels)

    return jax.jit(train), (x, y, test, labels)


def measure(*, model: str, images: int, seed: int) -> float:
    program, data = trained(model, images)
    return float(program(*data, jax.random.key(seed)))


study = Study(
    measure=measure,
    settings={
        f"{model}, {images} images": {"model": model, "images": images}
        for images in (100, 1000, 8000)
        for model in MODELS
        if model != "wide mlp" or images == 8000
    },
    comparisons=(
        *(
            Comparison("C2", CLAIM, f"cnn, {n} images", f"mlp, {n} images", 0.01, f"MLP of equal size, {n} images")
            for n in (8000, 1000, 100)
        ),
        Comparison("C2", CLAIM, "cnn, 8000 images", "wide mlp, 8000 images", 0.01, "MLP eleven times the size"),
    ),
)
