"""The vision families begin as their sources do: deviations and bounds by formula."""

from functools import reduce
from math import sqrt

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.models.alexnet import AlexNet, AlexNet2012
from jaxdl.models.efficientnet import EfficientNet
from jaxdl.models.inception import GoogLeNet
from jaxdl.models.inception_v3 import InceptionV3
from jaxdl.models.mobilenet import MobileNetV2
from jaxdl.models.resnet import (
    ResNet,
    bottleneck,
)
from jaxdl.models.vgg import VGG
from jaxdl.models.vit import ViT
from tests.programs import one_program
from tests.tables import rows

KEY = jax.random.key(0)

# model, image, {path: (standard deviation, largest possible value)}; the deviation is the source's formula, not ours
MOMENTS = {
    # PyTorch's kaiming_uniform(a=√5): U(±1/√fan_in)
    "alexnet": (
        AlexNet(7, hidden=64),
        63,
        {
            "conv2/kernel": (1 / sqrt(3 * 64 * 25), 1 / sqrt(64 * 25)),
            "conv3/bias": (1 / sqrt(3 * 192 * 9), 1 / sqrt(192 * 9)),
            "dense1/kernel": (1 / sqrt(3 * 9216), 1 / sqrt(9216)),
        },
    ),
    "alexnet 2012": (AlexNet2012(7, hidden=64), 63, {"conv3/kernel": (0.01, None), "dense1/kernel": (0.01, None)}),
    # kaiming_normal(fan_out) and N(0, 0.01)
    "vgg": (VGG(hidden=64), 32, {"conv5_1/kernel": (sqrt(2 / (9 * 512)), None), "dense1/kernel": (0.01, None)}),
    "resnet": (
        ResNet((1, 1), bottleneck),
        32,
        {
            "stage2_block1/conv2/kernel": (sqrt(2 / (9 * 128)), None),
            "head/kernel": (1 / sqrt(3 * 512), 1 / sqrt(512)),
            "head/bias": (1 / sqrt(3 * 512), 1 / sqrt(512)),
        },
    ),
    "googlenet": (GoogLeNet(), 32, {"conv3/conv/kernel": (0.01, None), "head/kernel": (0.01, None)}),
    "inception v3": (
        InceptionV3(aux=True, share=0.5),
        299,
        {
            "4a/conv/kernel": (0.1, None),
            "aux1/conv1/conv/kernel": (0.1, None),
            "aux1/conv2/conv/kernel": (0.01, None),
            "aux1/head/kernel": (0.001, None),
        },
    ),
    "mobilenet v2": (
        MobileNetV2(),
        32,
        # fan_out of a depthwise kernel counts every channel, as torch.nn.init does
        {
            "block17/depthwise/conv/kernel": (sqrt(2 / (9 * 960)), None),
            "last/conv/kernel": (sqrt(2 / 1280), None),
            "head/kernel": (0.01, None),
        },
    ),
    "efficientnet": (
        EfficientNet(),
        32,
        {
            "last/conv/kernel": (sqrt(2 / 1280), None),
            "stage7_block1/squeeze/expand/kernel": (sqrt(2 / 1152), None),
            "head/kernel": (1 / sqrt(3 * 1000), 1 / sqrt(1000)),
        },
    ),
    "vit": (
        ViT(width=64, depth=1, heads=2, image=32),
        32,
        {
            "patches/kernel": (1 / sqrt(3 * 256), None),
            "block1/attention/query/kernel": (0.02, None),
            "block1/feed_forward/dense2/kernel": (0.02, None),
            "head/kernel": (0.0, 0.0),
        },
    ),
}


@rows(MOMENTS, default=["alexnet", "vit"])
def test_initialisation_by_moments(row):
    model, size, expected = row

    def init(key):  # what the forward pass would compute is not asked for, so only the initialisers run
        params = model.init(key, jnp.zeros((1, size, size, 3)), train=False)["params"]
        return {path: reduce(lambda leaf, part: leaf[part], path.split("/"), params) for path in expected}

    for path, values in one_program(init, KEY).items():
        std, bound = expected[path]
        error = 4 * std / sqrt(2 * values.size)  # four standard errors of a normal's deviation
        assert abs(values.std() - std) <= error, path
        assert abs(values.mean()) <= 5 * std / sqrt(values.size), path
        largest = np.abs(values).max()
        if bound is None:
            assert largest > 2 * std, path  # not uniform: that ends at √3 deviations
        else:
            assert largest <= bound * (1 + 1e-6), path


def test_biases_of_the_2012_form():
    model = AlexNet2012(7, hidden=8)
    init = lambda key: model.init(key, jnp.zeros((1, 63, 63, 3)), train=False)["params"]
    lowest = one_program(lambda key: {name: leaves["bias"].min() for name, leaves in init(key).items()}, KEY)
    assert {name for name, low in lowest.items() if low == 1} == {"conv2", "conv4", "conv5", "dense1", "dense2"}
