"""Folders of images, one subfolder a class: decoded, resized and cropped to one shape.

    folder/cat/1.jpg  folder/dog/7.png  …                   split by a fixed draw: 70 / 15 / 15 %
    folder/train/cat/1.jpg …  folder/val/…  folder/test/…   taken as it is; parts that are missing are drawn from train

The decoded images live in memory as uint8, so this is for sets of some gigabytes at most; larger ones: `jaxdl.data.image.images`.
"""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from jaxdl.counts import check_counts
from jaxdl.data.image import memory
from jaxdl.data.image.reader import read_images, suffixes
from jaxdl.data.splits import row_digest
from jaxdl.data.walker import existing_folder, list_files, one_folder_a_class, subfolders, tell
from jaxdl.types import UserError

PARTS = {
    "train": ("train", "training"),
    "validation": ("val", "validation", "valid", "dev"),
    "test": ("test", "testing"),
}
NAMES = frozenset(name for names in PARTS.values() for name in names)
LIMIT = 8 * 2**30
"""Bytes of decoded images above which a set does not belong in memory."""
END = 4096
"""Bytes at the end of a file that are compared before all of it is."""
Parts = dict[str, dict[str, list[str]]]


def image_folder(path: str | Path, *, batch: int, size: int | tuple[int, int] = 64, channels: int = 3) -> memory.Images:
    """A data set of the images under `path`.

    Args:
        path: the folder.
        batch: examples in a training step.
        size: height and width that every image is brought to, see `reader.read_image`.
        channels: 3 for colour, 1 for grey.
    """
    shape = check_shape(size, channels)
    path = Path(path).expanduser()
    listing, notes = parts_and_notes(path)
    pairs = _decoded(path, listing, shape, channels)
    groups = None if len(pairs) == len(PARTS) else equal_files(_files(listing["train"]))
    data = memory.images(batch=batch, name=path.name, classes=tuple(listing["train"]), groups=groups, **pairs)
    return replace(data, split="; ".join((data.split, *notes)))


def decoded(path: Path, *, size: int, channels: int = 3) -> tuple[dict[str, memory.Pair], tuple[str, ...]]:
    """Images and labels of each part that has a folder, and the names of the classes."""
    listing = parts(path)
    return _decoded(path, listing, check_shape(size, channels), channels), tuple(listing["train"])


def _decoded(path: Path, listing: Parts, size: tuple[int, int], channels: int) -> dict[str, memory.Pair]:
    paths = {part: _files(found) for part, found in listing.items()}
    check_memory(path, sum(map(len, paths.values())), *size, channels)
    label = {name: i for i, name in enumerate(listing["train"])}
    pairs = {}
    for part, some in paths.items():
        labels = np.array([label[name] for name, found in listing[part].items() for _ in found])
        stamp = hash(tuple(os.stat(file).st_mtime_ns for file in some))
        pairs[part] = _decode(tuple(some), size, channels, stamp), labels
    return pairs


def _files(found: dict[str, list[str]]) -> list[str]:
    return [file for some in found.values() for file in some]


def check_shape(size: int | tuple[int, int] | None, channels: int) -> tuple[int, int]:
    """Height and width of a size; (0, 0) for None. UserError for a count that is none, and channels other than 1 and 3."""
    height, width = size if isinstance(size, tuple) else (size, size)
    check_counts(size=height, channels=channels)
    check_counts(size=width)
    if channels not in (1, 3):
        raise UserError(f"channels = {channels} must be 1 or 3")
    return height or 0, width or 0


def check_memory(path: Path, count: int, height: int, width: int, channels: int) -> None:
    """Raise UserError if so many images of this shape do not belong in memory."""
    if count * height * width * channels > LIMIT:
        shape = f"{height}x{width}x{channels}"
        raise UserError(f"{path}: {count} images of {shape} do not fit into memory; take a smaller size")


