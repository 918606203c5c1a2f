"""Text for language models: files, random windows, contiguous streams, documents packed into rows.

Every row has `x` `(time,)`, the tokens, and `y` `(time,)`, the token after each, -100 where there is none; and `characters`, how
many characters its targets stand for, so that losses of different tokenizers compare.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from jaxdl.counts import check_counts
from jaxdl.data import files
from jaxdl.data.order import rows_of_step
from jaxdl.data.source import InMemory
from jaxdl.data.text.rows import IGNORE, cut, pack
from jaxdl.data.text.token_shards import TokenShards, shards
from jaxdl.data.text.tokenizers import Tokenizer, named, summary
from jaxdl.types import Batch, UserError

__all__ = [
    "IGNORE",
    "Stream",
    "Text",
    "TokenShards",
    "TokenWindows",
    "cut",
    "divide",
    "documents",
    "pack",
    "python_topics",
]
__all__ += ["read_any_text", "shards", "windows"]
FRACTIONS = {"train": 0.9, "validation": 0.1}

# -- files ------------------------------------------------------------------------------------------------------------


def read_any_text(path: str | Path, *, encoding: str = "utf-8") -> str:
    """The text of a file as `files.read_text` reads it, where "\\r" alone ends a line, too."""
    return files.read_text(path, encoding=encoding).replace("\r", "\n")


def python_topics() -> str:
    """What Python's own `help()` knows about its topics: half a million characters of English, in every installation.

    Python's documentation, PSF licence. It differs a little from one version of Python to the next.
    """
    from pydoc_data.topics import topics

    return "\n\n".join(topics[name].strip() for name in sorted(topics)) + "\n"


# -- data sets --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Text(InMemory):
    """Rows of tokens, in the order of the text; each is an example. Evaluation reads every row of a split once."""

    tokenizer: Tokenizer | None = None

    @property
    def tokenizers(self) -> Mapping[str, Tokenizer]:
        """What the run keeps in its folder."""
        return {} if self.tokenizer is None else {"tokenizer": self.tokenizer}

    @property
    def context(self) -> int:
        return self.splits["train"]["x"].shape[1]

    def _batch(self, x: Int[Array, "batch time"], y: Int[Array, "batch time"]) -> Batch:
        first = self.splits["train"]
        per_token = float(first["characters"][0]) / int((first["y"][0] != IGNORE).sum())
        counted = (y != IGNORE).sum(1) * jnp.float32(per_token)
        return {"x": x, "y": y, "characters": counted, "mask": jnp.ones(self.batch, jnp.float32)}


@dataclass(frozen=True, eq=False)
class TokenWindows(Text):
    """Training reads windows that begin anywhere in the text, each start once before any comes again."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.batch * self.splits["train"]["x"].size >= 2**31:
            raise UserError(
                f"{self.name}: batch · tokens passes 2³¹; take a smaller batch, contiguous=True, or `shards`"
            )

    @cached_property
    def _text(self) -> Mapping[str, np.ndarray]:
        x, y = (self.splits["train"][name].reshape(-1) for name in "xy")
        return {"tokens": np.concatenate([x[:1], y[y != IGNORE]])}

    def source(self, start: int, stop: int, seed: int) -> Mapping[str, np.ndarray]:
        return self._text

    def train_batch(self, source: Mapping[str, Array], seed: Any, step: Any) -> Batch:
        tokens = source["tokens"]
        starts = rows_of_step(seed, step, self.batch, len(tokens) - self.context)
        rows = jax.vmap(lambda at: jax.lax.dynamic_slice_in_dim(tokens, at, self.context + 1))(starts)
        return self._batch(rows[:, :-1], rows[:, 1:])


