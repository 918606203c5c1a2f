"""Augmentation policies for images: RandAugment, TrivialAugment, AutoAugment, AugMix, 3-Augment.

An operation has a strength; a `Space` maps the magnitudes 0 and 1 of each operation to strengths. A policy is a space and a way
to draw from it. Each image draws its own operations. Since `vmap` computes every candidate of a choice, all geometric
operations share one warp (the choice is among 3x3 matrices), so a layer of RandAugment costs one warp and one pass of each
change of colour. Layers are scanned, because XLA on a CPU would compute one layer again inside the next. Images are floats in
[0, 1], and each function returns a pure `(key, batch) -> batch`. Label maps are moved with their images (see `image`).

Policies are expensive on a CPU: 128 images of 32x32 take about 10 ms per layer on two busy cores, and AugMix, with nine
layers, 0.1 s; `flip`, `crop` and `mixup` together take 1 ms.
"""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from jaxdl.augment import colour, geometry
from jaxdl.augment.image import each_image, each_move
from jaxdl.augment.rows import label_map
from jaxdl.counts import check_count, check_counts, check_numbers
from jaxdl.types import Augment, Batch, Key, Number, UserError

Image = Float[Array, "height width channels"]
Space = Mapping[str, tuple[float, float]]
"""The strengths of each operation at the magnitudes 0 and 1."""

MOVES: dict[str, Callable] = {
    "shear_x": lambda image, v: geometry.around_centre(image, geometry.matrix((1, v, 0), (0, 1, 0), (0, 0, 1))),
    "shear_y": lambda image, v: geometry.around_centre(image, geometry.matrix((1, 0, 0), (v, 1, 0), (0, 0, 1))),
    "translate_x": lambda image, v: geometry.shift(v * image.shape[1], 0),
    "translate_y": lambda image, v: geometry.shift(0, v * image.shape[0]),
    "rotate": lambda image, v: geometry.affine_matrix(image, v, (0.0, 0.0), 1.0, (0.0, 0.0)),
}
COLOURS: dict[str, Callable] = {
    "brightness": lambda image, v: colour.brightness_image(image, 1 + v),
    "contrast": lambda image, v: colour.contrast_image(image, 1 + v),
    "color": lambda image, v: colour.saturation_image(image, 1 + v),
    "sharpness": lambda image, v: colour.sharpness_image(image, 1 + v),
    "posterize": lambda image, v: colour.posterize_image(image, jnp.round(v)),
    "solarize": colour.solarize_image,
    "autocontrast": lambda image, v: colour.autocontrast_image(image),
    "equalize": lambda image, v: colour.equalize_image(image),
    "invert": lambda image, v: colour.invert_image(image),
}
UNSIGNED = ("identity", "posterize", "solarize", "autocontrast", "equalize", "invert")
"""Operations whose strength has no sign; all others have a random sign."""


def moves(most: float, translate: float, degrees: float) -> dict[str, tuple[float, float]]:
    """Space of geometric operations: shear up to `most`, translation up to `translate` of the size, rotation in `degrees`."""
    reach = {"shear_x": most, "shear_y": most, "translate_x": translate, "translate_y": translate, "rotate": degrees}
    return {name: (0.0, value) for name, value in reach.items()}


def enhancements(most: float) -> dict[str, tuple[float, float]]:
    """Space of brightness, colour, contrast and sharpness, with factors in 1 ± `most`."""
    return dict.fromkeys(("brightness", "color", "contrast", "sharpness"), (0.0, most))


NOTHING = {"identity": (0.0, 0.0)}
STRETCHES = {"autocontrast": (0.0, 0.0), "equalize": (0.0, 0.0)}
RAND_SPACE: Space = (
    NOTHING
    | moves(0.3, 150 / 331, 30.0)
    | enhancements(0.9)
    | {"posterize": (8.0, 4.0), "solarize": (1.0, 0.0)}
    | STRETCHES
)
AUTO_SPACE: Space = RAND_SPACE | {"invert": (0.0, 0.0)}
MIX_SPACE: Space = moves(0.3, 1 / 3, 30.0) | {"posterize": (4.0, 0.0), "solarize": (1.0, 0.0)} | STRETCHES


def wide_space(translate: float = 1.0) -> Space:
    """The wide space of TrivialAugment; `translate` is a share of the size, for which the paper uses 32 pixels."""
    return (
        NOTHING
        | moves(0.99, translate, 135.0)
        | enhancements(0.99)
        | {"posterize": (8.0, 2.0), "solarize": (1.0, 0.0)}
        | STRETCHES
    )


def stay(image: Image, v: float) -> geometry.Matrix:
    """Identity matrix."""
    return geometry.matrix((1, 0, 0), (0, 1, 0), (0, 0, 1))


