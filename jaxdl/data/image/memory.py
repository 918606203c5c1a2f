"""Image arrays in memory as a data set.

Images keep their type (uint8) on the device; `prepare` brings them to [0, 1] and `standardise` to mean 0 and deviation 1 per
channel, with the numbers of the training images, both inside the compiled step.
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jaxdl.data import files, prepare
from jaxdl.data.arrays import as_array, check_device, encoded_labels, is_text
from jaxdl.data.image.reader import brightest, check_channels, check_range, read_image
from jaxdl.data.source import InMemory
from jaxdl.data.splits import row_digest, shared, with_all_parts
from jaxdl.data.walker import Note
from jaxdl.types import UserError

Pair = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class Images(InMemory):
    """A set of images in memory."""

    maximum: float = 255.0

    def read(self, path: str | Path) -> dict[str, np.ndarray]:
        """The inputs in a file, for predictions: {"x": (n, height, width, channels)} in the raw values of this set.

        An npy file holds images of the set's shape, (n, height, width[, channels]) or one of them; any other file is one image,
        brought to that shape. Where all images of the set have a dark border (bright strokes on black: MNIST, digits) and this
        one has a light one, or the other way round, a `Note` says so.
        """
        shape = self.splits["train"]["x"].shape[1:]
        if Path(path).suffix != ".npy":
            image = read_image(path, size=shape[:2], channels=shape[2])[None]
            self._compare_borders(image / 255, str(path))
            raw = image * (self.maximum / 255)
            dtype = self.splits["train"]["x"].dtype
            return {"x": (raw.round() if dtype.kind in "ui" else raw).astype(dtype)}
        x = self.as_inputs(files.read_npy(path))
        n = x.size // math.prod(shape)
        if x.shape not in (shape, shape[:2], (n, *shape), (n, *shape[:2])) or not n:
            raise UserError(f"{path}: an array of shape {x.shape} holds no images of shape {shape}")
        x = np.array(x).reshape(n, *shape)
        prepare.check_inputs(x, source=str(path))
        return {"x": x}

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """The images in several files, so that `run.predict("a.png")` works."""
        return np.concatenate([self.read(path)["x"] for path in texts])

    def as_inputs(self, x: Any) -> np.ndarray:
        """Images to predict for, in the raw values of this set: uint16 is scaled by its range.

        Errors: UserError for channels that come first, floats beyond the range of a set of floats, and floats up to 1 for a set
        of integers.
        """
        x, ours = super().as_inputs(x), self.splits["train"]["x"]
        height, width, channels = ours.shape[1:]
        if x.shape[-3:] == (channels, height, width) and (x.ndim == 4 or channels > 1):
            check_channels(x.shape, "inputs")
        if x.dtype == np.uint16 != ours.dtype:
            x = x * (self.maximum / 65535)
            x = (np.rint(x) if ours.dtype.kind in "ui" else x).astype(ours.dtype)
        if x.dtype.kind == ours.dtype.kind == "f":
            check_range(x, self.maximum, "inputs")
        elif x.dtype.kind == "f" and 0 < x.max(initial=0) <= 1 < self.maximum:
            raise UserError(
                f"inputs: floats up to {x.max():g}, where white is {self.maximum:g} in this set: (x * {self.maximum:g}).round()"
            )
        return x

    def _compare_borders(self, x: np.ndarray, source: str) -> None:
        light = np.quantile(border(self.splits["train"]["x"][:1000] / self.maximum), (0.1, 0.9))
        mine, other = float(border(x)[0]), light.mean() < 0.5
        if (other and light[1] < 0.25 and mine > 0.6 and x.min() < 0.4) or (
            light[0] > 0.75 and mine < 0.4 and x.max() > 0.6
        ):
            mine, theirs = ("light", "dark") if other else ("dark", "light")
            warnings.warn(
                f"{source}: its background is {mine}, and that of the training images is {theirs}: invert it",
                Note,
                stacklevel=3,
            )


def border(x: np.ndarray) -> np.ndarray:
    """The median value on the border of each image (n, height, width, channels)."""
    sides = [x[:, 0], x[:, -1], x[:, :, 0], x[:, :, -1]]
    return np.median(np.concatenate([side.reshape(len(x), -1) for side in sides], axis=1), axis=1)


def images(
    train: Pair,
    test: Pair | None = None,
    *,
    batch: int,
    name: str,
    classes: Sequence[str],
    validation: Pair | None = None,
    maximum: float | None = None,
    groups: Sequence[int] | None = None,
) -> Images:
    """A data set of image arrays (n, height, width) or (n, height, width, channels) with labels (n,).

    Args:
        train: images and labels; parts that are not given are drawn from it: a tenth for validation; where there is no test
            set, 15 % for each.
        test: images and labels.
        batch: examples in a training step.
        name: what the report calls the set.
        classes: names of the classes, in the order of the labels.
        validation: images and labels.
        maximum: the raw value of white; None: 1 for floats and booleans, 65535 for uint16, 255 for other integers.
        groups: a number for each image of `train`: those of one group (patient, place) stay in one part, as equal ones do.

    Errors: UserError for values beyond 0 … `maximum`, and for channels that come first.
    """
    for part, pair in (("train", train), ("validation", validation), ("test", test)):
        if not (isinstance(pair, tuple | list) and len(pair) == 2) and (part == "train" or pair is not None):
            raise UserError(f"{name}, {part}: expected a pair (images, labels), got {type(pair).__name__}")
    given = {"train": train, "validation": validation, "test": test}
    parts = {part: _checked(*pair, f"{name}, {part}", classes) for part, pair in given.items() if pair is not None}
    shapes = {part: p["x"].shape[1:] for part, p in parts.items()}
    if len(set(shapes.values())) > 1:
        raise UserError(f"{name}: images must have one shape, got {shapes}")
    leak = (
        shared({part: [row_digest(row) for row in rows["x"]] for part, rows in parts.items()}) if len(parts) > 1 else ""
    )
    parts, sentence = with_all_parts(parts, source=name, groups=groups, most=0.5)
    for arrays in parts.values():
        for array in arrays.values():
            array.flags.writeable = False  # one array serves every experiment of the process
    maximum = maximum or brightest(parts["train"]["x"], f"{name}, train")
    for part, arrays in parts.items():
        check_range(arrays["x"], maximum, f"{name}, {part}")
    return Images(
        splits=parts,
        batch=batch,
        prepare=prepare.Scale(maximum),
        standardise=prepare.statistics(parts["train"]["x"], maximum=maximum),
        name=name,
        split=sentence + leak,
        classes=tuple(classes),
        maximum=maximum,
    )


def _checked(x: np.ndarray, y: np.ndarray, source: str, classes: Sequence[str]) -> dict[str, np.ndarray]:
    x, y = as_array(x, f"{source}: images"), as_array(y, f"{source}: labels")
    if is_text(x):
        raise UserError(f"{source}: images must be numbers, got text")
    check_device(x, source=f"{source}: images")
    x = x[..., None] if x.ndim == 3 else x[...]  # a view: the caller's own array stays writeable
    if x.ndim != 4 or not len(x) or len(x) != len(y):
        raise UserError(
            f"{source}: expected images (n, height, width[, channels]) and n > 0 labels, got {x.shape}, {len(y)}"
        )
    check_channels(x.shape, f"{source}: images")
    prepare.check_inputs(x, source=source)
    x = x.astype(np.float32) if x.dtype.kind == "f" else x
    y = encoded_labels({source: y}, classes, source=source)[0][source] if is_text(y) else y
    return {"x": x, "y": prepare.check_labels(y, classes=len(classes), source=source)}
