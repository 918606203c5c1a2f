"""What all vision families promise: features by name, any image that fits, clear errors, the source's initialisation."""

from functools import partial

import chex
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
from jaxdl.models.vit import ViT
from jaxdl.tracing import recomputing
from jaxdl.types import UserError
from tests.programs import one_program
from tests.tables import rows

KEY = jax.random.key(0)

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


DEEP = {"googlenet", "inception v3", "mobilenet v1", "mobilenet v3", "resnet se"}
SOME = ("alexnet", "vgg", "resnet", "mobilenet v2", "vit")
TOO_SMALL = [name for name, row in FAMILIES.items() if row[1] > 1]


def shapes(model, *image, features=False):
    run = lambda key, x: model.init_with_output(key, x, train=False, features=features)[0]
    return jax.eval_shape(run, KEY, jax.ShapeDtypeStruct((2, *image), np.float32))


@rows(FAMILIES, default=set(FAMILIES) - DEEP)
def test_features_by_name(row):
    model, _, size, expected = row
    logits, seen = shapes(model, size, size, 3, features=True)
    assert logits.shape == (2, 7)
    assert {key: seen[key].shape[1:] for key in expected} == expected
    assert seen["pooled"].ndim == 2


@rows(FAMILIES, default=SOME)
def test_smallest_image_and_channels(row):
    model, smallest, _, _ = row
    assert shapes(model, smallest, 3 * smallest, 5).shape == (2, 7)


@rows({name: FAMILIES[name] for name in TOO_SMALL}, default=[name for name in SOME if name in TOO_SMALL])
def test_an_image_that_is_too_small_is_refused(row):
    model, smallest, _, _ = row
    with pytest.raises(UserError, match=f"{smallest}x{smallest}"):
        shapes(model, smallest - 1, smallest, 3)


@pytest.mark.parametrize(
    ("model", "size", "message"),
    [
        (ViT(**tiny_vit), 18, "multiples of 4"),
        (ViT(**tiny_vit, pool="mean"), 16, "pool='mean'.*'token', 'average' or 'attention'"),
        (ViT(**tiny_vit, positions="rotary"), 16, "positions='rotary'.*'learned' or 'sincos'"),
        (ViT(**tiny_vit, pool="average", distilled=True), 16, "distilled=True.*'token'"),
        (ViT(**(tiny_vit | {"heads": 3})), 16, "heads = 3.*width = 16"),
        (InceptionV3(aux=True, share=0.1), 75, "aux=True.*3x3.*299x299"),
    ],
)
def test_errors(model, size, message):
    with pytest.raises(UserError, match=message):
        shapes(model, size, size, 3)


@pytest.mark.parametrize(
    ("make", "value", "message"),
    [
        (vgg, 12, "depth=12.*11, 13, 16, 19"),
        (cifar_resnet, 21, "depth=21.*6n"),
        (lambda depth: wide_resnet(depth, 1), 29, "depth=29.*6n"),
        (efficientnet, "b9", "size='b9'.*b0"),
    ],
)
def test_unknown_sizes(make, value, message):
    with pytest.raises(UserError, match=message):
        make(value)


# -- properties -------------------------------------------------------------------------------------------------------


@rows({name: row for name, row in FAMILIES.items() if "alexnet" not in name}, default=set(SOME) - {"alexnet"})
def test_marks_its_blocks_for_recomputation(row):
    model, smallest, _, _ = row
    plain = shapes(model, smallest, smallest, 3, features=True)
    with recomputing() as asked:
        assert shapes(model, smallest, smallest, 3, features=True) == plain
    assert asked


RECOMPUTED = {
    "vit": ViT(**(tiny_vit | {"depth": 1}), rate=0.1),
    "resnet": ResNet((1,), width=8, classes=7),
    "vgg": VGG((1, 2), classes=7, width=4, hidden=8, grid=1, norm=BatchNorm, rate=0.1),
}


