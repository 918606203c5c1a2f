"""Likelihoods of autoencoders, and the calls of an encoder and a decoder inside an objective."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jaxdl.losses import variational as losses
from jaxdl.tasks.forward import forward
from jaxdl.types import Array, Key, ModelState, Params, UserError


@dataclass(frozen=True)
class Bernoulli:
    """Likelihood of binary pixels, or of their probabilities in [0, 1]; the decoder gives logits."""

    def __call__(self, outputs: Array, x: Array) -> Array:
        return losses.bernoulli_reconstruction(outputs, x)

    def mean(self, outputs: Array) -> Array:
        return jax.nn.sigmoid(outputs.astype(jnp.float32))


@dataclass(frozen=True)
class Gaussian:
    """Normal likelihood with the standard deviation `sigma` for all values; the decoder gives the mean."""

    sigma: float = 1.0

    def __call__(self, outputs: Array, x: Array) -> Array:
        variance = 2 * jnp.log(jnp.asarray(self.sigma, jnp.float32))
        return losses.gaussian_reconstruction(outputs, x.astype(jnp.float32), log_variance=variance)

    def mean(self, outputs: Array) -> Array:
        return outputs.astype(jnp.float32)


class Coder:
    """Encode and decode with a model inside an objective; `model_state` is updated by each call."""

    def __init__(self, model: Any, params: Params, model_state: ModelState, key: Key, train: bool):
        self.model, self.params, self.model_state, self.key, self.train = model, params, model_state, key, train

    def run(self, method: str, x: Array) -> Any:
        outputs, self.model_state = forward(
            self.model, self.params, self.model_state, x, key=self.key, train=self.train, method=method
        )
        return outputs

    def encode(self, x: Array) -> tuple[Array, dict[str, Array]]:
        return self.run("encode", x)

    def decode(self, z: Array, like: Array) -> Array:
        """The decoder's outputs in the shape of the examples."""
        outputs = self.run("decode", z)
        if outputs.size != like.size:
            raise UserError(f"the decoder gives {outputs.shape[1:]} for inputs of shape {like.shape[1:]}")
        return outputs.reshape(like.shape)
