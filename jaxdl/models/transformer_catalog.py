"""Transformers of the catalog, for the commands `import-weights` and `models`; all are published sizes.

    model = LANGUAGE["gpt2"].build(vocab=1000)        options are entries of the `Config` or arguments of the model (`classes`)

Inputs are one array of tokens `(batch, time)`, or two, source and target.
"""

from collections.abc import Callable
from dataclasses import fields
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn

from jaxdl.activations import relu
from jaxdl.models.transformer import Config, Decoder, Encoder, EncoderDecoder
from jaxdl.models.transformer_heads import MaskedLanguageModel, PooledEncoder, SequenceClassifier
from jaxdl.models.transformer_sizes import bert, distilbert, gpt2, marian, nanogpt, t5, t5_v1_1, transformer
from jaxdl.types import UserError

BERT, DISTILBERT = "Devlin et al. 2018, arXiv:1810.04805", "Sanh et al. 2019, arXiv:1910.01108"
GPT2, NANOGPT = "Radford et al. 2019", "Karpathy 2022, github.com/karpathy/nanoGPT"
T5, GATED = "Raffel et al. 2019, arXiv:1910.10683", "Shazeer 2020, arXiv:2002.05202"
MARIAN, VASWANI = "Junczys-Dowmunt et al. 2018, arXiv:1804.00344", "Vaswani et al. 2017, arXiv:1706.03762"


class SequenceInput(NamedTuple):
    """One model: `build(**options)` makes it; `length` is the length of the sequences it was made for."""

    build: partial[nn.Module]
    length: int
    source: str

    @property
    def count(self) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]  (a tuple's own counts its elements)
        """Number of token arrays that the model reads."""
        return 2 if self.build.args[0] is EncoderDecoder else 1


def of(model: type[nn.Module], config: Callable[..., Config], **options: Any) -> nn.Module:
    """Make a model of a `Config`. Options that are arguments of the model go to the model, the others to the `Config`."""
    own = {field.name for field in fields(model)} - {"config", "parent", "name"}
    inner = {name: value for name, value in options.items() if name not in own}
    unknown = sorted(inner.keys() - {field.name for field in fields(Config)} - {"length"})
    if unknown:
        raise UserError(f"{unknown[0]}={inner[unknown[0]]!r}: this model has no such option")
    return model(config(**inner), **{name: value for name, value in options.items() if name in own})


classifier = partial(partial, of, SequenceClassifier, classes=2)
LANGUAGE: dict[str, SequenceInput] = {
    "bert_base": SequenceInput(partial(of, PooledEncoder, bert), 512, BERT),
    "bert_large": SequenceInput(partial(of, PooledEncoder, partial(bert, "large")), 512, BERT),
    "bert_base_encoder": SequenceInput(partial(of, Encoder, bert), 512, BERT),
    "bert_base_mlm": SequenceInput(partial(of, MaskedLanguageModel, bert), 512, BERT),
    "bert_base_classifier": SequenceInput(classifier(bert), 512, BERT),
    "distilbert": SequenceInput(partial(of, Encoder, distilbert), 512, DISTILBERT),
    "distilbert_mlm": SequenceInput(partial(of, MaskedLanguageModel, distilbert), 512, DISTILBERT),
    "distilbert_classifier": SequenceInput(classifier(distilbert, act=relu), 512, DISTILBERT),
    "gpt2": SequenceInput(partial(of, Decoder, gpt2), 1024, GPT2),
    **{
        f"gpt2_{size}": SequenceInput(partial(of, Decoder, partial(gpt2, size)), 1024, GPT2)
        for size in ("medium", "large", "xl")
    },
    "nanogpt_char": SequenceInput(partial(of, Decoder, nanogpt), 256, NANOGPT),
    "nanogpt_cpu": SequenceInput(partial(of, Decoder, partial(nanogpt, "cpu")), 64, NANOGPT),
    **{
        f"t5_{size}": SequenceInput(partial(of, EncoderDecoder, partial(t5, size)), 512, T5)
        for size in ("small", "base", "large")
    },
    **{
        f"t5_v1_1_{size}": SequenceInput(partial(of, EncoderDecoder, partial(t5_v1_1, size)), 512, GATED)
        for size in ("small", "base")
    },
    "marian": SequenceInput(partial(of, EncoderDecoder, marian), 512, MARIAN),
    **{
        f"transformer_{size}": SequenceInput(partial(of, EncoderDecoder, partial(transformer, size)), 512, VASWANI)
        for size in ("base", "big")
    },
}
"""Entries by name; part of `jaxdl.models.catalog.MODELS`."""
