"""The cache of compiled programs on disk: its folder, named after the processor, and the removal of truncated files."""

import os
import platform
import time
from contextlib import suppress
from functools import cache as once
from hashlib import sha256
from pathlib import Path

import jax

WRITING = 1.0
"""Seconds within which a program that has begun to be written is whole."""


def cache_folder() -> Path:
    """`~/.cache/jaxdl/xla-<processor>`, under XDG_CACHE_HOME where that is set.

    Named after the processor, because a home folder may be shared and a program compiled for AVX-512 crashes without it.
    """
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "jaxdl" / f"xla-{_processor()}"


@once
def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        features = next(line for line in lines if line.startswith(("flags", "Features")))
    except (OSError, StopIteration):
        features = f"{platform.system()} {platform.processor()}"
    return f"{platform.machine()}-{sha256(features.encode()).hexdigest()[:8]}"


def set_cache(wanted: bool) -> str:
    """Keep compiled programs in JAX_COMPILATION_CACHE_DIR or `cache_folder()`, or nowhere.

    Returns:
        Why programs cannot be kept, in one line; "" if they can.
    """
    if not wanted:
        jax.config.update("jax_enable_compilation_cache", False)
        return ""
    jax.config.update("jax_enable_compilation_cache", True)
    chosen = jax.config.jax_compilation_cache_dir
    if chosen and "://" in chosen:  # a bucket, which is jax's to write
        return ""
    folder = Path(chosen or cache_folder())
    problem = cannot_write(folder)
    if problem:
        jax.config.update("jax_enable_compilation_cache", False)
        return f"compiled programs are not kept: {folder} cannot be written ({problem})"
    if not chosen:  # else the user has chosen, and may have chosen what enters too
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    mend(folder)
    return ""


def cannot_write(folder: Path) -> str:
    """Return why a folder cannot be written; "" if it can. Makes the folder."""
    probe = folder / f".write-{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe.touch()
        probe.unlink(missing_ok=True)  # processes in several containers may have one number
    except OSError as error:
        return error.strerror or type(error).__name__
    return ""


def mend(folder: Path) -> None:
    """Remove programs that were only partly written because a process was killed or the disk was full.

    jax never overwrites a file of the cache, so it would warn of a damaged one and compile the program in every run. Each file is
    checked once: the modification time of `.checked` records how far. Files of the last seconds are checked the next time,
    because another process may be writing them.
    """
    stamp, until = folder / ".checked", time.time() - WRITING
    try:
        checked = stamp.stat().st_mtime if stamp.exists() else 0.0
        programs = ((e.stat().st_mtime, e.path) for e in os.scandir(folder) if e.name.endswith("-cache"))
        new = [path for written, path in programs if checked <= written < until]
        for path in map(Path, new):
            with suppress(OSError):  # another process may have removed it, or another user own it
                if not _whole(path.read_bytes()):
                    path.unlink()
        stamp.touch()
        os.utime(stamp, (until, until))
    except OSError:
        pass  # looked at next time


def _whole(program: bytes) -> bool:
    """Return whether a file can be decompressed; True if that cannot be decided."""
    try:
        from jax._src.compilation_cache import decompress_executable  # jax has no public way to read one
    except ImportError:
        return True
    try:
        decompress_executable(program)
    except Exception:  # of zlib, zstandard or compression.zstd, whichever jax found
        return False
    return True
