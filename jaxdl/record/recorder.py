"""The listeners of a training loop: the log, the progress, the user's callbacks, and the gallery of samples."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jaxdl.record.log import MetricsLog
from jaxdl.record.notices import Notices
from jaxdl.record.processes import is_first_process
from jaxdl.record.progress import Progress


class Recorder:
    """Pass the events of a loop on to every listener."""

    def __init__(
        self,
        log: MetricsLog,
        progress: Progress,
        callbacks: Callable[[dict[str, Any]], None] = lambda line: None,
        samples: Path | None = None,
    ):
        self.log, self.bar, self.callbacks, self.samples = log, progress, callbacks, samples
        self.notice = Notices()

    def line(self, line: dict[str, Any]) -> None:
        self.log.line(line)
        if line["kind"] == "eval":
            self.bar.evaluated(line["split"], line["step"], line)
        if line["kind"] == "note":
            self.bar.say(f"note: {line['note']}")
        self.callbacks(line)
        if (note := self.notice(line)) is not None:
            self.line({"kind": "note", "step": line["step"], "note": note})

    def progress(self, step: int, metrics: Mapping[str, float]) -> None:
        self.log.check()
        self.bar.update(step, metrics)

    def pictures(self, step: int, report: Mapping[str, Any]) -> None:
        """A frame of every picture of the report that is filmed: samples, reconstructions."""
        if self.samples is not None and is_first_process():
            from jaxdl.record.draw import keep_frames  # brings matplotlib

            keep_frames(self.samples, step, report)
