"""The learning-rate finder: it ramps the real step at the schedule's peak, finds a usable rate, and refuses in one line."""

import signal
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxdl import Experiment
from jaxdl.__main__ import main
from jaxdl.cli.lr_find import at_steps, peak_steps, ramp_of, suggest
from jaxdl.experiment import ExperimentError, load_config
from jaxdl.optim import current_learning_rate, sgd
from jaxdl.runs.prepare import prepare
from jaxdl.runs.trial import trial
from jaxdl.setup import Setup
from tests.programs import one_program

pytestmark = pytest.mark.programs(
    25, "whole runs are the subject: alone, one compiles about 20 programs; together, tests share them"
)

TINY = Path(__file__).parents[1] / "tiny.py"


@pytest.fixture(scope="module")
def config():
    return load_config(TINY)


def test_the_schedule_is_held_at_its_peak(config):
    program = prepare(Setup.of(config, {"lr": 0.125}))
    exp, state = program.exp, program.init()
    peaks = peak_steps(exp, state)
    tx, opt_state = exp.optimizers[""], state.opt_state[""]

    def rate(opt_state, _=None):
        new = tx.update(state.params, opt_state, state.params)[1]
        return new, current_learning_rate(new)

    def rates(opt_state):  # the schedule as the optimizer really runs it, and held at its peak
        return jax.lax.scan(rate, opt_state, length=exp.steps)[1], rate(at_steps(opt_state, peaks))[1]

    really, held = one_program(rates, opt_state)
    assert peaks == [int(np.argmax(really))]
    assert really[peaks[0]] == pytest.approx(0.125)
    assert held == pytest.approx(0.125)


@pytest.mark.slow
def test_a_ramp_finds_a_rate_that_trains(config):
    ramp = ramp_of(Setup.of(config, {}), steps=40, highest=100.0)
    assert ramp.rate[0] == pytest.approx(1e-6)
    np.testing.assert_allclose(np.diff(np.log(ramp.rate)), np.log(1e8) / 39, rtol=1e-6)
    assert 1e-4 < ramp.suggestion < ramp.lowest
    found = trial(config, lr=ramp.suggestion).evaluate("test").metrics["loss"]
    assert found < trial(config, lr=ramp.suggestion / 1000).evaluate("test").metrics["loss"]


def test_the_suggestion_ignores_noise_at_the_start():
    rate = np.logspace(-6, 1, 120)
    clean = 1 / (1 + (rate / 1e-3)) + np.maximum(0, np.log10(rate / 0.3)) ** 2
    noise = np.where(rate < 1e-4, 0.05 * np.random.default_rng(0).normal(size=120), 0)
    steepest, lowest = suggest(rate, clean + noise)
    assert 3e-4 < steepest < 3e-3
    assert 0.1 < lowest < 1


def stubborn(*, lr: float = 0.1, widths: float = 1.5) -> Experiment:
    """`widths` decides a shape."""
    return replace(load_config(TINY)(width=int(8 * widths), lr=0.1), optimizer=sgd(lr))


@pytest.mark.parametrize(
    ("build", "knob", "why"),
    [
        (load_config(TINY), "width", "--knob width: its value 8"),
        (load_config(TINY), "speed", "--knob speed"),
        (stubborn, "widths", "--knob widths: .config. uses"),
    ],
    ids=["no float", "unknown", "static"],
)
def test_what_cannot_be_ramped_is_said_in_one_line(build, knob, why):
    with pytest.raises(ExperimentError, match=why) as caught:
        ramp_of(Setup.of(build, {}), knob=knob)
    assert "float knobs that can: lr" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_the_command_writes_a_plot_and_prints_a_flag(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["lr-find", str(TINY), "--ramp-steps", "12", "--plot", "here/ramp.png"]) == 0
    assert "try --lr " in capsys.readouterr().out
    assert (tmp_path / "here" / "ramp.png").read_bytes().startswith(b"\x89PNG")
    assert main(["lr-find", str(TINY), "--ramp-steps", "3"]) == 2
    assert "--ramp-steps 3" in capsys.readouterr().err
    assert main(["lr-find", str(TINY), "--knob", "widht"]) == 2
    assert main(["lr-find"]) == 2


@pytest.mark.slow
def test_a_trial_is_the_same_run_as_train(config, tmp_path, unreported):
    from jaxdl import train

    recorded = train(config, seed=3, run=tmp_path, quiet=True)
    jax.tree.map(np.testing.assert_array_equal, *jax.device_get((trial(config, seed=3).weights, recorded.weights)))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_trial_that_is_stopped_gives_no_result(config, number, monkeypatch):
    """Half a training would stand in a table, or judge pictures, as if it were whole."""
    monkeypatch.setattr("jaxdl.runs.trial.Silent.progress", lambda *_: signal.raise_signal(number))
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt, match=number.name):
        trial(config, seed=3)
    assert signal.getsignal(number) is before
