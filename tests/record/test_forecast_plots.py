"""The picture of forecasts: one panel a window, from an evaluation and its data."""

from types import SimpleNamespace

import numpy as np

from jaxdl.data import series
from jaxdl.record import forecast_plots


def test_windows_of_an_evaluation_are_drawn(tmp_path):
    from PIL import Image

    rng = np.random.default_rng(0)
    data = series.windows(rng.normal(size=(60, 2)), lookback=8, horizon=3, batch=2, columns=("a", "b"))
    targets = data.splits["test"]["y"]
    outputs = {"value": targets + 0.1, "quantile": targets[..., None] + np.array([-1.0, 0.0, 1.0])}
    report = {"forecast_windows": np.array([0, 3, 5, 9])}
    evaluation = SimpleNamespace(split="test", outputs=outputs, report=report)
    path = forecast_plots.of_windows(evaluation, data, tmp_path / "forecasts.png")
    with Image.open(path) as image:
        assert image.width > image.height > 300
    evaluation.outputs = {"value": targets}
    small = forecast_plots.of_windows(evaluation, data, tmp_path / "plain.png")
    assert small.stat().st_size < path.stat().st_size, "without the bands"
