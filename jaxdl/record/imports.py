"""The local files that an experiment file imports: a run records their hashes."""

import ast
import sys
import sysconfig
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

PACKAGE = Path(__file__).resolve().parents[1]
INSTALLED = tuple(
    Path(folder).resolve()
    for name, folder in sysconfig.get_paths().items()
    if name in ("stdlib", "platstdlib", "purelib", "platlib")
)


def local_imports(source: Path) -> dict[str, str]:
    """path -> hash of the local modules that a loaded experiment file imports, directly or through others."""
    found: dict[str, str] = {}
    waiting = [source.resolve()]
    while waiting:
        for path in imported_by(waiting.pop()):
            if str(path) not in found and path != source.resolve():
                found[str(path)] = hash_if_readable(path)
                waiting.append(path)
    return found


def imported_by(source: Path) -> list[Path]:
    """The local files among the loaded modules that a file imports."""
    try:
        tree = ast.parse(source.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return []
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parents = package_of(source).split(".") if node.level else []
            base = ".".join([*parents[: len(parents) - node.level + 1], *([node.module] if node.module else [])])
            names |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    paths = {file_of(sys.modules[part]) for name in names for part in prefixes(name) if part in sys.modules}
    return sorted(path for path in paths if path is not None and is_local(path))


def package_of(source: Path) -> str:
    """The package of the loaded module of a file."""
    return next((m.__package__ or "" for m in list(sys.modules.values()) if file_of(m) == source), "")


def prefixes(name: str) -> list[str]:
    """a.b.c -> a, a.b and a.b.c, which an import of a.b.c executes."""
    parts = name.split(".")
    return [".".join(parts[: i + 1]) for i in range(len(parts))]


def file_of(module: ModuleType) -> Path | None:
    """The Python file of a module."""
    file = getattr(module, "__file__", None)
    return Path(file).resolve() if isinstance(file, str) and file.endswith(".py") else None


def is_local(path: Path) -> bool:
    """Whether a file belongs neither to Python, nor to a library, nor to jaxdl."""
    return not any(folder in path.parents for folder in (*INSTALLED, PACKAGE))


def changed_since(config: Mapping[str, Any]) -> list[str]:
    """The recorded files that were changed or removed since a run was trained."""
    return [path for path, was in config.get("imports", {}).items() if hash_if_readable(Path(path)) != was]


def hash_if_readable(path: Path) -> str:
    """16 hex digits of SHA-256 of a file, "" if it cannot be read."""
    try:
        return sha256(path.read_bytes()).hexdigest()[:16]
    except OSError:
        return ""
