"""L1, L2 and elastic net in softmax regression on digits (64 x 10 weights), 1,500 steps of Adam, at λ of 1e-3 and 1e-2.

Penalties are trained by their (sub)gradient as in the sheet, so no weight is exactly 0: a weight below 1e-3 counts as zero.
"""

from functools import cache

import jax
import jax.numpy as jnp

from jaxdl.data.image import vision
from jaxdl.losses.classification import cross_entropy
from jaxdl.losses.penalty import elastic_net
from jaxdl.optim import adam, schedules
from jaxdl.runs.claim_training import minimise
from jaxdl.runs.claims import Comparison, Study

STEPS = 1500


@cache
def trained_weights():
    """A compiled function (l1, l2, key) -> weights after training, accuracy on the test split."""
    arrays = lambda split: (jnp.asarray(split["x"].reshape(-1, 64)) / 16.0, jnp.asarray(split["y"]))
    (x, y), (tx, ty) = (arrays(vision.digits().splits[name]) for name in ("train", "test"))

    def train(l1, l2, key):
        transform = adam(schedules.warmup_cosine(peak=0.01, steps=STEPS))
        start = {"kernel": 0.1 * jax.random.normal(key, (64, 10))}
        rows = jax.random.randint(key, (STEPS, 64), 0, len(y))

        def loss(params, take):
            return cross_entropy(x[take] @ params["kernel"], y[take]).mean() + elastic_net(
                params, lambda1=l1, lambda2=l2
            )

        params = minimise(loss, start, transform, rows)
        return params["kernel"], jnp.mean((tx @ params["kernel"]).argmax(-1) == ty)

    return jax.jit(train)


def measure(*, what: str, seed: int, l1: float = 0.0, l2: float = 0.0) -> float:
    kernel, _ = trained_weights()(l1, l2, jax.random.key(seed))
    return float(jnp.mean(abs(kernel) < 1e-3) if what == "zeros" else -jnp.linalg.norm(kernel))


study = Study(
    measure=measure,
    settings={
        "zeros, L1 1e-3": {"what": "zeros", "l1": 1e-3},
        "zeros, L2 1e-2": {"what": "zeros", "l2": 1e-2},
        "zeros, elastic": {"what": "zeros", "l1": 1e-3, "l2": 1e-2},
        "zeros, none": {"what": "zeros"},
        "-norm, L2 1e-2": {"what": "norm", "l2": 1e-2},
        "-norm, L1 1e-3": {"what": "norm", "l1": 1e-3},
        "-norm, elastic": {"what": "norm", "l1": 1e-3, "l2": 1e-2},
        "-norm, none": {"what": "norm"},
    },
    comparisons=(
        Comparison("C32", "L1 makes weights sparse", "zeros, L1 1e-3", "zeros, none", 0.1, "against no penalty"),
        Comparison("C32", "L1 makes weights sparse", "zeros, L1 1e-3", "zeros, L2 1e-2", 0.1, "against L2"),
        Comparison("C33", "L2 keeps weights small", "-norm, L2 1e-2", "-norm, none", 0.5),
        Comparison("C34", "elastic net does both", "zeros, elastic", "zeros, none", 0.1, "sparse"),
        Comparison("C34", "elastic net does both", "-norm, elastic", "-norm, L1 1e-3", 0.5, "smaller than with L1"),
    ),
    unit="share of weights below 1e-3; minus the norm of the weights",
)
