"""Image sets: digits as scikit-learn has them, clothing as Fashion-MNIST has it, MNIST and CIFAR from folders written here."""

import gzip
import hashlib
import struct

import numpy as np
import pytest
import sklearn.datasets
from PIL import Image

from jaxdl.data.files import BUNDLED
from jaxdl.data.image import memory, vision
from jaxdl.data.walker import Note
from jaxdl.types import UserError
from tests.programs import one_program

PARTS = ("train", "validation", "test")

CLOTHING = {
    "x_train": "4a43ac75246b3640d737050183c132c5",
    "y_train": "b235ccec277a9a60d4dde40b30ab14f1",
    "x_test": "10c7e2526e29126ab9b22ee3a02fe21e",
    "y_test": "8e1f570fe59836a9a0983cc9352779c1",
}
"""MD5 of the arrays, counted off the original files by hand: the first 1,000 and 200 of each class, in their order."""


def joined(data, key, parts=PARTS):
    return np.concatenate([data.splits[part][key] for part in parts])


def pictures(n, *shape, classes=10, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (n, *shape), dtype=np.uint8), np.arange(n, dtype=np.uint8) % classes


def rows(x, y):
    """The set of examples, whatever their order."""
    return {(image.tobytes(), int(label)) for image, label in zip(x, y, strict=True)}


def test_digits_are_those_of_scikit_learn():
    data, peer = vision.digits(batch=32), sklearn.datasets.load_digits()
    assert data.splits["train"]["x"].dtype == np.uint8
    assert [data.size(part) for part in PARTS] == [1258, 270, 269]
    assert rows(joined(data, "x"), joined(data, "y")) == rows(peer.images.astype(np.uint8), peer.target)
    prepared, out = one_program(
        lambda x: ((batch := data.prepare({"x": x}))["x"], data.standardise(batch)["x"]), data.splits["train"]["x"]
    )
    assert (prepared.min(), prepared.max()) == (0.0, 1.0)
    np.testing.assert_allclose((out.mean(), out.std()), (0, 1), atol=1e-5)
    assert vision.digits(batch=32) is data


