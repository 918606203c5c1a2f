"""Find and open sets of Hugging Face `datasets`: files, folders, the hub and its cache; the only module that imports it.

A set of the hub is asked for once. Without a network its cache is read, or one line says what to run, within a second: `datasets`
itself tries for half a minute.
"""

import os
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from jaxdl import extras
from jaxdl.data.walker import list_files
from jaxdl.types import UserError

READERS = {
    **{".parquet": "parquet", ".json": "json", ".jsonl": "json", ".ndjson": "json", ".arrow": "arrow"},
    **{".csv": "csv", ".tsv": "csv"},
}
"""Ending of a file -> the builder of `datasets` that reads it."""
PARTS = {"train": "train", **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"), "test": "test"}
"""What a split is called -> the part it becomes."""
TRUE = {"1", "ON", "YES", "TRUE"}
"""What switches a setting of the hub on, in any case."""
PATIENCE = 0.8
"""Seconds that the hub has to answer."""


def _package() -> Any:
    try:
        import datasets
    except ModuleNotFoundError as error:
        raise extras.missing("hub.dataset", error, "hub") from None
    return datasets


def local_splits(path: Path, config: str | None, revision: str | None) -> Mapping[str, Any]:
    """The splits of a file or a folder."""
    if config or revision:
        raise UserError(f"{path}: config and revision are for sets of the hub; this one lies here")
    datasets, saved = _package(), path / "dataset_dict.json"
    with _told(str(path)):
        if saved.is_file() or (path / "state.json").is_file():
            found = datasets.load_from_disk(str(path))
            return found if saved.is_file() else {"train": found}
        files = [str(path)] if path.is_file() else list_files(path, READERS).files
        kinds = sorted({READERS.get(Path(file).suffix.lower(), Path(file).suffix) for file in files})
        if len(kinds) != 1 or kinds[0] not in READERS.values():
            what = f"holds files of {len(kinds)} kinds" if len(kinds) > 1 else "is none of"
            raise UserError(
                f"{path}: {what} ({', '.join(kinds)}); one kind is read: {', '.join(READERS)}, or save_to_disk"
            )
        where = (
            {"data_files": files} if path.is_file() else {"data_dir": str(path), "data_files": _by_split(path, files)}
        )
        extra = {"sep": "\t"} if files[0].lower().endswith(".tsv") else {}
        return datasets.load_dataset(kinds[0], **where, **extra)


def _by_split(path: Path, files: Sequence[str]) -> Mapping[str, list[str]]:
    """Files by the split that their name or folder begins with: train-00000-of-00002.parquet, test/0.json; all others train."""
    found: dict[str, list[str]] = {}
    for file in files:
        words = [word.split("-")[0].split("_")[0].split(".")[0].lower() for word in Path(file).relative_to(path).parts]
        found.setdefault(next((PARTS[word] for word in words if word in PARTS), "train"), []).append(file)
    return found


def hub_splits(name: str, config: str | None, revision: str | None) -> Mapping[str, Any]:
    """The splits of a set of the hub: asked for, or from the cache without a network and for a full commit.

    `datasets` is imported once it has something to read.
    """
    if find_spec("datasets") is None:
        _package()
    if not 1 <= len(words := name.split("/")) <= 2 or not all(words):
        raise FileNotFoundError(f"{name}: no such file or folder, and no name of the hub (name, or owner/name)")
    home = Path(
        os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    ).expanduser()
    place = Path(os.environ.get("HF_DATASETS_CACHE") or home / "datasets").expanduser()
    switched_off = any(os.environ.get(key, "").upper() in TRUE for key in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"))
    pinned = revision is not None and len(revision) == 40 and not set(revision) - set("0123456789abcdef")
    if revision and not pinned:  # a tag or a branch: what it meant when it was asked for
        ref = home / "hub" / f"datasets--{name.replace('/', '--')}" / "refs" / revision
        commit = ref.read_text(encoding="utf-8").strip() if ref.is_file() else "unknown"
    else:
        commit = revision
    here = _cached(place, name, config, commit)
    if not (switched_off or (here and pinned)) and _reachable():
        with _told(name):
            return _package().load_dataset(name, config, revision=revision)
    if here:
        return _prepared(here, name, place)
    why = "HF_HUB_OFFLINE or HF_DATASETS_OFFLINE is set" if switched_off else f"{_endpoint()} does not answer"
    given = ", ".join([repr(name), *([repr(config)] if config else []), *([f"{revision=}"] if revision else [])])
    raise FileNotFoundError(
        f"{name}{f' at {revision}' if revision else ''} is not in {place}, and {why}; run once, with a network: "
        f'{extras.python()} -c "import datasets; datasets.load_dataset({given})"'
    )


def _cached(place: Path, name: str, config: str | None, commit: str | None) -> Path | None:
    """The newest prepared copy of a set, of the given commit: folder/<owner>___<name>/<configuration>/<version>/<commit>."""
    wanted = name.replace("/", "").replace("_", "").lower()
    roots = [root for root in place.glob("*") if root.name.replace("_", "").lower() == wanted]
    found = [
        path.parent for root in roots for path in root.glob(f"{config or '*'}/*/{commit or '*'}/dataset_info.json")
    ]
    if len(configs := {path.parts[-3] for path in found}) > 1:
        raise UserError(f"{name} has the configurations {', '.join(sorted(configs))}: give config=")
    return max(found, key=lambda path: path.stat().st_mtime, default=None)


def _prepared(folder: Path, name: str, place: Path) -> Any:
    """The splits in a folder of the cache."""
    _package()
    from datasets.packaged_modules.cache.cache import Cache

    *_, config, version, commit = folder.parts
    with _told(name):
        last = name.rpartition("/")[2]
        return Cache(str(place), last, config, version, commit, repo_id=name).as_dataset()


def with_classes(parts: Mapping[str, Any], y: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Splits with class numbers as targets, and the names of the classes, where the features declare none."""
    values = {value for rows in parts.values() for value in rows.unique(y)}
    if all(isinstance(value, int) for value in values):
        return {**parts}, tuple(map(str, range(max(values) + 1)))
    names = sorted(map(str, values))
    return {part: rows.cast_column(y, _package().ClassLabel(names=names)) for part, rows in parts.items()}, tuple(names)


def _endpoint() -> str:
    return getproxies().get("https") or os.environ.get("HF_ENDPOINT") or "https://huggingface.co"


def _reachable() -> bool:
    """Whether the hub, or the proxy before it, takes a connection at once. `datasets` itself tries for half a minute."""
    at, answered = urlsplit(_endpoint()), threading.Event()

    def ask() -> None:
        with suppress(OSError):
            port = at.port or (80 if at.scheme == "http" else 443)
            socket.create_connection((at.hostname or "", port), PATIENCE).close()
            answered.set()

    asking = threading.Thread(target=ask, daemon=True)  # asking for an address may hang, and knows no time limit
    asking.start()
    asking.join(PATIENCE)
    return answered.is_set()


@contextmanager
def _told(name: str) -> Iterator[None]:
    """Errors of `datasets` in one line, with their cause."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # pyarrow's, pandas', the hub's and its own
        cause = error.__cause__ or error
        reason = " ".join(str(cause).split())[:300]
        raise UserError(f"{name}: is not read by datasets ({type(cause).__name__}: {reason})") from None
