"""Sets as models of images want them."""

import numpy as np

from jaxdl.data.image import pixels, vision


def test_brightness_stays_and_binary_pixels_are_drawn_once():
    data = vision.digits(batch=8)
    raw, unit, binary = data.splits, pixels.in_unit_range(data), pixels.binarised(data)
    batch = {"x": raw["train"]["x"][:4]}
    np.testing.assert_allclose(unit.standardise(unit.prepare(batch))["x"], batch["x"] / 16, rtol=1e-6)
    assert pixels.binarised(data) is binary, "one object serves every trace"
    assert binary.splits["train"]["x"] is raw["train"]["x"]
    means = []
    for name in ("validation", "test"):
        x, gray = binary.splits[name]["x"], raw[name]["x"]
        assert set(np.unique(x)) == {0, 16}
        assert x.dtype == gray.dtype
        assert not x.flags.writeable
        assert (x[gray == 0] == 0).all()
        assert (x[gray == 16] == 16).all()
        means.append((x.mean() - gray.mean()) / 16)
    assert np.abs(means).max() < 0.01
    assert "drawn by their brightness" in binary.split
