"""A state as named leaves: names in a checkpoint, comparison of two states, and a digest."""

from hashlib import sha256
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.types import UserError

Tree = Any
Leaves = dict[str, Any]
"""A state as `params/Dense_0/kernel -> leaf`, in tree order."""


def digest(state: Tree) -> str:
    """16 hex digits of SHA-256 over dtype, shape and bytes of every leaf in tree order: equal iff bitwise equal.

    >>> digest({"w": jnp.zeros(3)}) == digest({"w": jnp.zeros(3)}) != digest({"w": -jnp.zeros(3)})
    True
    """
    total = sha256()
    for leaf in flatten(state).values():
        data = data_of(leaf)
        if isinstance(data, jax.Array) and not data.is_fully_addressable:
            if data.is_fully_replicated:
                data = data.addressable_data(0)
            else:
                from jax.experimental import multihost_utils

                data = multihost_utils.process_allgather(data, tiled=True)
        total.update(repr(leaf_record(leaf)).encode())
        total.update(np.ascontiguousarray(jax.device_get(data)).reshape(-1).view(np.uint8))
    return total.hexdigest()[:16]


def flatten(tree: Tree) -> Leaves:
    """Name every leaf of a state by its path; Python numbers become 32-bit arrays."""
    leaves: Leaves = {}
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        names = [str(getattr(k, "key", getattr(k, "name", getattr(k, "idx", k)))) for k in path] or ["value"]
        names = [name or "_" for name in names]  # a single optimizer has the name ""
        for name in names:
            if "." in name or "/" in name:
                # orbax joins names by dots: {"a": {"b": x}, "a.b": y} would come back with y in both places
                raise UserError(f"a state's entry is called {name!r}: names with '.' or '/' cannot be saved, rename it")
        path = "/".join(names)
        if path in leaves:
            raise UserError(f"two entries of the state are called {path!r}")
        leaves[path] = leaf if hasattr(leaf, "dtype") else np.asarray(leaf, jnp.result_type(leaf))
    return leaves


def is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def data_of(leaf: Any) -> Any:
    """The data of a leaf; of typed keys, their words."""
    return jax.random.key_data(leaf) if is_key(leaf) else leaf


def with_data(leaf: Any, data: Any) -> Any:
    """The inverse of `data_of`: data as the kind of leaf that `leaf` is."""
    if not is_key(leaf):
        return data
    names: list[str] = []
    jax.eval_shape(lambda key: names.append(str(jax.random.key_impl(key))), leaf)
    return jax.random.wrap_key_data(data, impl=names[0])


def leaf_record(leaf: Any) -> list[Any]:
    """Dtype and shape of a leaf for JSON, as in `["float32", [8, 4]]`."""
    return [str(leaf.dtype), list(leaf.shape)]


def nest(leaves: Leaves) -> dict[str, Any]:
    """Nested dictionaries of named leaves."""
    tree: dict[str, Any] = {}
    for path, leaf in leaves.items():
        *folders, name = path.split("/")
        node = tree
        for folder in folders:
            node = node.setdefault(folder, {})
        node[name] = leaf
    return tree


def check_fit(saved: dict[str, Any], wanted: Leaves, what: str) -> None:
    """Raise one line on the first difference between the checkpoint and what is asked for."""
    differences = []
    for path in [*wanted, *(path for path in saved if path not in wanted)]:
        here = f"{saved[path][0]} {tuple(saved[path][1])}" if path in saved else "absent"
        there = f"{wanted[path].dtype} {tuple(wanted[path].shape)}" if path in wanted else "absent"
        if here != there:
            differences.append(f"{path} is {here} in the checkpoint, {there} here")
    if differences:
        more = f" (and {len(differences) - 1} more differences)" if len(differences) > 1 else ""
        raise UserError(f"{what} does not fit: {differences[0]}{more}")
