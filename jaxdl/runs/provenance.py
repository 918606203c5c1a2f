"""The identity of a run: knobs, recorded fields, data and experiment file, which loading and resuming compare.

config.json and the copies of the experiment file can be edited. So the `meta.json` of every checkpoint, which has a checksum,
repeats what they contained when it was written (`identity`).
"""

import json
import sys
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np

from jaxdl.experiment import Experiment, ExperimentError
from jaxdl.record.manifest import find_damage
from jaxdl.record.run import RunFolder, content_hash, record_edit
from jaxdl.runs.prepare import SOME
from jaxdl.setup import Setup, as_typed
from jaxdl.types import TrainState, UserError

FREE = ("workers",)
"""Knobs that do not change the result: the number of decoding processes."""


def identity(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values by name, from config.json, that determine the result of a run.

    Absolute paths and the knobs in FREE are left out, so that a run can be moved and use another number of workers. The data at a
    path have their own checksum.
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
    """Whether a value is an absolute path, of any system; a relative one stays the same where a project is moved."""
    kinds = (PurePosixPath, PureWindowsPath)
    return isinstance(value, str) and (value.startswith("~") or any(kind(value).is_absolute() for kind in kinds))


def about(folder: RunFolder) -> dict[str, Any]:
    """Return what every checkpoint stores about its run (`Checkpoints.about`)."""
    return {"run": identity(folder.config), "source": (folder.source_hashes or [None])[-1]}


def check_recorded(folder: RunFolder, *, trust: bool = False) -> None:
    """Raise UserError, naming the difference, if config.json was changed since the newest checkpoint was written.

    With `trust` the difference is a note on standard error. So is one to an older checkpoint: the run was resumed with `trust`
    after it. Checkpoints of jaxdl 0.1 store nothing to compare and pass.
    """
    now = identity(folder.config)
    found = [*folder.folder.glob("checkpoints/[0-9]*/meta.json"), *folder.folder.glob("group-*/*/[0-9]*/meta.json")]
    agreed: set[Path] = set()
    for path in sorted(found, key=lambda path: (len(path.parent.name), path.parent.name), reverse=True):
        place = path.parents[2 if "sweep" in folder.config else 1]
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
                trust or place in agreed,
            )
            return
        agreed.add(place)


def check_copy(copy: Path, recorded: str | None, *, trust: bool = False) -> None:
    """Raise UserError if a run's copy of its experiment file does not have the recorded hash."""
    if recorded is not None and (found := content_hash(copy)) != recorded:
        refuse(f"{copy} was changed: its SHA-256 begins with {found}, the recorded one with {recorded}", trust)


def refuse(problem: str, trust: bool) -> None:
    if not trust:
        raise UserError(f"{problem}; trust=True (--trust) uses the folder as it is")
    print(f"note: {problem}", file=sys.stderr)


def continued(recorded: Setup, values: Mapping[str, Any]) -> Setup:
    """Return the setup of a resumed run: the recorded one, with new values of FREE knobs.

    Raise ExperimentError if other values differ from the recorded ones.
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
    """Return a checksum of the shapes of all splits and of up to 1,000 evenly spread examples of each."""
    total = 0
    for split, arrays in sorted(data.splits.items()):
        for name, array in sorted(arrays.items()):
            some = np.asarray(array[:: -(-len(array) // SOME) or 1])
            total = zlib.crc32(f"{split} {name} {some.dtype} {array.shape}".encode(), total)
            total = zlib.crc32(repr(some.tolist()).encode() if some.dtype.kind == "O" else some.tobytes(), total)
    return f"{total:08x}"


def data_record(data: Any) -> dict[str, str]:
    """Return the checksums of the data that config.json records."""
    files = data.fingerprint()
    return {"data": checksum(data), **({"files": files} if files else {})}


def other_data(config: Mapping[str, Any], data: Any) -> str:
    """Return a line if the data differ from those that a run began with; "" if they do not, or nothing was recorded."""
    changed = [name for name, value in data_record(data).items() if config.get(name) not in (None, value)]
    return f"{data.name or 'the data'}: not the {' and '.join(changed)} this run began with" if changed else ""


def notes_on_resume(
    folder: RunFolder, source: str | None, exp: Experiment, state: TrainState, stop_at: int | None
) -> list[str]:
    """Return notes for the user on resuming; record an edited experiment file if the run trains on with it."""
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
