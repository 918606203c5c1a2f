"""Each picture is written, is not blank, and shows what it was given."""

import numpy as np
import pytest

from jaxdl.record import pictures

RATE = np.logspace(-5, 0, 30)
RANDOM = np.random.default_rng(0)
PICTURES = {
    "ramp": lambda path: pictures.learning_rate_ramp(RATE, 3 - RATE, 3 - RATE, 1e-3, path),
    "series": lambda path: pictures.series_gallery(np.ones((2, 9, 1)), RANDOM.normal(size=(2, 3, 9, 1)), path),
    "text": lambda path: pictures.text_gallery([("as it is", ["a", "b"], [False] * 2), ("new", ["c"], [True])], path),
    "flow": lambda path: pictures.network_flow(
        np.eye(8),
        {"Conv_0": RANDOM.normal(size=(8, 8, 20)), "Dense_0": RANDOM.normal(size=70), "Dense_1": np.zeros(3)},
        np.array([0.2, 0.7, 0.1]),
        path,
        classes=("x", "y", "z"),
        notes={"Conv_0": "80 parameters"},
    ),
}


@pytest.mark.parametrize("draw", PICTURES.values(), ids=PICTURES)
def test_a_picture_is_written_and_not_blank(draw, tmp_path):
    from PIL import Image

    path = draw(tmp_path / "new folder" / "picture.png")
    pixels = np.asarray(Image.open(path).convert("RGB"))
    assert path.parent.name == "new folder"
    assert 0.005 < (pixels < 250).any(-1).mean() < 0.9
