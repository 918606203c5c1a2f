"""BERT and DistilBERT in Hugging Face's names: bare, with the pooler, for masked tokens, for classes."""

from typing import Any

from jaxdl.models.transformer import Encoder
from jaxdl.models.transformer_heads import MaskedLanguageModel, PooledEncoder, SequenceClassifier
from jaxdl.pretrained.mapping import Names, NameTable

ATTENTION = {"query": "self.query", "key": "self.key", "value": "self.value", "out": "output.dense"}

POOLER, HEADS = r"(bert\.)?pooler\..*", (r"cls\..*", r"(qa_outputs|classifier)\..*")
IGNORED = {
    Encoder: (*HEADS, POOLER),
    PooledEncoder: HEADS,
    MaskedLanguageModel: (r"cls\.seq_relationship\..*", POOLER),
    SequenceClassifier: HEADS[:1],
}
"""By model: tensors of pretrained files that it does not have, the heads of others and the pooler."""
DISTILLED = r"vocab_(transform|layer_norm|projector)\..*"


def names(model: Encoder | PooledEncoder | MaskedLanguageModel | SequenceClassifier, modules: set[str]) -> Names:
    """Namings of the family. Files of 2018 call the parameters of a norm gamma and beta; some files lack the prefix `bert.`."""
    del modules
    return {
        "huggingface bert": bert(model, "bert."),
        "huggingface bert, bare": bert(model, ""),
        "huggingface bert, gamma": bert(model, "bert.", ("gamma", "beta")),
        "huggingface distilbert": distilbert(model, "distilbert."),
        "huggingface distilbert, bare": distilbert(model, ""),
    }


def bert(model: Any, prefix: str, ends: tuple[str, str] = ("weight", "bias")) -> NameTable:
    layer, end = f"{prefix}encoder.layer", dict(zip(("scale", "bias"), ends, strict=True))
    guess = "cls.predictions"
    masked = isinstance(model, MaskedLanguageModel)
    return NameTable(
        {
            "embed/embedding": f"{prefix}embeddings.word_embeddings.weight",
            "embed/type_embedding": f"{prefix}embeddings.token_type_embeddings.weight",
            "embed/position/position": f"{prefix}embeddings.position_embeddings.weight",
            r"embed/norm/(\w+)": lambda e: f"{prefix}embeddings.LayerNorm.{end[e]}",
            r"stack/blocks_(\d+)/attention/(\w+)": lambda i, n: f"{layer}.{i}.attention.{ATTENTION[n]}",
            r"stack/blocks_(\d+)/norm_attention/(\w+)": lambda i, e: f"{layer}.{i}.attention.output.LayerNorm.{end[e]}",
            r"stack/blocks_(\d+)/mlp/up": lambda i: f"{layer}.{i}.intermediate.dense",
            r"stack/blocks_(\d+)/mlp/down": lambda i: f"{layer}.{i}.output.dense",
            r"stack/blocks_(\d+)/norm_mlp/(\w+)": lambda i, e: f"{layer}.{i}.output.LayerNorm.{end[e]}",
            "pooler/dense": f"{prefix}pooler.dense",
            "transform": f"{guess}.transform.dense",
            r"norm/(\w+)": lambda e: f"{guess}.transform.LayerNorm.{end[e]}",
            **({"head/bias": f"{guess}.bias"} if masked else {"head": "classifier"}),
        },
        copies={
            f"{guess}.decoder.weight": f"{prefix}embeddings.word_embeddings.weight",
            f"{guess}.decoder.bias": f"{guess}.bias",
        }
        if masked
        else {},
        ignore=IGNORED[type(model)],
    )


def distilbert(model: Any, prefix: str) -> NameTable:
    layer, masked = f"{prefix}transformer.layer", isinstance(model, MaskedLanguageModel)
    parts = {"query": "q_lin", "key": "k_lin", "value": "v_lin", "out": "out_lin"}
    return NameTable(
        {
            "embed/embedding": f"{prefix}embeddings.word_embeddings.weight",
            "embed/position/position": f"{prefix}embeddings.position_embeddings.weight",
            "embed/norm": f"{prefix}embeddings.LayerNorm",
            r"stack/blocks_(\d+)/attention/(\w+)": lambda i, n: f"{layer}.{i}.attention.{parts[n]}",
            r"stack/blocks_(\d+)/norm_attention": lambda i: f"{layer}.{i}.sa_layer_norm",
            r"stack/blocks_(\d+)/mlp/up": lambda i: f"{layer}.{i}.ffn.lin1",
            r"stack/blocks_(\d+)/mlp/down": lambda i: f"{layer}.{i}.ffn.lin2",
            r"stack/blocks_(\d+)/norm_mlp": lambda i: f"{layer}.{i}.output_layer_norm",
            "pooler/dense": "pre_classifier",
            "transform": "vocab_transform",
            "norm": "vocab_layer_norm",
            **({"head/bias": "vocab_projector.bias"} if masked else {"head": "classifier"}),
        },
        copies={"vocab_projector.weight": f"{prefix}embeddings.word_embeddings.weight"} if masked else {},
        ignore=()
        if masked
        else (DISTILLED, r"(qa_outputs|(pre_)?classifier)\..*")
        if type(model) is Encoder
        else (DISTILLED,),
    )