def part_folders(path: Path) -> dict[str, Path]:
    """The folders of train, validation and test, in any case; or of train alone, the path itself, where they are no split.

    They are one if train holds folders, and where other folders lie beside it, nothing that speaks for a class or an identity of
    this name: images beside its folders, or folders inside the others as well and neither validation nor test.

    Errors: FileNotFoundError; UserError for two folders of one part.
    """
    names = subfolders(existing_folder(path))
    called = {part: [path / name for name in names if name.lower() in known] for part, known in PARTS.items()}
    found = {part: places[0] for part, places in called.items() if places}
    others = [path / name for name in names if name.lower() not in NAMES]
    train = found.get("train")
    if train is None or not subfolders(train):
        return {"train": path}
    if others and (_holds_images(train) or (len(found) == 1 and any(map(_holds_only_folders, others)))):
        return {"train": path}
    for part, places in called.items():
        if len(places) > 1:
            raise UserError(f"{path}: holds two folders for {part}: {places[0].name} and {places[1].name}")
    return found


def _holds_images(path: Path) -> bool:
    return bool(list_files(path, suffixes(), deep=False).files)


def _holds_only_folders(path: Path) -> bool:
    return bool(subfolders(path)) and not _holds_images(path)


def parts(path: Path) -> Parts:
    """The image files of each part by class, all sorted: "train" and those of "validation" and "test" that have a folder.

    Errors: FileNotFoundError; UserError where there is nothing to tell apart, a class of which no file is read, or a part has a
    class that train lacks.
    """
    return parts_and_notes(path)[0]


def parts_and_notes(path: Path) -> tuple[Parts, tuple[str, ...]]:
    """`parts`, and notes on what is not read, of which a warning tells."""
    folders = part_folders(path)
    found, notes = {}, []
    for part, place in folders.items():
        found[part], some = one_folder_a_class(place, suffixes())
        notes += [f"{place.name}, {note}" if len(folders) > 1 else note for note in some]
    classes = tuple(found["train"])
    if len(classes) < 2 or (
        folders["train"] == path and NAMES.issuperset(map(str.lower, classes))
    ):  # train/1.jpg val/2.jpg
        what = f"one class only, {classes[0]!r}" if len(classes) == 1 else "no subfolder of images"
        raise UserError(f"{folders['train']}: holds {what}; images lie in one subfolder for each class")
    for part, images in found.items():
        strange = sorted(set(images) - set(classes))
        if strange:
            raise UserError(f"{folders[part]}: class {strange[0]!r} has no images in {folders['train']}")
        if not images:
            raise UserError(f"{folders[part]}: holds no images; remove it, or fill one subfolder for each class")
    if folders["train"] != path:
        for name in subfolders(path):
            unread = 0 if path / name in folders.values() else len(list_files(path / name, suffixes()).files)
            notes += [f"{name}: beside the parts, {unread} not read"] if unread else []
    tell(path, notes)
    return found, tuple(notes)


def equal_files(paths: Sequence[str]) -> list[int]:
    """A number for each file, the same for files of equal content: of equal size, and where that is shared, checksum."""
    sizes = [os.path.getsize(path) for path in paths]
    keys: list[tuple] = [(size,) for size in sizes]
    for whole in (False, True):
        count = Counter(keys)
        for i, key in enumerate(keys):
            if count[key] > 1:
                keys[i] = (*key, _checksum(paths[i], sizes[i], whole))
    number: dict[tuple, int] = {}
    return [number.setdefault(key, len(number)) for key in keys]


def _checksum(path: str, size: int, whole: bool) -> bytes:
    """Of the end of a file, or of the `whole`, unless its end was all of it."""
    if whole and size <= END:
        return b""
    with open(path, "rb") as file:
        file.seek(0 if whole else max(0, size - END))
        return row_digest(np.frombuffer(file.read(), np.uint8))


@cache
def _decode(paths: Sequence[str], size: tuple[int, int], channels: int, stamp: int) -> np.ndarray:
    """The images of a part; `stamp` tells when the files have changed."""
    del stamp
    return read_images(paths, size=size, channels=channels, source=Path(paths[0]).parent.parent)
