"""The pairs of test_parity.py: our network, the reference it must equal, the size of images, the naming to be found."""

from functools import partial
from importlib import import_module

import pytest

from jaxdl.layers.normalization import BatchNorm, LayerNorm
from jaxdl.models.alexnet import AlexNet, AlexNet2012
from jaxdl.models.efficientnet import EfficientNet
from jaxdl.models.inception import GoogLeNet, Widths
from jaxdl.models.inception_v3 import InceptionV3
from jaxdl.models.mobilenet import MobileNetV1, MobileNetV2, MobileNetV3, Row, hard_swish, relu
from jaxdl.models.resnet import (
    Projection,
    ResNet,
    basic,
    bottleneck,
    deep_stem,
    squeeze_sixteenth,
    thin_stem,
)
from jaxdl.models.vgg import VGG
from jaxdl.models.vision import divisible
from jaxdl.models.vit import ViT

oracles = import_module("tests.pretrained.oracles")
inceptions = import_module("tests.pretrained.oracles_inception")
mobile = import_module("tests.pretrained.oracles_mobile")

CLASSES = 5


def hugging(kind, labels=CLASSES, **config):
    """A Hugging Face model of a small configuration, random weights."""
    transformers = pytest.importorskip("transformers")
    config = getattr(transformers, f"{kind}Config")(num_labels=labels, **config)
    suffix = "ForImageClassificationWithTeacher" if kind == "DeiT" else "ForImageClassification"
    return getattr(transformers, f"{kind}{suffix}")(config)


