"""Folders of images, one subfolder a class: decoded, resized and cropped to one shape.

    folder/cat/1.jpg  folder/dog/7.png  …                   split by a fixed draw: 70 / 15 / 15 %
    folder/train/cat/1.jpg …  folder/val/…  folder/test/…   taken as it is; parts that are missing are drawn from train

The decoded images live in memory as uint8, so this is for sets of some gigabytes at most; larger ones: `jaxdl.data.image.images`.
"""

import os
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from jaxdl.counts import check_counts
from jaxdl.data import files
from jaxdl.data.image import vision
from jaxdl.types import UserError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})
PARTS = {
    "train": ("train", "training"),
    "validation": ("val", "validation", "valid", "dev"),
    "test": ("test", "testing"),
}
LIMIT = 8 * 2**30
"""Bytes of decoded images above which a set does not belong in memory."""


def image_folder(path: str | Path, *, batch: int, size: int | tuple[int, int] = 64, channels: int = 3) -> vision.Images:
    """A data set of the images under `path`.

    Args:
        path: the folder.
        batch: examples in a training step.
        size: height and width that every image is brought to, see `files.read_image`.
        channels: 3 for colour, 1 for grey.
    """
    height, width = size if isinstance(size, tuple) else (size, size)
    check_counts(size=height, channels=channels)
    check_counts(size=width)
    if channels not in (1, 3):
        raise UserError(f"channels = {channels} must be 1 or 3")
    path = Path(path).expanduser()
    listing = parts(path)
    count = sum(len(images) for part in listing.values() for images in part.values())
    if count * height * width * channels > LIMIT:
        raise UserError(
            f"{path}: {count} images of {height}x{width}x{channels} do not fit into memory; take a smaller size"
        )
    files_of = {part: tuple((name, *images) for name, images in found.items()) for part, found in listing.items()}
    stamp = tuple(os.stat(f).st_mtime_ns for part in listing.values() for images in part.values() for f in images)
    decoded = _decode(tuple(files_of.items()), (height, width), channels, hash(stamp))
    return vision.images(batch=batch, name=path.name, classes=tuple(listing["train"]), **decoded)


def parts(path: Path) -> dict[str, dict[str, list[str]]]:
    """The image files of each part by class, all sorted: "train" and those of "validation" and "test" that have a folder.

    Errors: `FileNotFoundError`, or `ValueError` where there is nothing to tell apart, or a part has a class that train lacks.
    """
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: no such folder")
    found = {part: next((path / n for n in names if (path / n).is_dir()), None) for part, names in PARTS.items()}
    folders = {part: place for part, place in found.items() if place} if found["train"] else {"train": path}
    listing = {part: _listing(place) for part, place in folders.items()}
    classes = tuple(listing["train"])
    if len(classes) < 2:
        what = f"one class only, {classes[0]!r}" if classes else "no subfolder of images"
        raise UserError(f"{folders['train']}: holds {what}; images lie in one subfolder for each class")
    for part, images in listing.items():
        strange = sorted(set(images) - set(classes))
        if strange:
            raise UserError(f"{folders[part]}: class {strange[0]!r} has no images in {folders['train']}")
        if not images:
            raise UserError(f"{folders[part]}: holds no images; remove it, or fill one subfolder for each class")
    return listing


def _listing(folder: Path) -> dict[str, list[str]]:
    """Image files by class, everything sorted; hidden files and folders are left out. Strings: there may be millions."""
    images: dict[str, list[str]] = {}
    for name in sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and entry.name[0] != "."):
        inside = [os.path.join(place, f) for place, _, names in os.walk(folder / name) for f in names if _is_image(f)]
        if inside:
            images[name] = sorted(inside)
    return images


def _is_image(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in SUFFIXES and name[0] != "."


@cache
def _decode(
    parts: Sequence[tuple[str, Sequence[tuple[str, ...]]]], size: tuple[int, int], channels: int, stamp: int
) -> Mapping[str, vision.Pair]:
    """(images, labels) by part; `stamp` tells when the files have changed."""
    label = {name: i for i, (name, *_) in enumerate(dict(parts)["train"])}
    decoded = {}
    for part, classes in parts:
        paths = [(path, label[name]) for name, *images in classes for path in images]
        x = np.empty((len(paths), *size, channels), np.uint8)
        for i, (path, _) in enumerate(paths):
            x[i] = files.read_image(path, size=size, channels=channels)
        decoded[part] = x, np.array([y for _, y in paths])
    return decoded
