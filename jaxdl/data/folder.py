"""Folders of images, one subfolder a class: decoded, resized and cropped to one shape.

    folder/cat/1.jpg  folder/dog/7.png  …                   split by a fixed draw: 70 / 15 / 15 %
    folder/train/cat/1.jpg …  folder/val/…  folder/test/…   taken as it is; parts that are missing are drawn from train

The decoded images live in memory as uint8, so this is for sets of some gigabytes at most.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from jaxdl.data import files, vision

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
    path = Path(path).expanduser()
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: no such folder")
    height, width = (size, size) if isinstance(size, int) else size
    if min(height, width) < 1 or channels not in (1, 3):
        raise ValueError(f"size = {size} must be positive and channels = {channels} be 1 or 3")
    found = {part: next((path / n for n in names if (path / n).is_dir()), None) for part, names in PARTS.items()}
    folders = {part: place for part, place in found.items() if place} if found["train"] else {"train": path}
    listing = {part: _listing(place) for part, place in folders.items()}
    classes = tuple(listing["train"])
    if len(classes) < 2:
        what = f"one class only, {classes[0]!r}" if classes else "no subfolder of images"
        raise ValueError(f"{folders['train']}: holds {what}; images lie in one subfolder for each class")
    for part, images in listing.items():
        strange = sorted(set(images) - set(classes))
        if strange:
            raise ValueError(f"{folders[part]}: class {strange[0]!r} has no images in {folders['train']}")
    count = sum(len(images) for part in listing.values() for images in part.values())
    if count * height * width * channels > LIMIT:
        raise ValueError(
            f"{path}: {count} images of {height}x{width}x{channels} do not fit into memory; take a smaller size"
        )
    stamp = tuple(
        (str(f), f.stat().st_mtime_ns) for part in listing.values() for images in part.values() for f in images
    )
    parts = _decode(tuple(folders.items()), (height, width), channels, hash(stamp))
    return vision.images(batch=batch, name=path.name, classes=classes, **parts)


def _listing(folder: Path) -> dict[str, list[Path]]:
    """Image files by class, everything sorted; hidden files and folders are left out."""
    names = sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    images = {name: sorted(p for p in (folder / name).rglob("*") if _is_image(p)) for name in names}
    return {name: paths for name, paths in images.items() if paths}


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()


@cache
def _decode(
    folders: Sequence[tuple[str, Path]], size: tuple[int, int], channels: int, stamp: int
) -> Mapping[str, vision.Pair]:
    """(images, labels) by part; `stamp` tells when the files have changed."""
    listing = {part: _listing(folder) for part, folder in folders}
    label = {name: i for i, name in enumerate(listing["train"])}
    parts = {}
    for part, classes in listing.items():
        paths = [(path, label[name]) for name, images in classes.items() for path in images]
        x = np.empty((len(paths), *size, channels), np.uint8)
        for i, (path, _) in enumerate(paths):
            x[i] = files.read_image(path, size=size, channels=channels)
        parts[part] = x, np.array([y for _, y in paths])
    return parts
