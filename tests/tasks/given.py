"""A network that is known, and one training objective of a task with it, for the tests of tasks."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from tests.programs import one_program


class Given(nn.Module):
    """The outputs are the input."""

    classes: int | None = None

    @nn.compact
    def __call__(self, x, *, train):
        return x


def objective(task, batch):
    """The loss of a task without parameters in training, and its metrics as means."""
    run = lambda batch: task.objective({}, {}, batch, jax.random.key(0), jnp.int32(0), train=True)
    loss, (_, metrics) = one_program(run, batch)
    return loss, {name: total / weight for name, (total, weight) in metrics.items()}
