"""What an outside oracle says about the inputs of a test: read from a golden file, or asked now (`-m parity`).

A test takes the fixture `oracle` and decorates the question with it; what it gets is a dictionary of NumPy arrays:

    def test_relu(oracle):
        @oracle
        def theirs(torch):
            return {"y": torch.nn.functional.relu(torch.tensor(X))}

        np.testing.assert_allclose(ours(X), theirs["y"])

By default the answer is that of the day when the file was written, and PyTorch is not imported. The same test marked
`parity` asks the oracle itself and compares with what it says now. Inputs come from NumPy, so they need not be kept;
what the oracle draws itself (its first weights) belongs to its answer. To write the files of a directory anew:

    JAXDL_GOLDEN=write python -m pytest -n 0 -m parity tests/layers
"""

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

FOLDER = Path(__file__).parent


@cache
def kept(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as file:
        return dict(file)


def write(path: Path, said: dict[str, np.ndarray]) -> None:
    np.savez_compressed(path, **((kept(path) if path.exists() else {}) | said))
    kept.cache_clear()


def array(value: Any) -> np.ndarray:
    return np.asarray(value.detach() if hasattr(value, "detach") else value)


@pytest.fixture(params=[pytest.param(False, id="golden"), pytest.param(True, id="live", marks=pytest.mark.parity)])
def oracle(request: pytest.FixtureRequest) -> Callable[[Callable], dict[str, np.ndarray]]:
    """A decorator: of a function that takes torch and gives a dictionary, the answer."""
    folder, row = request.path.parent.name, getattr(request.node, "callspec", None)
    parts = [part for part in (row.id.split("-") if row else []) if part not in ("golden", "live")]
    prefix = "/".join([request.path.stem, request.node.originalname, *parts, ""])
    path = FOLDER / f"{folder}.npz"

    def answer(ask: Callable[..., dict[str, Any]]) -> dict[str, np.ndarray]:
        if request.param:
            torch = pytest.importorskip("torch")
            torch.manual_seed(0)
            said = {name: array(value) for name, value in ask(torch).items()}
            if os.environ.get("JAXDL_GOLDEN") == "write":
                write(path, {prefix + name: value for name, value in said.items()})
            return said
        return {name.removeprefix(prefix): value for name, value in kept(path).items() if name.startswith(prefix)}

    return answer
