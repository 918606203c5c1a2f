"""What a resume compares: the knobs and fields that config.json records, the data, the experiment file."""

import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxdl.experiment import Experiment, ExperimentError
from jaxdl.record.run import RunFolder, record_edit
from jaxdl.runs.prepare import SOME
from jaxdl.setup import Setup, as_typed
from jaxdl.types import TrainState

FREE = ("workers",)
"""Knobs that are no part of the result: how many processes decode."""


def continued(recorded: Setup, values: Mapping[str, Any]) -> Setup:
    """What a run goes on with: what it began with, and values of FREE knobs.

    ExperimentError where other values make it another run.
    """
    now = recorded.with_values(values)
    before, after = {**recorded.knobs, **recorded.pinned}, {**now.knobs, **now.overrides}
    changes = [
        f"{name} was {before.get(name)}, now {after[name]}"
        for name in after
        if name in values and name not in FREE and as_typed(after[name]) != before.get(name)
    ]
    if changes:
        raise ExperimentError(
            f"cannot resume with other settings: {'; '.join(changes)}. Train a new run, or drop the change"
        )
    return recorded.with_values({name: after[name] for name in values if name in FREE})


def checksum(data: Any) -> str:
    """Of the shapes of all splits and of up to 1,000 evenly spread examples of each: quick, and other data have another."""
    total = 0
    for split, arrays in sorted(data.splits.items()):
        for name, array in sorted(arrays.items()):
            some = np.asarray(array[:: -(-len(array) // SOME) or 1])
            total = zlib.crc32(f"{split} {name} {some.dtype} {array.shape}".encode(), total)
            total = zlib.crc32(repr(some.tolist()).encode() if some.dtype.kind == "O" else some.tobytes(), total)
    return f"{total:08x}"


def notes_on_resume(
    folder: RunFolder, source: str | None, exp: Experiment, state: TrainState, stop_at: int | None
) -> list[str]:
    """What a person may not expect of a resume; an edited experiment file is recorded, if it will train any further."""
    step = int(state.step)
    ended = step >= exp.steps or (state.best is not None and bool(state.best.stopped))
    notes = []
    if not ended and folder.config.get("data") not in (None, checksum(exp.data)):
        notes.append(
            f"{exp.data.name or 'the data'}: not the data this run began with; it trains on from step {step} with these"
        )
    if not ended and record_edit(folder, source, step):
        notes.append(f"{source} was edited since; from step {step} on the run is recorded with what it is now")
    if stop_at is not None and (ended or step >= stop_at):
        now = f"has ended, at step {step}" if ended else f"is already at step {step}"
        notes.append(f"the run {now}: stopping at step {stop_at} has no effect")
    return notes
