"""Models of timm: the catalog's names for timm's, and the options that a `config.json` of timm decides."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxdl.models.catalog import MODELS
from jaxdl.types import UserError

TIMM_SIZES = {"tiny": "ti", "small": "s", "base": "b", "large": "l", "huge": "h"}
SIZE = "|".join(TIMM_SIZES)
PATTERNS = {
    r"(?:tf_)?(efficientnet_(?:b\d|lite0))": "{0}",
    r"mobilenetv1_(\d+)": "mobilenet_v1_{0}",
    r"mobilenetv2_(\d+)": "mobilenet_v2_{0}",
    r"(?:tf_)?mobilenetv3_(large|small)_(\d+)": "mobilenet_v3_{0}_{1}",
    r"tf_mobilenetv3_(large|small)_minimal_100": "mobilenet_v3_{0}_minimal",
    rf"vit_({SIZE})_patch(\d+)_(?:224|384)": "vit_{0}_{1}",
    rf"deit_({SIZE})_patch(\d+)_(?:224|384)": "vit_{0}_{1}",
    rf"deit_({SIZE})_distilled_patch16_(?:224|384)": "deit_{0}_16_distilled",
    r"((?:se)?resnet\d+d?|resnetv2_50|resnext50_32x4d|wide_resnet50_2|vgg\d+(?:_bn)?|inception_v3)": "{0}",
}
"""timm's names -> the catalog's. Other names of timm may have the same tensors and compute something else (`resnetblur50`)."""


def timm_name(architecture: str) -> str | None:
    """The catalog's name of a model of timm.

    >>> timm_name("tf_mobilenetv3_large_100"), timm_name("deit_small_distilled_patch16_224"), timm_name("resnetblur50")
    ('mobilenet_v3_large', 'deit_s_16_distilled', None)
    """
    for pattern, made in PATTERNS.items():
        if found := re.fullmatch(pattern, architecture.partition(".")[0]):
            sizes = TIMM_SIZES if made.startswith(("vit", "deit")) else {}
            name = made.format(*(sizes.get(group, group) for group in found.groups())).removesuffix("_100")
            larger = f"{name}_384" if architecture.endswith("_384") else name
            return next((one for one in (larger, name) if one in MODELS), None)
    return None


def timm_model(config: Mapping[str, Any], file: Path) -> str:
    """The catalog's name of the model that a config of timm describes; UserError if there is none."""
    name = timm_name(str(config["architecture"]))
    if name is None:
        raise UserError(f"{file} says architecture={config['architecture']!r}, which is none of the named models here")
    return name


CONVOLUTIONAL = ("mobilenet", "efficientnet")
TENSORFLOW = {"padding": "same", "eps": 1e-3}
"""Options of weights that were trained in TensorFlow: of timm's architectures that begin with "tf_"."""
TORCH_EPS = ("mobilenet_v3", "efficientnet_b5", "efficientnet_b6", "efficientnet_b7")
"""Names whose models have torchvision's ε = 0.001 here, where timm's have PyTorch's 1e-5."""
ARGUMENTS = ("num_classes", "in_chans", "global_pool", "img_size", "drop_rate", "drop_path_rate")
"""Arguments of timm's models that are understood, or do not change what a trained model computes."""


def timm_options(config: Mapping[str, Any], name: str, file: Path) -> dict[str, Any]:
    """Options of a model from a config of timm."""
    architecture, arguments = str(config["architecture"]), config.get("model_args") or {}
    if (named := timm_model(config, file)) != name:
        raise UserError(f"{file} is of {named}, not {name}")
    vision = name.startswith(("vit", "deit"))
    said = {"in_chans": 3, "global_pool": "token" if vision else "avg"}
    for key, value in said.items():
        if (found := arguments.get(key, config.get(key, value))) != value:
            raise UserError(f"{file} says {key}={found!r}: {name} is made for {value!r}")
    if unknown := sorted(arguments.keys() - set(ARGUMENTS)):
        raise UserError(f"{file} says {unknown[0]}={arguments[unknown[0]]!r}, which is not known here")
    options = {}
    if name.startswith(CONVOLUTIONAL) and architecture.startswith("tf_"):
        options |= TENSORFLOW
    elif name.startswith(TORCH_EPS):
        options["eps"] = 1e-5
    about = config.get("pretrained_cfg", {})
    if vision and (size := arguments.get("img_size") or about.get("input_size", ())[1:]):
        options["image"] = size if isinstance(size, int) or size[0] != size[1] else size[0]
    classes = config.get("num_classes", about.get("num_classes"))
    return options | ({"classes": classes} if classes else {})
