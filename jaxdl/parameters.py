"""The role of a parameter, from its declared names: one rule for weight decay, Muon, penalties and `summary`.

A layer names a parameter by its role (`kernel`, `bias`, `scale`, `embedding`, `position`, ...), and a model calls its first and
last layers `patches`, `embed` and `head`. Names are compared as a whole, never searched for in a path: `decomposition/kernel` and
`token_mixing/kernel` are ordinary weights.

    role        what                                                            decayed   penalised   Muon
    weight      kernels of hidden layers, and arrays of any other name          yes       yes         yes
    input       kernels of a model's first layer                                yes       yes         no
    head        kernels of its last                                             yes       yes         no
    embedding   a row for each word, code or type                               yes       yes         no
    position    a row for each place                                            no        no          no
    token       tokens that are learned themselves (class token, probe)         no        no          no
    vector      biases, scales and slopes; anything of at most one axis         no        no          no
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal

import jax

Role = Literal["weight", "input", "head", "embedding", "position", "token", "vector"]

DECLARED: Mapping[Role, frozenset[str]] = {
    "vector": frozenset(
        ("bias", "scale", "gamma", "beta", "slope", "recurrent_bias", "peephole", "gamma1", "gamma2", "head_scale")
    ),
    "position": frozenset(
        (
            *("position", "positions", "position_embedding", "pos_embed", "pos_embedding"),
            *("relative_position", "key_position", "value_position"),
        )
    ),
    "token": frozenset(("class_token", "distilled_token", "cls_token", "dist_token", "mask_token", "probe")),
    "embedding": frozenset(("embedding", "source_embedding", "target_embedding", "type_embedding", "codes")),
}
"""Role -> the names by which a layer declares such a parameter (the last of its path)."""
INPUTS = frozenset(("embed", "patch_embed", "patches"))
HEADS = frozenset(("head", "head_distilled", "logits", "output", "classifier"))
"""What models call their first and last layers (any other name of the path)."""

DECAYED: frozenset[Role] = frozenset(("weight", "input", "head", "embedding"))
HIDDEN: frozenset[Role] = frozenset(("weight",))


def role(path: tuple[str, ...], axes: int) -> Role:
    """Return the role of a parameter, from the names of its path and its number of axes.

    >>> role(("decomposition", "kernel"), 2), role(("encoder", "position"), 2), role(("head", "kernel"), 2)
    ('weight', 'position', 'head')
    >>> role(("stacked", "bias"), 2), role(("position", "embedding"), 2)
    ('vector', 'position')
    """
    *modules, name = path or ("",)
    if axes <= 1 or name in DECLARED["vector"]:
        return "vector"
    if name in DECLARED["position"] or (name == "embedding" and modules and modules[-1] in DECLARED["position"]):
        return "position"
    for one in ("token", "embedding"):
        if name in DECLARED[one]:
            return one
    if HEADS.intersection(modules):
        return "head"
    return "input" if INPUTS.intersection(modules) else "weight"


def roles(params: Any) -> Any:
    """Return the tree of the roles of all parameters."""
    return jax.tree_util.tree_map_with_path(lambda path, leaf: role(path_names(path), jax.numpy.ndim(leaf)), params)


def path_names(path: tuple) -> tuple[str, ...]:
    """The names of a tree path."""
    return tuple(jax.tree_util.keystr((key,), simple=True) for key in path)


def decayed(params: Any) -> Any:
    """Return the mask of weight decay and penalties: True for parameters that decay towards zero.

    >>> import jax.numpy as jnp
    >>> decayed({"dense": {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2)}, "position": jnp.ones((9, 2))})
    {'dense': {'bias': False, 'kernel': True}, 'position': False}
    """
    return _mask(params, DECAYED, decayed_by_path)


def hidden_matrices(params: Any) -> Any:
    """Return the mask of the parameters that Muon updates: the weights of hidden layers."""
    return _mask(params, HIDDEN, hidden_by_path)


def penalised(params: Any) -> Any:
    """The mask of penalties: the same as that of weight decay."""
    return _mask(params, DECAYED, penalised_by_path)


# Runs of format 1 -----------------------------------------------------------------------------------------------------

_by_path: ContextVar[bool] = ContextVar("by_path", default=False)


@contextmanager
def searched_in_paths(old: bool = True) -> Iterator[None]:
    """Inside the block, while tracing, use the masks of run folders of format 1, which search for patterns in paths."""
    token = _by_path.set(old)
    try:
        yield
    finally:
        _by_path.reset(token)


def decayed_by_path(path: tuple[str, ...], axes: int) -> bool:
    """jaxdl 1: two axes, no name of a vector, and "position" nowhere in the path."""
    whole = "/".join(path)
    vector = path[-1:] and path[-1] in ("bias", "scale", "gamma", "beta")
    return bool(axes > 1 and not vector and not re.search(r"position|pos_embed", whole, re.IGNORECASE))


def hidden_by_path(path: tuple[str, ...], axes: int) -> bool:
    outer = r"embed|position|token|(^|/)(head|logits|output|classifier)(/|$)"
    return decayed_by_path(path, axes) and not re.search(outer, "/".join(path), re.IGNORECASE)


def penalised_by_path(path: tuple[str, ...], axes: int) -> bool:
    return axes >= 2 and path[-1:] not in [(name,) for name in ("bias", "scale", "beta", "gamma", "slope")]


def _mask(params: Any, wanted: frozenset[Role], old: Callable[[tuple[str, ...], int], bool]) -> Any:
    def one(path: tuple, leaf: Any) -> bool:
        path, axes = path_names(path), jax.numpy.ndim(leaf)
        return old(path, axes) if _by_path.get() else role(path, axes) in wanted

    return jax.tree_util.tree_map_with_path(one, params)
