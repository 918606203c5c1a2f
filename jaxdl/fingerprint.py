"""Whether a compiled program still says what its experiment says: in a notebook, functions, globals and data change.

Two calls of `config` may share a program if the code of `config` is the same, everything it refers to is, and the data are.
"""

import zlib
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType
from typing import Any

import numpy as np

PLAIN = (int, float, complex, str, bytes, bool, type(None))


def fingerprint(config: Callable[..., Any], data: Any) -> tuple[Any, list[Any]]:
    """A key that changes with the code of a function, with what it refers to, and with the data.

    Functions and classes of its own module are looked into, other objects count by identity.
    Returns the key and the objects whose identity is in it: as long as they are kept, no other can take their place.
    """
    kept: list[Any] = []
    seen: set[int] = set()

    def mark(value: Any) -> Any:
        if isinstance(value, PLAIN):
            return (type(value).__name__, repr(value))
        if isinstance(value, tuple):
            return tuple(mark(item) for item in value)
        kept.append(value)
        if id(value) in seen:
            return "again"
        if isinstance(value, FunctionType) and value.__module__ == config.__module__:
            seen.add(id(value))
            return walk(value)
        if isinstance(value, type) and value.__module__ == config.__module__:
            seen.add(id(value))
            return tuple(
                (name, mark(item)) for name, item in sorted(vars(value).items()) if isinstance(item, FunctionType)
            )
        return id(value)

    def walk(function: FunctionType) -> tuple[Any, ...]:
        codes = list(codes_of(function.__code__))
        names = sorted({name for code in codes for name in code.co_names} & function.__globals__.keys())
        constants = tuple(repr(c) for code in codes for c in code.co_consts if not isinstance(c, CodeType))
        cells = [cell.cell_contents for cell in function.__closure__ or ()]
        return (
            tuple(code.co_code for code in codes),
            constants,
            tuple((name, mark(function.__globals__[name])) for name in names),
            tuple(mark(value) for value in cells),
        )

    seen.add(id(config))
    arrays = sorted(
        (split, key, value.shape, str(value.dtype), mark_array(value, kept))
        for split, values in getattr(data, "splits", {}).items()
        for key, value in values.items()
    )
    return (walk(config), type(data).__name__, tuple(arrays)), kept


def codes_of(code: CodeType) -> Iterator[CodeType]:
    """A code object and those of the functions inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from codes_of(constant)


def mark_array(array: Any, kept: list[Any]) -> int:
    """The identity of an array that nobody can write to, else a checksum of what is in it."""
    if isinstance(array, np.ndarray) and array.flags.writeable:
        return zlib.crc32(np.ascontiguousarray(array).view(np.uint8).reshape(-1))
    kept.append(array)
    return id(array)
