"""The pictures of a sweep: each is drawn for what a sweep can come to, warnings being errors."""

import numpy as np
import pytest

from jaxdl.record import series, sweep_plots
from jaxdl.record.parallel_coordinates import axis_positions, fanned, parallel_coordinates
from jaxdl.record.sweep_report import settings


def run(values):
    return [{"kind": "eval", "split": "validation", "step": 10 * (i + 1), "loss": v} for i, v in enumerate(values)]


def test_a_run_that_stopped_goes_on_as_its_last_value():
    steps, mean, spread = series.mean_curve([run([1.0, 0.5, 0.3]), run([0.8, 0.7])], "loss")
    assert steps.tolist() == [10, 20, 30]
    np.testing.assert_allclose(mean, [0.9, 0.6, 0.5])
    np.testing.assert_allclose(spread, np.std([[1.0, 0.5, 0.3], [0.8, 0.7, 0.7]], axis=0, ddof=1))


@pytest.mark.parametrize("count", [1, 8])
def test_curves(count, tmp_path):
    runs = {f"lr {i}": [run([1.0 + i, 0.5 + i]), run([1.1 + i])] for i in range(count)} | {"diverged": [run([np.nan])]}
    assert sweep_plots.curves(runs, "loss", tmp_path / "a.png").stat().st_size > 5000


TWO = {
    "a grid": ([(a, b) for a in (1e-3, 1e-2) for b in (0.0, 0.5)], [0.5, 0.6, 0.7, 0.8]),
    "choices": ([("gelu", True), ("relu", False), ("relu", True)], [0.5, 0.5, 0.5]),
    "drawn": ([(10**-i, i / 10) for i in range(1, 9)], [i / 10 for i in range(8)]),
    "one": ([(8, "relu")], [0.5]),
}


@pytest.mark.parametrize("mode", ["max", "min"])
@pytest.mark.parametrize("what", TWO)
def test_two_knobs(what, mode, tmp_path):
    values, results = TWO[what]
    assert sweep_plots.two_knobs(("a", "b"), values, results, "loss", mode, tmp_path / "a.png").stat().st_size > 3000


def test_one_knob(tmp_path):
    path = sweep_plots.one_knob("lr", [1e-3, 1e-3, 1e-2], [0.5, 0.6, 0.7], "loss", tmp_path / "a.png")
    assert path.stat().st_size > 3000


@pytest.mark.parametrize("results", [[0.1, 0.2, 0.3], [0.5, 0.5, 0.5]], ids=["different", "equal"])
def test_many_knobs(results, tmp_path):
    rows = [(1e-3, "relu", True), (1e-2, "gelu", True), (1e-1, "gelu", True)]
    path = parallel_coordinates(["lr", "act", "norm"], rows, results, "loss", "min", tmp_path / "a.png")
    assert path.stat().st_size > 5000


def test_values_lie_on_their_axis_by_size_and_choices_evenly():
    heights, ticks = axis_positions([1e-3, 1e-1, 1e-2])
    np.testing.assert_allclose(heights, [0.0, 1.0, 0.5])
    assert [label for _, label in ticks] == ["0.001", "0.01", "0.1"]
    heights, ticks = axis_positions(["b", "a", "c"])
    assert heights.tolist() == [0.5, 0.0, 1.0]
    assert [label for _, label in ticks] == ["a", "b", "c"]
    heights, ticks = fanned(np.array([0.0, 0.0, 1.0]), [(0.0, "a"), (1.0, "b")], np.array([0.9, 0.1, 0.5]))
    np.testing.assert_allclose(heights, [0.1, 0.0, 0.95])


def test_settings_come_best_first_and_those_that_diverged_last():
    rows = [
        {"lr": 0.1, "seed": 0, "best": 0.9, "ended": "finished"},
        {"lr": 0.1, "seed": 1, "best": None, "ended": "diverged"},
        {"lr": 0.2, "seed": 0, "best": 0.5, "ended": "finished"},
        {"lr": 0.3, "seed": 0, "best": 0.6, "ended": "finished"},
    ]
    assert [chosen["lr"] for chosen, _ in settings(rows, ["lr"], "max")] == [0.3, 0.2, 0.1]
    assert [chosen["lr"] for chosen, _ in settings(rows, ["lr"], "min")] == [0.2, 0.3, 0.1]
