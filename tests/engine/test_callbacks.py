"""Callbacks: when they are called, with what, and what happens where one wants to stop."""

import json
import re
import sys
import textwrap
from dataclasses import replace
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from jaxdl import load, sweep, train, trial
from jaxdl.engine import callbacks
from jaxdl.engine.callbacks import Callbacks
from jaxdl.engine.distributed import agree
from jaxdl.engine.loop import Limits
from jaxdl.record.checkpoint import Checkpoints
from jaxdl.types import UserError
from tests.tiny import config as tiny_config

pytestmark = pytest.mark.programs(40, "whole trainings")

CALLED = []
"""What the callbacks of this file have seen: a compiled run builds its experiment several times, so it lies outside of it."""


def watch(event):
    CALLED.append((event.kind, event.step))


def at_twelve(event):
    if event.kind == "eval" and event.step == 12:
        event.stop("twelve is enough")


def config(*, lr: float = 0.01, seed: int = 0):
    return replace(tiny_config(lr=lr, seed=seed), callbacks=(watch, at_twelve))


@pytest.fixture
def stopped(tmp_path, unreported):
    CALLED.clear()
    return train(config, run=tmp_path, quiet=True, limits=Limits(log_every=5))


def test_one_may_stop_the_run(stopped):
    """As early stopping does: a checkpoint, all evaluations, a reason; and a resume trains on, which no callback is part of."""
    assert (stopped.outcome.reason, int(stopped.state.step)) == ("stopped early", 12)
    assert Checkpoints(stopped.folder / "checkpoints").steps()[-1] == 12
    lines = stopped.history
    assert [(line["kind"], line["step"]) for line in lines] == CALLED
    assert [line["note"] for line in lines if line["kind"] == "note"] == ["stopped by a callback: twelve is enough"]
    assert (lines[-1]["kind"], set(lines[-1]["results"])) == ("end", {"validation", "test"})
    plain = lambda *, lr=0.01, seed=0: tiny_config(lr=lr, seed=seed)
    resumed = train(plain, resume=stopped.folder, quiet=True)
    assert int(resumed.state.step) == 24
    whole = trial(plain)
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(whole.weights), jax.device_get(resumed.weights))


def test_weights_and_metrics_are_copies_of_now(tmp_path, unreported):
    seen = []

    def keep(event):
        seen.append((event, event.weights if event.kind in ("eval", "end") else None, event.metrics))

    run = train(tiny_config, run=tmp_path, quiet=True, callback=keep)
    assert {event.folder for event, *_ in seen} == {run.folder}
    assert seen[0][0].knobs["lr"] == 0.01
    evaluations = [(event, weights, metrics) for event, weights, metrics in seen if event.kind == "eval"]
    assert [event.split for event, *_ in evaluations] == ["validation"] * 4
    accuracy = [metrics["accuracy"] for *_, metrics in evaluations]
    assert accuracy == [line["accuracy"] for line in run.history if line["kind"] == "eval"]
    assert all(isinstance(value, float) for value in accuracy)
    kernels = [weights[0]["Dense_0"]["kernel"] for _, weights, _ in evaluations]
    assert all(isinstance(kernel, np.ndarray) and kernel.flags.owndata for kernel in kernels)
    assert not np.array_equal(kernels[0], kernels[3])
    last = jax.device_get(load(run.folder, "last").weights)
    jax.tree.map(np.testing.assert_array_equal, evaluations[-1][1], last)
    end, weights, metrics = seen[-1]
    assert (end.kind, end["reason"]) == ("end", "finished")
    jax.tree.map(np.testing.assert_array_equal, weights, jax.device_get(run.weights))
    assert metrics["test_accuracy"] == pytest.approx(run.evaluate("test").metrics["accuracy"], rel=1e-6)
    with pytest.raises(UserError, match="while the callback runs"):
        _ = end.weights


def test_they_are_called_in_memory_too():
    CALLED.clear()
    assert int(trial(config).state.step) == 12
    assert CALLED[-1] == ("end", 12)


