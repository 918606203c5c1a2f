"""Conversion of the weights of recurrent layers from and to `torch.nn.RNN`, `LSTM` and `GRU`, as NumPy arrays."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxdl.counts import check_count
from jaxdl.layers.recurrent_cells import GRU, Cell
from jaxdl.types import UserError


def _names(layers: int, bidirectional: bool) -> list[tuple[str, str]]:
    check_count("layers", layers)
    ends = ("", "_reverse") if bidirectional else ("",)
    return [(f"layer_{i}{end}", f"l{i}{end}") for i in range(layers) for end in ends]


def from_torch(
    cell: Cell, state: Mapping[str, Any], *, layers: int = 1, bidirectional: bool = False
) -> dict[str, dict[str, np.ndarray]]:
    """Convert `module.state_dict()` to parameters of `Recurrent(cell, layers, bidirectional)`.

    The two biases of each gate are added, except for the GRU's b_hn, which the reset gate multiplies. Biases of modules
    without bias are zeros.
    """
    _check(cell)
    params = {}
    for ours, theirs in _names(layers, bidirectional):
        try:
            w, r = (np.asarray(state[f"weight_{kind}_{theirs}"], np.float32) for kind in ("ih", "hh"))
        except KeyError as e:
            raise UserError(
                f"the state dict has no {e} for layers = {layers}, bidirectional = {bidirectional}"
            ) from None
        nothing = np.zeros(len(w), np.float32)
        b_x, b_h = (np.asarray(state.get(f"bias_{kind}_{theirs}", nothing), np.float32) for kind in ("ih", "hh"))
        entry = {"kernel": w.T.copy(), "recurrent_kernel": r.T.copy(), "bias": b_x + b_h}
        if isinstance(cell, GRU):
            apart = 2 * cell.hidden
            entry["bias"] = np.concatenate([b_x[:apart] + b_h[:apart], b_x[apart:]])
            entry["recurrent_bias"] = b_h[apart:].copy()
        if project := getattr(cell, "project", None):
            if f"weight_hr_{theirs}" not in state:
                raise UserError(
                    f"the state dict has no weight_hr_{theirs} for project = {project} (PyTorch's proj_size)"
                )
            entry["projection"] = np.asarray(state[f"weight_hr_{theirs}"], np.float32).T.copy()
        params[ours] = entry
    return params


def to_torch(
    cell: Cell, params: Mapping[str, Mapping[str, Any]], *, layers: int = 1, bidirectional: bool = False
) -> dict[str, np.ndarray]:
    """Convert parameters to a state dict. The bias becomes `bias_ih`; `bias_hh` is 0 except for the GRU's b_hn."""
    _check(cell)
    state = {}
    for ours, theirs in _names(layers, bidirectional):
        entry = {name: np.asarray(value, np.float32) for name, value in params[ours].items()}
        b_h = np.zeros_like(entry["bias"])
        if isinstance(cell, GRU):
            b_h[2 * cell.hidden :] = entry["recurrent_bias"]
        state |= {
            f"weight_ih_{theirs}": entry["kernel"].T.copy(),
            f"weight_hh_{theirs}": entry["recurrent_kernel"].T.copy(),
            f"bias_ih_{theirs}": entry["bias"],
            f"bias_hh_{theirs}": b_h,
        }
        if "projection" in entry:
            state[f"weight_hr_{theirs}"] = entry["projection"].T.copy()
    return state


def _check(cell: Cell) -> None:
    if cell.norm or getattr(cell, "peephole", False) or getattr(cell, "reset", "after") != "after":
        raise UserError(f"{cell} does not exist in PyTorch, which has no norm, no peephole and no GRU(reset='before')")
