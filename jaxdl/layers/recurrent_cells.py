"""Recurrent cells: pure functions of (parameters, state, input).

    RNN     h' = tanh(W·x + R·h + b)
    LSTM    i, f, o = σ(W·x + R·h + b),  g = tanh(W·x + R·h + b),  c' = f⊙c + i⊙g,  h' = o⊙tanh(c')
    GRU     r, z = σ(W·x + R·h + b),  n = tanh(W·x + b + r⊙(R·h + b_n)),  h' = (1 - z)⊙n + z⊙h

Gates are concatenated in the order of PyTorch, i f g o and r z n. There is one bias in place of PyTorch's two that are added;
`recurrent_weights.py` converts weights.
"""

import operator
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Any, ClassVar, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.custom_batching import sequential_vmap
from jaxtyping import Array, Float

from jaxdl.counts import check_count
from jaxdl.layers.convolution import lecun
from jaxdl.layers.normalization import standardize
from jaxdl.types import UserError

Carry = Any
"""State of a cell: h `(batch, hidden)`, or the pair (h, c) of an LSTM."""
Parameters = dict[str, Array]

ones, zeros = nn.initializers.ones, nn.initializers.zeros


def _orthogonal_gates(hidden: int) -> Callable[..., Array]:
    """One orthogonal matrix per gate, which keeps the norm of the state.

    They are factorized one after the other, also under `vmap`: jaxlib 0.10 waits for ever on a CPU where as many batched
    factorizations meet as the machine has cores.
    """

    def init(key: Array, shape: tuple[int, int], dtype: Any = jnp.float32) -> Array:
        gate = sequential_vmap(lambda k: nn.initializers.orthogonal()(k, (shape[0], hidden), dtype))
        return jnp.concatenate(list(jax.vmap(gate)(jax.random.split(key, shape[1] // hidden))), -1)

    return init


def _rows(vector: Array, like: Array) -> Array:
    return jnp.broadcast_to(vector.astype(like.dtype), like.shape)


@dataclass(frozen=True)
class Cell:
    """Base class of the cells. `norm=True` is the layer-normalized cell of Ba et al. 2016, arXiv:1607.06450:

        W·x + R·h + b   becomes   LN(W·x)⊙γ_x + LN(R·h)⊙γ_h + b

    Parameters: `kernel` `(channels, gates·hidden)` with the variance 1/channels, `recurrent_kernel` `(hidden, gates·hidden)`,
    orthogonal for each gate, and `bias`, zeros.
    """

    hidden: int
    norm: bool = False
    gates: ClassVar[int] = 1

    def __post_init__(self) -> None:
        check_count("hidden", self.hidden)

    def parameters(self, channels: int) -> dict[str, tuple[Callable[..., Array], tuple[int, ...]]]:
        """Return (initializer, shape) of each parameter by name."""
        n = self.gates * self.hidden
        entries = {
            "kernel": (lecun, (channels, n)),
            "recurrent_kernel": (_orthogonal_gates(self.hidden), (self.width, n)),
            "bias": (zeros, (n,)),
        }
        if self.norm:
            entries |= {"kernel_scale": (ones, (n,)), "recurrent_scale": (ones, (n,))}
        return entries

    @property
    def width(self) -> int:
        """Number of channels of the output, which the gates read at the next time."""
        return self.hidden

    def start(self, batch: int, dtype: Any = jnp.float32) -> Carry:
        return jnp.zeros((batch, self.hidden), dtype)

    def output(self, carry: Carry) -> Float[Array, "batch hidden"]:
        return carry

    def prepare(self, p: Parameters) -> Parameters:
        """Return the parameters for the scan, with W and R in one matrix, so that a step is one product."""
        return {**p, "joint": jnp.concatenate([p["kernel"], p["recurrent_kernel"]])}

    def step(
        self, p: Parameters, carry: Carry, x: Float[Array, "batch channels"], keep: Array | None = None
    ) -> tuple[Carry, Float[Array, "batch hidden"]]:
        """Return the next state and the output. `keep` `(batch, hidden)` multiplies the h that the gates read (dropout)."""
        raise NotImplementedError  # defined by subclasses

    def _products(self, p: Parameters, x: Array, h: Array) -> tuple[Array, Array]:
        """W·x and R·h, normalized if `norm`."""
        wx, rh = x @ p["kernel"], h @ p["recurrent_kernel"]
        if not self.norm:
            return wx, rh
        wx, rh = (self._standard(v).astype(v.dtype) for v in (wx, rh))
        return wx * _rows(p["kernel_scale"], wx), rh * _rows(p["recurrent_scale"], rh)

    def _standard(self, v: Array) -> Array:
        """Normalize all gates together."""
        return standardize(v, (-1,), 1e-5)

    def _sum(self, p: Parameters, x: Array, h: Array) -> Array:
        z = reduce(operator.add, self._products(p, x, h)) if self.norm else jnp.concatenate([x, h], -1) @ p["joint"]
        return z + _rows(p["bias"], z)


@dataclass(frozen=True)
class RNN(Cell):
    """Elman cell: h' = act(W·x + R·h + b), where `act` is tanh or relu. (in + h + 1)·h parameters."""

    act: Callable[[Array], Array] = jnp.tanh

    def step(self, p: Parameters, carry: Carry, x: Array, keep: Array | None = None) -> tuple[Carry, Array]:
        h = self.act(self._sum(p, x, carry if keep is None else carry * keep))
        return h, h


@dataclass(frozen=True)
class LSTM(Cell):
    """Long short-term memory: c' = f⊙c + i⊙g, h' = o⊙tanh(c'). 4·(in + h + 1)·h parameters.

    Args:
        forget_bias: initial bias of the forget gate. 1 keeps the memory at first; PyTorch has 0.
        peephole: add p_i⊙c, p_f⊙c and p_o⊙c' to the gates i, f and o; parameter `peephole` `(3, hidden)`.
        norm: also normalizes c' inside the tanh.
        project: number of channels of the output h' = P·(o⊙tanh(c')), PyTorch's `proj_size`; parameter `projection`.

    Source: Hochreiter and Schmidhuber 1997; forget gate Gers et al. 2000; projection Sak et al. 2014, arXiv:1402.1128.
    """

    forget_bias: float | Array = 1.0
    peephole: bool = False
    project: int | None = None
    gates: ClassVar[int] = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("project", self.project)

    @property
    def width(self) -> int:
        return self.project or self.hidden

    def parameters(self, channels: int) -> dict[str, tuple[Callable[..., Array], tuple[int, ...]]]:
        entries = super().parameters(channels)
        forget = slice(self.hidden, 2 * self.hidden)
        entries["bias"] = (
            lambda key, shape, dtype: jnp.zeros(shape, dtype).at[forget].set(self.forget_bias),
            entries["bias"][1],
        )
        if self.peephole:
            entries["peephole"] = (zeros, (3, self.hidden))
        if self.norm:
            entries |= {"cell_scale": (ones, (self.hidden,)), "cell_bias": (zeros, (self.hidden,))}
        if self.project:
            entries["projection"] = (lecun, (self.hidden, self.project))
        return entries

    def start(self, batch: int, dtype: Any = jnp.float32) -> Carry:
        return jnp.zeros((batch, self.width), dtype), jnp.zeros((batch, self.hidden), dtype)

    def output(self, carry: Carry) -> Float[Array, "batch hidden"]:
        return carry[0]

    def step(self, p: Parameters, carry: Carry, x: Array, keep: Array | None = None) -> tuple[Carry, Array]:
        h, c = carry
        i, f, g, o = jnp.split(self._sum(p, x, h if keep is None else h * keep), 4, -1)
        peep = (lambda gate, c: _rows(p["peephole"][gate], c) * c) if self.peephole else (lambda gate, c: 0)
        i, f = jax.nn.sigmoid(i + peep(0, c)), jax.nn.sigmoid(f + peep(1, c))
        c = f * c + i * jnp.tanh(g)
        seen = c
        if self.norm:
            seen = standardize(c, (-1,), 1e-5).astype(c.dtype) * _rows(p["cell_scale"], c) + _rows(p["cell_bias"], c)
        h = jax.nn.sigmoid(o + peep(2, c)) * jnp.tanh(seen)
        h = h @ p["projection"] if self.project else h
        return (h, c), h


@dataclass(frozen=True)
class GRU(Cell):
    """Gated recurrent unit: h' = (1 - z)⊙n + z⊙h. 3·(in + h + 1)·h parameters, and h more for `reset="after"`.

        reset="after"     n = tanh(W·x + b + r⊙(R·h + b_n))      PyTorch, cuDNN; b_n is `recurrent_bias`
        reset="before"    n = tanh(W·x + b + R·(r⊙h))            the original; TensorFlow 1, default of ONNX

    With `norm=True`, r and z are normalized together, n separately. Source: Cho et al. 2014, arXiv:1406.1078.
    """

    reset: Literal["after", "before"] = "after"
    gates: ClassVar[int] = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.reset not in ("after", "before"):
            raise UserError(f"reset = {self.reset!r} must be 'after' (as in PyTorch) or 'before'")

    def parameters(self, channels: int) -> dict[str, tuple[Callable[..., Array], tuple[int, ...]]]:
        extra = {"recurrent_bias": (zeros, (self.hidden,))} if self.reset == "after" else {}
        return super().parameters(channels) | extra

    def prepare(self, p: Parameters) -> Parameters:
        return p

    def _standard(self, v: Array) -> Array:
        """Normalize r and z together, n separately. `v` holds all three, r and z, or n."""
        parts = v[..., : 2 * self.hidden], v[..., 2 * self.hidden :]
        return jnp.concatenate([standardize(part, (-1,), 1e-5) for part in parts if part.shape[-1]], -1)

    def step(self, p: Parameters, carry: Carry, x: Array, keep: Array | None = None) -> tuple[Carry, Array]:
        n_, h = self.hidden, carry
        seen = h if keep is None else h * keep
        if self.reset == "after":
            wx, rh = self._products(p, x, seen)
            wx = wx + _rows(p["bias"], wx)
            r, z = jnp.split(jax.nn.sigmoid(wx[:, : 2 * n_] + rh[:, : 2 * n_]), 2, -1)
            n = jnp.tanh(wx[:, 2 * n_ :] + r * (rh[:, 2 * n_ :] + _rows(p["recurrent_bias"], h)))
        else:
            gates = {k: v[..., : 2 * n_] for k, v in p.items()}
            rest = {k: v[..., 2 * n_ :] for k, v in p.items()}
            wx, rh = self._products(gates, x, seen)
            r, z = jnp.split(jax.nn.sigmoid(wx + rh + _rows(gates["bias"], wx)), 2, -1)
            wx, rh = self._products(rest, x, r * seen)
            n = jnp.tanh(wx + rh + _rows(rest["bias"], wx))
        h = (1 - z) * n + z * h
        return h, h
