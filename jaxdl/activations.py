"""Activations: the cheat sheet's eight and their kin, pure and elementwise but for softmax.

Each entry gives formula, range and when to use it. "Closed in float32" says that a bound which is never reached on
paper is reached after rounding: sigmoid(20) is exactly 1. Parameters may be traced scalars or arrays that broadcast
against `x` (one β per channel, say); they are cast to the dtype of `x`, so bfloat16 stays bfloat16. The modules whose
parameter is learned, `Swish` and `PReLU`, are in `jaxdl.layers.activation`.
"""

import math

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float


def _like(parameter: ArrayLike, x: Array) -> Array:
    """A parameter in the dtype and, said aloud because rank promotion is an error here, the shape of `x`."""
    return jnp.broadcast_to(jnp.asarray(parameter, x.dtype), x.shape)


def _negative(x: Array) -> Array:
    """min(x, 0), so that eˣ cannot overflow in the branch not taken; derivative 1 at 0 (`jnp.minimum` has 1/2)."""
    return jnp.where(x > 0, 0, x)


# Rectifiers -----------------------------------------------------------------------------------------------------------


def relu(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """max(0, x). Range [0, ∞); derivative 0 at 0. The default of CNNs and MLPs: cheap, no saturation above 0.

    >>> relu(jnp.array([-2.0, 3.0])).tolist()
    [0.0, 3.0]
    """
    return jax.nn.relu(x)


def relu6(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """min(max(0, x), 6). Range [0, 6]. MobileNets: bounded, hence kind to low precision (Howard et al. 2017).

    The derivative is 0 at both corners, as in PyTorch (`jax.nn.relu6` has 1/2 there).
    """
    return jnp.where(x <= 0, 0, jnp.where(x >= 6, 6, x)).astype(x.dtype)


def squared_relu(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """max(0, x)². Range [0, ∞). Transformer feed-forward without a gate (So et al. 2021, Primer)."""
    return jnp.square(relu(x))


def leaky_relu(x: Float[Array, "*shape"], slope: ArrayLike = 0.01) -> Float[Array, "*shape"]:
    """x for x > 0, slope·x otherwise. Range (-∞, ∞). Where ReLU units die; GAN critics use slope 0.2.

    >>> print(f"{leaky_relu(jnp.float32(-1)):.2f}")
    -0.01
    """
    return jnp.where(x > 0, x, _like(slope, x) * x)


def prelu(x: Float[Array, "*shape"], slope: ArrayLike) -> Float[Array, "*shape"]:
    """Leaky ReLU whose slope is learned: a scalar, or one per channel (He et al. 2015). Face recognition nets."""
    return leaky_relu(x, slope)


def elu(x: Float[Array, "*shape"], alpha: ArrayLike = 1.0) -> Float[Array, "*shape"]:
    """x for x > 0, α·(eˣ - 1) otherwise. Range (-α, ∞), closed in float32. Smooth, mean nearer to 0 than ReLU.

    Source: Clevert et al. 2015, arXiv:1511.07289.
    """
    return jnp.where(x > 0, x, _like(alpha, x) * jnp.expm1(_negative(x)))


def celu(x: Float[Array, "*shape"], alpha: ArrayLike = 1.0) -> Float[Array, "*shape"]:
    """x for x > 0, α·(e^(x/α) - 1) otherwise. Range (-α, ∞), closed in float32.

    ELU made continuously differentiable for every α (Barron 2017); the same as ELU at α = 1.
    """
    alpha = _like(alpha, x)
    return jnp.where(x > 0, x, alpha * jnp.expm1(_negative(x) / alpha))


def selu(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """λ·ELU(x, α) with λ = 1.0507, α = 1.6733. Range (-1.758, ∞), closed in float32.

    Deep plain MLPs without normalization: with LeCun-normal weights mean 0 and variance 1 are a fixed point.
    Source: Klambauer et al. 2017, arXiv:1706.02515.
    """
    return 1.0507009873554805 * elu(x, 1.6732632423543772)


# Squashing ------------------------------------------------------------------------------------------------------------


def sigmoid(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """σ(x) = 1 / (1 + e⁻ˣ). Range (0, 1), closed in float32. Gates, and the probability of a binary output.

    For a loss keep the logits: `binary_cross_entropy` and `log_sigmoid` do not saturate.
    """
    return jax.nn.sigmoid(x)


def log_sigmoid(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """log σ(x) = -softplus(-x). Range (-∞, 0), closed in float32; exact where σ(x) has rounded to 0."""
    return jax.nn.log_sigmoid(x)


def hard_sigmoid(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """relu6(x + 3) / 6. Range [0, 1]. MobileNetV3's squeeze-and-excite gate: sigmoid without an exponential.

    PyTorch's and MobileNetV3's form; Keras 2 and ONNX have the slope 0.2 by default.
    """
    return relu6(x + 3) / 6


def tanh(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """(eˣ - e⁻ˣ) / (eˣ + e⁻ˣ). Range (-1, 1), closed in float32. Recurrent cells; images scaled to [-1, 1]."""
    return jnp.tanh(x)


def hard_tanh(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """min(max(-1, x), 1). Range [-1, 1]. Tanh without an exponential; derivative 0 at both corners."""
    return jnp.where(x <= -1, -1, jnp.where(x >= 1, 1, x)).astype(x.dtype)


def softsign(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """x / (1 + |x|). Range (-1, 1), closed in float32 beyond 2²⁴. Like tanh, with polynomial tails."""
    return x / (1 + jnp.abs(x))


def softplus(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """log(1 + eˣ). Range (0, ∞), closed in float32. Makes a scale or a rate positive; a smooth ReLU."""
    return jax.nn.softplus(x)


def softmax(
    x: Float[Array, "*shape"],
    *,
    axis: int = -1,
    temperature: ArrayLike = 1.0,
    mask: Bool[Array, "*shape"] | None = None,
) -> Float[Array, "*shape"]:
    """eˣ / Σ eˣ along one axis: a distribution. Range (0, 1), closed in float32; sums to 1.

        softmax(x / T)ᵢ = e^(xᵢ/T) / Σⱼ e^(xⱼ/T)

    T → 0 is argmax, T → ∞ is uniform. `mask` is True for the entries that take part; the others get 0, and so does
    every entry of a row without any. Unchanged when a constant is added to a row. Class outputs and attention.

    >>> jax.jit(softmax)(jnp.array([1.0, 1.0, 9.0]), mask=jnp.array([True, True, False])).tolist()
    [0.5, 0.5, 0.0]
    """
    x = x / _like(temperature, x)
    keep = jnp.ones_like(x, bool) if mask is None else jnp.broadcast_to(mask, x.shape)
    x = jnp.where(keep, x, jnp.finfo(x.dtype).min)
    exps = jnp.where(keep, jnp.exp(x - jax.lax.stop_gradient(x.max(axis, keepdims=True))), 0)
    return exps / jnp.maximum(exps.sum(axis, keepdims=True), jnp.finfo(x.dtype).tiny)


def log_softmax(x: Float[Array, "*shape"], *, axis: int = -1, temperature: ArrayLike = 1.0) -> Float[Array, "*shape"]:
    """x/T - log Σ e^(x/T) along one axis. Range (-∞, 0], exact where the softmax has rounded to 0."""
    return jax.nn.log_softmax(x / _like(temperature, x), axis)


# Smooth rectifiers ----------------------------------------------------------------------------------------------------


def swish(x: Float[Array, "*shape"], beta: ArrayLike = 1.0) -> Float[Array, "*shape"]:
    """x·σ(βx). Range [-0.2785/β, ∞): it dips below 0, which the sheet leaves out. β = 0: x/2; β → ∞: ReLU.

    EfficientNet and other deep CNNs in place of ReLU. Source: Ramachandran et al. 2017, arXiv:1710.05941.

    >>> print(f"{swish(jnp.float32(-1.2785)):.4f}")  # the minimum
    -0.2785
    """
    return x * jax.nn.sigmoid(_like(beta, x) * x)


def silu(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """x·σ(x): Swish with β = 1. Range [-0.2785, ∞). Also the gate of SwiGLU in language models."""
    return swish(x)


def hard_swish(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """x·relu6(x + 3) / 6. Range [-0.375, ∞). MobileNetV3: Swish without an exponential (Howard et al. 2019)."""
    return x * hard_sigmoid(x)


def gelu(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """x·Φ(x), Φ the normal distribution function: the exact GELU. Range [-0.1700, ∞): it dips below 0.

    Transformers: ViT, BERT and PyTorch mean this one; `jax.nn.gelu` means `gelu_tanh` unless told otherwise.
    Source: Hendrycks & Gimpel 2016, arXiv:1606.08415.

    >>> print(f"{gelu(jnp.float32(1)):.6f} {gelu_tanh(jnp.float32(1)):.6f}")
    0.841345 0.841192
    """
    return 0.5 * x * (1 + lax.erf(x * math.sqrt(0.5)))  # erfc, jax.nn's way, takes three times as long on a CPU


def gelu_tanh(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """½x·(1 + tanh(√(2/π)·(x + 0.044715x³))). Range [-0.1700, ∞). GPT-2's GELU, up to 5e-4 from the exact one."""
    return jax.nn.gelu(x, approximate=True)


def mish(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """x·tanh(softplus(x)). Range [-0.3088, ∞). Detectors (YOLOv4). Source: Misra 2019, arXiv:1908.08681."""
    return x * jnp.tanh(softplus(x))


# Gates: two linear maps of the same input, one passes the other ---------------------------------------------------------


def glu(gate: Float[Array, "*shape"], value: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """σ(gate)·value. Range (-∞, ∞). Gated convolutions, conformers (Dauphin et al. 2016, arXiv:1612.08083).

    `torch.nn.functional.glu` takes one array: its first half is the value, its second half the gate.
    """
    return sigmoid(gate) * value


def reglu(gate: Float[Array, "*shape"], value: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """relu(gate)·value. Range (-∞, ∞). Source of the three: Shazeer 2020, arXiv:2002.05202."""
    return relu(gate) * value


def geglu(gate: Float[Array, "*shape"], value: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """gelu(gate)·value, GELU exact. Range (-∞, ∞). Feed-forward of T5 v1.1 (with `gelu_tanh`) and its kin."""
    return gelu(gate) * value


def swiglu(gate: Float[Array, "*shape"], value: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """silu(gate)·value. Range (-∞, ∞). Feed-forward of LLaMA and PaLM; make the hidden width 2/3 to keep the size."""
    return silu(gate) * value
