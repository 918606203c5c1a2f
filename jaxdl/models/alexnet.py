"""AlexNet in its two published forms.

AlexNet      Krizhevsky 2014, arXiv:1404.5997 ("one weird trick"), torchvision's: 61,100,840 parameters
AlexNet2012  Krizhevsky et al. 2012, NeurIPS: grouped for two GPUs, local response normalization: 60,965,224
"""

import flax.linen as nn
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxdl.activations import relu
from jaxdl.layers.convolution import Conv
from jaxdl.layers.dense import Dense
from jaxdl.layers.dropout import Dropout, Rate
from jaxdl.layers.pooling import adaptive_avg_pool, max_pool
from jaxdl.models.vision import Act, Images, Seen, check_image, fan_in_uniform, uniform_bias

# features, kernel, strides, padding, groups, local response normalization (2012), 3x3 max-pool of stride 2 after it
ONE_WEIRD_TRICK = (
    (64, 11, 4, 2, 1, False, True),
    (192, 5, 1, 2, 1, False, True),
    (384, 3, 1, 1, 1, False, False),
    (256, 3, 1, 1, 1, False, False),
    (256, 3, 1, 1, 1, False, True),
)
NEURIPS_2012 = (
    (96, 11, 4, 2, 1, True, True),
    (256, 5, 1, 2, 2, True, True),
    (384, 3, 1, 1, 1, False, False),
    (384, 3, 1, 1, 2, False, False),
    (256, 3, 1, 1, 2, False, True),
)


def local_response_norm(x: Images, *, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 2.0) -> Images:
    """Divide each channel by the energy of its neighbours.

        y_c = x_c / (k + α · Σ x_c'²)^β        c' over `size` channels around c

    The defaults are the paper's (section 3.3). PyTorch and Caffe take the mean in place of the sum: pass α·size to them.
    """
    half = size // 2
    energy = jnp.pad(jnp.square(x), ((0, 0), (0, 0), (0, 0), (half, size - 1 - half)))
    channels = x.shape[-1]
    total = sum(lax.slice_in_dim(energy, i, i + channels, axis=-1) for i in range(size))
    return x * (k + alpha * total) ** -beta


class AlexNet(nn.Module):
    """Five convolutions, three max-pools, two hidden dense layers with dropout, head.

    The last map is averaged to 6x6 and flattened in the order height, width, channels, so that images of 63x63 or more work.
    Weights are initialised as in PyTorch; in the 2012 form from N(0, 0.01), with biases of one in the second, fourth and fifth
    convolution and in the hidden dense layers. Features: `conv1` ... `conv5` (activated, before pooling), `dense1`, `pooled`.
    """

    classes: int = 1000
    layers: tuple = ONE_WEIRD_TRICK
    hidden: int = 4096
    grid: int = 6
    act: Act = relu
    rate: Rate = 0.5
    drop_first: bool = True  # dropout: torchvision has it before each hidden dense layer, the 2012 form after it

    def start(self, fan_in: int, one: bool) -> dict:
        del one
        return {"kernel_init": fan_in_uniform, "bias_init": uniform_bias(fan_in)}

    @nn.compact
    def __call__(
        self, x: Images, *, train: bool, features: bool = False
    ) -> Float[Array, "batch classes"] | tuple[Array, Seen]:
        check_image(x, 63, "AlexNet")
        seen = {}
        for i, (width, kernel, strides, padding, groups, normalized, pooled) in enumerate(self.layers, 1):
            start = self.start(kernel**2 * x.shape[-1] // groups, i in (2, 4, 5))
            x = self.act(Conv(width, kernel, strides, padding, groups=groups, **start, name=f"conv{i}")(x))
            seen[f"conv{i}"] = x
            x = local_response_norm(x) if normalized else x
            x = max_pool(x, 3, 2) if pooled else x
        x = adaptive_avg_pool(x, self.grid).reshape(x.shape[0], -1)
        for i in (1, 2):
            x = Dropout(self.rate)(x, train=train) if self.drop_first else x
            x = self.act(Dense(self.hidden, **self.start(x.shape[-1], True), name=f"dense{i}")(x))
            seen["dense1" if i == 1 else "pooled"] = x
            x = x if self.drop_first else Dropout(self.rate)(x, train=train)
        logits = Dense(self.classes, **self.start(x.shape[-1], False), name="head")(x)
        return (logits, seen) if features else logits


class AlexNet2012(AlexNet):
    """AlexNet of 2012: grouped convolutions, local response normalization and the paper's initialisation."""

    layers: tuple = NEURIPS_2012
    drop_first: bool = False

    def start(self, fan_in: int, one: bool) -> dict:
        del fan_in
        return {"kernel_init": nn.initializers.normal(0.01), "bias_init": nn.initializers.constant(float(one))}
