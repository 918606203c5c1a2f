"""AdamW against Adam with an L2 penalty, over rate and decay: 500 images of clothing (halved to 14x14), a dense network 196-64.

300 steps on batches of 32. Three rates (1e-3, 3e-3, 1e-2) and five strengths: 0.1 to 10 decoupled, 1e-4 to 1e-2 as a penalty
λ/2 · |w|². "best": test accuracy of the pair that is best on the validation split. "transfer": what a strength that was chosen
at the middle rate loses at the two other rates, against the strength chosen there, in test accuracy (the claim of Loshchilov and
Hutter 2019: the optima of rate and decay decouple, so AdamW loses less). A seed draws the images and the start.
"""

import jax
import jax.numpy as jnp

from jaxdl.losses.classification import cross_entropy
from jaxdl.optim import adam, adamw
from jaxdl.runs.claim_training import minimise, population, small_clothing
from jaxdl.runs.claims import Comparison, Study

STEPS, BATCH, IMAGES = 300, 32, 500
RATES = jnp.array([1e-3, 3e-3, 1e-2])
STRENGTHS = {"adamw": jnp.array([0.1, 0.3, 1, 3, 10]), "l2": jnp.array([1e-4, 3e-4, 1e-3, 3e-3, 1e-2])}


def forward(params, x):
    return jax.nn.relu(x @ params["in"]["kernel"] + params["in"]["bias"]) @ params["out"]["kernel"]


def train(key, *, how: str):
    first, second, draw, order = jax.random.split(key, 4)
    (x, y), (vx, vy), (tx, ty) = (tuple(map(jnp.asarray, small_clothing(s))) for s in ("train", "validation", "test"))
    keep = jax.random.choice(draw, len(y), (IMAGES,), replace=False)
    rows = keep[jax.random.randint(order, (STEPS, BATCH), 0, IMAGES)]
    params = {
        "in": {"kernel": (2 / 196) ** 0.5 * jax.random.normal(first, (196, 64)), "bias": jnp.zeros(64)},
        "out": {"kernel": (1 / 64) ** 0.5 * jax.random.normal(second, (64, 10))},
    }

    def accuracies(rate, strength):
        transform = adamw(rate, decay=strength) if how == "adamw" else adam(rate)

        def loss(params, take):
            squares = sum((layer["kernel"] ** 2).sum() for layer in params.values())
            penalty = 0.5 * strength * squares if how == "l2" else 0.0
            return cross_entropy(forward(params, x[take]), y[take]).mean() + penalty

        last = minimise(loss, params, transform, rows)
        return tuple((forward(last, x).argmax(-1) == y).mean() for x, y in ((vx, vy), (tx, ty)))

    over = jax.vmap(jax.vmap(accuracies, (None, 0)), (0, None))
    chosen, value = over(RATES, STRENGTHS[how])
    best = value.ravel()[chosen.argmax()]
    own = jnp.take_along_axis(value, chosen.argmax(1)[:, None], 1)[:, 0]
    return jnp.stack([best, (value[:, chosen[1].argmax()] - own)[jnp.array([0, 2])].mean()])


both = population(train)


def measure(*, what: int, how: str, seed: int) -> float:
    return both(seed=seed, how=how)[what]


CLAIM = "AdamW is better than Adam with L2"
study = Study(
    measure=measure,
    settings={
        f"{name}, {how}": {"what": what, "how": how}
        for what, name in enumerate(("best", "transfer"))
        for how in ("adamw", "l2")
    },
    comparisons=(
        Comparison("C42", CLAIM, "best, adamw", "best, l2", 0.005, "both at their best"),
        Comparison("C42", CLAIM, "transfer, adamw", "transfer, l2", 0.005, "a decay chosen at another rate"),
    ),
    unit="test accuracy; its change by a decay of another rate",
)
