"""A GAN on points of the plane: two players, two optimizers, an average of the generator alone."""

import numpy as np

from jaxdl import Experiment, main
from jaxdl.data.stream import InMemory
from jaxdl.models.gan import MLPCritic, MLPGenerator
from jaxdl.optim import adam
from jaxdl.tasks.adversarial import Adversarial


def points(count: int, first: int) -> dict[str, np.ndarray]:
    """On a square around zero, by whole-number arithmetic."""
    index = np.arange(first, first + count, dtype=np.int64)
    x = np.stack([(index * 37) % 101, (index * 53) % 97], 1) / 50 - 1
    return {"x": x.astype(np.float32), "y": (x[:, 0] > 0).astype(np.int32)}


DATA = InMemory(
    {"train": points(64, 0), "validation": points(24, 500)},
    16,
    name="square",
    split="64 and 24 points by formula",
    classes=("left", "right"),
)


def config(*, lr: float = 0.003, steps: int = 20, average: float = 0.9, seed: int = 0) -> Experiment:
    """Two small players.

    Args:
        lr: of both.
        steps: updates of the generator.
        average: decay of the average of the generator.
        seed: of everything random.
    """
    return Experiment(
        data=DATA,
        task=Adversarial(MLPGenerator(features=(8,)), MLPCritic((8,)), latent=2, r1=0.1),
        optimizer={"generator": adam(lr, b1=0.5), "critic": adam(lr, b1=0.5)},
        steps=steps,
        eval_every=10,
        ema=average,
        seed=seed,
    )


if __name__ == "__main__":
    main(config)
