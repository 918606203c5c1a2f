"""Recurrent layers: a cell scanned over time, in several layers and in both directions.

Sequences are `(batch, time, channels)`, padded to one length; `lengths` `(batch,)` are the lengths without padding.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from jax import lax
from jaxtyping import Array, Float, Int

from jaxdl.counts import check_count, check_numbers
from jaxdl.layers.convolution import KernelMap
from jaxdl.layers.dropout import Dropout, Rate, absent, dropout
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
    """Return the outputs at all times and the last state.

    From `lengths` on, the state does not change and outputs are 0. With `reverse`, each sequence is read from its end.
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
    """One direction of one recurrent layer, with the parameters of its cell."""

    cell: Cell
    reverse: bool = False
    recurrent_rate: Rate = 0.0
    kernel_map: KernelMap = None

    @nn.compact
    def __call__(
        self, x: Array, carry: Carry | None = None, lengths: Array | None = None, *, train: bool
    ) -> tuple[Array, Carry]:
        check_numbers(0, 1, recurrent_rate=self.recurrent_rate)
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
    """Stack of recurrent layers. Returns the outputs of the last layer at all times, and the states of all layers.

    Args:
        cell: `RNN(hidden)`, `LSTM(hidden)` or `GRU(hidden)`.
        bidirectional: read in both directions; the output of a layer is [forward, backward].
        rate: dropout between layers; `variational` uses one mask for all times of a sequence.
        recurrent_rate: dropout of the state that the gates read, one mask per sequence (Gal & Ghahramani 2016, arXiv:1512.05287).
        residual: add the input of a layer to its output if their widths are equal (Wu et al. 2016, arXiv:1609.08144).
        kernel_map: module that is applied to the recurrent kernels; `partial(DropConnect, rate=0.5)` is AWD-LSTM's weight drop.

    At `lengths` the states stop, outputs become 0, and the backward direction starts. `carry` is the second result of an earlier
    call, for truncated back-propagation (stop its gradient): a tuple of states (layer 0, [layer 0 backward,] layer 1, ...).
    Parameters: `layer_0`, `layer_0_reverse`, `layer_1`, ...
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
        check_count("layers", self.layers)
        directions = (False, True) if self.bidirectional else (False,)
        starts = (None,) * (self.layers * len(directions)) if carry is None else carry
        if len(starts) != self.layers * len(directions):
            raise UserError(f"carry must have {self.layers * len(directions)} cell states, got {len(starts)}")
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
        if self.residual and lengths is not None:  # the inputs there need not be 0
            x = jnp.where((jnp.arange(x.shape[1])[None] < lengths[:, None])[..., None], x, 0)
        return x, tuple(ends)

    def start(self, batch: int, dtype: Any = jnp.float32) -> tuple[Carry, ...]:
        """Return the state before the first time, zeros."""
        return (self.cell.start(batch, dtype),) * (self.layers * (1 + self.bidirectional))

    def last(self, carry: tuple[Carry, ...]) -> Float[Array, "batch features"]:
        """Return the last output of the top layer: h at the end of each sequence, and at its start for the backward direction."""
        return jnp.concatenate([self.cell.output(c) for c in carry[-1 - self.bidirectional :]], -1)
