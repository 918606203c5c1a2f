"""GPT-2 in Hugging Face's names (in OpenAI's layout: `x·W`, with queries, keys and values in one matrix), nanoGPT in its own."""

from jaxdl.models.transformer import Decoder
from jaxdl.pretrained.layouts import Layout, dense, same
from jaxdl.pretrained.mapping import Names, NameTable, Place

PARTS = {"query": 0, "key": 1, "value": 2}


def names(model: Decoder, modules: set[str]) -> Names:
    del model, modules
    return {
        "huggingface gpt2": layout_table("transformer.", same, -1),
        "huggingface gpt2, bare": layout_table("", same, -1),
        "nanogpt": layout_table("transformer.", dense, 0),
    }


def layout_table(prefix: str, kernel: Layout, axis: int) -> NameTable:
    """Names in one layout; `axis` is the one along which `c_attn` holds queries, keys and values."""
    h = f"{prefix}h"
    return NameTable(
        {
            "embed/embedding": f"{prefix}wte.weight",
            "embed/position/position": f"{prefix}wpe.weight",
            r"stack/blocks_(\d+)/norm_attention": lambda i: f"{h}.{i}.ln_1",
            r"stack/blocks_(\d+)/attention/(query|key|value)": lambda i, n: Place(
                f"{h}.{i}.attn.c_attn", kernel, (PARTS[n], 3), axis
            ),
            r"stack/blocks_(\d+)/attention/out": lambda i: Place(f"{h}.{i}.attn.c_proj", kernel),
            r"stack/blocks_(\d+)/norm_mlp": lambda i: f"{h}.{i}.ln_2",
            r"stack/blocks_(\d+)/mlp/up": lambda i: Place(f"{h}.{i}.mlp.c_fc", kernel),
            r"stack/blocks_(\d+)/mlp/down": lambda i: Place(f"{h}.{i}.mlp.c_proj", kernel),
            "stack/norm": f"{prefix}ln_f",
        },
        copies={"lm_head.weight": f"{prefix}wte.weight"},
        ignore=(r"(.*\.)?h\.\d+\.attn\.(bias|masked_bias)",),  # the causal mask, which older files hold
    )