def apply_operation(
    image: Image,
    operation: Int[Array, ""],
    magnitude: Number,
    sign: Number,
    space: Space,
    *,
    fill: float = 0.0,
    nearest: bool = False,
) -> Image:
    """Apply operation number `operation` of `space` at a `magnitude` in [0, 1]; `sign` is ±1.

    With `nearest` the image is a label map, which only geometric operations change.
    """
    low, high = (jnp.array([bounds[i] for bounds in space.values()], jnp.float32)[operation] for i in (0, 1))
    signed = jnp.array([name not in UNSIGNED for name in space])[operation]
    strength = (low + magnitude * (high - low)) * jnp.where(signed, sign, 1)

    move = lax.switch(operation, [MOVES.get(name, stay) for name in space], image, strength)
    # Both kinds read the same image: the warp of a recoloured image would compute each pixel four times.
    moved = geometry.warp_image(image, move, fill=fill, nearest=nearest)
    if nearest:
        return moved
    coloured = lax.switch(operation, [COLOURS.get(name, lambda image, v: image) for name in space], image, strength)
    return jnp.where(jnp.array([name in MOVES for name in space])[operation], moved, coloured)


def random_operation(
    key: Key, image: Image, magnitude: Number, space: Space, *, fill: float = 0.0, nearest: bool = False
) -> Image:
    """Apply an operation of `space`, drawn uniformly, with a random sign."""
    choose, direction = jax.random.split(key)
    operation = jax.random.randint(choose, (), 0, len(space))
    sign = jax.random.rademacher(direction, (), jnp.float32)
    return apply_operation(image, operation, magnitude, sign, space, fill=fill, nearest=nearest)


def rand_augment(layers: int = 2, magnitude: Number = 9.0, *, fill: float = 0.0, p: float = 1.0) -> Augment:
    """RandAugment: `layers` random operations, one after the other, all at `magnitude` of 30.

    The ranges are those of torchvision, with bilinear interpolation and without rounding of shifts.
    Source: Cubuk et al. 2019, arXiv:1909.13719.
    """
    check_count("layers", layers, 0)
    check_numbers(magnitude=magnitude)

    def change(key: Key, image: Image, fill: float, nearest: bool) -> Image:
        def layer(image: Image, k: Key) -> tuple[Image, None]:
            return random_operation(k, image, magnitude / 30, RAND_SPACE, fill=fill, nearest=nearest), None

        return lax.scan(layer, image, jax.random.split(key, layers))[0]

    return each_move(change, p, fill=fill)


def trivial_augment(*, translate: float = 1.0, fill: float = 0.0, p: float = 1.0) -> Augment:
    """TrivialAugment: one random operation at a random one of 31 magnitudes, without parameters to tune.

    `translate` is the maximum shift as a share of the size; the paper uses 32 pixels, 1.0 for 32x32 images.
    Source: Müller and Hutter 2021, arXiv:2103.10158 (the wide search space).
    """
    check_numbers(translate=translate)
    space = wide_space(translate)

    def change(key: Key, image: Image, fill: float, nearest: bool) -> Image:
        level, draw = jax.random.split(key)
        magnitude = jax.random.randint(level, (), 0, 31) / 30
        return random_operation(draw, image, magnitude, space, fill=fill, nearest=nearest)

    return each_move(change, p, fill=fill)


def aug_mix(
    severity: float = 3.0, *, width: int = 3, depth: int = 3, alpha: float = 1.0, fill: float = 0.0, p: float = 1.0
) -> Augment:
    """AugMix: mix the image with `width` chains of 1 to `depth` operations.

        m·x + (1-m)·Σ wᵢ chainᵢ(x)        w ~ Dirichlet(α, ..., α), m ~ Beta(α, α), magnitudes uniform in [0, severity/10)

    The consistency loss of the paper, which needs three views of a batch, is not included. Raises `UserError` for label maps,
    because the chains move pixels differently.
    Source: Hendrycks et al. 2019, arXiv:1912.02781, algorithm 1.
    """
    check_counts(width=width, depth=depth)
    check_numbers(severity=severity, alpha=alpha)

    def one_chain(key: Key, image: Image) -> Image:
        length_key, key = jax.random.split(key)
        length = jax.random.randint(length_key, (), 1, depth + 1)

        def link(image: Image, step: tuple[Key, Array]) -> tuple[Image, None]:
            level, draw = jax.random.split(step[0])
            magnitude = jax.random.uniform(level) * severity / 10
            return jnp.where(
                step[1] < length, random_operation(draw, image, magnitude, MIX_SPACE, fill=fill), image
            ), None

        return lax.scan(link, image, (jax.random.split(key, depth), jnp.arange(depth)))[0]

    def change(key: Key, image: Image) -> Image:
        weights_key, share_key, chains_key = jax.random.split(key, 3)
        weights = jax.random.dirichlet(weights_key, jnp.full(width, alpha, jnp.float32))
        share = jax.random.beta(share_key, alpha, alpha)
        chains = jax.vmap(one_chain, (0, None))(jax.random.split(chains_key, width), image)
        return share * image + (1 - share) * jnp.tensordot(weights, chains, 1, precision="highest")

    images = each_image(change, p)

    def augment(key: Key, batch: Batch) -> Batch:
        if label_map(batch) is not None:
            raise UserError("aug_mix cannot be used with label maps: use rand_augment")
        return images(key, batch)

    return augment


