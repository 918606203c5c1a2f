"""Plots: each draws what it was given, leaves pyplot alone, and copes with what runs really produce."""

import sys

import numpy as np
import pytest
from PIL import Image

from jaxdl.record import plots

NAN = float("nan")
RNG = np.random.default_rng(0)


def history(n=8, loss=1.0, **more):
    lines = []
    for step in range(1, n + 1):
        lines.append(
            {"kind": "train", "step": step, "loss": loss / step, "accuracy": 1 - 1 / step, "gradient_norm": 9.0}
        )
        if step % 2 == 0:
            lines.append(
                {"kind": "eval", "split": "validation", "step": step, "loss": 2 / step, "accuracy": 0.9, "auc": 1.0}
            )
    return [*lines, {"kind": "end", "step": n, "reason": "finished", "results": {}, **more}]


BINS = np.array([[0.3, 0.25, 4], [NAN, NAN, 0], [0.9, 0.95, 40]])

PLOTS = {
    "curves": lambda p: plots.learning_curves(history(), p),
    "curves of one line": lambda p: plots.learning_curves(history(1), p),
    "curves of nothing": lambda p: plots.learning_curves([], p),
    "curves with nan": lambda p: plots.learning_curves([*history(), {"kind": "train", "step": 9, "loss": NAN}], p),
    "chosen curves": lambda p: plots.learning_curves(history(), p, metrics=["auc", "absent"]),
    "overlay": lambda p: plots.overlay({"a": [history(), history(6, 2.0)], "b": [history(4)]}, "loss", p),
    "overlay of training": lambda p: plots.overlay({"a": [history()]}, "loss", p, split="train"),
    "overlay of nothing": lambda p: plots.overlay({"a": [[]]}, "loss", p),
    "confusion": lambda p: plots.draw_confusion(RNG.integers(0, 9, (3, 3)), ["a", "b", "c"], p),
    "confusion, empty class": lambda p: plots.draw_confusion([[0, 0], [1, 2]], (), p),
    "confusion of many": lambda p: plots.draw_confusion(np.eye(100), (), p),
    "bars": lambda p: plots.bars([0.9, NAN, 0.2], ["x", "y", "z"], p),
    "bars of many": lambda p: plots.bars(RNG.random(100), (), p),
    "predictions": lambda p: plots.predicted_against_true(RNG.random(9), RNG.random(9), p),
    "predictions in a column": lambda p: plots.predicted_against_true(RNG.random((9, 1)), np.r_[NAN, RNG.random(8)], p),
    "reliability": lambda p: plots.reliability_diagram(BINS, p),
    "grey images": lambda p: plots.image_grid(RNG.random((3, 8, 8)), p),
    "images in colour": lambda p: plots.image_grid(RNG.integers(0, 255, (9, 8, 8, 3), np.uint8), p, titles="abcdefghi"),
    "a black image": lambda p: plots.image_grid(np.zeros((1, 8, 8, 1)), p),
}


@pytest.mark.parametrize("draw", PLOTS.values(), ids=PLOTS.keys())
def test_plots(tmp_path, draw):
    had_pyplot = "matplotlib.pyplot" in sys.modules
    path = tmp_path / "plots" / "a.png"
    assert draw(path) == path
    image = np.asarray(Image.open(path).convert("L"))
    assert image.shape[0] > 100
    assert image.std() > 2  # something is drawn
    assert ("matplotlib.pyplot" in sys.modules) == had_pyplot


def texts(monkeypatch, draw, tmp_path):
    """All text of the figure that a plot saves."""
    kept = []
    monkeypatch.setattr(plots, "_save", lambda figure, path: kept.append(figure))
    draw(tmp_path / "a.png")
    return [t.get_text() for axes in kept[0].axes for t in [*axes.texts, axes.title, axes._left_title] if t.get_text()]


def test_lines_are_named_with_their_last_value(monkeypatch, tmp_path):
    found = texts(monkeypatch, PLOTS["curves"], tmp_path)
    assert found == ["train 0.125", "validation 0.25", "loss", "train 0.875", "validation 0.9", "accuracy"]


def test_the_overlay_shows_mean_and_number_of_runs(monkeypatch, tmp_path):
    runs = {"lr 1": [[{"kind": "eval", "split": "validation", "step": 5, "acc": value}] for value in (0.5, 0.7)]}
    found = texts(monkeypatch, lambda p: plots.overlay(runs, "acc", p), tmp_path)
    assert found == ["lr 1 (n=2): 0.6", "acc, validation"]


def test_the_lowest_bars_come_first(monkeypatch, tmp_path):
    assert texts(monkeypatch, PLOTS["bars"], tmp_path)[:3] == ["0.200", "0.900", "nan"]


def test_the_calibration_error_is_that_of_the_bins(monkeypatch, tmp_path):
    expected = (4 * 0.05 + 40 * 0.05) / 44
    assert texts(monkeypatch, PLOTS["reliability"], tmp_path) == [f"expected calibration error {expected:.3f}"]


@pytest.mark.parametrize("heights", [[], [0.5], [0.5, 0.5, 0.5], [0.99, 1.0, 0.98], [0.0, 0.01], [-3.0, 4.0, 0.2]])
def test_labels_keep_apart(heights):
    moved = plots._apart(heights, 0.1)
    assert all(0 <= height <= 1.0001 for height in moved)
    assert np.all(np.diff(sorted(moved)) > 0.0999)
    assert list(np.argsort(moved, kind="stable")) == list(np.argsort(heights, kind="stable"))


@pytest.mark.parametrize("shape", [(0, 8, 8), (2, 8, 8, 2), (8, 8)])
def test_what_is_no_image(tmp_path, shape):
    with pytest.raises(ValueError, match=r"images have shape \("):
        plots.image_grid(np.zeros(shape), tmp_path / "a.png")
