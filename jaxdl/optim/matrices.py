"""Optimizers that treat weights as matrices: Muon (with kernels of a fixed norm) and Adafactor.

Notation as in `optimizers.py`. Weight decay is decoupled. The last axis of a kernel is that of the outputs.
"""

from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from jaxdl.counts import check_count, check_numbers
from jaxdl.optim.composition import Rate, average, compose, known_preset, rate_at, scale_by_learning_rate, weight_decay
from jaxdl.optim.groups import Mask
from jaxdl.optim.optimizers import scale_by_adam
from jaxdl.optim.schedules import Knob
from jaxdl.parameters import decayed, hidden_matrices


def muon(
    lr: Rate,
    *,
    b: Knob = 0.95,
    decay: Knob = 0.1,
    mask: Mask = decayed,
    orthogonal: Mask = hidden_matrices,
    nesterov: bool = True,
    iterations: int = 5,
    preset: Literal["original", "match_rms_adamw"] = "original",
    b1: Knob = 0.9,
    b2: Knob = 0.999,
    eps: Knob = 1e-8,
    adam_scale: Knob = 1.0,
) -> optax.GradientTransformationExtraArgs:
    """Muon: momentum whose matrices are orthogonalised, so that all directions of a weight matrix change at the same rate.

        m ← b m + (1 - b) g        u = b m + (1 - b) g (Nesterov) or m        w ← w - η (c · orthogonal(u) + λ w)

    orthogonal(U Σ Vᵀ) ≈ U Vᵀ is computed by Newton-Schulz iterations (`orthogonalize`), in float32; PyTorch uses bfloat16.

    Args:
        orthogonal: mask of the matrices; kernels with more than two axes are reshaped to (-1, out). All other parameters
            (vectors, embeddings, the head) are trained by AdamW with b1, b2 and eps, at the learning rate η · adam_scale.
        preset: PyTorch's `adjust_lr_fn`. "original" (Jordan): c = √max(1, out/in); "match_rms_adamw" (Moonshot):
            c = 0.2 √max(out, in), for which the learning rate and decay of AdamW can be used.

    When to use: hidden layers of Transformers.
    Source: Jordan et al. 2024, kellerjordan.github.io/posts/muon; Liu et al. 2025, arXiv:2502.16982.
    """
    check_count("iterations", iterations)
    check_numbers(0, 1, b=b)
    check_numbers(adam_scale=adam_scale)
    size = known_preset(
        preset,
        {
            "original": lambda rows, out: max(1, out / rows) ** 0.5,
            "match_rms_adamw": lambda rows, out: 0.2 * max(rows, out) ** 0.5,
        },
    )

    def orthogonal_step(updates, params):
        def one(u):
            matrix = u.reshape(-1, u.shape[-1])
            return size(*matrix.shape) * orthogonalize(matrix, iterations=iterations).reshape(u.shape)

        return jax.tree.map(one, updates)

    def averaged(updates, state, params=None):
        return _averaged(updates, state.trace, b, nesterov)

    ema = optax.GradientTransformation(lambda params: optax.TraceState(optax.tree.zeros_like(params)), averaged)
    return compose(
        optax.partition(
            {"muon": optax.chain(ema, optax.stateless(orthogonal_step)), "adam": scale_by_adam(b1, b2, eps)},
            lambda params: jax.tree.map(lambda use: "muon" if use else "adam", orthogonal(params)),
        ),
        weight_decay(decay, mask),
        optax.masked(optax.scale(adam_scale), lambda params: jax.tree.map(lambda use: not use, orthogonal(params))),
        scale_by_learning_rate(lr),
    )


def _averaged(grads, mean, b, nesterov):
    mean = average(mean, grads, b)
    updates = average(mean, grads, b) if nesterov else mean
    return updates, optax.TraceState(mean)


