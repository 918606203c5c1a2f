"""Published sizes of Transformers as `Config`s. `changes` replace entries: `gpt2("small", rate=0.1)`.

2017 base, big      Vaswani et al., arXiv:1706.03762, table 3         EncoderDecoder
Marian              Junczys-Dowmunt et al. 2018; Opus-MT's size        EncoderDecoder
T5, T5 1.1          Raffel et al. 2019, arXiv:1910.10683              EncoderDecoder
BERT, DistilBERT    Devlin et al. 2018, arXiv:1810.04805              Encoder and the heads of `transformer_heads.py`
GPT-2, nanoGPT      Radford et al. 2019; Karpathy 2022                Decoder
"""

from functools import partial
from typing import Any, Literal

import flax.linen as nn

from jaxdl.activations import gelu, gelu_tanh, relu, silu
from jaxdl.layers.normalization import LayerNorm, RMSNorm
from jaxdl.layers.position import Learned, Sinusoidal, T5Bias
from jaxdl.models.transformer import Config
from jaxdl.types import UserError


def transformer(size: Literal["base", "big"] = "base", *, vocab: int = 37000, **changes: Any) -> Config:
    """Transformer of 2017: norms last, sinusoidal positions, one matrix for both embeddings and the output.

    With biases and 37,000 tokens base has 63,082,496 parameters, big 214,245,376.
    """
    sizes = _pick(size, {"base": (512, 8), "big": (1024, 16)}, changes, "width", "heads")
    width = sizes["width"]
    scales = {"embed_scale": width**0.5, "embed_init": width**-0.5}
    return Config(vocab=vocab, **sizes, hidden=4 * width, **scales).but(**changes)


def marian(*, vocab: int = 58101, **changes: Any) -> Config:
    """Opus-MT: the base size with Swish, positions with all sines before all cosines, and a bias of the logits."""
    position = partial(Sinusoidal, interleaved=False)
    return transformer(vocab=vocab, **{"act": silu, "position": position, "logit_bias": True, **changes})


def t5(size: Literal["small", "base", "large"] = "small", *, vocab: int = 32128, **changes: Any) -> Config:
    """T5: no biases, RMS norms first, relative positions, unscaled scores; small 60,506,624, base 222,903,552 parameters."""
    sizes = {"small": (512, 6, 8), "base": (768, 12, 12), "large": (1024, 24, 16)}
    picked = _pick(size, sizes, changes)
    return Config(
        vocab=vocab,
        **picked,
        dim=64,
        hidden=4 * picked["width"],
        act=relu,
        norm=RMSNorm,
        order="first",
        position=None,
        relative=T5Bias,
        use_bias=False,
        embed_init=1.0,
        logit_scale=picked["width"] ** -0.5,
        attention_scale=1.0,
    ).but(**changes)


def t5_v1_1(size: Literal["small", "base", "large"] = "small", *, vocab: int = 32128, **changes: Any) -> Config:
    """T5 1.1: an MLP gated by GELU, untied output matrix; small 76,961,152, base 247,577,856 parameters.

    Source: Shazeer 2020, arXiv:2002.05202; sizes of the released checkpoints.
    """
    sizes = {"small": (512, 8, 6, 1024), "base": (768, 12, 12, 2048), "large": (1024, 24, 16, 2816)}
    made = t5("small", vocab=vocab, **_pick(size, sizes, changes, "width", "depth", "heads", "hidden"))
    return made.but(act=gelu_tanh, gate=True, tied=False, logit_scale=None).but(**changes)


def bert(size: Literal["base", "large"] = "base", *, vocab: int = 30522, length: int = 512, **changes: Any) -> Config:
    """BERT: norms last, learned positions, two segment types; with pooler base 109,482,240, large 335,141,888 parameters.

    RoBERTa-base is `bert(vocab=50265, length=514, types=1)`, with positions that start at 2.
    """
    sizes = _pick(size, {"base": (768, 12, 12), "large": (1024, 24, 16)}, changes)
    return Config(
        vocab=vocab,
        **sizes,
        hidden=4 * sizes["width"],
        act=gelu,
        norm=partial(LayerNorm, eps=1e-12),
        position=partial(Learned, length),
        types=2,
        embed_norm=True,
        logit_bias=True,
        kernel_init=nn.initializers.normal(0.02),
    ).but(**changes)


def distilbert(**changes: Any) -> Config:
    """DistilBERT: half of BERT's blocks, no segment types; 66,362,880 parameters. Source: Sanh et al. 2019, arXiv:1910.01108."""
    return bert(**{"depth": 6, "types": 0, **changes})


def gpt2(
    size: Literal["small", "medium", "large", "xl"] = "small", *, vocab: int = 50257, length: int = 1024, **changes: Any
) -> Config:
    """GPT-2: norms first, learned positions, tanh GELU; 124,439,808, 354,823,168, 774,030,080 or 1,557,611,200 parameters."""
    sizes = {"small": (768, 12, 12), "medium": (1024, 24, 16), "large": (1280, 36, 20), "xl": (1600, 48, 25)}
    picked = _pick(size, sizes, changes)
    return Config(
        vocab=vocab,
        **picked,
        hidden=4 * picked["width"],
        act=gelu_tanh,
        order="first",
        position=partial(Learned, length),
        kernel_init=nn.initializers.normal(0.02),
        out_init=nn.initializers.normal(0.02 / (2 * picked["depth"]) ** 0.5),
    ).but(**changes)


def nanogpt(size: Literal["char", "cpu"] = "char", *, vocab: int = 65, **changes: Any) -> Config:
    """nanoGPT's character models, without biases: "char" 10,745,088 parameters, "cpu" 804,096."""
    sizes = {"char": (384, 6, 6, 256), "cpu": (128, 4, 4, 64)}
    picked = _pick(size, sizes, changes, "width", "depth", "heads", "length")
    changes.pop("length", None)
    rate = {"char": 0.2, "cpu": 0.0}[size]
    choices = {"act": gelu, "norm": partial(LayerNorm, use_bias=False), "use_bias": False}
    return gpt2(vocab=vocab, **picked, **choices, rate=rate, attention_rate=rate).but(**changes)


def _pick(size: str, sizes: dict[str, Any], changes: dict[str, Any], *names: str) -> dict[str, Any]:
    """Numbers of a size by name, with `changes` in their place, so that values derived from them (scales, ...) agree."""
    if size not in sizes:
        raise UserError(f"size={size!r}: take one of {', '.join(sizes)}")
    names = names or ("width", "depth", "heads")
    return {name: changes.get(name, value) for name, value in zip(names, sizes[size], strict=True)}
