"""Pictures of augmentations: images with mixed labels, series, texts; the batch shown is the batch trained on."""

from dataclasses import replace

import numpy as np
import pytest

from jaxdl.augment import image, mix, series, text
from jaxdl.cli.show_augment import before_and_after, draw, label, text_rows
from jaxdl.data.image import vision
from jaxdl.data.source import InMemory
from jaxdl.experiment import Experiment, ExperimentError
from jaxdl.models.mlp import MLP
from jaxdl.optim import sgd
from jaxdl.tasks.classification import Classification

pytestmark = pytest.mark.programs(12, "augmentations are drawn as the command draws them")


def experiment(data, *augment):
    return Experiment(data=data, task=Classification(MLP(features=())), optimizer=sgd(0.1), steps=1, augment=augment)


def memory(x, y=None):
    y = np.zeros(len(x), np.int32) if y is None else y
    return InMemory({"train": {"x": x, "y": y}}, batch=len(x), classes=("a", "b"))


WAVES = memory(np.sin(np.arange(4 * 20 * 2).reshape(4, 20, 2)).astype(np.float32))
WORDS = memory(np.tile(np.array([5, 6, 7, 8, 0, 0], np.int32), (3, 1)))


@pytest.mark.slow
@pytest.mark.parametrize(
    "exp",
    [
        experiment(vision.digits(batch=8), image.flip(p=1.0), mix.mixup(alpha=1.0, classes=10)),
        experiment(WAVES, series.scaling(0.5)),
        experiment(WORDS, text.mask(0.5, mask_id=1)),
    ],
    ids=["images", "series", "text"],
)
def test_each_kind_is_drawn(exp, tmp_path):
    path = draw(exp, tmp_path / "new" / "grid.png", rows=2, draws=2)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert path.stat().st_size > 2000


def test_before_is_prepared_and_after_is_augmented_but_neither_standardised():
    exp = experiment(vision.digits(batch=8), image.flip(p=1.0))
    before, after = before_and_after(exp, draws=2)
    raw = exp.data.train_batch(exp.data.source(0, 1, 0), 0, 0)["x"]
    np.testing.assert_allclose(before["x"], np.asarray(raw) / 16, rtol=1e-6)
    for batch in after:
        np.testing.assert_allclose(batch["x"], before["x"][:, :, ::-1], rtol=1e-6)
        np.testing.assert_array_equal(batch["y"], before["y"])


def test_labels_are_named_and_mixtures_are_spelt_out():
    assert label({"y": np.array([1])}, 0, ("cat", "dog")) == "dog"
    assert label({"y": np.array([[0.25, 0.75]])}, 0, ("cat", "dog")) == ".75·dog + .25·cat"
    assert label({"y": np.array([[1.0, 0.0]])}, 0, ("cat", "dog")) == "cat"
    assert label({"y": np.array([2.5])}, 0, ()) == "2.5"
    assert label({"y": np.array([12])}, 0, ("cat", "dog")) == "12"  # a class that an augmentation made


def test_texts_mark_what_changed_and_hide_padding():
    before = {"x": np.array([[5, 6, 7, 0]])}
    after = {"x": np.array([[5, 9, 7, 0]])}
    rows = text_rows(before, [after], 0, lambda tokens: [str(t) for t in tokens])
    assert rows == [("original", ["5", "6", "7"], [False] * 3), ("draw 1", ["5", "9", "7"], [False, True, False])]


def test_what_cannot_be_drawn_is_said(tmp_path):
    with pytest.raises(ExperimentError, match="no augmentation"):
        draw(experiment(WAVES), tmp_path / "no.png")
    table = memory(np.ones((4, 3), np.float32))
    with pytest.raises(ExperimentError, match=r"shape \(3,\) and type float32"):
        draw(experiment(table, mix.mixup(alpha=1.0, classes=2)), tmp_path / "no.png")
    with pytest.raises(ExperimentError, match="--rows 0"):
        draw(replace(experiment(WAVES, series.scaling())), tmp_path / "no.png", rows=0)
