"""Language models: the next token from those before it, or masked tokens from all others. The model arrives as a value."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.calling import takes
from jaxdl.losses.sequence import label_smoothed_nll
from jaxdl.tasks.forward import forward, initialise
from jaxdl.tracing import row_numbers
from jaxdl.types import Array, Batch, Key, Metrics, ModelState, Params, Phase, Task, UserError, Variables

IGNORE = -100
"""The target that counts nowhere (padding, the end of a document)."""


def sums(nll: Array, hit: Array, valid: Array, batch: Batch) -> Metrics:
    """Sums over tokens: loss in nats, accuracy, and, where `characters` says how many they stand for, bits per character."""
    total, count = jnp.sum(nll), jnp.sum(valid)
    metrics = {"loss": (total, count), "accuracy": (jnp.sum(hit * valid), count)}
    if "characters" in batch:
        metrics["bits_per_character"] = (total / math.log(2), jnp.sum(batch["characters"] * batch["mask"]))
    return metrics


@dataclass(frozen=True, eq=False)
class NextToken(Task):
    """Minimise the mean negative log-likelihood of the next token, over all tokens of a batch that have one.

        L = -Σ_it m_it log p(y_it | x_i1 … x_it) / Σ_it m_it        m: mask of the row, and 0 where y is -100

    `x`, `y` `(batch, time)`; `segments` and `positions` go on to the model where the data have them (packed documents), which
    must take them then, as `Decoder` and `MaskedLanguageModel` do.

    Args:
        model: tokens -> logits `(batch, time, vocab)`, such as `Decoder(config)` or `LanguageModel(vocab, core=...)`; its
            attribute `vocab` (or `config.vocab`) bounds the tokens. A `stateful` model's collection `carry` goes on with its row.
        smoothing: share of the target that goes to other tokens while training. An evaluation's loss is never smoothed.

    Metrics: `loss` (nats a token), `accuracy`, `bits_per_character`, and `perplexity` = exp(loss) of a whole split.
    """

    model: Any
    smoothing: float | Array = 0.0
    metric: tuple[str, str] = ("loss", "min")
    reduce: Mapping[str, str] = field(default_factory=lambda: {"carry": "example"})

    @property
    def directions(self) -> Mapping[str, str]:
        """Whether more or less of a metric is better."""
        return {"accuracy": "max", "bits_per_character": "min", "perplexity": "min"}

    @property
    def phases(self) -> tuple[Phase, ...]:
        return (Phase(self.objective),)

    def init(self, key: Key, batch: Batch) -> Variables:
        return initialise(self.model, key, batch["x"], **self.options(batch))

    def options(self, batch: Batch) -> dict[str, Array]:
        """What keeps packed documents apart; ValueError if the model has no use for it."""
        found = {name: batch[name] for name in ("segments", "positions") if name in batch}
        unread = [name for name in found if not takes(self.model, name)]
        if unread:
            kind = type(self.model).__name__
            raise UserError(
                f"the data pack documents, but {kind} takes no {unread[0]}: take a Transformer, or text.windows"
            )
        return found

    def logits(
        self, params: Params, model_state: ModelState, batch: Batch, key: Key, *, train: bool
    ) -> tuple[Array, ModelState]:
        """float32 whatever the precision of the model."""
        options = self.options(batch)
        logits, model_state = forward(self.model, params, model_state, batch["x"], key=key, train=train, **options)
        return logits.astype(jnp.float32), model_state

    def objective(
        self, params: Params, model_state: ModelState, batch: Batch, key: Key, step: Array, *, train: bool
    ) -> tuple[Array, tuple[ModelState, Metrics]]:
        logits, model_state = self.logits(params, model_state, batch, key, train=train)
        y = batch["y"]
        valid = batch["mask"][:, None] * (y != IGNORE)
        nll = label_smoothed_nll(logits, y, smoothing=self.smoothing if train else 0.0, mask=valid)
        metrics = sums(nll, jnp.argmax(logits, -1) == y, valid, batch)
        total, count = metrics["loss"]
        return total / jnp.maximum(count, 1), (model_state, metrics)

    def predict(self, params: Params, model_state: ModelState, batch: Batch, key: Key) -> dict[str, Array]:
        """`next` `(batch, time)`: the likeliest token after each; `log_likelihood` `(batch, time)`: of the token that came."""
        logits, _ = self.logits(params, model_state, batch, key, train=False)
        x = batch["x"]
        y = batch["y"] if "y" in batch else jnp.concatenate([x[:, 1:], jnp.full_like(x[:, :1], IGNORE)], 1)
        nll = label_smoothed_nll(logits, y, smoothing=0.0, mask=y != IGNORE)
        return {"next": jnp.argmax(logits, -1), "log_likelihood": -nll}

    def report(self, outputs: dict[str, np.ndarray], targets: np.ndarray) -> dict[str, Any]:
        counts = targets != IGNORE
        if not counts.any():  # of a short text, not one token may have been drawn to be guessed
            return {}
        return {"perplexity": float(np.exp(-outputs["log_likelihood"][counts].mean(dtype=np.float64)))}

    def check(self, targets: np.ndarray) -> None:
        """Tokens that the model cannot mean are found here, on the host: inside a program they are clipped."""
        if not np.issubdtype(targets.dtype, np.integer):
            raise UserError(f"tokens must be integers, got {targets.dtype}")
        self.check_tokens(targets[targets != IGNORE], f", or be {IGNORE}")

    def check_tokens(self, tokens: np.ndarray, more: str = "") -> None:
        """ValueError where an input is no token of the model."""
        vocab = getattr(self.model, "vocab", None) or getattr(getattr(self.model, "config", None), "vocab", None)
        bad = [] if vocab is None else tokens[(tokens < 0) | (tokens >= vocab)]
        if vocab is not None and len(bad):
            raise UserError(f"tokens must lie in 0 … {vocab - 1}, the model's vocab{more}; got {bad[0]}")


def real_tokens(batch: Batch) -> Array:
    """Where the data have tokens, as far as they say it: `y` is -100 where not."""
    return batch["y"] != IGNORE if "y" in batch else jnp.ones(batch["x"].shape, bool)


@dataclass(frozen=True, eq=False)
class MaskedToken(NextToken):
    """BERT's task: guess some of the tokens from all others, the model reading both ways.

    Of a row's tokens a share of `rate` is drawn; of these 80 % become `mask_token`, 10 % any token, 10 % stay; only they have a
    loss. An evaluation draws by what is in the row: the same tokens at every evaluation and batch size. Where the data say
    `y` = -100 (padding) nothing is drawn, and behind the last other `y` of a row nothing is read, if the model takes `lengths`;
    `x` is input and target. Source: Devlin et al. 2018, arXiv:1810.04805, section 3.1.

    Args:
        model: tokens -> logits of every token, such as `MaskedLanguageModel(config)`.
        mask_token: the number of the token that says: guess.
        vocab: how many tokens, to draw any of them.
        rate: share of the tokens that are guessed.
    """

    mask_token: int = 0
    vocab: int = 2
    rate: float | Array = 0.15

    def options(self, batch: Batch) -> dict[str, Array]:
        """And where the padding begins, which segments tell by themselves."""
        found = super().options(batch)
        if "real" in batch and "segments" not in batch and takes(self.model, "lengths"):
            places = jnp.arange(1, batch["x"].shape[1] + 1)[None]
            found["lengths"] = jnp.where(batch["real"], places, 0).max(1)
        return found

    def masked(self, batch: Batch, key: Key, *, train: bool) -> tuple[Array, Array]:
        """The tokens that the model reads, and which of them it must guess."""
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
        """`next`: the likeliest token at each place; `log_likelihood`: of the tokens that were guessed, 0 for the others."""
        read, guess = self.masked(batch, key, train=False)
        changed = {**batch, "x": read, "y": jnp.where(guess, batch["x"], IGNORE), "real": real_tokens(batch)}
        return {**super().predict(params, model_state, changed, key), "guessed": guess}

    def report(self, outputs: dict[str, np.ndarray], targets: np.ndarray) -> dict[str, Any]:
        return super().report(outputs, np.where(outputs["guessed"], 0, IGNORE))
