"""Names of every family: one tensor per leaf, round trips, and errors that list what does not fit."""

from functools import partial

import jax
import numpy as np
import pytest

from jaxdl.layers.normalization import BatchNorm
from jaxdl.models.alexnet import AlexNet
from jaxdl.models.catalog import MODELS
from jaxdl.models.cnn import CNN
from jaxdl.models.efficientnet import EfficientNet
from jaxdl.models.inception import GoogLeNet
from jaxdl.models.inception_v3 import InceptionV3
from jaxdl.models.mobilenet import V3_SMALL, MobileNetV1, MobileNetV2, MobileNetV3
from jaxdl.models.resnet import (
    Projection,
    ResNet,
    bottleneck,
    cifar_resnet,
    deep_stem,
    resnet,
    squeeze_sixteenth,
    wide_resnet,
)
from jaxdl.models.vgg import VGG, vgg
from jaxdl.models.vit import ViT, resample_positions
from jaxdl.pretrained.folder import image_of, load_weights, names_of, save_torch, shapes_of
from jaxdl.pretrained.mapping import leaves_by_path, place_of_leaf, to_tensors, variables_of
from jaxdl.types import UserError
from tests.programs import one_program

tiny_vit = {"patch": 4, "width": 8, "depth": 1, "heads": 2, "image": 12, "classes": 3}
b_table = ((1, 3, 1, 8, 1), (6, 3, 2, 8, 2))
FAMILIES = {
    "alexnet": AlexNet(3, hidden=4),
    "vgg": VGG((1, 1), 3, 4, 4),
    "vgg bn": VGG((1, 2), 3, 4, 4, norm=BatchNorm),
    "resnet": ResNet((1, 2), width=8, classes=3),
    "resnet d": ResNet((1, 1), bottleneck, 8, 3, deep_stem, partial(Projection, average=True), squeeze_sixteenth),
    "resnet v2": ResNet((1, 1), bottleneck, 8, 3, preactivation=True),
    "cifar": cifar_resnet(8, classes=3),
    "wide": wide_resnet(10, 1, classes=3),
    "googlenet": GoogLeNet(3, aux=True),
    "inception v3": InceptionV3(3, share=0.05, aux=True),
    "mobilenet v1": MobileNetV1(3, 0.25),
    "mobilenet v2": MobileNetV2(3, 0.25),
    "mobilenet v3": MobileNetV3(3, 0.5, V3_SMALL, hidden=8),
    "efficientnet": EfficientNet(3, table=b_table, stem=8, last=16),
    "vit": ViT(**tiny_vit),
    "deit": ViT(**tiny_vit, distilled=True, scale=0.1),
}
# namings that say nothing of a family's option; every other one must name each leaf
PARTIAL = {
    "resnet d": {"huggingface", "kuangliu"},  # no deep stem, no squeeze there
    "resnet v2": {"xternalz"},  # a head that is no convolution: fits as well, but timm is meant
    "deit": {"torchvision", "huggingface vit", "huggingface vit 5", "huggingface deit", "huggingface deit 5"},
}
TIER = dict.fromkeys(
    (
        "vgg",
        "resnet d",
        "resnet v2",
        "cifar",
        "wide",
        "mobilenet v1",
        "mobilenet v2",
        "mobilenet v3",
        "efficientnet",
        "deit",
    ),
    pytest.mark.slow,
)
TIER |= dict.fromkeys(("googlenet", "inception v3"), pytest.mark.night)
SIZES = {"inception v3": (299, 299, 3), "googlenet": (64, 64, 3)}


def filled(model, image):
    """Variables whose numbers all differ."""
    shapes = shapes_of(model, image)
    random = np.random.default_rng(0)
    return jax.tree.map(lambda s: random.normal(size=s.shape).astype(np.float32), shapes)


@pytest.mark.parametrize("family", [pytest.param(n, marks=[TIER[n]] if n in TIER else []) for n in FAMILIES])
def test_round_trip_in_every_naming(family):
    model = FAMILIES[family]
    image = SIZES.get(family, (32, 32, 3) if family != "alexnet" else (63, 63, 3))
    image = image_of(model) if isinstance(model, ViT) else image
    variables = filled(model, image)
    names = names_of(model, variables)
    complete = {name for name in names if name.removesuffix(", bare") not in PARTIAL.get(family, set())}
    assert complete
    for naming in complete:
        tensors = to_tensors(variables, names[naming])
        counted = [name for name in tensors if not name.endswith("num_batches_tracked")]
        merged = sum(place.part is not None for place in _places(names[naming], variables))
        assert len(counted) == len(leaves_by_path(variables)) - merged * 2 // 3  # no two leaves share a name
        back = variables_of(shapes_of(model, image), tensors, names, naming=naming)
        assert back.naming == naming
        jax.tree.map(np.testing.assert_array_equal, dict(back.variables), dict(variables))


