"""Options of a model from the `config.json` of Hugging Face or timm, and a check that its architecture is the same."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxdl.models.resnet import STAGES, basic, bottleneck
from jaxdl.pretrained.architectures import IMAGE_NAMES
from jaxdl.pretrained.files import config_beside, read_json, read_tensors, reading
from jaxdl.pretrained.timm import TENSORFLOW, timm_options
from jaxdl.types import UserError

VIT = {
    "width": "hidden_size",
    "depth": "num_hidden_layers",
    "heads": "num_attention_heads",
    "hidden": "intermediate_size",
    "image": "image_size",
    "patch": "patch_size",
}
BERT = {
    "vocab": "vocab_size",
    "width": "hidden_size",
    "depth": "num_hidden_layers",
    "heads": "num_attention_heads",
    "hidden": "intermediate_size",
    "length": "max_position_embeddings",
    "types": "type_vocab_size",
}
SIZES: dict[str, dict[str, str]] = {
    "bert": BERT,
    "distilbert": {
        "vocab": "vocab_size",
        "width": "dim",
        "depth": "n_layers",
        "heads": "n_heads",
        "hidden": "hidden_dim",
        "length": "max_position_embeddings",
    },
    "gpt2": {
        "vocab": "vocab_size",
        "width": "n_embd",
        "depth": "n_layer",
        "heads": "n_head",
        "hidden": "n_inner",
        "length": "n_positions",
    },
    "t5": {
        "vocab": "vocab_size",
        "width": "d_model",
        "depth": "num_layers",
        "heads": "num_heads",
        "dim": "d_kv",
        "hidden": "d_ff",
    },
    "marian": {
        "vocab": "vocab_size",
        "width": "d_model",
        "depth": "encoder_layers",
        "heads": "encoder_attention_heads",
        "hidden": "encoder_ffn_dim",
    },
    "vit": VIT,
    "deit": VIT,
    "resnet": {},
    "mobilenet_v1": {},
    "mobilenet_v2": {},
    "efficientnet": {},
}
"""By family: option here -> its name in the file. The name of a model in the catalog begins with its family."""

EPS = {
    "vit": ("layer_norm_eps", 1e-12),
    "deit": ("layer_norm_eps", 1e-12),
    "mobilenet_v1": ("layer_norm_eps", 1e-3),
    "mobilenet_v2": ("layer_norm_eps", 1e-3),
    "efficientnet": ("batch_norm_eps", 1e-3),
}
"""By family: the entry with the ε of all norms, and its value where the file does not say it."""
IMAGES = ("vit", "deit", "resnet", "mobilenet_v1", "mobilenet_v2", "efficientnet")
PATCHES = {
    "hidden_act": ("gelu",),
    "qkv_bias": (True,),
    "num_channels": (3,),
}

SAID: dict[str, dict[str, tuple[Any, ...]]] = {
    "bert": {
        "hidden_act": ("gelu",),
        "layer_norm_eps": (1e-12,),
        "position_embedding_type": ("absolute",),
        "is_decoder": (False,),
        "add_cross_attention": (False,),
    },
    "distilbert": {"activation": ("gelu",), "sinusoidal_pos_embds": (False,)},
    "gpt2": {
        "activation_function": ("gelu_new", "gelu_pytorch_tanh"),
        "layer_norm_epsilon": (1e-5,),
        "scale_attn_weights": (True,),
        "scale_attn_by_inverse_layer_idx": (False,),
        "add_cross_attention": (False,),
        "tie_word_embeddings": (True,),
    },
    "t5": {
        "feed_forward_proj": ("relu",),
        "tie_word_embeddings": (True,),
        "layer_norm_epsilon": (1e-6,),
        "relative_attention_num_buckets": (32,),
        "relative_attention_max_distance": (128,),
        "scale_decoder_outputs": (True,),
    },
    "marian": {
        "activation_function": ("swish", "silu"),
        "scale_embedding": (True,),
        "normalize_before": (False,),
        "tie_word_embeddings": (True,),
        "share_encoder_decoder_embeddings": (True,),
    },
    "vit": PATCHES,
    "deit": PATCHES,
    "resnet": {
        "hidden_act": ("relu",),
        "embedding_size": (64,),
        "downsample_in_bottleneck": (False,),
        "downsample_in_first_stage": (False,),
        "num_channels": (3,),
    },
    "mobilenet_v1": {"hidden_act": ("relu6",), "num_channels": (3,)},
    "mobilenet_v2": {
        "hidden_act": ("relu6",),
        "output_stride": (32,),
        "first_layer_is_expansion": (True,),
        "num_channels": (3,),
    },
    "efficientnet": {
        "hidden_act": ("swish", "silu"),
        "pooling_type": ("mean",),
        "strides": ([1, 2, 2, 2, 1, 2, 1],),
        "num_channels": (3,),
    },
}
"""By family: entries of the file -> values that the models here implement."""
GATED = {"feed_forward_proj": ("gated-gelu",), "tie_word_embeddings": (False,), "scale_decoder_outputs": (False,)}
TWINS = {
    "decoder_layers": "encoder_layers",
    "num_decoder_layers": "num_layers",
    "decoder_attention_heads": "encoder_attention_heads",
    "decoder_ffn_dim": "encoder_ffn_dim",
    "decoder_vocab_size": "vocab_size",
}
"""Entries that must be equal, because encoder and decoder share them here."""
RATIOS = {
    "mobilenet_v1": {"width": "depth_multiplier"},
    "mobilenet_v2": {"width": "depth_multiplier"},
    "efficientnet": {"width": "width_coefficient", "depth": "depth_coefficient"},
}
"""By family: option here -> the factor's name in the file."""
OMITTED = {
    "bert": {"num_attention_heads": 12},
    "distilbert": {"n_heads": 12},
    "gpt2": {"n_head": 12},
    "marian": {
        "encoder_attention_heads": 16,
        "decoder_attention_heads": 16,
        "activation_function": "gelu",
        "scale_embedding": False,
    },
    "vit": {"num_attention_heads": 12},
    "deit": {"num_attention_heads": 12},
}
"""By family: what transformers takes where a file does not say it, if no shape of a tensor shows it."""


