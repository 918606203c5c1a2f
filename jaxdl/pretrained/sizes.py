"""Sizes of a language model from Hugging Face's `config.json`, and a check that its architecture is the same."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxdl.pretrained.files import read_json
from jaxdl.types import UserError

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
}
"""By family: option here -> its name in the file. The name of a model in the catalog begins with its family."""

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
    },
    "marian": {
        "activation_function": ("swish", "silu"),
        "scale_embedding": (True,),
        "normalize_before": (False,),
        "tie_word_embeddings": (True,),
        "share_encoder_decoder_embeddings": (True,),
    },
}
"""By family: entries of the file -> values that the models here implement."""
GATED = {"feed_forward_proj": ("gated-gelu",), "tie_word_embeddings": (False,)}
TWINS = {"decoder_layers": "encoder_layers", "num_decoder_layers": "num_layers"} | {
    f"decoder_{name}": f"encoder_{name}" for name in ("attention_heads", "ffn_dim")
}
"""Entries that must be equal, because encoder and decoder share them here."""

DEEPEST = 1000
"""Largest number of blocks that is accepted, because a damaged number would take hours to build."""


def sizes_beside(path: str | Path, name: str) -> dict[str, Any]:
    """Read options of the catalog's model `name` from `config.json` beside the weights; empty without such a file.

    Raises UserError if the file describes a model that computes something else.
    """
    file = (Path(path) if Path(path).is_dir() else Path(path).parent) / "config.json"
    family = next((f for f in SIZES if name.startswith(f)), None)
    if family is None or not file.is_file():
        return {}
    config = read_json(file)
    if config.get("model_type", family) != family:
        raise UserError(f"{file} is of a model of type {config['model_type']!r}, {name} is of type {family!r}")
    said = SAID[family] | (GATED if "v1_1" in name else {})
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
    if name.endswith("_classifier"):
        labels = config.get("id2label") or config.get("num_labels")
        options |= {} if labels is None else {"classes": len(labels) if isinstance(labels, Mapping) else labels}
    return options
