"""The run folder: all files of a run.

runs/<experiment>/<date-time>-s<seed>/
  config.json       every knob and recorded option, the experiment's path and the hash of its content
  experiment.py     a copy of the experiment file; experiment-<hash>.py: the file as edited before a resume
  env.json          versions, devices, git commit, command line
  metrics.jsonl     the metrics (`record/log.py`), also in tensorboard/
  checkpoints/      `record/checkpoint.py`
  plots/            `record/plots.py`
  report.md         `record/report.py`; report.html: the same as one page, `record/page.py`
"""

import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from typing import Any

import jax

from jaxdl import __version__
from jaxdl.record.imports import local_imports
from jaxdl.record.manifest import write_synced
from jaxdl.record.processes import is_first_process
from jaxdl.types import UserError

LATEST = "latest"
"""The name that means the newest run, wherever a run folder is asked for."""
RUNS = Path("runs")
PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")


@dataclass(frozen=True)
class RunFolder:
    """A run folder and its configuration."""

    folder: Path
    config: dict[str, Any] = field(repr=False)

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    @property
    def metrics(self) -> Path:
        return self.folder / "metrics.jsonl"

    @property
    def plots(self) -> Path:
        return self.folder / "plots"

    @property
    def report(self) -> Path:
        return self.folder / "report.md"

    @property
    def page(self) -> Path:
        return self.folder / "report.html"

    @property
    def experiment(self) -> Path:
        """The copy of the experiment file, as it was edited last."""
        return self.experiment_at()

    def experiment_at(self, step: int | None = None) -> Path:
        """The copy that was used from a step on."""
        edits = [edit for edit in self.edits if step is None or edit["step"] <= step]
        return self.folder / (edits[-1]["file"] if edits else "experiment.py")

    def hash_at(self, step: int | None = None) -> str | None:
        """The recorded hash of that copy."""
        edits = [edit for edit in self.edits if step is None or edit["step"] <= step]
        return edits[-1]["source_hash"] if edits else self.config.get("source_hash")

    @property
    def edits(self) -> list[dict[str, Any]]:
        """The resumes before which the experiment file was edited: `{"step", "source_hash", "file"}`."""
        return self.config.get("edits", [])

    @property
    def source_hashes(self) -> list[str]:
        """Hashes of the experiment file at the start and after each edit."""
        first = self.config.get("source_hash")
        return [*([first] if first else []), *(edit["source_hash"] for edit in self.edits)]

    @property
    def env(self) -> dict[str, Any]:
        """env.json; UserError if it is missing or damaged."""
        path = self.folder / "env.json"
        try:
            env = json.loads(path.read_text(encoding="utf-8"))
            if missing := {"command", "versions", "backend", "devices", "time", "git", "cores", "platform"} - {*env}:
                raise UserError(f"it has no {sorted(missing)[0]}")
            return env
        except (OSError, ValueError, TypeError) as error:
            raise UserError(f"{path} cannot be read ({error})") from None

    def mend_env(self, source: str | os.PathLike | None = None) -> str | None:
        """Write a missing or damaged env.json again, keeping the damaged one; return a note for the user, or None."""
        try:
            _ = self.env
            return None
        except UserError as error:
            path = self.folder / "env.json"
            if is_first_process():
                if path.exists():
                    path.rename(path.with_name("env.json.damaged"))
                write_synced(path, json.dumps(environment(source), indent=2) + "\n")
            return f"{error}: it now describes where the run goes on"


def create_run(
    root: str | os.PathLike, experiment: str, *, seed: int, config: Mapping[str, Any], source: str | os.PathLike | None
) -> RunFolder:
    """Make a new folder `root/<experiment>/<date-time>-s<seed>/` and record settings and environment.

    `config` is any JSON (`{"knobs": {...}, "options": {...}}`); `experiment`, `seed`, `source` (the file's absolute
    path), `source_hash` and `imports` (hashes of local files that it imports) are added to it.
    PermissionError, in one line, if the folder cannot be written.
    """
    stem = f"{time.strftime('%Y-%m-%d_%H-%M-%S')}-s{seed}"
    parent = Path(root).absolute() / experiment
    entry = dict(config) | {"experiment": experiment, "seed": int(seed), "source": None, "source_hash": None}
    if source is not None:
        entry |= {"source": str(Path(source).absolute()), "source_hash": content_hash(source)}
        entry |= {"imports": local_imports(Path(source))}
    text = json.dumps(entry, indent=2) + "\n"  # first, so that a knob that is not JSON leaves no folder
    try:
        parent.mkdir(parents=True, exist_ok=True)
        folder = _new_folder(parent, stem)
        (folder / "plots").mkdir()
        if source is not None:
            shutil.copyfile(source, folder / "experiment.py")
        write_synced(folder / "env.json", json.dumps(environment(source), indent=2) + "\n")
        write_synced(folder / "config.json", text)  # last: a folder that has it is a whole run folder
    except OSError as error:
        raise PermissionError(
            f"cannot write a run folder in {parent}: {error.strerror}; name another with --run"
        ) from None
    return RunFolder(folder, entry)


