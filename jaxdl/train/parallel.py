"""Where a program runs: one device, or a mesh of them under jit."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax

from jaxdl import runtime


@dataclass(frozen=True)
class Plan:
    """How functions are compiled and where their arrays live."""

    def compile(self, function: Callable[..., Any], *, donate: int | None = None) -> Any:
        return jax.jit(
            function,
            donate_argnums=() if donate is None else donate,
            compiler_options=runtime.compiler_options(),
        )

    def put(self, source: Any) -> Any:
        """Host arrays to where the program reads them."""
        return jax.device_put(source)
