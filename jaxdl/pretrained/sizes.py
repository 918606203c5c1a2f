"""Options of a model from the `config.json` of Hugging Face or timm, and a check that its architecture is the same."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxdl.pretrained.files import read_json
from jaxdl.types import UserError

VIT = {
    "width": "hidden_size",
    "depth": "num_hidden_layers",
    "heads": "num_attention_heads",
    "hidden": "intermediate_size",
    "image": "image_size",
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
    "efficientnet": {"hidden_act": ("swish", "silu"), "pooling_type": ("mean",), "num_channels": (3,)},
}
"""By family: entries of the file -> values that the models here implement."""
GATED = {"feed_forward_proj": ("gated-gelu",), "tie_word_embeddings": (False,), "scale_decoder_outputs": (False,)}
TWINS = {"decoder_layers": "encoder_layers", "num_decoder_layers": "num_layers"} | {
    f"decoder_{name}": f"encoder_{name}" for name in ("attention_heads", "ffn_dim")
}
"""Entries that must be equal, because encoder and decoder share them here."""

CONVOLUTIONAL = ("mobilenet", "efficientnet")
TENSORFLOW = {"padding": "same", "eps": 1e-3}
"""Options of weights that timm ported from TensorFlow, whose architectures begin with "tf_"."""

DEEPEST = 1000
"""Largest number of blocks that is accepted, because a damaged number would take hours to build."""


def config_beside(path: str | Path) -> Path:
    """The `config.json` of weights, a file or a folder, whether it exists or not."""
    return (Path(path) if Path(path).is_dir() else Path(path).parent) / "config.json"


def options_beside(path: str | Path, name: str) -> dict[str, Any]:
    """Read options of the catalog's model `name` from `config.json` beside the weights; empty without such a file.

    Raises UserError if the file describes a model that computes something else.
    """
    file = config_beside(path)
    family = next((f for f in SIZES if name.startswith(f)), None)
    if not file.is_file() or (family is None and not name.startswith(CONVOLUTIONAL)):
        return {}
    config = read_json(file)
    if str(config.get("architecture", "")).startswith("tf_"):
        return dict(TENSORFLOW) if name.startswith(CONVOLUTIONAL) else {}
    if family is None or (family in IMAGES and "model_type" not in config):
        return {}
    if config.get("model_type", family) != family:
        raise UserError(f"{file} is of a model of type {config['model_type']!r}, {name} is of type {family!r}")
    said = SAID[family] | (GATED if "v1_1" in name else {})
    if config.get("scale_decoder_outputs") is False and "v1_1" in name:
        said |= {
            "tie_word_embeddings": (False, True)
        }  # transformers 5 says True and writes the output matrix all the same
    for key, values in said.items():
        if key in config and config[key] not in values:
            raise UserError(f"{file} says {key}={config[key]!r}: {name} is made for {' or '.join(map(repr, values))}")
    for key, twin in TWINS.items():
        if config.get(key) is not None and config[key] != config.get(twin, config[key]):
            raise UserError(
                f"{file} says {key}={config[key]} and {twin}={config[twin]}: {name} has one number for both"
            )
    options = {ours: config[theirs] for ours, theirs in SIZES[family].items() if config.get(theirs) is not None}
    for ours, size in options.items():
        most = DEEPEST if ours == "depth" else 2**31 - 1
        if type(size) is not int or not 1 <= size <= most:
            raise UserError(f"{file} says {SIZES[family][ours]}={size!r}: it must be a whole number from 1 to {most}")
    if family == "gpt2" and "hidden" not in options and "width" in options:
        options["hidden"] = 4 * options["width"]
    if family in EPS:
        options["eps"] = config.get(*EPS[family])
    if family == "efficientnet" or (family.startswith("mobilenet") and config.get("tf_padding", True)):
        options["padding"] = "same"
    if name.endswith("_classifier") or family in IMAGES:
        labels = config.get("id2label") or config.get("num_labels")
        options |= {} if labels is None else {"classes": len(labels) if isinstance(labels, Mapping) else labels}
    return options
