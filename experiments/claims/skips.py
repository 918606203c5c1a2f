"""Skip connections over depth: dense networks of 8, 20 and 56 hidden layers of 64 on clothing, plain and residual.

A block is two layers, each a product, batch norm and ReLU; the residual network adds the block's input to its output. Dense
layers in place of convolutions, for speed. 300 steps of 64 images with momentum; the norm of the test uses the test batch.
"""

from functools import cache

import jax
import jax.numpy as jnp

from jaxdl.data.image import vision
from jaxdl.layers.normalization import standardize
from jaxdl.losses.classification import cross_entropy
from jaxdl.optim import momentum, schedules
from jaxdl.runs.claim_training import minimise
from jaxdl.runs.claims import Comparison, Study

WIDTH, STEPS, CLAIM = 64, 300, "skip connections allow very deep nets"


@cache
def arrays(split: str) -> tuple[jax.Array, jax.Array]:
    part = vision.clothing().splits[split]
    return jnp.asarray(part["x"].reshape(len(part["y"]), -1) / 255.0, jnp.float32), jnp.asarray(part["y"])


@cache
def trained(depth: int, residual: bool):
    """A compiled function of a key: test accuracy."""
    transform = momentum(schedules.warmup_cosine(peak=0.05, steps=STEPS))

    def layer(x, weights):
        kernel, scale, shift = weights
        return jax.nn.relu(standardize(x @ kernel, (0,), 1e-5) * scale + shift)

    def forward(params, x):
        def block(x, weights):
            y = layer(layer(x, jax.tree.map(lambda w: w[0], weights)), jax.tree.map(lambda w: w[1], weights))
            return (x + y if residual else y), None

        x, _ = jax.lax.scan(block, layer(x, params["first"]), params["blocks"])
        return x @ params["last"]

    def weights(key, *shape):
        return jax.random.normal(key, shape) * (2 / shape[-2]) ** 0.5, *(
            f((*shape[:-2], shape[-1])) for f in (jnp.ones, jnp.zeros)
        )

    def train(x, y, test, truth, key):
        a, b, c, order = jax.random.split(key, 4)
        params = {"first": weights(a, 784, WIDTH), "blocks": weights(b, depth // 2, 2, WIDTH, WIDTH)}
        params["last"] = 0.1 * jax.random.normal(c, (WIDTH, 10))

        def loss(params, key):
            rows = jax.random.randint(key, (64,), 0, len(y))
            return cross_entropy(forward(params, x[rows]), y[rows]).mean()

        params = minimise(loss, params, transform, jax.random.split(order, STEPS))
        return jnp.mean(forward(params, test).argmax(-1) == truth)

    return jax.jit(train)


def measure(*, depth: int, residual: bool, seed: int) -> float:
    return float(trained(depth, residual)(*arrays("train"), *arrays("test"), jax.random.key(seed)))


study = Study(
    measure=measure,
    settings={
        f"{name}, {depth} layers": {"depth": depth, "residual": name == "residual"}
        for depth in (8, 20, 56)
        for name in ("residual", "plain")
    },
    comparisons=tuple(
        Comparison("C14", CLAIM, f"residual, {depth} layers", f"plain, {depth} layers", 0.01, f"{depth} layers")
        for depth in (56, 20, 8)
    ),
)
