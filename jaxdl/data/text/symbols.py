"""What a tokenizer is, and those that need no learning: characters, words, known parts, bytes.

Numbers below `len(specials)` are special tokens, which stand for no text: padding `<pad>`, unknown `<unk>`, the start `<s>`
and the end `</s>` of a sequence; a tokenizer has those it was made with, the others are None.
"""

import re
import sys
import unicodedata
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache, cached_property
from typing import Any, ClassVar, cast

import numpy as np
from jaxtyping import Int

from jaxdl.types import UserError

PAD, UNKNOWN, START, END = "<pad>", "<unk>", "<s>", "</s>"
SPECIALS = (PAD, UNKNOWN, START, END)
Tokens = Int[np.ndarray, "n"]


class Tokenizer(ABC):
    """Text to numbers and back: what a data set, a task and `generate` need. Equal ones are equal values (`==`, `hash`)."""

    kind: ClassVar[str]
    earlier: ClassVar[Mapping[str, Any]] = {}
    """Fields that files of earlier versions lack, with the values that they meant."""
    specials: tuple[str, ...]

    @property
    @abstractmethod
    def size(self) -> int:
        """How many tokens there are, special ones included."""

    @abstractmethod
    def encode(self, text: str) -> Tokens:
        """The tokens of a text, int32, without start and end. ValueError names what has no token, if there is no `<unk>`."""

    @abstractmethod
    def decode(self, tokens: Iterable[int]) -> str:
        """The text of tokens; special ones but `<unk>` are left out."""

    def encode_all(self, texts: Sequence[str]) -> list[Tokens]:
        """The tokens of each text."""
        return [self.encode(text) for text in texts]

    def missing(self, text: str) -> list[str]:
        """The symbols of a text that have no token of their own, each once, in order."""
        del text
        return []

    def _number(self, special: str) -> int | None:
        return self.specials.index(special) if special in self.specials else None

    pad = property(lambda self: self._number(PAD))
    unknown = property(lambda self: self._number(UNKNOWN))
    start = property(lambda self: self._number(START))
    end = property(lambda self: self._number(END))

    def to_json(self) -> dict[str, Any]:
        """`{"kind": ..., ...}`; `from_json` makes an equal tokenizer of it."""
        return {"kind": self.kind, **{f.name: getattr(self, f.name) for f in fields(cast(Any, self))}}


class _Symbols(Tokenizer):
    """A table of symbols, numbered behind the special tokens."""

    symbols: tuple[str, ...]

    @abstractmethod
    def pieces(self, text: str) -> Sequence[str]:
        """The symbols of a text, in order."""

    @property
    def size(self) -> int:
        return len(self.specials) + len(self.symbols)

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {symbol: i for i, symbol in enumerate(self.symbols, len(self.specials))}

    def encode(self, text: str) -> Tokens:
        pieces, numbers, unknown = self.pieces(text), self._numbers, self.unknown
        if unknown is None:
            try:
                return np.fromiter((numbers[p] for p in pieces), np.int32, len(pieces))
            except KeyError:
                raise UserError(f"the tokenizer does not know {named(self.missing(text))}") from None
        return np.fromiter((numbers.get(p, unknown) for p in pieces), np.int32, len(pieces))

    def missing(self, text: str) -> list[str]:
        return [p for p in dict.fromkeys(self.pieces(text)) if p not in self._numbers]

    def _texts(self, tokens: Iterable[int]) -> Iterator[str]:
        first = len(self.specials)
        for token in np.asarray(tokens).reshape(-1).tolist():
            if token >= first:
                yield self.symbols[token - first]
            elif token == self.unknown:
                yield UNKNOWN


@dataclass(frozen=True)
class Characters(_Symbols):
    """One token a character.

    >>> tokenizer = Characters.of("hello")
    >>> tokenizer.size, tokenizer.encode("hole").tolist(), tokenizer.decode([1, 3])
    (4, [1, 3, 2, 0], 'ho')
    """

    kind: ClassVar[str] = "characters"
    symbols: tuple[str, ...]
    specials: tuple[str, ...] = ()

    @classmethod
    def of(cls, texts: str | Iterable[str], *, specials: Sequence[str] = ()) -> "Characters":
        """Every character of the text(s), in Unicode's order."""
        found = set(texts) if isinstance(texts, str) else set().union(*map(set, texts))
        return cls(tuple(sorted(found)), tuple(specials))

    def pieces(self, text: str) -> str:
        return text

    def decode(self, tokens: Iterable[int]) -> str:
        return "".join(self._texts(tokens))


