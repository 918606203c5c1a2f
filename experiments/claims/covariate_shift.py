"""Internal covariate shift, with and without batch norm: five dense layers of 64 on clothing (halved to 14x14), plain SGD.

300 steps at a rate of 0.1 on batches of 64. Two definitions, both for the fourth layer:

    moments: how far the means of its inputs move in 10 steps, in their standard deviations, on 256 images (Ioffe and Szegedy
             2015: the change of the distribution of a layer's inputs as the layers before it are trained)
    gradient: 1 - cosine between its gradient before and after the layers below it are updated, on the same batch (Santurkar
             et al. 2018, arXiv:1805.11604, who found it no smaller with batch norm)
"""

import jax
import jax.numpy as jnp

from jaxdl.losses.classification import cross_entropy
from jaxdl.runs.claim_training import population, small_clothing
from jaxdl.runs.claims import Comparison, Study

STEPS, BATCH, RATE, LAYER, APART = 300, 64, 0.1, 3, 10
SIZES = (196, 64, 64, 64, 64, 64, 10)


def forward(params, x, norm: bool):
    """Logits, and the inputs of LAYER."""
    seen = x
    for i, layer in enumerate(params):
        seen = x if i == LAYER else seen
        x = x @ layer["w"] + layer["b"]
        if i < len(params) - 1:
            if norm:
                x = (x - x.mean(0)) * jax.lax.rsqrt(x.var(0) + 1e-5) * layer["scale"] + layer["shift"]
            x = jax.nn.relu(x)
    return x, seen


def train(key, *, norm: bool):
    start, order = jax.random.split(key)
    x, y = map(jnp.asarray, small_clothing("train"))
    pairs = zip(jax.random.split(start, len(SIZES) - 1), SIZES[:-1], SIZES[1:], strict=True)
    params = [
        {
            "w": (2 / n) ** 0.5 * jax.random.normal(k, (n, m)),
            **{"b": jnp.zeros(m), "scale": jnp.ones(m), "shift": jnp.zeros(m)},
        }
        for k, n, m in pairs
    ]
    loss = lambda params, take: cross_entropy(forward(params, x[take], norm)[0], y[take]).mean()

    def step(params, take):
        grads = jax.grad(loss)(params, take)
        moved = jax.tree.map(lambda p, g: p - RATE * g, params, grads)
        again = jax.grad(loss)([*moved[:LAYER], *params[LAYER:]], take)[LAYER]["w"]
        before = grads[LAYER]["w"]
        cosine = (before * again).sum() / (jnp.linalg.norm(before) * jnp.linalg.norm(again) + 1e-12)
        seen = forward(params, x[:256], norm)[1]
        return moved, (1 - cosine, seen.mean(0), seen.std(0))

    _, (angle, mean, std) = jax.lax.scan(step, params, jax.random.randint(order, (STEPS, BATCH), 0, len(y)))
    shift = abs(mean[APART:] - mean[:-APART]) / (std[:-APART].mean(-1, keepdims=True) + 1e-6)
    return jnp.stack([shift.mean(), angle.mean()])


both = population(train, block=12)


def measure(*, what: int, norm: bool, seed: int) -> float:
    return both(seed=seed, norm=norm)[what]


CLAIM = "batch norm reduces internal covariate shift"
study = Study(
    measure=measure,
    settings={
        f"{name}, {'batch norm' if norm else 'none'}": {"what": what, "norm": norm}
        for what, name in enumerate(("moments", "gradient"))
        for norm in (True, False)
    },
    comparisons=(
        Comparison("C46", CLAIM, "moments, batch norm", "moments, none", 0.02, "means of the inputs"),
        Comparison("C46", CLAIM, "gradient, batch norm", "gradient, none", 0.02, "direction of the gradient"),
    ),
    unit="shift of means in standard deviations; 1 - cosine",
    smaller=True,
)
