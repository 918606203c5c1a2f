"""Generative adversarial learning: a generator makes examples, a critic tells them from the data. Both arrive as values."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.losses.adversarial import AdversarialLoss, gradient_penalty, nonsaturating, r1, wasserstein
from jaxdl.metrics.generation import distinguishable, diversity
from jaxdl.reports import ImageGrid, Notes, Picture, Points
from jaxdl.tasks.forward import forward, initialise, one_each, weighted_mean
from jaxdl.tracing import row_numbers
from jaxdl.types import Array, Batch, Key, Metrics, ModelState, Params, Phase, Task, UserError, Variables

Measure = Callable[[np.ndarray, np.ndarray], Mapping[str, Any]]
"""(real, made) of one number of rows -> entries of the report; `notes`, a list of sentences, are shown in words."""
SHOWN, POINTS = 64, 2000
SAMPLES = "Samples, from the same latents at every evaluation"
SATURATED, COLLAPSED = 0.995, 0.3


@dataclass(frozen=True, eq=False)
class Adversarial(Task):
    """Two players, two phases an update, each with batches, noise, parameters and statistics of its own.

        critic      critic_steps times      min Σ_i ℓ_D(D(x_i), D(G(z_i))) + penalties
        generator   once                    min Σ_i ℓ_G(D(G(z_i)))                         z ~ N(0, 1)

    The parameters are {"generator": ..., "critic": ...}, the entries of `Experiment.optimizer` have the same names, and every
    collection of the model state is split the same way: a player's statistics move in its own phase only. An average of the
    parameters (`ema`) follows the generator and its statistics; the critic stays as it is.

    Args:
        generator: noise `(batch, latent)` -> examples like the data's.
        critic: examples -> one logit each; without batch norm where there is a penalty.
        loss: of the two players (`jaxdl.losses.adversarial`): `nonsaturating`, `least_squares`, `hinge`, `wasserstein`.
        latent: numbers of noise.
        critic_steps: updates of the critic, each on a batch of its own, for one of the generator.
        penalty: weight of (‖∇D‖ - 1)² between real and made examples (WGAN-GP: 10); None: none is computed.
        r1: γ of ½γ‖∇D‖² at real examples; None: none is computed.
        conditional: both players get the labels `y` of the batch as a second argument.
        measures: what the report says of made examples beside the data: `OnFeatures`, `OnModes` of `jaxdl.metrics.generation`.
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
        for name in ("latent", "critic_steps"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} = {getattr(self, name)} must be 1 or more")

    @property
    def directions(self) -> Mapping[str, str]:
        """Whether more or less of a metric is better, as the measures say; a critic's own numbers have no better end."""
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
            raise UserError(f"conditional = True, but the {deaf[0]} has classes = None and would not hear the labels")
        fresh = {name: initialise(getattr(self, name), keys[name], inputs[name], *labels) for name in inputs}
        smooth = next((name for name in ("penalty", "r1") if getattr(self, name) is not None), None)
        if smooth and "batch_stats" in fresh["critic"][1]:
            raise UserError(
                f"{smooth} = {getattr(self, smooth)} needs the gradient at every example for itself, but the critic has batch "
                "norm, through which examples see each other: take norm=None"
            )
        collections = sorted({collection for _, state in fresh.values() for collection in state})
        model_state = {c: {n: state[c] for n, (_, state) in fresh.items() if c in state} for c in collections}
        return {name: params for name, (params, _) in fresh.items()}, model_state

    def _first(self, key: Key, noise: Array, *labels: Array) -> Array:
        params, model_state = initialise(self.generator, key, noise, *labels)
        return forward(self.generator, params, model_state, noise, *labels, key=key, train=False)[0]

    # -- the players ---------------------------------------------------------------------------------------------------
    def labels(self, batch: Batch) -> tuple[Array, ...]:
        return (batch["y"],) if self.conditional else ()

    def noise(self, key: Key, batch: Batch) -> Array:
        """`(batch, latent)`; a row's noise is its own, however the batch is cut."""
        x = batch["x"]
        return self.noise_of(key, row_numbers(x.shape[0]), x.dtype)

    def noise_of(self, key: Key, rows: Array, dtype: Any = jnp.float32) -> Array:
        keys = jax.vmap(jax.random.fold_in, (None, 0))(key, rows)
        return jax.vmap(lambda key: jax.random.normal(key, (self.latent,), dtype))(keys)

    def play(
        self, name: str, params: Params, model_state: ModelState, *inputs: Array, key: Key, train: bool
    ) -> tuple[Array, ModelState]:
        """What one player answers, and the model state with its part renewed."""
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
        """The generator's loss with the metrics of both players: what an evaluation sums up."""
        _, (_, seen) = self.criticise(params, model_state, batch, key, step, train=train)
        loss, (_, metrics) = self.deceive(params, model_state, batch, key, step, train=train)
        return loss, (model_state, {**metrics, **seen})

    # -- what comes of it ----------------------------------------------------------------------------------------------
    def predict(self, params: Params, model_state: ModelState, batch: Batch, key: Key) -> dict[str, Array]:
        """What the critic says of every example: `logit`, large for "real"."""
        if self.conditional and "y" not in batch:
            raise UserError(
                "a conditional critic judges an example by its label, too, and inputs have none; what this run makes: "
                "python -m jaxdl generate RUN --label ..."
            )
        x, labels = batch["x"], self.labels(batch)
        return {"logit": self.play("critic", params, model_state, x, *labels, key=key, train=False)[0]}

    def sample(self, params: Params, model_state: ModelState, batch: Batch, key: Key) -> Array:
        """New examples, as many as the batch has rows, of its labels where there are any: images in [0, 1], else as they are."""
        noise = self.noise(key, batch)
        made, _ = self.play("generator", params, model_state, noise, *self.labels(batch), key=key, train=False)
        return (made + 1) / 2 if made.ndim == 4 else made

    def observe(self, params: Params, model_state: ModelState, batch: Batch, key: Key) -> dict[str, Array]:
        """`sample`, made of the noise that belongs to the row's number, the row itself as `real`, the critic's logits of both."""
        x, labels = batch["x"], self.labels(batch)
        noise = self.noise(key, batch)
        sample, _ = self.play("generator", params, model_state, noise, *labels, key=key, train=False)
        logits = {
            f"{name}_logit": self.play("critic", params, model_state, value, *labels, key=key, train=False)[0]
            for name, value in (("real", x), ("sample", sample))
        }
        return {"sample": sample, "real": x, **logits}

    def report(self, outputs: dict[str, np.ndarray], targets: np.ndarray) -> dict[str, Any]:
        """The measures, how the game stands, sentences on its health (`notes`), and what there is to see."""
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
        """Labels that the players cannot mean are found here, on the host."""
        classes = getattr(self.generator, "classes", None)
        if not self.conditional or classes is None:
            return
        bad = targets[(targets < 0) | (targets >= classes)]
        if len(bad):
            raise UserError(f"labels must lie in 0 … {classes - 1}, got {bad[0]}")


