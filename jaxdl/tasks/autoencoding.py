"""Autoencoding: learn a code from which the input can be reconstructed. One model holds encoder and decoder.

    x → encode → z → decode → -log p(x | z) + the terms of the family

| family | z | loss |
|---|---|---|
| `Autoencoding` | the encoder's output, also of a corrupted x | -log p(x given z) [+ sparsity of z] |
| `VariationalAutoencoding` | a draw from N(μ, σ²) | -log p(x given z) + β·KL(N(μ, σ²) ‖ N(0, 1)) |
| `ImportanceWeighted` | k draws | -log 1/k Σ p(x given z)·p(z) / q(z given x) |
| `QuantizedAutoencoding` | the nearest vector of a table | -log p(x given z) + ‖sg(h) - e‖² + β·‖h - sg(e)‖² |

Losses are in nats per example, summed over its pixels. An evaluation also reports the squared error of the reconstruction,
metrics of the code (`metrics.reduction`), and pictures.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.losses import variational as losses
from jaxdl.metrics import reduction
from jaxdl.reports import Codes, ImageGrid
from jaxdl.tasks import noise
from jaxdl.tasks.coder import Bernoulli, Coder
from jaxdl.tasks.forward import initialise, weighted_mean
from jaxdl.types import Array, Batch, Key, Metrics, ModelState, Params, Task, UserError, Variables

SHOWN = 2000
"""Most points in the map of codes."""
LOWER = ("reconstruction", "sparsity", "kl", "nll", "commitment")
PARTS: dict[str, str] = {**dict.fromkeys(LOWER, "min"), "codes_used": "max", "perplexity": "max"}
"""Direction of the terms that a family adds to the loss, and of the number of codes in use."""
SIDE = 8
TITLES = {
    "reconstructions": "Examples, and below each its reconstruction",
    "samples": "Samples, from the same latents at every evaluation",
    "traversals": "One unit of the code per row in eight steps, the most active first; the others at their mean",
}
"""Pictures have eight columns; traversals show eight latents."""


@dataclass(frozen=True, eq=False)
class Autoencoding(Task):
    """Minimise the reconstruction error of an autoencoder: plain, denoising (`corrupt`) or sparse (`sparsity`).

    Args:
        model: `models.autoencoder.Autoencoder`, or any with methods `encode` and `decode`.
        likelihood: (outputs, x) -> -log p(x | z), one value per example, and `mean(outputs)`, what is shown.
        corrupt: corruption of the encoder's input in training (`noise.gaussian`, `noise.masking`); x itself is reconstructed.
        sparsity: code -> one value per example, added to the training loss (`losses.activity`).
        baseline: `metrics.reduction.PCA` of the training examples, for comparison; its metrics are called `pca_...`.
        metric: what selects the best model, and its direction.
    """

    model: Any
    likelihood: Any = field(default_factory=Bernoulli)
    corrupt: noise.Corruption | None = None
    sparsity: Callable[[Array], Array] | None = None
    baseline: Any = None
    metric: tuple[str, str] = ("mse", "min")
    reduce: Mapping[str, str] = field(default_factory=lambda: {"batch_stats": "mean", "codebook": "mean"})

    @property
    def directions(self) -> Mapping[str, str]:
        """Whether more or less of a metric is better."""
        return {**reduction.DIRECTIONS, **PARTS}

    def init(self, key: Key, batch: Batch) -> Variables:
        return initialise(self.model, key, batch["x"])

    def objective(
        self, params: Params, model_state: ModelState, batch: Batch, key: Key, step: Array, *, train: bool
    ) -> tuple[Array, tuple[ModelState, Metrics]]:
        x, drop, draw = batch["x"], *jax.random.split(key)
        keys = noise.keys_of(draw, x, train=train)
        coder = Coder(self.model, params, model_state, drop, train)
        each, parts = self.terms(coder, x, keys)
        loss, pair = weighted_mean(each, batch["mask"])
        numbers = {name: weighted_mean(part, batch["mask"])[1] for name, part in parts.items()}
        return loss, (coder.model_state, {"loss": pair, **numbers})

    def terms(self, coder: Coder, x: Array, keys: Key) -> tuple[Array, dict[str, Array]]:
        """The loss of every example, and its terms for the log."""
        z, _ = coder.encode(self.seen(coder, x, keys))
        reconstruction = self.likelihood(coder.decode(z, x), x)
        if self.sparsity is None or not coder.train:
            return reconstruction, {}
        sparsity = self.sparsity(z)
        return reconstruction + sparsity, {"reconstruction": reconstruction, "sparsity": sparsity}

    def seen(self, coder: Coder, x: Array, keys: Key) -> Array:
        return noise.corrupted(self.corrupt, keys, x) if self.corrupt is not None and coder.train else x

    def predict(self, params: Params, model_state: ModelState, batch: Batch, key: Key) -> dict[str, Array]:
        """`code` and `reconstruction` of every example."""
        x, coder = batch["x"], Coder(self.model, params, model_state, key, False)
        z, about = coder.encode(x)
        found = {"code": z.astype(jnp.float32), "reconstruction": self.likelihood.mean(coder.decode(z, x))}
        return found | {name: about[name] for name in ("index",) if name in about}

    def observe(self, params: Params, model_state: ModelState, batch: Batch, key: Key) -> dict[str, Array]:
        """As `predict`, and `input`, the example itself."""
        return {**self.predict(params, model_state, batch, key), "input": batch["x"].astype(jnp.float32)}

    def illustrate(self, params: Params, model_state: ModelState, batch: Batch, key: Key) -> dict[str, Array]:
        """Decoded latents, one a row: `sample` of a fixed draw, `traversal` of steps along each latent."""
        x, coder = batch["x"], Coder(self.model, params, model_state, key, False)
        z, _ = coder.encode(x)
        latents = {"sample": self.sampled(z), **self.steps(z)}
        return {name: self.likelihood.mean(coder.decode(latent, x)) for name, latent in latents.items()}

    def sampled(self, z: Array) -> Array:
        """Latents to decode, without a prior: from a normal distribution fitted to the codes of the batch."""
        return z.mean(0, keepdims=True) + z.std(0, keepdims=True) * fixed_noise(z)

    def steps(self, z: Array) -> dict[str, Array]:
        """The mean code of the batch, moved in 8 steps along its 8 most active units: row r is step r mod 8 of unit r div 8."""
        flat = z.reshape(len(z), -1).astype(jnp.float32)
        mean, deviation = flat.mean(0), flat.std(0)
        units = jnp.argsort(-deviation)[: min(SIDE, flat.shape[1])]
        row = jnp.arange(len(z))
        unit = units[row // SIDE % len(units)]
        move = jnp.linspace(-2.5, 2.5, SIDE)[row % SIDE] * deviation[unit]
        walked = mean[None] + move[:, None] * jax.nn.one_hot(unit, flat.shape[1])
        return {"traversal": walked.reshape(z.shape).astype(z.dtype)}

    def check(self, targets: np.ndarray) -> None:
        """Accept any labels: nothing is learned from them; they colour the map and give the nearest-neighbour accuracy."""

    def check_inputs(self, x: np.ndarray) -> None:
        """Raise UserError for inputs outside the range of the likelihood."""
        if isinstance(self.likelihood, Bernoulli) and not (x.min() >= 0 and x.max() <= 1):
            raise UserError(
                f"a Bernoulli likelihood needs inputs in [0, 1], got {x.min():g} … {x.max():g}: leave the pixels "
                "as they are (data.pixels.in_unit_range), or use Gaussian()"
            )

    def report(self, outputs: dict[str, np.ndarray], targets: np.ndarray | None) -> dict[str, Any]:
        """`mse`, `knn_accuracy`, `trustworthiness` of the code (and of the baseline), pictures, and a map of the codes."""
        x, code = outputs["input"], outputs["code"]
        numbers = reduction.report(x, code, outputs["reconstruction"], targets)
        if self.baseline is not None:
            theirs = self.baseline.encode(x)
            rival = reduction.report(x, theirs, self.baseline.decode(theirs), targets)
            numbers |= {f"pca_{name}": value for name, value in rival.items()}
        points, axes = reduction.plane(code)
        few = reduction.some(len(points), SHOWN)
        labels = np.zeros(len(points), np.int32) if targets is None else np.asarray(targets)
        return numbers | {"latent_map": Codes(points[few], labels[few], axes)} | self.pictures(outputs)

    def pictures(self, outputs: dict[str, np.ndarray]) -> dict[str, ImageGrid]:
        """Reconstructions below their originals, samples and traversals, if the inputs are images."""
        x = outputs["input"]
        if x.ndim != 4 or x.shape[-1] not in (1, 3):
            return {}
        rows = min(SIDE * SIDE, len(outputs["sample"]))
        pairs = [a[i : i + SIDE] for i in range(0, min(32, len(x)), SIDE) for a in (x, outputs["reconstruction"])]
        shown = {"reconstructions": np.concatenate(pairs), "samples": outputs["sample"][:rows]}
        if "traversal" in outputs:
            units = int(np.prod(outputs["code"].shape[1:]))
            shown["traversals"] = outputs["traversal"][: min(rows, SIDE * min(units, SIDE))]
        return {name: ImageGrid(np.clip(pixels, 0, 1), title=TITLES[name]) for name, pixels in shown.items()}


@dataclass(frozen=True, eq=False)
class VariationalAutoencoding(Autoencoding):
    """The VAE: the code is a distribution; its KL divergence from N(0, 1) is added to the loss with weight β.

    An evaluation reports the loss of one draw and, with `importance`, also `nll`: an importance-sampled estimate of -log p(x).

    Args:
        beta: 1 gives the evidence lower bound; larger values give disentangled codes and blurred images (β-VAE).
        draws: number of draws of the latent per example in training.
        importance: number of draws per example for `nll` in an evaluation; 0: none.
    """

    beta: float = 1.0
    draws: int = 1
    importance: int = 0
    generative: bool = field(default=True, init=False)
    metric: tuple[str, str] = ("loss", "min")

    def terms(self, coder: Coder, x: Array, keys: Key) -> tuple[Array, dict[str, Array]]:
        mean, about = coder.encode(self.seen(coder, x, keys))
        log_variance = about["log_variance"]
        kl = losses.kl_standard_normal(mean, log_variance)
        reconstruction, log_ratio = self.drawn(coder, x, mean, log_variance, keys, jnp.arange(self.draws))
        numbers = {"reconstruction": reconstruction.mean(0), "kl": kl}
        if self.importance and not coder.train:
            numbers["nll"] = self.negative_log_likelihood(coder, x, mean, log_variance, keys)
        return self.bound(reconstruction, kl, log_ratio), numbers

    def bound(self, reconstruction: Array, kl: Array, log_ratio: Array) -> Array:
        """The loss, from -log p(x | z) and log p(z)/q(z | x) of every draw (draws, batch) and the KL divergence."""
        return losses.negative_elbo(reconstruction.mean(0), kl, beta=self.beta)

    def drawn(
        self, coder: Coder, x: Array, mean: Array, log_variance: Array, keys: Key, draws: Array
    ) -> tuple[Array, Array]:
        """-log p(x | z) and log p(z)/q(z | x) of draws of z, `(draws, batch)` each, decoded as one batch."""
        epsilon = jax.vmap(lambda draw: noise.normal_rows(keys, mean.shape[1:], draw))(draws)
        z = losses.reparameterise(mean, log_variance, epsilon)
        each = jnp.broadcast_to(x[None], (len(z), *x.shape)).reshape(-1, *x.shape[1:])
        outputs = coder.decode(z.reshape(-1, *mean.shape[1:]).astype(x.dtype), each)
        reconstruction = self.likelihood(outputs, each).reshape(z.shape[:2])
        return reconstruction, losses.log_prior_ratio(z, mean, log_variance)

    def negative_log_likelihood(self, coder: Coder, x: Array, mean: Array, log_variance: Array, keys: Key) -> Array:
        """-log p(x) by importance sampling, one draw at a time, so that memory does not grow with their number."""

        def one(draw: Array) -> Array:
            reconstruction, log_ratio = self.drawn(coder, x, mean, log_variance, keys, draw[None])
            return (log_ratio - reconstruction)[0]

        return losses.importance_weighted(jax.lax.map(one, 1 + jnp.arange(self.importance)))

    def sampled(self, z: Array) -> Array:
        """Latents from the prior."""
        return fixed_noise(z)

    def sample(self, params: Params, model_state: ModelState, batch: Batch, key: Key) -> Array:
        """One new example per row of the batch, from latents of the prior: the mean of each pixel."""
        x, coder = batch["x"], Coder(self.model, params, model_state, key, False)
        code = jax.eval_shape(lambda x: coder.encode(x)[0], x)
        z = noise.normal_rows(noise.keys_of(key, x, train=True), code.shape[1:]).astype(code.dtype)
        return self.likelihood.mean(coder.decode(z, x))

    def report(self, outputs: dict[str, np.ndarray], targets: np.ndarray | None) -> dict[str, Any]:
        """Also `active_units`, latents whose mean has a variance above 0.01 over the set (Burda et al. 2016), and, for the
        Bernoulli likelihood, `independent_nll`: the best loss of a model with independent pixels."""
        numbers = super().report(outputs, targets)
        spread = outputs["code"].reshape(len(outputs["code"]), -1).var(0)
        numbers["active_units"] = int((spread > 0.01).sum())
        if isinstance(self.likelihood, Bernoulli):
            numbers["independent_nll"] = reduction.independent_nll(outputs["input"])
        return numbers


@dataclass(frozen=True, eq=False)
class ImportanceWeighted(VariationalAutoencoding):
    """The IWAE: a VAE with the tighter bound of `draws` samples. Source: Burda et al. 2016, arXiv:1509.00519."""

    draws: int = 5

    def bound(self, reconstruction: Array, kl: Array, log_ratio: Array) -> Array:
        return losses.importance_weighted(log_ratio - reconstruction)


@dataclass(frozen=True, eq=False)
class QuantizedAutoencoding(Autoencoding):
    """The VQ-VAE: each vector of the code is one of a table (`layers.quantize.VectorQuantizer` is the bottleneck).

    The report has `codes_used` and `perplexity`, the exponential of the entropy of their frequencies.

    Args:
        commitment: weight β of the term that keeps the encoder's output near the codes.
    """

    commitment: float = 0.25

    def terms(self, coder: Coder, x: Array, keys: Key) -> tuple[Array, dict[str, Array]]:
        z, about = coder.encode(self.seen(coder, x, keys))
        h, quantized = about["h"], about["quantized"]
        reconstruction = self.likelihood(coder.decode(z, x), x)
        commitment = losses.commitment(h, quantized)
        loss = reconstruction + jnp.asarray(self.commitment, jnp.float32) * commitment
        if self.model.bottleneck.decay is None:
            loss += losses.codebook(h, quantized)
        return loss, {"reconstruction": reconstruction, "commitment": commitment}

    def sampled(self, z: Array) -> Array:
        """Each position takes the code of a random example there: samples without a learned prior."""
        flat = z.reshape(len(z), -1, z.shape[-1])
        keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(1), jnp.arange(len(z)))
        other = jax.vmap(lambda key: jax.random.randint(key, flat.shape[1:2], 0, len(z)))(keys)
        return flat[other, jnp.arange(flat.shape[1])[None]].reshape(z.shape)

    def steps(self, z: Array) -> dict[str, Array]:
        """Return nothing: codes have no order, so there are no traversals."""
        return {}

    def report(self, outputs: dict[str, np.ndarray], targets: np.ndarray | None) -> dict[str, Any]:
        counts = np.bincount(outputs["index"].reshape(-1), minlength=self.model.bottleneck.codes)
        shares = counts[counts > 0] / counts.sum()
        used = {"perplexity": float(np.exp(-(shares * np.log(shares)).sum())), "codes_used": int((counts > 0).sum())}
        return super().report(outputs, targets) | used


def fixed_noise(z: Array) -> Array:
    """The same normal noise in every evaluation: row r of any batch has draw r."""
    keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(1), jnp.arange(len(z)))
    return noise.normal_rows(keys, z.shape[1:]).astype(z.dtype)
