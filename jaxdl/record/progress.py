"""What a person sees while a run trains: one line with a bar, loss, metric, speed and time left; nothing in a pipe."""

import sys
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from jaxdl.record.processes import is_first_process


class Progress:
    """`with Progress(total, metric) as progress: progress.update(step, {"loss": 0.1})`."""

    def __init__(self, total: int, *, start: int = 0, metric: str = "", quiet: bool = False):
        self.console = Console(stderr=True)
        self.first = is_first_process()
        shown = self.first and not quiet and (self.console.is_terminal or self.console.is_jupyter)
        self.metric, self.start = metric, start
        self.validated = ""
        self.bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[numbers]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self.console,
            disable=not shown,
            refresh_per_second=4,
        )
        self.task = self.bar.add_task("compiling", total=total, completed=start, numbers="")

    def __enter__(self) -> "Progress":
        self.bar.__enter__()
        return self

    def __exit__(self, *exc: Any) -> None:
        self.bar.__exit__(*exc)

    def update(self, step: int, metrics: Mapping[str, float]) -> None:
        """Means since the last line of the log."""
        task = self.bar.tasks[0]
        elapsed = task.elapsed or 0.0
        speed = f"{(step - self.start) / elapsed:.0f} steps/s" if elapsed > 0 and step > self.start else ""
        shown = [f"{name} {metrics[name]:.4g}" for name in ("loss", self.metric) if name in metrics and name]
        if len(shown) < 1:
            shown = [f"{name} {value:.4g}" for name, value in metrics.items() if name.endswith("loss")][:2]
        numbers = "  ".join([*dict.fromkeys(shown), self.validated, speed])
        self.bar.update(self.task, completed=step, description="training", numbers=numbers)

    def evaluated(self, split: str, metrics: Mapping[str, Any]) -> None:
        if isinstance(value := metrics.get(self.metric), float):
            self.validated = f"{split} {value:.4g}"

    def say(self, line: str) -> None:
        """A line above the bar, on standard error."""
        if not self.first:
            return
        if self.bar.disable:
            print(line, file=sys.stderr)
        else:
            self.console.print(line, highlight=False, soft_wrap=True)
