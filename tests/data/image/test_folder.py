"""Folders of images written here: split or taken as they are, and one clear line for what cannot be used."""

import numpy as np
import pytest
from PIL import Image

from jaxdl.data.image import folder, images
from jaxdl.data.walker import Note
from jaxdl.types import UserError


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
    with pytest.warns(Note, match=r"class dark: 1 \.txt not read; class notes: an empty folder"):
        data = folder.image_folder(tmp_path, batch=4, size=4)
    assert data.classes == ("dark", "light")
    assert "class dark: 1 .txt not read" in data.split
    assert {part: data.size(part) for part in data.splits} == {"train": 28, "validation": 6, "test": 6}
    for arrays in data.splits.values():
        assert arrays["x"].shape[1:] == (4, 4, 3)
        np.testing.assert_array_equal(np.median(arrays["x"], (1, 2, 3)), np.where(arrays["y"] == 0, 10, 240))
    (tmp_path / "notes").rmdir()
    (tmp_path / "dark" / "readme.txt").unlink()
    grey = folder.image_folder(tmp_path, batch=4, size=(6, 9), channels=1)
    assert grey.splits["train"]["x"].shape[1:] == (6, 9, 1)


def test_train_val_test_are_taken_as_they_are(tmp_path):
    for part, count in (("train", 10), ("val", 3), ("test", 2)):
        for name in ("a", "b"):
            paint(tmp_path / part / name, 50, count=count)
    data = folder.image_folder(tmp_path, batch=4, size=4)
    assert {part: data.size(part) for part in data.splits} == {"train": 20, "validation": 6, "test": 4}
    assert data.split.startswith(
        "train, validation and test as given; 6 of 6 validation rows equal one of train; 4 of 4 test"
    )
    for name in ("a", "b"):
        paint(tmp_path / "val" / name, 60, count=3)
        paint(tmp_path / "test" / name, 70, count=2)
    assert folder.image_folder(tmp_path, batch=4, size=4).split == "train, validation and test as given"


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


def noise(path, count=20, start=0, suffix="png", **options):
    path.mkdir(parents=True, exist_ok=True)
    for i in range(start, start + count):
        pixels = np.random.default_rng([*path.name.encode(), i]).integers(0, 256, (12, 12, 3), np.uint8)
        Image.fromarray(pixels).save(path / f"{i}.{suffix}", **options)


def streamed(path, **options):
    return images._streamed.__wrapped__(path, batch=4, image=8, workers=0, **options)


def in_two_parts(data):
    """How many contents of files stand in more than one part of a streamed set."""
    where = {}
    for part, records in data.records.items():
        for i in range(len(records)):
            with open(records[i][0], "rb") as file:
                where.setdefault(file.read(), set()).add(part)
    return sum(len(parts) > 1 for parts in where.values())


READ = {"image_folder": lambda path: folder.image_folder(path, batch=4, size=8), "streamed": streamed}
BOTH = pytest.mark.parametrize("read", READ.values(), ids=READ)


@BOTH
def test_hidden_folders_are_no_examples(tmp_path, read):
    for name in ("cat", "dog"):
        noise(tmp_path / name)
        noise(tmp_path / name / ".ipynb_checkpoints")
        noise(tmp_path / "__MACOSX" / name)
        (tmp_path / name / "._0.png").write_bytes(b"Mac OS X")
    data = read(tmp_path)
    assert data.classes == ("cat", "dog")
    assert {part: data.size(part) for part in data.splits} == {"train": 28, "validation": 6, "test": 6}


@BOTH
def test_a_class_may_be_called_train_or_test(tmp_path, read):
    for name in ("bus", "train", "test"):
        noise(tmp_path / name)
    assert read(tmp_path).classes == ("bus", "test", "train")
    for name in ("red", "blue"):
        noise(tmp_path / "nested" / "bus" / name)
        noise(tmp_path / "nested" / "train" / name)
    assert read(tmp_path / "nested").classes == ("bus", "train")


