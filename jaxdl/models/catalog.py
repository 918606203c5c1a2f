"""Catalog of the named models: how to build each one, its input and its source.

    model = MODELS["resnet50"].build(classes=10)

Names are torchvision's; timm's for models that torchvision does not have.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import flax.linen as nn

from jaxdl.layers.normalization import BatchNorm
from jaxdl.models.alexnet import AlexNet, AlexNet2012
from jaxdl.models.efficientnet import SIZES, efficientnet, efficientnet_lite0
from jaxdl.models.inception import GoogLeNet, GoogLeNetPaper
from jaxdl.models.inception_v3 import InceptionV3
from jaxdl.models.iresnet import SIZES as FACES
from jaxdl.models.iresnet import iresnet
from jaxdl.models.mobilenet import (
    V3_LARGE,
    V3_SMALL,
    MobileNetV1,
    MobileNetV2,
    MobileNetV3,
    minimal,
    mobilenet_v3_large,
    mobilenet_v3_small,
)
from jaxdl.models.resnet import (
    cifar_resnet,
    cifar_stem,
    resnet,
    resnet_d,
    resnext50_32x4d,
    squeeze_sixteenth,
    wide_resnet,
    wide_resnet50_2,
)
from jaxdl.models.transformer_catalog import LANGUAGE
from jaxdl.models.vgg import vgg
from jaxdl.models.vit import vit
from jaxdl.types import UserError


@dataclass(frozen=True)
class Entry:
    """One model: `build(classes=..., **options)` makes it; `input` is (height, width, channels), or (time,) for tokens."""

    build: Callable[..., nn.Module]
    input: tuple[int, ...]
    source: str
    sequences: int = 0
    """Number of token arrays that the model reads; 0 for models of images."""

    def configured(self, *, eps: float | None = None, **options: Any) -> nn.Module:
        """Build the model from options that JSON can hold; `eps` is that of all its norms."""
        model = self.build(**options)
        if eps is None:
            return model
        if (norm := getattr(model, "norm", None)) is None:
            raise UserError(f"eps={eps}: {type(model).__name__} has no norm")
        return model.clone(norm=partial(norm, eps=eps))


def _images(size: int, source: str, builds: Mapping[str, Callable[..., nn.Module]]) -> dict[str, Entry]:
    return {name: Entry(build, (size, size, 3), source) for name, build in builds.items()}


V2_PAPER = "He et al. 2016, arXiv:1603.05027"
MODELS: dict[str, Entry] = {
    **_images(224, "Krizhevsky 2014, arXiv:1404.5997", {"alexnet": AlexNet}),
    **_images(224, "Krizhevsky et al. 2012, NeurIPS", {"alexnet_2012": AlexNet2012}),
    **_images(
        224,
        "Simonyan, Zisserman 2014, arXiv:1409.1556",
        {f"vgg{depth}": partial(vgg, depth) for depth in (11, 13, 16, 19)}
        | {f"vgg{depth}_bn": partial(vgg, depth, norm=BatchNorm) for depth in (11, 13, 16, 19)},
    ),
    **_images(
        224,
        "He et al. 2015, arXiv:1512.03385",
        {f"resnet{depth}": partial(resnet, depth) for depth in (18, 34, 50, 101, 152)},
    ),
    **_images(
        224,
        "He et al. 2018, arXiv:1812.01187",
        {f"resnet{depth}d": partial(resnet_d, depth) for depth in (18, 34, 50, 101, 152)},
    ),
    **_images(224, "Hu et al. 2018, arXiv:1709.01507", {"seresnet50": partial(resnet, 50, squeeze=squeeze_sixteenth)}),
    **_images(224, V2_PAPER, {"resnetv2_50": partial(resnet, 50, preactivation=True)}),
    **_images(224, "Xie et al. 2017, arXiv:1611.05431", {"resnext50_32x4d": resnext50_32x4d}),
    **_images(224, "Zagoruyko, Komodakis 2016, arXiv:1605.07146", {"wide_resnet50_2": wide_resnet50_2}),
    **_images(
        32,
        "He et al. 2015, arXiv:1512.03385, section 4.2",
        {f"cifar_resnet{depth}": partial(cifar_resnet, depth) for depth in (20, 32, 44, 56, 110)},
    ),
    **_images(
        32,
        "He et al. 2015, with a 3x3 stem for CIFAR (kuangliu)",
        {"cifar_resnet18": partial(resnet, 18, **{"stem": cifar_stem, "classes": 10})},
    ),
    **_images(
        32,
        "Zagoruyko, Komodakis 2016, arXiv:1605.07146",
        {f"wide_resnet{depth}_{k}": partial(wide_resnet, depth, k) for depth, k in ((16, 4), (28, 10), (40, 2))},
    ),
    **_images(
        112,
        "Duta et al. 2020, arXiv:2004.04989, insightface's form; an embedding of `classes` = 512",
        {f"iresnet{depth}": partial(iresnet, depth) for depth in FACES},
    ),
    **_images(224, "Szegedy et al. 2014, arXiv:1409.4842 (torchvision's form)", {"googlenet": GoogLeNet}),
    **_images(224, "Szegedy et al. 2014, arXiv:1409.4842", {"googlenet_paper": GoogLeNetPaper}),
    **_images(299, "Szegedy et al. 2015, arXiv:1512.00567", {"inception_v3": InceptionV3}),
    **_images(
        224,
        "Howard et al. 2017, arXiv:1704.04861",
        {"mobilenet_v1": MobileNetV1, "mobilenet_v1_125": partial(MobileNetV1, width=1.25)},
    ),
    **_images(
        224,
        "Sandler et al. 2018, arXiv:1801.04381",
        {
            "mobilenet_v2": MobileNetV2,
            "mobilenet_v2_050": partial(MobileNetV2, width=0.5),
            "mobilenet_v2_140": partial(MobileNetV2, width=1.4),
        },
    ),
    **_images(
        224,
        "Howard et al. 2019, arXiv:1905.02244",
        {
            "mobilenet_v3_large": mobilenet_v3_large,
            "mobilenet_v3_large_075": partial(mobilenet_v3_large, width=0.75),
            "mobilenet_v3_large_minimal": partial(MobileNetV3, rows=minimal(V3_LARGE), act=nn.relu),
            "mobilenet_v3_small": mobilenet_v3_small,
            "mobilenet_v3_small_075": partial(mobilenet_v3_small, width=0.75),
            "mobilenet_v3_small_050": partial(mobilenet_v3_small, width=0.5),
            "mobilenet_v3_small_minimal": partial(mobilenet_v3_small, rows=minimal(V3_SMALL), act=nn.relu),
        },
    ),
    **{
        f"efficientnet_{size}": Entry(partial(efficientnet, size), (image, image, 3), "Tan, Le 2019, arXiv:1905.11946")
        for size, (_, _, image, _) in SIZES.items()
    },
    **_images(224, "EfficientNet-Lite, github.com/tensorflow/tpu", {"efficientnet_lite0": efficientnet_lite0}),
    **_images(
        224,
        "Dosovitskiy et al. 2020, arXiv:2010.11929; Ti and S: Touvron et al. 2020, arXiv:2012.12877",
        {
            f"vit_{size}_{patch}": partial(vit, size, patch=patch)
            for size, patches in {
                "ti": (8, 16, 32),
                "s": (8, 16, 32),
                "b": (8, 16, 32),
                "l": (16, 32),
                "h": (14,),
            }.items()
            for patch in patches
        },
    ),
    **{
        f"vit_{size}_16_384": Entry(partial(vit, size, image=384), (384, 384, 3), "Dosovitskiy et al. 2020")
        for size in ("ti", "b", "l")
    },
    **_images(
        224,
        "Touvron et al. 2020, arXiv:2012.12877",
        {f"deit_{size}_16_distilled": partial(vit, size, distilled=True) for size in ("ti", "s", "b")},
    ),
    **_images(
        224,
        "Beyer et al. 2022, arXiv:2205.01580",
        {"vit_s_16_gap": partial(vit, "s", pool="average", positions="sincos", representation=384)},
    ),
}
MODELS |= {name: Entry(row.build, (row.length,), row.source, row.count) for name, row in LANGUAGE.items()}
"""Entries by name. `jaxdl.inspect.flops.rows(MODELS)` counts the parameters and multiply-adds of each."""