def _places(rules, variables):
    return [place_of_leaf(rules, path, np.ndim(leaf)) for (_, path), leaf in leaves_by_path(variables).items()]


# names and shapes that the published files have
PUBLISHED = {
    "alexnet": ("torchvision", {"features.10.weight": (256, 256, 3, 3), "classifier.1.weight": (4096, 9216)}),
    "vgg16_bn": ("torchvision", {"features.41.running_var": (512,), "classifier.0.weight": (4096, 25088)}),
    "resnet50": (
        "torchvision",
        {"conv1.weight": (64, 3, 7, 7), "layer4.2.conv3.weight": (2048, 512, 1, 1), "fc.weight": (1000, 2048)},
    ),
    "resnet50d": ("torchvision", {"conv1.6.weight": (64, 32, 3, 3), "layer2.0.downsample.1.weight": (512, 256, 1, 1)}),
    "seresnet50": ("torchvision", {"layer4.2.se.fc1.weight": (128, 2048, 1, 1)}),
    "resnetv2_50": (
        "timm",
        {"stages.3.blocks.2.conv3.weight": (2048, 512, 1, 1), "head.fc.weight": (1000, 2048, 1, 1)},
    ),
    "googlenet": ("torchvision", {"inception5b.branch3.1.conv.weight": (128, 48, 3, 3)}),
    "inception_v3": (
        "torchvision",
        {"Mixed_6e.branch7x7dbl_5.conv.weight": (192, 192, 1, 7), "Mixed_7c.branch3x3_2b.bn.bias": (384,)},
    ),
    "mobilenet_v1": ("timm", {"blocks.3.5.conv_pw.weight": (512, 512, 1, 1), "classifier.weight": (1000, 1024)}),
    "mobilenet_v2": (
        "torchvision",
        {"features.1.conv.1.weight": (16, 32, 1, 1), "features.18.0.weight": (1280, 320, 1, 1)},
    ),
    "mobilenet_v3_large": (
        "torchvision",
        {"features.4.block.2.fc1.weight": (24, 72, 1, 1), "features.16.0.weight": (960, 160, 1, 1)},
    ),
    "mobilenet_v3_small": ("timm", {"blocks.5.0.conv.weight": (576, 96, 1, 1), "conv_head.weight": (1024, 576, 1, 1)}),
    "efficientnet_b0": (
        "torchvision",
        {"features.7.0.block.2.fc1.weight": (48, 1152, 1, 1), "features.8.0.weight": (1280, 320, 1, 1)},
    ),
    "vit_b_16": (
        "torchvision",
        {
            "encoder.pos_embedding": (1, 197, 768),
            "encoder.layers.encoder_layer_11.self_attention.in_proj_weight": (2304, 768),
            "encoder.layers.encoder_layer_0.mlp.3.bias": (768,),
        },
    ),
    "deit_ti_16_distilled": ("timm", {"dist_token": (1, 1, 192), "blocks.0.attn.qkv.bias": (576,)}),
}


QUICK_PUBLISHED = {"alexnet", "resnet50", "vit_b_16"}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * (n not in QUICK_PUBLISHED)) for n in PUBLISHED]
)
def test_published_names_and_shapes(name):
    naming, expected = PUBLISHED[name]
    model = MODELS[name].build()
    shapes = shapes_of(model)
    zeros = jax.tree.map(lambda s: np.broadcast_to(np.zeros((), np.float32), s.shape), shapes)
    tensors = to_tensors(zeros, names_of(model, shapes)[naming])
    assert {key: tensors[key].shape for key in expected} == expected


# -- what does not fit ------------------------------------------------------------------------------------------------


@pytest.fixture
def case():
    model = FAMILIES["resnet"]
    shapes = shapes_of(model, (32, 32, 3))
    names = names_of(model, shapes)
    return shapes, names, to_tensors(filled(model, (32, 32, 3)), names["torchvision"])


