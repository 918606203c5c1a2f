"""An imported weight set is a folder that says everything about itself."""

import json
import os

import jax
import numpy as np
import pytest

from jaxdl.models.catalog import MODELS
from jaxdl.pretrained.folder import import_weights, open_weights, save_torch, shapes_of
from jaxdl.pretrained.preprocess import Preprocess
from jaxdl.types import UserError

NAME, OPTIONS = "cifar_resnet20", {"classes": 3, "width": 16, "stages": (1, 1)}


@pytest.fixture
def source(tmp_path):
    """A file with the names of a CIFAR repository."""
    model = MODELS[NAME].build(**OPTIONS)
    random = np.random.default_rng(0)
    variables = jax.tree.map(lambda s: np.abs(random.normal(size=s.shape)).astype(np.float32), shapes_of(model))
    save_torch(model, variables, tmp_path / "net.safetensors", naming="kuangliu")
    return tmp_path / "net.safetensors", variables


@pytest.mark.programs(30, "each array of a file is put on the device by itself")
def test_import_open_predict(tmp_path, source):
    path, variables = source
    config = {"size": 8, "crop_size": 8, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(config), encoding="utf-8")
    made = import_weights(NAME, path, tmp_path / "out", labels=("cat", "dog", "bird"), **OPTIONS)
    assert made.weights.naming == "kuangliu"
    opened = open_weights(tmp_path / "out")
    jax.tree.map(np.testing.assert_array_equal, dict(opened.weights.variables), dict(variables))
    assert opened.weights.preprocess == made.weights.preprocess == Preprocess(8, 8, (0.5,) * 3, (0.5,) * 3, squash=True)
    images = [np.random.default_rng(i).integers(0, 256, (9, 12, 3)).astype(np.uint8) for i in range(2)]
    probabilities = opened.predict(images)
    assert probabilities.shape == (2, 3)
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
    np.testing.assert_array_equal(probabilities, made.predict(images))
    assert [opened.label(i) for i in range(3)] == ["cat", "dog", "bird"]
    record = json.loads((tmp_path / "out" / "weights.json").read_text(encoding="utf-8"))
    assert len(record["source"]["sha256"]) == 64


def test_errors(tmp_path, source):
    path, _ = source
    with pytest.raises(UserError, match="'resnet51'"):
        import_weights("resnet51", path, tmp_path / "out")
    with pytest.raises(UserError, match=r"\(4, 16\)|\(3, 16\)|head"):
        import_weights(NAME, path, tmp_path / "out", **(OPTIONS | {"classes": 4}))
    assert not (tmp_path / "out").exists()
    with pytest.raises(UserError, match=r"weights\.json"):
        open_weights(tmp_path)


@pytest.mark.programs(30, "each array of a file is put on the device by itself")
def test_a_damaged_folder(tmp_path, source):
    path, _ = source
    import_weights(NAME, path, tmp_path / "out", **OPTIONS)
    record = json.loads((tmp_path / "out" / "weights.json").read_text(encoding="utf-8"))
    record["options"]["classes"] = 4
    (tmp_path / "out" / "weights.json").write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(UserError, match=r"weights\.json"):
        open_weights(tmp_path / "out")
    del record["sha256"]["weights.json"]  # as earlier versions wrote it
    (tmp_path / "out" / "weights.json").write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(UserError, match=r"params/head/bias, params/head/kernel.*cifar_resnet20"):
        open_weights(tmp_path / "out")


def test_a_wrong_model_is_named_briefly(tmp_path, source):
    """Near names for an unknown one; a few of the tensors that do not fit, and how many there are."""
    path, _ = source
    with pytest.raises(UserError) as refused:
        import_weights("cifar_resnet21", path, tmp_path / "out")
    assert "cifar_resnet20" in str(refused.value)
    assert len(str(refused.value)) < 200
    with pytest.raises(UserError, match=r"and \d+ more") as refused:
        import_weights("cifar_resnet20", path, tmp_path / "out")
    assert len(str(refused.value)) < 1500
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no permissions of a group")
def test_files_have_the_permissions_of_the_user(tmp_path, source):
    path, _ = source
    import_weights(NAME, path, tmp_path / "out", **OPTIONS)
    (tmp_path / "plain").touch()
    modes = {file.stat().st_mode for file in [tmp_path / "plain", *(tmp_path / "out").iterdir()]}
    assert len(modes) == 1
