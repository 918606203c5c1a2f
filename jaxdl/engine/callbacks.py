"""Callbacks: functions of the user that a run calls with every line of its log, and that may end it.

    def enough(event):
        if event.kind == "eval" and np.all(event.metrics["accuracy"] > 0.99):  # of a sweep: one value for each member
            event.stop("99 % is enough")

    def config(*, lr: float = 1e-3) -> Experiment:
        return Experiment(..., callbacks=(enough,))        # also from the command line; or train(config, callback=enough)

A callback is called on the host, at the edge of a chunk of steps, in the first process alone. It is no part of what a resume
compares. `config` is called several times for one run, so a callback prepares at its first call what it needs:

Weights & Biases:

    def to_wandb(event):
        if wandb.run is None:
            wandb.init(project="digits", config=dict(event.knobs))
        wandb.log({f"{event.split}/{name}": value for name, value in event.metrics.items()}, step=event.step)
        if event.kind == "end":
            wandb.finish()

MLflow:

    def to_mlflow(event):
        if mlflow.active_run() is None:
            mlflow.start_run()
            mlflow.log_params(event.knobs)
        mlflow.log_metrics({f"{event.split}/{name}": value for name, value in event.metrics.items()}, step=event.step)
        if event.kind == "end":
            mlflow.end_run()

A message to a chat (Slack, Mattermost, Discord with `content` for `text`):

    def to_chat(event):
        if event.kind == "end":
            text = f"{event.folder}: {event['reason']} at step {event.step}, {event.metrics}"
            data, header = json.dumps({"text": text}).encode(), {"Content-Type": "application/json"}
            urllib.request.urlopen(urllib.request.Request(os.environ["WEBHOOK"], data, header), timeout=10)
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jax
import numpy as np

from jaxdl.record.processes import is_first_process
from jaxdl.types import UserError, Variables


class Event(dict[str, Any]):
    """One line of metrics.jsonl, as a dictionary, with what a callback may ask and do.

    Attributes:
        kind: "train" (means since the last line), "eval", "checkpoint", "note", "diverged" or "end".
        step: after which step.
        split: of the metrics: "train", or what was evaluated.
        metrics: the numbers of the line by name; of an "end" those of every evaluated split, as `test_accuracy`. In a sweep
            each is an array `(members,)`, and `event["members"]` holds the members' numbers.
        knobs: the knobs of `config` and their values.
        folder: the run folder; None for a training in memory.
    """

    def __init__(self, line: Mapping[str, Any], callbacks: "Callbacks"):
        super().__init__(line)
        self._callbacks: Callbacks | None = callbacks
        self.kind: str = line["kind"]
        self.step: int = line["step"]
        self.split: str = line.get("split", "train")
        self.knobs, self.folder = callbacks.knobs, callbacks.folder

    @property
    def metrics(self) -> dict[str, Any]:
        results = self.get("results", {})
        ends = {f"{split}_{name}": value for split, found in results.items() for name, value in found.items()}
        numbers = {name: v for name, v in {**self, **ends}.items() if name not in ("step", "members") and is_number(v)}
        return {name: np.asarray(v) if np.ndim(v) else float(v) for name, v in numbers.items()}

    @property
    def weights(self) -> Variables:
        """(params, model_state) that are evaluated, averaged where the run averages: copies, as NumPy arrays.

        UserError after the callback has returned, because the run goes on with these buffers, and where the weights are spread
        over the devices of several processes.
        """
        get = self._callbacks and self._callbacks.weights
        if get is None:
            raise UserError(
                "event.weights can be read while the callback runs, of a run that has not diverged: copy them"
            )
        return jax.tree.map(copied, get())

    def stop(self, reason: str = "") -> None:
        """End the run after this step, as an early stop does: with a checkpoint, all evaluations and a report."""
        if self._callbacks is not None:
            self._callbacks.stopped = reason or "no reason given"


def is_number(value: Any) -> bool:
    """A number, or numbers of members."""
    return not isinstance(value, str | bool | Mapping) and np.ndim(value) < 2 and np.asarray(value).dtype.kind in "iuf"


def copied(leaf: jax.Array) -> np.ndarray:
    if leaf.is_fully_addressable:
        return np.array(leaf)
    if leaf.is_fully_replicated:
        return np.array(leaf.addressable_data(0))
    raise UserError("event.weights: these weights are spread over several processes; read them from a checkpoint")


class Callbacks:
    """The callbacks of a run.

    Args:
        functions: called in turn with each `Event`.
        folder, knobs: what the events say of the run.
        watching: called, once, with a line for the user if a callback wants to stop what it cannot stop: a sweep.

    Attributes:
        weights: a function that returns the current weights; set by the training loop.
        stopped: why a callback wants the run to end; None: none does.
    """

    def __init__(
        self,
        functions: Sequence[Callable[[Event], Any]] = (),
        folder: Path | None = None,
        knobs: Mapping[str, Any] = MappingProxyType({}),
        watching: Callable[[str], None] | None = None,
    ):
        self.functions, self.folder, self.knobs, self.watching = tuple(functions), folder, knobs, watching
        self.weights: Callable[[], Variables] | None = None
        self.stopped: str | None = None

    def __call__(self, line: Mapping[str, Any]) -> None:
        if not self.functions:
            return
        if jax.process_count() > 1 and (get := self.weights) is not None:
            now = get()  # a program of all processes, so all of them run it
            self.weights = lambda: now
            self._call(line)
            self.weights = get
        else:
            self._call(line)

    def _call(self, line: Mapping[str, Any]) -> None:
        if not is_first_process():
            return
        for function in self.functions:
            event = Event(line, self)
            function(event)
            event._callbacks = None
        if self.stopped is not None and self.watching is not None:
            self.watching(f"note: a callback wants to stop ({self.stopped}): in a sweep callbacks only watch")
            self.watching, self.stopped = lambda line: None, None
