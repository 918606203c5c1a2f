"""Compiled programs, found again by what was lowered.

Every call of `train` or `load` traces `config` anew. Whether the compiled program can be used again is decided by the program
itself: by a hash of its StableHLO text, with the plan, the compiler options and the structure of its arguments and results.
Constants stand in the text, so an edited helper, default, class attribute or array gives another program, and another value of a
traced knob, which is an argument, gives the same.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from hashlib import sha256
from typing import Any

import jax
import numpy as np

from jaxdl import runtime

KEPT = 64
"""How many compiled programs a process remembers; the oldest are forgotten."""

_programs: OrderedDict[Hashable, Any] = OrderedDict()


class Compiled:
    """A function that is lowered once for each form of its arguments, and compiled unless that program is known.

    Args:
        function: to be compiled by `jax.jit`.
        plan: whatever else tells two programs apart (devices, strategy).
        options: of `jax.jit`.
    """

    def __init__(self, function: Callable[..., Any], plan: Hashable, **options: Any):
        # unused arguments are kept: which of them are used would not be seen in the text
        self.jitted = jax.jit(function, keep_unused=True, **options)
        self.key = (plan, repr(options.get("compiler_options")))
        self.known: dict[Hashable, Any] = {}
        self.seconds = 0.0

    def __call__(self, *arguments: Any) -> Any:
        leaves, structure = jax.tree.flatten(arguments)
        form = (structure, tuple(map(form_of, leaves)))
        if form not in self.known:
            began = time.perf_counter()
            self.known[form] = self.compile(structure, arguments)
            self.seconds += time.perf_counter() - began
            runtime.give_back()
        return self.known[form](*arguments)

    def lower(self, *arguments: Any) -> jax.stages.Lowered:
        """The program for arguments, or for their shapes."""
        return self.jitted.lower(*arguments)

    def compile(self, structure: Any, arguments: Any) -> jax.stages.Compiled:
        """The compiled program for these arguments, from memory where the same text was compiled before."""
        lowered = self.lower(*arguments)
        text = sha256(lowered.as_text().encode()).hexdigest()
        key = (text, structure, lowered.out_tree, *self.key)
        if key not in _programs:
            _programs[key] = lowered.compile()
            if len(_programs) > KEPT:
                _programs.popitem(last=False)
        _programs.move_to_end(key)
        return _programs[key]


def form_of(leaf: Any) -> Hashable:
    """What a compiled program depends on of an argument: its shape, type and place."""
    return np.shape(leaf), str(leaf.dtype), getattr(leaf, "weak_type", False), getattr(leaf, "sharding", None)


def forget() -> None:
    """Drop all compiled programs that the process remembers."""
    _programs.clear()
