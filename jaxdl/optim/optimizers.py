"""The sheet's eight optimizers, each a chain of transformations that reads like its update rule.

    tx = adamw(schedules.warmup_cosine(peak=3e-4, steps=10_000), decay=0.05)

w are the parameters, g the gradient, η the learning rate, λ the weight decay, t = 1, 2, ... the update. `lr` is a number or
a schedule; every number may be a traced scalar, and none changes the structure of the state.

Weight decay is off by default but in `adamw` and `lamb`, and touches what `mask` says (`groups.decayed`: no biases, no norms, no
positions; PyTorch and optax decay everything: `mask=groups.everything`). Coupled (L2, PyTorch's `weight_decay`), λw is added to
the gradient and goes through the optimizer's statistics; decoupled, it is added to the step, w ← w - η (step + λw).
"""

from typing import Literal

import jax
import jax.numpy as jnp
import optax

from jaxdl.optim.composition import Rate, average, clip, compose, known_preset, scale_by_learning_rate, squared, unbias
from jaxdl.optim.groups import Mask
from jaxdl.optim.schedules import Knob
from jaxdl.parameters import decayed
from jaxdl.types import UserError


def sgd(
    lr: Rate, *, decay: Knob = 0.0, mask: Mask = decayed, coupled: bool = True
) -> optax.GradientTransformationExtraArgs:
    """Stochastic gradient descent: w ← w - η g.

    The same everywhere. When to use: as the yardstick; with momentum for vision models.
    Source: Robbins & Monro 1951.
    """
    return _descend((), lr, decay, mask, coupled)


def momentum(
    lr: Rate,
    *,
    b: Knob = 0.9,
    decay: Knob = 0.0,
    mask: Mask = decayed,
    coupled: bool = True,
    preset: Literal["torch", "tf"] = "torch",
) -> optax.GradientTransformationExtraArgs:
    """Heavy-ball momentum: past gradients carry on.

        m ← b m + g         w ← w - η m                  preset "torch" (dampening 0), also optax
        m ← b m + η g       w ← w - m                    preset "tf": Keras, equal as long as η is constant

    When to use: image models with a tuned schedule. Source: Polyak 1964; Sutskever et al. 2013.
    """
    return _momentum(lr, b, decay, mask, coupled, preset, nesterov=False)


def nesterov(
    lr: Rate,
    *,
    b: Knob = 0.9,
    decay: Knob = 0.0,
    mask: Mask = decayed,
    coupled: bool = True,
    preset: Literal["torch", "tf"] = "torch",
) -> optax.GradientTransformationExtraArgs:
    """Nesterov's momentum, looking ahead by one step (in the form that takes the gradient at w).

        m ← b m + g         w ← w - η (g + b m)          preset "torch", also optax
        m ← b m + η g       w ← w - (η g + b m)          preset "tf": Keras, equal as long as η is constant

    When to use: as momentum, a little faster at the same b. Source: Nesterov 1983; Sutskever et al. 2013, eq. 7.
    """
    return _momentum(lr, b, decay, mask, coupled, preset, nesterov=True)


def adagrad(
    lr: Rate,
    *,
    initial: Knob | None = None,
    eps: Knob | None = None,
    decay: Knob = 0.0,
    mask: Mask = decayed,
    coupled: bool = True,
    preset: Literal["torch", "tf"] = "torch",
) -> optax.GradientTransformationExtraArgs:
    """A learning rate for each parameter, smaller the more gradient it has seen.

        s ← s + g²          w ← w - η g / (√s + ε)       preset "torch": s₀ = 0, ε = 1e-10 (its lr_decay is a schedule)
                            w ← w - η g / √(s + ε)       preset "tf": s₀ = 0.1, ε = 1e-7, also optax

    When to use: sparse features, whose rare gradients keep a large step. Source: Duchi et al. 2011.
    """
    initial_, eps_ = known_preset(preset, {"torch": (0.0, 1e-10), "tf": (0.1, 1e-7)})
    initial, eps = _given(initial, initial_), _given(eps, eps_)
    return _descend((scale_by_sum_of_squares(initial, eps, inside=preset == "tf"),), lr, decay, mask, coupled)


