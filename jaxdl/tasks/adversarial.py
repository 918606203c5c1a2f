"""Generative adversarial networks: a generator makes examples, and a critic learns to distinguish them from the data."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.counts import check_counts
from jaxdl.losses.adversarial import AdversarialLoss, gradient_penalty, nonsaturating, r1, wasserstein
from jaxdl.metrics.generation import distinguishable, diversity
from jaxdl.reports import ImageGrid, Notes, Picture, Points
from jaxdl.tasks.forward import forward, initialise, one_each, weighted_mean
from jaxdl.tracing import row_numbers
from jaxdl.types import Array, Batch, Key, Metrics, ModelState, Params, Phase, Task, UserError, Variables

Measure = Callable[[np.ndarray, np.ndarray], Mapping[str, Any]]
"""(real, generated), arrays of equal length -> entries of the report; `notes` is a list of sentences for it."""
SHOWN, POINTS = 64, 2000
SAMPLES = "Samples, from the same latents at every evaluation"
SATURATED, COLLAPSED = 0.995, 0.3


@dataclass(frozen=True, eq=False)
class Adversarial(Task):
    """Train a critic and a generator in alternating phases, each with its own batches, noise, parameters and statistics.

        critic      critic_steps times      min Σ_i ℓ_D(D(x_i), D(G(z_i))) + penalties
        generator   once                    min Σ_i ℓ_G(D(G(z_i)))                         z ~ N(0, 1)

    The parameters are {"generator": ..., "critic": ...}; `Experiment.optimizer` has entries of the same names, and every
    collection of the model state is divided in the same way. The statistics of a network change in its own phase only. An
    exponential moving average (`ema`) covers the generator and its statistics, not the critic.

    Args:
        generator: noise `(batch, latent)` -> examples of the data's shape.
        critic: examples -> one logit each; it must not have batch norm where there is a penalty.
        loss: losses of both networks (`jaxdl.losses.adversarial`): `nonsaturating`, `least_squares`, `hinge`, `wasserstein`.
        latent: dimension of the noise.
        critic_steps: updates of the critic for each update of the generator, each on another batch.
        penalty: weight of (‖∇D‖ - 1)² between real and generated examples (WGAN-GP: 10); None: no such penalty.
        r1: γ of ½γ‖∇D‖² at real examples; None: no such penalty.
        conditional: whether both networks get the labels `y` of the batch as a second argument.
        measures: metrics of generated examples: `OnFeatures`, `OnModes` of `jaxdl.metrics.generation`.
        metric: what selects the best model, and its direction.
    """

    generator: Any
    critic: Any
    loss: AdversarialLoss = nonsaturating
    latent: int = 64
    critic_steps: int = 1
    penalty: Any = None
    r1: Any = None
    conditional: bool = False
    generative: bool = field(default=True, init=False)
    measures: Sequence[Measure] = ()
    metric: tuple[str, str] = ("diversity", "max")
    reduce: Mapping[str, str] = field(default_factory=lambda: {"batch_stats": "mean", "spectral_stats": "mean"})
    averaged: tuple[str, ...] = ("generator",)

    def __post_init__(self) -> None:
        check_counts(latent=self.latent, critic_steps=self.critic_steps)

    @property
    def directions(self) -> Mapping[str, str]:
        """Whether more or less of a metric is better, as the measures state it; the critic's own metrics have no direction."""
        own = {"diversity": "max", "penalty": "min", "r1": "min"}
        return own | {name: mode for m in self.measures for name, mode in getattr(m, "directions", {}).items()}

    @property
    def phases(self) -> tuple[Phase, ...]:
        players = {"critic": (self.criticise, self.critic_steps), "generator": (self.deceive, 1)}
        return tuple(
            Phase(objective, name=name, params=(name,), repeats=repeats, optimizer=name)
            for name, (objective, repeats) in players.items()
        )

    def init(self, key: Key, batch: Batch) -> Variables:
        x, labels = batch["x"], self.labels(batch)
        noise = jnp.zeros((x.shape[0], self.latent), x.dtype)
        keys: dict[str, Key] = dict(zip(("generator", "critic"), jax.random.split(key), strict=True))
        inputs = {"generator": noise, "critic": x}
        made = jax.eval_shape(lambda: self._first(keys["generator"], noise, *labels))
        if made.shape != x.shape:
            raise UserError(f"the generator makes examples of shape {made.shape[1:]}, the data's have {x.shape[1:]}")
        deaf = [name for name in inputs if self.conditional and getattr(getattr(self, name), "classes", 0) is None]
        if deaf:
            raise UserError(f"conditional = True, but the {deaf[0]} has classes = None and would ignore the labels")
        fresh = {name: initialise(getattr(self, name), keys[name], inputs[name], *labels) for name in inputs}
        smooth = next((name for name in ("penalty", "r1") if getattr(self, name) is not None), None)
        if smooth and "batch_stats" in fresh["critic"][1]:
            raise UserError(
                f"{smooth} = {getattr(self, smooth)} needs the gradient at each example separately, but the critic has batch "
                "norm, which mixes the examples of a batch: use norm=None"
            )
        collections = sorted({collection for _, state in fresh.values() for collection in state})
        model_state = {c: {n: state[c] for n, (_, state) in fresh.items() if c in state} for c in collections}
        return {name: params for name, (params, _) in fresh.items()}, model_state

    def _first(self, key: Key, noise: Array, *labels: Array) -> Array:
        params, model_state = initialise(self.generator, key, noise, *labels)
        return forward(self.generator, params, model_state, noise, *labels, key=key, train=False)[0]

    # -- the networks --------------------------------------------------------------------------------------------------
    def labels(self, batch: Batch) -> tuple[Array, ...]:
        return (batch["y"],) if self.conditional else ()

    def noise(self, key: Key, batch: Batch) -> Array:
        """Noise `(batch, latent)`; that of a row does not depend on how the batch is divided."""
        x = batch["x"]
        return self.noise_of(key, row_numbers(x.shape[0]), x.dtype)

    def noise_of(self, key: Key, rows: Array, dtype: Any = jnp.float32) -> Array:
        keys = jax.vmap(jax.random.fold_in, (None, 0))(key, rows)
        return jax.vmap(lambda key: jax.random.normal(key, (self.latent,), dtype))(keys)

    def play(
        self, name: str, params: Params, model_state: ModelState, *inputs: Array, key: Key, train: bool
    ) -> tuple[Array, ModelState]:
        """The output of one network, and the model state with its part updated."""
        own = {collection: players[name] for collection, players in model_state.items() if name in players}
        answer, new = forward(getattr(self, name), params[name], own, *inputs, key=key, train=train)
        return answer, {**model_state, **{c: {**model_state[c], name: state} for c, state in new.items()}}

    def criticise(
        self, params: Params, model_state: ModelState, batch: Batch, key: Key, step: Array, *, train: bool
    ) -> tuple[Array, tuple[ModelState, Metrics]]:
        """The critic's objective."""
        x, labels, mask = batch["x"], self.labels(batch), batch["mask"]
        key, noise_key, mix_key = (jax.random.fold_in(key, i) for i in range(3))
        made, _ = self.play(
            "generator", params, model_state, self.noise(noise_key, batch), *labels, key=noise_key, train=train
        )
        made = jax.lax.stop_gradient(made)

        def judge(x: Array, state: ModelState) -> tuple[Array, ModelState]:
            return self.play("critic", params, state, x, *labels, key=key, train=train)

        real_logit, new = judge(x, model_state)
        made_logit, new = judge(made, new)
        loss, pair = weighted_mean(one_each(self.loss.critic(real_logit, made_logit), mask.shape), mask)
        metrics = {
            "critic_loss": pair,
            "real_logit": weighted_mean(real_logit.astype(jnp.float32), mask)[1],
            "made_logit": weighted_mean(made_logit.astype(jnp.float32), mask)[1],
        }
        if train and self.penalty is not None:
            flat = gradient_penalty(lambda x: judge(x, new)[0], x, made, key=mix_key)
            value, metrics["penalty"] = weighted_mean(flat, mask)
            loss = loss + self.penalty * value
        if train and self.r1 is not None:
            value, metrics["r1"] = weighted_mean(r1(lambda x: judge(x, new)[0], x, gamma=self.r1), mask)
            loss = loss + value
        return loss, (new, metrics)

    def deceive(
        self, params: Params, model_state: ModelState, batch: Batch, key: Key, step: Array, *, train: bool
    ) -> tuple[Array, tuple[ModelState, Metrics]]:
        """The generator's objective."""
        labels, mask = self.labels(batch), batch["mask"]
        made, new = self.play("generator", params, model_state, self.noise(key, batch), *labels, key=key, train=train)
        logit, _ = self.play("critic", params, model_state, made, *labels, key=key, train=train)
        loss, pair = weighted_mean(one_each(self.loss.generator(logit), mask.shape), mask)
        return loss, (new, {"loss": pair})

    def objective(
        self, params: Params, model_state: ModelState, batch: Batch, key: Key, step: Array, *, train: bool
    ) -> tuple[Array, tuple[ModelState, Metrics]]:
        """The generator's loss with the metrics of both networks, for evaluations."""
        _, (_, seen) = self.criticise(params, model_state, batch, key, step, train=train)
        loss, (_, metrics) = self.deceive(params, model_state, batch, key, step, train=train)
        return loss, (model_state, {**metrics, **seen})

    # -- predictions and reports ---------------------------------------------------------------------------------------
    def predict(self, params: Params, model_state: ModelState, batch: Batch, key: Key) -> dict[str, Array]:
        """`logit` of the critic for every example, large for "real"."""
        if self.conditional and "y" not in batch:
            raise UserError(
                "a conditional critic needs the label of an example, which inputs do not have; for generated examples: "
                "python -m jaxdl generate RUN --label ..."
            )
        x, labels = batch["x"], self.labels(batch)
        return {"logit": self.play("critic", params, model_state, x, *labels, key=key, train=False)[0]}

    def sample(self, params: Params, model_state: ModelState, batch: Batch, key: Key) -> Array:
        """One new example for each row of the batch, of its label if conditional. Images are scaled to [0, 1]."""
        noise = self.noise(key, batch)
        made, _ = self.play("generator", params, model_state, noise, *self.labels(batch), key=key, train=False)
        return (made + 1) / 2 if made.ndim == 4 else made

    def observe(self, params: Params, model_state: ModelState, batch: Batch, key: Key) -> dict[str, Array]:
        """`sample` from the noise of the row's number, the row itself as `real`, and the critic's logits of both."""
        x, labels = batch["x"], self.labels(batch)
        noise = self.noise(key, batch)
        sample, _ = self.play("generator", params, model_state, noise, *labels, key=key, train=False)
        logits = {
            f"{name}_logit": self.play("critic", params, model_state, value, *labels, key=key, train=False)[0]
            for name, value in (("real", x), ("sample", sample))
        }
        return {"sample": sample, "real": x, **logits}

    def report(self, outputs: dict[str, np.ndarray], targets: np.ndarray) -> dict[str, Any]:
        """The measures, `critic_auc`, `diversity`, notes on failures of the training, and pictures."""
        real, made = (np.asarray(outputs[name], np.float32) for name in ("real", "sample"))
        said = {name: np.asarray(outputs[f"{name}_logit"], np.float64) for name in ("real", "sample")}
        numbers: dict[str, Any] = {
            "critic_auc": distinguishable(said["real"], said["sample"]),
            "diversity": diversity(real, made),
        }
        every = np.concatenate([*said.values()])
        notes = health(numbers, np.abs(every - np.median(every)).mean(), saturates=self.loss is not wasserstein)
        for measure in self.measures:
            found = dict(measure(real, made))
            notes += found.pop("notes", [])
            numbers |= found
        return numbers | shown_examples(real, made) | ({"notes": Notes(notes)} if notes else {})

    def check(self, targets: np.ndarray) -> None:
        """Raise UserError for labels that are not a class of the generator."""
        classes = getattr(self.generator, "classes", None)
        if not self.conditional or classes is None:
            return
        bad = targets[(targets < 0) | (targets >= classes)]
        if len(bad):
            raise UserError(f"labels must lie in 0 … {classes - 1}, got {bad[0]}")


