"""Malignant or benign: a small MLP on 30 measurements of cell nuclei, with binary cross-entropy.

Source: Wolberg, Street and Mangasarian's breast cancer data, as scikit-learn ships it.
Run:    python -m experiments.breast_cancer_mlp
Cost:   about 3 s on a 2-core x86 CPU, after compiling.
Expect: test accuracy 99.1 ± 0.5 %, F1 0.993 ± 0.004, ROC-AUC 1.000, calibration error 0.021 ± 0.003 (mean ± standard
        deviation over seeds 0-4; 86 test rows, so 99 % is one mistake). Logistic regression makes none on this split.
"""

from jaxdl import Experiment, main
from jaxdl.data.table import tabular
from jaxdl.engine.stopping import EarlyStopping
from jaxdl.models.mlp import MLP
from jaxdl.optim import adamw, schedules
from jaxdl.tasks.classification import BinaryClassification


def config(
    *,
    epochs: int = 60,
    batch: int = 32,
    width: int = 32,
    lr: float = 3e-3,
    decay: float = 0.1,
    rate: float = 0.2,
    patience: int = 16,
    seed: int = 0,
) -> Experiment:
    """Malignant or benign: a small MLP on 30 measurements of cell nuclei, with binary cross-entropy.

    Args:
        epochs: passes over the training split.
        batch: examples per step.
        width: units of the two hidden layers.
        lr: peak learning rate.
        decay: decoupled weight decay.
        rate: dropout after every hidden layer.
        patience: stop after this many evaluations in a row without a lower validation loss.
        seed: random seed of the initialization, the data order and the dropout.
    """
    data = tabular.breast_cancer(batch=batch)
    steps = epochs * data.steps_per_epoch
    return Experiment(
        data=data,
        task=BinaryClassification(model=MLP(features=(width, width), classes=1, rate=rate)),
        optimizer=adamw(schedules.warmup_cosine(peak=lr, steps=steps), decay=decay),
        steps=steps,
        stop=EarlyStopping(metric="loss", patience=patience),
        seed=seed,
    )


if __name__ == "__main__":
    main(config)