DEEPEST = 1000
"""Largest number of blocks that is accepted, because a damaged number would take hours to build."""


def options_beside(path: str | Path, name: str) -> dict[str, Any]:
    """Read options of the catalog's model `name` from `config.json` beside the weights.

    Without such a file EfficientNet-PyTorch's names say that the weights were trained in TensorFlow, and other names nothing.
    Raises UserError if the file describes a model that computes something else.
    """
    file = config_beside(path)
    if not file.is_file():
        ported = name.startswith("efficientnet") and any(n.endswith("_conv_stem.weight") for n in read_tensors(path))
        return dict(TENSORFLOW) if ported else {}
    config = read_json(file)
    with reading(file):
        if "architecture" in config:
            return timm_options(config, name, file)
        family = next((f for f in SIZES if name.startswith(f)), None)
        if family is None or (family in IMAGES and "model_type" not in config):
            return {}
        return hugging_face_options(config, name, family, file)


def hugging_face_options(config: Mapping[str, Any], name: str, family: str, file: Path) -> dict[str, Any]:
    """Options of a model from a config of transformers."""
    if "model_type" in config:
        kind = {"vit_mae": "vit"}.get(config["model_type"], config["model_type"])
        if kind != family:
            raise UserError(f"{file} is of a model of type {config['model_type']!r}, {name} is of type {family!r}")
        if family in (*RATIOS, "resnet") and (named := IMAGE_NAMES[family](config)) != name:
            raise UserError(f"{file} is of {named}, not {name}")
        config = {**OMITTED.get(family, {}), **config}
    check_said(config, name, family, file)
    options = {ours: config[theirs] for ours, theirs in SIZES[family].items() if config.get(theirs) is not None}
    for ours, size in options.items():
        most = DEEPEST if ours == "depth" else 2**31 - 1
        if type(size) is not int or not 1 <= size <= most:
            raise UserError(f"{file} says {SIZES[family][ours]}={size!r}: it must be a whole number from 1 to {most}")
    if family == "gpt2" and "hidden" not in options and "width" in options:
        options["hidden"] = 4 * options["width"]
    if family == "resnet":
        options |= resnet_options(config, file)
    if family == "deit" and (config.get("architectures") or [""])[0].endswith("ForImageClassification"):
        options["second_head"] = False  # it classifies by the first token alone
    if family in EPS:
        options["eps"] = number(config, *EPS[family], most=1.0, file=file)
    options |= {
        ours: number(config, theirs, None, most=100.0, file=file)
        for ours, theirs in RATIOS.get(family, {}).items()
        if theirs in config
    }
    if family == "efficientnet" or (family.startswith("mobilenet") and config.get("tf_padding", True)):
        options["padding"] = "same"
    if name.endswith("_classifier") or family in IMAGES:
        labels = config.get("id2label") or config.get("num_labels")
        options |= {} if labels is None else {"classes": len(labels) if isinstance(labels, Mapping) else labels}
    return options


def check_said(config: Mapping[str, Any], name: str, family: str, file: Path) -> None:
    """Raise UserError for an entry that says something else than the models here implement."""
    said = SAID[family] | (GATED if "v1_1" in name else {})
    if config.get("scale_decoder_outputs") is False and "v1_1" in name:
        # transformers 5 says True and writes the output matrix all the same
        said |= {"tie_word_embeddings": (False, True)}
    for key, values in said.items():
        if key in config and config[key] not in values:
            raise UserError(f"{file} says {key}={config[key]!r}: {name} is made for {' or '.join(map(repr, values))}")
    for key, twin in TWINS.items():
        if config.get(key) is not None and config[key] != config.get(twin, config[key]):
            raise UserError(
                f"{file} says {key}={config[key]} and {twin}={config[twin]}: {name} has one number for both"
            )


def number(config: Mapping[str, Any], key: str, usual: Any, *, most: float, file: Path) -> float:
    """A positive number of a config, up to `most`."""
    value = config.get(key, usual)
    if type(value) not in (int, float) or not 0 < value <= most:
        raise UserError(f"{file} says {key}={value!r}: it must be a number above 0, at most {most:g}")
    return value


def resnet_options(config: Mapping[str, Any], file: Path) -> dict[str, Any]:
    """Depths and width of a ResNet that no name of the catalog has."""
    plain = config.get("layer_type", "bottleneck") == "basic"
    widths, depths = config.get("hidden_sizes", [256, 512, 1024, 2048]), config.get("depths", [3, 4, 6, 3])
    width = widths[0] // (1 if plain else 4)
    if widths != [width * (1 if plain else 4) * 2**i for i in range(len(depths))]:
        raise UserError(f"{file} says hidden_sizes={widths}: the widths of a ResNet double from stage to stage")
    named = (tuple(depths), basic if plain else bottleneck) in STAGES.values()
    return ({} if named else {"stages": depths}) | ({} if width == 64 else {"width": width})