def health(numbers: Mapping[str, float], spread: float, *, saturates: bool = True) -> list[str]:
    """Return one sentence for each failure: a saturated critic, a collapsed generator, outputs that diverge.

    `spread` is the mean absolute deviation of the critic's outputs from their median. With a loss that does not saturate
    (Wasserstein) a critic that separates all examples is no failure.

    >>> health({"critic_auc": 1.0, "diversity": 0.05}, 3.0)[0]
    'discriminator saturated: it separates generated from real examples almost always (AUC 1.000)'
    >>> health({"critic_auc": 0.7, "diversity": 0.9}, 3.0)
    []
    """
    notes = []
    if saturates and numbers["critic_auc"] > SATURATED:
        auc = f"(AUC {numbers['critic_auc']:.3f})"
        notes.append(f"discriminator saturated: it separates generated from real examples almost always {auc}")
    if numbers["diversity"] < COLLAPSED:
        share = f"{100 * numbers['diversity']:.0f} % as far apart as real ones"
        notes.append(f"generator collapsed: its examples are {share}")
    if spread > 100:
        notes.append(f"diverging: the critic's outputs deviate from their median by {spread:.0f} on average")
    return notes


def shown_examples(real: np.ndarray, made: np.ndarray) -> dict[str, Picture]:
    """A grid of generated images, or generated points over real ones."""
    if made.ndim == 4:
        return {"samples": ImageGrid((made[:SHOWN] + 1) / 2, title=SAMPLES)}
    if made.ndim == 2 and made.shape[1] == 2:
        return {"points": Points(made[:POINTS], real[:POINTS])}
    return {}
