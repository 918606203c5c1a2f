"""Batch norm, an average of the parameters, weight decay and early stopping on 48 rows of three classes."""

import flax.linen as nn
import numpy as np

from jaxdl import Experiment, main
from jaxdl.data.stream import InMemory
from jaxdl.engine.stopping import EarlyStopping
from jaxdl.layers.normalization import BatchNorm
from jaxdl.optim import adamw, schedules
from jaxdl.tasks.classification import Classification


class Net(nn.Module):
    """Two layers; the name of the first holds the word "position", which once kept a kernel from decaying.

    A bias before batch norm would have no gradient but rounding errors, and Adam would make whole steps of them.
    """

    width: int = 8

    @nn.compact
    def __call__(self, x, *, train):
        x = nn.relu(BatchNorm()(nn.Dense(self.width, use_bias=False, name="composition")(x), train=train))
        return nn.Dense(3, name="head")(x)


def rows(count: int, first: int) -> dict[str, np.ndarray]:
    """Whole-number arithmetic, so that no generator of random numbers has a say: (count, 4) in [-1, 1) and a class."""
    index = np.arange(first, first + 4 * count, dtype=np.int64)
    x = ((index * 7919 + index**2 * 104729) % 1009 / 512 - 1).astype(np.float32).reshape(count, 4)
    score = np.stack([x[:, 0] + x[:, 1], x[:, 2] - x[:, 0], x[:, 3]], 1)
    return {"x": x, "y": score.argmax(1).astype(np.int32)}


DATA = InMemory(
    {"train": rows(48, 0), "validation": rows(20, 1000), "test": rows(12, 2000)},
    16,
    name="museum",
    split="48, 20 and 12 rows by formula",
    classes=("a", "b", "c"),
)


def config(*, lr: float = 0.05, steps: int = 40, patience: int = 2, average: float = 0.9, seed: int = 0) -> Experiment:
    """A small classifier.

    Args:
        lr: peak learning rate.
        steps: updates.
        patience: evaluations without a lower loss.
        average: decay of the average of the parameters.
        seed: of everything random.
    """
    return Experiment(
        data=DATA,
        task=Classification(model=Net()),
        optimizer=adamw(schedules.warmup_cosine(peak=lr, steps=steps), decay=0.5),
        steps=steps,
        eval_every=5,
        stop=EarlyStopping(metric="loss", mode="min", patience=patience),
        ema=average,
        seed=seed,
    )


if __name__ == "__main__":
    main(config)