def rmsprop(
    lr: Rate,
    *,
    b2: Knob | None = None,
    eps: Knob | None = None,
    momentum: Knob | None = None,
    decay: Knob = 0.0,
    mask: Mask = decayed,
    coupled: bool = True,
    preset: Literal["torch", "keras", "tf"] = "torch",
) -> optax.GradientTransformationExtraArgs:
    """AdaGrad with a memory that fades.

        v ← b₂ v + (1 - b₂) g²
        u = g / (√v + ε)        preset "torch": b₂ = 0.99, ε = 1e-8, v₀ = 0
        u = g / √(v + ε)        preset "keras": b₂ = 0.9,  ε = 1e-7, v₀ = 0
                                preset "tf": b₂ = 0.9, ε = 1e-10, v₀ = 1: TensorFlow 1, which MobileNet and EfficientNet were
                                trained with (they set ε = 1e-3), and timm's RMSpropTF
        w ← w - η u

    With `momentum` the step is m ← momentum · m + u, w ← w - η m; in "keras" and "tf" η is inside the buffer.
    When to use: recurrent networks, reinforcement learning. Source: Tieleman & Hinton 2012, lecture 6e.
    """
    table = {"torch": (0.99, 1e-8, 0.0), "keras": (0.9, 1e-7, 0.0), "tf": (0.9, 1e-10, 1.0)}
    b2_, eps_, initial = known_preset(preset, table)
    torch = preset == "torch"
    scale = optax.scale_by_rms(_given(b2, b2_), _given(eps, eps_), initial_scale=initial, eps_in_sqrt=not torch)
    buffer = () if momentum is None else (optax.trace(momentum),)
    if torch:
        return _descend((scale, *buffer), lr, decay, mask, coupled)
    return _descend((scale,), lr, decay, mask, coupled, after=buffer)


def adam(
    lr: Rate,
    *,
    b1: Knob = 0.9,
    b2: Knob = 0.999,
    eps: Knob = 1e-8,
    decay: Knob = 0.0,
    mask: Mask = decayed,
    coupled: bool = True,
    preset: Literal["torch", "tf"] = "torch",
) -> optax.GradientTransformationExtraArgs:
    """Momentum over RMSprop, both corrected for their start at zero.

        m ← b₁ m + (1 - b₁) g        m̂ = m / (1 - b₁ᵗ)
        v ← b₂ v + (1 - b₂) g²       v̂ = v / (1 - b₂ᵗ)
        w ← w - η m̂ / (√v̂ + ε)                                   preset "torch", also optax
        w ← w - η √(1 - b₂ᵗ) / (1 - b₁ᵗ) · m / (√v + ε)           preset "tf": the paper's ε-hat form (Keras: ε = 1e-7)

    When to use: the default; prefer `adamw` with weight decay. Source: Kingma & Ba 2014, arXiv:1412.6980, algorithm 1, section 2.
    """
    return _descend((scale_by_adam(b1, b2, eps, preset),), lr, decay, mask, coupled)


def adamw(
    lr: Rate,
    *,
    b1: Knob = 0.9,
    b2: Knob = 0.999,
    eps: Knob = 1e-8,
    decay: Knob = 0.01,
    mask: Mask = decayed,
    preset: Literal["torch", "tf"] = "torch",
) -> optax.GradientTransformationExtraArgs:
    """Adam with decoupled weight decay.

        w ← w - η (m̂ / (√v̂ + ε) + λ w)                           m̂, v̂ and the presets as in `adam`

    λ is multiplied by η, as in PyTorch and optax; optax's default is 1e-4, PyTorch's 0.01, and both decay everything.
    When to use: Transformers, and nearly everything else. Source: Loshchilov & Hutter 2017, arXiv:1711.05101, algorithm 2.
    """
    return _descend((scale_by_adam(b1, b2, eps, preset),), lr, decay, mask, coupled=False)


