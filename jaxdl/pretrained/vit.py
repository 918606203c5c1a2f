"""Vision Transformers in the names of torchvision, timm (and DeiT) and Hugging Face."""

from collections.abc import Callable

from jaxdl.models.vit import ViT
from jaxdl.pretrained.layouts import leading, positions
from jaxdl.pretrained.mapping import Names, NameTable, Place, Rules, bare

PARTS = {"query": 0, "key": 1, "value": 2}
IGNORED = (r"((vit|deit)\.)?(pooler\..*|embeddings\.mask_token)", r"decoder\..*")
"""Tensors of files without a classifier: a pooler that nothing reads, and what was trained to predict masked patches."""


def names(model: ViT, modules: set[str]) -> Names:
    del modules
    extra = int(model.pool == "token") + int(model.distilled)
    tables = {"timm": timm(extra), "torchvision": torchvision(extra)}
    two_heads = model.distilled and model.second_head
    for prefix in ("vit", "deit"):
        for end, block in (("", hub_block), (" 5", new_block)):
            rules = NameTable(huggingface(prefix, extra, block, two_heads), ignore=IGNORED)
            tables |= {
                f"huggingface {prefix}{end}": rules,
                f"huggingface {prefix}{end}, bare": bare(rules, f"{prefix}."),
            }
    return tables


def torchvision(extra: int) -> Rules:
    def layer(i: int) -> str:
        return f"encoder.layers.encoder_layer_{i - 1}"

    return {
        "patches": "conv_proj",
        "class_token": Place("class_token", leading),
        "positions": Place("encoder.pos_embedding", positions(extra)),
        r"block(\d+)/norm(\d)": lambda i, k: f"{layer(i)}.ln_{k}",
        r"block(\d+)/attention/(query|key|value)": lambda i, n: Place(
            f"{layer(i)}.self_attention.in_proj_", part=(PARTS[n], 3)
        ),
        r"block(\d+)/attention/out": lambda i: f"{layer(i)}.self_attention.out_proj",
        r"block(\d+)/feed_forward/dense(\d)": lambda i, k: f"{layer(i)}.mlp.{3 * k - 3}",
        "norm": "encoder.ln",
        "head": "heads.head",
    }


def timm(extra: int) -> Rules:
    return {
        "patches": "patch_embed.proj",
        "class_token": Place("cls_token", leading),
        "distilled_token": Place("dist_token", leading),
        "positions": Place("pos_embed", positions(extra)),
        r"block(\d+)/norm(\d)": lambda i, k: f"blocks.{i - 1}.norm{k}",
        r"block(\d+)/attention/(query|key|value)": lambda i, n: Place(f"blocks.{i - 1}.attn.qkv", part=(PARTS[n], 3)),
        r"block(\d+)/attention/out": lambda i: f"blocks.{i - 1}.attn.proj",
        r"block(\d+)/feed_forward/dense(\d)": lambda i, k: f"blocks.{i - 1}.mlp.fc{k}",
        r"block(\d+)/scale(\d)": lambda i, k: f"blocks.{i - 1}.ls{k}.gamma",
        "norm": "norm",
        "pool/probe": "attn_pool.latent",
        "pool/attention/query": "attn_pool.q",
        r"pool/attention/(key|value)": lambda n: Place("attn_pool.kv", part=(PARTS[n] - 1, 2)),
        "pool/attention/out": "attn_pool.proj",
        "pool/norm": "attn_pool.norm",
        r"pool/feed_forward/dense(\d)": lambda k: f"attn_pool.mlp.fc{k}",
        "representation": "pre_logits.fc",
        "head": "head",
        "head_distilled": "head_dist",
    }


Block = tuple[str, dict[str, str]]


def hub_block(prefix: str) -> Block:
    """Names in files of the hub and in transformers before version 5."""
    attention = {n: f"attention.attention.{n}" for n in PARTS} | {"out": "attention.output.dense"}
    return f"{prefix}.encoder.layer", attention | {"1": "intermediate.dense", "2": "output.dense"}


def new_block(prefix: str) -> Block:
    """Names in transformers 5."""
    attention = {n: f"attention.{n[0]}_proj" for n in PARTS} | {"out": "attention.o_proj"}
    return f"{prefix}.layers", attention | {"1": "mlp.fc1", "2": "mlp.fc2"}


def huggingface(prefix: str, extra: int, block: Callable[[str], Block], distilled: bool) -> Rules:
    layers, inner = block(prefix)
    return {
        "patches": f"{prefix}.embeddings.patch_embeddings.projection",
        "class_token": Place(f"{prefix}.embeddings.cls_token", leading),
        "distilled_token": Place(f"{prefix}.embeddings.distillation_token", leading),
        "positions": Place(f"{prefix}.embeddings.position_embeddings", positions(extra)),
        r"block(\d+)/norm1": lambda i: f"{layers}.{i - 1}.layernorm_before",
        r"block(\d+)/norm2": lambda i: f"{layers}.{i - 1}.layernorm_after",
        r"block(\d+)/attention/(\w+)": lambda i, n: f"{layers}.{i - 1}.{inner[n]}",
        r"block(\d+)/feed_forward/dense(\d)": lambda i, k: f"{layers}.{i - 1}.{inner[str(k)]}",
        "norm": f"{prefix}.layernorm",
        "head": "cls_classifier" if distilled else "classifier",
        "head_distilled": "distillation_classifier",
    }
