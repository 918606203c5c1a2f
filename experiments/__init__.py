"""Experiments with entries in the ledger; `at_scale/` holds recipes, which go by `experiments.NAME`, too."""

from pathlib import Path

__path__.append(str(Path(__file__).parent / "at_scale"))
