"""Notes on a run while it trains: a loss that does not change, and a loss that only grows."""

import math
from collections.abc import Mapping
from typing import Any

SAME = 3
"""Evaluations in a row with exactly the same loss."""
GROWING = 10
"""Lines of the training log, from the first on, each with a larger loss than the one before."""


class Notices:
    """Call it with each line of the log; it returns a note or None, and each note at most once.

    >>> notice = Notices()
    >>> [notice({"kind": "eval", "split": "validation", "loss": 0.69}) is None for _ in range(4)]
    [True, True, False, True]
    """

    def __init__(self) -> None:
        self.losses: dict[str, list[float]] = {"train": [], "eval": []}
        self.grows = True

    def __call__(self, line: Mapping[str, Any]) -> str | None:
        kind, loss = line["kind"], line.get("loss")
        if kind not in self.losses or not isinstance(loss, int | float) or not math.isfinite(loss):
            return None
        seen = self.losses[kind]
        self.grows &= kind == "eval" or not seen or loss > seen[-1]
        seen.append(float(loss))
        if kind == "eval" and len(seen) == SAME and loss != 0 and len(set(seen)) == 1:
            return (
                f"the {line['split']} loss is exactly {loss:.7g} in the first {SAME} evaluations: nothing is learned. Does the "
                "loss depend on the weights, and is the learning rate above 0?"
            )
        if kind == "train" and len(seen) == GROWING and self.grows:
            return (
                f"the training loss has only grown, from {seen[0]:.4g} to {loss:.4g}: try a lower learning rate, and check "
                "that a smaller loss is a better one"
            )
        return None