def test_clothing_is_a_balanced_part_of_fashion_mnist():
    """Its first labels are those of the original; so are, nearly, the mean and the deviation (0.2860 and 0.3530)."""
    data = vision.clothing(batch=32)
    assert [data.splits[part]["x"].shape for part in PARTS] == [(n, 28, 28, 1) for n in (9000, 1000, 2000)]
    assert all((np.bincount(data.splits[part]["y"]) == data.size(part) // 10).all() for part in PARTS)
    np.testing.assert_allclose((*data.standardise.mean, *data.standardise.std), (0.2860, 0.3530), rtol=0.01)
    assert data.classes[9] == "ankle boot"
    assert vision.clothing(batch=32) is data
    with np.load(BUNDLED / "clothing.npz") as arrays:
        assert arrays["y_train"][:10].tolist() == [9, 0, 0, 3, 0, 2, 7, 2, 5, 5]
        assert arrays["y_test"][:10].tolist() == [9, 2, 1, 1, 6, 1, 4, 6, 5, 7]
        assert {name: hashlib.md5(array.tobytes()).hexdigest() for name, array in arrays.items()} == CLOTHING


def test_the_file_of_clothing_is_small_and_its_licence_lies_beside_it():
    assert (BUNDLED / "clothing.npz").stat().st_size < 6e6
    assert "MIT" in (BUNDLED / "LICENSE.fashion-mnist").read_text(encoding="utf-8")


def write_idx(path, array, *, packed):
    content = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()
    path.write_bytes(gzip.compress(content) if packed else content)


def mnist_folder(folder, *, packed=True, dot="-"):
    folder.mkdir(parents=True, exist_ok=True)
    sets = {"train": pictures(200, 28, 28), "t10k": pictures(40, 28, 28, seed=1)}
    for prefix, (x, y) in sets.items():
        for array, kind in ((x, "images-idx3"), (y, "labels-idx1")):
            name = f"{prefix}-{kind}-ubyte".replace("-idx", f"{dot}idx") + (".gz" if packed else "")
            write_idx(folder / name, array, packed=packed)
    return sets


@pytest.mark.parametrize("load", [vision.mnist, vision.fashion_mnist])
@pytest.mark.parametrize(("packed", "dot", "inner"), [(True, "-", ""), (False, "-", "raw"), (False, ".", "")])
def test_mnist_from_idx_files(tmp_path, load, packed, dot, inner):
    sets = mnist_folder(tmp_path / inner, packed=packed, dot=dot)
    data = load(batch=8, folder=tmp_path)
    assert data.splits["train"]["x"].shape == (180, 28, 28, 1)
    np.testing.assert_array_equal(np.bincount(data.splits["validation"]["y"]), 2)  # a tenth of each class
    assert rows(joined(data, "x", PARTS[:2]), joined(data, "y", PARTS[:2])) == rows(*sets["train"])
    np.testing.assert_array_equal(data.splits["test"]["x"][..., 0], sets["t10k"][0])
    assert data.split.startswith("180 train / 20 validation: the same split for every seed, stratified by class")
    assert data.split.endswith("; 40 test as given")
    pixels = data.splits["train"]["x"] / 255.0
    np.testing.assert_allclose((data.standardise.mean[0], data.standardise.std[0]), (pixels.mean(), pixels.std()))


def test_mnist_from_an_npz_file(tmp_path):
    (x, y), test = pictures(200, 28, 28), pictures(40, 28, 28, seed=1)
    np.savez(tmp_path / "mnist.npz", x_train=x, y_train=y, x_test=test[0], y_test=test[1])
    data = vision.mnist(batch=8, folder=str(tmp_path))
    assert rows(joined(data, "x"), joined(data, "y")) == rows(x, y) | rows(*test)
    same = vision.npz(tmp_path / "mnist.npz", batch=8)
    np.testing.assert_array_equal(same.splits["train"]["x"], data.splits["train"]["x"])


def test_npz_of_floats_with_its_own_validation(tmp_path):
    x, y = pictures(50, 4, 4, 3, classes=2)
    arrays = {
        f"{key}_{part}": a for part in ("train", "validation") for key, a in (("x", x / 255.0), ("y", y[:, None]))
    }
    np.savez(tmp_path / "own.npz", **arrays)
    data = vision.npz(tmp_path / "own.npz", batch=5, classes=("cat", "dog"))
    assert {part: data.size(part) for part in data.splits} == {"train": 42, "validation": 50, "test": 8}
    assert data.maximum == 1.0
    assert data.splits["train"]["x"].dtype == np.float32
    np.testing.assert_allclose(data.prepare({"x": data.splits["train"]["x"]})["x"], data.splits["train"]["x"])


def cifar_record(x, y, coarse=None):
    labels = y[:, None] if coarse is None else np.stack([coarse, y], 1)
    return np.concatenate([labels, x.transpose(0, 3, 1, 2).reshape(len(x), -1)], 1).astype(np.uint8).tobytes()


def test_cifar(tmp_path):
    for inner in ("", "cifar-10-batches-bin"):
        folder = tmp_path / f"ten{inner}"
        (folder / inner).mkdir(parents=True)
        x, y = pictures(100, 32, 32, 3)
        for i in range(5):
            part = slice(20 * i, 20 * i + 20)
            (folder / inner / f"data_batch_{i + 1}.bin").write_bytes(cifar_record(x[part], y[part]))
        (folder / inner / "test_batch.bin").write_bytes(cifar_record(x[:10], y[:10]))
        data = vision.cifar10(batch=8, folder=folder)
        assert rows(joined(data, "x", PARTS[:2]), joined(data, "y", PARTS[:2])) == rows(x, y)
        np.testing.assert_array_equal(data.splits["test"]["x"], x[:10])
    x, y = pictures(1000, 32, 32, 3, classes=100)
    (tmp_path / "train.bin").write_bytes(cifar_record(x, y, coarse=y // 5))
    (tmp_path / "test.bin").write_bytes(cifar_record(x[:9], y[:9], coarse=y[:9] // 5))
    data = vision.cifar100(batch=8, folder=tmp_path)
    assert rows(joined(data, "x", PARTS[:2]), joined(data, "y", PARTS[:2])) == rows(x, y)
    assert len(data.classes) == 100


def test_cifar_in_folders_of_classes(tmp_path):
    """The class of a picture is its folder, in the order of the binary files; nothing else than ten classes is taken."""
    folder = tmp_path / "ten"
    for part, n in (("train", 10), ("test", 2)):
        for i, name in enumerate(vision.CIFAR10):
            (folder / part / name).mkdir(parents=True)
            for k in range(n):
                pixels = np.full((32, 32, 3), 20 * i + k, np.uint8)
                Image.fromarray(pixels).save(folder / part / name / f"{k}.png")
    data = vision.cifar10(batch=8, folder=folder)
    assert data.classes == vision.CIFAR10
    for split, n in (("train", 90), ("validation", 10), ("test", 20)):
        x, y = data.splits[split]["x"], data.splits[split]["y"]
        assert x.shape == (n, 32, 32, 3)
        np.testing.assert_array_equal(x[:, 0, 0, 0] // 20, y)
    whole = vision.undivided(data)
    assert {split: len(a["y"]) for split, a in whole.splits.items()} == {"train": 100, "test": 20}
    np.testing.assert_allclose(whole.standardise.mean[0], (20 * np.arange(10) + 4.5).mean() / 255, rtol=1e-6)
    other = folder.rename(tmp_path / "other")
    for part in ("train", "test"):
        (other / part / "ship").rename(other / part / "boat")
    with pytest.raises(ValueError, match=r"folders airplane, .*truck, got test, train with airplane, .*boat"):
        vision.cifar10(batch=8, folder=other)


def test_reading_a_file_to_predict(tmp_path):
    data = vision.digits(batch=32)
    Image.fromarray(np.full((16, 16, 3), 255, np.uint8)).save(tmp_path / "white.png")
    white = data.read(tmp_path / "white.png")["x"]
    np.testing.assert_array_equal(white, np.full((1, 8, 8, 1), 16, np.uint8))
    assert white.dtype == np.uint8
    x = data.splits["test"]["x"][:3]
    for array in (x, x[..., 0], x[0], x[0, ..., 0]):
        np.save(tmp_path / "some.npy", array)
        np.testing.assert_array_equal(data.read(tmp_path / "some.npy")["x"], array.reshape(-1, 8, 8, 1))
    np.save(tmp_path / "some.npy", np.zeros((3, 4, 16)))
    with pytest.raises(
        ValueError, match=r"some\.npy: an array of shape \(3, 4, 16\) holds no images of shape \(8, 8, 1\)"
    ):
        data.read(tmp_path / "some.npy")


def test_the_arrays_of_the_caller_stay_writeable():
    x, y = pictures(60, 4, 4, 3)
    data = vision.images((x, y), (x, y), batch=4, name="t", classes="abcdefghij")
    x[0] = 0
    with pytest.raises(ValueError, match="read-only"):
        data.splits["test"]["x"][0] = 0


def test_errors(tmp_path):
    x, y = pictures(40, 4, 4)

    def build(train=(x, y), test=None, classes="abcdefghij"):
        return vision.images(train, test, batch=4, name="t", classes=classes)

    with pytest.raises(ValueError, match="t, train: label 3 of row 3 is not one of 0 … 2"):
        build(classes="abc")
    with pytest.raises(ValueError, match=r"t, train: 1 values are not finite, the first .* in row 1, position"):
        build((np.where(np.arange(640).reshape(40, 4, 4) == 21, np.nan, 0.0), y))
    with pytest.raises(ValueError, match="t: images must have one shape"):
        build(test=pictures(4, 5, 4))
    with pytest.raises(ValueError, match=r"t, train: expected images .* got \(40, 4\), 40"):
        build((x[..., 0], y))
    with pytest.raises(ValueError, match=r"t, train: expected images .* got \(0, 4, 4, 1\), 0"):
        build((x[:0], y[:0]))
    with pytest.raises(FileNotFoundError, match="absent: no such folder"):
        vision.mnist(folder=tmp_path / "absent")
    with pytest.raises(FileNotFoundError, match=r"holds neither train-images-idx3-ubyte.* nor exactly one npz"):
        vision.mnist(folder=tmp_path)
    mnist_folder(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(FileNotFoundError, match=r"t10k-labels-idx1-ubyte: no such file \(nor with \.gz\)"):
        vision.mnist(folder=tmp_path)
    (tmp_path / "data_batch_1").write_bytes(b"pickle")
    with pytest.raises(ValueError, match=r"reading pickles can run code; unpack cifar-10-binary\.tar\.gz"):
        vision.cifar10(folder=tmp_path)
    np.savez(tmp_path / "own.npz", x_train=x)
    with pytest.raises(ValueError, match=r"own\.npz: has no array 'y_train'; it has x_train"):
        vision.npz(tmp_path / "own.npz", batch=2)


def test_arrays_of_16_bits_and_floats():
    y = np.arange(20) % 2
    x = np.random.default_rng(0).integers(0, 65536, (20, 8, 8), dtype=np.uint16)
    data = memory.images((x, y), batch=4, name="deep", classes=("a", "b"))
    assert data.maximum == 65535
    batch = data.prepare({"x": data.splits["train"]["x"]})
    assert 0.9 < float(batch["x"].max()) <= 1
    for bad, pattern in (
        ((x / 257, y), "254"),
        ((x.astype(np.int32), y), "int32.*255"),
        ((x - 300.0, y), "-"),
        ((np.zeros((20, 3, 32, 32), np.uint8), y), r"x\.transpose\(0, 2, 3, 1\)"),
    ):
        with pytest.raises(UserError, match=pattern):
            memory.images(bad, batch=4, name="bad", classes=("a", "b"))
    assert memory.images((x / 257, y), batch=4, name="stated", classes=("a", "b"), maximum=255).maximum == 255


def test_inputs_to_predict_for_in_other_ranges():
    data = vision.digits(batch=32)
    np.testing.assert_array_equal(data.as_inputs(np.full((2, 8, 8), 65535, np.uint16)), np.full((2, 8, 8), 16))
    x = np.random.default_rng(0).random((20, 8, 9, 3))
    floats = memory.images((x, np.arange(20) % 2), batch=4, name="floats", classes=("a", "b"))
    with pytest.raises(UserError, match="255"):
        floats.as_inputs(np.full((1, 8, 9, 3), 255.0))
    with pytest.raises(UserError, match=r"transpose\(0, 2, 3, 1\)"):
        floats.as_inputs(np.zeros((1, 3, 8, 9)))
    with pytest.raises(UserError, match=r"transpose\(1, 2, 0\)"):
        floats.as_inputs(np.zeros((3, 8, 9)))
    for x in (np.full((1, 8, 8), 0.5), np.ones((1, 8, 8))):
        with pytest.raises(UserError, match=r"x \* 16"):
            data.as_inputs(x)
    assert data.as_inputs(np.full((1, 8, 8), 16.0)).shape == (1, 8, 8)  # raw values may be of another type
    assert data.as_inputs(np.zeros((1, 8, 8), np.uint8)).shape == (1, 8, 8)  # one image of one channel


def test_dark_ink_on_light_paper_gets_a_note(tmp_path):
    data = vision.digits(batch=32)
    ink = np.full((16, 16), 255, np.uint8)
    ink[4:12, 6:10] = 0
    Image.fromarray(ink).save(tmp_path / "paper.png")
    Image.fromarray(255 - ink).save(tmp_path / "board.png")
    with pytest.warns(Note, match=r"paper\.png.*light.*dark"):
        data.read(tmp_path / "paper.png")
    assert data.encode([tmp_path / "board.png"] * 2).shape == (2, 8, 8, 1)  # without a word


def test_groups_stay_in_one_part():
    x = np.random.default_rng(0).integers(0, 256, (60, 8, 8), dtype=np.uint8)
    x[:, 0, 0] = np.arange(60) // 3  # three images a patient
    data = memory.images((x, np.arange(60) % 2), batch=4, name="p", classes=("a", "b"), groups=np.arange(60) // 3)
    parts = [set(split["x"][:, 0, 0, 0].tolist()) for split in data.splits.values()]
    assert sum(map(len, parts)) == 20 == len(set.union(*parts))


def test_an_npz_file_with_names_of_classes(tmp_path):
    x, y = np.arange(60 * 4, dtype=np.uint8).reshape(60, 2, 2), np.array(["cat", "dog", "cow"] * 20)
    np.savez(tmp_path / "a.npz", x_train=x, y_train=y, x_test=x[:6] + 1, y_test=y[:6])
    data = vision.npz(tmp_path / "a.npz", batch=4)
    assert data.classes == ("cat", "cow", "dog")
    assert [data.classes[i] for i in data.splits["test"]["y"]] == y[:6].tolist()
    np.savez(tmp_path / "ids.npz", x_train=x, y_train=7_000_001 + np.arange(60))
    with pytest.raises(
        ValueError, match=r"ids.npz: labels 7000001, 7000002, 7000003, … of 60 examples make 7000061 classes"
    ):
        vision.npz(tmp_path / "ids.npz", batch=4)
