"""The metrics of a run: `metrics.jsonl`, one JSON object per line, and TensorBoard events.

    {"kind": "train", "step": 50, "loss": 0.31, "accuracy": 0.9}
    {"kind": "eval", "step": 100, "split": "validation", "loss": 0.28, "confusion": [[9, 1], [0, 10]]}
    {"kind": "checkpoint", "step": 100, "digest": "0f3c..."}
    {"kind": "end", "step": 200, "reason": "finished", "seconds": 3.1}

A number is written so that `np.float32(value)` has the bits it had; NaN and infinities are the strings "nan", "inf" and
"-inf", which `read` converts back. Every line is one unbuffered write: a kill loses at most the line being written.

Resuming from step s moves the lines after s, and every "end", to `metrics.dropped.jsonl`, because they will be written again.
Except for the fields in `WALL_CLOCK` the file of a resumed run equals that of an undisturbed one. This requires that the lines
of a step are written before its checkpoint.
"""

import errno
import io
import json
import math
import os
import queue
import re
import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxdl.record.manifest import replacing
from jaxdl.record.processes import is_first_process
from jaxdl.types import UserError

LOG = "metrics.jsonl"
DROPPED = "metrics.dropped.jsonl"

WALL_CLOCK = frozenset({"time", "seconds", "compile_seconds", "train_seconds", "steps_per_second"})
"""Fields that differ between two runs of the same numbers."""

Line = dict[str, Any]


class MetricsLog:
    """The log of the run in `folder`, opened for appending; `resume` is the step from which a resumed run continues.

    Only the first process writes. A folder that cannot be written is a PermissionError of `open`. `missing` says, on a resume,
    that the log does not reach the step.

    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> with MetricsLog(folder, tensorboard=False) as log:
    ...     log.line({"kind": "train", "step": 1, "loss": np.float32(0.1), "norm": float("nan")})
    >>> print((Path(folder) / LOG).read_text().strip())
    {"kind": "train", "step": 1, "loss": 0.1, "norm": "nan"}
    >>> read(folder)
    [{'kind': 'train', 'step': 1, 'loss': 0.1, 'norm': nan}]
    """

    def __init__(self, folder: str | os.PathLike, *, resume: int | None = None, tensorboard: bool = True):
        self.folder = Path(folder)
        self._file = self._events = None
        self.missing = ""
        if not is_first_process():
            return
        self.missing = _repair(self.folder, resume)
        self._file = open(self.folder / LOG, "ab", buffering=0)  # noqa: SIM115 (`close` closes it)
        if tensorboard:
            self._events = _Events(self.folder / "tensorboard", resume)

    def line(self, line: Mapping[str, Any]) -> None:
        """Write one line: at least `kind` and `step`; values are numbers, arrays, strings, lists, None."""
        if self._file is None:
            return
        plain = {name: _plain(value) for name, value in line.items()}
        data = (json.dumps(plain, allow_nan=False) + "\n").encode()
        if self._file.write(data) != len(data):  # a full disk accepts the first bytes
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if self._events is not None:
            self._events.put(plain)

    def check(self) -> None:
        """FileNotFoundError if the folder was removed or moved away while the run trains."""
        if self._file is not None and not (self.folder / LOG).exists():
            raise FileNotFoundError(
                errno.ENOENT, "the run folder was removed or moved while the run trained", str(self.folder)
            )

    def close(self) -> None:
        for part in (self._file, self._events):
            if part is not None:
                part.close()
        self._file = self._events = None

    def __enter__(self) -> "MetricsLog":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def read(run: str | os.PathLike, steps: range | None = None) -> list[Line]:
    """The lines of a run folder (or of a `.jsonl` file) in order, of some `steps` or of all; a torn last line is left out."""
    path = Path(run)
    path = path / LOG if path.is_dir() else path
    lines = []
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            if line == b"\n" or not line.endswith(b"\n"):  # the last line was not finished
                continue
            if steps is not None and (about := _about(line)) and about[1] not in steps:
                continue
            try:
                text = line.decode(errors="replace")
                lines.append({name: _number(value) for name, value in json.loads(text).items()})
            except (ValueError, AttributeError):
                raise UserError(f"{path}, line {number}: not a JSON object: {text[:60]!r}") from None
    return lines


def read_thinned(
    run: str | os.PathLike, best: tuple[str, str] | None = None, *, most: int = 5000
) -> tuple[list[Line], int]:
    """The log of a run of any length: (at most about `most` lines of each kind, evenly spread, in order; how many there are).

    The first and the last line of a kind are among them, and the evaluation with the `best` (metric, "max" or "min").
    """
    path = Path(run)
    path = path / LOG if path.is_dir() else path
    counts: Counter[str] = Counter()
    stride: dict[str, int] = {}
    kept: dict[str, list[tuple[int, bytes]]] = {}
    last: dict[str, tuple[int, bytes]] = {}
    score = re.compile(rb'"' + re.escape(json.dumps(best[0])[1:-1]).encode() + rb'": (-?[0-9.eE+-]+)') if best else None
    highest = -math.inf
    with open(path, "rb") as file:
        for number, line in enumerate(file):
            if (about := _about(line)) is None:
                continue
            kind = about[0]
            if counts[kind] % stride.setdefault(kind, 1) == 0:
                some = kept.setdefault(kind, [])
                some.append((number, line))
                if len(some) > most:
                    kept[kind], stride[kind] = some[::2], 2 * stride[kind]
            counts[kind] += 1
            last[kind] = number, line
            if score and kind == "eval" and (found := score.search(line)):
                value = float(found[1]) * (1 if best[1] == "max" else -1)
                if value > highest:
                    highest, last["best"] = value, (number, line)
    if sum(counts.values()) <= most:
        lines = read(path)
        return lines, len(lines)
    chosen = dict([pair for some in kept.values() for pair in some] + list(last.values()))
    found = [json.loads(chosen[number]) for number in sorted(chosen)]
    return [{name: _number(value) for name, value in line.items()} for line in found], sum(counts.values())


