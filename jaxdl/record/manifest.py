"""Files that are written completely or not at all, and the checksums of a folder.

`MANIFEST.json` holds the size and the CRC-32 of every file of its folder (about 6 GB/s to check).
"""

import json
import os
import shutil
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jaxdl.types import UserError

MANIFEST = "MANIFEST.json"


def write_manifest(folder: Path) -> None:
    """Record the files of a folder as they are now."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
    files = {path.relative_to(folder).as_posix(): [path.stat().st_size, _crc(path)] for path in paths}
    write_synced(folder / MANIFEST, json.dumps({"crc32": _crc_of_json(files), "files": files}, indent=1))


def find_damage(folder: Path) -> str:
    """The first damage among the files of a folder since `write_manifest`, in words; "" if there is none."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        files = dict(manifest["files"])
        if manifest["crc32"] != _crc_of_json(files):
            return f"{MANIFEST} is damaged"
    except FileNotFoundError:
        return f"{MANIFEST} is missing"
    except (OSError, ValueError, LookupError, TypeError) as error:
        return f"{MANIFEST} cannot be read ({type(error).__name__})"
    for name, (size, crc) in files.items():
        try:
            found = (folder / name).stat().st_size
            if found != size:
                return f"{name} has {found} bytes instead of {size}"
            if _crc(folder / name) != crc:
                return f"{name} is damaged (its checksum differs)"
        except FileNotFoundError:
            return f"{name} is missing"
        except OSError as error:
            return f"{name} cannot be read ({error.strerror})"
    return ""


def write_synced(path: Path, text: str) -> None:
    """Replace a file atomically, after the new text is on the disk: a crash or a full disk leaves the old or the new file."""
    with replacing(path) as new, open(new, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def json_or_none(path: Path, say: Callable[[str], None] | None = None) -> Any:
    """The content of a JSON file that a resume can write again; None if there is no file.

    A damaged file is a UserError. With `say` it is kept as `<name>.damaged`, `say` is called with a note, and there is no file.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        if say is None:
            raise UserError(f"{path} is damaged; resuming makes it again") from None
        kept = path.rename(path.with_name(f"{path.name}.damaged"))
        say(f"note: {path} was damaged (kept as {kept.name}): what it held is computed again")
        return None


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path in the same folder to write to; it is renamed to `path` at the end of the block, or removed after an error."""
    new = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        yield new
        os.replace(new, path)
    finally:
        shutil.rmtree(new) if new.is_dir() else new.unlink(missing_ok=True)


@contextmanager
def result_file(path: Path) -> Iterator[Path]:
    """As `replacing`, for what a user asked for: make its folder, and raise a UserError of one line if it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as new:
            yield new
    except OSError as error:
        raise UserError(f"cannot write {path}: {reason(error)}") from None


def reason(error: BaseException) -> str:
    """Why a file operation failed, in one short line."""
    text = str(error)
    if "RESOURCE_EXHAUSTED" in text or "No space left" in text:
        return "no space left on the device"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    line = next((line for line in text.splitlines() if line.strip()), type(error).__name__)
    return line if len(line) <= 200 else line[:197] + "..."


def _crc(path: Path) -> int:
    crc = 0
    with open(path, "rb") as file:
        while block := file.read(1 << 22):
            crc = zlib.crc32(block, crc)
    return crc


def _crc_of_json(value: Any) -> int:
    return zlib.crc32(json.dumps(value, sort_keys=True).encode())
