"""The one reader of pictures, for training, `predict` and imported weights alike: 8 bits a channel, upright, grey or in colour.

a file of 16 or 32 bits        value / maximum · 255, with the maximum of its bits (12 bits: 4095); never clipped
a file of floats               value · 255; values beyond [0, 1] are refused
transparency                   over white
several frames                 the first one, with a note
an array                       white is 1 for booleans and floats, 255 for 8 bits, 65535 for uint16; see `brightest`
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from jaxdl.data.arrays import aligned_empty
from jaxdl.data.walker import Note, tell
from jaxdl.types import UserError

UNREADABLE = {"EPS", "WMF", "MPEG", "HDF5", "GRIB", "BUFR", "IPTC"}
"""Formats that Pillow knows by name and cannot read by itself."""
warnings.filterwarnings("ignore", module=r"PIL\b")  # on odd tags in files that decode all the same

BITS, PHOTOMETRIC, SAMPLE_FORMAT = 258, 262, 339
"""Tags of TIFF."""
Frames = Callable[[str], object]


@cache
def suffixes() -> frozenset[str]:
    """Endings of the files that the installed Pillow reads, in lower case: .png, .jpg, .jfif, .tif, .webp and others."""
    from PIL import Image

    kinds = Image.registered_extensions()
    return frozenset(ending for ending, kind in kinds.items() if kind in Image.OPEN and kind not in UNREADABLE)


def one_frame(source: str) -> None:
    """Note that a file holds several frames."""
    warnings.warn(f"{source}: holds several frames; the first one is read", Note, stacklevel=3)


def read_images(
    paths: Sequence[str], *, size: tuple[int, int], channels: int, source: str | Path
) -> UInt8[np.ndarray, "n h w c"]:
    """Image files as arrays of one shape, see `read_image`; one note for all that hold several frames."""
    x, several = aligned_empty((len(paths), *size, channels), np.uint8), []
    for i, path in enumerate(paths):
        x[i] = read_image(path, size=size, channels=channels, frames=several.append)
    tell(source, [f"{len(several)} files hold several frames, of which the first is read"] if several else ())
    return x


def read_image(
    path: str | Path, *, size: tuple[int, int], channels: int = 3, frames: Frames = one_frame
) -> UInt8[np.ndarray, "h w c"]:
    """One image file as an array of the given height and width.

    It is resized so that it covers `size` with its proportions kept, and the middle cut out. Errors: as `open_image`.
    """
    from PIL import Image, ImageOps

    image = ImageOps.fit(
        open_image(path, channels=channels, frames=frames), (size[1], size[0]), Image.Resampling.BILINEAR
    )
    return np.asarray(image).reshape(*size, channels)


def open_image(source: Any, *, channels: int = 3, name: str = "", frames: Frames = one_frame) -> Any:
    """Decode a picture: a PIL image of mode L (1 channel) or RGB, upright (EXIF), in 8 bits, with transparency laid over white.

    Args:
        source: a path, an open binary file, a PIL image, or an array (height, width[, 1 to 4 channels]).
        channels: 1 for grey, anything else for colour.
        name: stands for a source without a path in errors.
        frames: is called with the name of a file that holds several frames.

    Errors: FileNotFoundError; UserError that names the file if it cannot be decoded or holds floats beyond [0, 1].
    """
    from PIL import Image

    if isinstance(source, str | Path):
        source = Path(source).expanduser()
        if not source.exists():
            raise FileNotFoundError(f"{source}: no such file")
        try:
            with source.open(
                "rb"
            ) as file:  # by its name Pillow 13 maps it into memory, and decodes some turned TIFF wrongly
                return open_image(file, channels=channels, name=str(source), frames=frames)
        except OSError as error:
            raise UserError(f"{source}: cannot be read ({error.strerror})") from None
    if isinstance(source, np.ndarray):
        source = from_array(source, name or "image")
    if isinstance(source, Image.Image):
        return _plain(source, channels, name or "image")
    try:
        with Image.open(source) as image:
            if getattr(image, "is_animated", False) and image.format != "MPO":  # MPO: a photograph and its previews
                frames(name)
            return _plain(image, channels, name)
    except UserError:
        raise
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        reason = " ".join(str(error).replace(repr(source), "it").split())
        raise UserError(f"{name}: is not a readable image ({reason})") from None


def _plain(image: Any, channels: int, name: str) -> Any:
    """A PIL image of any mode -> L or RGB."""
    from PIL import Image, ImageOps

    tags: Mapping[int, Any] = getattr(image, "tag_v2", {})
    image.load()  # which turns a TIFF upright already
    image = ImageOps.exif_transpose(image)
    if image.mode[0] in "IF":
        image = Image.fromarray(_deep(image, tags, name))
    if image.has_transparency_data:
        image = image.convert("LA") if image.mode == "La" else image
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    if channels != 1:
        return image.convert("RGB")
    return (image if image.mode in ("1", "L") else image.convert("RGB")).convert("L")


def _deep(image: Any, tags: Mapping[int, Any], name: str) -> UInt8[np.ndarray, "h w"]:
    """The pixels of a grey image of more than 8 bits, by their range in 8."""
    x = np.asarray(image)
    if image.mode == "F":
        x = x * np.float32(brightest(x, name) * 255)
    else:
        bits, signed = tags.get(BITS, (32 if image.mode == "I" else 16,))[0], tags.get(SAMPLE_FORMAT, (1,))[0] == 2
        x = x.view(np.uint32) if bits == 32 and tags and not signed else x
        if x.min() < 0:
            raise UserError(f"{name}: holds negative values, down to {x.min()}: save it with black at 0")
        # instruments, NumPy and PGM write 16 bits into 32: only what does not fit is of the wider range
        bits, signed = (16, False) if bits == 32 and x.max() < 2**16 else (bits, signed)
        x = x * (255 / (2 ** (bits - signed) - 1))
    x = np.rint(x).astype(np.uint8)
    x = 255 - x if tags.get(PHOTOMETRIC, 1) == 0 else x  # white is zero
    clear = image.info.get("transparency")
    return np.where(np.asarray(image) == clear, np.uint8(255), x) if isinstance(clear, int) else x


def brightest(x: np.ndarray, source: str) -> float:
    """The value of white in an array of pixels: 1 for booleans and floats, 255 for 8 bits, 65535 for uint16.

    Other integers count as 8 bits in a wider type. Errors: UserError for values beyond that range, below 0, or not finite.

    >>> (
    ...     brightest(np.zeros((2, 2), np.uint16), "x"),
    ...     brightest(np.array([[0, 255]]), "x"),
    ...     brightest(np.ones((1, 1)), "x"),
    ... )
    (65535.0, 255.0, 1.0)
    """
    if x.dtype.kind not in "buif":
        raise UserError(f"{source}: pixels must be numbers, got {x.dtype}")
    white = 1.0 if x.dtype.kind in "bf" else 65535.0 if x.dtype == np.uint16 else 255.0
    check_range(x, white, source)
    return white


def check_range(x: np.ndarray, white: float, source: str) -> None:
    """Raise UserError unless all pixels lie between 0 and `white`."""
    low, high = x.min(initial=0), x.max(initial=0)
    if not (low >= 0 and high <= white):  # also NaN
        raise UserError(
            f"{source}: {x.dtype} pixels lie between 0 and {white:g}, these go from {low:g} to {high:g}: scale them, "
            "or state the value of white (`maximum=`) where it can be stated"
        )


def check_channels(shape: tuple[int, ...], source: str) -> None:
    """Raise UserError with the line that helps if images (..., channels, height, width) have their channels first."""
    *_, c, h, w = shape
    if c in (1, 3, 4) and w > 4 and (h == w or min(h, w) >= 8):
        turn = "x.transpose(0, 2, 3, 1)" if len(shape) == 4 else "x.transpose(1, 2, 0)"
        raise UserError(f"{source}: shape {tuple(shape)} has the channels first; they come last here: {turn}")


def from_array(x: np.ndarray, source: str) -> Any:
    """One image (height, width[, 1 to 4 channels]) as a PIL image of 8 bits."""
    from PIL import Image

    if x.ndim == 3:
        check_channels(x.shape, source)
    if x.ndim not in (2, 3) or not x.size or (x.ndim == 3 and x.shape[-1] > 4):
        raise UserError(f"{source}: an array of shape {x.shape} is no image (height, width[, 1 to 4 channels])")
    white = brightest(x, source)
    x = x if x.dtype == np.uint8 else np.rint(x * (255 / white)).astype(np.uint8)
    return Image.fromarray(np.ascontiguousarray(x[..., 0] if x.ndim == 3 and x.shape[-1] == 1 else x))
