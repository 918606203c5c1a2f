"""Deterministic geometric transforms of one image `(height, width, channels)`, as in PIL.

Coordinates are those of PIL: x to the right, y down; pixel (i, j) covers [j, j+1) x [i, i+1), so its centre is (j+½, i+½).
All warps interpolate bilinearly at the points that a 3x3 matrix gives for the points of the output. With `nearest` they use the
pixel that contains the point, which label maps need.
"""

from functools import partial, reduce

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from jaxdl.counts import check_count, check_counts
from jaxdl.types import Number

Image = Float[Array, "height width channels"]
Matrix = Float[Array, "3 3"]


def matrix(*rows: tuple) -> Matrix:
    """Return a matrix from rows of numbers, which may be traced."""
    return jnp.stack([jnp.stack([jnp.asarray(value, jnp.float32) for value in row]) for row in rows])


def product(*matrices: Matrix) -> Matrix:
    """Matrix product in full float32; the lower precision of an accelerator would displace pixels."""
    return reduce(partial(jnp.matmul, precision="highest"), matrices)


def shift(x: Number, y: Number) -> Matrix:
    """Matrix of the translation by (x, y)."""
    return matrix((1, 0, x), (0, 1, y), (0, 0, 1))


def around_centre(image: Image, inner: Matrix) -> Matrix:
    """Matrix of the transform `inner` around the centre of the image."""
    height, width, _ = image.shape
    return product(shift(width / 2, height / 2), inner, shift(-width / 2, -height / 2))


def warp_image(image: Image, output_to_input: Matrix, *, fill: float = 0.0, nearest: bool = False) -> Image:
    """Warp by output(p) = input(M p), bilinear or `nearest`; points outside the input become `fill`.

    As in PIL, the border pixels extend to the edge of the image, where `fill` begins.
    """
    height, width, _ = image.shape
    y, x = jnp.meshgrid(jnp.arange(height) + 0.5, jnp.arange(width) + 0.5, indexing="ij")
    (a, b, c), (d, e, f), (g, h, i) = output_to_input
    scale = g * x + h * y + i
    x, y = (a * x + b * y + c) / scale, (d * x + e * y + f) / scale
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)

    def pixel(row: Array, column: Array) -> Image:
        return image[jnp.clip(row, 0, height - 1).astype(jnp.int32), jnp.clip(column, 0, width - 1).astype(jnp.int32)]

    if nearest:
        return jnp.where(inside[..., None], pixel(jnp.floor(y), jnp.floor(x)), fill).astype(image.dtype)
    x, y = x - 0.5, y - 0.5
    left, top = jnp.floor(x), jnp.floor(y)
    right_share, bottom_share = (x - left)[..., None], (y - top)[..., None]
    upper = pixel(top, left) * (1 - right_share) + pixel(top, left + 1) * right_share
    lower = pixel(top + 1, left) * (1 - right_share) + pixel(top + 1, left + 1) * right_share
    blend = upper * (1 - bottom_share) + lower * bottom_share
    return jnp.where(inside[..., None], blend, fill).astype(image.dtype)


def affine_matrix(
    image: Image, degrees: Number, translate: tuple[Number, Number], scale: Number, shear: tuple[Number, Number]
) -> Matrix:
    """Matrix of `warp_image` for: scale, shear and rotate around the centre, then translate."""
    angle = jnp.deg2rad(jnp.asarray(degrees, jnp.float32))
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    turn_back = matrix((cos, -sin, 0), (sin, cos, 0), (0, 0, 1))
    slant_x, slant_y = (jnp.tan(jnp.deg2rad(jnp.asarray(s, jnp.float32))) for s in shear)
    size = (1 - slant_x * slant_y) * scale
    shrink = matrix((1 / size, -slant_x / size, 0), (-slant_y / size, 1 / size, 0), (0, 0, 1))
    return product(around_centre(image, product(shrink, turn_back)), shift(-translate[0], -translate[1]))


def affine_image(
    image: Image,
    degrees: Number = 0.0,
    *,
    translate: tuple[Number, Number] = (0.0, 0.0),
    scale: Number = 1.0,
    shear: tuple[Number, Number] = (0.0, 0.0),
    fill: float = 0.0,
    nearest: bool = False,
) -> Image:
    """Scale, shear (two angles in degrees) and rotate counter-clockwise, then translate by pixels (right, down)."""
    return warp_image(image, affine_matrix(image, degrees, translate, scale, shear), fill=fill, nearest=nearest)


def rotate_image(image: Image, degrees: Number, *, fill: float = 0.0, nearest: bool = False) -> Image:
    """Rotate counter-clockwise around the centre, as PIL's bilinear `Image.rotate`; points outside are `fill`."""
    return affine_image(image, degrees, fill=fill, nearest=nearest)


