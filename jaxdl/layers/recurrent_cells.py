"""Recurrent cells: pure functions of (parameters, state, input).

    RNN     h' = tanh(W·x + R·h + b)
    LSTM    i, f, o = σ(W·x + R·h + b),  g = tanh(W·x + R·h + b),  c' = f⊙c + i⊙g,  h' = o⊙tanh(c')
    GRU     r, z = σ(W·x + R·h + b),  n = tanh(W·x + b + r⊙(R·h + b_n)),  h' = (1 - z)⊙n + z⊙h

Gates lie side by side in PyTorch's order: i f g o and r z n. Where PyTorch has two biases that are only ever added, there is
one; `recurrent_weights.py` converts.
"""

import operator
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Any, ClassVar, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxdl.layers.convolution import lecun
from jaxdl.layers.normalization import standardize
from jaxdl.types import UserError

Carry = Any
"""The state of a cell: `h (batch, hidden)`, for an LSTM the pair `(h, c)`."""
Parameters = dict[str, Array]

ones, zeros = nn.initializers.ones, nn.initializers.zeros


def _orthogonal_gates(hidden: int) -> Callable[..., Array]:
    """One orthogonal matrix a gate: what a gate reads of the state neither grows nor shrinks."""

    def init(key: Array, shape: tuple[int, int], dtype: Any = jnp.float32) -> Array:
        gates = jax.vmap(lambda k: nn.initializers.orthogonal()(k, (shape[0], hidden), dtype))
        return jnp.concatenate(list(gates(jax.random.split(key, shape[1] // hidden))), -1)

    return init


def _rows(vector: Array, like: Array) -> Array:
    return jnp.broadcast_to(vector.astype(like.dtype), like.shape)


@dataclass(frozen=True)
class Cell:
    """What the cells share. `norm=True` is Ba et al.'s layer-normalised cell (2016, arXiv:1607.06450):

        W·x + R·h + b   becomes   LN(W·x)⊙γ_x + LN(R·h)⊙γ_h + b

    Parameters: `kernel` `(channels, gates·hidden)` with variance 1/channels, `recurrent_kernel` `(hidden, gates·hidden)`
    orthogonal per gate, `bias` zero.
    """

    hidden: int
    norm: bool = False
    gates: ClassVar[int] = 1

    def parameters(self, channels: int) -> dict[str, tuple[Callable[..., Array], tuple[int, ...]]]:
        """name -> (initializer, shape)."""
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
        """Channels of the output, which is also what the gates read back."""
        return self.hidden

    def start(self, batch: int, dtype: Any = jnp.float32) -> Carry:
        return jnp.zeros((batch, self.hidden), dtype)

    def output(self, carry: Carry) -> Float[Array, "batch hidden"]:
        return carry

    def prepare(self, p: Parameters) -> Parameters:
        """Before the scan: [W; R] in one piece, so that a step is one product and its gradient one sum."""
        return {**p, "joint": jnp.concatenate([p["kernel"], p["recurrent_kernel"]])}

    def step(
        self, p: Parameters, carry: Carry, x: Float[Array, "batch channels"], keep: Array | None = None
    ) -> tuple[Carry, Float[Array, "batch hidden"]]:
        """One time step; `keep` `(batch, hidden)` multiplies the h that the gates read (recurrent dropout)."""
        raise NotImplementedError  # abstract: the step is what a cell is

    def _products(self, p: Parameters, x: Array, h: Array) -> tuple[Array, Array]:
        """W·x and R·h, normalised where asked."""
        wx, rh = x @ p["kernel"], h @ p["recurrent_kernel"]
        if not self.norm:
            return wx, rh
        wx, rh = (self._standard(v).astype(v.dtype) for v in (wx, rh))
        return wx * _rows(p["kernel_scale"], wx), rh * _rows(p["recurrent_scale"], rh)

    def _standard(self, v: Array) -> Array:
        """All gates have one mean and one deviation."""
        return standardize(v, (-1,), 1e-5)

    def _sum(self, p: Parameters, x: Array, h: Array) -> Array:
        z = reduce(operator.add, self._products(p, x, h)) if self.norm else jnp.concatenate([x, h], -1) @ p["joint"]
        return z + _rows(p["bias"], z)


@dataclass(frozen=True)
class RNN(Cell):
    """Elman's network: h' = act(W·x + R·h + b), `act` tanh or `relu`. (in + h + 1)·h parameters."""

    act: Callable[[Array], Array] = jnp.tanh

    def step(self, p: Parameters, carry: Carry, x: Array, keep: Array | None = None) -> tuple[Carry, Array]:
        h = self.act(self._sum(p, x, carry if keep is None else carry * keep))
        return h, h


@dataclass(frozen=True)
class LSTM(Cell):
    """Long short-term memory: c' = f⊙c + i⊙g, h' = o⊙tanh(c'). 4·(in + h + 1)·h parameters.

    The forget gate's bias starts at `forget_bias`: 1 remembers until taught otherwise, 0 is PyTorch's. `peephole=True` lets i and
    f see c, and o see c', each through one weight a unit (`peephole` `(3, hidden)`: i, f, o). `norm=True` also normalises c'
    inside the tanh. `project` makes the output narrower, h' = P·(o⊙tanh(c')) of so many channels (`projection`; PyTorch's
    `proj_size`), and the matrix R with it.
    Source: Hochreiter and Schmidhuber 1997; forget gate Gers et al. 2000; projection Sak et al. 2014, arXiv:1402.1128.
    """

    forget_bias: float | Array = 1.0
    peephole: bool = False
    project: int | None = None
    gates: ClassVar[int] = 4

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
    """Gated recurrent unit: h' = (1 - z)⊙n + z⊙h. 3·(in + h + 1)·h parameters, h more for `reset="after"`.

        reset="after"     n = tanh(W·x + b + r⊙(R·h + b_n))      PyTorch, cuDNN; `recurrent_bias` is b_n
        reset="before"    n = tanh(W·x + b + R·(r⊙h))            the original; TensorFlow 1, ONNX's default

    With `norm=True` r and z are normalised together, n on its own. Source: Cho et al. 2014, arXiv:1406.1078.
    """

    reset: Literal["after", "before"] = "after"
    gates: ClassVar[int] = 3

    def __post_init__(self) -> None:
        if self.reset not in ("after", "before"):
            raise UserError(f"reset={self.reset!r}: take 'after' (PyTorch) or 'before' (the product with R)")

    def parameters(self, channels: int) -> dict[str, tuple[Callable[..., Array], tuple[int, ...]]]:
        extra = {"recurrent_bias": (zeros, (self.hidden,))} if self.reset == "after" else {}
        return super().parameters(channels) | extra

    def prepare(self, p: Parameters) -> Parameters:
        return p

    def _standard(self, v: Array) -> Array:
        """r and z have one mean and one deviation, n has its own; they come in one piece, or r and z, or n, alone."""
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
