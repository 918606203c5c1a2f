"""Pictures of embeddings are written, whatever the number of classes; wrong neighbours are marked."""

import numpy as np
import pytest
from PIL import Image

from jaxdl.record import embedding_plots


@pytest.mark.parametrize("classes", [3, 40])
def test_a_map_of_few_and_of_many_classes(classes, tmp_path):
    rng = np.random.default_rng(0)
    points = np.column_stack([rng.normal(size=(200, 2)), np.arange(200) % classes])
    path = embedding_plots.embedding_map(points, ["ann", "bob"], tmp_path / "map.png")
    assert np.asarray(Image.open(path).convert("RGB")).std() > 5


def test_neighbours_are_named_green_if_right_and_red_if_wrong(tmp_path):
    images = np.random.default_rng(0).integers(0, 255, (4, 6, 6, 1), dtype=np.uint8)
    found = {"right": [[0, 0], [1, 0]], "wrong": [[0, 0], [1, 1]]}
    greens = {}
    for name, row in found.items():
        path = embedding_plots.neighbour_grid(images, np.array([row]), ("ann", "bob"), tmp_path / f"{name}.png")
        pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
        greens[name] = ((pixels[..., 1] - pixels[..., 0]) > 80).sum()
    assert greens["right"] > 5 > greens["wrong"]


def test_a_roc_curve(tmp_path):
    far = np.linspace(0, 1, 50)
    path = embedding_plots.roc_curve(np.column_stack([far, np.sqrt(far)]), tmp_path / "roc.png")
    assert path.stat().st_size > 2000
