"""Units that die: ReLU and Leaky ReLU in an MLP of four hidden layers on digits, plain SGD at a usual and at a high rate.

A unit is dead if it is 0 or below for every training image before the activation. The value is the share of units alive.
"""

from functools import cache
from itertools import pairwise

import jax
import jax.numpy as jnp

from jaxdl import activations
from jaxdl.data.image import vision
from jaxdl.losses.classification import cross_entropy
from jaxdl.runs.claims import Comparison, Study

WIDTHS = (64, 64, 64, 64, 64, 10)
STEPS = 1000


@cache
def trained(act: str):
    """A compiled function (rate, key) -> share of hidden units that are above 0 for some training image."""
    split = vision.digits().splits["train"]
    x, y = jnp.asarray(split["x"].reshape(-1, 64)) / 16.0, jnp.asarray(split["y"])
    function = getattr(activations, act)

    def forward(params, x):
        before = []
        for i, (w, b) in enumerate(params):
            z = x @ w + b[None]
            before.append(z)
            x = z if i == len(params) - 1 else function(z)
        return x, before[:-1]

    def train(rate, key):
        keys = jax.random.split(key, len(WIDTHS))
        sizes = pairwise(WIDTHS)
        params = [
            (jax.random.normal(k, s) * (2 / s[0]) ** 0.5, jnp.zeros(s[1])) for k, s in zip(keys, sizes, strict=False)
        ]

        def step(params, take):
            grads = jax.grad(lambda p: cross_entropy(forward(p, x[take])[0], y[take]).mean())(params)
            return jax.tree.map(lambda p, g: p - rate * g, params, grads), None

        rows = jax.random.randint(keys[-1], (STEPS, 64), 0, len(y))
        params, _ = jax.lax.scan(step, params, rows)
        alive = jnp.concatenate([(z > 0).any(0) for z in forward(params, x)[1]])
        return jnp.where(jnp.isfinite(params[0][0]).all(), alive.mean(), 0.0)

    return jax.jit(train)


def measure(*, act: str, rate: float, seed: int) -> float:
    return float(trained(act)(rate, jax.random.key(seed)))


study = Study(
    measure=measure,
    settings={
        f"{act}, lr {rate:g}": {"act": act, "rate": rate} for rate in (0.1, 0.3) for act in ("leaky_relu", "relu")
    },
    comparisons=tuple(
        Comparison(
            "C19", "Leaky ReLU avoids dying units", f"leaky_relu, lr {rate}", f"relu, lr {rate}", 0.02, f"lr {rate}"
        )
        for rate in ("0.3", "0.1")
    ),
    unit="share of units alive after 1,000 steps",
)
