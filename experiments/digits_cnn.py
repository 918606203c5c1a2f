"""The cheat sheet's convolutional network on handwritten digits.

Source: the sheet's CNN (conv 32, ReLU, pool, conv 64, ReLU, pool, flatten, dense) on Alpaydin and Kaynak's digits (8x8).
Run:    python -m experiments.digits_cnn
Cost:   about 3 s on a 2-core x86 CPU, after compiling.
Expect: test accuracy, mean ± standard deviation over seeds 0-4 (logistic regression on the same split gives 98.1 %):

    --norm before   99.1 ± 0.2 %      batch norm between convolution and ReLU (default)
    --norm none     99.0 ± 0.3 %
    --norm after    98.7 ± 0.4 %      batch norm after the ReLU

Paired over seeds, mean [95 % interval], Wilcoxon's p:

    `default` against `--norm none`, accuracy: +0.0007435 [-0.00223, +0.004461], p = 1, n = 5

Five seeds show no difference between the positions of the norm. With the norm before the ReLU a run stops earlier: after 433
of 570 steps in the mean, after 501 without a norm.
"""

from functools import partial
from typing import Literal

from jaxdl import Experiment, main
from jaxdl.data.image import vision
from jaxdl.engine.stopping import EarlyStopping
from jaxdl.layers.normalization import BatchNorm
from jaxdl.losses.classification import cross_entropy
from jaxdl.models.cnn import CNN
from jaxdl.optim import adamw, schedules
from jaxdl.tasks.classification import Classification


def config(
    *,
    epochs: int = 30,
    batch: int = 64,
    lr: float = 3e-3,
    decay: float = 0.01,
    rate: float = 0.2,
    smoothing: float = 0.0,
    norm: Literal["none", "before", "after"] = "before",
    patience: int = 11,
    seed: int = 0,
) -> Experiment:
    """The cheat sheet's CNN on scikit-learn's digits.

    Args:
        epochs: passes over the training split.
        batch: examples per step.
        lr: peak learning rate; linear warm-up, then cosine decay to zero.
        decay: decoupled weight decay.
        rate: dropout before the last layer.
        smoothing: label smoothing.
        norm: batch norm before the ReLU, after it, or none.
        patience: stop after this many evaluations in a row without a better validation accuracy.
        seed: random seed of the initialization, the data order and the dropout.
    """
    data = vision.digits(batch=batch)
    steps = epochs * data.steps_per_epoch
    model = CNN(
        classes=10,
        norm=None if norm == "none" else BatchNorm,
        norm_position="after" if norm == "after" else "before",
        rate=rate,
    )
    return Experiment(
        data=data,
        task=Classification(model=model, loss=partial(cross_entropy, smoothing=smoothing)),
        optimizer=adamw(schedules.warmup_cosine(peak=lr, steps=steps), decay=decay),
        steps=steps,
        stop=EarlyStopping(patience=patience),
        seed=seed,
    )


if __name__ == "__main__":
    main(config)
