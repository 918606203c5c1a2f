"""The progress of a run: what fits on a terminal, lines where there is none, results on standard output."""

import io

import pytest
from rich.console import Console

from jaxdl.record import progress as module
from jaxdl.record.notices import GROWING, Notices
from jaxdl.record.progress import LINE_SECONDS, Progress


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_a_resumed_run_begins_at_its_step():
    with Progress(100, quiet=True) as progress:
        assert progress.bar.tasks[0].completed == 0
        progress.begin(40)
        assert progress.bar.tasks[0].completed == 40
        assert progress.bar.tasks[0].remaining == 60


@pytest.mark.parametrize("width", [80, 60, 52])
def test_bar_step_time_left_and_loss_fit_the_terminal(width, monkeypatch):
    """After a validation, in a terminal of 80 columns: all on one line, and what is less important is left out first."""
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=width, color_system=None, _environ={})
    monkeypatch.setattr(module, "Console", lambda **_: terminal)
    clock = Clock()
    with Progress(20000, metric="accuracy", clock=clock) as progress:
        progress.update(1000, {"loss": 0.61234567, "accuracy": 0.8133})
        clock.now = 10.0
        progress.evaluated("validation", 2000, {"accuracy": 0.9296})
        progress.update(2000, {"loss": 0.60553, "accuracy": 0.8133})
        progress.bar.refresh()
        shown = screen.getvalue().split("\r")[-1].replace("\x1b[2K", "")
    assert len(shown) <= width
    assert shown.strip().startswith(("━", "╸"))  # the bar
    for part in ("2000/20000", "3:00 left", "loss 0.6055"):  # 18000 steps at 100 a second
        assert part in shown
    assert ("validation accuracy 0.9296" in shown) == (width == 80)


def test_without_a_terminal_there_is_a_line_at_each_evaluation_and_each_minute(capsys):
    clock = Clock()
    with Progress(1000, metric="accuracy", clock=clock) as progress:
        for step, now in ((100, 0.0), (110, 10.0), (140, 20.0), (160, LINE_SECONDS), (161, LINE_SECONDS + 1)):
            clock.now = now
            progress.update(step, {"loss": 0.5, "accuracy": 0.75})
        progress.evaluated("validation", 170, {"accuracy": 0.9})
        progress.say("note: said")
        progress.result("test accuracy 0.9")
    out, err = capsys.readouterr()
    assert out == "test accuracy 0.9\n"
    minute, evaluated, said = err.splitlines()
    assert minute.startswith("step 160/1000  ")
    assert "loss 0.5" in minute
    assert "steps/s" in minute
    assert "left" in minute
    assert evaluated.startswith("step 170/1000  ")
    assert "validation accuracy 0.9" in evaluated
    assert said == "note: said"


def test_quiet_shows_results_and_notes_only(capsys):
    with Progress(10, quiet=True) as progress:
        progress.evaluated("validation", 5, {"loss": 0.5})
        progress.say("note: said")
        progress.result("test loss 0.5")
    assert capsys.readouterr() == ("test loss 0.5\n", "note: said\n")


def training(losses):
    notices = Notices()
    return [notices({"kind": "train", "step": i, "loss": loss}) for i, loss in enumerate(losses)]


def test_a_loss_that_only_grows_is_noticed_once():
    notes = training([2.0**i for i in range(GROWING + 5)])
    assert [i for i, note in enumerate(notes) if note] == [GROWING - 1]
    assert "from 1 to 512" in notes[GROWING - 1]
    assert not any(training([1.0, 2.0, 1.5, *range(3, 20)]))


def test_a_validation_loss_that_does_not_change_at_all_is_noticed():
    def evaluations(losses):
        notices = Notices()
        return [
            notices({"kind": "eval", "split": "validation", "step": i, "loss": loss}) for i, loss in enumerate(losses)
        ]

    assert [bool(note) for note in evaluations([0.6931472] * 5)] == [False, False, True, False, False]
    assert not any(evaluations([0.6931472, 0.6931472, 0.6931471]))
    assert not any(evaluations([0.0] * 5))  # nothing is left to learn
    assert not any(evaluations([float("nan")] * 5))
