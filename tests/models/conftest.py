"""The fixture `oracle`: outside numbers from a golden file, or from PyTorch itself with `-m parity`."""

from tests.golden.oracle import oracle

__all__ = ["oracle"]
