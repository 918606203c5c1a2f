"""Inception v3: the modules of v1 with large kernels factorised into small and one-dimensional ones.

Source: Szegedy et al. 2015, arXiv:1512.00567, in the form of TensorFlow and torchvision.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxdl.activations import relu
from jaxdl.layers.dense import Dense
from jaxdl.layers.dropout import Dropout, Rate
from jaxdl.layers.pooling import avg_pool, global_avg_pool, max_pool
from jaxdl.models.inception import Unit, inception_norm, normal
from jaxdl.models.vision import Act, Images, Norm, Seen, check_image, run_block, uniform_bias
from jaxdl.types import UserError

Path = Sequence[Any]
"""A branch: (name, features, kernel, strides, padding) of each of its convolutions."""


def conv(name: str, features: int, kernel: int | tuple[int, int] = 1, strides: int = 1) -> tuple:
    """One convolution of a branch. Strided convolutions have no padding; the others keep the size."""
    return name, features, kernel, strides, "symmetric" if strides == 1 else "valid"


def block_a(pool: int) -> dict[str, Path]:
    """Module at 35x35 (figure 5): two 3x3 in place of 5x5."""
    return {
        "one": (conv("one", 64),),
        "five": (conv("five_1", 48), conv("five_2", 64, 5)),
        "double": (conv("double_1", 64), conv("double_2", 96, 3), conv("double_3", 96, 3)),
        "average": (conv("pool", pool),),
    }


def block_b() -> dict[str, Path]:
    """Module from 35x35 to 17x17 (figure 10)."""
    return {
        "three": (conv("three", 384, 3, 2),),
        "double": (conv("double_1", 64), conv("double_2", 96, 3), conv("double_3", 96, 3, 2)),
        "maximum": (),
    }


def block_c(width: int) -> dict[str, Path]:
    """Module at 17x17 (figure 6): 1x7 and 7x1 in place of 7x7."""
    tall, wide = (7, 1), (1, 7)
    seven = (conv("seven_1", width), conv("seven_2", width, wide), conv("seven_3", 192, tall))
    double = (
        conv("double_1", width),
        conv("double_2", width, tall),
        conv("double_3", width, wide),
        conv("double_4", width, tall),
        conv("double_5", 192, wide),
    )
    return {"one": (conv("one", 192),), "seven": seven, "double": double, "average": (conv("pool", 192),)}


def block_d() -> dict[str, Path]:
    """Module from 17x17 to 8x8."""
    seven = (conv("seven_1", 192), conv("seven_2", 192, (1, 7)), conv("seven_3", 192, (7, 1)))
    return {
        "three": (conv("three_1", 192), conv("three_2", 320, 3, 2)),
        "seven": (*seven, conv("seven_4", 192, 3, 2)),
        "maximum": (),
    }


def block_e() -> dict[str, Path]:
    """Module at 8x8 (figure 7): 1x3 and 3x1 in parallel, written `|`, in place of the last 3x3."""
    split = (conv("three_2a", 384, (1, 3)), conv("three_2b", 384, (3, 1)))
    double = (conv("double_1", 448), conv("double_2", 384, 3), "|")
    return {
        "one": (conv("one", 320),),
        "three": (conv("three_1", 384), "|", *split),
        "double": (*double, conv("double_3a", 384, (1, 3)), conv("double_3b", 384, (3, 1))),
        "average": (conv("pool", 192),),
    }


V3 = {  # torchvision's names of the modules
    "5b": block_a(32),
    "5c": block_a(64),
    "5d": block_a(64),
    "6a": block_b(),
    "6b": block_c(128),
    "6c": block_c(160),
    "6d": block_c(160),
    "6e": block_c(192),
    "7a": block_d(),
    "7b": block_e(),
    "7c": block_e(),
}


class Branches(nn.Module):
    """Concatenate the branches of one module; the branches `average` and `maximum` begin with a 3x3 pool."""

    paths: dict[str, Path]
    unit: Callable[..., nn.Module]
    share: float = 1.0

    @nn.compact
    def __call__(self, x: Images, *, train: bool) -> Images:
        outputs, sizes = [], lambda features: max(1, int(features * self.share))
        for kind, path in self.paths.items():
            y = {"average": lambda: avg_pool(x, 3, 1, 1), "maximum": lambda: max_pool(x, 3, 2)}.get(kind, lambda: x)()
            split = [*path].index("|") if "|" in path else len(path)
            for name, features, *geometry in path[:split]:
                y = self.unit(sizes(features), *geometry, name=name)(y, train=train)
            ends = [
                self.unit(sizes(f), *geometry, name=name)(y, train=train) for name, f, *geometry in path[split + 1 :]
            ]
            outputs += ends or [y]
        return jnp.concatenate(outputs, -1)


class InceptionV3(nn.Module):
    """Inception v3 for 299x299: 23,834,568 parameters; 27,161,264 with the auxiliary head (`aux`, the feature `"aux1"`).

    Images have 75x75 pixels or more. Kernels are initialised from N(0, 0.1), those of the auxiliary head from N(0, 0.01) and
    N(0, 0.001). Batch norm has ε = 0.001. `share` multiplies every width. Features: `stem`, `5b` ... `7c`, `aux1`, `pooled`.
    """

    classes: int = 1000
    share: float = 1.0
    act: Act = relu
    norm: Norm = inception_norm
    rate: Rate = 0.5
    aux: bool = False
    remat: bool = False

    @nn.compact
    def __call__(
        self, x: Images, *, train: bool, features: bool = False
    ) -> Float[Array, "batch classes"] | tuple[Array, Seen]:
        check_image(x, 75, "InceptionV3")
        unit = partial(Unit, act=self.act, norm=self.norm, kernel_init=normal(0.1))

        def stem(name: str, width: int, *geometry: Any) -> Images:
            return unit(max(1, int(width * self.share)), *geometry, name=name)(x, train=train)

        x = stem("1a", 32, 3, 2, "valid")
        x = stem("2a", 32, 3, 1, "valid")
        x = max_pool(stem("2b", 64, 3), 3, 2)
        x = stem("3b", 80)
        x = max_pool(stem("4a", 192, 3, 1, "valid"), 3, 2)
        seen = {"stem": x}
        for name, paths in V3.items():
            module = Branches(paths, unit, self.share, name=f"mixed{name}")
            x = seen[name] = run_block(module, x, train=train, remat=self.remat)
            if name == "6e" and self.aux and (train or features or self.is_initializing()):
                seen["aux1"] = Auxiliary(self.classes, unit, self.share, name="aux1")(x, train=train)
        x = seen["pooled"] = global_avg_pool(x)
        start: dict[str, Any] = {"kernel_init": normal(0.1), "bias_init": uniform_bias(x.shape[-1])}
        logits = Dense(self.classes, **start, name="head")(Dropout(self.rate)(x, train=train))
        return (logits, seen) if features else logits


class Auxiliary(nn.Module):
    """Auxiliary head: 5x5 mean of stride 3, 1x1 to 128, 5x5 to 768, mean, dense."""

    classes: int
    unit: Callable[..., nn.Module]
    share: float = 1.0

    @nn.compact
    def __call__(self, x: Images, *, train: bool) -> Float[Array, "batch classes"]:
        if min(x.shape[1:3]) < 5 + 4 * 3:
            raise UserError(
                f"aux=True: the map before the auxiliary head is {x.shape[1]}x{x.shape[2]}; take images of 299x299 or more"
            )
        first, second = (max(1, int(width * self.share)) for width in (128, 768))
        x = self.unit(first, name="conv1")(avg_pool(x, 5, 3), train=train)
        x = self.unit(second, 5, 1, "valid", kernel_init=normal(0.01), name="conv2")(x, train=train)
        x = global_avg_pool(x)
        start: dict[str, Any] = {"kernel_init": normal(0.001), "bias_init": uniform_bias(x.shape[-1])}
        return Dense(self.classes, **start, name="head")(x)
