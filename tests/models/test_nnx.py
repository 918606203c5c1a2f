"""NNX modules: the same numbers as Linen's, and everything that a run promises."""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from jaxdl import Setup, load, train
from jaxdl.cli import export
from jaxdl.engine.loop import Limits
from jaxdl.models.nnx import from_nnx
from jaxdl.runs.prepare import prepare
from jaxdl.runs.sweep import sweep
from jaxdl.tasks.classification import Classification
from jaxdl.tasks.forward import forward, initialise
from jaxdl.types import UserError
from tests import tiny_nnx
from tests.programs import one_program

KEY = jax.random.key(0)


class Linen(nn.Module):
    """tests/tiny_nnx.py's network in Linen, its parts by the same names."""

    @nn.compact
    def __call__(self, x, *, train):
        x = nn.BatchNorm(use_running_average=not train, momentum=0.9, name="norm")(
            nn.Dense(8, use_bias=False, name="hidden_0")(x)
        )
        x = nn.relu(nn.Dense(8, name="hidden_1")(nn.relu(x)))
        return nn.Dense(3, name="head")(x)


def hundred_steps(model, params, state, batches):
    """The losses of 100 steps of Adam, and the model state at their end."""
    task, optimizer = Classification(model), optax.adam(1e-2)

    def step(carry, batch):
        params, state, opt_state = carry
        objective = lambda p: task.objective(p, state, batch, KEY, jnp.int32(0), train=True)
        (loss, (state, _)), grads = jax.value_and_grad(objective, has_aux=True)(params)
        updates, opt_state = optimizer.update(grads, opt_state)
        return (optax.apply_updates(params, updates), state, opt_state), loss

    (_, state, _), losses = jax.lax.scan(step, (params, state, optimizer.init(params)), batches)
    return losses, state


def test_a_hundred_steps_equal_linen_s():
    rng = np.random.default_rng(0)
    x, y = rng.normal(1, 2, (100, 16, 6)).astype(np.float32), rng.integers(0, 3, (100, 16)).astype(np.int32)
    batches = {"x": x, "y": y, "mask": np.ones((100, 16), np.float32)}
    model = from_nnx(tiny_nnx.Net, 8, classes=3)

    def both(batches):
        params, state = initialise(model, KEY, x[0])
        hidden = {f"hidden_{i}": params["hidden"][i] for i in ("0", "1")}
        same = {**{name: params[name] for name in ("norm", "head")}, **hidden}
        assert jax.tree.structure((same, state)) == jax.tree.structure(initialise(Linen(), KEY, x[0]))
        return hundred_steps(model, params, state, batches), hundred_steps(Linen(), same, state, batches)

    (ours, our_state), (theirs, their_state) = one_program(both, batches)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    assert ours[-1] != ours[0]
    for name in ("mean", "var"):
        np.testing.assert_allclose(
            our_state["batch_stats"]["norm"][name], their_state["batch_stats"]["norm"][name], rtol=1e-4, atol=1e-6
        )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return train(tiny_nnx.config, run=tmp_path_factory.mktemp("nnx"), quiet=True)


@pytest.mark.slow
@pytest.mark.programs(40, "a run, paused and resumed")
def test_a_resumed_run_is_the_run(run, tmp_path):
    """Dropout and batch statistics go on where they were."""
    half = train(tiny_nnx.config, run=tmp_path, quiet=True, limits=Limits(stop_at=12))
    whole = train(tiny_nnx.config, resume=half.folder, quiet=True)
    jax.tree.map(np.testing.assert_array_equal, whole.weights, run.weights)
    assert run.evaluate("test").metrics["accuracy"] > 0.8


@pytest.mark.programs(20, "a run is exported")
def test_an_exported_function_predicts_the_same(run, tmp_path):
    assert export.write(run, tmp_path / "export")["any_batch"]
    x = run.experiment.data.splits["test"]["x"]
    theirs = export.load(tmp_path / "export")(x)["probability"]
    np.testing.assert_allclose(theirs, run.predict(x)["probability"], atol=1e-6)


@pytest.mark.slow
@pytest.mark.programs(70, "a sweep and one of its members alone")
def test_members_of_a_sweep_are_the_runs_alone(run, tmp_path):
    done = sweep(tiny_nnx.config, {"lr": (0.003, 0.01), "seed": (0, 1)}, run=tmp_path, quiet=True)
    number = next(i for i, row in enumerate(done.rows) if (row["lr"], row["seed"]) == (0.01, 0))
    same = load(done.folder, member=number)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6), same.weights, run.weights)


@pytest.mark.slow
@pytest.mark.programs(20, "a mesh in a process of its own, and what it is compared with")
def test_a_mesh_trains_what_one_device_trains(run, tmp_path):
    flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=4"
    command = [
        sys.executable,
        "-m",
        "jaxdl",
        "train",
        tiny_nnx.__file__,
        "--mesh",
        "data=2,fsdp=2",
        "--run",
        str(tmp_path),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, env={**os.environ, "XLA_FLAGS": flags})
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "tiny_nnx").iterdir()
    jax.tree.map(partial(np.testing.assert_allclose, rtol=0, atol=1e-4), load(folder).weights, run.weights)


