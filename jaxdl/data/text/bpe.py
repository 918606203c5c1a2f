"""Byte-pair encoding, learned from texts or read from a `tokenizer.json`; by the package `tokenizers`."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from jaxdl import extras
from jaxdl.data.text.symbols import END, PAD, START, UNKNOWN, Tokenizer, Tokens
from jaxdl.types import UserError


@dataclass(frozen=True)
class BPE(Tokenizer):
    """Byte-pair encoding over bytes: frequent strings are one token, no text is unknown.

    `model` is the `tokenizer.json` of the package `tokenizers`, as text. Source: Sennrich et al. 2016, arXiv:1508.07909; over
    bytes: Radford et al. 2019.
    """

    kind: ClassVar[str] = "bpe"
    model: str
    specials: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, texts: str | Iterable[str], *, size: int, specials: Sequence[str] = (), least: int = 2, lower: bool = False
    ) -> "BPE":
        """Learned from texts: pairs seen at least `least` times are joined, the most frequent first, up to `size` tokens."""
        if size < 256 + len(specials):
            raise UserError(f"size = {size}: the 256 bytes and {len(specials)} special tokens come first, take more")
        package = _package()
        learner = package.Tokenizer(package.models.BPE())
        if lower:
            learner.normalizer = package.normalizers.Lowercase()
        learner.pre_tokenizer = package.pre_tokenizers.ByteLevel(add_prefix_space=False)
        learner.decoder = package.decoders.ByteLevel()
        trainer = package.trainers.BpeTrainer(
            vocab_size=size,
            min_frequency=least,
            special_tokens=list(specials),
            show_progress=False,
            initial_alphabet=sorted(package.pre_tokenizers.ByteLevel.alphabet()),
        )
        learner.train_from_iterator(texts.splitlines(True) if isinstance(texts, str) else texts, trainer)
        return cls(learner.to_str(), tuple(specials))

    @property
    def _learned(self) -> Any:
        return _read_model(self.model, self.kind == BPE.kind)

    @property
    def size(self) -> int:
        return self._learned.get_vocab_size()

    def encode(self, text: str) -> Tokens:
        """What looks like a special token in a text, `</s>`, is text: nothing but a data set and a task ends a sequence."""
        return np.asarray(self._learned.encode(text, add_special_tokens=False).ids, np.int32)

    def encode_all(self, texts: Sequence[str]) -> list[Tokens]:
        found = self._learned.encode_batch_fast(texts, add_special_tokens=False)
        return [np.asarray(encoding.ids, np.int32) for encoding in found]

    def decode(self, tokens: Iterable[int]) -> str:
        return self._learned.decode(np.asarray(tokens).reshape(-1).tolist(), skip_special_tokens=True)


@dataclass(frozen=True)
class HuggingFace(BPE):
    """Any `tokenizer.json` that was made elsewhere: its special tokens go by other names and stand anywhere in its numbers.

    It reads special tokens in a text as its own library does: there `<|endoftext|>` is one token.
    """

    kind: ClassVar[str] = "huggingface"
    NAMES: ClassVar[dict[str, tuple[str, ...]]] = {
        PAD: (PAD, "[PAD]"),
        UNKNOWN: (UNKNOWN, "[UNK]"),
        START: (START, "[CLS]", "<|endoftext|>"),
        END: (END, "[SEP]", "<|endoftext|>"),
    }

    def encode_framed(self, texts: Sequence[str]) -> list[Tokens]:
        """Texts with the special tokens that the file puts around a text: [CLS] and [SEP], </s>."""
        return [np.asarray(encoding.ids, np.int32) for encoding in self._learned.encode_batch(list(texts))]

    def _number(self, special: str) -> int | None:
        found = (self._learned.token_to_id(name) for name in self.NAMES[special])
        return next((number for number in found if number is not None), None)


def _package() -> Any:
    try:
        import tokenizers
        from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers
    except ModuleNotFoundError as error:
        raise extras.missing("byte-pair encoding", error, "bpe") from None
    del decoders, models, normalizers, pre_tokenizers, trainers  # imported, hence attributes of the package
    return tokenizers


@lru_cache(maxsize=8)
def _read_model(model: str, plain: bool) -> Any:
    """The package's own object; `plain`: special tokens that stand in a text are read as its other characters are.

    Many files of the hub hold settings of the last call of their author, which would cut every text or pad every prompt.
    """
    package = _package()
    try:
        made = package.Tokenizer.from_str(model)
    except Exception as error:  # the package raises nothing more specific
        first = str(error).partition("\n")[0]
        raise UserError(f"the text is no tokenizer.json that the package tokenizers reads: {first}") from error
    made.encode_special_tokens = plain
    made.no_truncation()
    made.no_padding()
    return made
