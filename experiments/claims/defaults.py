"""Optimizers at rates that libraries set where the user gives none, on clothing of 28x28: a CNN, and an LSTM over the rows.

Constant rates: Keras 3 has 0.01 for SGD (here also with momentum) and 0.001 for Adam and RMSprop; AdaGrad has PyTorch's 0.01. 400
steps of 32 of 3,000 images. Nothing was tuned: a default is what one has before tuning. A seed draws the images, the
initialization and the order.
"""

from typing import Any

import flax.linen as nn

from jaxdl.layers.recurrent import LSTM, Recurrent
from jaxdl.models.cnn import CNN
from jaxdl.models.rnn import Classifier
from jaxdl.optim import adagrad, adam, momentum, rmsprop, sgd
from jaxdl.runs.claim_training import clothing_trainer
from jaxdl.runs.claims import Comparison, Study


class Rows(nn.Module):
    """An LSTM of 64 units that reads an image row by row."""

    @nn.compact
    def __call__(self, x, *, train):
        return Classifier(classes=10, core=Recurrent(LSTM(64)))(x[..., 0], train=train)


MODELS = {"CNN": CNN(features=(8, 32)), "LSTM": Rows()}
OPTIMIZERS: dict[str, Any] = {
    "Adam": adam(1e-3),
    "RMSprop": rmsprop(1e-3, preset="keras"),
    "AdaGrad": adagrad(1e-2),
    "momentum": momentum(1e-2),
    "SGD": sgd(1e-2),
}


def measure(*, model: str, optimizer: str, seed: int) -> float:
    return clothing_trainer(MODELS[model], images=3000, steps=400, transform=OPTIMIZERS[optimizer])(seed)


ADAM, RMSPROP = "Adam works well and is the default choice", "RMSprop is a good default, for recurrent networks"
study = Study(
    measure=measure,
    settings={
        f"{model}, {optimizer}": {"model": model, "optimizer": optimizer}
        for model in MODELS
        for optimizer in OPTIMIZERS
    },
    comparisons=(
        *(
            Comparison("C41", ADAM, "CNN, Adam", f"CNN, {other}", 0.005, f"CNN, against {other}")
            for other in ("RMSprop", "AdaGrad", "momentum", "SGD")
        ),
        *(
            Comparison("C40", RMSPROP, "LSTM, RMSprop", f"LSTM, {other}", 0.005, f"LSTM, against {other}")
            for other in ("Adam", "AdaGrad", "momentum", "SGD")
        ),
    ),
)
