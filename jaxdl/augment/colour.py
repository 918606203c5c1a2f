"""Changing the colours of one image `(height, width, channels)` in [0, 1]: deterministic, so that each can be held against PIL.

Functions of 8-bit levels (solarize, posterize, equalize) see a value v as the level round(255·v).
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxdl.types import Number, UserError

Image = Float[Array, "height width channels"]


def luminance(image: Image) -> Float[Array, "height width 1"]:
    """Y = 0.299 R + 0.587 G + 0.114 B; one channel is its own luminance.

    Source: ITU-R BT.601.
    """
    if image.shape[-1] == 1:
        return image
    if image.shape[-1] != 3:
        raise UserError(f"colours need images with 1 or 3 channels, got {image.shape[-1]}; leave this augmentation out")
    return 0.299 * image[..., :1] + 0.587 * image[..., 1:2] + 0.114 * image[..., 2:]


def blend(image: Image, other: Image, factor: Number) -> Image:
    """`other` at factor 0, `image` at 1, beyond it above 1; clipped to [0, 1]."""
    return jnp.clip(image * factor + other * (1 - factor), 0, 1)


def brightness_image(image: Image, factor: Number) -> Image:
    """Blend with black: factor 0 is black, 1 the image."""
    return blend(image, jnp.zeros_like(image), factor)


def contrast_image(image: Image, factor: Number) -> Image:
    """Blend with the mean luminance: factor 0 is one grey, 1 the image."""
    return blend(image, luminance(image.mean((0, 1), keepdims=True)), factor)


def saturation_image(image: Image, factor: Number) -> Image:
    """Blend with the grey image: factor 0 is grey, 1 the image."""
    return blend(image, luminance(image), factor)


def grayscale_image(image: Image) -> Image:
    """The luminance in every channel."""
    return jnp.broadcast_to(luminance(image), image.shape)


def rgb_to_hsv(image: Image) -> Image:
    """Hue (in turns), saturation, value, all in [0, 1]."""
    r, g, b = image[..., 0], image[..., 1], image[..., 2]  # a reduction over three channels is slow on a CPU
    value, low = jnp.maximum(jnp.maximum(r, g), b), jnp.minimum(jnp.minimum(r, g), b)
    span = value - low
    safe = jnp.where(span > 0, span, 1)
    hue = jnp.where(value == r, (g - b) / safe, jnp.where(value == g, 2 + (b - r) / safe, 4 + (r - g) / safe))
    return jnp.stack([hue / 6 - jnp.floor(hue / 6), span / jnp.where(value > 0, value, 1), value], -1)


def hsv_to_rgb(image: Image) -> Image:
    """v - v·s·max(0, min(k, 4-k, 1)) with k = (n + 6h) mod 6 and n = 5, 3, 1 for red, green, blue."""
    hue, saturation, value = jnp.moveaxis(image, -1, 0)[..., None]
    turns = jnp.array([5.0, 3.0, 1.0], image.dtype)[None, None] / 6 + hue
    k = 6 * (turns - jnp.floor(turns))  # twenty times as fast as % on a CPU
    return value - value * saturation * jnp.clip(jnp.minimum(k, 4 - k), 0, 1)


def hue_image(image: Image, turns: Number) -> Image:
    """Turn the hue: ±½ is the opposite colour. Nothing happens to images of one channel."""
    if luminance(image).shape == image.shape:
        return image
    return hsv_to_rgb(rgb_to_hsv(image) + jnp.array([1.0, 0.0, 0.0], image.dtype)[None, None] * turns)


def invert_image(image: Image) -> Image:
    """1 - v."""
    return 1 - image


def solarize_image(image: Image, threshold: Number) -> Image:
    """Invert the values that are not below `threshold` (in [0, 1])."""
    return jnp.where(image < threshold, image, 1 - image)


def posterize_image(image: Image, bits: Number) -> Image:
    """Keep the upper `bits` (1 to 8, may be traced) of the 8 bits."""
    step = jnp.exp2(8.0 - bits)
    return jnp.floor(jnp.round(image * 255) / step) * step / 255


def autocontrast_image(image: Image) -> Image:
    """Stretch every channel so that its least value is 0 and its greatest 1; a constant channel stays."""
    low, high = image.min((0, 1), keepdims=True), image.max((0, 1), keepdims=True)
    return jnp.where(high > low, (image - low) / jnp.where(high > low, high - low, 1), image)


def equalize_channel(levels: Int[Array, "height width"]) -> Int[Array, "height width"]:
    """Give each of 256 levels about the same number of pixels, by PIL's integer rule."""
    counts = jnp.zeros(256).at[levels].add(1)
    below = jnp.matmul(jnp.tri(256, k=-1), counts, precision="highest")
    step = jnp.floor(below[levels.max()] / 255)  # whole numbers below 2²⁴: exact in floats, which divide much faster
    equal = jnp.minimum(jnp.floor((jnp.floor(step / 2) + below[levels]) / jnp.maximum(step, 1)), 255)
    return jnp.where(step > 0, equal.astype(levels.dtype), levels)


def equalize_image(image: Image) -> Image:
    """Histogram equalization of every channel."""
    return jax.vmap(equalize_channel, -1, -1)(jnp.round(image * 255).astype(jnp.int32)) / 255


def sharpness_image(image: Image, factor: Number) -> Image:
    """Blend with a smoothed image (3x3, weight 5 in the middle, sum 13): factor 0 is soft, 1 the image, 2 sharp.

    The border pixels stay, as in PIL.
    """
    height, width, _ = image.shape
    window = sum(image[i : height - 2 + i, j : width - 2 + j] for i in range(3) for j in range(3))
    smooth = jnp.asarray(image).at[1:-1, 1:-1].set((window + 4 * image[1:-1, 1:-1]) / 13)
    return blend(image, smooth, factor)


def blur_image(image: Image, sigma: Number, *, radius: int = 2) -> Image:
    """Gaussian blur: weights ∝ exp(-i²/2σ²) for |i| ≤ `radius` (static), reflected at the borders; σ = 0 changes nothing."""
    height, width, _ = image.shape
    if radius >= min(height, width):
        raise UserError(f"blur radius must be below the image size {height}x{width}, got {radius}")
    offset = jnp.arange(-radius, radius + 1)
    weight = jnp.exp(-0.5 * (offset / jnp.maximum(sigma, 1e-3)) ** 2)
    weight = (weight / weight.sum()).astype(image.dtype)
    padded = jnp.pad(image, ((radius, radius), (radius, radius), (0, 0)), mode="reflect")
    rows = sum((weight[i] * padded[i : i + height] for i in range(2 * radius + 1)), jnp.zeros((), image.dtype))
    return sum((weight[i] * rows[:, i : i + width] for i in range(2 * radius + 1)), jnp.zeros((), image.dtype))
