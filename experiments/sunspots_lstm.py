"""Forecast of a year of sunspots from the last eleven years: an LSTM on monthly numbers since 1749.

Source: Hochreiter and Schmidhuber 1997; the series of the National Geophysical Data Center (public domain, bundled).
Run:    python -m experiments.sunspots_lstm
Cost:   about 5 s on a 2-core x86 CPU, after compiling.
Expect: on the 614 test windows (1957 to 2009), mean over all twelve months, mean ± standard deviation over seeds 0-2:

                                    squared error (standardised)    absolute error (sunspots)
    --cell lstm (default)           0.386 ± 0.030                   17.1 ± 0.6
    --cell gru                      0.385 ± 0.006                   16.9 ± 0.1
    --cell rnn                      0.447 ± 0.010                   18.1 ± 0.2
    --loss quantiles                0.429 ± 0.014                   17.7 ± 0.2     78.6 % of the truth in the 80 % band
    persistence                     0.610                           21.6           the last month repeated
    seasonal persistence            1.285                           31.3           the value of 132 months before
    ridge regression, same windows  0.367                           17.0           its penalty chosen on the validation split

The networks beat the naive forecasts but not a linear map: 3,126 months are only 23 solar cycles.
"""

from typing import Literal

from jaxdl import Experiment, main
from jaxdl.data.table import series
from jaxdl.engine.stopping import EarlyStopping
from jaxdl.layers.recurrent import GRU, LSTM, RNN, Recurrent
from jaxdl.losses.regression import absolute_error, squared_error
from jaxdl.models.rnn import Forecaster
from jaxdl.optim import adamw, schedules
from jaxdl.tasks.forecasting import Forecasting

CYCLE = 132
"""Mean length of a solar cycle, in months."""


def config(
    *,
    cell: Literal["lstm", "gru", "rnn"] = "lstm",
    lookback: int = 132,
    horizon: int = 12,
    hidden: int = 32,
    steps: int = 400,
    batch: int = 64,
    lr: float = 3e-3,
    decay: float = 0.01,
    rate: float = 0.1,
    loss: Literal["mse", "mae", "quantiles"] = "mse",
    patience: int = 8,
    seed: int = 0,
) -> Experiment:
    """Forecast of a year of sunspots from the last eleven years: an LSTM on monthly numbers since 1749.

    Args:
        cell: the recurrent cell.
        lookback: months of input; at least 132, one cycle, which the seasonal baseline needs.
        horizon: months of the forecast, predicted in one go.
        hidden: size of the recurrent state.
        steps: updates.
        batch: windows per step.
        lr: peak learning rate; linear warm-up, then cosine decay to zero.
        decay: decoupled weight decay.
        rate: dropout before the last layer.
        loss: squared error, absolute error, or the quantiles 0.1, 0.5 and 0.9 by the pinball loss.
        patience: stop after this many evaluations in a row without a lower validation error.
        seed: random seed of the initialization, the data order and the dropout.
    """
    data = series.sunspots(lookback=lookback, horizon=horizon, batch=batch)
    levels = (0.1, 0.5, 0.9) if loss == "quantiles" else ()
    cells = {"lstm": LSTM, "gru": GRU, "rnn": RNN}
    core = Recurrent(cells[cell](hidden))
    model = Forecaster(horizon=horizon, outputs=max(1, len(levels)), core=core, from_last=True, rate=rate)
    return Experiment(
        data=data,
        task=Forecasting(
            model=model,
            center=data.center,
            scale=data.scale,
            season=CYCLE,
            levels=levels,
            loss=absolute_error if loss == "mae" else squared_error,
        ),
        optimizer=adamw(schedules.warmup_cosine(peak=lr, steps=steps), decay=decay),
        steps=steps,
        eval_every=50,
        stop=EarlyStopping(patience=patience),
        seed=seed,
    )


if __name__ == "__main__":
    main(config)
