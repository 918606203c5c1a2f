"""The picture of forecasts: one panel a window, from an evaluation and its data."""

import numpy as np

from jaxdl.data.table import series
from jaxdl.record.draw import Split, draw
from jaxdl.reports import Forecasts


def test_windows_of_an_evaluation_are_drawn(tmp_path):
    from PIL import Image

    rng = np.random.default_rng(0)
    data = series.windows(rng.normal(size=(60, 2)), lookback=8, horizon=3, batch=2, columns=("a", "b"))
    rows, split = np.array([0, 3, 5, 9]), Split.of(data, "test")
    true = data.splits["test"]["y"][rows]
    bands = Forecasts(rows, true + 0.1, true, true[..., None] + np.array([-1.0, 0.0, 1.0]))
    path = draw(bands, tmp_path / "forecasts.png", split)
    with_bands = np.asarray(Image.open(path).convert("RGB"), int)
    assert with_bands.shape[1] > with_bands.shape[0] > 300
    path = draw(Forecasts(rows, true + 0.1, true), tmp_path / "plain.png", split)
    plain = np.asarray(Image.open(path).convert("RGB"), int)
    light_blue = lambda image: ((image[..., 2] - image[..., 0] > 30) & (image[..., 0] > 180)).mean()
    assert light_blue(with_bands) > 0.02
    assert light_blue(plain) < 0.005  # but for the edges of lines
