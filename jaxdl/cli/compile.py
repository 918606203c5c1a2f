"""`compile EXPERIMENT`: everything a training run compiles, without training: what it costs, and a filled cache."""

import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.cli.options import open_experiment
from jaxdl.engine.parallel import Plan, describe
from jaxdl.engine.program import Program
from jaxdl.experiment import ExperimentError
from jaxdl.runs.prepare import prepare

COLLECTIVES = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute", "collective-broadcast")


@dataclass(frozen=True)
class Options:
    """Compile the programs of a training without running them; show FLOPs, memory and communication."""

    device: Literal["cpu", "gpu", "tpu"] | None = None
    """Where to compute. None: what JAX_PLATFORMS says, else the fastest that JAX finds."""
    mesh: str | None = None
    """Devices by axis, as in data=4,model=2. None: all devices share the batch."""
    devices: int | None = None
    """Number of virtual devices to split the CPU into."""
    deterministic: bool = False
    """Compile as `train --deterministic` does."""


@dataclass(frozen=True)
class Row:
    """One compiled program: FLOPs of one step (the body of a loop counts once) and memory in bytes, on one device."""

    name: str
    seconds: float
    flops: float
    memory: int
    collectives: Mapping[str, int]


def run(args: Sequence[str]) -> int:
    setup, options = open_experiment(args, "compile", Options)
    exp = setup.build()
    plan = Plan.make(options.mesh, "jit", exp)
    where = describe(plan)
    print(
        f"{where['devices']} x {jax.devices()[0].device_kind}, mesh {where['mesh'] or 'none'}, batch {exp.data.batch}"
    )
    print(f"{'program':<10} {'compile':>9} {'FLOPs':>11} {'peak memory':>12}  collectives      (all of one device)")
    for row in compiled(prepare(setup, plan, exp=exp)):
        collectives = ", ".join(f"{count} {kind}" for kind, count in row.collectives.items()) or "none"
        print(f"{row.name:<10} {row.seconds:>7.2f} s {row.flops:>11.4g} {row.memory / 1e6:>9.2f} MB  {collectives}")
    return 0


def compiled(program: Program) -> Iterator[Row]:
    """Compile the programs of a run in the order of their use; the run then finds them in the cache."""
    if program.plan.strategy != "jit":
        raise ExperimentError("compile needs --strategy jit")
    exp, shapes, number = program.exp, program.shapes, jax.ShapeDtypeStruct((), jnp.int32)
    knobs = program.traced

    def placed(source: Any) -> Any:
        cut = (None, program.plan.batch_axes) if exp.data.by_row else ()
        where = program.plan.named(*cut) if program.plan.sharded else None
        return {k: jax.ShapeDtypeStruct(np.shape(a), a.dtype, sharding=where) for k, a in dict(source).items()}

    def like(function: Any, *arguments: Any) -> Any:
        result, where = jax.eval_shape(function, *arguments), program.sharding(function, *arguments)
        if where is None:
            return result
        return jax.tree.map(lambda a, s: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=s), result, where)

    weights = like(program.one_weights, knobs, shapes)
    yield measured("init", program.function("init"), knobs)
    yield measured("step", program.function("chunk"), knobs, shapes, placed(program.source_shapes), number, number)
    yield measured("norm", program.function("norms"), knobs, shapes)
    yield measured("weights", program.function("weights"), knobs, shapes)
    for split in exp.data.splits:
        if split != "train":
            count, source = next(iter(exp.data.eval_sources(split)))
            index = jax.ShapeDtypeStruct((count,), jnp.int32)
            yield measured(split, program.function("evaluate"), knobs, weights, placed(source), index, number)
    if shapes.best is not None:
        value = jax.ShapeDtypeStruct((), jnp.float32)
        yield measured("stop", program.function("stop"), knobs, shapes.best, value, number, weights)


def measured(name: str, function: Any, *arguments: Any) -> Row:
    """Lower and compile a jitted function for arguments given as shapes."""
    began = time.perf_counter()
    program = function.lower(*arguments).compile()
    seconds = time.perf_counter() - began
    cost, memory = program.cost_analysis() or {}, program.memory_analysis()
    peak = memory.argument_size_in_bytes + memory.output_size_in_bytes - memory.alias_size_in_bytes
    return Row(
        name, seconds, cost.get("flops", float("nan")), peak + memory.temp_size_in_bytes, collectives(program.as_text())
    )


def collectives(text: str) -> dict[str, int]:
    """Number of operations of each kind of communication in a compiled program; those in a loop count once.

    >>> collectives(
    ...     "%a = f32[4]{0} all-reduce(%x), x\\n%b = (f32[2], f32[4]) all-gather-start(%y)\\n%c = f32[] add(%a)"
    ... )
    {'all-reduce': 1, 'all-gather': 1}
    """
    found = Counter(re.findall(rf" ({'|'.join(COLLECTIVES)})(?:-start)?\(", text))
    return {kind: found[kind] for kind in COLLECTIVES if found[kind]}
