"""The rows of test_full_size.py: the catalog's models and the references that they must equal."""

from functools import partial
from importlib import import_module

from jaxdl.layers.normalization import BatchNorm, LayerNorm
from jaxdl.models.efficientnet import B0
from jaxdl.models.inception import V1
from jaxdl.models.mobilenet import V2, V3_LARGE
from jaxdl.models.resnet import bottleneck
from jaxdl.models.vision import divisible

oracles = import_module("tests.pretrained.oracles")
inceptions = import_module("tests.pretrained.oracles_inception")
mobile = import_module("tests.pretrained.oracles_mobile")

tf = {"padding": "same", "norm": partial(BatchNorm, eps=1e-3)}
hf_norm = partial(LayerNorm, eps=1e-12)
rows = [(*row[:4], row.act.__name__, row.strides) for row in V3_LARGE]
hugging = partial(import_module("tests.pretrained.oracles_cases").hugging, labels=1000)
b0 = {"width_coefficient": 1.0, "depth_coefficient": 1.0, "hidden_dim": 1280, "image_size": 224}

# name in the catalog, options, the reference
CASES = {
    "alexnet": ("alexnet", {}, lambda: oracles.AlexNet(4096, 1000)),
    "vgg16": ("vgg16", {}, lambda: oracles.VGG((2, 2, 3, 3, 3), 64, 4096, 1000, False)),
    "resnet50": ("resnet50", {}, lambda: oracles.ResNet((3, 4, 6, 3), bottleneck, 64, 1000)),
    "resnet50 hf": ("resnet50", {}, lambda: hugging("ResNet")),
    "resnetv2_50": ("resnetv2_50", {}, lambda: oracles.ResNetV2((3, 4, 6, 3), bottleneck, 64, 1000)),
    "googlenet aux": ("googlenet", {"aux": True}, lambda: inceptions.GoogLeNet(V1, (64, 64, 192), 1000, (128, 1024))),
    "inception_v3": ("inception_v3", {}, lambda: inceptions.Inception3(1.0, 1000)),
    "mobilenet_v1 hf": ("mobilenet_v1", tf, lambda: hugging("MobileNetV1")),
    "mobilenet_v2": ("mobilenet_v2", {}, lambda: mobile.MobileNetV2(V2, 32, 1280, 1000)),
    "mobilenet_v2 hf": ("mobilenet_v2", tf, lambda: hugging("MobileNetV2")),
    "mobilenet_v3_large": (
        "mobilenet_v3_large",
        {},
        lambda: mobile.MobileNetV3(rows, 16, 1280, 1000, divisible),
    ),
    "efficientnet_b0": ("efficientnet_b0", {}, lambda: mobile.EfficientNet(B0, 32, 1280, 1000)),
    "efficientnet_b0 timm": ("efficientnet_b0", {}, lambda: mobile.TimmEfficientNet(B0, 32, 1280, 1000)),
    "efficientnet_b0 hf": ("efficientnet_b0", tf, lambda: hugging("EfficientNet", **b0)),
    "vit_b_16": ("vit_b_16", {}, lambda: mobile.ViT(16, 768, 12, 12, 3072, 224, 1000)),
    "vit_b_16 hf": ("vit_b_16", {"norm": hf_norm}, lambda: hugging("ViT")),
    "deit_b hf": ("deit_b_16_distilled", {"norm": hf_norm}, lambda: hugging("DeiT")),
}