@rows(RECOMPUTED, default=["resnet"], name="model")
def test_rematerialised_equals_plain(model):
    x = np.random.default_rng(1).normal(size=(2, 8, 8, 3)).astype(np.float32)
    variables = filled(model, x)

    def grads(model, variables, x):
        def loss(params):
            state = {**variables, "params": params}
            y, _ = model.apply(state, x, train=True, rngs={"dropout": KEY}, mutable=["batch_stats"])
            return jnp.square(y).sum()

        return jax.grad(loss)(variables["params"])

    both = lambda variables, x: [grads(m, variables, x) for m in (model, model.clone(remat=True))]
    plain, recomputed = one_program(both, variables, x)
    assert np.abs(plain["head"]["kernel"]).max() > 0
    chex.assert_trees_all_close(plain, recomputed, rtol=1e-4, atol=1e-5)


def filled(model, x):
    """Random parameters; scales and deviations about 1."""
    shapes = jax.eval_shape(lambda: model.init(KEY, x, train=False))
    random = np.random.default_rng(0)
    centre = lambda path: path[-1].key in ("scale", "var")
    draw = lambda path, a: (centre(path) + random.uniform(-0.2, 0.2, a.shape)).astype(a.dtype)
    return jax.tree_util.tree_map_with_path(draw, shapes)


def test_a_block_without_shortcut_is_its_body():
    """What the block with a shortcut adds to its (identity) shortcut, before the last activation."""
    x, identity = np.random.default_rng(1).normal(size=(2, 4, 4, 8)).astype(np.float32), lambda x: x
    block = Residual(basic(8, 1), act=identity)
    plain = Residual(basic(8, 1), act=identity, shortcut=None)
    run = lambda variables, x: [module.apply(variables, x, train=False) for module in (plain, block)]
    body, whole = one_program(run, filled(block, x), x)
    np.testing.assert_allclose(body + x, whole, atol=1e-6)
    shapes = jax.eval_shape(lambda: Residual(basic(16, 2), shortcut=None).init(KEY, x, train=False))
    assert sorted(shapes["params"]) == ["conv1", "conv2", "norm1", "norm2"]


def test_zero_last_makes_the_block_the_identity():
    x = np.random.default_rng(0).normal(size=(2, 4, 4, 8)).astype(np.float32).clip(0)
    block = Residual(basic(8, 1), zero_last=True)
    y, _ = one_program(partial(block.init_with_output, train=False), KEY, x)
    np.testing.assert_array_equal(y, x)


def test_zero_padding_keeps_every_second_pixel():
    x = np.arange(32, dtype=np.float32).reshape(1, 4, 4, 2)
    y = one_program(lambda x: ZeroPadding(6, 2).apply({}, x), x)
    np.testing.assert_array_equal(y[..., 2:4], x[:, ::2, ::2])
    assert np.abs(y[..., :2]).max() == np.abs(y[..., 4:]).max() == 0


@pytest.mark.slow
def test_auxiliary_logits_cost_nothing_unless_asked():
    model = GoogLeNet(7, aux=True)

    def both(key, x):
        variables = model.init(key, x, train=False)
        assert {"aux1", "aux2"} <= set(variables["params"])
        return model.apply(variables, x, train=False), model.apply(variables, x, train=False, features=True)[1]["aux1"]

    plain, aux = jax.eval_shape(both, KEY, jax.ShapeDtypeStruct((2, 32, 32, 3), jnp.float32))
    assert plain.shape == aux.shape == (2, 7)
    assert GoogLeNetPaper().rate == 0.4


def test_local_response_norm_by_hand():
    x = np.arange(1, 5, dtype=np.float32).reshape(1, 1, 1, 4)
    y = one_program(partial(local_response_norm, size=3, alpha=0.5, beta=1.0, k=1.0), x)
    expected = [1 / (1 + 0.5 * 5), 2 / (1 + 0.5 * 14), 3 / (1 + 0.5 * 29), 4 / (1 + 0.5 * 25)]
    np.testing.assert_allclose(y.ravel(), expected, rtol=1e-6)


def test_local_response_norm_against_pytorch(oracle):
    x = np.random.default_rng(0).normal(size=(2, 3, 3, 11)).astype(np.float32)

    @oracle
    def theirs(torch):
        y = torch.nn.functional.local_response_norm(torch.tensor(x).permute(0, 3, 1, 2), 5, 1.5, 0.75, 2.0)
        return {"y": y.permute(0, 2, 3, 1)}

    y = one_program(partial(local_response_norm, alpha=1.5 / 5), x)
    np.testing.assert_allclose(y, theirs["y"], rtol=1e-5)
