"""Grids of images, and films of pictures over the course of training.

RUN/samples/reconstructions-000300.png, RUN/samples/reconstructions-000600.png, …    RUN/plots/reconstructions.gif
"""

from pathlib import Path
from typing import Any

import numpy as np

from jaxdl.record.manifest import result_file

SHOWN = 64
SIDE = 48
"""Minimum size in pixels of one image of a grid; smaller images are enlarged."""


def montage(images: Any, *, columns: int = 8, most: int = SHOWN) -> np.ndarray:
    """Images `(n, height, width, channels)` in [0, 1] side by side, uint8 `(rows·side, columns·side, 3)`; at most `most`."""
    images = np.asarray(images)[:most]
    if images.dtype != np.uint8:
        images = (np.clip(np.nan_to_num(images), 0, 1) * 255).round().astype(np.uint8)
    zoom = -(-SIDE // max(images.shape[1:3]))
    images = np.broadcast_to(images, (*images.shape[:3], 3)).repeat(zoom, 1).repeat(zoom, 2)
    images = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=255)
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    blank = np.full((rows * columns - len(images), *images.shape[1:]), 255, np.uint8)
    grid = np.concatenate([images, blank]).reshape(rows, columns, *images.shape[1:])
    return grid.swapaxes(1, 2).reshape(rows * images.shape[1], columns * images.shape[2], 3)


def film(folder: Path, name: str, path: Path, *, seconds: float = 6.0) -> Path | None:
    """Write all grids of one name, in the order of their steps, as an animated GIF; None if there are fewer than two."""
    from PIL import Image

    frames = [Image.open(file).convert("RGB") for file in sorted(folder.glob(f"{name}-[0-9]*.png"))]
    if len(frames) < 2:
        return None
    every = max(1, len(frames) // 60)
    shown = [*frames[:-1:every], frames[-1]]
    pause = max(60, int(1000 * seconds / len(shown)))
    times = [pause] * (len(shown) - 1) + [4 * pause]
    with result_file(path) as new:
        shown[0].save(new, "GIF", save_all=True, append_images=shown[1:], duration=times, loop=0)
    return path
