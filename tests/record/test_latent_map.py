"""A map of codes is drawn with classes, without, and at each evaluation of a run."""

import numpy as np
import pytest
from PIL import Image

from jaxdl.record.latent_map import latent_map
from jaxdl.record.recorder import Recorder
from jaxdl.reports import Codes

POINTS = np.random.default_rng(0).normal(size=(30, 2))


@pytest.mark.parametrize("labels", [np.arange(30) % 3, np.arange(30), POINTS[:, 0]], ids=["classes", "many", "values"])
def test_draws(tmp_path, labels):
    path = latent_map(POINTS, labels, tmp_path / "a" / "map.png", classes=("a", "b", "c"), axes=("z1", "z2"))
    with Image.open(path) as picture:
        assert picture.size[0] > 300


def test_a_run_keeps_one_for_each_evaluation(tmp_path):
    report = {"latent_map": Codes(POINTS, np.arange(30) % 3, ("z1", "z2"))}
    for step in (5, 10):
        Recorder(None, None, samples=tmp_path).pictures(step, report)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["latent_map-000005.png", "latent_map-000010.png"]
