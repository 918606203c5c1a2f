"""Folders of images written here: split or taken as they are, and one clear line for what cannot be used."""

import numpy as np
import pytest
from PIL import Image

from jaxdl.data.image import folder


def paint(path, value, size=(9, 6), count=20):
    path.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        pixels = np.full((*size, 3), value, np.uint8)
        pixels[0, 0] = i
        Image.fromarray(pixels).save(path / f"{i}.png")


def test_one_folder_is_split(tmp_path):
    paint(tmp_path / "dark", 10)
    paint(tmp_path / "light", 240, size=(4, 8))  # of another shape
    (tmp_path / "notes").mkdir()  # no images: no class
    (tmp_path / "dark" / "readme.txt").write_text("not an image", encoding="utf-8")
    (tmp_path / ".hidden").mkdir()
    data = folder.image_folder(tmp_path, batch=4, size=4)
    assert data.classes == ("dark", "light")
    assert {part: data.size(part) for part in data.splits} == {"train": 28, "validation": 6, "test": 6}
    for arrays in data.splits.values():
        assert arrays["x"].shape[1:] == (4, 4, 3)
        np.testing.assert_array_equal(np.median(arrays["x"], (1, 2, 3)), np.where(arrays["y"] == 0, 10, 240))
    grey = folder.image_folder(tmp_path, batch=4, size=(6, 9), channels=1)
    assert grey.splits["train"]["x"].shape[1:] == (6, 9, 1)


def test_train_val_test_are_taken_as_they_are(tmp_path):
    for part, count in (("train", 10), ("val", 3), ("test", 2)):
        for name in ("a", "b"):
            paint(tmp_path / part / name, 50, count=count)
    data = folder.image_folder(tmp_path, batch=4, size=4)
    assert {part: data.size(part) for part in data.splits} == {"train": 20, "validation": 6, "test": 4}
    assert data.split == "train, validation and test as given"


def test_a_missing_part_is_drawn_from_train(tmp_path):
    for name in ("a", "b"):
        paint(tmp_path / "train" / name, ord(name), count=20)
        paint(tmp_path / "test" / name, ord(name), count=2)
    data = folder.image_folder(tmp_path, batch=4, size=8)
    assert {part: data.size(part) for part in data.splits} == {"train": 36, "validation": 4, "test": 4}


def test_changed_files_are_read_again(tmp_path):
    for name in ("a", "b"):
        paint(tmp_path / name, ord(name))
    first = folder.image_folder(tmp_path, batch=4, size=4)
    paint(tmp_path / "c", 99)
    assert folder.image_folder(tmp_path, batch=4, size=4).classes == ("a", "b", "c")
    assert first.classes == ("a", "b")


def test_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent: no such folder"):
        folder.image_folder(tmp_path / "absent", batch=1)
    with pytest.raises(ValueError, match="holds no subfolder of images"):
        folder.image_folder(tmp_path, batch=1)
    paint(tmp_path / "a", 1)
    with pytest.raises(ValueError, match="holds one class only, 'a'"):
        folder.image_folder(tmp_path, batch=1)
    paint(tmp_path / "b", 2)
    with pytest.raises(ValueError, match="do not fit into memory"):
        folder.image_folder(tmp_path, batch=1, size=20_000)
    with pytest.raises(ValueError, match="channels = 2"):
        folder.image_folder(tmp_path, batch=1, channels=2)
    (tmp_path / "b" / "broken.jpg").write_bytes(b"no jpeg")
    with pytest.raises(ValueError, match=r"b/broken\.jpg: is not a readable image"):
        folder.image_folder(tmp_path, batch=1, size=4)
    (tmp_path / "b" / "broken.jpg").unlink()
    content = (tmp_path / "b" / "0.png").read_bytes()
    (tmp_path / "b" / "0.png").write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"b/0\.png: is not a readable image"):
        folder.image_folder(tmp_path, batch=1, size=4)


def test_a_class_that_only_the_test_part_has(tmp_path):
    for name in ("a", "b"):
        paint(tmp_path / "train" / name, 5, count=2)
        paint(tmp_path / "test" / f"{name}2", 5, count=2)
    with pytest.raises(ValueError, match=r"test: class 'a2' has no images in .*train"):
        folder.image_folder(tmp_path, batch=1, size=4)
