"""Encoder-decoders in Hugging Face's names: T5 (also version 1.1) and Marian."""

import jax.numpy as jnp
import numpy as np

from jaxdl.models.transformer import EncoderDecoder
from jaxdl.pretrained.layouts import leading
from jaxdl.pretrained.mapping import Names, NameTable, Place

SIDES = {"encoder": ("attention", "mlp"), "decoder": ("attention", "cross_attention", "mlp")}
"""Branches of a block in T5's order; T5 numbers its layers."""


def names(model: EncoderDecoder, modules: set[str]) -> Names:
    del modules
    return {"huggingface t5": t5(model), "huggingface marian": marian(model)}


def t5(model: EncoderDecoder) -> NameTable:
    config = model.config
    dense = {"up": "wi_0" if config.gate else "wi", "gate": "wi_1", "down": "wo"}
    kind = {"attention": "SelfAttention", "cross_attention": "EncDecAttention", "mlp": "DenseReluDense"}

    def layer(side: str, i: int, branch: str) -> str:
        return f"{side}.block.{i}.layer.{SIDES[side].index(branch)}"

    copies = {f"{side}.embed_tokens.weight": "shared.weight" for side in SIDES}
    return NameTable(
        {
            "embed/embedding": "shared.weight",
            r"(\w+)/relative/relative_position": lambda s: (
                f"{layer(s, 0, 'attention')}.SelfAttention.relative_attention_bias.weight"
            ),
            r"(\w+)/blocks_(\d+)/(attention|cross_attention)/(\w+)": lambda s, i, b, n: (
                f"{layer(s, i, b)}.{kind[b]}.{n[0]}"
            ),
            r"(\w+)/blocks_(\d+)/mlp/(\w+)": lambda s, i, n: f"{layer(s, i, 'mlp')}.{kind['mlp']}.{dense[n]}",
            r"(\w+)/blocks_(\d+)/norm_(\w+)": lambda s, i, b: f"{layer(s, i, b)}.layer_norm",
            r"(\w+)/norm": lambda s: f"{s}.final_layer_norm",
            "head/dense": "lm_head",
        },
        copies=copies | ({"lm_head.weight": "shared.weight"} if config.tied else {}),
        # transformers 5 ties the output matrix of a new model of version 1.1, too, and scales nothing
        absent={} if config.tied else {"lm_head.weight": "shared.weight"},
        # in early files, but not used
        ignore=(r"decoder\.block\.0\.layer\.1\.EncDecAttention\.relative_attention_bias\.weight",),
    )


def marian(model: EncoderDecoder) -> NameTable:
    sines = model.config.position is not None and model.config.relative is None
    norms = {"attention": "self_attn_layer_norm", "cross_attention": "encoder_attn_layer_norm"}
    kinds = {"attention": "self_attn", "cross_attention": "encoder_attn"}

    def positions(length: int) -> np.ndarray:
        nothing = jnp.zeros((1, length, model.config.width))
        return np.asarray(model.config.position().apply({}, nothing, jnp.arange(length)[None]))[0]

    return NameTable(
        {
            "embed/embedding": "model.shared.weight",
            r"(\w+)/blocks_(\d+)/(attention|cross_attention)/out": lambda s, i, b: (
                f"model.{s}.layers.{i}.{kinds[b]}.out_proj"
            ),
            r"(\w+)/blocks_(\d+)/(attention|cross_attention)/(query|key|value)": lambda s, i, b, n: (
                f"model.{s}.layers.{i}.{kinds[b]}.{n[0]}_proj"
            ),
            r"(\w+)/blocks_(\d+)/mlp/up": lambda s, i: f"model.{s}.layers.{i}.fc1",
            r"(\w+)/blocks_(\d+)/mlp/down": lambda s, i: f"model.{s}.layers.{i}.fc2",
            r"(\w+)/blocks_(\d+)/norm_mlp": lambda s, i: f"model.{s}.layers.{i}.final_layer_norm",
            r"(\w+)/blocks_(\d+)/norm_(\w+)": lambda s, i, b: f"model.{s}.layers.{i}.{norms[b]}",
            "head/bias": Place("final_logits_bias", leading),
        },
        copies={f"model.{side}.embed_tokens.weight": "model.shared.weight" for side in SIDES}
        | {"lm_head.weight": "model.shared.weight"},
        fixed={f"model.{side}.embed_positions.weight": positions for side in SIDES} if sines else {},
    )
