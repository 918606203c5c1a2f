"""`--profile` leaves a trace to open; `--debug-nans` names the operation that made the first NaN."""

import subprocess
import sys
from dataclasses import replace

import jax
import jax.numpy as jnp
import pytest

from jaxdl import train
from jaxdl.engine.diagnosis import CHUNKS, Trace
from jaxdl.engine.loop import Diverged, Limits
from jaxdl.tasks.classification import Classification


class Poisoned(Classification):
    """The square root of a negative number at step 5."""

    def objective(self, params, model_state, batch, key, step, *, train):
        loss, rest = super().objective(params, model_state, batch, key, step, train=train)
        return loss + 0 * jnp.sqrt(jnp.where(step == 5, -1.0, 1.0)), rest


@pytest.mark.slow
@pytest.mark.programs(400, "the steps run operation by operation")
def test_a_nan_is_traced_to_its_operation(tiny, tmp_path):
    exp = tiny.config(steps=12)
    exp = replace(exp, task=Poisoned(model=exp.task.model))
    with jax.debug_nans(True), pytest.raises(Diverged) as caught:
        train(lambda: exp, run=tmp_path, quiet=True)
    said = str(caught.value)
    assert "step 5: " in said
    assert "nan" in said.lower()
    assert "sqrt" in said
    assert "test_diagnosis.py:" in said
    assert "\n" not in said


def test_a_trace_covers_some_chunks_and_is_closed(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(jax.profiler, "start_trace", lambda folder, **_: calls.append(("start", folder)))
    monkeypatch.setattr(jax.profiler, "stop_trace", lambda: calls.append(("stop",)))
    with Trace(tmp_path) as trace:
        for _ in range(20):
            trace.chunk()
    assert calls == [("start", str(tmp_path)), ("stop",)]
    calls.clear()
    trace = Trace(tmp_path).__enter__()
    for _ in range(CHUNKS[0]):
        trace.chunk()
    trace.__exit__(KeyError, KeyError(), None)
    assert calls == [("start", str(tmp_path)), ("stop",)]  # a run that fails leaves a trace, too
    calls.clear()
    with Trace(None) as trace:
        for _ in range(20):
            trace.chunk()
    assert calls == []


@pytest.mark.slow
def test_a_profile_can_be_opened(tiny_file, tmp_path):
    words = [
        sys.executable,
        "-m",
        "jaxdl",
        "train",
        str(tiny_file),
        "--steps",
        "200",
        "--run",
        str(tmp_path),
        "--quiet",
    ]
    subprocess.run([*words, "--profile"], check=True, timeout=300)
    (trace,) = tmp_path.glob("*/*/profile/plugins/profile/*/*.xplane.pb")  # TensorBoard
    assert trace.stat().st_size > 10_000
    assert list(tmp_path.glob("*/*/profile/plugins/profile/*/*.trace.json.gz"))  # ui.perfetto.dev


def test_the_limits_of_a_run_take_them():
    assert not Limits().profile
    assert Limits().watchdog is None
