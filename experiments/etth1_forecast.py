"""Forecast of four days of a power transformer from the four days before: LSTM, GRU, DLinear or PatchTST on ETTh1.

Source: Zhou et al. 2021, arXiv:2012.07436 (data, CC BY-ND 4.0); Zeng et al. 2022, arXiv:2205.13504 (DLinear); Nie et al. 2023,
        arXiv:2211.14730 (PatchTST). ETTh1.csv: github.com/zhouhaoyi/ETDataset, folder ETT-small.
Run:    python -m experiments.etth1_forecast --file ETTh1.csv --model dlinear
Cost:   DLinear 5 s, GRU 15 s, LSTM 20 s, PatchTST 40 s, after compiling, on a 2-core x86 CPU that had other work.
Expect: squared and absolute error of standardised values, on all 2,785 test windows (the usual split of 12, 4 and 4 months; the
        last batch is kept, so the batch size has no influence), mean ± standard deviation over seeds 0-2:

                                                                          MSE              MAE
    --model dlinear (default)                                             0.384 ± 0.002    0.397 ± 0.003
    --model patchtst --width 32 --epochs 3 --lr 1e-3                      0.400 ± 0.001    0.407 ± 0.001
    --model lstm --width 32 --epochs 3                                    0.485 ± 0.005    0.469 ± 0.002
    --model gru --width 32 --epochs 3                                     0.496 ± 0.005    0.473 ± 0.002
    seasonal persistence, the last 24 hours repeated                      0.512            0.433
    persistence, the last hour repeated                                   1.294            0.713
    published, whole test split: DLinear 0.384, PatchTST (width 512, 6.9 million parameters) 0.385

PatchTST is small here, 46,080 parameters; its published size was not measured here. By absolute error the recurrent networks
do not beat seasonal persistence.
"""

from typing import Any, Literal

from jaxdl import Experiment, main
from jaxdl.data.table import series
from jaxdl.engine.stopping import EarlyStopping
from jaxdl.layers.recurrent import GRU, LSTM, Recurrent
from jaxdl.models.forecast import DLinear, Levelled, PatchTST
from jaxdl.models.rnn import Forecaster
from jaxdl.optim import adamw, schedules
from jaxdl.tasks.forecasting import Forecasting

MONTH = 30 * 24
VARIABLES = ("HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT")


def forecaster(name: str, *, horizon: int, width: int, depth: int, rate: Any) -> Any:
    """A model of the seven variables."""
    if name == "dlinear":
        return DLinear(horizon)
    if name == "patchtst":
        return PatchTST(horizon, width=width, depth=depth, heads=max(1, width // 16), hidden=2 * width, rate=rate)
    cell = {"lstm": LSTM, "gru": GRU}[name](width)
    return Levelled(Forecaster(horizon, len(VARIABLES), Recurrent(cell, layers=depth, rate=rate), rate=rate))


def config(
    *,
    file: str = "ETTh1.csv",
    model: Literal["dlinear", "patchtst", "gru", "lstm"] = "dlinear",
    lookback: int = 96,
    horizon: int = 96,
    fill: Literal["none", "previous"] = "none",
    width: int = 64,
    depth: int = 1,
    epochs: int = 5,
    batch: int = 64,
    lr: float = 2e-3,
    decay: float = 0.01,
    rate: float = 0.2,
    patience: int = 3,
    seed: int = 0,
) -> Experiment:
    """Four days of a power transformer from the four before.

    Args:
        file: ETTh1.csv (or ETTh2.csv).
        model: one linear map, a Transformer over patches, or a recurrent network.
        lookback: hours of input.
        horizon: hours of the forecast, predicted in one go.
        fill: replacement of a missing value: the value before it, or none, which refuses it and names the row.
        width: channels of PatchTST, units of a recurrent network.
        depth: blocks of PatchTST, layers of a recurrent network.
        epochs: passes over the training windows.
        batch: windows per step.
        lr: peak learning rate; linear warm-up, then cosine decay to zero.
        decay: decoupled weight decay.
        rate: dropout of PatchTST and the recurrent networks.
        patience: stop after this many evaluations in a row without a lower validation error.
        seed: random seed of the initialization, the data order and the dropout.
    """
    data = series.csv(
        file,
        columns=VARIABLES,
        time="date",
        lookback=lookback,
        horizon=horizon,
        batch=batch,
        fill=None if fill == "none" else fill,
        parts=(12 * MONTH, 4 * MONTH, 4 * MONTH),
    )
    steps = epochs * data.steps_per_epoch
    return Experiment(
        data=data,
        task=Forecasting(
            model=forecaster(model, horizon=horizon, width=width, depth=depth, rate=rate),
            center=data.center,
            scale=data.scale,
            season=24,
        ),
        optimizer=adamw(schedules.warmup_cosine(peak=lr, steps=steps), decay=decay),
        steps=steps,
        stop=EarlyStopping(patience=patience),
        seed=seed,
    )


if __name__ == "__main__":
    main(config)
