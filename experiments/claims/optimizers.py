"""SGD, momentum and Nesterov on an ill-conditioned quadratic, f(w) = Σ_i λ_i w_i² / 2 with λ from 1 to 1/100, of 50 dimensions.

Each optimizer has the best of its constant learning rates for 200 steps from another start; the value is log10 f. A seed is
a start, so that the settings are pairs.
"""

import jax
import jax.numpy as jnp
import optax

from jaxdl.optim import momentum, nesterov, sgd
from jaxdl.runs.claims import Comparison, Study

CURVATURE = jnp.geomspace(1e-2, 1.0, 50)
MAKE = {"sgd": sgd, "momentum": momentum, "nesterov": nesterov}
RATES = (0.03, 0.1, 0.3, 1.0, 1.9)


def after(name: str, lr: jax.Array, start: jax.Array, steps: int) -> jax.Array:
    """f after some steps."""
    transform = MAKE[name](lr)

    def step(carry, _):
        w, state = carry
        updates, state = transform.update(CURVATURE * w, state, w)
        return (optax.apply_updates(w, updates), state), None

    (w, _), _ = jax.lax.scan(step, (start, transform.init(start)), None, steps)
    return 0.5 * jnp.sum(CURVATURE * w**2)


def measure(*, optimizer: str, seed: int, steps: int = 200) -> float:
    start = jax.random.normal(jax.random.key(seed), (50,))
    found = jax.jit(jax.vmap(lambda lr: after(optimizer, lr, start, steps)))(jnp.array(RATES))
    return float(jnp.log10(jnp.nanmin(found)))


study = Study(
    measure=measure,
    settings={name: {"optimizer": name} for name in MAKE},
    comparisons=(
        Comparison("C36", "momentum converges faster than plain SGD", "momentum", "sgd", 0.3),
        Comparison("C37", "Nesterov converges better than momentum", "nesterov", "momentum", 0.3),
    ),
    unit="log10 of the loss after 200 steps",
    smaller=True,
)
