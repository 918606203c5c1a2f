"""U-Net: the paper's sizes, its parameters by hand, and the same network in PyTorch."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.layers.normalization import BatchNorm
from jaxdl.models.unet import UNet
from jaxdl.types import UserError
from tests.programs import one_program

WIDTH, DEPTH, CLASSES = 4, 2, 3


def by_hand(channels, classes, width, depth, norm):
    """Weights and biases of figure 1; with a norm, a scale and a shift in place of each 3x3 convolution's bias."""
    per_channel = 2 if norm else 1
    conv = lambda inputs, outputs: 9 * inputs * outputs + per_channel * outputs
    levels = [width * 2**i for i in range(depth + 1)]
    down = sum(conv(a, b) + conv(b, b) for a, b in zip([channels, *levels], levels, strict=False))
    up = sum(4 * 2 * b * b + b + conv(2 * b, b) + conv(b, b) for b in levels[:-1])
    return down + up + width * classes + classes


def shapes(model, size, channels=1):
    x = jnp.zeros((1, *size, channels))
    return jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), x, train=False))


def parameters(variables):
    return sum(a.size for a in jax.tree.leaves(variables["params"]))


def test_the_paper_s_network():
    """Figure 1: 572x572 grey pixels give 388x388 of two classes, by a map of 28x28 with 1024 channels."""
    x = jnp.zeros((1, 572, 572, 1))
    model = UNet(2, width=64, depth=4, padding=0)
    (logits, seen), variables = jax.eval_shape(
        lambda: model.init_with_output(jax.random.key(0), x, train=False, features=True)
    )
    assert logits.shape == (1, 388, 388, 2)
    assert seen["bottom"].shape == (1, 28, 28, 1024)
    assert seen["down3"].shape == (1, 64, 64, 512)
    assert parameters(variables) == by_hand(1, 2, 64, 4, norm=False) == 31_030_658


def test_the_usual_network_with_padding_and_batch_norm():
    """31,037,633 parameters: what github.com/milesial/Pytorch-UNet has for colour images and one class."""
    logits, variables = shapes(UNet(1, width=64, depth=4, norm=BatchNorm), (96, 160), 3)
    assert logits.shape == (1, 96, 160, 1)
    assert parameters(variables) == by_hand(3, 1, 64, 4, norm=True) == 31_037_633


def drawn(tree, seed=0):
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda a: np.float32(rng.normal(0, 0.3, a.shape)), tree)


def torch_unet(torch, params, x):
    """The network in PyTorch's functions; kernels HWIO -> OIHW, those of the expanding convolutions turned round -> IOHW."""
    F = torch.nn.functional

    tensor = lambda a: torch.tensor(np.asarray(a))

    def conv(x, name):
        kernel = tensor(params[name]["kernel"]).permute(3, 2, 0, 1)
        return F.conv2d(x, kernel, tensor(params[name]["bias"]), padding="same")

    def double(x, name):
        return F.relu(conv(F.relu(conv(x, f"{name}_conv1")), f"{name}_conv2"))

    x, kept = tensor(x).permute(0, 3, 1, 2), []
    for i in range(DEPTH):
        kept.append(double(x, f"down{i}"))
        x = F.max_pool2d(kept[-1], 2)
    x = double(x, "bottom")
    for i in reversed(range(DEPTH)):
        kernel = tensor(params[f"expand{i}"]["kernel"]).flip(0, 1).permute(2, 3, 0, 1)
        x = F.conv_transpose2d(x, kernel, tensor(params[f"expand{i}"]["bias"]), stride=2)
        x = double(torch.cat([kept[i], x], 1), f"up{i}")
    return conv(x, "head").permute(0, 2, 3, 1)


def test_logits_as_in_pytorch(oracle):
    model = UNet(CLASSES, WIDTH, DEPTH)
    params = drawn(shapes(model, (8, 12), 2)[1]["params"])
    x = np.random.default_rng(1).normal(size=(2, 8, 12, 2)).astype(np.float32)

    @oracle
    def theirs(torch):
        return {"logits": torch_unet(torch, params, x)}

    logits = one_program(partial(model.apply, train=False), {"params": params}, x)
    np.testing.assert_allclose(logits, theirs["logits"], rtol=1e-4, atol=1e-4)


def test_an_image_that_cannot_be_halved_is_refused():
    with pytest.raises(UserError) as caught:
        shapes(UNet(2, depth=3), (28, 24))
    assert "(1, 28, 24, 1)" in str(caught.value)
    assert "8" in str(caught.value)