def comparable(lines: Iterable[Line]) -> list[str]:
    """The lines that are equal in two runs of one experiment: training and evaluation, without the wall clock."""
    kept = (
        {k: v for k, v in line.items() if k not in WALL_CLOCK} for line in lines if line["kind"] in ("train", "eval")
    )
    return [json.dumps(line, sort_keys=True) for line in kept]  # text, since nan != nan


def best_evaluation(history: Iterable[Line], metric: str, mode: str) -> Line | None:
    """The evaluation with the best finite value of a metric; None if there is none."""
    scored = [line for line in history if line["kind"] == "eval" and isinstance(line.get(metric), int | float)]
    finite = [line for line in scored if math.isfinite(line[metric])]
    return (max if mode == "max" else min)(finite, key=lambda line: line[metric]) if finite else None


def whose_weights(history: Sequence[Line], metric: str, mode: str) -> str:
    """A sentence on the weights of the results of a run, if they differ from the last or the best ones; else ""."""
    end = next((line for line in reversed(history) if line["kind"] == "end"), {})
    best, step = best_evaluation(history, metric, mode), end.get("weights")
    last = next((line for line in reversed(history) if line["kind"] == "eval"), {})
    if best is None or step is None or (step == end["step"] and last.get(metric) == best[metric]):
        return ""
    if step != end["step"]:
        return f"with the weights of step {step}, which has the best {best['split']} {metric}"
    return (
        f"with the weights of the last step, {step}; {best['split']} {metric} was best at step {best['step']} "
        f"({best[metric]:.4f}), whose weights `evaluate` and `load` take"
    )


HEAD = re.compile(rb'\{"kind": "(\w+)", "step": (\d+)[,}]')
"""The beginning of every line of a loop, by which a log of a million lines is scanned in a second."""


def _about(line: bytes) -> tuple[str, int] | None:
    """Kind and step of a line; None if it is not a whole line of a log."""
    if not line.endswith(b"}\n"):
        return None
    if head := HEAD.match(line):
        return head[1].decode(), int(head[2])
    try:
        record = json.loads(line)
        return record["kind"], record["step"]
    except (ValueError, LookupError, TypeError):
        return None


def _repair(folder: Path, resume: int | None) -> str:
    """Drop torn lines; on a resume, move aside what will be written again. Returns what is missing before that, in words."""
    path = folder / LOG
    dropped: set[int] = set()
    saved, last = not resume, 0
    with open(path, "rb") if path.exists() else io.BytesIO() as file:
        for number, line in enumerate(file):
            about = _about(line)
            if about is None or (resume is not None and (about[1] > resume or about[0] == "end")):
                dropped.add(number)
            else:
                saved, last = saved or about == ("checkpoint", resume), about[1]
        if dropped:
            file.seek(0)
            with replacing(path) as new, open(new, "wb") as kept, open(folder / DROPPED, "ab") as aside:
                for number, line in enumerate(file):
                    (aside if number in dropped else kept).write(line if line.endswith(b"\n") else line + b"\n")
    return "" if saved else f"{path} was cut: it reaches step {last} of {resume}; the lines in between are lost"


def _plain(value: Any) -> Any:
    """A value as strict JSON."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    array = np.asarray(value)
    if array.ndim:
        return [_plain(item) for item in array]
    number = array.item()
    if not isinstance(number, float):
        return number
    if not math.isfinite(number):
        return str(number)
    if array.dtype == np.float32:
        short = float(str(array[()]))  # 0.1 rather than 0.10000000149011612
        if np.float32(short) == array:
            return short
    return number


def _number(value: Any) -> Any:
    if isinstance(value, list):
        return [_number(item) for item in value]
    return float(value) if isinstance(value, str) and value in ("nan", "inf", "-inf") else value


class _Events:
    """TensorBoard scalars, written by a thread: tensorboardX takes up to a second to import (it looks for torch)."""

    def __init__(self, folder: Path, resume: int | None):
        self._lines: queue.Queue[Line | None] = queue.Queue()
        # on a resume TensorBoard hides what an earlier process wrote from that step on
        self._options = {"logdir": str(folder), "purge_step": None if resume is None else resume + 1}
        self._thread: threading.Thread | None = None

    def put(self, line: Line) -> None:
        if line.get("kind") not in ("train", "eval"):
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="tensorboard", daemon=True)
            self._thread.start()
        self._lines.put(line)

    def close(self) -> None:
        if self._thread is not None:
            self._lines.put(None)
            self._thread.join()

    def _work(self) -> None:
        from tensorboardX import SummaryWriter

        if not Path(self._options["logdir"]).parent.is_dir():
            return  # the run folder was removed: it is not made again
        try:
            events = SummaryWriter(**self._options)
        except FileNotFoundError:  # it was removed just now: the training ends at its next chunk and says so
            return
        with events as writer:
            while (line := self._lines.get()) is not None:
                group = line.get("split", line["kind"])
                for name, value in line.items():
                    value = _number(value)
                    if name == "step" or not isinstance(value, int | float) or isinstance(value, bool):
                        continue
                    if math.isfinite(value):  # tensorboardX would print a warning for each other value
                        writer.add_scalar(f"{name}/{group}", value, line["step"])
                if self._lines.empty():
                    writer.flush()
