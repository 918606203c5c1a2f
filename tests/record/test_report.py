"""The report of a run: the numbers of the log, the pictures of the task, the commands that bring it back."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from jaxdl.models.mlp import MLP
from jaxdl.record.log import MetricsLog, whose_weights
from jaxdl.record.report import title, write_report
from jaxdl.record.run import create_run
from jaxdl.reports import ImageGrid, Misclassified, Notes, Picture, Rows
from jaxdl.tasks.classification import Classification
from jaxdl.tasks.regression import Regression
from jaxdl.types import Data

RNG = np.random.default_rng(0)
SOURCE = '"""Digits by a small network.\n\nSource: none.\n"""\n'


class Drawn(Data):
    batch = 4
    name = "Digits (8 x 8)"
    split = "Every fifth example is a test example."
    classes = ("zero", "one", "two")

    def __init__(self, **splits):
        self.splits = splits


@pytest.fixture
def run(tmp_path):
    source = tmp_path / "digits.py"
    source.write_text(SOURCE, encoding="utf-8")
    config = {"knobs": {"lr": 0.003, "sizes": [8, 8], "norm": "a|b"}, "recorded": {"ema": None, "precision": "float32"}}
    run = create_run(tmp_path / "runs", "digits", seed=1, config=config, source=source)
    with MetricsLog(run.folder, tensorboard=False) as log:
        for step in (10, 20, 30):
            log.line({"kind": "train", "step": step, "loss": 1 / step, "skipped": 2})
            accuracy = np.float32({10: 0.5, 20: 0.75, 30: np.nan}[step])
            log.line({"kind": "eval", "step": step, "split": "validation", "loss": 2.0 / step, "accuracy": accuracy})
    return run


def end(run, **more):
    with MetricsLog(run.folder, tensorboard=False) as log:
        log.line(
            {"kind": "end", "step": 30, "reason": "finished", "train_seconds": 75.0, "compile_seconds": 1.25, **more}
        )


def classified(n=12, *, right=False):
    targets = np.arange(n) % 3
    probability = RNG.dirichlet(np.ones(3), n)
    if right:
        probability = np.eye(3)[targets]
    outputs = {"label": probability.argmax(-1), "probability": probability}
    return evaluation(Classification(MLP(classes=3)).report(outputs, targets), loss=0.5)


def evaluation(report, **metrics):
    """Of the test split: numbers and the rest of a report apart, as `engine.evaluate` has them."""
    numbers = {name: value for name, value in report.items() if isinstance(value, (int, float))}
    rest = {name: value for name, value in report.items() if name not in numbers}
    return SimpleNamespace(split="test", metrics={**metrics, **numbers}, report=rest, outputs=None, targets=None)


def write(run, evaluations, data, select=("accuracy", "max")):
    path = write_report(run, SimpleNamespace(data=data, select=select), evaluations)
    text = path.read_text(encoding="utf-8")
    pictures = re.findall(r"!\[.*\]\(plots/(.*)\.png\)", text)
    assert all((run.plots / f"{name}.png").stat().st_size > 1000 for name in pictures)
    return text, pictures


def test_a_classifier_of_images(run):
    end(run)
    images = {split: {"x": np.zeros((12, 8, 8, 1), np.uint8)} for split in ("train", "test")}
    text, pictures = write(run, [classified()], Drawn(**images))
    assert pictures == ["learning_curves", "confusion_matrix", "per_class_accuracy", "reliability", "misclassified"]
    assert text.startswith("# Digits by a small network\n")
    assert "### Learning curves\n" in text
    assert "### Confusion matrix (test split)\n\n![Confusion matrix (test split)]" in text
    for line in (
        "**Finished** at step 30: trained 1 min 15 s, compiled 1.2 s; 2 steps ",
        "|  | test | validation, last (step 30) | validation, best accuracy (step 20) |",
        " | nan | 0.75 |",
        "| loss | 0.5 | 0.06667 | 0.1 |",
        "**Digits (8 x 8)**: Every fifth example is a test example; 12 train, 12 test; batches of 4.",
        "| `lr` | 0.003 |",
        "| `sizes` | [8, 8] |",
        "| `norm` | a\\|b |",
        "| `precision` | float32 |",
        f"python -m jaxdl train --resume {run.folder}",
        run.config["source_hash"],
        run.env["command"],
    ):
        assert line in text, line
    assert "`ema`" not in text


def test_a_perfect_classifier_of_rows_has_no_misclassified_images(run):
    end(run)
    rows = {split: {"x": np.zeros((12, 5))} for split in ("train", "test")}
    for found in (classified(), classified(right=True)):
        _, pictures = write(run, [found], Drawn(**rows))
        assert pictures == ["learning_curves", "confusion_matrix", "per_class_accuracy", "reliability"]


def test_a_regression(run):
    end(run)
    targets, values = RNG.random(9), RNG.random(9)
    found = evaluation(Regression(MLP(classes=1)).report({"value": values}, targets))
    text, pictures = write(run, [found], Drawn(train={"x": np.zeros((9, 2))}), select=("mse", "min"))
    assert pictures == ["learning_curves", "predicted_against_true"]
    assert f"| mse | {found.metrics['mse']:.4g} | – |" in text


@pytest.mark.parametrize(
    ("weights", "accuracies", "said"),
    [
        (20, (0.5, 0.75, 0.7), "of step 20, which has the best validation accuracy"),
        (30, (0.5, 0.75, 0.7), "of the last step, 30; validation accuracy was best at step 20 (0.7500)"),
        (30, (0.5, 0.75, 0.8), ""),
        (30, (0.5, 0.75, 0.75), ""),
        (30, (np.nan, np.nan, np.nan), ""),
    ],
)
def test_it_is_said_once_which_weights_the_result_is_of(weights, accuracies, said):
    history = [
        {"kind": "eval", "split": "validation", "step": 10 * (i + 1), "accuracy": a} for i, a in enumerate(accuracies)
    ]
    history.append({"kind": "end", "step": 30, "weights": weights})
    found = whose_weights(history, "accuracy", "max")
    assert said in found
    assert bool(said) == bool(found)


def test_images_that_a_task_reports(run):
    end(run)
    report = {"samples": ImageGrid(RNG.random((5, 8, 8, 1)), title="What it paints"), "array": RNG.random((5, 2))}
    text, pictures = write(run, [evaluation(report, loss=1.0)], Drawn(train={"x": np.zeros((9, 2))}))
    assert pictures == ["learning_curves", "samples"]  # what is no picture is not drawn
    assert "![What it paints (test split)](plots/samples.png)" in text


def test_a_picture_of_ones_own_draws_itself_and_others_fit_no_split(run):
    class Cross(Picture):
        def draw(self, path):
            Image.fromarray(np.eye(200, dtype=np.uint8) * 255).save(path, compress_level=0)
            return path

    wrong = Misclassified(np.array([0]), np.array([1]), np.array([2]))  # of rows: there is no image to show
    report = {"big_cross": Cross(), "misclassified": wrong}
    text, pictures = write(
        run, [evaluation(report)], Drawn(train={"x": np.zeros((9, 2))}, test={"x": np.zeros((9, 2))})
    )
    assert pictures == ["learning_curves", "big_cross"]
    assert "### Big cross (test split)" in text


def test_notes_and_tables_are_written_out(run):
    rows = Rows(("class", "count"), [("a|b", 3)], title="Counts")
    report = {"notes": Notes(["collapsed: a", "b"]), "rows": rows}
    text, pictures = write(run, [evaluation(report)], Drawn(train={"x": np.zeros((9, 2))}))
    assert "\n- collapsed: a\n- b\n" in text
    assert "### Counts\n\n| class | count |\n|---|---|\n| a\\|b | 3 |\n" in text
    assert pictures == ["learning_curves"]


def test_sizes_are_not_said_twice_and_the_best_may_be_the_last(run):
    with MetricsLog(run.folder, tensorboard=False) as log:
        log.line({"kind": "eval", "step": 40, "split": "validation", "loss": 0.1, "accuracy": 1.0})
    data = Drawn(train={"x": np.zeros((9, 2))})
    data.split = "9 train: all."
    text, _ = write(run, [], data)
    assert "**Digits (8 x 8)**: 9 train: all; batches of 4." in text
    assert "|  | validation, last and best accuracy (step 40) |" in text


def test_a_paused_run(run):
    data = Drawn(train={"x": np.zeros((9, 2))})
    assert "Not finished: the log reaches step 30." in write(run, [], data)[0]
    end(run, reason="paused")
    text, pictures = write(run, [], data)
    assert "**Paused** at step 30" in text
    assert pictures == ["learning_curves"]


def test_a_run_that_was_stopped_before_its_first_line(tmp_path):
    run = create_run(tmp_path, "notebook", seed=0, config={"docstring": "From a notebook.\nMore."}, source=None)
    MetricsLog(run.folder, tensorboard=False).close()
    text, _ = write(run, [], Drawn(train={"x": np.zeros((9, 2))}))
    assert text.startswith("# From a notebook\n\nNot finished: the log reaches step 0.")
    assert "Nothing was evaluated yet." in text


@pytest.mark.parametrize(
    ("source", "expected"), [('"""A.\nB."""', "A"), ("'''\n\n  Late.\n'''", "Late"), ("x = (", "e"), ("", "e")]
)
def test_titles(tmp_path, source, expected):
    path = tmp_path / "e.py"
    path.write_text(source, encoding="utf-8")
    assert title(create_run(tmp_path, "e", seed=0, config={}, source=path)) == expected
