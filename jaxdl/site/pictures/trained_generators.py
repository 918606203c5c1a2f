"""Small autoencoders and a GAN that some pictures show at work, each trained in a second or two on bundled images."""

from functools import cache
from itertools import pairwise
from statistics import NormalDist
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from jaxdl import losses
from jaxdl.losses.adversarial import nonsaturating
from jaxdl.models.autoencoder import Autoencoder, Normal
from jaxdl.models.gan import MLPCritic, MLPGenerator
from jaxdl.models.mlp import MLP
from jaxdl.optim import adam
from jaxdl.site.pictures.trained import brief_training, clothing_images, digit_images, drawn_rows, quick_jit


@cache
def trained_autoencoders() -> dict[int, dict[str, np.ndarray]]:
    """Width of the code -> `code` and `made`, the reconstruction, of the test digits, by a dense autoencoder."""

    def train(x: Array, test: Array) -> dict[int, dict[str, Array]]:
        found = {}
        for width in (2, 8):
            model: Any = Autoencoder(MLP((64, 32), width), MLP((32, 64), 64))

            def loss(params: Any, rows: Array, model: Any = model) -> Array:
                return losses.squared_error(model.apply(params, x[rows], train=True), x[rows]).mean()

            start = model.init(jax.random.key(0), x[:1], train=False)
            params = brief_training(loss, start, drawn_rows(jax.random.key(1), 600, 64, len(x)), peak=6e-3)
            code = model.apply(params, test, train=False, method="encode")[0]
            found[width] = {"code": code, "made": model.apply(params, code, train=False, method="decode")}
        return found

    flat = [digit_images(split)[0].reshape(-1, 64) for split in ("train", "test")]
    return jax.device_get(quick_jit(train)(*flat))


@cache
def trained_vae(rows: int = 6, columns: int = 16) -> Float[np.ndarray, "rows columns 28 28"]:
    """Clothing decoded from a grid of codes over the plane, evenly over the normal distribution, by a VAE."""
    model: Any = Autoencoder(MLP((128,), 4), MLP((128,), 784), Normal())

    def train(x: Array, codes: Array) -> Array:
        def loss(params: Any, given: tuple[Array, Array]) -> Array:
            rows, key = given
            _, terms = model.apply(params, x[rows], train=True, method="encode")
            noise = jax.random.normal(key, terms["mean"].shape)
            z = terms["mean"] + jnp.exp(0.5 * terms["log_variance"]) * noise
            logits = model.apply(params, z, train=True, method="decode")
            made = losses.binary_cross_entropy(logits, x[rows]).sum(-1)
            return (made + losses.kl_standard_normal(terms["mean"], terms["log_variance"])).mean()

        start = model.init(jax.random.key(0), x[:1], train=False)
        batches = drawn_rows(jax.random.key(1), 500, 48, len(x)), jax.random.split(jax.random.key(2), 500)
        params = brief_training(loss, start, batches, peak=3e-3)
        return jax.nn.sigmoid(model.apply(params, codes, train=False, method="decode"))

    across, down = ([NormalDist().inv_cdf(p) for p in np.linspace(0.03, 0.97, n)] for n in (columns, rows))
    codes = np.stack(np.meshgrid(across, down), -1).reshape(-1, 2).astype(np.float32)
    made = quick_jit(train)(clothing_images("train")[0].reshape(-1, 784), codes)
    return np.asarray(made).reshape(rows, columns, 28, 28)


@cache
def trained_gan() -> tuple[np.ndarray, list[int]]:
    """The ten digits that a dense conditional generator makes, at three times of training `(times, 10, 8, 8)`; the steps."""
    make: Any = MLPGenerator((64,), (128, 128), classes=10)
    judge: Any = MLPCritic((128, 128), classes=10)
    steps, batch, latent = 2000, 64, 8
    times, labels = [100, 400, steps], jnp.arange(10)

    def train(x: Array, y: Array, key: Array) -> list[Array]:
        start, noise, order = jax.random.split(key, 3)
        fixed = jax.random.normal(noise, (len(labels), latent))
        params = {
            "make": make.init(start, fixed, labels, train=False),
            "judge": judge.init(start, x[:1], y[:1], train=False),
        }
        rates: dict[Any, Any] = {"make": adam(5e-4, b1=0.5), "judge": adam(1e-3, b1=0.5)}
        tx = optax.multi_transform(rates, {name: name for name in rates})

        def loss(params: Any, real: Array, y: Array, z: Array) -> Array:
            still = jax.lax.stop_gradient
            fake = make.apply(params["make"], z, y, train=True)
            logits = [judge.apply(params["judge"], x, y, train=True) for x in (real, still(fake))]
            fooled = judge.apply(still(params["judge"]), fake, y, train=True)
            return (nonsaturating.critic(*logits) + nonsaturating.generator(fooled)).mean()

        def step(carry: tuple[Any, Any], key: Array) -> tuple[tuple[Any, Any], None]:
            params, state = carry
            draw, noise = jax.random.split(key)
            rows = jax.random.randint(draw, (batch,), 0, len(x))
            grads = jax.grad(loss)(params, x[rows], y[rows], jax.random.normal(noise, (batch, latent)))
            updates, state = tx.update(grads, state, params)
            return (optax.apply_updates(params, updates), state), None

        keys = jax.random.split(order, steps)
        found, carry = [], (params, tx.init(params))
        for begin, end in pairwise([0, *times]):
            carry, _ = jax.lax.scan(step, carry, keys[begin:end])
            found.append(make.apply(carry[0]["make"], fixed, labels, train=False))
        return found

    x, y = digit_images("train")
    made = quick_jit(train)(2 * x.reshape(-1, 64) - 1, y, jax.random.key(3))
    return np.clip((np.stack(made) + 1) / 2, 0, 1).reshape(len(times), 10, 8, 8), times
