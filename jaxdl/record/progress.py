"""The progress of a run: a bar on a terminal, lines elsewhere. Results go to standard output, the rest to standard error."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar
from rich.table import Column

from jaxdl.record.processes import is_first_process

BAR_WIDTH = 16
LINE_SECONDS = 60.0
"""Where there is no bar, a line at every evaluation and at least this often."""


class Progress:
    """`with Progress(total, metric="accuracy") as progress: progress.update(step, {"loss": 0.1})`.

    Args:
        total: steps of the run.
        metric: the metric that selects, shown beside the loss.
        quiet: show neither bar nor lines; notes and results still are.
        clock: seconds, for the speed and the time left.
    """

    def __init__(
        self, total: int, *, metric: str = "", quiet: bool = False, clock: Callable[[], float] = time.perf_counter
    ):
        self.console = Console(stderr=True)
        self.first = is_first_process()
        notebook = self.console.is_jupyter and find_spec("ipywidgets")  # without them rich warns at every line
        self.lines = self.first and not quiet and not (self.console.is_terminal or notebook)
        self.total, self.metric, self.clock = total, metric, clock
        self.validated: list[str] = []
        self.results: list[str] = []
        self.shown: list[str] = []
        self.last: tuple[float, int] | None = None
        self.told = clock()
        self.rate: float | None = None
        self.bar = Bar(
            BarColumn(bar_width=BAR_WIDTH),
            TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis")),
            console=self.console,
            disable=not self.first or quiet or self.lines,
            refresh_per_second=4,
        )
        self.task = self.bar.add_task("compiling", total=total)

    def __enter__(self) -> "Progress":
        self.bar.__enter__()
        return self

    def __exit__(self, *exc: Any) -> None:
        self.bar.__exit__(*exc)
        for line in self.results:
            print(line, flush=True)

    def begin(self, step: int) -> None:
        """A resumed run starts at this step."""
        self.bar.update(self.task, completed=step)

    def update(self, step: int, metrics: Mapping[str, float]) -> None:
        """After every chunk of steps; `metrics` are means since the last line of the log."""
        now = self.clock()
        if self.last is not None and step > self.last[1]:
            rate = (step - self.last[1]) / max(now - self.last[0], 1e-9)
            self.rate = rate if self.rate is None else 0.8 * self.rate + 0.2 * rate
        self.last = (now, step)
        names = [name for name in dict.fromkeys(("loss", self.metric)) if name in metrics]
        names = names or [name for name in metrics if name.endswith("loss")][:2]
        self.shown = [f"{name} {metrics[name]:.4g}" for name in names]
        if self.lines and now - self.told >= LINE_SECONDS:
            self.tell(step)
        self.bar.update(self.task, completed=step, description=self.described(step, self.console.width - BAR_WIDTH - 1))

    def described(self, step: int, width: int) -> str:
        """What fits in `width` characters, in the order of importance: step, time left, loss, validation, the rest."""
        left = "" if self.rate is None else f"{clock_time((self.total - step) / self.rate)} left"
        speed = "" if self.rate is None else f"{self.rate:.3g} steps/s"
        return fitting([f"{step}/{self.total}", left, *self.shown[:1], *self.validated, *self.shown[1:], speed], width)

    def tell(self, step: int) -> None:
        """One line of progress on standard error."""
        self.told = self.clock()
        print(f"step {self.described(step, sys.maxsize)}", file=sys.stderr, flush=True)

    def evaluated(self, split: str, step: int, metrics: Mapping[str, Any]) -> None:
        """The result of an evaluation during training."""
        value = metrics.get(self.metric)
        self.validated = [f"{split} {self.metric} {value:.4g}"] if isinstance(value, float) else []
        if self.lines:
            self.tell(step)

    def say(self, line: str) -> None:
        """A line on standard error, above the bar."""
        if not self.first:
            return
        if self.bar.disable:
            print(line, file=sys.stderr, flush=True)
        else:
            self.console.print(line, highlight=False, soft_wrap=True, markup=False)

    def result(self, line: str) -> None:
        """A line on standard output, once the bar is gone."""
        if self.first:
            self.results.append(line)


def fitting(parts: Sequence[str], width: int) -> str:
    """The first parts that fit in a line of `width` characters, with two spaces between them.

    >>> fitting(["19/57", "0:03 left", "", "loss 0.61"], 16)
    '19/57  0:03 left'
    """
    line = ""
    for part in filter(None, parts):
        longer = f"{line}  {part}" if line else part
        if len(longer) > width:
            break
        line = longer
    return line


def clock_time(seconds: float) -> str:
    """
    >>> clock_time(3.4), clock_time(75), clock_time(7384)
    ('0:03', '1:15', '2:03:04')
    """
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