def health(numbers: Mapping[str, float], spread: float, *, saturates: bool = True) -> list[str]:
    """One sentence for everything that has gone wrong in a game.

    `spread` is how far the critic's outputs are from their median, in the mean. With a loss that does not saturate (Wasserstein)
    a critic that tells all is as it should be.

    >>> health({"critic_auc": 1.0, "diversity": 0.05}, 3.0)[0]
    'discriminator saturated: it tells made examples from real ones almost always (AUC 1.000)'
    >>> health({"critic_auc": 0.7, "diversity": 0.9}, 3.0)
    []
    """
    notes = []
    if saturates and numbers["critic_auc"] > SATURATED:
        told = f"it tells made examples from real ones almost always (AUC {numbers['critic_auc']:.3f})"
        notes.append(f"discriminator saturated: {told}")
    if numbers["diversity"] < COLLAPSED:
        share = f"{100 * numbers['diversity']:.0f} % as far apart as real ones"
        notes.append(f"generator collapsed: its examples are {share}")
    if spread > 100:
        notes.append(f"diverging: the critic's outputs lie {spread:.0f} from their median, in the mean")
    return notes


def shown_examples(real: np.ndarray, made: np.ndarray) -> dict[str, Picture]:
    """What a report shows: a grid of made images, or made points over real ones."""
    if made.ndim == 4:
        return {"samples": ImageGrid((made[:SHOWN] + 1) / 2, title=SAMPLES)}
    if made.ndim == 2 and made.shape[1] == 2:
        return {"points": Points(made[:POINTS], real[:POINTS])}
    return {}
