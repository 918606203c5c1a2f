"""U-Net: a class for every pixel. Ronneberger, Fischer, Brox 2015, arXiv:1505.04597."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxdl.activations import relu
from jaxdl.layers.arithmetic import Padding
from jaxdl.layers.convolution import Conv, ConvTranspose
from jaxdl.layers.dropout import Dropout, Rate
from jaxdl.layers.pooling import max_pool
from jaxdl.models.vision import Act, Images, Norm, Seen, he_fan_out
from jaxdl.types import UserError


class UNet(nn.Module):
    """Contract the image `depth` times, expand it again, and join maps of equal size; one vector of logits per pixel.

        down_i = double(pool(down_{i-1}))        double: two 3x3 convolutions, each with norm and activation
        up_i   = double([down_i, convᵀ(up_{i+1})])

    Level i has `width`·2^i channels. Kernels start as N(0, 2/fan_out), biases at zero. With `width=64, depth=4` and `padding=0`
    it is the paper's network: images of 572x572 give 388x388 logits, and the maps of the contracting path are cropped at their
    borders. The default padding keeps the size, which must be a multiple of 2^depth.

    Args:
        classes: logits per pixel.
        width: channels of the first level.
        depth: how often the image is halved.
        act: activation after each 3x3 convolution.
        norm: layer between convolution and activation (`BatchNorm`); the convolution then has no bias. None: no layer.
        padding: of the 3x3 convolutions.
        rate: dropout at the end of the contracting path.

    Features: `down0` ..., `bottom`, ..., `up0`.
    """

    classes: int
    width: int = 16
    depth: int = 3
    act: Act = relu
    norm: Norm | None = None
    padding: Padding = "symmetric"
    rate: Rate = 0.0

    @nn.compact
    def __call__(
        self, x: Images, *, train: bool, features: bool = False
    ) -> Float[Array, "batch rows columns classes"] | tuple[Array, Seen]:
        unit = 2**self.depth
        if x.ndim != 4 or (self.padding == "symmetric" and (x.shape[1] % unit or x.shape[2] % unit)):
            raise UserError(
                f"x has shape {x.shape}: UNet with depth={self.depth} takes images (batch, height, width, channels) whose "
                f"height and width are multiples of {unit}"
            )
        seen: Seen = {}
        for i in range(self.depth):
            x = seen[f"down{i}"] = self.double(x, i, f"down{i}", train)
            x = max_pool(x, 2)
        x = seen["bottom"] = Dropout(self.rate)(self.double(x, self.depth, "bottom", train), train=train)
        for i in reversed(range(self.depth)):
            x = ConvTranspose(self.width * 2**i, 2, 2, padding=0, kernel_init=he_fan_out, name=f"expand{i}")(x)
            x = jnp.concatenate([_middle(seen[f"down{i}"], x.shape), x], -1)
            x = seen[f"up{i}"] = self.double(x, i, f"up{i}", train)
        logits = Conv(self.classes, 1, kernel_init=he_fan_out, name="head")(x)
        return (logits, seen) if features else logits

    def double(self, x: Images, level: int, name: str, train: bool) -> Images:
        """Two 3x3 convolutions with `width`·2^level channels."""
        options = {"padding": self.padding, "use_bias": self.norm is None, "kernel_init": he_fan_out}
        for i in (1, 2):
            x = Conv(self.width * 2**level, 3, name=f"{name}_conv{i}", **options)(x)
            if self.norm is not None:
                x = self.norm(name=f"{name}_norm{i}")(x, train=train)
            x = self.act(x)
        return x


def _middle(x: Images, like: tuple[int, ...]) -> Images:
    """The middle of a map, in the height and width of a shape."""
    top, left = (x.shape[1] - like[1]) // 2, (x.shape[2] - like[2]) // 2
    return x[:, top : top + like[1], left : left + like[2]]
