"""Which model of the catalog a `config.json` of Hugging Face or timm describes."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxdl.models.catalog import MODELS
from jaxdl.models.efficientnet import SIZES as SCALES
from jaxdl.models.resnet import STAGES, basic
from jaxdl.models.vit import SIZES as VITS
from jaxdl.pretrained.files import config_beside, read_json, reading
from jaxdl.pretrained.timm import timm_model
from jaxdl.types import UserError

Config = Mapping[str, Any]


def name_beside(path: str | Path) -> str:
    """Read the catalog's name of the model of weights from the `config.json` beside them.

    Hugging Face says `model_type`, `architectures` and sizes, timm `architecture`. Sizes that no name has are options of the
    nearest one (`options_beside`). Raises UserError without such a file and for a model that is not in the catalog.
    """
    file = config_beside(path)
    if not file.is_file():
        raise UserError(
            f"there is no {file} that says which model this is: give its name before the file, as `resnet50`"
        )
    config = read_json(file)
    with reading(file):
        if "architecture" in config:
            return timm_model(config, file)
        return _of_hugging_face(config, file)


def described_beside(path: str | Path) -> str:
    """What a `config.json` beside weights says the model is, for an error: "" without such a file."""
    file = config_beside(path)
    if not file.is_file():
        return ""
    try:
        return f"; {file} says {name_beside(path)}"
    except UserError as error:
        return f"; {error}"


FINAL = r"(For\w+|WithLMHeadModel|LMHeadModel|MTModel|Model)$"
"""The end of the name of a class of transformers, which says what stands on the network."""
ENCODERS = ("ForQuestionAnswering", "ForTokenClassification", "ForMultipleChoice")
"""Classes whose head this library does not have: the network is imported without it."""
CLASSES = {
    "bert": {
        "Model": "bert_{size}",
        "ForPreTraining": "bert_{size}",
        "ForMaskedLM": "bert_base_mlm",
        "ForSequenceClassification": "bert_base_classifier",
        **dict.fromkeys(ENCODERS, "bert_base_encoder"),
    },
    "distilbert": {
        "Model": "distilbert",
        "ForMaskedLM": "distilbert_mlm",
        "ForSequenceClassification": "distilbert_classifier",
        **dict.fromkeys(ENCODERS, "distilbert"),
    },
    "gpt2": {"Model": "gpt2{size}", "LMHeadModel": "gpt2{size}"},
    "t5": {"ForConditionalGeneration": "t5{size}", "WithLMHeadModel": "t5{size}"},
    "marian": {"MTModel": "marian"},
    "deit": dict.fromkeys(
        ("Model", "ForImageClassification", "ForImageClassificationWithTeacher", "ForMaskedImageModeling"),
        "deit_{size}_16_distilled",
    ),
}
"""By model type: the end of the class -> the catalog's name. Image models not listed here have one name for every head."""
WIDTHS = {
    "bert": ("hidden_size", 768, {768: "base", 1024: "large"}),
    "gpt2": ("n_embd", 768, {768: "", 1024: "_medium", 1280: "_large", 1600: "_xl"}),
    "t5": ("d_model", 512, {512: "_small", 768: "_base", 1024: "_large"}),
    "deit": ("hidden_size", 768, {192: "ti", 384: "s", 768: "b"}),
}
"""By model type: entry with the width, transformers' default, and the names of sizes; the first one for other widths."""


def _of_hugging_face(config: Config, file: Path) -> str:
    kind = config.get("model_type")
    if kind in CLASSES:
        return _by_class(kind, config, file)
    if kind not in IMAGE_NAMES:
        known = ", ".join(sorted({*CLASSES, *IMAGE_NAMES}))
        raise UserError(f"{file} says model_type={kind!r}: import-weights knows {known}")
    return IMAGE_NAMES[kind](config)


def _by_class(kind: str, config: Config, file: Path) -> str:
    classes, (given,) = CLASSES[kind], (config.get("architectures") or [""])[:1]
    end = found[1] if (found := re.search(FINAL, given)) else ""
    if end not in classes:
        known = ", ".join(classes)
        raise UserError(f"{file} says architectures={[given]!r}: of {kind}, import-weights knows ...{known}")
    key, usual, sizes = WIDTHS.get(kind, ("", 0, {0: ""}))
    size = sizes.get(config.get(key, usual), next(iter(sizes.values())))
    if kind == "t5" and str(config.get("feed_forward_proj", "relu")).startswith("gated"):
        size = f"_v1_1{'_base' if size == '_large' else size}"
    return classes[end].format(size=size)


def _vit(config: Config) -> str:
    width, patch = config.get("hidden_size", 768), config.get("patch_size", 16)
    size = next((size for size, (w, _, _) in VITS.items() if w == width), "ti")
    return next(name for name in (f"vit_{size}_{patch}", f"vit_{size}_16", "vit_b_16") if name in MODELS)


def _resnet(config: Config) -> str:
    plain, depths = config.get("layer_type", "bottleneck") == "basic", tuple(config.get("depths", (3, 4, 6, 3)))
    same = [depth for depth, (stages, block) in STAGES.items() if stages == depths and (block is basic) == plain]
    return f"resnet{same[0] if same else 18 if plain else 50}"


def _mobilenet(version: str) -> Any:
    def name(config: Config) -> str:
        width = f"{version}_{round(100 * config.get('depth_multiplier', 1.0)):03d}"
        return width if width in MODELS else version

    return name


def _efficientnet(config: Config) -> str:
    scale = config.get("width_coefficient", 2.0), config.get("depth_coefficient", 3.1)
    return "efficientnet_" + next((size for size, (*wide_deep, _, _) in SCALES.items() if (*wide_deep,) == scale), "b0")


IMAGE_NAMES = {
    "vit": _vit,
    "vit_mae": _vit,
    "resnet": _resnet,
    "mobilenet_v1": _mobilenet("mobilenet_v1"),
    "mobilenet_v2": _mobilenet("mobilenet_v2"),
    "efficientnet": _efficientnet,
}
"""By model type: function of the config."""