def lamb(
    lr: Rate,
    *,
    b1: Knob = 0.9,
    b2: Knob = 0.999,
    eps: Knob = 1e-6,
    decay: Knob = 0.01,
    mask: Mask = decayed,
    max_norm: Knob | None = 1.0,
    always_adapt: bool = False,
    trust: tuple[Knob, Knob] = (0.0, jnp.inf),
) -> optax.GradientTransformationExtraArgs:
    """AdamW whose step in each layer is as long as the layer's weights: for very large batches.

        u = m̂ / (√v̂ + ε) + λ w        r = ‖w‖ / ‖u‖ within `trust`, 1 if either norm is 0        w ← w - η r u

    The defaults are timm's: gradients clipped to norm 1 first, and r = 1 for the parameters that `mask` leaves without decay
    (timm's `trust_clip` is `trust=(0.0, 1.0)`). The paper and optax: `max_norm=None, always_adapt=True`.
    When to use: batches of thousands. Source: You et al. 2019, arXiv:1904.00962, algorithm 2.
    """
    ratio = scale_by_trust_ratio(*trust)
    return compose(
        optax.identity() if max_norm is None else clip(norm=max_norm),
        scale_by_adam(b1, b2, eps),
        optax.add_decayed_weights(decay, mask),
        ratio if always_adapt else optax.masked(ratio, mask),
        scale_by_learning_rate(lr),
    )


def scale_by_sum_of_squares(initial: Knob, eps: Knob, *, inside: bool) -> optax.GradientTransformation:
    """AdaGrad's step; `inside`: ε under the root (optax's `scale_by_rss` knows only that)."""

    def update(updates, state, params=None):
        total = jax.tree.map(lambda s, g: s + g * g, state.sum_of_squares, updates)
        root = (lambda s: jnp.sqrt(s + eps)) if inside else (lambda s: jnp.sqrt(s) + eps)
        return jax.tree.map(lambda g, s: g / root(s), updates, total), optax.ScaleByRssState(total)

    return optax.GradientTransformation(
        lambda params: optax.ScaleByRssState(optax.tree.full_like(params, initial)), update
    )


def scale_by_adam(
    b1: Knob, b2: Knob, eps: Knob, preset: Literal["torch", "tf"] = "torch"
) -> optax.GradientTransformation:
    """Adam's step. In the "tf" form ε is added before v is corrected: √v + ε instead of √v̂ + ε."""
    corrected_eps = known_preset(preset, {"torch": False, "tf": True})

    def update(updates, state, params=None):
        t = state.count + 1
        m, v = average(state.mu, updates, b1), average(state.nu, squared(updates), b2)
        c1, c2 = unbias(b1, t), unbias(b2, t)
        small = eps / jnp.sqrt(c2) if corrected_eps else eps
        step = jax.tree.map(lambda m, v: m / c1 / (jnp.sqrt(v / c2) + small), m, v)
        return step, optax.ScaleByAdamState(t, m, v)

    return optax.GradientTransformation(optax.scale_by_adam().init, update)


def scale_by_trust_ratio(lower: Knob = 0.0, upper: Knob = jnp.inf) -> optax.GradientTransformation:
    """u ← r u, r = ‖w‖ / ‖u‖ for each parameter, clipped to [lower, upper]; 1 where a norm is 0 (optax's has no bounds)."""

    def scaled(u, w):
        length, weight = jnp.linalg.norm(u.ravel()), jnp.linalg.norm(w.ravel())
        ratio = jnp.clip(weight / jnp.where(length > 0, length, 1), lower, upper)
        return u * jnp.where((length > 0) & (weight > 0), ratio, 1)

    return optax.stateless(lambda updates, params: jax.tree.map(scaled, updates, params))


def _momentum(lr, b, decay, mask, coupled, preset, *, nesterov):
    buffer = (optax.trace(b, nesterov=nesterov),)
    if known_preset(preset, {"torch": True, "tf": False}):
        return _descend(buffer, lr, decay, mask, coupled)
    return _descend((), lr, decay, mask, coupled, after=buffer)


def _descend(direction, lr, decay, mask, coupled, after=()):
    """decay -> direction -> -η (coupled) or direction -> decay -> -η (decoupled); `after`: a buffer that holds η."""
    if after and not coupled:
        raise UserError("coupled=False: with the learning rate inside the momentum buffer decay can only be coupled")
    weight_decay = optax.add_decayed_weights(decay, mask)
    parts = (weight_decay, *direction) if coupled else (*direction, weight_decay)
    return compose(*parts, scale_by_learning_rate(lr), *after)


def _given(value: Knob | None, default: Knob) -> Knob:
    return default if value is None else value
