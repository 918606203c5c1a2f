"""Noise and scaling of the training windows of `experiments/sunspots_lstm.py`, a forecast of a year from eleven years.

Noise has a tenth of the deviation of a window. Scaling multiplies the past and the future of a window by one factor, drawn from
N(1, 0.1²). Squared error on the test windows, in units of the standard deviation. A seed draws the initialization, the order, the
noise and the dropout.
"""

from dataclasses import replace
from typing import Literal

import jax

from jaxdl import Experiment
from jaxdl.augment import series
from jaxdl.experiment import load_config
from jaxdl.runs.claims import Comparison, Study, trained

sunspots_lstm = load_config("sunspots_lstm")


def scaled(key, batch):
    """Past and future of each window times one factor."""
    factor = 1 + 0.1 * jax.random.normal(key, (len(batch["x"]), 1, 1))
    return batch | {"x": batch["x"] * factor, "y": batch["y"] * factor.reshape(-1, *[1] * (batch["y"].ndim - 1))}


def config(*, augment: Literal["none", "noise", "scaling"] = "none", seed: int = 0) -> Experiment:
    """Sunspots with augmented training windows."""
    chosen = {"none": (), "noise": (series.noise(0.1),), "scaling": (scaled,)}[augment]
    return replace(sunspots_lstm(seed=seed), augment=chosen)


study = Study(
    measure=trained(config, "mse"),
    settings={name: {"augment": name} for name in ("none", "noise", "scaling")},
    comparisons=tuple(
        Comparison("C55", "augmentation of time series helps", name, "none", 0.01, name)
        for name in ("noise", "scaling")
    ),
    unit="squared error",
    smaller=True,
)