def newest(path: str | os.PathLike) -> Path:
    """The path, or the run that it means: `latest` is the newest under ./runs, `runs/digits_cnn/latest` that of an experiment."""
    path = Path(path)
    if path.name != LATEST or path.exists():
        return path
    base = RUNS if path == Path(LATEST) else path.parent
    if not (found := find_runs(base) or find_runs(base.parent, base.name)):
        raise UserError(f"{path}: there is no run in {base}")
    return found[-1].folder


def open_run(path: str | os.PathLike) -> RunFolder:
    """Open a run folder, or the `newest`; UserError that says what is missing if it is not one."""
    folder = newest(path).absolute()
    if not folder.is_dir():
        raise UserError(
            f"{path} is not a run folder: {'it is a file' if folder.exists() else 'there is no such folder'}"
        )
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        if not isinstance(config, dict) or "experiment" not in config:
            raise UserError("it names no experiment")
    except FileNotFoundError:
        inside = _run_inside(folder)
        hint = f" (it contains some: {inside})" if inside else ""
        raise UserError(f"{path} is not a run folder: it has no config.json{hint}") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is not a run folder: its config.json cannot be read ({error})") from None
    return RunFolder(folder, config)


def record_edit(run: RunFolder, source: str | os.PathLike | None, step: int) -> bool:
    """Record an experiment file that differs from the one a run was trained with so far; return whether it does."""
    latest = run.edits[-1] if run.edits else run.config
    if source is None or (digest := content_hash(source)) == latest["source_hash"]:
        return False
    edit = {"step": step, "source_hash": digest, "file": f"experiment-{digest[:8]}.py"}
    run.config["edits"] = [*run.edits, edit]
    if is_first_process():
        shutil.copyfile(source, run.folder / edit["file"])
        write_synced(run.folder / "config.json", json.dumps(run.config, indent=2) + "\n")
    return True


def find_runs(root: str | os.PathLike, experiment: str | None = None) -> list[RunFolder]:
    """The runs under a folder, oldest first; of one experiment, if it is named. The last is the one to resume.

    A folder whose config.json cannot be read is left out, with a note on standard error.
    """
    base = Path(root) / experiment if experiment else Path(root)
    found = [path.parent for path in base.glob("*/config.json" if experiment else "*/*/config.json")]
    return readable(sorted(found, key=age))


def age(folder: Path) -> tuple[str, int, str]:
    """Sort key of run folders, newest last: the date in the name, then the time of creation."""
    return folder.name.split("-s")[0], _created(folder), folder.name


def readable(folders: Iterable[Path]) -> list[RunFolder]:
    """The runs in folders; one that cannot be read is left out, with a note on standard error."""
    runs = []
    for folder in folders:
        try:
            runs.append(open_run(folder))
        except ValueError as error:
            print(f"note: left out: {error}", file=sys.stderr)
    return runs


def content_hash(path: str | os.PathLike) -> str:
    """16 hex digits of SHA-256 of a file."""
    return sha256(Path(path).read_bytes()).hexdigest()[:16]


def environment(source: str | os.PathLike | None = None) -> dict[str, Any]:
    """Versions, devices, git commit of the experiment's folder and command line of a run. Starts the backend."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = None
    versions["jaxdl"] = __version__
    kinds: dict[str, int] = {}
    for device in jax.devices():
        kinds[device.device_kind] = kinds.get(device.device_kind, 0) + 1
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "command": _command(),
        "versions": versions,
        "backend": jax.default_backend(),
        "devices": kinds,
        "processes": jax.process_count(),
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "git": _git(Path(source).absolute().parent if source is not None else Path.cwd()),
    }


def _command() -> str:
    import shlex

    words = list(sys.orig_argv)
    words[0] = Path(words[0]).name
    return shlex.join(words)


def _git(folder: Path) -> dict[str, Any] | None:
    """`{"commit", "dirty"}` of the repository around a folder, or None."""
    try:
        commit, status = (
            subprocess.run(
                ["git", "-C", str(folder), *words], capture_output=True, encoding="utf-8", timeout=5, check=True
            ).stdout.strip()
            for words in (["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no"])
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return {"commit": commit, "dirty": bool(status)}


def _new_folder(parent: Path, stem: str) -> Path:
    number = 1
    while True:
        folder = parent / (stem if number == 1 else f"{stem}-{number}")
        try:
            folder.mkdir()
        except FileExistsError:
            number += 1
        else:
            return folder


def _created(folder: Path) -> int:
    try:
        return (folder / "config.json").stat().st_mtime_ns
    except OSError:  # a dangling link, or gone since it was listed
        return 0


def _run_inside(folder: Path) -> Path | None:
    """The last run folder at most three levels down; no deeper, since the folder may be as large as a disk."""
    try:
        found = [path.parent for depth in (1, 2, 3) for path in folder.glob("*/" * depth + "config.json")]
    except OSError:  # files vanish, folders are forbidden
        return None
    return max(found, default=None)
