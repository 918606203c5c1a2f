"""Deterministic changes of the colours of one image `(height, width, channels)` in [0, 1], as in PIL.

Functions of 8-bit levels (posterize, equalize) use the level round(255·v) of a value v.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxdl.counts import check_count
from jaxdl.types import Number, UserError

Image = Float[Array, "height width channels"]


def luminance(image: Image) -> Float[Array, "height width 1"]:
    """Luminance Y = 0.299 R + 0.587 G + 0.114 B, or the image itself if it has one channel.

    Source: ITU-R BT.601.
    """
    if image.shape[-1] == 1:
        return image
    if image.shape[-1] != 3:
        raise UserError(f"changes of colour need images with 1 or 3 channels, got {image.shape[-1]}")
    return 0.299 * image[..., :1] + 0.587 * image[..., 1:2] + 0.114 * image[..., 2:]


def blend(image: Image, other: Image, factor: Number) -> Image:
    """Linear blend, `other` at factor 0 and `image` at factor 1, clipped to [0, 1]; factors above 1 extrapolate."""
    return jnp.clip(image * factor + other * (1 - factor), 0, 1)


def brightness_image(image: Image, factor: Number) -> Image:
    """Change the brightness: factor 0 is black, 1 the image."""
    return blend(image, jnp.zeros_like(image), factor)


def contrast_image(image: Image, factor: Number) -> Image:
    """Change the contrast: factor 0 is the mean luminance everywhere, 1 the image."""
    return blend(image, luminance(image.mean((0, 1), keepdims=True)), factor)


def saturation_image(image: Image, factor: Number) -> Image:
    """Change the saturation: factor 0 is the grey image, 1 the image."""
    return blend(image, luminance(image), factor)


def grayscale_image(image: Image) -> Image:
    """Grey image: the luminance in every channel."""
    return jnp.broadcast_to(luminance(image), image.shape)


def rgb_to_hsv(image: Image) -> Image:
    """Convert to hue (in turns), saturation and value, all in [0, 1]."""
    r, g, b = image[..., 0], image[..., 1], image[..., 2]  # a reduction over three channels is slow on a CPU
    value, low = jnp.maximum(jnp.maximum(r, g), b), jnp.minimum(jnp.minimum(r, g), b)
    span = value - low
    safe = jnp.where(span > 0, span, 1)
    hue = jnp.where(value == r, (g - b) / safe, jnp.where(value == g, 2 + (b - r) / safe, 4 + (r - g) / safe))
    return jnp.stack([hue / 6 - jnp.floor(hue / 6), span / jnp.where(value > 0, value, 1), value], -1)


def hsv_to_rgb(image: Image) -> Image:
    """Convert from hue, saturation and value: v - v·s·max(0, min(k, 4-k, 1)), k = (n + 6h) mod 6, n = 5, 3, 1 for R, G, B."""
    hue, saturation, value = jnp.moveaxis(image, -1, 0)[..., None]
    turns = jnp.array([5.0, 3.0, 1.0], image.dtype)[None, None] / 6 + hue
    k = 6 * (turns - jnp.floor(turns))  # twenty times as fast as % on a CPU
    return value - value * saturation * jnp.clip(jnp.minimum(k, 4 - k), 0, 1)


def hue_image(image: Image, turns: Number) -> Image:
    """Rotate the hue by `turns`; ±½ is the opposite colour. Images of one channel do not change."""
    if luminance(image).shape == image.shape:
        return image
    return hsv_to_rgb(rgb_to_hsv(image) + jnp.array([1.0, 0.0, 0.0], image.dtype)[None, None] * turns)


def invert_image(image: Image) -> Image:
    """Invert: 1 - v."""
    return 1 - image


def solarize_image(image: Image, threshold: Number) -> Image:
    """Invert the values at or above `threshold`, which is in [0, 1]."""
    return jnp.where(image < threshold, image, 1 - image)


def posterize_image(image: Image, bits: Number) -> Image:
    """Keep the upper `bits`, 1 to 8, of the 8 bits."""
    step = jnp.exp2(8.0 - bits)
    return jnp.floor(jnp.round(image * 255) / step) * step / 255


def autocontrast_image(image: Image) -> Image:
    """Scale every channel so that its minimum is 0 and its maximum 1; a constant channel does not change."""
    low, high = image.min((0, 1), keepdims=True), image.max((0, 1), keepdims=True)
    return jnp.where(high > low, (image - low) / jnp.where(high > low, high - low, 1), image)


def equalize_channel(levels: Int[Array, "height width"]) -> Int[Array, "height width"]:
    """Histogram equalization of 256 levels by the integer rule of PIL."""
    counts = jnp.zeros(256).at[levels].add(1)
    below = jnp.matmul(jnp.tri(256, k=-1), counts, precision="highest")
    step = jnp.floor(below[levels.max()] / 255)  # exact: whole numbers below 2²⁴, whose division is faster as floats
    equal = jnp.minimum(jnp.floor((jnp.floor(step / 2) + below[levels]) / jnp.maximum(step, 1)), 255)
    return jnp.where(step > 0, equal.astype(levels.dtype), levels)


def equalize_image(image: Image) -> Image:
    """Histogram equalization of every channel."""
    return jax.vmap(equalize_channel, -1, -1)(jnp.round(image * 255).astype(jnp.int32)) / 255


def sharpness_image(image: Image, factor: Number) -> Image:
    """Change the sharpness: factor 0 is a smoothed image (3x3 window, weight 5 at the centre), 1 the image, 2 is sharper.

    Border pixels do not change, as in PIL.
    """
    height, width, _ = image.shape
    window = sum(image[i : height - 2 + i, j : width - 2 + j] for i in range(3) for j in range(3))
    smooth = jnp.asarray(image).at[1:-1, 1:-1].set((window + 4 * image[1:-1, 1:-1]) / 13)
    return blend(image, smooth, factor)


def blur_image(image: Image, sigma: Number, *, radius: int = 2) -> Image:
    """Gaussian blur: weights ∝ exp(-i²/2σ²) for |i| ≤ `radius`, reflected at the borders; σ = 0 does not change the image."""
    check_count("radius", radius, 0)
    height, width, _ = image.shape
    if radius >= min(height, width):
        raise UserError(f"radius = {radius} must be less than the image size {height}x{width}")
    offset = jnp.arange(-radius, radius + 1)
    weight = jnp.exp(-0.5 * (offset / jnp.maximum(sigma, 1e-3)) ** 2)
    weight = (weight / weight.sum()).astype(image.dtype)
    padded = jnp.pad(image, ((radius, radius), (radius, radius), (0, 0)), mode="reflect")
    rows = sum((weight[i] * padded[i : i + height] for i in range(2 * radius + 1)), jnp.zeros((), image.dtype))
    return sum((weight[i] * rows[:, i : i + width] for i in range(2 * radius + 1)), jnp.zeros((), image.dtype))