table = {n: Widths(4, 3, 6, 2, 4, 4) for n in ("3a", "3b", "4a", "4d", "4e", "5a")}
v2_table, rows = (
    ((1, 8, 1, 1), (6, 8, 2, 2), (4, 16, 1, 1)),
    (
        Row(3, 8, 8, True, relu, 1),
        Row(5, 24, 16, False, relu, 2),
        Row(3, 40, 16, True, hard_swish, 1),
    ),
)
b_table = ((1, 3, 1, 8, 1), (6, 3, 2, 8, 2), (6, 5, 2, 16, 1))
grouped = partial(bottleneck, groups=2, base=32)
tiny_vit = {
    "patch": 4,
    "width": 16,
    "depth": 2,
    "heads": 2,
    "hidden": 24,
    "image": 12,
    "classes": CLASSES,
    "pool": "token",
}
hf_vit = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "image_size": 12,
}
hf_vit |= {"patch_size": 4, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


def tf_norm(momentum):
    """Hugging Face's ports give PyTorch TensorFlow's momentum, which there is the part that is replaced."""
    return partial(BatchNorm, eps=1e-3, momentum=1 - momentum)


CASES = {
    "alexnet": (AlexNet(CLASSES, hidden=8, rate=0.0), lambda: oracles.AlexNet(8, CLASSES), 63, "torchvision"),
    "alexnet 2012": (AlexNet2012(CLASSES, hidden=8, rate=0.0), lambda: oracles.AlexNet2012(8, CLASSES), 63, "caffe"),
    "vgg": (
        VGG((1, 2, 1), CLASSES, 4, 8, rate=0.0),
        lambda: oracles.VGG((1, 2, 1), 4, 8, CLASSES, False),
        24,
        "torchvision",
    ),
    "vgg bn": (
        VGG((1, 2), CLASSES, 4, 8, rate=0.0, norm=BatchNorm),
        lambda: oracles.VGG((1, 2), 4, 8, CLASSES, True),
        16,
        "torchvision",
    ),
    "resnet basic": (
        ResNet((1, 2), basic, 8, CLASSES),
        lambda: oracles.ResNet((1, 2), basic, 8, CLASSES),
        24,
        "torchvision",
    ),
    "resnext": (
        ResNet((1, 1), grouped, 8, CLASSES),
        lambda: oracles.ResNet((1, 1), grouped, 8, CLASSES),
        24,
        "torchvision",
    ),
    "resnet d se": (
        ResNet((1, 1), bottleneck, 8, CLASSES, deep_stem, partial(Projection, average=True), squeeze_sixteenth),
        lambda: oracles.ResNet((1, 1), bottleneck, 8, CLASSES, True, True, lambda c: divisible(c / 16)),
        28,
        "torchvision",
    ),
    "resnet cifar": (
        ResNet((1, 1), basic, 16, CLASSES, thin_stem),
        lambda: oracles.ResNet((1, 1), basic, 16, CLASSES, small=16),
        12,
        "kuangliu",
    ),
    "resnet v2": (
        ResNet((1, 1), bottleneck, 8, CLASSES, preactivation=True),
        lambda: oracles.ResNetV2((1, 1), bottleneck, 8, CLASSES),
        24,
        "timm",
    ),
    "resnet hf": (
        ResNet((1, 2), bottleneck, 8, CLASSES),
        lambda: hugging("ResNet", embedding_size=64, hidden_sizes=[32, 64], depths=[1, 2], layer_type="bottleneck"),
        24,
        "huggingface",
    ),
    "googlenet": (
        GoogLeNet(CLASSES, tuple(table.items()), (8, 8, 12), rate=0.0),
        lambda: inceptions.GoogLeNet(table, (8, 8, 12), CLASSES),
        48,
        "torchvision",
    ),
    "inception v3": (
        InceptionV3(CLASSES, share=0.05, rate=0.0),
        lambda: inceptions.Inception3(0.05, CLASSES),
        107,
        "torchvision",
    ),
    "mobilenet v1": (
        MobileNetV1(CLASSES, table=((8, 1), (16, 2), (16, 1)), stem=8),
        lambda: mobile.MobileNetV1([[(8, 1)], [(16, 2), (16, 1)]], 8, CLASSES),
        16,
        "timm",
    ),
    "mobilenet v1 hf": (
        MobileNetV1(CLASSES, 0.25, padding="same", norm=tf_norm(0.9997)),
        lambda: hugging("MobileNetV1", depth_multiplier=0.25, classifier_dropout_prob=0.0),
        64,
        "huggingface",
    ),
    "mobilenet v2": (
        MobileNetV2(CLASSES, table=v2_table, stem=8, last=16, rate=0.0),
        lambda: mobile.MobileNetV2(v2_table, 8, 16, CLASSES),
        16,
        "torchvision",
    ),
    "mobilenet v2 hf": (
        MobileNetV2(CLASSES, 0.35, rate=0.0, padding="same", norm=tf_norm(0.997)),
        lambda: hugging("MobileNetV2", depth_multiplier=0.35, classifier_dropout_prob=0.0),
        64,
        "huggingface",
    ),
    "mobilenet v3": (
        MobileNetV3(CLASSES, rows=rows, stem=8, hidden=12, rate=0.0),
        lambda: mobile.MobileNetV3(
            [(*row[:4], row.act.__name__, row.strides) for row in rows], 8, 12, CLASSES, divisible
        ),
        16,
        "torchvision",
    ),
    "efficientnet": (
        EfficientNet(CLASSES, table=b_table, stem=8, last=16, rate=0.0, drop_path=0.0),
        lambda: mobile.EfficientNet(b_table, 8, 16, CLASSES),
        16,
        "torchvision",
    ),
    "efficientnet timm": (
        EfficientNet(CLASSES, table=b_table, stem=8, last=16, rate=0.0, drop_path=0.0),
        lambda: mobile.TimmEfficientNet(b_table, 8, 16, CLASSES),
        16,
        "timm",
    ),
    "efficientnet hf": (
        EfficientNet(
            CLASSES,
            0.5,
            0.3,
            rate=0.0,
            drop_path=0.0,
            padding="same",
            norm=tf_norm(0.99),
        ),
        lambda: hugging(
            "EfficientNet",
            width_coefficient=0.5,
            depth_coefficient=0.3,
            hidden_dim=640,
            dropout_rate=0.0,
            drop_connect_rate=0.0,
        ),
        64,
        "huggingface",
    ),
    "vit": (ViT(**tiny_vit), lambda: mobile.ViT(4, 16, 2, 2, 24, 12, CLASSES), 12, "torchvision"),
    "vit map": (
        ViT(**(tiny_vit | {"pool": "attention"})),
        lambda: mobile.TimmViTMap(4, 16, 2, 2, 24, 12, CLASSES),
        12,
        "timm",
    ),
    "vit hf": (
        ViT(**tiny_vit, norm=partial(LayerNorm, eps=1e-12)),
        lambda: hugging("ViT", **hf_vit),
        12,
        "huggingface vit 5",
    ),
    "deit hf": (
        ViT(**tiny_vit, distilled=True, norm=partial(LayerNorm, eps=1e-12)),
        lambda: hugging("DeiT", **hf_vit),
        12,
        "huggingface deit 5",
    ),
}
