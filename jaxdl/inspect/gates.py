"""What the gates of a recurrent layer do over time."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxdl.types import UserError

NAMES = {4: ("input", "forget", "candidate", "output"), 3: ("reset", "update")}


def gates_over_time(
    cell: Any, params: Mapping[str, Array], x: Float[Array, "batch time channels"]
) -> dict[str, Float[Array, "batch time hidden"]]:
    """Gates and state at every time, each `(batch, time, hidden)`.

    An LSTM has `input`, `forget`, `candidate`, `output` and its memory `cell`; a GRU has `reset` and `update`; both the state
    `hidden`.

    Args:
        cell: a plain `LSTM(hidden)` or `GRU(hidden)`: no layer norm, no peephole.
        params: of one layer, such as `run.weights[0]["core"]["layer_0"]`.
        x: what the layer reads.
    """
    if cell.gates not in NAMES or cell.norm or getattr(cell, "peephole", False):
        raise UserError(f"cell = {cell} must be a plain LSTM or GRU")
    prepared, n = cell.prepare(dict(params)), cell.hidden

    def step(carry: Any, x: Array) -> tuple[Any, dict[str, Array]]:
        h = cell.output(carry)
        z = x @ params["kernel"] + h @ params["recurrent_kernel"]
        z = z + jnp.broadcast_to(params["bias"], z.shape)
        parts = [z[:, i * n : (i + 1) * n] for i in range(len(NAMES[cell.gates]))]
        shown = {
            name: jnp.tanh(part) if name == "candidate" else jax.nn.sigmoid(part)
            for name, part in zip(NAMES[cell.gates], parts, strict=True)
        }
        carry, _ = cell.step(prepared, carry, x)
        shown["hidden"] = cell.output(carry)
        if cell.gates == 4:
            shown["cell"] = carry[1]
        return carry, shown

    _, shown = jax.lax.scan(step, cell.start(len(x), x.dtype), x.swapaxes(0, 1))
    return {name: values.swapaxes(0, 1) for name, values in shown.items()}
