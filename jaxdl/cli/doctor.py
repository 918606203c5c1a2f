"""`doctor`: show what is installed, the devices, and what is missing for which extra."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from jaxdl import runtime
from jaxdl.cli.options import read_flags


@dataclass(frozen=True)
class Options:
    """Show versions, backend, devices, compilation cache, compiler options and extras."""

    device: Literal["cpu", "gpu", "tpu"] | None = None
    """The backend to check."""


def run(args: Sequence[str]) -> int:
    options = read_flags(Options, args, prog="python -m jaxdl doctor")
    runtime.configure(device=options.device)
    rows = runtime.doctor()
    width = max(len(name) for name, _, _ in rows)
    for name, ok, text in rows:
        print(f"{'ok ' if ok else '-- '} {name:<{width}}  {text}")
    return 0
