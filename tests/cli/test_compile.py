"""`compile`: nothing trains, the cache is filled, and the numbers are those of the program."""

import os
import re
import subprocess
import sys

import jax
import pytest

from jaxdl.cli import compile as command
from jaxdl.runs.prepare import prepare
from jaxdl.setup import Setup


@pytest.fixture(scope="module")
def rows(tiny):
    return {row.name: row for row in command.compiled(prepare(Setup.of(tiny.config, {"width": 32})))}


def test_every_program_of_a_run_is_compiled(rows):
    assert list(rows) == ["init", "step", "norm", "weights", "validation", "test", "stop"]
    assert all(row.seconds > 0 and not row.collectives for row in rows.values())


def test_flops_and_memory_are_those_of_the_step(rows, tiny):
    # products of the MLP 6-32-3 on 16 rows: forward 1x, backward 2x but for the gradient of the input
    products = 2 * 16 * (6 * 32 * 2 + 32 * 3 * 3)
    assert products < rows["step"].flops < 4 * products
    state = sum(a.size * 4 for a in jax.tree.leaves(prepare(Setup.of(tiny.config, {"width": 32})).shapes.params))
    assert rows["step"].memory > 4 * state  # parameters, both moments, the best weights


@pytest.mark.slow
def test_the_command_prints_communication_and_fills_the_cache(tiny_file, tmp_path):
    env = {**os.environ, "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "cache"), "XDG_CACHE_HOME": str(tmp_path)}
    env["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    words = [sys.executable, "-m", "jaxdl"]
    more = [str(tiny_file), "--devices", "2", "--mesh", "data=2"]
    done = subprocess.run([*words, "compile", *more], capture_output=True, text=True, env=env, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "2 x cpu, mesh {'data': 2}, batch 16" in done.stdout
    (step,) = (line for line in done.stdout.splitlines() if line.startswith("step"))
    assert re.search(r"\d+ all-reduce", step), step  # gradients, and the loss
    assert not list(tmp_path.glob("runs"))
    made = {path.name for path in (tmp_path / "cache").glob("*chunk*-cache")}
    assert made
    subprocess.run(
        [*words, "train", *more, "--run", str(tmp_path / "runs"), "--quiet"], env=env, check=True, timeout=300
    )
    assert {path.name for path in (tmp_path / "cache").glob("*chunk*-cache")} <= made  # found, not compiled again
