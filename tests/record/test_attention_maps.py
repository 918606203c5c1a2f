"""The picture of an alignment: as many panels as examples, cut to their tokens."""

import numpy as np
from PIL import Image

from jaxdl.record.attention_maps import draw_attention


def test_draws_what_is_there(tmp_path):
    weights = np.zeros((2, 6, 4))
    source = np.array([["a", "b", "c", ""], ["d", "", "", ""]])
    target = np.array([["x"] * 6, ["y", "z", "", "", "", ""]])
    paths = [
        draw_attention(w, source, target, tmp_path / f"{i}.png", titles=["one"])
        for i, w in enumerate((weights, weights + 1))
    ]
    light, dark = (np.asarray(Image.open(path).convert("L"), float).mean() for path in paths)
    assert dark < light - 10
    wide = draw_attention(weights[:1], source[:1], target[:1], tmp_path / "wide.png")
    assert Image.open(wide).convert("L").width < Image.open(paths[0]).convert("L").width
