"""Images in memory by name: digits and clothing (bundled), MNIST and Fashion-MNIST, CIFAR; arrays of your own: `memory`.

The official test set is the test split; the validation split is a fixed tenth of each class of the official training set.

A set that is not bundled is read from a folder that the user names, or else from tensorflow-datasets if it was prepared.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from jaxdl.counts import check_count
from jaxdl.data import files, prepare, tfds
from jaxdl.data.arrays import as_array, class_names
from jaxdl.data.image import folder as folders
from jaxdl.data.image.memory import Images, Pair, images
from jaxdl.types import UserError

FASHION = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@cache
def digits(*, batch: int = 64) -> Images:
    """1,797 handwritten digits of 8x8 pixels, 0 to 16. Source: Alpaydin, Kaynak 1998 (UCI), as scikit-learn ships it."""
    rows = files.bundled("digits.csv.gz")
    x, y = rows[:, :-1].reshape(-1, 8, 8).astype(np.uint8), rows[:, -1]
    return images((x, y), batch=batch, name="digits", classes=[str(i) for i in range(10)], maximum=16.0)


@cache
def clothing(*, batch: int = 64) -> Images:
    """12,000 pieces of clothing of 28x28 pixels, 1,000 for training and 200 for testing of each of 10 classes.

    The first of each class in Fashion-MNIST. Source: Xiao et al. 2017, arXiv:1708.07747; `bundled/make_clothing.py`.
    """
    parts = _npz(files.existing(files.BUNDLED / "clothing.npz"))
    return images(parts["train"], parts["test"], batch=batch, name="clothing", classes=FASHION)


@cache
def mnist(*, batch: int = 128, folder: str | Path | None = None) -> Images:
    """70,000 handwritten digits of 28x28 pixels. Source: LeCun, Cortes, Burges, The MNIST database.

    Args:
        batch: examples in a training step.
        folder: where `train-images-idx3-ubyte` and its kin lie, gzipped or not, or `mnist.npz`; None: tensorflow-datasets.
    """
    return _named("mnist", folder, _idx_or_npz, batch, "MNIST", [str(i) for i in range(10)])


@cache
def fashion_mnist(*, batch: int = 128, folder: str | Path | None = None) -> Images:
    """70,000 pieces of clothing of 28x28 pixels. Source: Xiao et al. 2017, arXiv:1708.07747.

    Args:
        batch: examples in a training step.
        folder: where `train-images-idx3-ubyte` and its kin lie, gzipped or not, or an npz file; None: tensorflow-datasets.
    """
    return _named("fashion_mnist", folder, _idx_or_npz, batch, "Fashion-MNIST", FASHION)


@cache
def cifar10(*, batch: int = 128, folder: str | Path | None = None) -> Images:
    """60,000 colour photographs of 32x32 pixels, 10 classes. Source: Krizhevsky 2009.

    Args:
        batch: examples in a training step.
        folder: where `data_batch_1.bin` and its kin lie (the "binary version"), or images in train/<class>/ and test/<class>/,
            or an npz file; None: tensorflow-datasets.
    """
    return _named("cifar10", folder, _cifar10, batch, "CIFAR-10", CIFAR10)


@cache
def cifar100(*, batch: int = 128, folder: str | Path | None = None) -> Images:
    """60,000 colour photographs of 32x32 pixels, 100 classes. Source: Krizhevsky 2009.

    Args:
        batch: examples in a training step.
        folder: where `train.bin` and `test.bin` lie (the "binary version"), or an npz file; None: tensorflow-datasets.
    """
    return _named("cifar100", folder, _cifar100, batch, "CIFAR-100", [str(i) for i in range(100)])


def npz(path: str | Path, *, batch: int, classes: Sequence[str] = ()) -> Images:
    """Images from one npz file: x_train, y_train and, where they exist, x_validation, y_validation, x_test, y_test."""
    path = files.existing(path)
    parts = _npz(path)
    names = classes or class_names(
        {part: as_array(y, f"{path}: y_{part}") for part, (_, y) in parts.items()}, source=str(path)
    )
    return images(parts.pop("train"), batch=batch, name=path.stem, classes=names, **parts)


@cache
def symmetric(data: Images, *, validation: int | None = None) -> Images:
    """The same images in [-1, 1], where a tanh ends: for models that make images.

    Args:
        data: any set of images.
        validation: how many images the validation split keeps, a fixed draw; None: all.
    """
    splits = dict(data.splits)
    check_count("validation", validation)
    if validation is not None:
        rows = np.sort(np.random.RandomState(0).permutation(len(splits["validation"]["y"]))[:validation])
        splits["validation"] = {name: a[rows] for name, a in splits["validation"].items()}
    half = (0.5,) * splits["train"]["x"].shape[-1]
    split = data.split + (f"; {validation} of them for validation" if validation else "")
    return replace(data, splits=splits, split=split, standardise=prepare.Standardise(half, half))


@cache
def undivided(data: Images) -> Images:
    """The same set with the validation images back in the training split, for a recipe of which nothing is chosen any more."""
    parts = {name: dict(part) for name, part in data.splits.items()}
    if (held := parts.pop("validation", None)) is not None:
        parts["train"] = {name: np.concatenate([a, held[name]]) for name, a in parts["train"].items()}
    mean = prepare.statistics(parts["train"]["x"], maximum=data.maximum)
    return replace(
        data, splits=parts, standardise=mean, split="all training images are trained on; no validation split"
    )


Reader = Callable[[Path], Mapping[str, Pair]]


def _named(key: str, folder: str | Path | None, read: Reader, batch: int, name: str, classes: Sequence[str]) -> Images:
    parts = _read(folder and Path(folder).expanduser(), read, key)
    return images(parts["train"], parts["test"], batch=batch, name=name, classes=classes)


@cache
def _read(folder: Path | None, read: Reader, key: str) -> Mapping[str, Pair]:
    if folder is None:
        return {
            part: (a["image"], a["label"]) for part, a in tfds.load_arrays(key, splits=("train", "test"))[0].items()
        }
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder")
    return read(folder)


def _idx_or_npz(folder: Path) -> Mapping[str, Pair]:
    prefixes = {"train": "train", "test": "t10k"}
    names = {part: (f"{p}-images-idx3-ubyte", f"{p}-labels-idx1-ubyte") for part, p in prefixes.items()}
    if _find(folder, names["train"][0], "raw"):
        return {part: tuple(files.read_idx(_need(folder, n, "raw")) for n in pair) for part, pair in names.items()}
    return _only_npz(folder, f"{names['train'][0]}[.gz]")


def _cifar10(folder: Path) -> Mapping[str, Pair]:
    inner = "cifar-10-batches-bin"
    if (folder / "train").is_dir():
        return _classes(folder, CIFAR10, size=32)
    if not _find(folder, "data_batch_1.bin", inner):
        _refuse_pickle(folder, "data_batch_1", "cifar-10-batches-py", "cifar-10-binary.tar.gz")
        return _only_npz(folder, "data_batch_1.bin")
    train = [files.read_cifar(_need(folder, f"data_batch_{i}.bin", inner)) for i in range(1, 6)]
    x, y = (np.concatenate(arrays) for arrays in zip(*train, strict=True))
    return {"train": (x, y), "test": files.read_cifar(_need(folder, "test_batch.bin", inner))}


def _classes(folder: Path, classes: Sequence[str], *, size: int) -> Mapping[str, Pair]:
    """Images in train/<class>/ and test/<class>/, of exactly these classes."""
    found, names = folders.decoded(folder, size=size)
    if names != tuple(sorted(classes)) or set(found) != {"train", "test"}:
        raise UserError(
            f"{folder}: expected train/ and test/ with the folders {', '.join(classes)}, "
            f"got {', '.join(sorted(found))} with {', '.join(names)}"
        )
    order = np.array([classes.index(name) for name in names])
    return {part: (x, order[y]) for part, (x, y) in found.items()}


def _cifar100(folder: Path) -> Mapping[str, Pair]:
    inner = "cifar-100-binary"
    if not _find(folder, "train.bin", inner):
        _refuse_pickle(folder, "train", "cifar-100-python", "cifar-100-binary.tar.gz")
        return _only_npz(folder, "train.bin")
    return {part: files.read_cifar(_need(folder, f"{part}.bin", inner), labels=2) for part in ("train", "test")}


def _only_npz(folder: Path, wanted: str) -> Mapping[str, Pair]:
    found = sorted(folder.glob("*.npz"))
    if len(found) != 1:
        raise FileNotFoundError(f"{folder}: holds neither {wanted} nor exactly one npz file ({len(found)} found)")
    parts = _npz(found[0])
    if "test" not in parts:
        raise UserError(f"{found[0]}: has no x_test, y_test")
    return parts


def _npz(path: Path) -> dict[str, Pair]:
    arrays = files.read_npz(path)
    parts = {}
    for part in ("train", "validation", "test"):
        pair = [f"{key}_{part}" for key in "xy"]
        if part == "train" or any(name in arrays for name in pair):
            for name in pair:
                if name not in arrays:
                    raise UserError(f"{path}: has no array {name!r}; it has {', '.join(arrays)}")
            x, y = (arrays[name] for name in pair)
            parts[part] = x, y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    return parts


def _refuse_pickle(folder: Path, file: str, inner: str, wanted: str) -> None:
    if _find(folder, file, inner):
        raise UserError(f"{folder}: holds the Python version, and reading pickles can run code; unpack {wanted} there")


def _find(folder: Path, file: str, inner: str) -> Path | None:
    """The file in the folder or its usual subfolder, gzipped or not, also as `train-images.idx3-ubyte`."""
    forms = [file, f"{file}.gz", file.replace("-idx", ".idx"), file.replace("-idx", ".idx") + ".gz"]
    paths = [place / form for place in (folder, folder / inner) for form in forms]
    return next((path for path in paths if path.is_file()), None)


def _need(folder: Path, file: str, inner: str) -> Path:
    found = _find(folder, file, inner)
    if found is None:
        raise FileNotFoundError(f"{folder / file}: no such file (nor with .gz)")
    return found
