"""Transcription without an alignment: connectionist temporal classification (CTC)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.decode import ctc as decode
from jaxdl.losses.sequence import ctc
from jaxdl.metrics import text as reports
from jaxdl.reports import FrameAlignment
from jaxdl.tasks.forward import forward, initialise, weighted_mean
from jaxdl.types import Array, Batch, Key, Metrics, ModelState, Params, Task, UserError, Variables

SHOWN = 6
"""Number of recordings whose spectrogram and probabilities the report shows."""


@dataclass(frozen=True, eq=False)
class Transcription(Task):
    """Minimise the negative log-likelihood per symbol of a transcript, averaged over recordings.

        -log Σ_π Π_t p_t(π_t) / |y|        π: the frame labellings that collapse to y

    A batch has `x` `(batch, time, channels)`, `length` (real frames of each row) and `y` `(batch, symbols)`, class numbers from
    1 padded with 0. Transcripts that are too long for their frames are left out of the loss; `impossible` is their share.

    Args:
        model: (x, lengths) -> logits `(batch, frames, classes)` and their lengths; class 0 is the blank.
        symbols: names of the classes; the first is that of the blank and is never shown.
        separator: string between two symbols of a text: "" for characters, " " where each symbol is a word.
        beam: number of prefixes that decoding keeps; 1 takes the most probable path.
        show: gather spectrograms and probabilities for the pictures of the report; takes as much memory as the features.
        metric: what selects the best model, and its direction.
    """

    model: Any
    symbols: Sequence[str]
    separator: str = ""
    beam: int = 1
    show: bool = True
    metric: tuple[str, str] = ("word_error_rate", "min")
    reduce: Mapping[str, str] = field(default_factory=lambda: {"batch_stats": "mean"})

    @property
    def directions(self) -> Mapping[str, str]:
        """Whether more or less of a metric is better."""
        return {**reports.DIRECTIONS, "impossible": "min"}

    def init(self, key: Key, batch: Batch) -> Variables:
        return initialise(self.model, key, batch["x"], batch["length"])

    def objective(
        self, params: Params, model_state: ModelState, batch: Batch, key: Key, step: Array, *, train: bool
    ) -> tuple[Array, tuple[ModelState, Metrics]]:
        inputs = batch["x"], batch["length"]
        (logits, frames), model_state = forward(self.model, params, model_state, *inputs, key=key, train=train)
        y, mask = batch["y"], batch["mask"]
        sizes = (y > 0).sum(1)
        each = ctc(logits.astype(jnp.float32), y, logit_lengths=frames, label_lengths=sizes)
        possible = each != jnp.inf  # a transcript that is too long; NaN is a symbol that does not exist
        each = jnp.where(possible, each, 0) / jnp.maximum(sizes, 1)
        loss, pair = weighted_mean(each, mask * possible)
        metrics = {"loss": pair, "impossible": weighted_mean(1 - possible.astype(jnp.float32), mask)[1]}
        return loss, (model_state, metrics)

    def predict(self, params: Params, model_state: ModelState, batch: Batch, key: Key) -> dict[str, Array]:
        """`tokens` `(batch, frames)`, padded with 0; with `show` also `spectrogram`, `posterior` and `frames`."""
        inputs = batch["x"], batch["length"]
        (logits, frames), _ = forward(self.model, params, model_state, *inputs, key=key, train=False)
        logits = logits.astype(jnp.float32)
        if self.beam == 1:
            tokens = decode.greedy_path(logits, frames)
        else:
            tokens = decode.prefix_beam(logits, frames, width=self.beam)[0][:, 0]
        if not self.show:
            return {"tokens": tokens}
        posterior = jax.nn.softmax(logits)
        lengths = jnp.stack([batch["length"], frames], 1)
        return {"tokens": tokens, "spectrogram": batch["x"], "posterior": posterior, "frames": lengths}

    def text(self, tokens: Any) -> str:
        """A row of tokens as text."""
        return self.separator.join(str(self.symbols[i]) for i in np.asarray(tokens).tolist() if i > 0)

    def report(self, outputs: dict[str, np.ndarray], targets: np.ndarray) -> dict[str, Any]:
        """Word and character error rates, the share of exact transcripts, and the alignment of a few recordings."""
        said, wanted = ([self.text(row) for row in rows] for rows in (outputs["tokens"], targets))
        rates = {
            "word_error_rate": reports.word_error_rate(said, wanted),
            "character_error_rate": reports.character_error_rate(*(self.bare(t) for t in (said, wanted))),
            "exact_match": reports.exact_match(said, wanted),
        }
        if not self.show:
            return rates
        wrong = [i for i, (a, b) in enumerate(zip(said, wanted, strict=True)) if a != b]
        right = [i for i in range(len(said)) if said[i] == wanted[i]]
        some = (wrong[: SHOWN // 2] + right)[:SHOWN] if len(right) >= SHOWN // 2 else (right + wrong)[:SHOWN]
        spectrogram, posterior, frames = (outputs[name][some] for name in ("spectrogram", "posterior", "frames"))
        titles = [said[i] if i in right else f"{said[i]}  (true: {wanted[i]})" for i in some]
        return rates | {"alignment": FrameAlignment(spectrogram, posterior, frames, self.symbols, titles)}

    def bare(self, texts: Sequence[str]) -> list[str]:
        """Texts without separators, which are not spoken and are not counted."""
        return [t.replace(self.separator, "") for t in texts] if self.separator else list(texts)

    def check(self, targets: np.ndarray) -> None:
        """Raise UserError for transcripts that are not class numbers from 1 padded with 0, or a model of other classes."""
        classes = getattr(self.model, "classes", len(self.symbols))
        if classes != len(self.symbols):
            raise UserError(
                f"symbols has {len(self.symbols)} names for the model's {classes} classes, the blank included"
            )
        targets = np.asarray(targets)
        if not np.issubdtype(targets.dtype, np.integer) or targets.ndim != 2:
            raise UserError(f"transcripts must be integers (n, symbols), got {targets.dtype} {targets.shape}")
        if targets.min() < 0 or targets.max() >= classes:
            bad = targets[(targets < 0) | (targets >= classes)][0]
            raise UserError(f"transcripts must hold symbols from 1 to {classes - 1}, padded with 0, got {bad}")
        if (np.diff((targets > 0).astype(int), axis=1) > 0).any():
            raise UserError("transcripts must not have a symbol after a 0, which is padding")
