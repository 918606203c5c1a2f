"""Several images in one raster, with gaps through which the page is seen."""

import numpy as np
from jaxtyping import Float

from jaxdl.site.pictures.svg import gray, signed


def opaque(images: Float[np.ndarray, "n rows columns"]) -> np.ndarray:
    """Photographs in [0, 1] as RGBA bytes."""
    level = gray(images)
    return np.stack([level, level, level, np.full_like(level, 255)], -1)


def mosaic(pixels: np.ndarray, columns: int, gap: int = 1) -> np.ndarray:
    """RGBA images `(n, rows, columns, 4)` side by side, row by row, `gap` transparent pixels between them.

    >>> mosaic(np.ones((3, 4, 5, 4), np.uint8), 2).shape
    (9, 11, 4)
    """
    n, height, width, _ = pixels.shape
    rows = -(-n // columns)
    sheet = np.zeros((rows * (height + gap) - gap, columns * (width + gap) - gap, 4), np.uint8)
    for i, image in enumerate(pixels):
        top, left = i // columns * (height + gap), i % columns * (width + gap)
        sheet[top : top + height, left : left + width] = image
    return sheet


def photographs(images: Float[np.ndarray, "n rows columns"], columns: int, gap: int = 1) -> np.ndarray:
    """A mosaic of grey images in [0, 1]."""
    return mosaic(opaque(images), columns, gap)


def feature_maps(
    maps: Float[np.ndarray, "n rows columns"], columns: int, gap: int = 1, largest: float | None = None
) -> np.ndarray:
    """A mosaic of heat maps with one scale: blue above 0, orange below."""
    top = float(np.abs(maps).max()) if largest is None else largest
    return mosaic(np.stack([signed(one, top) for one in maps]), columns, gap)
