"""The smallest experiment with everything in it: an MLP on 64 rows of three classes. What the tests train.

Run: python -m jaxdl train tests/tiny.py
"""

import numpy as np

from jaxdl import Experiment, main
from jaxdl.data.source import InMemory
from jaxdl.engine.stopping import EarlyStopping
from jaxdl.models.mlp import MLP
from jaxdl.optim import adamw, schedules
from jaxdl.tasks.classification import Classification


def rows(n: int, seed: int) -> dict[str, np.ndarray]:
    """Three noisy groups of points in six dimensions."""
    rng = np.random.default_rng(seed)
    y = np.arange(n, dtype=np.int32) % 3
    centers = np.random.default_rng(7).normal(size=(3, 6)) * 2
    return {"x": (centers[y] + rng.normal(size=(n, 6))).astype(np.float32), "y": y}


def data(batch: int) -> InMemory:
    """Made anew each time: equal arrays that may be written to count as the same, so whoever loads this file shares programs."""
    splits = {"train": rows(64, 0), "validation": rows(21, 1), "test": rows(12, 2)}
    return InMemory(splits, batch, name="tiny", split="64, 21 and 12 drawn rows", classes=("a", "b", "c"))


def config(
    *,
    steps: int = 24,
    batch: int = 16,
    width: int = 8,
    lr: float = 0.01,
    rate: float = 0.1,
    patience: int = 100,
    min_delta: float = 0.0,
    seed: int = 0,
) -> Experiment:
    """An MLP on 64 rows.

    Args:
        steps: updates.
        batch: examples in a step.
        width: units of the hidden layer.
        lr: peak learning rate.
        rate: dropout.
        patience: evaluations without a better accuracy.
        min_delta: what counts as better.
        seed: of everything random.
    """
    return Experiment(
        data=data(batch),
        task=Classification(model=MLP(features=(width,), classes=3, rate=rate)),
        optimizer=adamw(schedules.warmup_cosine(peak=lr, steps=steps), decay=0.01),
        steps=steps,
        eval_every=6,
        stop=EarlyStopping(patience=patience, min_delta=min_delta),
        seed=seed,
    )


if __name__ == "__main__":
    main(config)
