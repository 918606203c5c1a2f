"""The tiny experiment with an NNX network: a list of layers, batch norm, dropout, a plain array.

Run: python -m jaxdl train tests/tiny_nnx.py
"""

import jax.numpy as jnp
from flax import nnx

from jaxdl import Experiment, main
from jaxdl.models.nnx import from_nnx
from jaxdl.optim import adamw
from jaxdl.tasks.classification import Classification
from tests.tiny import data


class Net(nnx.Module):
    def __init__(self, width: int, classes: int, rate: float = 0.0, *, rngs: nnx.Rngs):
        self.hidden = nnx.List([nnx.Linear(6, width, use_bias=False, rngs=rngs), nnx.Linear(width, width, rngs=rngs)])
        self.norm = nnx.BatchNorm(width, momentum=0.9, rngs=rngs)
        self.drop = nnx.Dropout(rate, rngs=rngs)
        self.head = nnx.Linear(width, classes, rngs=rngs)
        self.ones = jnp.ones(width)

    def __call__(self, x):
        first, second = self.hidden
        x = nnx.relu(self.norm(first(x) * self.ones[None]))
        return self.head(self.drop(nnx.relu(second(x))))


def config(
    *, steps: int = 24, width: int = 8, lr: float = 0.01, rate: float = 0.1, batch: int = 16, seed: int = 0
) -> Experiment:
    """An NNX network on 64 rows."""
    return Experiment(
        data=data(batch),
        task=Classification(model=from_nnx(Net, width, classes=3, rate=rate)),
        optimizer=adamw(lr, decay=0.01),
        steps=steps,
        eval_every=12,
        seed=seed,
    )


if __name__ == "__main__":
    main(config)
