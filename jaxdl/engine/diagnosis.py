"""Diagnosing a run while it trains: a device trace (`--profile`) and the operation that made a NaN (`--debug-nans`)."""

import traceback
from pathlib import Path
from typing import Any

import jax

from jaxdl.types import TrainState

CHUNKS = (3, 6)
"""The first chunk in a trace and the first after it, counted from 1: less than a second of compiled steps."""

LIBRARIES = ("/jax/", "/flax/", "/optax/", "/jaxdl/engine/", "<frozen", "<string>", "/contextlib.py")


class Trace:
    """`with Trace(folder) as trace: trace.chunk(); ...` writes a profile for TensorBoard or ui.perfetto.dev; None: nothing."""

    def __init__(self, folder: Path | None):
        self.folder, self.count, self.running = folder, 0, False

    def chunk(self) -> None:
        """A chunk of steps begins."""
        self.count += 1
        if self.folder is not None and self.count == CHUNKS[0]:
            jax.profiler.start_trace(str(self.folder))
            self.running = True
        elif self.count == CHUNKS[1]:
            self._stop()

    def _stop(self) -> None:
        if self.running:
            jax.profiler.stop_trace()
            self.running = False

    def __enter__(self) -> "Trace":
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop()


def find_nan(program: Any, state: TrainState, source: Any, n: int) -> str:
    """Return a line that names the operation that made the first NaN in the next `n` steps from `state`.

    The steps run again, operation by operation, and each result is checked. The compiled program cannot tell: its guard discards
    values that are not finite.
    """
    first = int(state.step)
    for step in range(first, first + n):
        try:
            with jax.disable_jit(), jax.debug_nans(True):
                state, _ = program.step(program.knobs, state.replace(metrics={}), source)
                jax.block_until_ready(state)
        except FloatingPointError as error:
            frames = traceback.extract_tb(error.__traceback__)
            mine = [f for f in frames if not any(part in f.filename.replace("\\", "/") for part in LIBRARIES)]
            where = f", {mine[-1].filename}:{mine[-1].lineno} ({mine[-1].line})" if mine else ""
            return f"step {step}: {str(error).splitlines()[0].rstrip('.')}{where}"
        if int(state.bad):
            return f"step {step}: no operation made a NaN; the loss or its gradient is infinite"
    return f"steps {first} … {first + n - 1}: run operation by operation, no NaN appears"
