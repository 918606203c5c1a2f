"""Blocks of convolutional networks on clothing of 28x28: VGG's, Inception's, MobileNet's, and kinds of pooling.

Two stages of 16 and 32 channels, each a block and a pooling, then a dense layer. 400 steps of 32 of 3,000 images with AdamW, one
learning rate for all, which was not tuned. A seed draws the images, the initialization and the order.
"""

from functools import partial

import flax.linen as nn
import jax.numpy as jnp

from jaxdl.layers.arithmetic import convolution_parameters
from jaxdl.layers.convolution import Conv, DepthwiseConv
from jaxdl.layers.pooling import avg_pool, max_pool
from jaxdl.runs.claim_training import clothing_trainer
from jaxdl.runs.claims import Comparison, Fact, Study


def convolutions(x, width, *sizes):
    for size in sizes:
        x = nn.relu(Conv(width, size)(x))
    return x


def inception(x, width):
    """A quarter of the channels from each branch: 1x1, 3x3, 5x5, and a max-pool; the larger filters behind a 1x1 convolution."""
    part = width // 4
    small = lambda: nn.relu(Conv(part, 1)(x))
    branches = [small(), *(nn.relu(Conv(part, k)(small())) for k in (3, 5))]
    return jnp.concatenate([*branches, nn.relu(Conv(part, 1)(max_pool(x, 3, 1, 1)))], -1)


def separable(x, width):
    return nn.relu(Conv(width, 1)(DepthwiseConv()(x) if x.shape[-1] > 1 else Conv(1, 3)(x)))


BLOCKS = {
    "one 3x3": lambda x, width: convolutions(x, width, 3),
    "two 3x3": lambda x, width: convolutions(x, width, 3, 3),
    "one 5x5": lambda x, width: convolutions(x, width, 5),
    "inception": inception,
    "separable": separable,
}
POOLS = {
    "2x2 maximum": partial(max_pool, window=2),
    "3x3 maximum": partial(max_pool, window=3, strides=2, padding=1),
    "2x2 mean": partial(avg_pool, window=2),
    "every second place": lambda x: x[:, ::2, ::2],
}


class Network(nn.Module):
    block: str
    pool: str

    @nn.compact
    def __call__(self, x, *, train):
        for width in (16, 32):
            x = POOLS[self.pool](BLOCKS[self.block](x, width))
        return nn.Dense(10)(x.reshape(len(x), -1))


def measure(*, block: str, pool: str, seed: int) -> float:
    return clothing_trainer(Network(block, pool), images=3000, steps=400, lr=3e-3)(seed)


def weights() -> tuple[str, str]:
    """Weights, and multiply-adds a place, of a depthwise and a 1x1 convolution against a full one of 3x3, for 256 channels."""
    count = partial(convolution_parameters, 256, 256, use_bias=False)
    full, parted = count((3, 3)), count((3, 3), groups=256) + count((1, 1))
    same = abs(parted / full - (1 / 256 + 1 / 9)) < 1e-9
    return "holds" if same else "wrong", f"{parted:,} multiply-adds a place in place of {full:,}: 1/256 + 1/9 of them"


POOL, BEST = "pooling 2x2 with stride 2", "2x2 maximum"
study = Study(
    measure=measure,
    settings={name: {"block": name, "pool": BEST} for name in BLOCKS}
    | {name: {"block": "one 3x3", "pool": name} for name in POOLS},
    comparisons=(
        Comparison("C13", "VGG: deeper, with 3x3 filters", "two 3x3", "one 5x5", 0.005, "two 3x3 against one 5x5"),
        Comparison("C13", "VGG: deeper, with 3x3 filters", "two 3x3", "one 3x3", 0.005, "two 3x3 against one"),
        Comparison("C15", "Inception's several scales help", "inception", "one 3x3", 0.005),
        Comparison("C16", "MobileNet's convolutions cost little accuracy", "separable", "one 3x3", 0.01, alike=True),
        *(Comparison("C59", POOL, BEST, other, 0.005, f"against {other}") for other in POOLS if other != BEST),
    ),
    facts=(Fact("C16", "MobileNet is efficient", weights),),
)