def three_augment(*, sigma: tuple[float, float] = (0.1, 2.0), radius: int = 3, p: float = 1.0) -> Augment:
    """3-Augment: convert to grey, solarize or blur, each with probability 1/3.

    Source: Touvron et al. 2022 (DeiT III), arXiv:2204.07118, section 3.
    """

    check_count("radius", radius, 0)
    check_numbers(sigma=sigma)

    def change(key: Key, image: Image) -> Image:
        choose, draw = jax.random.split(key)
        width = jax.random.uniform(draw, minval=sigma[0], maxval=sigma[1])
        branches = [
            colour.grayscale_image,
            lambda image: colour.solarize_image(image, 0.5),
            lambda image: colour.blur_image(image, width, radius=radius),
        ]
        return lax.switch(jax.random.randint(choose, (), 0, 3), branches, image)

    return each_image(change, p)


# (operation, probability, magnitude of 9) twice: the 25 pairs that the search found on CIFAR-10 (table 7 of the paper).
CIFAR10_POLICY = """
invert .1 7, contrast .2 6;       rotate .7 2, translate_x .3 9;     sharpness .8 1, sharpness .9 3
shear_y .5 8, translate_y .7 9;   autocontrast .5 8, equalize .9 2;  shear_y .2 7, posterize .3 7
color .4 3, brightness .6 7;      sharpness .3 9, brightness .7 9;   equalize .6 5, equalize .5 1
contrast .6 7, sharpness .6 5;    color .7 7, translate_x .5 8;      equalize .3 7, autocontrast .4 8
translate_y .4 3, sharpness .2 6; brightness .9 6, color .2 8;       solarize .5 2, invert .0 3
equalize .2 0, autocontrast .6 0; equalize .2 8, equalize .6 4;      color .9 9, equalize .6 6
autocontrast .8 4, solarize .2 8; brightness .1 3, color .7 0;       solarize .4 5, autocontrast .9 3
translate_y .9 9, translate_y .7 9; autocontrast .9 2, solarize .8 3; equalize .8 8, invert .1 3
translate_y .7 9, autocontrast .9 1
"""


def parse_policy(text: str) -> list[list[tuple[str, float, float]]]:
    """Parse a table of pairs of operations such as `CIFAR10_POLICY`."""
    pairs = [pair.split(",") for pair in text.strip().replace("\n", ";").split(";")]
    return [[(name, float(p), float(level)) for name, p, level in map(str.split, pair)] for pair in pairs]


def auto_augment(policy: str = CIFAR10_POLICY, *, fill: float = 0.0, p: float = 1.0) -> Augment:
    """AutoAugment: one of 25 pairs of operations, each with a probability and a magnitude found by search.

    `policy` is a table like `CIFAR10_POLICY`. Source: Cubuk et al. 2018, arXiv:1805.09501, appendix A.
    """
    names = list(AUTO_SPACE)
    pairs = parse_policy(policy)
    table = [[(names.index(name), rate, level / 9) for name, rate, level in pair] for pair in pairs]

    def change(key: Key, image: Image, fill: float, nearest: bool) -> Image:
        choose, key = jax.random.split(key)
        pair = jnp.asarray(table, jnp.float32)[jax.random.randint(choose, (), 0, len(table))]

        def half(image: Image, step: tuple[Array, Key]) -> tuple[Image, None]:
            (operation, rate, magnitude), k = step
            happens, direction = jax.random.split(k)
            operation = jnp.where(jax.random.bernoulli(happens, rate), operation, names.index("identity"))
            sign = jax.random.rademacher(direction, (), jnp.float32)
            operation = operation.astype(jnp.int32)
            made = apply_operation(image, operation, magnitude, sign, AUTO_SPACE, fill=fill, nearest=nearest)
            return made, None

        return lax.scan(half, image, (pair, jax.random.split(key, 2)))[0]

    return each_move(change, p, fill=fill)
