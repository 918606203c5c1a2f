"""Language modelling: predict the next token from those before it, or masked tokens from all others."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.calling import takes
from jaxdl.counts import check_count
from jaxdl.losses.sequence import label_smoothed_nll, tiled_nll
from jaxdl.tasks.forward import forward, initialise
from jaxdl.tracing import row_numbers
from jaxdl.types import Array, Batch, Key, Metrics, ModelState, Params, Task, UserError, Variables

IGNORE = -100
"""The target of places without a loss: padding, the end of a document."""


def sums(nll: Array, hit: Array, valid: Array, batch: Batch) -> Metrics:
    """Sums over tokens: loss in nats, accuracy and, if the batch has `characters` (how many a row covers), bits per character."""
    total, count = jnp.sum(nll), jnp.sum(valid)
    metrics = {"loss": (total, count), "accuracy": (jnp.sum(hit * valid), count)}
    if "characters" in batch:
        metrics["bits_per_character"] = (total / math.log(2), jnp.sum(batch["characters"] * batch["mask"]))
    return metrics


@dataclass(frozen=True, eq=False)
class NextToken(Task):
    """Minimise the mean negative log-likelihood of the next token.

        L = -Σ_it m_it log p(y_it | x_i1 … x_it) / Σ_it m_it        m: mask of the row, and 0 where y is -100

    `x` and `y` are `(batch, time)`. If the data have `segments` and `positions` (packed documents), they are passed to the
    model, which must take them, as `Decoder` and `MaskedLanguageModel` do.

    Args:
        model: tokens -> logits `(batch, time, vocab)`, such as `Decoder(config)` or `LanguageModel(vocab, core=...)`; its
            tokens must be below its attribute `vocab` (or `config.vocab`). The collection `carry` of a `stateful` model is
            kept per row from one step to the next.
        smoothing: label smoothing in training. The loss of an evaluation is never smoothed.
        tile: number of tokens of the vocabulary whose logits are computed at a time (`losses.tiled_nll`), to save memory with a
            large vocabulary. The model must take `factored`, as `Decoder` does. None: all at once.

    Metrics: `loss` (nats a token), `accuracy`, `bits_per_character`, and `perplexity` = exp(loss) of a whole split.
    """

    model: Any
    smoothing: float | Array = 0.0
    tile: int | None = None
    metric: tuple[str, str] = ("loss", "min")
    reduce: Mapping[str, str] = field(default_factory=lambda: {"carry": "example"})

    def __post_init__(self) -> None:
        check_count("tile", self.tile)
        if self.tile is not None and not takes(self.model, "factored"):
            raise UserError(f"tile = {self.tile} needs a model that takes factored=True, as Decoder(config) does")

    @property
    def directions(self) -> Mapping[str, str]:
        """Whether more or less of a metric is better."""
        return {"accuracy": "max", "bits_per_character": "min", "perplexity": "min"}

    def init(self, key: Key, batch: Batch) -> Variables:
        return initialise(self.model, key, batch["x"], **self.options(batch))

    def options(self, batch: Batch) -> dict[str, Array]:
        """The keywords that separate packed documents; raises UserError if the model does not take them."""
        found = {name: batch[name] for name in ("segments", "positions") if name in batch}
        unread = [name for name in found if not takes(self.model, name)]
        if unread:
            kind = type(self.model).__name__
            raise UserError(
                f"the data pack documents, but {kind} takes no {unread[0]}: use a Transformer, or text.windows"
            )
        return found

    def outputs(
        self, params: Params, model_state: ModelState, batch: Batch, key: Key, *, train: bool, **more: bool
    ) -> tuple[Any, ModelState]:
        options = self.options(batch) | more
        return forward(self.model, params, model_state, batch["x"], key=key, train=train, **options)

    def logits(
        self, params: Params, model_state: ModelState, batch: Batch, key: Key, *, train: bool
    ) -> tuple[Array, ModelState]:
        """The logits in float32, whatever the precision of the model."""
        logits, model_state = self.outputs(params, model_state, batch, key, train=train)
        return logits.astype(jnp.float32), model_state

    def scores(
        self, params: Params, model_state: ModelState, batch: Batch, key: Key, y: Array, valid: Array, *, train: bool
    ) -> tuple[Array, Array, ModelState]:
        """The loss of each token, the most probable token, and the model state."""
        how: dict[str, Any] = {"smoothing": self.smoothing if train else 0.0, "mask": valid}
        if self.tile is None:
            logits, model_state = self.logits(params, model_state, batch, key, train=train)
            return label_smoothed_nll(logits, y, **how), jnp.argmax(logits, -1), model_state
        (hidden, table, bias), model_state = self.outputs(params, model_state, batch, key, train=train, factored=True)
        return *tiled_nll(hidden, table, y, tile=self.tile, bias=bias, **how), model_state

    def objective(
        self, params: Params, model_state: ModelState, batch: Batch, key: Key, step: Array, *, train: bool
    ) -> tuple[Array, tuple[ModelState, Metrics]]:
        y = batch["y"]
        valid = batch["mask"][:, None] * (y != IGNORE)
        nll, best, model_state = self.scores(params, model_state, batch, key, y, valid, train=train)
        metrics = sums(nll, best == y, valid, batch)
        total, count = metrics["loss"]
        return total / jnp.maximum(count, 1), (model_state, metrics)

    def predict(self, params: Params, model_state: ModelState, batch: Batch, key: Key) -> dict[str, Array]:
        """`next` `(batch, time)`, the most probable next token; `log_likelihood` `(batch, time)` of the true next token."""
        x = batch["x"]
        y = batch["y"] if "y" in batch else jnp.concatenate([x[:, 1:], jnp.full_like(x[:, :1], IGNORE)], 1)
        nll, best, _ = self.scores(params, model_state, batch, key, y, y != IGNORE, train=False)
        return {"next": best, "log_likelihood": -nll}

    def report(self, outputs: dict[str, np.ndarray], targets: np.ndarray) -> dict[str, Any]:
        counts = targets != IGNORE
        if not counts.any():  # in a short text possibly no token was masked
            return {}
        return {"perplexity": float(np.exp(-outputs["log_likelihood"][counts].mean(dtype=np.float64)))}

    def check(self, targets: np.ndarray) -> None:
        """Raise UserError for targets outside the model's vocabulary: inside a program they would be clipped."""
        if not np.issubdtype(targets.dtype, np.integer):
            raise UserError(f"tokens must be integers, got {targets.dtype}")
        self.check_tokens(targets[targets != IGNORE], f", or be {IGNORE}")

    def check_tokens(self, tokens: np.ndarray, more: str = "") -> None:
        """Raise UserError for inputs outside the model's vocabulary."""
        vocab = getattr(self.model, "vocab", None) or getattr(getattr(self.model, "config", None), "vocab", None)
        bad = [] if vocab is None else tokens[(tokens < 0) | (tokens >= vocab)]
        if vocab is not None and len(bad):
            raise UserError(f"tokens must lie in 0 … {vocab - 1}, the model's vocab{more}; got {bad[0]}")


