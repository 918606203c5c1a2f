"""Plain SGD on an ill-conditioned quadratic, f(w) = Σ_i λ_i w_i² / 2 with λ from 1 to 1/100, over its learning rate η.

A coordinate follows w_i(t) = (1 - η λ_i)^t w_i(0): it changes its sign at every step where η λ_i > 1, and grows where η λ_i > 2.
The value is the share of steps that change the sign of a coordinate, of 50 coordinates over 200 steps. A seed is a start and
the noise of the gradients (standard deviation 0.01), as of small batches.
"""

import jax
import jax.numpy as jnp
import optax

from jaxdl.optim import sgd
from jaxdl.runs.claim_training import population
from jaxdl.runs.claims import Comparison, Fact, Study

CURVATURE = jnp.geomspace(1e-2, 1.0, 50)
STEPS = 200


def path(lr, start, noise):
    """The points of a descent."""
    transform = sgd(lr)

    def step(carry, noise):
        w, state = carry
        updates, state = transform.update(CURVATURE * w + noise, state, w)
        w = optax.apply_updates(w, updates)
        return (w, state), w

    return jax.lax.scan(step, (start, transform.init(start)), noise)[1]


def train(key, *, lr: float):
    first, second = jax.random.split(key)
    start = jax.random.normal(first, (50,))
    noise = 0.01 * jax.random.normal(second, (STEPS, 50))
    points = jnp.concatenate([start[None], path(lr, start, noise)])
    return (points[1:] * points[:-1] < 0).mean()


def closed_form() -> tuple[str, str]:
    """Without noise the sign changes exactly where η λ > 1, and the descent is the power of 1 - η λ."""
    start, lr, steps = jnp.ones(50), 1.9, 20
    points = path(lr, start, jnp.zeros((steps, 50)))
    powers = (1 - lr * CURVATURE)[None] ** jnp.arange(1, steps + 1)[:, None]
    gap = float(abs(points - powers).max())
    turning = int((points[0] < 0).sum())
    expected = int((lr * CURVATURE > 1).sum())
    held = gap < 1e-5 and turning == expected
    said = f"at η = {lr} {turning} of 50 coordinates alternate, as η λ > 1 says; {gap:.0e} from (1 - η λ)^t"
    return ("holds" if held else "wrong"), said


WHY = "plain SGD can oscillate"
study = Study(
    measure=population(train, block=12),
    settings={f"η = {lr:g}": {"lr": lr} for lr in (0.1, 0.5, 0.9, 1.4, 1.9)},
    comparisons=(
        Comparison("C35", WHY, "η = 1.9", "η = 0.1", 0.05, "η = 1.9 of at most 2, against 0.1"),
        Comparison("C35", WHY, "η = 1.4", "η = 0.1", 0.05, "η = 1.4, against 0.1"),
        Comparison("C35", WHY, "η = 0.9", "η = 0.1", 0.05, "η = 0.9: no η λ above 1, only noise"),
    ),
    facts=(Fact("C35", "plain SGD can oscillate: the closed form", closed_form),),
    unit="share of steps that change the sign of a coordinate",
)
