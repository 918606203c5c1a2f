"""A cache of compiled programs, keyed by the lowered program.

Every call of `train` or `load` traces `config` again. A compiled program is reused if the StableHLO text has the same hash, with
the same plan, compiler options, and structure of arguments and results. The text contains all constants, so an edited helper,
default, class attribute or array compiles a new program. Traced knobs are arguments, so a new value of one reuses the program.
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
"""Number of compiled programs that a process keeps; the least recently used are dropped."""

_programs: OrderedDict[Hashable, Any] = OrderedDict()


class Compiled:
    """A function that is lowered once for each shape of its arguments, and compiled unless the cache holds the program.

    Args:
        function: to be compiled by `jax.jit`.
        plan: a further part of the key (devices, strategy).
        options: options of `jax.jit`.
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
    """Return the properties of an argument that select a compiled program: shape, dtype and sharding."""
    return np.shape(leaf), str(leaf.dtype), getattr(leaf, "weak_type", False), getattr(leaf, "sharding", None)


def forget() -> None:
    """Drop all compiled programs that the process remembers."""
    _programs.clear()
