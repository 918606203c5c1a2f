"""A small set prepared here as array_record, read back without TensorFlow; what is not prepared is said at once."""

import io
import json
import socket
import sys
import time

import numpy as np
import pytest
from PIL import Image

from jaxdl import extras
from jaxdl.data import tfds
from jaxdl.data.image import images, vision

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 28, 28), dtype=np.uint8)


@pytest.fixture(scope="module")
def prepared_folder(tmp_path_factory):
    """`tiny` 1.0.0 with 30 + 10 images, prepared by tensorflow-datasets itself, and a copy that is called mnist 2.10.0."""
    import tensorflow_datasets as peer

    class Tiny(peer.core.GeneratorBasedBuilder):
        VERSION = peer.core.Version("1.0.0")

        def _info(self):
            image, label = peer.features.Image(shape=(28, 28, 1)), peer.features.ClassLabel(num_classes=10)
            features = peer.features.FeaturesDict({"image": image, "label": label, "name": peer.features.Text()})
            return peer.core.DatasetInfo(builder=self, features=features)

        def _split_generators(self, manager):
            return {"train": self._examples(range(30)), "test": self._examples(range(30, 40))}

        def _generate_examples(self):
            raise NotImplementedError  # the base class asks for the name; the splits above call `_examples`

        def _examples(self, rows):
            for i in rows:
                file = io.BytesIO()
                Image.fromarray(PIXELS[i]).save(file, "png")
                file.seek(0)
                yield i, {"image": file, "label": i % 3, "name": f"picture {i}"}

    folder = tmp_path_factory.mktemp("tfds")
    Tiny(data_dir=folder, file_format="array_record").download_and_prepare()
    return folder


def test_a_prepared_set_is_read_without_tensorflow(prepared_folder):
    arrays, classes = tfds.load_arrays("tiny", keys=("image", "label", "name"), data_dir=prepared_folder)
    assert "tensorflow" not in sys.modules
    assert classes == {"label": tuple("0123456789")}
    for part, rows in (("train", range(30)), ("test", range(30, 40))):
        order = np.array([int(bytes(name).split()[1]) for name in arrays[part]["name"]])
        assert sorted(order) == list(rows)
        np.testing.assert_array_equal(arrays[part]["image"][..., 0], PIXELS[order])
        np.testing.assert_array_equal(arrays[part]["label"], order % 3)
    half, _ = tfds.load_arrays("tiny:1.0.0", splits=["train[:50%]"], data_dir=prepared_folder)
    assert half["train[:50%]"]["image"].shape == (15, 28, 28, 1)


def test_vision_reads_a_prepared_set(prepared_folder, tmp_path, monkeypatch):
    for version in ("2.9.0", "2.10.0"):
        target = tmp_path / "mnist" / version
        target.mkdir(parents=True)
        for file in (prepared_folder / "tiny" / "1.0.0").iterdir():
            content = file.read_bytes()
            if file.name == "dataset_info.json":
                content = json.dumps(json.loads(content) | {"name": "mnist", "version": version}).encode()
            (target / file.name.replace("tiny", "mnist")).write_bytes(content)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    vision._read.cache_clear()
    assert tfds.prepared("mnist").name == "2.10.0"
    assert tfds.prepared("mnist:2.9.0").name == "2.9.0"
    data = vision.mnist(batch=3)
    assert {part: data.size(part) for part in data.splits} == {"train": 27, "validation": 3, "test": 10}
    assert {image.tobytes() for image in data.splits["test"]["x"]} == {image.tobytes() for image in PIXELS[30:]}
    vision._read.cache_clear()  # for other tests there is no mnist


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_a_prepared_set_is_streamed(prepared_folder, monkeypatch, workers):
    """The encoded images are decoded where they are needed, also in another process; without validation, test stands for it."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(prepared_folder))
    data = images.prepared_images(
        "tiny", batch=15, image=28, eval_image=28, resize=28, workers=workers, scale=(1.0, 1.0)
    )
    assert data.classes == tuple("0123456789")
    assert {part: data.size(part) for part in data.splits} == {"train": 30, "validation": 10}
    (_, source), *rest = data.eval_sources("validation")
    real = source["mask"][0] > 0
    assert not rest
    assert real.sum() == 10
    found = {(image[..., 0].tobytes(), label) for image, label in zip(source["x"][0], source["y"][0], strict=True)}
    assert found - {(bytes(28 * 28), 0)} == {(PIXELS[i].tobytes(), i % 3) for i in range(30, 40)}
    epoch = [data.source(draw, draw + 1, 0)["y"][0] for draw in (0, 1)]
    np.testing.assert_array_equal(np.sort(np.concatenate(epoch)), np.sort(np.arange(30) % 3))
    data.close()


def test_what_is_not_prepared_is_said_at_once_and_without_the_network(tmp_path, monkeypatch):
    def refuse(*_):
        raise AssertionError("tried the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    start = time.perf_counter()
    with pytest.raises(FileNotFoundError, match="cifar10 is not prepared in") as error:
        vision.cifar10(batch=8)
    assert time.perf_counter() - start < 1
    message = str(error.value)
    assert "\n" not in message
    for part in (
        str(tmp_path),
        "--folder",
        extras.command("tfds"),
        "tfds build cifar10 --file_format=array_record",
    ):
        assert part in message


def test_errors(prepared_folder, tmp_path):
    with pytest.raises(ValueError, match="tiny has no feature 'picture'; it has image, label, name"):
        tfds.load_arrays("tiny", keys=("picture",), data_dir=prepared_folder)
    with pytest.raises(ValueError, match=r"tiny has no split 'val\[:9\]'; it has test, train"):
        tfds.load_arrays("tiny", splits=("val[:9]",), data_dir=prepared_folder)
    with pytest.raises(FileNotFoundError, match=r"tiny:2\.0\.0 is not prepared"):
        tfds.load_arrays("tiny:2.0.0", data_dir=prepared_folder)
    info = json.loads((prepared_folder / "tiny" / "1.0.0" / "dataset_info.json").read_text(encoding="utf-8"))
    for config in ("cola", "sst2"):
        (tmp_path / "glue" / config / "1.0.0").mkdir(parents=True)
        (tmp_path / "glue" / config / "1.0.0" / "dataset_info.json").write_text("{}", encoding="utf-8")
    with pytest.raises(FileNotFoundError, match=r"several configurations in .*: say glue/cola or glue/sst2"):
        tfds.load_arrays("glue", data_dir=tmp_path)
    with pytest.raises(ValueError, match="is a damaged data set"):
        tfds.load_arrays("glue/cola", data_dir=tmp_path)
    old = tmp_path / "old" / "1.0.0"
    old.mkdir(parents=True)
    (old / "features.json").write_bytes((prepared_folder / "tiny" / "1.0.0" / "features.json").read_bytes())
    (old / "dataset_info.json").write_text(
        json.dumps(info | {"name": "old", "fileFormat": "tfrecord"}), encoding="utf-8"
    )
    with pytest.raises(ValueError, match="old was prepared as tfrecord; delete it and run once"):
        tfds.load_arrays("old", data_dir=tmp_path)
