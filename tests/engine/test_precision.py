"""precision="bfloat16" holds in evaluation, prediction and export as in training; what comes out is float32."""

import re
from dataclasses import replace
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import jaxprs_in_params

from jaxdl.cli.export import exported_function
from jaxdl.data.source import InMemory
from jaxdl.engine.program import Program
from jaxdl.layers.normalization import BatchNorm
from jaxdl.models.mlp import MLP
from jaxdl.tasks.classification import Classification


def products(jaxpr):
    """The dtypes that every matrix product of a jaxpr multiplies."""
    found = set()
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            found.add(tuple(str(v.aval.dtype) for v in equation.invars))
        for inner in jaxprs_in_params(equation.params):
            found |= products(inner)
    return found


@pytest.fixture(scope="module", params=["bfloat16", pytest.param("float32", marks=pytest.mark.slow)])
def program(request, tiny):
    task = Classification(MLP(features=(8,), classes=3, norm=BatchNorm))
    return Program(replace(tiny.config(), task=task, precision=request.param))


def traced(program):
    """name -> (jaxpr of the function, shapes of its result)."""
    data = program.data
    weights = jax.eval_shape(program.one_weights, {}, program.shapes)
    batch = {"x": jnp.asarray(data.example()["x"]), "mask": jnp.ones(data.batch)}
    _, source = next(iter(data.eval_sources("validation")))
    calls = {
        "train": (program.one_step, {}, program.shapes, program.source_shapes),
        "evaluate": (program.one_evaluate, {}, weights, dict(source), jnp.arange(2), jnp.int32(0)),
        "predict": (program.one_predict, {}, weights, batch),
    }
    return {name: jax.make_jaxpr(call, return_shape=True)(*arguments) for name, (call, *arguments) in calls.items()}


def test_every_product_is_of_the_declared_precision(program):
    precision = program.exp.precision
    for name, (jaxpr, _) in traced(program).items():
        assert products(jaxpr.jaxpr) == {(precision, precision)}, name


def test_what_comes_out_is_float32(program):
    made = traced(program)
    _, gathered, _ = made["evaluate"][1]
    for outputs in (gathered["outputs"], made["predict"][1]):
        kinds = {str(leaf.dtype) for leaf in jax.tree.leaves(outputs)}
        assert kinds == {"float32", "int32"}
    weights = program.shapes.params, program.shapes.model_state
    assert {str(leaf.dtype) for leaf in jax.tree.leaves(weights)} == {"float32"}


def test_what_is_exported_computes_so_too(program):
    weights = jax.eval_shape(program.one_weights, {}, program.shapes)
    exported, _ = exported_function(SimpleNamespace(program=program, experiment=program.exp, weights=weights))
    text = exported.mlir_module()
    lines = [line for line in text.splitlines() if "stablehlo.dot_general" in line]
    assert lines
    short = {"float32": "f32", "bfloat16": "bf16"}[program.exp.precision]
    for line in lines:
        operands = re.search(r": \((tensor<[^>]*>), (tensor<[^>]*>)\) ->", line)
        assert all(kind.endswith(f"x{short}>") for kind in operands.groups()), line
    assert {str(a.dtype) for a in exported.out_avals} == {"float32", "int32"}


def test_what_a_task_gives_in_bfloat16_is_float32_outside(tiny):
    """A task that gives its model's numbers as they are: NumPy knows no bfloat16."""

    class Raw(Classification):
        def predict(self, params, model_state, batch, key):
            return {"score": self.model.apply({"params": params}, batch["x"], train=False)}

    rows = {"x": np.ones((8, 2), np.float32), "y": np.zeros(8, np.int32)}
    exp = replace(
        tiny.config(),
        data=InMemory({"train": rows, "validation": rows}, 4),
        task=Raw(MLP(features=(4,), classes=3)),
        precision="bfloat16",
        stop=None,
    )
    program = Program(exp)
    weights = jax.eval_shape(program.one_weights, {}, program.shapes)
    _, shapes = jax.make_jaxpr(program.one_predict, return_shape=True)(
        {}, weights, {"x": rows["x"], "mask": np.ones(8)}
    )
    assert shapes["score"].dtype == jnp.float32
