"""Which digits stand in a picture: multi-label classification.

Source: digits of Alpaydin and Kaynak, two or three of them in one picture; the sheet's CNN with one yes-or-no answer per digit.
Run:    python -m experiments.digits_multilabel
Cost:   21 s on two cores (AMD EPYC), including compilation: 34 CPU seconds.
Expect: test split, mean ± standard deviation over seeds 0-2 (`python -m jaxdl record digits_multilabel --seed 0:3`):

    average precision, mean over the ten digits    95.9 ± 0.4 %    (logistic regression on the pixels 48.9 %, a constant 22.8 %)
    F1, mean over the ten digits                   0.891 ± 0.007
    pictures with every digit right                62.9 ± 1.2 %
"""

from functools import cache

import numpy as np

from jaxdl import Experiment, main
from jaxdl.augment import image
from jaxdl.data.image import vision
from jaxdl.data.source import InMemory
from jaxdl.data.table.columns import from_columns
from jaxdl.layers.normalization import BatchNorm
from jaxdl.models.cnn import CNN
from jaxdl.optim import adamw, schedules
from jaxdl.tasks.multilabel import MultiLabelClassification

SIZES = {"train": 3000, "validation": 500, "test": 500}
CELL = 10
"""Pixels of a cell, in which a digit of 8x8 pixels stands anywhere; a picture has 2 x 3 of them."""


@cache
def pictures(batch: int) -> InMemory:
    """Pictures of 20x30 pixels with two or three digits, those of a split from the digits of that split alone."""
    digits, parts = vision.digits(), {}
    for number, (part, size) in enumerate(SIZES.items()):
        x, y = digits.splits[part]["x"][..., 0], digits.splits[part]["y"]
        rng, rows = np.random.default_rng(number), []
        for _ in range(size):
            picture, chosen = np.zeros((2 * CELL, 3 * CELL), np.uint8), rng.integers(len(y), size=rng.integers(2, 4))
            for i, cell in zip(chosen, rng.permutation(6), strict=False):
                top, left = np.array(divmod(cell, 3)) * CELL + rng.integers(0, CELL - 7, 2)
                picture[top : top + 8, left : left + 8] = x[i] * 15.9375  # 16 is white: 255
            rows.append({"picture": picture, "digits": [str(y[i]) for i in chosen]})
        parts[part] = rows
    return from_columns(parts, x="picture", y="digits", batch=batch, name="pictures of two or three digits")


def config(
    *,
    epochs: int = 20,
    batch: int = 64,
    lr: float = 3e-3,
    decay: float = 0.01,
    rate: float = 0.2,
    shift: int = 2,
    seed: int = 0,
) -> Experiment:
    """The cheat sheet's CNN on pictures of two or three digits.

    Args:
        epochs: passes over the training split.
        batch: pictures per step.
        lr: peak learning rate; linear warm-up, then cosine decay to zero.
        decay: decoupled weight decay.
        rate: dropout before the last layer.
        shift: maximum shift of a training picture, in pixels.
        seed: random seed of the initialization, the data order, the dropout and the shifts.
    """
    data = pictures(batch)
    steps = epochs * data.steps_per_epoch
    model = CNN(classes=10, norm=BatchNorm, rate=rate)
    return Experiment(
        data=data,
        augment=(image.crop(pad=shift),) if shift else (),
        task=MultiLabelClassification(model=model),
        optimizer=adamw(schedules.warmup_cosine(peak=lr, steps=steps), decay=decay),
        steps=steps,
        eval_every=2 * data.steps_per_epoch,
        seed=seed,
    )


if __name__ == "__main__":
    main(config)
