"""Sentences and their translations: two text files of equal length (gzipped or not), tokenizers, batches of similar length.

    data = from_files("train.en.gz", "train.de.gz", batch=64, vocab=8000)
    data.encode(["A dog runs."])          tokens as the model reads them; data.decode(outputs)["text"] the way back

A row of tokens is the sentence, the end token, and padding. Target rows have no start token: the task puts it in front.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Int

from jaxdl.counts import check_count, check_counts
from jaxdl.data import files
from jaxdl.data.order import permute
from jaxdl.data.text.buckets import Buckets
from jaxdl.data.text.parallel import Pair, PathLike, drawn, find_files, read_parallel, read_sentences
from jaxdl.data.text.tokenizers import BPE, SPECIALS, Bytes, Characters, Parts, Tokenizer, Words, kept, named, summary
from jaxdl.types import UserError

__all__ = [
    "Pair",
    "Parallel",
    "find_files",
    "from_files",
    "from_pairs",
    "number_parts",
    "number_table",
    "number_tokenizers",
]
__all__ += ["number_words", "read_parallel", "read_sentences"]

Kind = Literal["bpe", "words", "characters", "bytes"]


@dataclass(frozen=True, eq=False)
class Parallel(Buckets):
    """Pairs of sentences as tokens, and the tokenizers of both sides (the same one twice, if it is joint)."""

    @property
    def source_tokenizer(self) -> Tokenizer:
        return self.tokenizers.get("tokenizer") or self.tokenizers["source"]

    @property
    def target_tokenizer(self) -> Tokenizer:
        return self.tokenizers.get("tokenizer") or self.tokenizers["target"]

    def encode(self, texts: Sequence[str]) -> Int[np.ndarray, "n source"]:
        """Sentences as the model reads them. ValueError names one that is empty, too long or holds unknown words."""
        rows = []
        for i, text in enumerate(texts, 1):
            if unknown := self.source_tokenizer.missing(text.strip()):
                raise UserError(f"sentence {i} holds {named(unknown)}, unknown to the model: {text[:40]!r}")
            tokens = self.source_tokenizer.encode(text.strip())
            if not 1 <= len(tokens) < self.shape[0]:
                why = f"has {len(tokens)} tokens, the model was trained on 1 to {self.shape[0] - 1}"
                raise UserError(f"sentence {i} {why}: {text[:40]!r}")
            rows.append(tokens)
        return padded_tokens(rows, self.source_tokenizer, self.shape[0])

    def decode(self, outputs: Mapping[str, Any]) -> dict[str, list[str]]:
        """`text`: what the tokens of a prediction say."""
        return {"text": [self.target_tokenizer.decode(row) for row in np.asarray(outputs["tokens"])]}

    def read(self, file: PathLike) -> dict[str, np.ndarray]:
        """A text file, one sentence a line, as inputs."""
        try:
            return {"x": self.encode(read_sentences(file))}
        except ValueError as error:
            raise UserError(str(error) if str(error).startswith(str(file)) else f"{file}: {error}") from None


def from_files(parts: Mapping[str, tuple[PathLike, PathLike]], *, name: str = "", **options: Any) -> Parallel:
    """A data set of parallel files: part -> (source file, target file). `options` are those of `from_pairs`.

    Without "validation" and "test" some of the training pairs are `drawn` for them, the same for every seed.
    """
    for part in ("validation", "test", "train"):
        for file in parts.get(part, ()):
            files.existing(Path(file).expanduser())
    stamps = tuple(
        (part, *(str(Path(f).expanduser()) for f in pair), *(Path(f).expanduser().stat().st_mtime_ns for f in pair))
        for part, pair in parts.items()
    )
    return from_pairs(*_read_parts(stamps), name=name or Path(next(iter(parts["train"]))).parent.name, **options)


@lru_cache(maxsize=4)
def _read_parts(stamps: tuple[tuple[Any, ...], ...]) -> tuple[tuple[tuple[str, tuple[Pair, ...]], ...], str]:
    pairs = {part: tuple(read_parallel(source, target)) for part, source, target, *_ in stamps}
    missing = [part for part in ("validation", "test") if part not in pairs]
    if not missing:
        return tuple(pairs.items()), "the files' own"
    more, made = drawn(pairs["train"], missing, source={part: source for part, source, *_ in stamps}["train"])
    return tuple((pairs | more).items()), made


def from_pairs(
    pairs: tuple[tuple[str, tuple[Pair, ...]], ...],
    made: str = "given",
    *,
    batch: int,
    tokens: Kind | tuple[Kind, Kind] = "bpe",
    vocab: int = 8000,
    joint: bool = True,
    tokenizers: tuple[Tokenizer, Tokenizer] | None = None,
    longest: int = 100,
    buckets: int = 4,
    window: int = 8,
    name: str = "",
) -> Parallel:
    """A data set of pairs of sentences by part, as nested tuples; made once a process for the same values.

    Args:
        pairs: (("train", ((source, target), ...)), ("validation", ...), ...).
        made: how the parts came about, for the report.
        batch: pairs in a training step.
        tokens: what a token is, on both sides or (source, target).
        vocab: how many tokens BPE and words learn, from the training split.
        joint: one vocabulary for both sides.
        tokenizers: these (source, target) instead of learned ones.
        longest: tokens of a side, end included, above which a training pair is left out (and the report says how many).
        buckets, window: see `Buckets`.
        name: what the report calls the set.
    """
    check_counts(batch=batch, vocab=vocab, longest=longest, buckets=buckets, window=window)
    kinds = (tokens, tokens) if isinstance(tokens, str) else tokens
    if joint and kinds[0] != kinds[1]:
        raise UserError(f"joint = True needs one kind of tokens, got {kinds[0]} and {kinds[1]}: take joint=False")
    train = dict(pairs)["train"]
    if tokenizers is not None:
        pass
    elif joint:
        both = kept("tokenizer", lambda: _learned(train, (0, 1), kinds[0], vocab))
        tokenizers = (both, both)
    else:
        source = kept("source", lambda: _learned(train, (0,), kinds[0], vocab))
        tokenizers = source, kept("target", lambda: _learned(train, (1,), kinds[1], vocab))
    return _tokenized(pairs, tokenizers, (batch, buckets, window), longest, name, made)


@lru_cache(maxsize=8)
def _learned(train: tuple[Pair, ...], sides: tuple[int, ...], kind: Kind, vocab: int) -> Tokenizer:
    texts = [pair[side] for side in sides for pair in train]
    make: Mapping[str, Callable[[], Tokenizer]] = {
        "bpe": lambda: BPE.of(texts, size=vocab, specials=SPECIALS),
        "words": lambda: Words.of(texts, size=vocab),
        "characters": lambda: Characters.of(texts, specials=SPECIALS),
        "bytes": lambda: Bytes(specials=SPECIALS),
    }
    if kind not in make:
        raise UserError(f"tokens = {kind!r}: take one of {named(list(make))}")
    return make[kind]()


@lru_cache(maxsize=8)
def _tokenized(
    pairs: tuple[tuple[str, tuple[Pair, ...]], ...],
    tokenizers: tuple[Tokenizer, Tokenizer],
    sizes: tuple[int, int, int],
    longest: int,
    name: str,
    made: str,
) -> Parallel:
    splits, said, tokens = {}, made, ([], [])
    for part, lines in pairs:
        x, y = ([tokenizer.encode(line[side]) for line in lines] for side, tokenizer in enumerate(tokenizers))
        if part == "train":
            fits = [i for i in range(len(x)) if 0 < len(x[i]) < longest and 0 < len(y[i]) < longest]
            if not fits:
                raise UserError(f"longest = {longest}: every training pair is longer (the end token counts)")
            if len(fits) < len(x):
                said += f"; {len(x) - len(fits)} of {len(x)} training pairs left out (empty, or above {longest} tokens)"
            x, y = [x[i] for i in fits], [y[i] for i in fits]
        tokens[0].extend(x)
        tokens[1].extend(y)
        rows = {"x": padded_tokens(x, tokenizers[0]), "y": padded_tokens(y, tokenizers[1])}
        for array in rows.values():
            array.setflags(write=False)
        splits[part] = rows
    said += ", ".join(["", *(f"{len(arrays['x'])} {part}" for part, arrays in splits.items())])
    for side, tokenizer, rows in zip(("source", "target"), tokenizers, tokens, strict=True):
        said += f"; {side}: {summary(tokenizer, rows, of='sentences')}"
    source, target = tokenizers
    batch, buckets, window = sizes
    named_ = {"tokenizer": source} if source is target else {"source": source, "target": target}
    return Parallel(splits, batch, buckets, window, source.pad, name, said, named_)


def padded_tokens(rows: Sequence[Any], tokenizer: Tokenizer, width: int | None = None) -> Int[np.ndarray, "n width"]:
    """Rows of tokens, each with the end token behind it, padded to one width."""
    width = max((len(row) for row in rows), default=0) + 1 if width is None else width
    out = np.full((len(rows), width), tokenizer.pad, np.uint16 if tokenizer.size < 2**16 else np.int32)
    for i, row in enumerate(rows):
        out[i, : len(row)] = row
        out[i, len(row)] = tokenizer.end
    return out


# -- number words ----------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def number_table() -> tuple[tuple[str, str, str], ...]:
    """The numbers 0 to 9999 in English, German and French words (`bundled/make_number_words.py` wrote them).

    >>> number_table()[42]
    ('forty-two', 'zweiundvierzig', 'quarante-deux')
    """
    return tuple(tuple(line.split("\t")) for line in read_sentences(files.BUNDLED / "number_words.tsv.gz"))


def number_parts(train: int) -> dict[str, Int[np.ndarray, "n"]]:
    """Which numbers are for what: the first `train` of a fixed order of 0 … 9999; its last 1500 are validation and test."""
    check_count("train", train)
    if train > 8500:
        raise UserError(f"train = {train} must lie between 1 and 8500: 1500 of the 10,000 numbers are held out")
    order = permute(0, np.zeros(10_000, int), np.arange(10_000), 10_000)
    return {"train": order[:train], "validation": order[8500:9000], "test": order[9000:]}


GERMAN = """eins ein zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn sechzehn siebzehn
achtzehn neunzehn zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig hundert tausend und null""".split()
FRENCH = """un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize vingt vingts trente quarante
cinquante soixante cent cents mille et zéro""".split()


@lru_cache(maxsize=4)
def number_tokenizers(
    language: Literal["de", "fr"] = "de", tokens: Literal["parts", "letters"] = "parts"
) -> tuple[Tokenizer, Tokenizer]:
    """Of English number words (tokens: words), and of German or French ones: the parts that they are made of, or letters."""
    if language not in ("de", "fr"):
        raise UserError(f"language = {language!r}: take 'de' or 'fr'")
    if tokens not in ("parts", "letters"):
        raise UserError(f"tokens = {tokens!r}: take 'parts' or 'letters'")
    english, *others = zip(*number_table(), strict=True)
    parts = Parts(tuple(GERMAN if language == "de" else (*FRENCH, " ", "-")), SPECIALS)
    letters = Characters.of(others[language == "fr"], specials=SPECIALS)
    return Words.of(english), parts if tokens == "parts" else letters


def number_words(
    *,
    batch: int,
    language: Literal["de", "fr"] = "de",
    train: int = 3000,
    tokens: Literal["parts", "letters"] = "parts",
    buckets: int = 1,
    window: int = 8,
) -> Parallel:
    """English number words and German or French ones, of `train` numbers from 0 to 9999, 500 and 1000 for validation and test."""
    tokenizers = number_tokenizers(language, tokens)
    pairs = tuple(
        (part, tuple((table[0], table[1 + (language == "fr")]) for table in (number_table()[n] for n in numbers)))
        for part, numbers in number_parts(train).items()
    )
    return from_pairs(
        pairs,
        "numbers drawn from 0 to 9999 by a fixed order",
        batch=batch,
        tokenizers=tokenizers,
        buckets=buckets,
        window=window,
        name=f"number words, English to {'German' if language == 'de' else 'French'}",
    )
