"""Attention: the scale 1/√d, and that it cannot tell an order without positional encodings."""

import jax
import jax.numpy as jnp

from jaxdl.layers.attention import MultiHead, attention_weights
from jaxdl.layers.position import Rotary, sinusoidal
from jaxdl.runs.claims import Comparison, Fact, Study

KEYS = 32


def measure(*, dim: int, scaled: bool, seed: int) -> float:
    """Mean entropy of the weights of Gaussian queries and keys, divided by log(keys)."""
    q, k = jax.random.normal(jax.random.key(seed), (2, 1, KEYS, 1, dim))
    weights = attention_weights(q, k, scale=None if scaled else 1.0)
    entropy = -jnp.sum(weights * jnp.log(jnp.maximum(weights, 1e-30)), -1)
    return float(entropy.mean() / jnp.log(KEYS))


def order() -> tuple[str, str]:
    """Attention of permuted inputs is the permuted attention; with positions it is another."""
    x = jax.random.normal(jax.random.key(0), (1, 10, 16))
    swap = jax.random.permutation(jax.random.key(1), 10)

    def gap(layer, x, y):
        variables = layer.init(jax.random.key(2), x, train=False)
        return float(
            abs(layer.apply(variables, x, train=False)[:, swap] - layer.apply(variables, y, train=False)).max()
        )

    table = sinusoidal(jnp.arange(10)[None], 16)
    gaps = {
        "none": gap(MultiHead(16, 4), x, x[:, swap]),
        "sine and cosine": gap(MultiHead(16, 4), x + table, x[:, swap] + table),
        "rotary": gap(MultiHead(16, 4, relative=Rotary()), x, x[:, swap]),
    }
    held = gaps["none"] < 1e-5 and min(gaps["sine and cosine"], gaps["rotary"]) > 1e-2
    said = ", ".join(f"{name} {value:.1e}" for name, value in gaps.items())
    return ("holds" if held else "wrong"), f"a permutation of the input changes the outputs by: {said}"


study = Study(
    measure=measure,
    settings={
        f"d = {dim}, {'1/√d' if scaled else 'no scale'}": {"dim": dim, "scaled": scaled}
        for dim in (8, 64, 512)
        for scaled in (True, False)
    },
    comparisons=tuple(
        Comparison("C60", "√d keeps softmax from saturating", f"d = {d}, 1/√d", f"d = {d}, no scale", 0.1, f"d = {d}")
        for d in (512, 64, 8)
    ),
    facts=(Fact("C61", "positional encodings let a model learn order", order),),
    unit="entropy of the attention weights, as a share of the largest",
)
