"""Full-size networks: random PyTorch weights imported, equal logits on one image."""

from functools import partial
from importlib import import_module

import jax
import numpy as np
import pytest

from jaxdl.layers.normalization import BatchNorm, LayerNorm
from jaxdl.models.catalog import MODELS
from jaxdl.models.efficientnet import B0
from jaxdl.models.inception import V1
from jaxdl.models.mobilenet import V2, V3_LARGE
from jaxdl.models.resnet import bottleneck
from jaxdl.models.vision import divisible
from jaxdl.pretrained.folder import names_of, shapes_of
from jaxdl.pretrained.mapping import variables_of

torch = pytest.importorskip("torch")
oracles = import_module("tests.pretrained.oracles")
inceptions = import_module("tests.pretrained.oracles_inception")
mobile = import_module("tests.pretrained.oracles_mobile")
parity = import_module("tests.pretrained.test_parity")

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


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_equal_logits(case):
    name, options, make = CASES[case]
    model, reference = MODELS[name].build(**options), make().eval()
    parity.randomise(reference, 0)
    x = np.random.default_rng(1).normal(size=(1, *MODELS[name].input)).astype(np.float32)
    shapes = shapes_of(model)
    variables = variables_of(shapes, parity.numpy_of(reference), names_of(model, shapes)).variables
    with torch.no_grad():
        expected = parity.logits_of(reference, torch.tensor(x).permute(0, 3, 1, 2)).numpy()
    actual = jax.jit(partial(model.apply, train=False))(variables, x)
    parity.close(actual, expected, 1e-5, case)


@pytest.mark.slow
def test_auxiliary_logits_of_googlenet():
    model, reference = MODELS["googlenet"].build(aux=True), CASES["googlenet aux"][2]().eval()
    parity.randomise(reference, 0)
    x = np.random.default_rng(1).normal(size=(1, 224, 224, 3)).astype(np.float32)
    shapes = shapes_of(model)
    variables = variables_of(shapes, parity.numpy_of(reference), names_of(model, shapes)).variables
    with torch.no_grad():
        expected = reference(torch.tensor(x).permute(0, 3, 1, 2), every=True)
    logits, seen = jax.jit(partial(model.apply, train=False, features=True))(variables, x)
    for actual, wanted in zip((logits, seen["aux1"], seen["aux2"]), expected, strict=True):
        parity.close(actual, wanted.numpy(), 1e-5, "googlenet")
