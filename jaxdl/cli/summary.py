"""`summary EXPERIMENT`: layers with shapes, parameters and multiply-adds, and the memory of a training step."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import jax

from jaxdl.calling import called
from jaxdl.cli.options import open_experiment
from jaxdl.engine.step import prepared_batch
from jaxdl.experiment import ExperimentError
from jaxdl.inspect.flops import multiply_adds
from jaxdl.inspect.summary import layer_table, megabytes, role_table, step_memory
from jaxdl.runs.prepare import prepare
from jaxdl.setup import Setup


@dataclass(frozen=True)
class Options:
    """Show the layers of a model with shapes, parameters and multiply-adds, and the memory of a training step."""

    device: Literal["cpu", "gpu", "tpu"] | None = None
    """Where to compile."""


def run(args: Sequence[str]) -> int:
    setup, _ = open_experiment(args, "summary", Options)
    print(table(setup))
    return 0


def table(setup: Setup) -> str:
    """Layers with shapes and parameters, then multiply-adds of one example and the memory of a training step."""
    exp = setup.build()
    if exp.task.network is None:
        raise ExperimentError("this task has no single model to summarize")
    program = prepare(setup, exp=exp)
    batch = jax.eval_shape(lambda batch: prepared_batch(exp, batch), exp.data.example())
    one = jax.ShapeDtypeStruct((1, *batch["x"].shape[1:]), batch["x"].dtype)
    variables = {"params": program.shapes.params, **program.shapes.model_state}
    network, how = called(exp.task.network, one, train=False)
    count = multiply_adds(lambda v, x: network.apply(v, x, **how), variables, one)
    memory = step_memory(program)
    width = max(80, shutil.get_terminal_size((140, 24)).columns)
    return "\n".join(
        [
            layer_table(exp.task.network, one, width=width).rstrip(),
            f"parameters      {sum(a.size for a in jax.tree.leaves(program.shapes.params)):,}",
            role_table(program.shapes.params),
            f"model state     {sum(a.size for a in jax.tree.leaves(program.shapes.model_state)):,} values",
            f"multiply-adds   {count:,} per example, forward",
            f"memory of a step of {exp.data.batch} on one device: state {megabytes(memory['state'])}, "
            f"data {megabytes(memory['data'])}, temporary {megabytes(memory['temporary'])}",
        ]
    )