@dataclass(frozen=True)
class Words(_Symbols):
    """One token a word or punctuation mark; rare words are `<unk>`. Decoded with single spaces, none before ,.;:!?)

    A word is letters, digits and their combining marks (Unicode's category M) and joiners (U+200C, U+200D), in normal form C;
    an emoji of several characters is one mark. With `marks` = False, the rule of earlier versions, marks and joiners are tokens
    of their own and no text is normalised.

    >>> tokenizer = Words.of(["to be, or not to be"], specials=("<unk>",))
    >>> tokenizer.symbols, tokenizer.decode(tokenizer.encode("to be, or else"))
    (('be', 'to', ',', 'not', 'or'), 'to be, or <unk>')
    """

    kind: ClassVar[str] = "words"
    symbols: tuple[str, ...]
    earlier: ClassVar[Mapping[str, Any]] = {"marks": False}
    specials: tuple[str, ...] = SPECIALS
    lower: bool = False
    marks: bool = True

    @classmethod
    def of(
        cls,
        texts: Iterable[str],
        *,
        size: int | None = None,
        least: int = 1,
        lower: bool = False,
        specials: Sequence[str] = SPECIALS,
    ) -> "Words":
        """The words seen `least` times or more, the most frequent first (ties by alphabet), `size` tokens in all."""
        if size is not None and size <= len(specials):
            raise UserError(f"size = {size} leaves no room for words beside {len(specials)} special tokens")
        empty = cls((), tuple(specials), lower)
        counts = Counter(piece for text in texts for piece in empty.pieces(text))
        ordered = sorted((w for w, n in counts.items() if n >= least), key=lambda w: (-counts[w], w))
        return cls(tuple(ordered[: None if size is None else size - len(specials)]), tuple(specials), lower)

    def pieces(self, text: str) -> list[str]:
        text = text.lower() if self.lower else text
        if not self.marks or text.isascii():
            return re.findall(r"\w+(?:['’]\w+)*|[^\w\s]", text)
        return _word_pattern().findall(unicodedata.normalize("NFC", text))

    def decode(self, tokens: Iterable[int]) -> str:
        closing = ",.;:!?)" + CLOSING * self.marks
        return re.sub(rf" ([{closing}])", r"\1", " ".join(self._texts(tokens)))


CLOSING = "…।॥،؛؟۔"
"""Punctuation of Hindi, Arabic, Persian and Urdu that follows a word without a space, as ,.;:!?) do."""


@cache
def _word_pattern() -> re.Pattern[str]:
    """Words with their marks; emoji with theirs, joined by U+200D, or a flag of two letters; any other character."""
    found = "".join(chr(c) for c in range(0x300, sys.maxunicode + 1) if unicodedata.category(chr(c))[0] == "M")
    word = rf"[\w{found}\u200c\u200d]"
    tail = rf"[{found}\u200c\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]*"  # with tones of skin, and the tags of flags
    emoji = rf"[^\w\s]{tail}(?:\u200d[^\w\s]?{tail})*"
    return re.compile(rf"\w{word}*(?:['’׳״]{word}+)*|[\U0001f1e6-\U0001f1ff]{{2}}|{emoji}")


@dataclass(frozen=True)
class Parts(_Symbols):
    """One token a known part, the longest that fits first; what is between them letter by letter, if those are parts, too.

    >>> tokenizer = Parts(("drei", "hundert", "und"))
    >>> tokenizer.encode("dreihundert").tolist(), tokenizer.decode([0, 2])
    ([0, 1], 'dreiund')
    """

    kind: ClassVar[str] = "parts"
    symbols: tuple[str, ...]
    specials: tuple[str, ...] = ()

    def pieces(self, text: str) -> list[str]:
        return re.findall("|".join([*map(re.escape, sorted(self.symbols, key=len, reverse=True)), "(?s:.)"]), text)

    def decode(self, tokens: Iterable[int]) -> str:
        return "".join(self._texts(tokens))


@dataclass(frozen=True)
class Bytes(Tokenizer):
    """One token a byte of UTF-8: no text is unknown, none needs a vocabulary.

    >>> Bytes().encode("é").tolist(), Bytes().decode([195, 169]), Bytes(specials=("<pad>",)).size
    ([195, 169], 'é', 257)
    """

    kind: ClassVar[str] = "bytes"
    specials: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        return 256 + len(self.specials)

    def encode(self, text: str) -> Tokens:
        return np.frombuffer(text.encode(), np.uint8).astype(np.int32) + len(self.specials)

    def decode(self, tokens: Iterable[int]) -> str:
        values = np.asarray(tokens, np.int64).reshape(-1) - len(self.specials)
        return bytes(values[values >= 0].tolist()).decode(errors="replace")


def named(symbols: Sequence[str], most: int = 10) -> str:
    """'ä', 'ö' and 3 more: for messages."""
    rest = f" and {len(symbols) - most} more" if len(symbols) > most else ""
    return ", ".join(repr(s) for s in symbols[:most]) + rest
