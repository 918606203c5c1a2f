"""What a worker does: position -> the decoded, cut and resized image of one example.

Pure functions of the position, so that nothing depends on which worker calls them, or when. `images` reads batches of them ahead.
"""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from typing import Any, Literal, Protocol

import numpy as np

from jaxdl.data.image.reader import one_frame, open_image
from jaxdl.data.order import permute
from jaxdl.types import UserError

Interpolation = Literal["bilinear", "bicubic"]


class Records(Protocol):
    """Random access to (file name or encoded content, label)."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> tuple[str | bytes, int]: ...


class ImageFiles:
    """Paths and labels, numbers or rows of them. The paths are one string of bytes: every worker is sent a copy, and there may be
    millions."""

    def __init__(self, paths: Sequence[str], labels: np.ndarray):
        encoded = [os.fsencode(path) for path in paths]
        self.ends = np.cumsum([0, *map(len, encoded)])
        self.names, self.labels = b"".join(encoded), labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[str, Any]:
        name, label = self.names[self.ends[index] : self.ends[index + 1]], self.labels[index]
        return os.fsdecode(name), int(label) if self.labels.ndim == 1 else label


def crop_window(
    rng: np.random.Generator, width: int, height: int, scale: tuple[float, float], ratio: tuple[float, float]
) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of a window of `scale` times the area and aspect `ratio` (log-uniform).

    Ten draws, then the largest window in the middle whose aspect is allowed, as torchvision does.
    Source: Szegedy et al. 2014, arXiv:1409.4842, section 6.
    """
    for _ in range(10):
        area, aspect = width * height * rng.uniform(*scale), math.exp(rng.uniform(*np.log(ratio)))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            left, top = int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1))
            return left, top, left + w, top + h
    aspect = min(max(width / height, ratio[0]), ratio[1])
    w, h = min(width, round(height * aspect)), min(height, round(width / aspect))
    left, top = (width - w) // 2, (height - h) // 2
    return left, top, left + w, top + h


def resized_crop(image: Any, window: tuple[int, int, int, int], size: int, interpolation: Interpolation) -> np.ndarray:
    """A window of a PIL image as uint8 (size, size, 3)."""
    return np.asarray(image.resize((size, size), _method(interpolation), box=window))


def centre_crop(image: Any, resize: int, size: int, interpolation: Interpolation) -> np.ndarray:
    """The shorter side brought to `resize`, the middle cut out: uint8 (size, size, 3). torchvision's evaluation."""
    short = min(image.size)
    image = image.resize(tuple(resize * n // short for n in image.size), _method(interpolation))
    left, top = (round((n - size) / 2) for n in image.size)
    return np.asarray(image.crop((left, top, left + size, top + size)))


def _method(interpolation: Interpolation) -> Any:
    from PIL import Image

    return getattr(Image.Resampling, interpolation.upper())


def _decoded(records: Records, index: int, name: str) -> tuple[Any, int]:
    source, label = records[index]
    try:
        if isinstance(source, str):
            return open_image(source, frames=partial(_several, name)), label
        return open_image(BytesIO(source), name=f"{name}, record {index}", frames=partial(_several, name)), label
    except OSError as error:  # ValueError: an OSError in training would be taken for a full disk
        raise UserError(str(error)) from None


def _several(name: str, file: str) -> None:
    """One note a set and process, not one a file."""
    one_frame(f"{name}: a file")


@dataclass(frozen=True)
class TrainRow:
    """position -> the example there, randomly cut. Lives in the workers."""

    records: Records
    seed: int
    size: int
    scale: tuple[float, float]
    ratio: tuple[float, float]
    interpolation: Interpolation
    name: str

    def __call__(self, position: int) -> dict[str, Any]:
        n = len(self.records)
        index = int(permute(self.seed, np.array([position // n]), np.array([position % n]), n)[0])
        image, label = _decoded(self.records, index, self.name)
        window = crop_window(np.random.default_rng([self.seed, position]), *image.size, self.scale, self.ratio)
        return {"x": resized_crop(image, window, self.size, self.interpolation), "y": np.int32(label)}


@dataclass(frozen=True)
class EvalRow:
    """position -> the examples in their stored order, again and again; each time padded to a whole number of batches."""

    records: Records
    batch: int
    resize: int
    size: int
    interpolation: Interpolation
    name: str

    def __call__(self, position: int) -> dict[str, Any]:
        n = len(self.records)
        row = position % (-(-n // self.batch) * self.batch)
        if row >= n:
            label = np.zeros_like(np.int32(self.records[0][1]))
            return {"x": np.zeros((self.size, self.size, 3), np.uint8), "y": label, "mask": np.float32(0)}
        image, label = _decoded(self.records, row, self.name)
        pixels = centre_crop(image, self.resize, self.size, self.interpolation)
        return {"x": pixels, "y": np.int32(label), "mask": np.float32(1)}
