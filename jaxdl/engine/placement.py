"""One device copy of each host array per process, shared by all programs of a notebook."""

import weakref
import zlib
from typing import Any

import jax
import numpy as np

from jaxdl.engine.parallel import Plan

_placed: dict[tuple[Plan, int], tuple[weakref.ref, int | None, weakref.ref]] = {}
"""(plan, id of the host's array) -> that array, a checksum of it if it can be written to, and its copy. The copies live as
long as a program that uses them; this table keeps nothing alive."""


def placed(plan: Plan, arrays: dict[str, Any]) -> dict[str, Any]:
    """Return device copies of arrays; an array that was copied before is not copied again.

    An array is recognised by its identity and, if it is writable, by a checksum of its content.
    """
    return {
        name: _once(plan, array) if isinstance(array, np.ndarray) else plan.put(array) for name, array in arrays.items()
    }


def _once(plan: Plan, array: np.ndarray) -> jax.Array:
    key, content = (plan, id(array)), _checksum(array) if array.flags.writeable else None
    if key in _placed:
        host, known, device = _placed[key]
        copy = device()
        if host() is array and known == content and copy is not None and not copy.is_deleted():
            return copy
    for old in [key for key, (host, _, device) in _placed.items() if host() is None or device() is None]:
        del _placed[old]
    copy = plan.put(array)
    _placed[key] = weakref.ref(array), content, weakref.ref(copy)
    return copy


def _checksum(array: np.ndarray) -> int:
    return zlib.crc32(np.ascontiguousarray(array).view(np.uint8).data)
