"""Recurrent layers: a cell scanned over time, in several layers and both directions.

Sequences are `(batch, time, channels)`, padded to one length; `lengths` are their true ones.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from jax import lax
from jaxtyping import Array, Float, Int

from jaxdl.layers.convolution import KernelMap
from jaxdl.layers.dropout import Dropout, Rate, absent, check_rate, dropout
from jaxdl.layers.recurrent_cells import GRU, LSTM, RNN, Carry, Cell, Parameters
from jaxdl.types import UserError

__all__ = ["GRU", "LSTM", "RNN", "Carry", "Cell", "Recurrent", "Scan", "scan_cell"]


def scan_cell(
    cell: Cell,
    params: Parameters,
    x: Float[Array, "batch time channels"],
    carry: Carry,
    lengths: Int[Array, "batch"] | None = None,
    *,
    reverse: bool = False,
    keep: Array | None = None,
) -> tuple[Float[Array, "batch time hidden"], Carry]:
    """The outputs at every time and the last state.

    From `lengths` on the state stays as it is and the outputs are 0; so with `reverse` each sequence starts at its own end.
    """
    p = cell.prepare(params)

    def step(carry: Carry, inputs: tuple[Array, Array | None]) -> tuple[Carry, Array]:
        x, alive = inputs
        new, y = cell.step(p, carry, x, keep)
        if alive is not None:
            new = jax.tree.map(lambda a, b: jnp.where(alive[:, None], a, b), new, carry)
            y = jnp.where(alive[:, None], y, 0)
        return new, y

    alive = None if lengths is None else jnp.arange(x.shape[1])[:, None] < lengths[None, :]
    carry, y = lax.scan(step, carry, (x.swapaxes(0, 1), alive), reverse=reverse)
    return y.swapaxes(0, 1), carry


class Scan(nn.Module):
    """One direction of one layer: owns a cell's parameters and scans it."""

    cell: Cell
    reverse: bool = False
    recurrent_rate: Rate = 0.0
    kernel_map: KernelMap = None

    @nn.compact
    def __call__(
        self, x: Array, carry: Carry | None = None, lengths: Array | None = None, *, train: bool
    ) -> tuple[Array, Carry]:
        check_rate(self.recurrent_rate)
        entries = self.cell.parameters(x.shape[-1])
        params = {name: self.param(name, init, shape, jnp.float32) for name, (init, shape) in entries.items()}
        if self.kernel_map is not None:
            mapped = self.kernel_map(name="kernel_map")(params["recurrent_kernel"], train=train)
            params["recurrent_kernel"] = mapped
        x, *values = promote_dtype(x, *params.values(), dtype=None)
        params = dict(zip(params, values, strict=True))
        start = self.cell.start(x.shape[0], x.dtype)
        carry = start if carry is None else jax.tree.map(lambda c, s: c.astype(s.dtype), carry, start)
        keep = None
        if train and not absent(self.recurrent_rate):
            whole = jnp.ones((x.shape[0], self.cell.width), x.dtype)
            keep = dropout(self.make_rng("dropout"), whole, self.recurrent_rate)
        return scan_cell(self.cell, params, x, carry, lengths, reverse=self.reverse, keep=keep)


class Recurrent(nn.Module):
    """`layers` recurrent layers: outputs of the last at every time, and the state of all.

    Args:
        cell: `RNN(hidden)`, `LSTM(hidden)`, `GRU(hidden)`.
        bidirectional: each layer reads both ways; its output is [forward, backward].
        rate: dropout of what one layer gives the next; with `variational` one mask a sequence, the same at every time.
        recurrent_rate: dropout of the state that the gates read, one mask a sequence (Gal and Ghahramani 2016, arXiv:1512.05287).
        residual: adds a layer's input to its output where their widths agree (Wu et al. 2016, arXiv:1609.08144).
        kernel_map: what the recurrent kernels go through; `partial(DropConnect, rate=0.5)` is AWD-LSTM's weight drop.

    `lengths` `(batch,)` are the true lengths of padded sequences: states stop there, outputs are 0 from there on, the backward
    direction starts there. `carry` is what an earlier call returned (truncated back-propagation: stop its gradient): a tuple of
    cell states, (layer 0, [layer 0 backward,] layer 1, ...). Parameters: `layer_0`, `layer_0_reverse`, `layer_1`, ...
    """

    cell: Cell
    layers: int = 1
    bidirectional: bool = False
    rate: Rate = 0.0
    variational: bool = False
    recurrent_rate: Rate = 0.0
    residual: bool = False
    kernel_map: KernelMap = None

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "batch time channels"],
        carry: tuple[Carry, ...] | None = None,
        lengths: Int[Array, "batch"] | None = None,
        *,
        train: bool,
    ) -> tuple[Float[Array, "batch time features"], tuple[Carry, ...]]:
        directions = (False, True) if self.bidirectional else (False,)
        starts = (None,) * (self.layers * len(directions)) if carry is None else carry
        if len(starts) != self.layers * len(directions):
            raise UserError(f"carry has {len(starts)} cell states, wanted {self.layers * len(directions)}")
        ends: list[Carry] = []
        for layer in range(self.layers):
            if layer:
                x = Dropout(self.rate, broadcast=(1,) if self.variational else ())(x, train=train)
            outputs = []
            for reverse in directions:
                name = f"layer_{layer}" + "_reverse" * reverse
                scan = Scan(self.cell, reverse, self.recurrent_rate, self.kernel_map, name=name)
                y, end = scan(x, starts[len(ends)], lengths, train=train)
                outputs.append(y)
                ends.append(end)
            y = jnp.concatenate(outputs, -1)
            x = x + y if self.residual and x.shape == y.shape else y
        if self.residual and lengths is not None:  # the sum of zeros and of whatever came in
            x = jnp.where((jnp.arange(x.shape[1])[None] < lengths[:, None])[..., None], x, 0)
        return x, tuple(ends)

    def start(self, batch: int, dtype: Any = jnp.float32) -> tuple[Carry, ...]:
        """The state before the first time, all zeros."""
        return (self.cell.start(batch, dtype),) * (self.layers * (1 + self.bidirectional))

    def last(self, carry: tuple[Carry, ...]) -> Float[Array, "batch features"]:
        """What the top layer said last: h at each sequence's end, and h of the backward direction at its start."""
        return jnp.concatenate([self.cell.output(c) for c in carry[-1 - self.bidirectional :]], -1)