def perspective_image(image: Image, corners: Float[Array, "4 2"], *, fill: float = 0.0, nearest: bool = False) -> Image:
    """Move the corners (top left, top right, bottom right, bottom left) of the image to the points `corners` (x, y), in pixels.

    The map from the unit square to a quadrilateral in closed form, inverted by its adjugate.
    Source: Heckbert 1989, Fundamentals of Texture Mapping and Image Warping, section 2.2.3.
    """
    height, width, _ = image.shape
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = corners
    (dx1, dy1), (dx2, dy2) = (x1 - x2, y1 - y2), (x3 - x2, y3 - y2)
    sx, sy = x0 - x1 + x2 - x3, y0 - y1 + y2 - y3
    area = dx1 * dy2 - dx2 * dy1
    g, h = (sx * dy2 - dx2 * sy) / area, (dx1 * sy - sx * dy1) / area
    r0, r1, r2 = matrix((x1 - x0 + g * x1, x3 - x0 + h * x3, x0), (y1 - y0 + g * y1, y3 - y0 + h * y3, y0), (g, h, 1))
    to_square = jnp.stack([jnp.cross(r1, r2), jnp.cross(r2, r0), jnp.cross(r0, r1)], axis=1)
    output_to_input = product(matrix((width, 0, 0), (0, height, 0), (0, 0, 1)), to_square)
    return warp_image(image, output_to_input, fill=fill, nearest=nearest)


def crop_image(image: Image, top: int, left: int, height: int, width: int) -> Image:
    """Crop the window of `height` x `width` pixels (static) at (top, left)."""
    return lax.dynamic_slice(image, (top, left, 0), (height, width, image.shape[-1]))


def pad_image(image: Image, pad: int, *, mode: str = "constant", fill: float = 0.0) -> Image:
    """Add `pad` pixels on all sides; `mode` is "constant" (`fill`), "reflect" or "edge"."""
    check_count("pad", pad, 0)
    widths = ((pad, pad), (pad, pad), (0, 0))
    if mode == "constant":
        return jnp.pad(image, widths, constant_values=fill)
    return jnp.pad(image, widths, mode=mode)


def resize_weights(size: int, start: Number, length: Number, out: int) -> Float[Array, "out size"]:
    """Weights that resize the part [start, start+length) of a row of `size` pixels to `out` pixels.

    A triangle filter as in PIL's `resize`: shrinking widens it to the new pixel, and pixels outside the part have no weight.
    """
    start, length = jnp.asarray(start, jnp.float32), jnp.asarray(length, jnp.float32)
    step = length / out
    centre = start + (jnp.arange(out) + 0.5) * step
    pixel = jnp.arange(size) + 0.5
    weight = jnp.maximum(0, 1 - jnp.abs(pixel[None, :] - centre[:, None]) / jnp.maximum(step, 1))
    weight = jnp.where((pixel > start) & (pixel < start + length), weight, 0)
    return weight / jnp.maximum(weight.sum(1, keepdims=True), 1e-6)


def nearest_pixels(size: int, start: Number, length: Number, out: int) -> Int[Array, "out"]:
    """Indices of the pixels of a row of `size` that contain the centres of `out` pixels over [start, start+length)."""
    at = start + (jnp.arange(out) + 0.5) * (length / out)
    return jnp.clip(jnp.floor(at), 0, size - 1).astype(jnp.int32)


def resized_crop_image(
    image: Image,
    top: Number,
    left: Number,
    height: Number,
    width: Number,
    *,
    size: tuple[int, int],
    nearest: bool = False,
) -> Image:
    """Crop a window, which may be traced, and resize it to `size` (static), bilinear with anti-aliasing or `nearest`."""
    check_counts(size=size[0])
    check_counts(size=size[1])
    if nearest:
        at = nearest_pixels(image.shape[0], top, height, size[0]), nearest_pixels(image.shape[1], left, width, size[1])
        return image[at[0]][:, at[1]]
    rows = resize_weights(image.shape[0], top, height, size[0]).astype(image.dtype)
    columns = resize_weights(image.shape[1], left, width, size[1]).astype(image.dtype)
    return jnp.einsum("ph,hwc,qw->pqc", rows, image, columns, precision="highest")


def erase_image(
    image: Image, top: Number, left: Number, height: Number, width: Number, *, value: float | Image = 0.0
) -> Image:
    """Fill a window with `value`, a number or an image."""
    y, x = jnp.arange(image.shape[0])[:, None, None], jnp.arange(image.shape[1])[None, :, None]
    hit = (y >= top) & (y < top + height) & (x >= left) & (x < left + width)
    return jnp.where(hit, value, image).astype(image.dtype)


def flip_image(image: Image, *, vertical: bool = False) -> Image:
    """Flip horizontally, or vertically."""
    return jnp.flip(image, 0 if vertical else 1)
