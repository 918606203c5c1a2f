"""What all vision families promise: features by name, any image that fits, clear errors, the source's initialisation."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.layers.normalization import BatchNorm
from jaxdl.models.alexnet import AlexNet, AlexNet2012, local_response_norm
from jaxdl.models.efficientnet import EfficientNet, efficientnet, efficientnet_lite0
from jaxdl.models.inception import GoogLeNet, GoogLeNetPaper
from jaxdl.models.inception_v3 import InceptionV3
from jaxdl.models.mobilenet import MobileNetV1, MobileNetV2, MobileNetV3
from jaxdl.models.resnet import (
    Residual,
    ResNet,
    ZeroPadding,
    basic,
    bottleneck,
    cifar_resnet,
    resnet_d,
    squeeze_sixteenth,
    wide_resnet,
)
from jaxdl.models.vgg import VGG, vgg
from jaxdl.models.vit import ViT, resample_positions, sincos_positions
from jaxdl.tracing import recomputing

tiny_vit = {"patch": 4, "width": 16, "depth": 2, "heads": 2, "image": 16, "classes": 7}
tiny_b0 = ((1, 3, 1, 8, 1), (6, 5, 2, 8, 2))
tiny_resnet = ResNet((1, 2), width=8, classes=7)
tiny_mobilenet = MobileNetV2(7, table=((1, 8, 1, 1), (6, 8, 2, 2)), stem=8, last=16)

# model, the smallest image, some of its features with their shapes for an image of 2·smallest (or as given)
FAMILIES = {
    "alexnet": (AlexNet(7, hidden=8), 63, 126, {"conv1": (30, 30, 64), "pooled": (8,)}),
    "alexnet 2012": (AlexNet2012(7, hidden=8), 63, 126, {"conv5": (6, 6, 256), "dense1": (8,)}),
    "vgg": (
        vgg(11, width=4, hidden=8, classes=7),
        32,
        64,
        {"conv1_1": (64, 64, 4), "stage5": (2, 2, 32), "pooled": (8,)},
    ),
    "vgg bn": (vgg(11, width=4, hidden=8, classes=7, norm=BatchNorm), 32, 64, {"stage1": (32, 32, 4)}),
    "resnet": (
        tiny_resnet,
        1,
        32,
        {"stem": (8, 8, 64), "stage2_block1": (4, 4, 16), "stage2": (4, 4, 16), "pooled": (16,)},
    ),
    "resnet d": (resnet_d(18, stages=(1, 1), width=8, classes=7), 1, 33, {"stem": (9, 9, 64), "stage2": (5, 5, 16)}),
    "resnet se": (ResNet((1,), bottleneck, 16, 7, squeeze=squeeze_sixteenth), 1, 32, {"stage1": (8, 8, 64)}),
    "cifar": (cifar_resnet(8, classes=7), 1, 32, {"stage1": (32, 32, 16), "stage3": (8, 8, 64)}),
    "wide": (wide_resnet(10, 1, classes=7), 1, 32, {"stem": (32, 32, 16), "last": (8, 8, 64)}),
    "googlenet": (
        GoogLeNet(7, aux=True),
        15,
        64,
        {"stem": (8, 8, 192), "3a": (8, 8, 256), "5b": (2, 2, 1024), "aux2": (7,)},
    ),
    "inception v3": (InceptionV3(7, share=0.1), 75, 150, {"stem": (16, 16, 19), "pooled": (203,)}),
    "mobilenet v1": (MobileNetV1(7, 0.25), 1, 32, {"stem": (16, 16, 8), "block13": (1, 1, 256)}),
    "mobilenet v2": (tiny_mobilenet, 1, 32, {"block3": (8, 8, 8), "last": (8, 8, 16)}),
    "mobilenet v3": (
        MobileNetV3(7, 0.5, hidden=16),
        1,
        32,
        {"block15": (1, 1, 80), "last": (1, 1, 480), "pooled": (16,)},
    ),
    "efficientnet": (
        EfficientNet(7, table=tiny_b0, stem=8, last=16),
        1,
        32,
        {"stage2_block2": (8, 8, 8), "pooled": (16,)},
    ),
    "lite0": (efficientnet_lite0(7, table=tiny_b0, stem=8, last=16, padding="same"), 1, 32, {"stem": (16, 16, 8)}),
    "vit": (ViT(**tiny_vit), 4, 16, {"patches": (17, 16), "block2": (17, 16), "tokens": (17, 16), "pooled": (16,)}),
    "vit map": (ViT(**tiny_vit, pool="attention"), 4, 16, {"tokens": (16, 16), "pooled": (16,)}),
    "deit": (ViT(**tiny_vit, distilled=True), 4, 8, {"tokens": (6, 16), "class": (7,), "distilled": (7,)}),
}


def shapes(model, *image, features=False):
    def both(key, x):
        variables = model.init(key, x, train=False)
        return model.apply(variables, x, train=False, features=features)

    return jax.eval_shape(both, jax.random.key(0), jax.ShapeDtypeStruct((2, *image), jnp.float32))


@pytest.mark.parametrize("name", FAMILIES)
def test_features_by_name(name):
    model, _, size, expected = FAMILIES[name]
    logits, seen = shapes(model, size, size, 3, features=True)
    assert logits.shape == (2, 7)
    assert {key: seen[key].shape[1:] for key in expected} == expected
    assert seen["pooled"].ndim == 2


@pytest.mark.parametrize("name", FAMILIES)
def test_smallest_image_and_channels(name):
    model, smallest, _, _ = FAMILIES[name]
    assert shapes(model, smallest, 3 * smallest, 5).shape == (2, 7)
    if smallest > 1:
        with pytest.raises(ValueError, match=f"{smallest}x{smallest}"):
            shapes(model, smallest - 1, smallest, 3)


@pytest.mark.parametrize(
    ("model", "size", "message"),
    [
        (ViT(**tiny_vit), 18, "multiples of 4"),
        (ViT(**tiny_vit, pool="mean"), 16, "pool='mean': take 'token', 'average' or 'attention'"),
        (ViT(**tiny_vit, positions="rotary"), 16, "positions='rotary': take 'learned' or 'sincos'"),
        (ViT(**tiny_vit, pool="average", distilled=True), 16, "distilled=True needs pool='token'"),
        (ViT(**(tiny_vit | {"heads": 3})), 16, "heads=3 does not divide width=16"),
        (InceptionV3(aux=True, share=0.1), 75, "images from 299x299 on"),
    ],
)
def test_errors(model, size, message):
    with pytest.raises(ValueError, match=message):
        shapes(model, size, size, 3)


@pytest.mark.parametrize(
    ("make", "value", "message"),
    [
        (vgg, 12, "depth=12: take one of 11, 13, 16, 19"),
        (cifar_resnet, 21, "depth=21: take 6n"),
        (lambda depth: wide_resnet(depth, 1), 29, "depth=29: take 6n"),
        (efficientnet, "b9", "size='b9': take one of b0"),
    ],
)
def test_unknown_sizes(make, value, message):
    with pytest.raises(ValueError, match=message):
        make(value)


# -- properties -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in FAMILIES if "alexnet" not in name])
def test_marks_its_blocks_for_recomputation(name):
    model, smallest, _, _ = FAMILIES[name]
    plain = shapes(model, smallest, smallest, 3, features=True)
    with recomputing() as asked:
        assert shapes(model, smallest, smallest, 3, features=True) == plain
    assert asked


RECOMPUTED = {
    "vit": ViT(**(tiny_vit | {"depth": 1}), rate=0.1),
    "resnet": ResNet((1,), width=8, classes=7),
    "vgg": VGG((1, 2), classes=7, width=4, hidden=8, grid=1, norm=BatchNorm, rate=0.1),
}


@pytest.mark.slow
@pytest.mark.parametrize("model", RECOMPUTED.values(), ids=RECOMPUTED)
def test_rematerialised_equals_plain(model):
    x = jax.random.normal(jax.random.key(1), (2, 8, 8, 3))
    variables = jax.jit(partial(model.init, train=False))(jax.random.key(0), x)
    # the head of a ViT starts at zero, behind which every gradient is zero
    variables = jax.tree.map(
        lambda a: a + 0.01 * jnp.cos(jnp.arange(a.size, dtype=a.dtype)).reshape(a.shape), variables
    )

    def grads(model):
        def loss(params):
            state = {**variables, "params": params}
            rngs = {"dropout": jax.random.key(2)}
            y, _ = model.apply(state, x, train=True, rngs=rngs, mutable=["batch_stats"])
            return jnp.square(y).sum()

        return jax.jit(jax.grad(loss))(variables["params"])

    plain, recomputed = grads(model), grads(model.clone(remat=True))
    assert float(jnp.abs(plain["head"]["kernel"]).max()) > 0
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), plain, recomputed)


def test_a_block_without_shortcut_is_its_body():
    """What the block with a shortcut adds to its (identity) shortcut, before the last activation."""
    x, identity = jax.random.normal(jax.random.key(1), (2, 4, 4, 8)), lambda x: x
    block = Residual(basic(8, 1), act=identity)
    variables = block.init(jax.random.key(0), x, train=False)
    plain = Residual(basic(8, 1), act=identity, shortcut=None)
    body = plain.apply(variables, x, train=False)
    np.testing.assert_allclose(body + x, block.apply(variables, x, train=False), atol=1e-6)
    shapes = jax.eval_shape(lambda: Residual(basic(16, 2), shortcut=None).init(jax.random.key(0), x, train=False))
    assert sorted(shapes["params"]) == ["conv1", "conv2", "norm1", "norm2"]


def test_zero_last_makes_the_block_the_identity():
    x = jax.nn.relu(jax.random.normal(jax.random.key(0), (2, 4, 4, 8)))
    block = Residual(basic(8, 1), zero_last=True)
    y, _ = jax.jit(partial(block.init_with_output, train=False))(jax.random.key(1), x)
    np.testing.assert_array_equal(y, x)


def test_zero_padding_keeps_every_second_pixel():
    x = jnp.arange(32.0).reshape(1, 4, 4, 2)
    y = ZeroPadding(6, 2).apply({}, x)
    np.testing.assert_array_equal(y[..., 2:4], x[:, ::2, ::2])
    assert float(jnp.abs(y[..., :2]).max()) == float(jnp.abs(y[..., 4:]).max()) == 0


def test_auxiliary_logits_cost_nothing_unless_asked():
    model = GoogLeNet(7, aux=True)

    def both(key, x):
        variables = model.init(key, x, train=False)
        assert {"aux1", "aux2"} <= set(variables["params"])
        return model.apply(variables, x, train=False), model.apply(variables, x, train=False, features=True)[1]["aux1"]

    plain, aux = jax.eval_shape(both, jax.random.key(0), jax.ShapeDtypeStruct((2, 32, 32, 3), jnp.float32))
    assert plain.shape == aux.shape == (2, 7)
    assert GoogLeNetPaper().rate == 0.4


def test_local_response_norm_by_hand():
    x = jnp.arange(1.0, 5.0).reshape(1, 1, 1, 4)
    y = local_response_norm(x, size=3, alpha=0.5, beta=1.0, k=1.0)
    expected = [1 / (1 + 0.5 * 5), 2 / (1 + 0.5 * 14), 3 / (1 + 0.5 * 29), 4 / (1 + 0.5 * 25)]
    np.testing.assert_allclose(y.ravel(), expected, rtol=1e-6)


def test_local_response_norm_against_pytorch():
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).normal(size=(2, 3, 3, 11)).astype(np.float32)
    expected = torch.nn.functional.local_response_norm(torch.tensor(x).permute(0, 3, 1, 2), 5, 1.5, 0.75, 2.0)
    y = local_response_norm(jnp.asarray(x), alpha=1.5 / 5)
    np.testing.assert_allclose(y, expected.permute(0, 2, 3, 1), rtol=1e-5)


# -- the ViT's positions ----------------------------------------------------------------------------------------------


def test_sincos_positions_by_hand():
    table = sincos_positions(2, 3, 8)
    assert table.shape == (6, 8)
    y, x = 1, 2  # the last patch; dim/4 = 2 frequencies: 1 and 1/10000
    expected = [
        np.sin(x),
        np.sin(x / 1e4),
        np.cos(x),
        np.cos(x / 1e4),
        np.sin(y),
        np.sin(y / 1e4),
        np.cos(y),
        np.cos(y / 1e4),
    ]
    np.testing.assert_allclose(table[5], expected, rtol=1e-6)
    with pytest.raises(ValueError, match="multiple of 4"):
        sincos_positions(2, 3, 10)


def test_resampled_positions_against_pytorch():
    torch = pytest.importorskip("torch")
    table = np.random.default_rng(0).normal(size=(14 * 14, 5)).astype(np.float32)
    for target in ((14, 14), (24, 18), (7, 20)):
        image = torch.tensor(table.reshape(1, 14, 14, 5)).permute(0, 3, 1, 2)
        expected = torch.nn.functional.interpolate(image, target, mode="bicubic", antialias=True)
        actual = resample_positions(jnp.asarray(table), (14, 14), target)
        np.testing.assert_allclose(actual, expected[0].permute(1, 2, 0).reshape(-1, 5), atol=2e-6)


def test_vit_runs_at_another_resolution():
    model = ViT(**tiny_vit)
    variables = jax.eval_shape(lambda key: model.init(key, jnp.zeros((1, 16, 16, 3)), train=False), jax.random.key(0))
    large = jax.ShapeDtypeStruct((2, 32, 20, 3), jnp.float32)
    assert jax.eval_shape(lambda v, x: model.apply(v, x, train=False), variables, large).shape == (2, 7)


def test_vit_attention_weights():
    model = ViT(**tiny_vit)
    x = jnp.ones((1, 16, 16, 3))
    variables = jax.jit(partial(model.init, train=False))(jax.random.key(0), x)
    assert set(variables) == {"params"}
    _, state = model.apply(variables, x, train=False, mutable=["intermediates"])
    (weights,) = state["intermediates"]["block1"]["attention"]["weights"]
    np.testing.assert_allclose(weights.sum(-1), np.ones((1, 2, 17)), rtol=1e-5)
