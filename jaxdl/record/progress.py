"""What a person sees while a run trains: one line with a bar, loss, metric, speed and time left; nothing in a pipe."""

import sys
import time
from collections.abc import Mapping
from importlib.util import find_spec
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
        notebook = self.console.is_jupyter and find_spec("ipywidgets")  # without them rich warns at every line
        shown = self.first and not quiet and bool(self.console.is_terminal or notebook)
        self.metric = metric
        self.validated = ""
        self.last: tuple[float, int] | None = None
        self.rate: float | None = None
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

    def begin(self, step: int) -> None:
        """A resumed run starts at this step."""
        self.bar.update(self.task, completed=step)

    def update(self, step: int, metrics: Mapping[str, float]) -> None:
        """Means since the last line of the log."""
        now = time.perf_counter()
        if self.last is not None and step > self.last[1]:
            rate = (step - self.last[1]) / max(now - self.last[0], 1e-9)
            self.rate = rate if self.rate is None else 0.8 * self.rate + 0.2 * rate
        self.last = (now, step)
        speed = f"{self.rate:.3g} steps/s" if self.rate is not None else ""
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
