"""Digits drawn by a small DCGAN, beside a Gaussian with the mean and the covariance of the pixels: Fréchet distance to real ones.

`experiments/digits_gan.py` of width 64 with 800 updates of each player. The distance is that between features of a CNN that was
trained on the training digits, to the 269 test digits. A seed draws the initialization, the order and the noise; the Gaussian's
sample is the same for every seed.
"""

from functools import cache

from jaxdl.experiment import load_config
from jaxdl.runs import naive
from jaxdl.runs.claims import Comparison, Study
from jaxdl.runs.trial import trial
from jaxdl.setup import Setup

digits_gan = load_config("digits_gan")
SMALL = {"width": 64, "updates": 800}


@cache
def gaussian() -> float:
    return float(naive.baseline(Setup.of(digits_gan, SMALL))[0]["fid"])


def measure(*, made_by: str, seed: int) -> float:
    if made_by == "Gaussian":
        return gaussian()
    return float(trial(digits_gan, **SMALL, seed=seed).evaluate("test").metrics["fid"])


study = Study(
    measure=measure,
    settings={name: {"made_by": name} for name in ("GAN", "Gaussian")},
    comparisons=(Comparison("C12", "GANs generate images", "GAN", "Gaussian", 0.5, "against a Gaussian"),),
    unit="Fréchet distance",
    smaller=True,
)
