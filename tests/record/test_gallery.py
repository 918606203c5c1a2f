"""Grids and films of what a run makes."""

import numpy as np
import pytest
from PIL import Image

from jaxdl.record import gallery
from jaxdl.record.draw import keep_frames
from jaxdl.reports import ImageGrid, Matrix


@pytest.mark.parametrize(
    ("shape", "size"),
    [((3, 8, 8, 1), (50, 150)), ((9, 8, 8, 3), (100, 400)), ((70, 64, 64, 1), (528, 528))],
    ids=["one row, enlarged", "two rows", "64 at most"],
)
def test_a_grid_shows_every_pixel_as_a_square(shape, size):
    grid = gallery.montage(np.zeros(shape, np.float32))
    assert (grid.dtype, grid.shape) == (np.uint8, (*size, 3))


def test_the_first_image_is_at_the_top_left():
    images = np.zeros((10, 48, 48, 1))
    images[0] = 1
    grid = gallery.montage(images)
    assert (grid[1:49, 1:49] == 255).all()
    assert (grid[1:49, 51:99] == 0).all()


def test_only_what_is_filmed_is_kept_and_their_film_runs_in_the_order_of_steps(tmp_path):
    for step, value in ((5, 0.0), (10, 0.5), (20, 1.0)):
        still = ImageGrid(np.zeros((1, 8, 8, 1)), film=False)
        report = {
            "samples": ImageGrid(np.full((4, 8, 8, 1), value)),
            "still": still,
            "counts": Matrix(np.eye(3)),
            "n": 0.5,
        }
        (path,) = keep_frames(tmp_path / "samples", step, report)
        assert path.name == f"samples-{step:06d}.png"
    film = gallery.film(tmp_path / "samples", "samples", tmp_path / "film.gif")
    with Image.open(film) as frames:
        assert frames.n_frames == 3
        first = np.asarray(frames.convert("RGB"))[10, 10, 0]
        frames.seek(2)
        last = np.asarray(frames.convert("RGB"))[10, 10, 0]
    assert first < 20
    assert last > 235


def test_one_picture_is_no_film(tmp_path):
    keep_frames(tmp_path / "samples", 1, {"samples": ImageGrid(np.zeros((1, 8, 8, 1)))})
    assert gallery.film(tmp_path / "samples", "samples", tmp_path / "film.gif") is None