@dataclass(frozen=True, eq=False)
class Stream(Text):
    """Row r of step t continues row r of step t-1, for models that carry their state (truncated back-propagation).

    The text is cut into `batch` equal parts; row r reads part r, then part r + 1, and after the last part the first: where a part
    ends nothing breaks off, as the next one goes on from there. Fewer than batch·context tokens at the end of the text are not
    read. The order does not depend on the seed.
    """

    @property
    def steps_per_epoch(self) -> int:
        return int((self.splits["train"]["y"] != IGNORE).all(1).sum()) // self.batch

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.steps_per_epoch:
            raise UserError(
                f"{self.name}: is too short for batch={self.batch} rows of {self.context} tokens; take fewer"
            )

    @cached_property
    def _text(self) -> Mapping[str, np.ndarray]:
        rows = self.steps_per_epoch * self.batch
        return {name: self.splits["train"][name][:rows] for name in ("x", "y")}

    def source(self, start: int, stop: int, seed: int) -> Mapping[str, np.ndarray]:
        return self._text

    def train_batch(self, source: Mapping[str, Array], seed: Any, step: Any) -> Batch:
        per_part = self.steps_per_epoch
        part = (jnp.arange(self.batch, dtype=jnp.int32) + step // per_part) % self.batch
        rows = part * per_part + step % per_part
        x, y = (jnp.take(source[name], rows, axis=0) for name in ("x", "y"))
        return self._batch(x, y)


def divide(text: str, fractions: Mapping[str, float] = FRACTIONS, *, source: str = "the text") -> dict[str, str]:
    """A text cut into contiguous parts: neighbours are alike, so a random draw of windows would test what was trained."""
    edges = [int(len(text) * edge) for edge in np.cumsum([0.0, *fractions.values()]) / sum(fractions.values())]
    parts = {name: text[a:b] for name, a, b in zip(fractions, edges[:-1], edges[1:], strict=True)}
    short = [name for name, part in parts.items() if len(part) < 2]
    if short:
        raise UserError(f"{source}: {len(text)} characters are too few, nothing is left for {' and '.join(short)}")
    return parts


def windows(
    text: str,
    tokenizer: Tokenizer,
    *,
    batch: int,
    context: int,
    contiguous: bool = False,
    fractions: tuple[tuple[str, float], ...] = tuple(FRACTIONS.items()),
    name: str = "text",
) -> Text:
    """A text as a data set: `Windows` at random in training, or, if `contiguous`, a `Stream`. Equal calls give one object.

    Args:
        text: all of it; it is cut into contiguous parts, by default the last 10 % for validation.
        tokenizer: must know every character, or have `<unk>`.
        batch, context: rows of a step, tokens of a row.
        name: what errors and the report call it.
    """
    check_counts(batch=batch, context=context)
    if not isinstance(text, str) or not hasattr(tokenizer, "encode"):
        kinds = f"{type(text).__name__} and {type(tokenizer).__name__}"
        raise UserError(f"{name}: expected a text and a tokenizer (jaxdl.data.text.tokenizers), got {kinds}")
    return _windows(text, tokenizer, batch, context, contiguous, fractions, name)


@lru_cache(maxsize=8)
def _splits(
    text: str, tokenizer: Tokenizer, context: int, fractions: tuple, name: str
) -> tuple[Mapping[str, Mapping[str, np.ndarray]], str]:
    unknown = tokenizer.missing(text) if tokenizer.unknown is None else []
    if unknown:
        raise UserError(f"{name}: holds {named(unknown)}, which the tokenizer does not know")
    parts, splits, encoded = divide(text, dict(fractions), source=name), {}, []
    for part, content in parts.items():
        tokens = tokenizer.encode(content)
        encoded.append(tokens)
        if len(tokens) < (context + 1 if part == "train" else 2):
            raise UserError(f"{name}: {len(tokens)} tokens for {part} are too few for a context of {context}")
        splits[part] = cut(tokens, context, len(content) / len(tokens))
        for array in splits[part].values():
            array.flags.writeable = False
    sizes = " / ".join(f"{int((rows['y'] != IGNORE).sum()) + 1:,} {part}" for part, rows in splits.items())
    made = f"{sizes} tokens, contiguous parts in this order; evaluated in windows of {context}, each alone"
    return splits, f"{made}; {summary(tokenizer, encoded, characters=len(text))}"


@lru_cache(maxsize=8)
def _windows(
    text: str, tokenizer: Tokenizer, batch: int, context: int, contiguous: bool, fractions: tuple, name: str
) -> Text:
    splits, split = _splits(text, tokenizer, context, fractions, name)
    kind = Stream if contiguous else TokenWindows
    return kind(splits, batch, name=name, split=split, tokenizer=tokenizer)


def documents(
    texts: Mapping[str, Sequence[str]],
    tokenizer: Tokenizer,
    *,
    batch: int,
    context: int,
    whole: bool = False,
    name: str = "text",
) -> Text:
    """Documents by split, packed into rows (`pack`), each ending in the tokenizer's `</s>` where it has one."""
    check_counts(batch=batch, context=context)
    end = [] if tokenizer.end is None else [tokenizer.end]
    splits, rows_of_all = {}, []
    for part, several in texts.items():
        encoded = [np.concatenate([tokenizer.encode(text), np.asarray(end, np.int32)]) for text in several]
        rows = pack(encoded, context, whole=whole)
        per_token = sum(map(len, several)) / max(sum(map(len, encoded)), 1)
        counted = ((rows["y"] != IGNORE).sum(1) * per_token).astype(np.float32)
        splits[part] = {**rows, "characters": counted}
        rows_of_all += encoded
    sizes = " / ".join(f"{len(several)} {part}" for part, several in texts.items())
    split = f"{sizes} documents, packed into rows of {context} tokens; none sees another"
    split += f"; {summary(tokenizer, rows_of_all, of='documents', characters=sum(map(len, chain(*texts.values()))))}"
    return Text(splits, batch, name=name, split=split, tokenizer=tokenizer)