def test_every_problem_is_listed(case):
    shapes, names, tensors = case
    del tensors["bn1.bias"]
    tensors["layer9.conv.weight"] = np.zeros(3, np.float32)
    tensors["fc.weight"] = np.zeros((10, 16), np.float32)
    with pytest.raises(UserError) as caught:
        variables_of(shapes, tensors, names)
    for part in (
        "missing: bn1.bias;",
        "unexpected: layer9.conv.weight;",
        "wrong shape: fc.weight (10, 16) for head/kernel (16, 3)",
    ):
        assert part in str(caught.value)


def test_prefixes_ignored_tensors_and_fresh_heads(case):
    shapes, names, tensors = case
    wrapped = {f"module.{name}": array for name, array in tensors.items()}
    assert set(leaves_by_path(variables_of(shapes, wrapped, names).variables)) == set(leaves_by_path(shapes))
    other = {**tensors, "fc.weight": np.zeros((1000, 16), np.float32), "fc.bias": np.zeros(1000, np.float32)}
    loaded = variables_of(shapes, other, names, fresh=("head/.*",))
    assert {path for _, path in leaves_by_path(shapes)} - {path for _, path in leaves_by_path(loaded.variables)} == {
        "head/kernel",
        "head/bias",
    }
    more = {**tensors, "aux.weight": np.zeros(1, np.float32)}
    assert variables_of(shapes, more, names, ignore=("aux.*",)).naming == "torchvision"


def test_foreign_weights(case):
    shapes, names, _ = case
    with pytest.raises(UserError, match=r"torchvision, huggingface.*encoder\.weight"):
        variables_of(shapes, {"encoder.weight": np.zeros(1, np.float32)}, names)
    with pytest.raises(UserError, match=r"'keras'.*torchvision"):
        variables_of(shapes, {}, names, naming="keras")
    with pytest.raises(UserError, match="CNN"):
        names_of(CNN(classes=3), {})


def test_half_precision_becomes_single(case):
    shapes, names, tensors = case
    loaded = variables_of(shapes, {name: a.astype(np.float16) for name, a in tensors.items()}, names)
    assert {leaf.dtype for leaf in leaves_by_path(loaded.variables).values()} == {np.dtype(np.float32)}


FROM_FILE = pytest.mark.programs(30, "each array of a file is put on the device by itself")

# -- files ------------------------------------------------------------------------------------------------------------


@FROM_FILE
def test_load_with_a_new_head(tmp_path):
    model = resnet(18, stages=(1, 1), width=8, classes=7)
    variables = filled(model, (32, 32, 3))
    save_torch(model, variables, tmp_path / "w.safetensors", naming="torchvision", image=(32, 32, 3))
    ten = model.clone(classes=10)
    with pytest.raises(UserError, match=r"fc\.bias \(7,\) for head/bias \(10,\)"):
        load_weights(ten, tmp_path / "w.safetensors", image=(32, 32, 3))
    loaded = load_weights(ten, tmp_path / "w.safetensors", image=(32, 32, 3), fresh=("head/.*",), key=jax.random.key(1))
    head = loaded.variables["params"]["head"]["kernel"]
    assert head.shape == (16, 10)
    assert 0 < np.abs(head).max() <= 1 / 4  # U(±1/√16)
    np.testing.assert_array_equal(
        loaded.variables["params"]["stem"]["conv1"]["kernel"], variables["params"]["stem"]["conv1"]["kernel"]
    )


@FROM_FILE
def test_positions_of_another_resolution(tmp_path):
    small, large = ViT(**tiny_vit), ViT(**(tiny_vit | {"image": 20}))
    variables = filled(small, (12, 12, 3))
    save_torch(small, variables, tmp_path / "w.safetensors", naming="timm")
    table, before = (
        v["params"]["positions"] for v in (load_weights(large, tmp_path / "w.safetensors").variables, variables)
    )
    np.testing.assert_array_equal(table[0], before[0])
    resampled = one_program(lambda table: resample_positions(table, (3, 3), (5, 5)), before[1:])
    np.testing.assert_allclose(table[1:], resampled, rtol=1e-6)


def test_vgg_of_the_catalog_has_both_namings():
    model = vgg(11, width=4, hidden=4, classes=3)
    assert set(names_of(model, shapes_of(model, (32, 32, 3)))) == {"torchvision", "timm"}