def real_tokens(batch: Batch) -> Array:
    """Where the batch has tokens: `y` is -100 for padding; without `y` everywhere."""
    return batch["y"] != IGNORE if "y" in batch else jnp.ones(batch["x"].shape, bool)


@dataclass(frozen=True, eq=False)
class MaskedToken(NextToken):
    """Masked language modelling, as BERT is trained: predict some of the tokens from all others, in both directions.

    Each token is chosen with probability `rate`. Of the chosen ones 80 % become `mask_token`, 10 % a random token, and 10 %
    stay; only they have a loss. `x` is input and target. In an evaluation the choice depends on the tokens of the row, so it is
    the same every time and at every batch size. Padding (`y` = -100) is never chosen; a model that takes `lengths` does not
    read the padding at the end of a row. Source: Devlin et al. 2018, arXiv:1810.04805, section 3.1.

    Args:
        model: tokens -> logits of every token, such as `MaskedLanguageModel(config)`.
        mask_token: number of the mask token.
        vocab: number of tokens, from which random ones are drawn.
        rate: share of the tokens that are predicted.
    """

    mask_token: int = 0
    vocab: int = 2
    rate: float | Array = 0.15

    def options(self, batch: Batch) -> dict[str, Array]:
        """As for `NextToken`, with the length of each row; packed documents have segments, which show where padding begins."""
        found = super().options(batch)
        if "real" in batch and "segments" not in batch and takes(self.model, "lengths"):
            places = jnp.arange(1, batch["x"].shape[1] + 1)[None]
            found["lengths"] = jnp.where(batch["real"], places, 0).max(1)
        return found

    def masked(self, batch: Batch, key: Key, *, train: bool) -> tuple[Array, Array]:
        """The tokens that the model reads, and which of them it must predict."""
        x = batch["x"]
        seeds = row_numbers(len(x)) if train else (x * (jnp.arange(x.shape[1]) * 7919 + 1)[None]).sum(1)
        keys = jax.vmap(jax.random.fold_in, (None, 0))(key if train else jax.random.key(0), seeds)
        u = jax.vmap(lambda k: jax.random.uniform(k, (3, x.shape[1])))(keys)
        guess = (u[:, 0] < self.rate) & real_tokens(batch)
        anything = (u[:, 2] * self.vocab).astype(x.dtype)
        read = jnp.where(u[:, 1] < 0.8, self.mask_token, jnp.where(u[:, 1] < 0.9, anything, x))
        return jnp.where(guess, read, x), guess

    def objective(
        self, params: Params, model_state: ModelState, batch: Batch, key: Key, step: Array, *, train: bool
    ) -> tuple[Array, tuple[ModelState, Metrics]]:
        draw, noise = jax.random.split(key)
        read, guess = self.masked(batch, draw, train=train)
        rest = {name: value for name, value in batch.items() if name != "characters"}
        changed = {**rest, "x": read, "y": jnp.where(guess, batch["x"], IGNORE), "real": real_tokens(batch)}
        return super().objective(params, model_state, changed, noise, step, train=train)

    def predict(self, params: Params, model_state: ModelState, batch: Batch, key: Key) -> dict[str, Array]:
        """`next`, the most probable token at each place; `log_likelihood` of the masked tokens, 0 for others; `guessed`."""
        read, guess = self.masked(batch, key, train=False)
        changed = {**batch, "x": read, "y": jnp.where(guess, batch["x"], IGNORE), "real": real_tokens(batch)}
        return {**super().predict(params, model_state, changed, key), "guessed": guess}

    def report(self, outputs: dict[str, np.ndarray], targets: np.ndarray) -> dict[str, Any]:
        return super().report(outputs, np.where(outputs["guessed"], 0, IGNORE))
