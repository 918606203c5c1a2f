"""A model's layers as a table, and what a program of it needs: abstract, nothing is trained."""

from typing import Any, get_args

import jax
import jax.numpy as jnp

from jaxdl import parameters
from jaxdl.calling import called

ROLES = get_args(parameters.Role)
SHOWN = 4
"""Names that the summary shows of each role."""


def layer_table(model: Any, x: Any, *, width: int = 120) -> str:
    """Every layer with output shape and parameters, of any Linen model."""
    keys = {"params": jax.random.key(0), "dropout": jax.random.key(0)}
    console = {"width": width, "force_terminal": False, "force_jupyter": False}
    x = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), x)  # Linen's table wants arrays, also of an abstract model
    model, how = called(model, x, train=False)
    return model.tabulate(keys, x, **how, console_kwargs=console, show_repeated=False)


def role_table(params: Any) -> str:
    """Which parameters have which role (`jaxdl.parameters`): what is decayed, and what Muon trains."""
    found: dict[str, list[tuple[str, int]]] = {}
    for (path, leaf), role in zip(
        jax.tree_util.tree_leaves_with_path(params), jax.tree.leaves(parameters.roles(params)), strict=True
    ):
        found.setdefault(role, []).append(("/".join(parameters.path_names(path)), leaf.size))
    lines = []
    for role in [role for role in ROLES if role in found]:
        named = [name for name, _ in found[role]]
        shown = ", ".join(named[:SHOWN]) + (f" and {len(named) - SHOWN} more" if len(named) > SHOWN else "")
        use = ("decayed" if role in parameters.DECAYED else "not decayed") + (
            ", Muon" if role in parameters.HIDDEN else ""
        )
        lines.append(f"{role:<15} {sum(size for _, size in found[role]):,} ({use}): {shown}")
    return "\n".join(lines)


def step_memory(program: Any) -> dict[str, int]:
    """Bytes of the compiled train step on one device: its state, its data, and what it needs on top at its peak.

    Compiles the step (and so fills the compilation cache), but runs nothing.
    """
    number, shapes = jax.ShapeDtypeStruct((), jnp.int32), program.shapes
    compiled = program.function("chunk").lower(program.traced, shapes, program.source_shapes, number, number).compile()
    analysis = compiled.memory_analysis()
    return {
        "state": size_of(shapes.replace(key=None)),
        "data": size_of(program.source_shapes),
        "temporary": int(analysis.temp_size_in_bytes),
    }


def size_of(tree: Any) -> int:
    """Bytes of the arrays of a tree."""
    return sum(a.size * a.dtype.itemsize for a in jax.tree.leaves(tree))


def megabytes(count: int) -> str:
    """
    >>> megabytes(1_536_000)
    '1.5 MB'
    """
    return f"{count / 1e6:.1f} MB"
