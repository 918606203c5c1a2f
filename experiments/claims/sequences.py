"""Forecasting a year of sunspots from eleven years: the LSTM of `experiments/sunspots_lstm.py` beside an MLP of about its size.

The MLP reads the 132 months at once: one hidden layer of 34 units, 4,942 parameters; the LSTM has 4,748. Both predict the
difference from the last month. The rest is that of the experiment, whose rate was chosen for the LSTM. Squared error on the test
windows, in units of the standard deviation. A seed draws the initialization, the order and the dropout.
"""

from dataclasses import replace
from typing import Literal

import flax.linen as nn

from jaxdl import Experiment
from jaxdl.experiment import load_config
from jaxdl.models.mlp import MLP
from jaxdl.runs.claims import Comparison, Study, trained

sunspots_lstm = load_config("sunspots_lstm")


class FromLast(nn.Module):
    """An MLP that predicts the difference from the last value."""

    @nn.compact
    def __call__(self, x, *, train):
        return x[:, -1:, :1] + MLP((34,), classes=12, rate=0.1)(x, train=train)[..., None]


def config(*, model: Literal["LSTM", "MLP"] = "LSTM", seed: int = 0) -> Experiment:
    """Sunspots by a recurrent or by a dense network."""
    made = sunspots_lstm(seed=seed)
    return made if model == "LSTM" else replace(made, task=replace(made.task, model=FromLast()))


study = Study(
    measure=trained(config, "mse"),
    settings={"LSTM": {}, "MLP": {"model": "MLP"}},
    comparisons=(
        Comparison("C3", "recurrent connections suit time series", "LSTM", "MLP", 0.01, "sunspots, MLP of equal size"),
    ),
    unit="squared error",
    smaller=True,
)