def test_a_rate_is_static_and_a_learning_rate_is_not():
    program = prepare(Setup.of(tiny_nnx.config, {}))
    assert set(program.knobs) == {"lr", "seed"}


class Carry(nnx.Variable):
    """The sums of each row so far."""


class Adds(nnx.Module):
    def __init__(self, rows, *, rngs):
        self.sums = Carry(jnp.zeros(rows))
        self.scale = nnx.Param(jnp.ones(1))

    def __call__(self, x, *, train):
        total = self.sums.get_value() * train + x.sum(1)
        self.sums.set_value(total)
        return total[:, None] * self.scale.get_value()[None]


def test_a_state_of_one_s_own_is_carried_in_training_only():
    x = np.arange(6, dtype=np.float32).reshape(3, 2)
    model = from_nnx(Adds, 3)

    def run():
        params, state = initialise(model, KEY, x)
        outs = []
        for mode in (True, True, False, True):
            out, state = forward(model, params, state, x, key=KEY, train=mode)
            outs.append(out[:, 0])
        return outs, state

    outs, state = one_program(run)
    sums = x.sum(1)
    np.testing.assert_allclose(outs, [sums, 2 * sums, sums, 3 * sums])
    np.testing.assert_allclose(state["Carry"]["sums"], 3 * sums)


# -- what is refused ----------------------------------------------------------------------------------------------------


class Grows(nnx.Module):
    def __init__(self, *, rngs):
        pass

    def __call__(self, x):
        self.seen = nnx.BatchStat(x.mean())
        return x


@pytest.mark.programs(20, "instances are made eagerly to be refused")
def test_what_is_refused():
    rngs = nnx.Rngs(0)
    net = nnx.Linear(4, 3, rngs=rngs)
    for wrong, said in (
        (lambda: from_nnx(net), "from_nnx(Linear, ...)"),
        (lambda: from_nnx(nnx.Sequential, net), "lambda rngs"),
        (lambda: from_nnx(nn.Dense, 3), "Dense"),
        (lambda: from_nnx(nnx.Linear, 4, 3, rngs=rngs), "rngs"),
        (lambda: from_nnx(tiny_nnx.Net, width=4), "'classes'"),
        (lambda: initialise(net, KEY, np.ones((2, 4))), "from_nnx(Linear, ...)"),
        (lambda: initialise(nnx.Linear, KEY, np.ones((2, 4))), "from_nnx(Linear, ...)"),
        (lambda: initialise(from_nnx(Grows), KEY, np.ones((2, 4), np.float32)), "seen"),
        (lambda: initialise(from_nnx(lambda rngs: 3), KEY, np.ones((2, 4))), "int"),
        (lambda: initialise(from_nnx(Adds, 2), KEY, np.ones((2, 4)), np.ones(2)), "too many positional arguments"),
    ):
        with pytest.raises(UserError) as caught:
            wrong()
        assert said in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_wrong_call_names_the_class_and_its_line():
    line = Path(__file__).read_text(encoding="utf-8").splitlines().index("class Adds(nnx.Module):") + 1
    with pytest.raises(UserError) as caught:
        initialise(from_nnx(Adds, 2), KEY, np.ones((2, 4)), lengths=np.ones(2))
    assert f"test_nnx.py:{line})" in str(caught.value)
    assert "lengths" in str(caught.value)


def test_functions_and_sequences_of_layers():
    make = lambda rngs: nnx.Sequential(nnx.Linear(4, 8, rngs=rngs), nnx.Dropout(0.5), nnx.Linear(8, 2, rngs=rngs))
    model, x = from_nnx(make), np.ones((3, 4), np.float32)

    def run():
        params, state = initialise(model, KEY, x)
        return params, [forward(model, params, state, x, key=KEY, train=mode)[0] for mode in (False, True)]

    params, (calm, wild) = one_program(run)
    first, last = (params["layers"][i] for i in ("0", "2"))
    np.testing.assert_allclose(calm, (x @ first["kernel"] + first["bias"]) @ last["kernel"] + last["bias"], rtol=1e-5)
    assert np.abs(calm - wild).max() > 1e-3


# -- why `flax.nnx.bridge.ToLinen` does not do ---------------------------------------------------------------------------


class Parts(nnx.Module):
    def __init__(self, *, rngs):
        self.layers = nnx.List([nnx.Linear(4, 4, rngs=rngs)])
        self.mask = jnp.ones(4)
        self.more = nnx.LoRA(4, 2, 4, rngs=rngs)

    def __call__(self, x):
        return self.more(self.layers[0](x * self.mask[None]))


@pytest.mark.programs(30, "Flax's own adapter is initialised eagerly")
def test_names_are_text_arrays_are_no_state_and_derived_parameters_are_trained():
    x = np.ones((2, 4), np.float32)
    params, state = jax.eval_shape(lambda: initialise(from_nnx(Parts), KEY, x))
    assert list(params["layers"]) == ["0"]
    assert set(params["more"]) == {"lora_a", "lora_b"}
    assert state == {}
    theirs = nnx.bridge.ToLinen(Parts).init(KEY, x)
    assert list(theirs["params"]["layers"]) == [0]
    assert set(theirs) == {"params", "ArrayImpl", "LoRAParam"}
