"""Checkpoints: asynchronous, atomic, checksummed, and restorable on any number of devices.

    checkpoints/
      100/                one committed step: a single rename makes it visible
        state/            the arrays, in orbax's format
        meta.json         step, metric, JSON of the caller, dtype and shape of every leaf
        MANIFEST.json     size and CRC-32 of every file above
      200/  ...
      300.saving/         being written; removed by the next run's first save
      trash/              being deleted

orbax writes and reads the arrays. It restores flipped bits and wrong dtypes without an error, takes NaN for the best metric, and
deletes the latest step when it keeps "the best two"; therefore checksums, choice and deletion are done here.
"""

import json
import math
import os
import shutil
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import jax

from jaxdl.counts import check_count
from jaxdl.record.leaves import Tree, check_fit, data_of, digest, flatten, leaf_record, nest
from jaxdl.record.manifest import find_damage, reason, write_manifest, write_synced
from jaxdl.record.orbax_leaves import orbax, read_leaves
from jaxdl.record.processes import anywhere, is_first_process
from jaxdl.types import UserError

__all__ = ["CheckpointError", "Checkpoints", "digest"]

META = "meta.json"


class CheckpointError(OSError):
    """A checkpoint could not be written (disk full, permission); the steps written before are untouched."""


class Checkpoints:
    """The checkpoints of one run: the `keep` latest steps and the best one.

    `mode` says whether a larger ("max") or a smaller ("min") metric is better; NaN, infinities and None are never best.
    `notify` is called with every note for the user, such as a damaged step that is skipped; `notes` keeps them.
    Nothing on disk changes before the first `save`, so reading from a run that is still training is safe.

    >>> import tempfile
    >>> import jax.numpy as jnp
    >>> with Checkpoints(tempfile.mkdtemp()) as checkpoints:
    ...     checkpoints.save(10, {"w": jnp.ones(2)}, metric=0.5)
    ...     checkpoints.save(20, {"w": jnp.zeros(2)}, meta={"seconds": 3.5}, metric=float("nan"))
    >>> checkpoints.steps(), checkpoints.best
    ([10, 20], 10)
    >>> checkpoints.restore({"w": jax.ShapeDtypeStruct((2,), jnp.float32)}, "last")
    ({'w': Array([0., 0.], dtype=float32)}, {'seconds': 3.5}, 20)
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        *,
        mode: str = "max",
        keep: int = 2,
        notify: Callable[[str], None] | None = None,
    ):
        if mode not in ("max", "min"):
            raise UserError(f"mode is {mode!r}, should be 'max' or 'min'")
        check_count("keep", keep)
        self.folder = Path(folder).absolute()
        self.mode, self.keep, self.notify = mode, keep, notify
        self.about: Mapping[str, Any] = {}
        """What every step's `meta` holds besides."""
        self.notes: list[str] = []
        self._bad: set[int] = set()  # damaged steps, which do not count among the latest
        self._writer: Any = None
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *exc: object) -> None:
        self.wait()

    # -- what is there ------------------------------------------------------------------------------------------------

    def steps(self) -> list[int]:
        """The committed steps, oldest first, intact or damaged."""
        if not self.folder.is_dir():
            return []
        return sorted(int(path.name) for path in self.folder.iterdir() if path.name.isdecimal() and path.is_dir())

    @property
    def best(self) -> int | None:
        """The step with the best finite metric (of equal ones the earliest), or None."""
        return self._best(self.steps())

    def meta(self, step: int) -> dict[str, Any]:
        """`{"step", "metric", "meta", "tree": {path: [dtype, shape]}}` of a step, as it was saved."""
        return json.loads((self.folder / str(step) / META).read_text(encoding="utf-8"))

    def verify(self) -> list[tuple[int, bool, str]]:
        """`(step, intact, problem)` for every step, by reading every file of it (about 6 GB/s)."""
        problems = {step: find_damage(self.folder / str(step)) for step in self.steps()}
        return [(step, not problem, problem) for step, problem in problems.items()]

    def _best(self, steps: list[int]) -> int | None:
        sign = 1 if self.mode == "max" else -1
        scores = {}
        for step in steps:
            try:
                metric = self.meta(step)["metric"]
            except (OSError, ValueError, LookupError, TypeError):  # damaged: `restore` says so
                continue
            if isinstance(metric, int | float) and math.isfinite(metric):
                scores[step] = sign * metric
        return max(scores, key=lambda step: (scores[step], -step), default=None)

    def _say(self, line: str) -> None:
        self.notes.append(line)
        if self.notify is not None:
            self.notify(line)

    # -- saving -------------------------------------------------------------------------------------------------------

    def save(
        self, step: int, state: Tree, *, meta: Mapping[str, Any] | None = None, metric: float | None = None
    ) -> None:
        """Save a state in the background. Returns when the arrays are copied, so that the state may be donated.

        `state` is any pytree of arrays and typed keys, `meta` any JSON. An existing step is replaced.
        Waits for the previous save and raises its `CheckpointError` if it failed.
        """
        step = int(step)
        leaves = flatten(state)
        tree = {path: leaf_record(leaf) for path, leaf in leaves.items()}
        metric = None if metric is None or not math.isfinite(metric) else float(metric)
        text = json.dumps(
            {"step": step, "metric": metric, "meta": {**self.about, **(meta or {})}, "tree": tree}, indent=1
        )
        self.wait()
        saving = self.folder / f"{step}.saving"
        try:
            if self._writer is None:
                self._writer = orbax().AsyncCheckpointer(orbax().PyTreeCheckpointHandler())
                self._tidy()
            problem = self._make(saving)
            if anywhere(problem is not None):  # also: the folder exists before any process writes to it
                raise problem or CheckpointError("another process could not make the folder")
            full = {path: data_of(leaf) for path, leaf in leaves.items() if 0 not in leaf.shape}  # orbax takes no empty
            self._writer.save(saving / "state", args=orbax().args.PyTreeSave(nest(full)))
        except Exception as error:
            raise self._failure(step, error) from None
        self._thread = threading.Thread(target=self._commit, args=(step, text), name=f"checkpoint-{step}")
        self._thread.start()

    def wait(self) -> None:
        """Wait until the last save is on disk; raise `CheckpointError` if it could not be written."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        thread.join()
        error, self._error = self._error, None
        if anywhere(error is not None):
            raise error or CheckpointError(f"another process could not write its part of a checkpoint to {self.folder}")

    def _make(self, folder: Path) -> OSError | None:
        try:
            if is_first_process():
                self.folder.mkdir(exist_ok=True)  # without parents: a run folder that was removed stays removed
                folder.mkdir(exist_ok=True)
        except OSError as error:
            return error
        return None

    def _commit(self, step: int, text: str) -> None:
        saving, final = self.folder / f"{step}.saving", self.folder / str(step)
        try:
            self._writer.wait_until_finished()
            if not is_first_process():
                return
            write_synced(saving / META, text)
            write_manifest(saving)
            if final.exists():
                self._discard(final)
            saving.rename(final)  # the step exists from here on
            self._bad.discard(step)
        except BaseException as error:
            self._error = self._failure(step, error)
            return
        try:
            self._rotate()
        except OSError as error:
            self._say(f"cannot delete old checkpoints of {self.folder}: {reason(error)}")

    def _rotate(self) -> None:
        good = [step for step in self.steps() if step not in self._bad]
        kept = {*good[-self.keep :], self._best(good)}
        for step in self.steps():
            # A damaged step that is newer than all good ones stays, as evidence, until it is written again.
            if step not in kept and step < good[-1]:
                self._discard(self.folder / str(step))

    def _discard(self, path: Path) -> None:
        # Renamed first, so that a kill during the deletion leaves no half of a step.
        trash = self.folder / "trash"
        trash.mkdir(exist_ok=True)
        path.rename(trash / f"{path.name}-{len(list(trash.iterdir()))}-{os.getpid()}")
        shutil.rmtree(trash, ignore_errors=True)

    def _tidy(self) -> None:
        if is_first_process() and self.folder.is_dir():
            for path in [*self.folder.glob("*.saving"), self.folder / "trash"]:
                shutil.rmtree(path, ignore_errors=True)

    def _failure(self, step: int, error: BaseException) -> CheckpointError:
        if is_first_process():
            shutil.rmtree(self.folder / f"{step}.saving", ignore_errors=True)  # frees space on a full disk
        good = [s for s in self.steps() if s not in self._bad and s != step]
        rest = f"step {good[-1]} is the last good one" if good else "there is no earlier one"
        return CheckpointError(f"cannot write the checkpoint of step {step} to {self.folder}: {reason(error)}; {rest}")

    # -- restoring ----------------------------------------------------------------------------------------------------

    def restore(self, target: Tree, step: int | Literal["last", "best"] = "last") -> tuple[Tree, dict[str, Any], int]:
        """`(state, meta, step)` of a step, of the last, or of the best.

        `target` has the structure of the state with a `jax.ShapeDtypeStruct` for each leaf (`jax.eval_shape` of what
        made it); a leaf whose `sharding` is given is created with it, on any number of devices.

        "last" and "best" skip damaged steps and add a note. ValueError if no intact step is left (with the damage of
        each), if a step asked for by number is damaged, or if target and checkpoint differ in structure, dtype or shape.
        """
        self.wait()
        wanted = flatten(target)
        problems = []
        for candidate in self._candidates(step, problems):
            record = self.meta(candidate)
            check_fit(record["tree"], wanted, f"checkpoint {self.folder / str(candidate)}")
            try:
                found = read_leaves(self.folder / str(candidate) / "state", wanted)
            except Exception as error:
                self._bad.add(candidate)
                problems.append(f"step {candidate}: {reason(error)}")
                continue
            if problems:
                self._say(f"checkpoint damaged ({'; '.join(problems)}): using step {candidate} instead")
            return jax.tree.unflatten(jax.tree.structure(target), found.values()), record["meta"], candidate
        if not problems:
            raise UserError(f"no checkpoint in {self.folder}")
        raise UserError(f"no usable checkpoint in {self.folder}: {'; '.join(problems)}")

    def _candidates(self, step: Any, problems: list[str]):
        """The steps to try, in order; `problems` collects why the others are left out."""
        steps = self.steps()
        if step not in ("last", "best"):
            if step not in steps:
                raise UserError(f"no checkpoint of step {step!r} in {self.folder}; it has {steps}, 'last' and 'best'")
            steps = [step]
        intact = []
        for candidate in reversed(steps):  # newest first, and lazily: the older ones are read only if needed
            if problem := find_damage(self.folder / str(candidate)):
                self._bad.add(candidate)
                problems.append(f"step {candidate}: {problem}")
            elif step == "best":
                intact.append(candidate)
            else:
                yield candidate
        while intact:
            best = self._best(intact)
            if best is None:
                self._say(f"no checkpoint in {self.folder} has a finite metric: using the last one for the best")
                best = intact[0]
            intact.remove(best)
            yield best
