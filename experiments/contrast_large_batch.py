"""LAMB compared with momentum and AdamW, at a usual batch size and at nearly the whole training set.

Source: You et al. 2019, arXiv:1904.00962; Alpaydin and Kaynak's digits.
Run:    python -m experiments.contrast_large_batch --optimizer lamb --batch 1024
Cost:   about 4 s a run of batch 32, 2 s of batch 1024, on a 2-core x86 CPU, after compiling.
Expect: as in this table.

Twenty epochs: 786 steps of 32 or 24 steps of 1024. Each optimizer at the best of the learning rates 1e-3, 3e-3, 1e-2,
2e-2, 3e-2, 0.1, 0.3, 1 (batch 32: 3e-3, 1e-2, 3e-2, 0.1, 0.3) by validation accuracy over 5 seeds. Mean ± standard deviation
over 10 seeds, at batch 32 over 5 (`python -m jaxdl record contrast_large_batch --seed 0:10` with `--optimizer`, `--batch` and
`--lr`), 2-core x86 CPU:

    batch   optimizer   best lr   test accuracy
    32      momentum    0.1       99.2 ± 0.3 %
    32      adamw       0.01      99.0 ± 0.2 %
    32      lamb        0.01      99.0 ± 0.3 %
    1024    momentum    0.3       92.9 ± 2.5 %
    1024    adamw       0.01      93.8 ± 1.3 %
    1024    lamb        0.1       98.6 ± 0.9 %

Paired over seeds, mean [95 % interval], Wilcoxon's p:

    `--optimizer lamb --lr 0.1`
        against `--optimizer momentum --lr 0.3`, accuracy: +0.05688 [+0.04312, +0.07249], p = 0.002, n = 10
    `--optimizer lamb --lr 0.1` against `--optimizer adamw --lr 0.01`, accuracy: +0.04758 [+0.04126, +0.0539], p = 0.002, n = 10

With 24 large steps LAMB keeps nearly all of the accuracy and the other two lose five points; they then lose to logistic
regression, 98.1 %. At the usual batch size the three were not compared by a test. The set is small: 1024 is 81 % of it. Other
networks, and AdamW with other betas or clipping, were not measured.
"""

from typing import Literal

from jaxdl import Experiment, main
from jaxdl.data.image import vision
from jaxdl.models.cnn import CNN
from jaxdl.optim import adamw, lamb, momentum, schedules
from jaxdl.tasks.classification import Classification


def config(
    *,
    epochs: int = 20,
    batch: int = 1024,
    optimizer: Literal["momentum", "adamw", "lamb"] = "lamb",
    lr: float = 0.03,
    seed: int = 0,
) -> Experiment:
    """LAMB compared with momentum and AdamW, at a usual batch size and at nearly the whole training set.

    Args:
        epochs: passes over the training split, the same at every batch size: a large batch has few steps.
        batch: examples per step.
        optimizer: the optimizer; the table has each at its best learning rate.
        lr: peak learning rate; linear warm-up, then cosine decay to zero.
        seed: random seed of the initialization and the data order.
    """
    data = vision.digits(batch=batch)
    steps = epochs * data.size("train") // batch
    schedule = schedules.warmup_cosine(peak=lr, steps=steps)
    optimizers = {"momentum": momentum(schedule), "adamw": adamw(schedule), "lamb": lamb(schedule)}
    return Experiment(
        data=data,
        task=Classification(model=CNN(classes=10)),
        optimizer=optimizers[optimizer],
        steps=steps,
        eval_every=steps,
        seed=seed,
    )


if __name__ == "__main__":
    main(config)
