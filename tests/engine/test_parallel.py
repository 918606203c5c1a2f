"""One device and eight: the same losses and parameters under every mesh, and one clear line where a mesh does not fit."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from jaxdl.engine.parallel import Plan, describe, parse_mesh
from jaxdl.setup import Setup

HERE = Path(__file__).parent
MESHES = ("data", "fsdp and model", "pmap")
PARTIAL = ("fsdp", "data and model")
"""Meshes of which the others are made up: at night."""


def run(script, folder, *names):
    """What a script of many trainings leaves of those named, by name."""
    words = [sys.executable, str(HERE / script), str(folder), *names]
    done = subprocess.run(words, capture_output=True, text=True, timeout=3600, cwd=HERE.parents[1], env=environment())
    assert done.returncode == 0, done.stderr
    return {path.stem: dict(np.load(path)) for path in folder.glob("*.npz")} | {
        path.stem: json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*.json")
    }


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    names = ("one", *MESHES, "data again", "one, in parts", "data, in parts")
    return run("mesh_runs.py", tmp_path_factory.mktemp("meshes"), *names)


@pytest.fixture(scope="module")
def nightly(tmp_path_factory):
    names = ("one", *PARTIAL, "one, in parts", "pmap, in parts")
    return run("mesh_runs.py", tmp_path_factory.mktemp("nightly"), *names)


def environment():
    # a collective that waits for ever should end the test, not the day
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_collective_call_terminate_timeout_seconds=300"
    return {**os.environ, "PYTHONPATH": str(HERE.parents[1]), "XLA_FLAGS": flags}


@pytest.mark.slow
@pytest.mark.parametrize("mesh", MESHES)
def test_every_mesh_trains_what_one_device_trains(runs, mesh):
    compare(runs["one"], runs[mesh])


@pytest.mark.night
@pytest.mark.parametrize("mesh", PARTIAL)
def test_a_mesh_of_fewer_axes_trains_what_one_device_trains(nightly, mesh):
    compare(nightly["one"], nightly[mesh])


def compare(one, many):
    np.testing.assert_allclose(many["losses"], one["losses"], atol=2e-6, rtol=0)  # other masks or orders differ by 1e-2
    np.testing.assert_allclose(many["params"], one["params"], atol=1e-4, rtol=0)  # Adam's first steps are signs
    np.testing.assert_allclose(many["statistics"], one["statistics"], atol=2e-5, rtol=0)
    np.testing.assert_allclose(many["outputs"], one["outputs"], atol=2e-5, rtol=0)
    np.testing.assert_allclose(many["loss"], one["loss"], atol=2e-6, rtol=0)
    assert one["losses"][-1] < 0.7 * one["losses"][0]  # it learns: 30 steps are no standstill


@pytest.mark.parametrize(
    ("mesh", "found"),
    [
        pytest.param("data, in parts", "runs", marks=pytest.mark.slow),
        pytest.param("pmap, in parts", "nightly", marks=pytest.mark.night),
    ],
)
def test_micro_batches_on_a_mesh_are_those_of_one_device(request, mesh, found):
    found = request.getfixturevalue(found)
    one, many = found["one, in parts"], found[mesh]
    np.testing.assert_allclose(many["losses"], one["losses"], atol=2e-6, rtol=0)
    np.testing.assert_allclose(many["params"], one["params"], atol=1e-4, rtol=0)


@pytest.mark.slow
def test_the_same_mesh_gives_the_same_bits(runs):
    for name, value in runs["data"].items():
        np.testing.assert_array_equal(value, runs["data again"][name])


@pytest.mark.slow
def test_parameters_live_in_parts_and_stay_there(runs):
    total = int(runs["one"]["total"])
    assert all(runs[mesh]["stayed"] for mesh in MESHES if mesh != "pmap")  # which copies its state to all and back
    assert int(runs["data"]["bytes"]) == int(runs["one"]["bytes"]) == total
    # kernels of 3·3·8·16 and 64·4 … numbers: what is cut is an eighth (or less), what is small stays whole
    assert int(runs["fsdp and model"]["bytes"]) < 0.35 * total


@pytest.mark.night
def test_parameters_live_in_parts_on_each_axis(nightly):
    total = int(nightly["one"]["total"])
    assert all(nightly[mesh]["stayed"] for mesh in PARTIAL)
    assert int(nightly["fsdp"]["bytes"]) < 0.35 * total
    assert 0.45 * total < int(nightly["data and model"]["bytes"]) < 0.65 * total


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("batch", "a batch of 32 cannot be cut over 3 devices: make it a multiple of 3"),
        ("parts", "a batch of 32 cannot be cut over 8 devices and 8 micro-batches: make it a multiple of 64"),
        ("size", "--mesh data=16: needs 16 devices, there are 8"),
        ("rule", "path rule 'Attention/kernel' matches no parameter of the model"),
        ("no rules", "--mesh model=8: this experiment gives no path rules to cut its model by (Experiment.rules)"),
        ("cut", "Dense_0/kernel (64, 4): dimension 1 cannot be cut over model=8"),
        ("pmap", "--strategy pmap takes a mesh of data only, got data=4,model=2: drop it for jit"),
    ],
)
def test_what_does_not_fit_is_one_line(runs, name, says):
    assert says in runs["errors"][name]
    assert "\n" not in runs["errors"][name]


@pytest.mark.parametrize("text", ["", "data", "data=0", "data=4,data=2", "rows=4", "data=4;model=2", "model=-1"])
def test_a_mesh_that_is_no_mesh(text):
    with pytest.raises(ValueError, match="should be one of data=N, fsdp=N, model=N"):
        parse_mesh(text)


def test_one_device_needs_no_mesh(tiny):
    assert Plan.make(None, "jit", tiny.config()) == Plan()
    assert describe(Plan()) == {"mesh": {}, "strategy": "jit", "devices": 1}
    with pytest.raises(ValueError, match="needs 2 devices, there is 1"):
        Plan.make("data=2", "jit", tiny.config())


@pytest.mark.slow
@pytest.mark.programs(8, "two strategies")
def test_pmap_on_one_device_is_the_same_step(tiny):
    """The other strategy in this process: everything but the communication."""
    from jaxdl.runs.prepare import prepare

    exp, states = tiny.config(), []
    for plan in (Plan(), Plan.make("data=1", "pmap", exp)):
        program = prepare(Setup.of(tiny.config, {}), plan)
        source = program.place(exp.data.source(0, 3, 0))
        state, _ = program.chunk(program.init(), source, np.int32(3), np.int32(9))
        states.append(state)
    one, other = ([np.ravel(a) for a in (s.params["Dense_0"]["kernel"], s.params["Dense_1"]["bias"])] for s in states)
    np.testing.assert_allclose(np.concatenate(one), np.concatenate(other), atol=1e-6, rtol=0)
