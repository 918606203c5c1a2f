"""The judge of made images: trained when it is asked, loaded from a run or from weights, and always named."""

import json

import jax
import numpy as np
import pytest

from jaxdl.data.image import vision
from jaxdl.models.catalog import MODELS
from jaxdl.pretrained.folder import import_weights, save_torch
from jaxdl.runs import judge as judges
from jaxdl.runs.judge import judge

pytestmark = pytest.mark.programs(30, "a classifier is trained or imported, and asked")


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    y = np.arange(120) % 3
    x = rng.integers(0, 9, (120, 8, 8))
    x[np.arange(120), y] = 16
    made = vision.images((x.astype(np.uint8), y), batch=16, name="bars", classes="abc", maximum=16.0)
    return vision.symmetric(made)


def real(data, split="test"):
    return data.standardise(data.prepare({"x": data.splits[split]["x"]}))["x"]


def test_symmetric_images_end_where_a_tanh_does(data):
    x = np.asarray(real(data, "train"))
    assert (x.min(), x.max()) == (-1, 1)
    few = vision.symmetric(data, validation=5)
    assert [len(few.splits[part]["x"]) for part in ("train", "validation", "test")] == [84, 5, 18]


@pytest.mark.slow
def test_it_learns_when_it_is_first_asked(data):
    measure = judge(data, epochs=2)
    assert judge(data, epochs=2) is measure
    features = measure.features
    assert "network" not in vars(features)
    images = np.asarray(real(data))
    assert features(images).shape == (18, 64)
    assert features(images).min() >= 0  # behind the activation
    assert features(images) is features(images)  # those of real images are kept
    found = measure(images, images)
    assert found["fid"] == pytest.approx(0, abs=1e-6)
    assert (found["precision"], found["recall"]) == (1, 1)
    assert found["notes"] == [
        "FID, KID, precision, recall, density and coverage on features of "
        "the sheet's CNN, trained on bars for 2 epochs (seed 0), of 18 examples"
    ]
    levels = features(images + 0.01)  # a hundredth is less than half a level of grey
    np.testing.assert_array_equal(levels, features(images))


@pytest.mark.slow
def test_imported_weights_come_with_their_pipeline(data, tmp_path, monkeypatch):
    monkeypatch.setattr(judges, "CHUNK", 18)
    model = MODELS["resnet18"].build(classes=4)
    variables = jax.jit(lambda: model.init(jax.random.key(0), np.zeros((1, 32, 32, 3), np.float32), train=False))()
    save_torch(model, variables, tmp_path / "w.safetensors", naming="torchvision")
    import_weights("resnet18", tmp_path / "w.safetensors", tmp_path / "weights", classes=4)
    record = json.loads((tmp_path / "weights" / "weights.json").read_text(encoding="utf-8"))
    record["preprocess"] |= {"resize": 32, "crop": 32}
    del record["sha256"]["weights.json"]  # as earlier versions wrote it: this one refuses an edited file
    (tmp_path / "weights" / "weights.json").write_text(json.dumps(record), encoding="utf-8")
    measure = judge(data, str(tmp_path / "weights"))
    assert measure.features(np.asarray(real(data))).shape == (18, 512)
    for words in ("resnet18 (torchvision weights, sha256", "resize 32, crop 32, mean", "interpolation bilinear"):
        assert words in measure.name


def test_what_is_no_classifier_is_refused(data, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"classifier: .*nowhere"):
        judge(data, str(tmp_path / "nowhere"))


def test_a_run_that_cannot_judge_is_refused_before_training(data, trained):
    with pytest.raises(ValueError, match="is a MLP, whose features cannot be read: take a run of a convolutional"):
        judge(data, str(trained.folder))
