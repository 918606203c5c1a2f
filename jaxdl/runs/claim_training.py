"""What the studies of the claims share: small images, the training loop, and many seeds in one program."""

from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from jaxdl.data.image import vision
from jaxdl.losses.classification import cross_entropy
from jaxdl.optim import adamw, schedules


@cache
def small_clothing(split: str) -> tuple[Float[np.ndarray, "n 196"], Int[np.ndarray, "n"]]:
    """The images of `vision.clothing()` halved to 14x14, flat, in [-0.3, 0.7], and their labels."""
    part = vision.clothing().splits[split]
    halved = part["x"].reshape(-1, 14, 2, 14, 2).mean((2, 4)).reshape(-1, 196) / 255.0
    return (halved - 0.3).astype("float32"), part["y"]


def minimise(
    loss: Callable[[Any, Any], Array], params: Any, transform: optax.GradientTransformation, batches: Any
) -> Any:
    """The parameters after one step of the optimizer for each element of `batches`, on `loss(params, element)`."""

    def step(carry: tuple[Any, Any], batch: Any) -> tuple[tuple[Any, Any], None]:
        params, state = carry
        updates, state = transform.update(jax.grad(loss)(params, batch), state, params)
        return (optax.apply_updates(params, updates), state), None

    return jax.lax.scan(step, (params, transform.init(params)), batches)[0][0]


@cache
def clothing_trainer(
    network: Any, *, images: int, steps: int, lr: float = 0.0, batch: int = 32, transform: Any = None
) -> Callable[[int], float]:
    """A function of a seed: test accuracy of a module `(x, *, train) -> logits` after training on clothing.

    `transform` is an optimizer; None: AdamW with a warm-up to `lr` and a cosine decay.

    The seed draws the images, the initialization and the order; x is (n, 28, 28, 1), in [-0.3, 0.7]. One program for all seeds.
    """
    parts = [vision.clothing().splits[name] for name in ("train", "test")]
    data = [(jnp.asarray(part["x"] / 255.0 - 0.3, jnp.float32), jnp.asarray(part["y"])) for part in parts]
    if transform is None:
        transform = adamw(schedules.warmup_cosine(peak=lr, steps=steps), decay=0.01)

    def train(x: Array, y: Array, test: Array, labels: Array, key: Array) -> Array:
        which, start, order = jax.random.split(key, 3)
        chosen = jax.random.permutation(which, len(y))[:images]

        def loss(params: Any, key: Array) -> Array:
            rows = chosen[jax.random.randint(key, (batch,), 0, images)]
            return cross_entropy(network.apply(params, x[rows], train=True), y[rows]).mean()

        params = minimise(loss, network.init(start, x[:1], train=False), transform, jax.random.split(order, steps))
        guess = lambda x: network.apply(params, x, train=False).argmax(-1)
        return jnp.mean(jax.lax.map(guess, test.reshape(20, -1, *test.shape[1:])).reshape(-1) == labels)

    program = jax.jit(train)
    return lambda seed: float(program(*data[0], *data[1], jax.random.key(seed)))


def population(train: Callable[..., jax.Array], block: int = 4) -> Callable[..., Any]:
    """A measure: `train(key, **setting)`, pure in JAX, for a block of seeds in one program by `vmap`.

    A float of a setting is traced; every other value decides the program.
    """

    @cache
    def program(static: tuple[tuple[str, Any], ...]) -> Callable[..., jax.Array]:
        alone = lambda seed, traced: train(jax.random.key(seed), **dict(static), **traced)
        return jax.jit(jax.vmap(alone, in_axes=(0, None)))

    @cache
    def values(first: int, setting: tuple[tuple[str, Any], ...]) -> list[Any]:
        traced = {name: value for name, value in setting if isinstance(value, float)}
        static = tuple(item for item in setting if item[0] not in traced)
        return program(static)(jnp.arange(first, first + block), traced).tolist()

    return lambda *, seed, **setting: values(seed - seed % block, tuple(setting.items()))[seed % block]
