"""Translation, and any other sequence-to-sequence task: trained with teacher forcing, decoded step by step.

The model is a `Seq2Seq` or `EncoderDecoder`, called as `model(source, target, lengths, train=)`, with the methods `start` and
`step` that `jaxdl.decode` needs.
"""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxdl.counts import check_counts
from jaxdl.decode import beam_search, generate, length_penalty, sample, step_of
from jaxdl.losses.sequence import coverage_loss, label_smoothed_nll
from jaxdl.metrics import text as reports
from jaxdl.reports import Attention, Rows
from jaxdl.tasks.forward import forward, initialise, weighted_mean
from jaxdl.types import Batch, Key, Metrics, ModelState, Params, Task, UserError, Variables

SHOWN = 8
"""Number of examples in a report."""


DIRECTIONS = {
    "token_accuracy": "max",
    "exact_match": "max",
    "bleu": "max",
    "wer": "min",
    "cer": "min",
    "coverage": "min",
}
"""Whether more or less of each metric is better."""


@dataclass(frozen=True, eq=False)
class Translation(Task):
    """Minimise the mean over target tokens of the smoothed -log p(y_t | y_<t, x); predict by greedy or beam search.

        L = Σ m_t · [nll_ε(y_t | y_<t, x) + λ·cov_t] / Σ m_t        m: 0 for padding; ε, λ in training only

    A batch has `x` and `y` `(batch, time)`; each row ends with the end token and is padded. A token that the target's tokenizer
    does not know never counts as correct.

    Args:
        model: `Seq2Seq` or `EncoderDecoder`.
        source, target: tokenizers of the two sides (`pad`, `start`, `end`, `decode`).
        steps: most tokens of a prediction, the end token included.
        smoothing: ε of `label_smoothed_nll`; may be traced.
        beams, penalty: width of the beam search, 1 for greedy search, and α of its length penalty.
        sampling: step -> share of target tokens replaced by the model's own predictions (scheduled sampling), for a model with
            a field `sampling`; None: the model's constant.
        coverage: λ of `coverage_loss` on the attention over the source (See et al. 2017, arXiv:1704.04368, eq. 13: λ = 1, with
            `Bahdanau(coverage=True)`); may be traced; None: no such loss.
        attention: whether predictions include the attention weights over the source, `(batch, steps, source)`.
        metric: what selects the best model, and its direction.
    """

    model: Any
    source: Any
    target: Any
    steps: int
    smoothing: Any = 0.0
    beams: int = 1
    penalty: float = 0.6
    sampling: Callable[[Array], Any] | None = None
    coverage: Any = None
    attention: bool = False
    metric: tuple[str, str] = ("loss", "min")
    reduce: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_counts(steps=self.steps, beams=self.beams)
        if self.sampling is not None and not hasattr(self.model, "sampling"):
            kind = type(self.model).__name__
            raise UserError(f"sampling is given, but {kind} has no such field: use Seq2Seq, or sampling=None")
        for tokenizer, name in (("source", "source_vocab"), ("target", "vocab")):
            size, vocab = getattr(self, tokenizer).size, self.vocab(name) or self.vocab()
            if vocab is not None and size > vocab:
                raise UserError(f"{tokenizer} has {size} tokens, the model {vocab}: set {name}={size} or more")

    def vocab(self, name: str = "vocab") -> int | None:
        """Size of the model's vocabulary; None if the model has no such attribute."""
        return getattr(self.model, name, None) or getattr(getattr(self.model, "config", None), name, None)

    @property
    def directions(self) -> Mapping[str, str]:
        """Whether more or less of a metric is better."""
        return DIRECTIONS

    def inputs(self, y: Int[Array, "batch time"]) -> Int[Array, "batch time"]:
        """The decoder's input for the target `y`: the start token, then all tokens but the last."""
        return jnp.concatenate([jnp.full_like(y[:, :1], self.target.start), y[:, :-1]], 1)

    def lengths(self, x: Int[Array, "batch time"]) -> Int[Array, "batch"]:
        return (x != self.source.pad).sum(1)

    def init(self, key: Key, batch: Batch) -> Variables:
        return initialise(self.model, key, batch["x"], self.inputs(batch["y"]), self.lengths(batch["x"]))

    def objective(
        self, params: Params, model_state: ModelState, batch: Batch, key: Key, step: Array, *, train: bool
    ) -> tuple[Array, tuple[ModelState, Metrics]]:
        x, y = batch["x"], batch["y"]
        model = self.model
        if train and self.sampling is not None:
            model = model.clone(sampling=self.sampling(step))
        inputs = (x, self.inputs(y), self.lengths(x))
        covering = train and self.coverage is not None
        state = {**model_state, "intermediates": {}} if covering else model_state
        logits, new = forward(model, params, state, *inputs, key=key, train=train)
        logits = logits.astype(jnp.float32)
        mask = (y != self.target.pad) * batch["mask"][:, None]
        nll = label_smoothed_nll(logits, y, smoothing=self.smoothing if train else 0.0, mask=mask)
        loss, pair = weighted_mean(nll, mask)
        right = (jnp.argmax(logits, -1) == y) & (y != (-1 if self.target.unknown is None else self.target.unknown))
        metrics = {"loss": pair, "token_accuracy": weighted_mean(right.astype(jnp.float32), mask)[1]}
        if covering and self.coverage is not None:
            looked = cross_attention(new["intermediates"]).astype(jnp.float32)
            again, metrics["coverage"] = weighted_mean(coverage_loss(looked, mask), mask)
            loss = loss + self.coverage * again
            new = {name: value for name, value in new.items() if name != "intermediates"}
        return loss, (new, metrics)

    def predict(self, params: Params, model_state: ModelState, batch: Batch, key: Key) -> dict[str, Array]:
        """`tokens (batch, steps)`, `length` (end token included), `score` (log p / penalty), `source`, and `attention`."""
        del key
        x = batch["x"]
        begin, options = self.begin(params, model_state, x)
        if self.beams == 1:
            tokens, written, score = generate(*begin, **options)
        else:
            found = beam_search(*begin, beams=self.beams, penalty=length_penalty(self.penalty), **options)
            tokens, written, score = (part[:, 0] for part in found)
        outputs = {"tokens": tokens, "length": written, "score": score, "source": x}
        if self.attention:
            outputs["attention"] = self.weights_of(params, model_state, x, tokens)
        return outputs

    def begin(
        self, params: Params, model_state: ModelState, x: Int[Array, "batch time"]
    ) -> tuple[tuple, dict[str, int]]:
        """Arguments and options of the functions of `jaxdl.decode`: encoded sources, and a start token in each row."""
        cache = self.model.apply({"params": params, **model_state}, x, self.steps, self.lengths(x), method="start")
        prompt = jnp.full((len(x), 1), self.target.start, jnp.int32)
        options = {"steps": self.steps, "end": self.target.end, "pad": self.target.pad}
        return (step_of(self.model), params, cache, prompt), options

    def rewriter(
        self, weights: Variables, *, temperature: float | Array | None = 1.0
    ) -> Callable[[Key, Int[Array, "batch time"]], Int[Array, "batch steps"]]:
        """Return the trained translator for `jaxdl.augment.text.back_translate` and `paraphrase`: (keys, x) -> tokens.

        Each row is sampled at `temperature` with its own key, so that epochs have different paraphrases (better than the most
        probable one: Edunov et al. 2018, arXiv:1808.09381). None: the tokens of `predict`; keys are then unused.
        """

        def rewrite(keys: Key, x: Int[Array, "batch time"]) -> Int[Array, "batch steps"]:
            if temperature is None:
                return self.predict(*weights, {"x": x}, keys)["tokens"]
            begin, options = self.begin(*weights, x)
            return generate(*begin, pick=sample(temperature=temperature), key=keys, **options).tokens

        return rewrite

    def weights_of(
        self, params: Params, model_state: ModelState, x: Int[Array, "batch source"], y: Int[Array, "batch time"]
    ) -> Float[Array, "batch time source"]:
        """Attention of each target token over the source tokens; for a Transformer the mean over all blocks and heads."""
        inputs = (x, self.inputs(y), self.lengths(x))
        _, state = self.model.apply({"params": params, **model_state}, *inputs, train=False, mutable=["intermediates"])
        return cross_attention(state["intermediates"])

    def report(self, outputs: dict[str, np.ndarray], targets: np.ndarray) -> dict[str, Any]:
        """`exact_match`, `wer`, `cer` and, of sentences, `bleu` (as sacrebleu); examples and, with `attention`, maps."""
        written, wanted = ([self.target.decode(row) for row in rows] for rows in (outputs["tokens"], targets))
        pair = self.marked(written, "⁇"), self.marked(wanted, "�")  # unknown tokens are never equal
        right = np.array([a == b for a, b in zip(*pair, strict=True)])
        numbers: dict[str, Any] = {
            "exact_match": float(right.mean()),
            "wer": reports.word_error_rate(*pair),
            "cer": reports.character_error_rate(*pair),
        }
        if any(len(line.split()) > 3 for line in wanted):  # a text of single words has no BLEU
            numbers["bleu"] = reports.bleu(*pair)
        chosen = np.argsort(right, kind="stable")[: SHOWN // 2]  # wrong ones, if there are any
        chosen = np.concatenate(
            [chosen, [i for i in range(len(right)) if i not in chosen][: SHOWN - len(chosen)]]
        ).astype(int)
        sources = [self.source.decode(outputs["source"][i]) for i in chosen]
        rows = [[source, written[i], wanted[i]] for source, i in zip(sources, chosen, strict=True)]
        numbers["examples"] = Rows(("source", "written", "wanted"), rows, "Examples, wrong ones first")
        if "attention" in outputs:
            numbers["attention"] = self.maps(outputs, np.unique(np.concatenate([chosen[:2], chosen[-2:]])))
        return numbers

    def marked(self, lines: list[str], mark: str) -> list[str]:
        """Lines with a mark, one symbol, for each unknown token."""
        unknown = "" if self.target.unknown is None else self.target.decode([self.target.unknown])
        return [line.replace(unknown, mark) for line in lines] if unknown else lines

    def maps(self, outputs: dict[str, np.ndarray], rows: np.ndarray) -> Attention:
        """Attention of some examples with the tokens of both axes."""
        x, y = (outputs[name][rows] for name in ("source", "tokens"))
        named = lambda tokenizer, tokens: np.array([[symbol(tokenizer, t) for t in row] for row in tokens])
        return Attention(outputs["attention"][rows], named(self.source, x), named(self.target, y))

    def describe(self, one: Mapping[str, np.ndarray]) -> str:
        """One prediction as text."""
        return self.target.decode(one["tokens"])

    def check(self, targets: np.ndarray) -> None:
        """Raise UserError for targets without an end token, or outside the model's vocabulary."""
        vocab = self.vocab()
        if vocab is not None and targets.max() >= vocab:
            raise UserError(f"targets reach token {targets.max()}, the model's vocab is {vocab}")
        if not (targets == self.target.end).any(1).all():
            raise UserError("every target must hold the end token")


def symbol(tokenizer: Any, token: int) -> str:
    """A token as the label of an axis: "" for padding, ⊣ for the end, ␣ for a space."""
    if token == tokenizer.pad:
        return ""
    return "⊣" if token == tokenizer.end else tokenizer.decode([token]).replace(" ", "␣")


def cross_attention(intermediates: Any) -> Float[Array, "batch time source"]:
    """Attention over the source among sown intermediates: of a recurrent decoder, or the mean over blocks and heads."""
    if "weights" in intermediates and intermediates["weights"][0].shape[-1]:
        return intermediates["weights"][0]
    found = [
        leaf.mean(1)
        for path, leaf in jax.tree_util.tree_leaves_with_path(intermediates)
        if "cross_attention" in jax.tree_util.keystr(path) and leaf.ndim == 4
    ]
    if not found:
        raise UserError("attention or coverage is asked for, but the model has no attention over the source")
    return reduce(operator.add, found) / len(found)
