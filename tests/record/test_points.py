"""The picture of made points: the frame stands still, points move."""

import numpy as np
from PIL import Image

from jaxdl.record.draw import keep_frames
from jaxdl.record.points import points
from jaxdl.reports import Points


def test_the_frame_is_that_of_the_data(tmp_path):
    real = np.random.default_rng(0).normal(size=(50, 2))
    for step, made in ((1, real), (2, 100 + real)):
        (path,) = keep_frames(tmp_path, step, {"points": Points(made, real), "score": 1.0})
        assert path.name == f"points-{step:06d}.png"
    one, two = (np.asarray(Image.open(path).convert("RGB"), float) for path in sorted(tmp_path.glob("points-*")))
    assert one.shape == two.shape
    orange = lambda image: (image[..., 0] - image[..., 2] > 60).sum()
    assert orange(one) > 5 * orange(two) > 0  # the second frame's points lie outside; the legend's dot stays
    assert points(real, real, tmp_path / "new" / "points.png").is_file()
