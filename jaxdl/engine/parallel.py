"""Where a program runs: on one device, or on a mesh of devices under `jit` (or `pmap`, for comparison).

A mesh is written `data=4,model=2`; its axes are

    data    each device computes a part of every batch; parameters are replicated
    fsdp    like data, with parameters and optimizer state sharded along their largest divisible dimension
    model   parameters are sharded by the path rules of the model's family (tensor parallelism); hidden states between blocks are
            sharded along time where it divides (sequence parallelism), so norms, dropout and residuals see a part of it

The step function does not change: shardings are given for the state and the batch, and the compiler inserts the communication.
Batch statistics are those of the global batch. The order of the data and dropout masks do not depend on the mesh.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxdl import runtime
from jaxdl.engine.compiled import Compiled
from jaxdl.tracing import cutting_time
from jaxdl.types import UserError

AXES = ("data", "fsdp", "model")
SMALL = 512
"""Arrays of fewer elements are not worth cutting."""

Rules = Sequence[tuple[str, tuple[str | None, ...]]]
"""(regular expression on the path, the axis of each dimension): `(r"mlp/up/kernel", (None, "model"))`.

An axis with a question mark, "model?", cuts only where it divides.
"""


def parse_mesh(text: str) -> dict[str, int]:
    """The sizes of a mesh's axes.

    >>> parse_mesh("data=4,model=2")
    {'data': 4, 'model': 2}
    """
    sizes: dict[str, int] = {}
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\w+)\s*=\s*(\d+)\s*", part)
        if match is None or match[1] not in AXES or int(match[2]) < 1 or match[1] in sizes:
            raise UserError(f"--mesh {text!r}: {part!r} should be one of data=N, fsdp=N, model=N, as in data=4,model=2")
        sizes[match[1]] = int(match[2])
    return sizes


@dataclass(frozen=True)
class Plan:
    """How functions are compiled and where their arrays live. `Plan()` is one device.

    Args:
        sizes: axis -> number of devices, whose product is the number of devices used.
        strategy: "jit" (any mesh) or "pmap" (data only).
        rules: path rules for the axis "model".
    """

    sizes: tuple[tuple[str, int], ...] = ()
    strategy: Literal["jit", "pmap"] = "jit"
    rules: tuple[tuple[str, tuple[str | None, ...]], ...] = ()

    @classmethod
    def make(cls, mesh: str | None, strategy: str, exp: Any) -> "Plan":
        """The plan of `--mesh` and `--strategy` for an experiment; by default all devices take part of the data."""
        devices = jax.device_count()
        if mesh is None and devices == 1 and strategy == "jit":
            return cls()
        sizes = parse_mesh(mesh) if mesh is not None else {"data": devices}
        count = int(np.prod(list(sizes.values())))
        if count > devices or (jax.process_count() > 1 and count != devices):
            raise UserError(f"--mesh {mesh}: needs {count} devices, there {'is' if devices == 1 else 'are'} {devices}")
        if strategy == "pmap" and set(sizes) != {"data"}:
            raise UserError(f"--strategy pmap takes a mesh of data only, got {mesh}: drop it for jit")
        if strategy == "pmap" and jax.process_count() > 1:
            raise UserError(f"--strategy pmap runs in one process, there are {jax.process_count()}: drop it for jit")
        if sizes.get("model", 1) > 1 and not exp.rules:
            raise UserError(
                f"--mesh {mesh}: this experiment gives no path rules to cut its model by (Experiment.rules)"
            )
        plan = cls(tuple(sizes.items()), strategy, tuple(exp.rules) if "model" in sizes else ())
        if exp.data.batch % (plan.shares * exp.accumulate):
            raise UserError(
                f"a batch of {exp.data.batch} cannot be cut over {plan.shares} devices"
                + (f" and {exp.accumulate} micro-batches" if exp.accumulate > 1 else "")
                + f": make it a multiple of {plan.shares * exp.accumulate}"
            )
        return plan

    @cached_property
    def mesh(self) -> Mesh | None:
        if not self.sizes:
            return None
        shape = [size for _, size in self.sizes]
        devices = np.asarray(jax.devices()[: int(np.prod(shape))]).reshape(shape)
        return Mesh(devices, [name for name, _ in self.sizes])  # axes of type Auto: Linen layers name no shardings

    @property
    def shares(self) -> int:
        """The number of parts that a batch is split into."""
        return int(np.prod([size for name, size in self.sizes if name in ("data", "fsdp")]))

    @property
    def sharded(self) -> bool:
        """Whether arrays are sharded over a mesh (under pmap they are not)."""
        return bool(self.sizes) and self.strategy == "jit"

    @property
    def axis(self) -> str | None:
        """The name of the device axis inside the step; None except under pmap."""
        return "data" if self.strategy == "pmap" else None

    # -- shardings -----------------------------------------------------------------------------------------------------
    def named(self, *spec: Any) -> NamedSharding:
        return NamedSharding(self.mesh, P(*spec))

    @property
    def batch_axes(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.sizes if name in ("data", "fsdp"))

    def constrain(self, batch: Any) -> Any:
        """Shard the rows of a batch over the devices."""
        if not self.sharded:
            return batch
        return jax.lax.with_sharding_constraint(batch, self.named(self.batch_axes))

    def local(self, batch: Any) -> Any:
        """Return the rows of this device (under pmap)."""
        rows = batch["mask"].shape[0] // self.shares
        first = jax.lax.axis_index(self.axis) * rows
        return jax.tree.map(lambda a: jax.lax.dynamic_slice_in_dim(a, first, rows), batch)

    def shardings(self, shapes: Any) -> Any:
        """Where each leaf of a state lives; parameters and their optimizer state follow the same path rules."""
        used: set[str] = set()
        found = jax.tree_util.tree_map_with_path(lambda path, leaf: self.named(*self.spec(path, leaf, used)), shapes)
        unused = [rule for rule, _ in self.rules if rule not in used]
        if unused:
            raise UserError(f"path rule {unused[0]!r} matches no parameter of the model")
        return found

    def spec(self, path: Any, leaf: Any, used: set[str]) -> tuple[Any, ...]:
        """The axis of each dimension of one leaf."""
        sizes, name = dict(self.sizes), path_of(path)
        spec: list[Any] = [None] * len(leaf.shape)
        for rule, axes in self.rules:
            if re.search(rule, name) and len(axes) == len(leaf.shape):
                used.add(rule)
                axes = tuple(self._soft(axis, leaf.shape[i]) for i, axis in enumerate(axes))
                for i, axis in enumerate(axes):
                    if axis is not None and leaf.shape[i] % sizes.get(axis, 1):
                        raise UserError(f"{name} {leaf.shape}: dimension {i} cannot be cut over {axis}={sizes[axis]}")
                spec = [axis if axis in sizes else None for axis in axes]
                break
        if sizes.get("fsdp", 1) > 1 and int(np.prod(leaf.shape)) >= SMALL:
            free = [i for i in range(len(leaf.shape)) if spec[i] is None and leaf.shape[i] % sizes["fsdp"] == 0]
            if free:
                spec[max(free, key=lambda i: leaf.shape[i])] = "fsdp"
        return tuple(spec)

    def _soft(self, axis: str | None, size: int) -> str | None:
        """Return the axis without its question mark; None where the mark makes it optional and it does not divide."""
        if axis is None or not axis.endswith("?"):
            return axis
        axis = axis.removesuffix("?")
        return None if size % dict(self.sizes).get(axis, 1) else axis

    def sequence(self) -> AbstractContextManager[None]:
        """Traced inside: the hidden states between the parts of a sequence model, cut along time over "model"."""
        parts = dict(self.sizes).get("model", 1)
        if not self.sharded or parts == 1:
            return nullcontext()

        def cut(x: Any) -> Any:
            if x.ndim < 3 or x.shape[0] % self.shares or x.shape[1] % parts:
                return x
            return jax.lax.with_sharding_constraint(x, self.named(self.batch_axes or None, "model"))

        return cutting_time(cut)

    # -- compiling -----------------------------------------------------------------------------------------------------
    def compile(self, function: Callable[..., Any], *, donate: int | None = None, out: Any = None) -> Any:
        """`jit` with this plan's compiler options; `out` are the shardings of the result (None: everywhere the same)."""
        sharded = {}
        if self.sharded:
            sharded = {"out_shardings": out if out is not None else self.named()}
        return Compiled(
            function,
            self,
            donate_argnums=() if donate is None else donate,
            compiler_options=runtime.compiler_options(),
            **sharded,
        )

    def compile_chunk(self, function: Callable[..., Any], shapes: Any) -> Any:
        """The chunk of steps `(knobs, state, source, n, max_bad) -> (state, view)`, its state donated."""
        if self.strategy == "pmap":
            return self._pmap(function)
        out = (jax.tree.map(lambda a: a.sharding, shapes), self.named()) if self.sharded else None
        return self.compile(function, donate=1, out=out)

    def _pmap(self, function: Callable[..., Any]) -> Any:
        """The same chunk under pmap: each device computes its rows, and gradients are summed explicitly."""
        stacked = NamedSharding(self.mesh, P("data"))
        count = self.shares
        copy = jax.jit(
            lambda tree: jax.tree.map(lambda a: jnp.broadcast_to(a[None], (count, *a.shape)), tree),
            out_shardings=stacked,
        )
        first = jax.jit(lambda tree: jax.tree.map(lambda a: a[0], tree))
        mapped = jax.pmap(
            function, axis_name="data", in_axes=(None, 0, 0, None, None), devices=list(self.mesh.devices.flat)
        )
        latest: list[Any] = [None, None]  # the source itself, too: its id alone would be given to another one

        def chunk(knobs: Any, state: Any, source: Any, n: Any, max_bad: Any) -> Any:
            if latest[0] is not source:
                latest[:] = source, copy(source)
            state, view = mapped(knobs, copy(state), latest[1], n, max_bad)
            return first(state), first(view)

        return chunk

    def put(self, source: Any, *, rows: bool = False) -> Any:
        """Copy host arrays to the devices: replicated, or sharded by `rows` (streams)."""
        if not self.sharded:
            return jax.device_put(source)
        spec = self.named(None, self.batch_axes) if rows else self.named()

        def place(a: np.ndarray) -> jax.Array:
            return jax.make_array_from_callback(np.shape(a), spec, lambda index: np.asarray(a)[index])

        return jax.tree.map(place, source)


def path_of(path: Any) -> str:
    """`params/Conv_0/kernel` of a tree path."""
    return "/".join(str(getattr(k, "key", getattr(k, "name", getattr(k, "idx", k)))) for k in path)


def describe(plan: Plan) -> Mapping[str, Any]:
    """For the run's env.json."""
    return {"mesh": dict(plan.sizes), "strategy": plan.strategy, "devices": int(np.prod([s for _, s in plan.sizes]))}