@pytest.mark.slow
def test_in_a_sweep_they_only_watch(tmp_path, unreported, capsys):
    seen = []

    def look(event):
        if event.kind == "eval":
            seen.append((event["members"], event.metrics["accuracy"], event.weights[0]["Dense_0"]["kernel"]))

    def two(*, seed: int = 0):
        return replace(tiny_config(seed=seed), callbacks=(look, at_twelve))

    done = sweep(two, {"seed": (0, 1)}, run=tmp_path, how="together")
    assert [row["step"] for row in done.rows] == [24, 24]
    assert len(seen) == 4
    for members, accuracy, kernel in seen:
        assert (members, accuracy.shape, kernel.shape) == ([0, 1], (2,), (2, 6, 8))
    assert capsys.readouterr().err.count("a callback wants to stop (twelve is enough)") == 1


def test_a_callback_that_is_none_is_refused():
    with pytest.raises(UserError, match="callbacks"):
        replace(tiny_config(), callbacks=("wandb",))


def test_what_one_raises_is_not_hidden():
    told = Callbacks([lambda event: 1 / 0])
    with pytest.raises(ZeroDivisionError):
        told({"kind": "train", "step": 1})


def test_only_the_first_process_calls_and_all_agree(monkeypatch):
    called, told = [], Callbacks([called_with := lambda event: called.append(event.kind)])
    assert told.functions == (called_with,)
    monkeypatch.setattr(callbacks, "is_first_process", lambda: False)
    told({"kind": "train", "step": 1})
    assert called == []
    assert agree(7, None, True) == (7, None, True)


# -- the examples of the documentation ---------------------------------------------------------------------------------

LINES = [
    {"kind": "train", "step": 5, "loss": np.float32(0.5), "skipped": 0},
    {"kind": "eval", "step": 6, "split": "validation", "loss": 0.25, "accuracy": 0.75, "names": ["a", "b"]},
    {"kind": "end", "step": 6, "reason": "finished", "results": {"test": {"accuracy": 0.5}}},
]


def example(name, **modules):
    """The function of the docstring, and a run that it has seen."""
    text = textwrap.dedent(re.search(rf"(    def {name}\(.*?)\n(?=\n\S|\Z)", callbacks.__doc__ + "\n", re.DOTALL)[1])
    assert len(text.strip().splitlines()) <= 10
    space = dict(modules)
    exec(text, space)
    told = Callbacks([space[name]], "runs/mine", {"lr": 0.01})
    for line in LINES:
        told(line)


def test_weights_and_biases():
    calls = []

    def init(**given):
        calls.append(("init", given))
        fake.run = object()

    fake = SimpleNamespace(run=None, init=init, finish=lambda: calls.append("finish"))
    fake.log = lambda values, step: calls.append((values, step))
    example("to_wandb", wandb=fake)
    assert calls == [
        ("init", {"project": "digits", "config": {"lr": 0.01}}),
        ({"train/loss": 0.5, "train/skipped": 0.0}, 5),
        ({"validation/loss": 0.25, "validation/accuracy": 0.75}, 6),
        ({"train/test_accuracy": 0.5}, 6),
        "finish",
    ]


def test_mlflow():
    calls = []
    fake = SimpleNamespace(active_run=lambda: calls or None, start_run=lambda: calls.append("start"))
    fake.log_params, fake.end_run = calls.append, lambda: calls.append("end")
    fake.log_metrics = lambda values, step: calls.append((values, step))
    example("to_mlflow", mlflow=fake)
    assert calls[:3] == ["start", {"lr": 0.01}, ({"train/loss": 0.5, "train/skipped": 0.0}, 5)]
    assert calls[-1] == "end"


def test_a_message(monkeypatch):
    import urllib.request

    sent = []
    fake = SimpleNamespace(request=SimpleNamespace(Request=urllib.request.Request))
    fake.request.urlopen = lambda request, timeout: sent.append((request.full_url, json.loads(request.data)))
    environment = SimpleNamespace(environ={"WEBHOOK": "https://chat.example.org/x"})
    example("to_chat", urllib=fake, json=json, os=environment)
    ((url, message),) = sent
    assert url == "https://chat.example.org/x"
    assert "finished at step 6, {'test_accuracy': 0.5}" in message["text"]
    assert "urllib" in sys.modules