@BOTH
def test_parts_in_any_case_and_what_lies_beside_them(tmp_path, read):
    for name in ("a", "b"):
        noise(tmp_path / "Training" / name)
        noise(tmp_path / "Testing" / name, count=4, start=20)
    noise(tmp_path / "extra", count=5)
    with pytest.warns(Note, match="extra: beside the parts, 5 not read"):
        data = read(tmp_path)
    assert data.classes == ("a", "b")
    assert (data.size("train"), data.size("validation"), data.size("test")) == (36, 4, 8)
    assert "extra" in data.split


@BOTH
def test_parts_without_classes_and_two_folders_of_one_part(tmp_path, read):
    for part in ("train", "val"):
        noise(tmp_path / part, count=2)
    with pytest.raises(UserError, match="no subfolder of images"):
        read(tmp_path)
    for part in ("train", "val", "valid"):
        noise(tmp_path / "twice" / part / "a", count=2)
        noise(tmp_path / "twice" / part / "b", count=2)
    with pytest.raises(UserError, match="val and valid"):
        read(tmp_path / "twice")


@BOTH
def test_suffixes_that_pillow_reads_and_others(tmp_path, read):
    noise(tmp_path / "bird", suffix="jfif", format="JPEG")
    noise(tmp_path / "cat", suffix="JPG")
    for i in range(40):
        (tmp_path / "cat" / f"{i}.heic").write_bytes(b"x")
    with pytest.warns(Note, match=r"class cat: 40 \.heic not read"):
        assert read(tmp_path).classes == ("bird", "cat")
    for name in ("cat", "cow"):
        noise(tmp_path / "lost" / name, count=2)
    (tmp_path / "lost" / "dog").mkdir()
    (tmp_path / "lost" / "dog" / "1.heic").write_bytes(b"x")
    with pytest.raises(UserError, match=r"dog.*1 \.heic"):
        read(tmp_path / "lost")


@BOTH
def test_folders_in_the_form_of_cifar(tmp_path, read):
    for i, name in enumerate(("airplane", "truck")):
        noise(tmp_path / "train" / name, count=20)
        noise(tmp_path / "train" / name, count=20, start=20, suffix="jpg")
        noise(tmp_path / "test" / name, count=4 + i, start=40)
    data = read(tmp_path)
    assert data.classes == ("airplane", "truck")
    assert {part: data.size(part) for part in data.splits} == {"train": 72, "validation": 8, "test": 9}
    np.testing.assert_array_equal(np.bincount(data.splits["test"]["y"]), [4, 5])


def test_equal_files_stay_in_one_part(tmp_path):
    for name in "ab":
        noise(tmp_path / name, count=40)
        for i in range(30):  # many more than a tenth
            (tmp_path / name / f"{i} (copy).png").write_bytes((tmp_path / name / f"{i}.png").read_bytes())
    data = streamed(tmp_path)
    assert in_two_parts(data) == 0
    assert "equal files stay in one part" in data.split
    where = {}
    memory = folder.image_folder(tmp_path, batch=4, size=8)
    for part, arrays in memory.splits.items():
        for x in arrays["x"]:
            where.setdefault(x.tobytes(), set()).add(part)
    assert len(where) == 80
    assert all(len(parts) == 1 for parts in where.values())


def test_files_of_given_parts_that_are_in_train_are_counted(tmp_path):
    for name in "ab":
        noise(tmp_path / "train" / name, count=10)
        noise(tmp_path / "val" / name, count=4, start=8)  # two of them are of train
    assert "4 of 8 validation rows equal one of train" in streamed(tmp_path).split
    assert "4 of 8 validation rows equal one of train" in folder.image_folder(tmp_path, batch=4, size=12).split


def test_files_are_equal_by_content(tmp_path):
    ends = b"e" * 5000
    contents = (b"1" + ends, b"2" + ends, b"1" + ends, b"short", b"shirt", b"short", b"alone!")
    for i, content in enumerate(contents):
        (tmp_path / str(i)).write_bytes(content)
    number = folder.equal_files([str(tmp_path / str(i)) for i in range(len(contents))])
    assert [contents.index(content) for content in contents] == [number.index(n) for n in number]
