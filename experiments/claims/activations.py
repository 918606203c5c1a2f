"""Activations in an MLP of three and of eight hidden layers, on 12,000 pictures of clothing (28x28), three epochs of Adam."""

from typing import Literal

from jaxdl import Experiment, activations
from jaxdl.data.image import vision
from jaxdl.models.mlp import MLP
from jaxdl.optim import adam, schedules
from jaxdl.runs.claims import Comparison, Study, trained
from jaxdl.tasks.classification import Classification

Name = Literal["relu", "swish", "gelu", "elu", "tanh", "sigmoid", "leaky_relu"]


def config(*, act: Name = "relu", depth: int = 3, lr: float = 1e-3, seed: int = 0) -> Experiment:
    """Hidden layers of 128 units."""
    data = vision.clothing(batch=128)
    steps = 3 * data.steps_per_epoch
    return Experiment(
        data=data,
        task=Classification(model=MLP(features=(128,) * depth, classes=10, act=getattr(activations, act))),
        optimizer=adam(schedules.warmup_cosine(peak=lr, steps=steps)),
        steps=steps,
        eval_every=steps,
        seed=seed,
    )


def pair(number: str, claim: str, better: str, worse: str) -> tuple[Comparison, ...]:
    return tuple(
        Comparison(number, claim, f"{better}, {depth} layers", f"{worse}, {depth} layers", 0.003, f"{depth} layers")
        for depth in (3, 8)
    )


study = Study(
    measure=trained(config, "accuracy"),
    settings={
        f"{act}, {depth} layers": {"act": act, "depth": depth}
        for depth in (3, 8)
        for act in ("relu", "swish", "gelu", "tanh", "sigmoid")
    },
    comparisons=(
        *pair("C24", "Swish is better than ReLU", "swish", "relu"),
        *pair("C18", "ReLU is the default for hidden layers (against sigmoid)", "relu", "sigmoid"),
        *pair("C22", "tanh, which is centred, trains better than sigmoid", "tanh", "sigmoid"),
    ),
)
