"""Huber's loss where a tenth of the training targets is wrong: mean absolute error on a clean test split."""

from jaxdl.experiment import load_config
from jaxdl.runs.claims import Comparison, Study, trained

TENTH = ("huber, 10 % wrong", "mse, 10 % wrong")
CLEAN = ("huber, 0 % wrong", "mse, 0 % wrong")

study = Study(
    measure=trained(load_config("contrast_outliers"), "mae"),
    settings={
        f"{loss}, {wrong} % wrong": {"loss": loss, "wrong": wrong} for wrong in (0, 10) for loss in ("huber", "mse")
    },
    comparisons=(
        Comparison(
            "C28", "Huber combines MSE and MAE and resists outliers", *TENTH, 1.0, "10 % wrong, better than MSE"
        ),
        Comparison(
            "C28", "Huber combines MSE and MAE and resists outliers", *CLEAN, 1.0, "clean, like MSE", alike=True
        ),
    ),
    unit="test mean absolute error",
    smaller=True,
)
