"""Vector quantization: vectors are replaced by the nearest codes, with a straight-through gradient."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxdl.counts import check_count, check_numbers
from jaxdl.tracing import data_axis

Vectors = Float[Array, "*batch dim"]


def nearest(h: Vectors, codes: Float[Array, "codes dim"]) -> Int[Array, "*batch"]:
    """Return the index of the nearest code, argmin_k ‖h - e_k‖²; the first of several equally near ones.

    >>> nearest(jnp.array([[0.9, 0.0], [0.2, 0.1]]), jnp.array([[0.0, 0.0], [1.0, 0.0]])).tolist()
    [1, 0]
    """
    lengths = jnp.square(codes).sum(-1)
    near = h.reshape(-1, h.shape[-1]) @ codes.T
    return jnp.argmin(lengths[None] - 2 * near, -1).reshape(h.shape[:-1])  # ‖h‖² does not depend on the code


def straight_through(h: Array, quantized: Array) -> Array:
    """Return `quantized` with the gradient of `h`: h + sg(e - h)."""
    return h + jax.lax.stop_gradient(quantized - h)


class VectorQuantizer(nn.Module):
    """Vector quantization layer of a VQ-VAE: replaces each vector h of the last axis by the nearest of `codes` vectors e.

    With a `decay` γ, the codes are moving averages of the vectors that are assigned to them and have no gradient. n_k is the
    number of vectors of the batch with code k:

        N_k ← γ·N_k + (1 - γ)·n_k        m_k ← γ·m_k + (1 - γ)·Σ_{i: k} h_i        e_k = m_k / N̂_k

    N̂ = (N + ε) / (ΣN + codes·ε) · ΣN avoids a division by 0 for unused codes. The collection `codebook` holds `count` `(codes,)`
    and `total` `(codes, dim)`. With `decay=None` the codes are the parameter `codes`, trained by `losses.variational.codebook`.

    Returns the codes with the gradient of h, and a dictionary with `h`, `quantized` and `index` for the losses.
    Source: van den Oord et al. 2017, arXiv:1711.00937, section 3 and appendix A.1.
    """

    codes: int = 512
    decay: float | None = 0.99
    eps: float = 1e-5
    codes_init: Any = nn.initializers.normal(1.0)

    @nn.compact
    def __call__(self, h: Vectors, *, train: bool) -> tuple[Vectors, dict[str, Array]]:
        check_count("codes", self.codes)
        check_numbers(0, 1, decay=self.decay)
        exact = h.astype(jnp.float32)
        size = (self.codes, h.shape[-1])
        count = total = None
        if self.decay is None:
            table = self.param("codes", self.codes_init, size, jnp.float32).astype(jnp.float32)
        else:
            count = self.variable("codebook", "count", jnp.ones, size[:1], jnp.float32)
            total = self.variable(
                "codebook", "total", lambda: self.codes_init(self.make_rng("params"), size, jnp.float32)
            )
            table = total.value / self.smoothed(count.value)[:, None]
        index = nearest(jax.lax.stop_gradient(exact), table)
        quantized = table[index]
        if count is not None and total is not None and train and not self.is_initializing():
            n, m = self.assigned(jax.lax.stop_gradient(exact), index)
            decay = jnp.asarray(self.decay, jnp.float32)
            count.value = decay * count.value + (1 - decay) * n
            total.value = decay * total.value + (1 - decay) * m
        about = {"h": h, "quantized": quantized, "index": index}
        return straight_through(exact, quantized).astype(h.dtype), about

    def smoothed(self, count: Float[Array, "codes"]) -> Float[Array, "codes"]:
        return (count + self.eps) / (count.sum() + self.codes * self.eps) * count.sum()

    def assigned(self, h: Vectors, index: Int[Array, "*batch"]) -> tuple[Array, Array]:
        """Return the number of vectors of the whole batch that have each code, and their sum."""
        chosen = jax.nn.one_hot(index.reshape(-1), self.codes, dtype=jnp.float32)
        found = chosen.sum(0), chosen.T @ h.reshape(-1, h.shape[-1])
        axis = data_axis()
        return found if axis is None else jax.lax.psum(found, axis)
