"""What a run is: its knobs and recorded fields, its data, its experiment file. What a load and a resume compare.

config.json and the copies of the experiment file can be edited by anyone. So every checkpoint's `meta.json`, which has a
checksum, repeats what they said when it was written (`identity`).
"""

import json
import sys
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxdl.experiment import Experiment, ExperimentError
from jaxdl.record.manifest import find_damage
from jaxdl.record.run import RunFolder, content_hash, record_edit
from jaxdl.runs.prepare import SOME
from jaxdl.setup import Setup, as_typed
from jaxdl.types import TrainState, UserError

FREE = ("workers",)
"""Knobs that are no part of the result: how many processes decode."""


def identity(config: Mapping[str, Any]) -> dict[str, Any]:
    """What makes a run the run it is, from its config.json: values by name.

    Paths and the knobs in FREE are left out, so that a run can be moved and decode with other workers: the data that lie at a
    path have a checksum of their own.
    """
    sweep = config.get("sweep", {})
    members = {f"{name} of member {i}": v for i, one in enumerate(sweep.get("points", ())) for name, v in one.items()}
    values = {
        **config.get("recorded", {}),
        **config.get("knobs", {}),
        **sweep.get("overrides", {}),
        **members,
        **{name: config.get(name) for name in ("format", "select", "data", "files")},
        "prune": sweep.get("prune"),
    }
    kept = {n: v for n, v in values.items() if n.partition(" of ")[0] not in FREE and not is_path(v) and v is not None}
    return json.loads(json.dumps(kept))


def is_path(value: Any) -> bool:
    return isinstance(value, str) and ("/" in value or "\\" in value)


def about(folder: RunFolder) -> dict[str, Any]:
    """What each checkpoint of a run remembers of it (`Checkpoints.about`)."""
    return {"run": identity(folder.config), "source": (folder.source_hashes or [None])[-1]}


def check_recorded(folder: RunFolder, *, trust: bool = False) -> None:
    """UserError that names the difference where config.json is not what it was when the checkpoints were written.

    With `trust` the difference is a note on standard error. Checkpoints of jaxdl 0.1 remember nothing and pass.
    """
    now = identity(folder.config)
    for path in sorted((*folder.folder.glob("checkpoints/*/meta.json"), *folder.folder.glob("group-*/*/*/meta.json"))):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            then, source = record["meta"].get("run"), record["meta"].get("source")
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            continue  # a damaged checkpoint: restoring says so
        if then is None:
            continue
        names = [name for name in dict.fromkeys([*then, *now]) if repr(then.get(name)) != repr(now.get(name))]
        changes = [f"{name} was {then.get(name)}, is now {now.get(name)}" for name in names[:3]]
        changes += [f"and {len(names) - 3} more"] if len(names) > 3 else []
        if source is not None and source not in folder.source_hashes:
            changes.append(f"source_hash was {source}, is now {', '.join(folder.source_hashes) or 'missing'}")
        if changes and not find_damage(path.parent):
            refuse(
                f"{folder.folder / 'config.json'} was changed after step {record['step']} was saved: {'; '.join(changes)}. "
                "Undo the change, or train a new run",
                trust,
            )
            return


def check_copy(copy: Path, recorded: str | None, *, trust: bool = False) -> None:
    """UserError where a run's copy of its experiment file is not the file whose hash was recorded."""
    if recorded is not None and (found := content_hash(copy)) != recorded:
        refuse(f"{copy} was changed: its SHA-256 begins with {found}, the recorded one with {recorded}", trust)


def refuse(problem: str, trust: bool) -> None:
    if not trust:
        raise UserError(f"{problem}; trust=True (--trust) uses the folder as it is")
    print(f"note: {problem}", file=sys.stderr)


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


def data_record(data: Any) -> dict[str, str]:
    """What config.json records of the data."""
    files = data.fingerprint()
    return {"data": checksum(data), **({"files": files} if files else {})}


def other_data(config: Mapping[str, Any], data: Any) -> str:
    """A line that says so where the data are not those that a run began with; "" where they are, or nothing was recorded."""
    changed = [name for name, value in data_record(data).items() if config.get(name) not in (None, value)]
    return f"{data.name or 'the data'}: not the {' and '.join(changed)} this run began with" if changed else ""


def notes_on_resume(
    folder: RunFolder, source: str | None, exp: Experiment, state: TrainState, stop_at: int | None
) -> list[str]:
    """What a person may not expect of a resume; an edited experiment file is recorded, if it will train any further."""
    step = int(state.step)
    ended = step >= exp.steps or (state.best is not None and bool(state.best.stopped))
    notes = []
    if not ended and (changed := other_data(folder.config, exp.data)):
        notes.append(f"{changed}; it trains on from step {step} with these")
    if not ended and record_edit(folder, source, step):
        notes.append(f"{source} was edited since; from step {step} on the run is recorded with what it is now")
    if stop_at is not None and (ended or step >= stop_at):
        now = f"has ended, at step {step}" if ended else f"is already at step {step}"
        notes.append(f"the run {now}: stopping at step {stop_at} has no effect")
    return notes
