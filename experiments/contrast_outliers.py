"""Huber's loss compared with squared and absolute error, with wrong targets in the training data.

Source: Huber 1964, "Robust estimation of a location parameter"; Efron et al. 2004's diabetes data.
Run:    python -m experiments.contrast_outliers --loss huber --wrong 10
Cost:   about 1 s a run on a 2-core x86 CPU, after compiling.
Expect: as in this table.

Test error in the unit of the target (25 to 346), mean ± standard deviation over 10 seeds (`python -m jaxdl
record contrast_outliers --seed 0:10` with `--loss` and `--wrong`), 2-core x86 CPU:

    wrong targets   mean absolute error                            R²
                    mse            huber          mae              mse       huber   mae
    none            45.3 ± 1.6     45.0 ± 1.4     45.4 ± 1.5        0.56     0.56    0.56
    2 %             53.1 ± 3.3     45.1 ± 1.6     45.5 ± 1.7        0.46     0.56    0.56
    10 %           139.3 ± 3.2     45.9 ± 1.9     46.1 ± 2.0       -2.94     0.55    0.55

Without outliers Huber's loss is as good as squared error. With one target in ten wrong it loses one unit, and squared error is
worse than predicting the mean.

Paired over seeds, mean [95 % interval], Wilcoxon's p:

    `--loss huber --wrong 10` against `--loss mse --wrong 10`, mae: -93.43 [-95.5, -91.03], p = 0.002, n = 10
    `--loss huber --wrong 10` against `--loss mae --wrong 10`, mae: -0.1979 [-0.3601, -0.04884], p = 0.037, n = 10

Linear regression fails as squared error does: 168.1 with one target in ten wrong.
"""

from dataclasses import replace
from functools import cache, partial
from typing import Literal

import numpy as np

from jaxdl import Experiment, main
from jaxdl.data.table import tabular
from jaxdl.losses.regression import absolute_error, huber, squared_error
from jaxdl.models.mlp import MLP
from jaxdl.optim import adamw, schedules
from jaxdl.tasks.regression import Regression


@cache
def with_outliers(percent: int, batch: int) -> tabular.Table:
    """Diabetes with some per cent of the training targets ten times too large, as after a slip of the decimal point."""
    data = tabular.diabetes(batch=batch)
    train = data.splits["train"]
    wrong = np.random.RandomState(0).permutation(len(train["y"])) < round(percent / 100 * len(train["y"]))
    spoiled = {**train, "y": np.where(wrong, 10 * train["y"], train["y"])}
    return replace(
        data,
        splits={**data.splits, "train": spoiled},
        name=f"diabetes, {wrong.sum()} of {len(wrong)} training targets ten times too large",
    )


def config(
    *,
    steps: int = 600,
    batch: int = 32,
    width: int = 32,
    loss: Literal["mse", "mae", "huber"] = "huber",
    delta: float = 0.5,
    wrong: int = 10,
    lr: float = 1e-3,
    decay: float = 0.3,
    rate: float = 0.2,
    seed: int = 0,
) -> Experiment:
    """Huber's loss compared with squared and absolute error, with wrong targets in the training data.

    Args:
        steps: updates.
        batch: examples per step.
        width: units of the two hidden layers.
        loss: squared error, absolute error, or Huber's loss between the two.
        delta: where Huber's loss turns from quadratic to linear, in standard deviations of the true targets.
        wrong: per cent of the training targets that are ten times too large; the other splits are clean.
        lr: peak learning rate.
        decay: decoupled weight decay.
        rate: dropout after every hidden layer.
        seed: random seed of the initialization, the data order and the dropout.
    """
    data = with_outliers(wrong, batch)
    losses = {"mse": squared_error, "mae": absolute_error, "huber": partial(huber, delta=delta)}
    return Experiment(
        data=data,
        task=Regression(
            model=MLP(features=(width, width), classes=1, rate=rate),
            loss=losses[loss],
            center=data.center,
            scale=data.scale,
            metric=("mae", "min"),
        ),
        optimizer=adamw(schedules.warmup_cosine(peak=lr, steps=steps), decay=decay),
        steps=steps,
        eval_every=steps,
        seed=seed,
    )


if __name__ == "__main__":
    main(config)
