"""Batch and layer norm in an MLP of six layers on digits: over the learning rate of momentum, and at a batch of 2.

Five epochs without warm-up. Rates were chosen before: the usual one, and ten and thirty times it.
"""

from typing import Literal

from jaxdl import Experiment
from jaxdl.data.image import vision
from jaxdl.engine.loop import Diverged
from jaxdl.layers.normalization import BatchNorm, LayerNorm
from jaxdl.models.mlp import MLP
from jaxdl.optim import momentum
from jaxdl.runs.claims import Comparison, Study, trained
from jaxdl.tasks.classification import Classification


def config(
    *, norm: Literal["none", "batch", "layer"] = "none", lr: float = 0.03, batch: int = 64, seed: int = 0
) -> Experiment:
    """Six hidden layers of 64 on digits."""
    data = vision.digits(batch=batch)
    norms = {"none": None, "batch": BatchNorm, "layer": LayerNorm}
    return Experiment(
        data=data,
        task=Classification(model=MLP(features=(64,) * 6, classes=10, norm=norms[norm])),
        optimizer=momentum(lr),
        steps=5 * data.steps_per_epoch,
        eval_every=5 * data.steps_per_epoch,
        seed=seed,
    )


accuracy = trained(config, "accuracy")


def measure(**values) -> float:
    """Test accuracy; a run that diverges counts as guessing."""
    try:
        return accuracy(**values)
    except Diverged:
        return 0.1


study = Study(
    measure=measure,
    settings={
        **{f"{norm}, lr {lr:g}": {"norm": norm, "lr": lr} for lr in (0.03, 0.3, 1.0) for norm in ("batch", "none")},
        **{f"{norm}, batch 2": {"norm": norm, "lr": 0.01, "batch": 2} for norm in ("layer", "batch")},
    },
    comparisons=(
        Comparison("C47", "batch norm allows higher learning rates", "batch, lr 0.3", "none, lr 0.3", 0.02, "lr 0.3"),
        Comparison("C47", "batch norm allows higher learning rates", "batch, lr 1", "none, lr 1", 0.02, "lr 1"),
        Comparison(
            "C50",
            "layer norm does not depend on the batch: it trains at 2",
            "layer, batch 2",
            "batch, batch 2",
            0.02,
            "batch of 2",
        ),
    ),
)
