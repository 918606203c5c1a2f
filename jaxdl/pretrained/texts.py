"""Imported text models at work: probabilities of classes, embeddings, answers such as translations."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxdl.data.text.tokenizers import HuggingFace, Tokens
from jaxdl.decode import beam_search, generate, step_of
from jaxdl.models.transformer import Encoder, EncoderDecoder
from jaxdl.models.transformer_heads import PooledEncoder, SequenceClassifier
from jaxdl.pretrained.text_settings import TextSettings
from jaxdl.types import UserError

ROWS, STRIDE = 32, 16
"""Most texts of one batch; widths of batches are multiples of STRIDE, so that few programs are compiled."""
Batch = tuple[Int[np.ndarray, "texts time"], Int[np.ndarray, "texts"]]


@dataclass(frozen=True)
class TextModel:
    """A text model with its tokenizer. Texts get the special tokens that the tokenizer's file puts around them."""

    name: str
    model: Any
    variables: Any
    tokenizer: HuggingFace
    settings: TextSettings

    def probabilities(self, texts: Sequence[str]) -> Float[np.ndarray, "texts classes"]:
        """Probabilities of the classes of a classifier."""
        if not isinstance(self.model, SequenceClassifier) or self.model.classes < 2:
            raise UserError(f"{self.name} does not give probabilities of classes: {self.gives}")
        return np.concatenate([self._classify(self.variables, *batch)[:n] for n, batch in self.batches(texts)])

    def embeddings(self, texts: Sequence[str]) -> Float[np.ndarray, "texts width"]:
        """One vector of length 1 a text: the mean of the hidden states of its tokens, or the state of the first."""
        if not isinstance(self.model, Encoder | PooledEncoder):
            raise UserError(f"{self.name} does not give embeddings: {self.gives}")
        return np.concatenate([self._embed(self.variables, *batch)[:n] for n, batch in self.batches(texts)])

    def answers(self, texts: Sequence[str], *, beams: int | None = None, steps: int | None = None) -> list[str]:
        """What an encoder-decoder writes to each text, by its likeliest tokens, or by a search with `beams`.

        `steps` is the most tokens of an answer. A search prefers the highest log p / length, as that of transformers does.
        """
        if not isinstance(self.model, EncoderDecoder):
            raise UserError(f"{self.name} does not answer with a text: {self.gives}")
        if not self.settings.begin or not self.settings.end:
            raise UserError(
                f"{self.name}: no config.json beside the weights said which tokens begin and end an answer; import again"
            )
        write = self._writer(beams, steps or self.settings.longest)
        return [
            self._said(*row)
            for n, batch in self.batches(texts)
            for row in zip(*(np.asarray(part)[:n] for part in write(self.variables, *batch)), strict=True)
        ]

    @property
    def gives(self) -> str:
        """What the model is for, with the command."""
        if isinstance(self.model, SequenceClassifier):
            return "`predict` gives classes" if self.model.classes > 1 else "it has one output"
        if isinstance(self.model, Encoder | PooledEncoder):
            return "`predict` gives embeddings"
        if isinstance(self.model, EncoderDecoder):
            return "`predict` gives its answers"
        return "`generate` continues texts" if hasattr(self.model, "start") else "it predicts masked tokens"

    def batches(self, texts: Sequence[str]) -> Iterator[tuple[int, Batch]]:
        """(texts, (tokens, lengths)) of each batch, padded to few shapes. Raises UserError for a text that does not fit."""
        rows = self.tokenizer.encode_framed(texts)
        position = self.model.config.position
        most = None if position is None else getattr(position(), "length", None)
        for number, row in enumerate(rows, 1):
            if not len(row) or len(row) > (most or len(row)):
                why = f"has {len(row):,} tokens, and the model reads {most:,}" if len(row) else "is empty"
                raise UserError(f"text {number} {why}: {texts[number - 1][:40]!r}")
        for start in range(0, len(rows), ROWS):
            part = rows[start : start + ROWS]
            yield len(part), padded(part, most)

    # -- programs, compiled once for each shape ---------------------------------------------------------------------------

    @cached_property
    def _classify(self) -> Callable:
        return jax.jit(lambda variables, *batch: jax.nn.softmax(self.model.apply(variables, *batch, train=False)))

    @cached_property
    def _embed(self) -> Callable:
        def embed(variables: Any, tokens: Any, lengths: Any) -> Any:
            hidden = self.model.apply(variables, tokens, lengths, train=False)
            hidden = hidden[0] if isinstance(hidden, tuple) else hidden
            if self.settings.pooling == "first":
                pooled = hidden[:, 0]
            else:
                seen = (jnp.arange(tokens.shape[1])[None] < lengths[:, None]).astype(hidden.dtype)
                pooled = jnp.einsum("btc,bt->bc", hidden, seen) / seen.sum(1, keepdims=True)
            return pooled / jnp.maximum(jnp.linalg.norm(pooled, axis=1, keepdims=True), 1e-12)

        return jax.jit(embed)

    @cached_property
    def _writers(self) -> dict[tuple[int | None, int], Callable]:
        return {}

    def _writer(self, beams: int | None, steps: int) -> Callable:
        if (beams, steps) not in self._writers:
            self._writers[beams, steps] = jax.jit(partial(self._write, beams, steps))
        return self._writers[beams, steps]

    def _write(self, beams: int | None, steps: int, variables: Any, tokens: Any, lengths: Any) -> tuple[Any, Any]:
        """Tokens and lengths of the answers."""
        begin, never = self.settings.begin, jnp.asarray(self.settings.never, jnp.int32)
        cache = self.model.apply(variables, tokens, len(begin) + steps, lengths, method="start")
        prompt = jnp.tile(jnp.asarray(begin, jnp.int32)[None], (len(tokens), 1))
        plain = step_of(self.model)

        def step(*given: Any) -> tuple[Any, Any]:
            logits, cache = plain(*given)
            return logits.at[..., never].set(-jnp.inf), cache

        if beams is None:
            found = generate(step, variables["params"], cache, prompt, steps=steps, end=self.settings.end)
            return found.tokens, found.lengths
        how = {"steps": steps, "end": self.settings.end, "beams": beams, "penalty": lambda n: n}
        best = beam_search(step, variables["params"], cache, prompt, **how)
        return best.tokens[:, 0], best.lengths[:, 0]

    def _said(self, tokens: Tokens, length: int) -> str:
        kept = tokens[:length]
        return self.tokenizer.decode(kept[~np.isin(kept, self.settings.end)])


def padded(rows: Sequence[Tokens], most: int | None = None) -> Batch:
    """Rows of tokens in one array whose height is a power of 2 and whose width a multiple of STRIDE, and their lengths.

    >>> padded([np.array([3, 4, 5]), np.array([6])])[1]
    array([3, 1])
    """
    lengths = np.array([len(row) for row in rows])
    height = 1 << (len(rows) - 1).bit_length()
    width = -(-int(lengths.max()) // STRIDE) * STRIDE
    tokens = np.zeros((height, min(width, most or width)), np.int32)
    for row, given in zip(tokens, rows, strict=False):
        row[: len(given)] = given
    return tokens, np.concatenate([lengths, np.ones(height - len(rows), lengths.dtype)])
