"""Inception v1 (GoogLeNet): parallel branches with different kernels, concatenated along the channels.

Source: Szegedy et al. 2014, arXiv:1409.4842. Inception v3 is in `inception_v3.py`.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxdl.activations import relu
from jaxdl.layers.arithmetic import Padding
from jaxdl.layers.convolution import Conv, Initializer, Sizes
from jaxdl.layers.dense import Dense
from jaxdl.layers.dropout import Dropout, Rate
from jaxdl.layers.normalization import BatchNorm
from jaxdl.layers.pooling import adaptive_avg_pool, avg_pool, global_avg_pool, max_pool
from jaxdl.models.alexnet import local_response_norm
from jaxdl.models.vision import Act, Images, Norm, Seen, check_image, run_block, uniform_bias


def normal(std: float) -> Initializer:
    """N(0, std). torchvision truncates it at ±2, which is no truncation for its deviations of 0.001 to 0.1."""
    return nn.initializers.normal(std)


inception_norm = partial(BatchNorm, eps=1e-3)


class Unit(nn.Module):
    """Convolution, norm and activation: act(norm(W * x)), or act(W * x + b) if `norm` is None."""

    features: int
    kernel_size: Sizes = 1
    strides: int = 1
    padding: Padding = "symmetric"
    act: Act = relu
    norm: Norm | None = inception_norm
    kernel_init: Initializer = normal(0.01)

    @nn.compact
    def __call__(self, x: Images, *, train: bool) -> Images:
        options = {"use_bias": self.norm is None, "kernel_init": self.kernel_init, "name": "conv"}
        x = Conv(self.features, self.kernel_size, self.strides, self.padding, **options)(x)
        return self.act(x if self.norm is None else self.norm(name="norm")(x, train=train))


class Widths(NamedTuple):
    """Channels of the branches of one module: 1x1; 1x1 then 3x3; 1x1 then 5x5; max-pool then 1x1."""

    one: int
    reduce3: int
    three: int
    reduce5: int
    five: int
    pool: int


V1 = {  # Szegedy et al. 2014, table 1
    "3a": Widths(64, 96, 128, 16, 32, 32),
    "3b": Widths(128, 128, 192, 32, 96, 64),
    "4a": Widths(192, 96, 208, 16, 48, 64),
    "4b": Widths(160, 112, 224, 24, 64, 64),
    "4c": Widths(128, 128, 256, 24, 64, 64),
    "4d": Widths(112, 144, 288, 32, 64, 64),
    "4e": Widths(256, 160, 320, 32, 128, 128),
    "5a": Widths(256, 160, 320, 32, 128, 128),
    "5b": Widths(384, 192, 384, 48, 128, 128),
}


class Module(nn.Module):
    """Concatenate [1x1 | 1x1, 3x3 | 1x1, 5x5 | max-pool, 1x1]. `five` is the large kernel: 5 in the paper, 3 in torchvision."""

    widths: Widths
    five: int = 5
    unit: Callable[..., nn.Module] = Unit

    @nn.compact
    def __call__(self, x: Images, *, train: bool) -> Images:
        def unit(name: str, features: int, kernel: int, x: Images) -> Images:
            return self.unit(features, kernel, name=name)(x, train=train)

        w = self.widths
        branches = (
            unit("one", w.one, 1, x),
            unit("three", w.three, 3, unit("reduce3", w.reduce3, 1, x)),
            unit("five", w.five, self.five, unit("reduce5", w.reduce5, 1, x)),
            unit("pool", w.pool, 1, max_pool(x, 3, 1, 1, ceil_mode=True)),
        )
        return jnp.concatenate(branches, -1)


class Auxiliary(nn.Module):
    """Auxiliary head on an inner map: pool to 4x4, 1x1 to 128, dense to 1024, dropout 0.7, classes."""

    classes: int
    unit: Callable[..., nn.Module] = Unit
    pool: Callable[[Images], Images] = partial(adaptive_avg_pool, sizes=4)
    start: Callable[..., dict[str, Any]] = dict
    width: int = 128
    hidden: int = 1024
    rate: Rate = 0.7

    @nn.compact
    def __call__(self, x: Images, *, train: bool) -> Float[Array, "batch classes"]:
        x = self.unit(self.width, 1, name="conv")(self.pool(x), train=train)
        x = x.reshape(x.shape[0], -1)
        x = relu(Dense(self.hidden, **self.start(x.shape[-1]), name="hidden")(x))
        x = Dropout(self.rate)(x, train=train)
        return Dense(self.classes, **self.start(x.shape[-1]), name="head")(x)


def _torchvision_start(fan_in: int) -> dict:
    return {"kernel_init": normal(0.01), "bias_init": uniform_bias(fan_in)}


class GoogLeNet(nn.Module):
    """Inception v1 in torchvision's form: with batch norm, and 3x3 kernels in the 5x5 branch. 6,624,904 parameters.

    `GoogLeNetPaper` is the paper's form. `aux` adds two auxiliary heads (13,004,888 parameters), whose logits are the features
    `"aux1"` and `"aux2"`; the paper adds their losses with weight 0.3. Images have 15x15 pixels or more. Kernels are initialised
    from N(0, 0.01), dense biases as in PyTorch. Features: `stem`, `3a` ... `5b`, `aux1`, `aux2`, `pooled`.
    """

    classes: int = 1000
    table: tuple[tuple[str, Widths], ...] = tuple(V1.items())
    widths: tuple[int, int, int] = (64, 64, 192)
    five: int = 3
    act: Act = relu
    norm: Norm | None = inception_norm
    rate: Rate = 0.2
    aux: bool = False
    aux_sizes: tuple[int, int] = (128, 1024)
    respond: Callable[[Images], Images] | None = None
    aux_pool: Callable[[Images], Images] = partial(adaptive_avg_pool, sizes=4)
    start: Callable[[int], dict] = _torchvision_start
    kernel_init: Initializer = normal(0.01)
    smallest: int = 15
    remat: bool = False

    @nn.compact
    def __call__(
        self, x: Images, *, train: bool, features: bool = False
    ) -> Float[Array, "batch classes"] | tuple[Array, Seen]:
        check_image(x, self.smallest, "GoogLeNet")
        unit, (one, two, three) = partial(Unit, act=self.act, norm=self.norm, kernel_init=self.kernel_init), self.widths
        pool = partial(max_pool, window=3, strides=2, ceil_mode=True)
        respond = self.respond or (lambda x: x)
        x = respond(pool(unit(one, 7, 2, name="conv1")(x, train=train)))
        x = unit(three, 3, name="conv3")(unit(two, name="conv2")(x, train=train), train=train)
        x = pool(respond(x))
        seen, aux = {"stem": x}, {"4a": "aux1", "4d": "aux2"} if self.aux else {}
        for name, widths in self.table:
            module = Module(widths, self.five, unit, name=f"inception{name}")
            x = seen[name] = run_block(module, x, train=train, remat=self.remat)
            if name in aux and (train or features or self.is_initializing()):
                sizes: dict[str, Any] = {"width": self.aux_sizes[0], "hidden": self.aux_sizes[1]}
                head = Auxiliary(self.classes, unit, self.aux_pool, self.start, **sizes, name=aux[name])
                seen[aux[name]] = head(x, train=train)
            if name == "3b":
                x = pool(x)
            elif name == "4e":
                x = max_pool(x, 2 if self.five == 3 else 3, 2, ceil_mode=True)
        x = seen["pooled"] = global_avg_pool(x)
        x = Dropout(self.rate)(x, train=train)
        logits = Dense(self.classes, **self.start(x.shape[-1]), name="head")(x)
        return (logits, seen) if features else logits


glorot = nn.initializers.xavier_uniform()

GoogLeNetPaper = partial(
    GoogLeNet,
    five=5,
    norm=None,
    rate=0.4,
    respond=local_response_norm,
    aux_pool=partial(avg_pool, window=5, strides=3),
    start=lambda fan_in: {"kernel_init": glorot},
    kernel_init=glorot,
)
"""The paper's form: 5x5 kernels, biases in place of batch norm, local response normalization. It has 6,998,552 parameters, with
`aux` 13,378,280; the dense layers of the auxiliary heads need images of 224x224. The paper does not state its initialisation;
this is the Glorot initialisation of Caffe's reproduction."""