def orthogonalize(
    matrix: Float[Array, "rows columns"], *, iterations: int = 5, eps: Knob = 1e-7
) -> Float[Array, "rows columns"]:
    """Return approximately the nearest orthogonal matrix, with singular values in about [0.7, 1.2].

        X ← X / ‖X‖        X ← a X + b (X Xᵀ) X + c (X Xᵀ)² X        a, b, c = 3.4445, -4.7750, 2.0315

    >>> diagonal = jax.jit(lambda d: jnp.diag(orthogonalize(jnp.diag(d))))(jnp.array([9.0, 1.0]))
    >>> [round(s, 1) for s in diagonal.tolist()]
    [0.7, 0.8]
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    wide = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    x = wide / jnp.maximum(jnp.linalg.norm(wide), eps)
    for _ in range(iterations):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if matrix.shape[0] > matrix.shape[1] else x


def keep_norm() -> optax.GradientTransformation:
    """Scale kernels to the norm √out before each update: `optax.chain(muon(lr, decay=0.0), keep_norm())`.

        w ← w · √out / ‖w‖ + u        out: the last axis; ‖w‖ over all elements

    So the length of a kernel, on which nothing depends before a normalization, does not change the effective learning rate.
    Vectors are not scaled. Source: Jordan 2024, github.com/KellerJordan/cifar10-airbench.
    """

    def scaled(updates, params):
        def one(u, w):
            return u if w.ndim < 2 else u + (w.shape[-1] ** 0.5 / jnp.linalg.norm(w) - 1) * w

        return jax.tree.map(one, updates, params)

    return compose(optax.stateless(scaled))


class FactoredState(NamedTuple):
    """State of `adafactor`: mean squares of the rows and columns of matrices, and of all elements (`full`) of vectors."""

    count: Int[Array, ""]  # pyright: ignore[reportIncompatibleMethodOverride]  (optax calls it so)
    rows: Any
    columns: Any
    full: Any


def adafactor(
    lr: Rate = 0.01,
    *,
    decay_power: Knob = 0.8,
    clip_rms: Knob = 1.0,
    min_rms: Knob = 1e-3,
    eps: Knob = 1.1920929e-07,
    decay: Knob = 0.0,
    mask: Mask = decayed,
) -> optax.GradientTransformationExtraArgs:
    """Adafactor: Adam's second moment from means of rows and columns, without a first moment, steps relative to rms(w).

        β = 1 - t^-decay_power        R ← β R + (1 - β) mean_columns(g²)        C ← β C + (1 - β) mean_rows(g²)
        v = R C / mean(R)             u = g / √v        u ← u / max(1, rms(u) / clip_rms)
        w ← w - ρ (max(min_rms, rms(w)) u + λ w)        ρ = min(η, 1/√t)

    As PyTorch (ε is a lower bound of mean(R), ε² of v), except that decay is multiplied by ρ instead of η. optax factors only
    axes of 128 or more, and has no 1/√t and no η in its decay. When to use: little memory.
    Source: Shazeer & Stern 2018, arXiv:1804.04235, algorithms 4 and 5.
    """
    check_numbers(lr=lr, decay_power=decay_power, clip_rms=clip_rms, min_rms=min_rms, eps=eps)

    def init(params):
        # an unused part is a single zero: the three trees have one structure, and Orbax cannot save empty arrays
        rows = jax.tree.map(lambda p: jnp.zeros_like(p, shape=_but(p, -1)), params)
        columns = jax.tree.map(lambda p: jnp.zeros_like(p, shape=_but(p, -2)), params)
        full = jax.tree.map(lambda p: jnp.zeros_like(p, shape=(1,) if p.ndim > 1 else p.shape), params)
        return FactoredState(jnp.zeros((), jnp.int32), rows, columns, full)

    def update(updates, state, params=None):
        t = state.count + 1
        new = jnp.power(t.astype(jnp.result_type(float)), -decay_power)

        def mix(old, fresh):
            return old + new.astype(old.dtype) * (fresh - old)

        def mean(g, axis):
            return jnp.mean(g * g, axis, keepdims=True)

        rows = jax.tree.map(lambda r, g: mix(r, mean(g, -1)) if g.ndim > 1 else r, state.rows, updates)
        columns = jax.tree.map(lambda c, g: mix(c, mean(g, -2)) if g.ndim > 1 else c, state.columns, updates)
        full = jax.tree.map(lambda f, g: f if g.ndim > 1 else mix(f, g * g), state.full, updates)

        def step(g, r, c, f):
            v = r * c / jnp.maximum(jnp.mean(r, -2, keepdims=True), eps) if g.ndim > 1 else f
            return g / jnp.sqrt(jnp.maximum(v, eps * eps))

        return jax.tree.map(step, updates, rows, columns, full), FactoredState(t, rows, columns, full)

    return compose(
        optax.GradientTransformation(init, update),
        optax.clip_by_block_rms(clip_rms),
        optax.scale_by_param_block_rms(min_rms),
        weight_decay(decay, mask),
        scale_by_learning_rate(lambda t: jnp.minimum(rate_at(lr, t), 1 / jnp.sqrt(t + 1.0))),
    )


def _but(p, axis):
    """Shape with one axis reduced to 1; (1,) for a vector or scalar."""
    return tuple(1 if i == p.ndim + axis else n for i, n in enumerate(p.shape)) if p.ndim > 1 else (1,)
