"""Where and how programs run: backend, compiler options, compilation cache, memory allocator. Never set on import.

    jaxdl.configure()                    # what the command line does; a notebook may, before its first computation
    jaxdl.configure("gpu", deterministic=True)

Only a missing device is an error. A compiler option that the installed compiler does not know, or a cache that cannot be
written, is recorded in `notes` (and by `doctor`), and jaxdl runs without it.
"""

import ctypes
import importlib.util
import json
import os
import pkgutil
import platform
import re
from functools import cache as once
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import jax
import jaxlib

from jaxdl import __version__, extras
from jaxdl.compilation_cache import cache_folder, cannot_write, set_cache
from jaxdl.counts import check_count
from jaxdl.types import UserError

Device = Literal["cpu", "gpu", "tpu"]

OPTIONS: dict[str, dict[str, Any]] = {
    # XLA's YNNPACK wins at dense products and reductions but loses at convolutions; those go back to Eigen:
    # ResNet-18 1.45x faster. With DOT alone, the reductions of batch norm become 2x slower.
    "cpu": {"xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_DOT,LIBRARY_FUSION_TYPE_REDUCE"},
    "deterministic gpu": {"xla_gpu_deterministic_ops": True, "xla_gpu_autotune_level": 0},
}
"""Compiler options by backend, given to each `jax.jit` and not through XLA_FLAGS, where an unknown one ends the process."""

_PLATFORMS = {"cpu": "cpu", "gpu": "cuda,cpu", "tpu": "tpu,cpu"}

notes: list[str] = []
"""One line for each setting that `configure` could not apply."""

_settings: dict[str, Any] = {"configured": False, "deterministic": False, "allocator": False}


def configure(
    device: Device | None = None,
    *,
    deterministic: bool = False,
    debug_nans: bool = False,
    devices: int | None = None,
    cache: bool = True,
    start: bool = True,
) -> list[str]:
    """Set the backend and its options, before the first computation. A second call with the same arguments has no effect.

    Args:
        device: cpu, gpu or tpu; None: what JAX_PLATFORMS says, else the fastest there is.
        deterministic: bitwise repeatable on GPUs too, and slower there (CPU and TPU always are).
        debug_nans: stop at the first operation that makes a NaN; slow.
        devices: split the CPU into this many virtual devices, to try parallel programs.
        cache: keep compiled programs between runs, in JAX_COMPILATION_CACHE_DIR or `compilation_cache.cache_folder()`.
        start: start the backend now, which checks that the device exists. Programs of several processes pass False, join
            `jax.distributed` and then call `start_backend`.

    Returns:
        `notes`. Raises UserError if the device does not exist, or if another backend is already running.
    """
    if device not in (None, *_PLATFORMS):
        raise UserError(f"device is {device!r}, should be cpu, gpu or tpu")
    check_count("devices", devices)
    if devices is not None and device in ("gpu", "tpu"):
        raise UserError(f"devices = {devices} splits the CPU, and device is {device!r}")
    if _started():
        _check_running(device, devices)
    else:
        if device is not None:
            jax.config.update("jax_platforms", _gpu_platforms() if device == "gpu" else _PLATFORMS[device])
        if devices is not None:
            jax.config.update("jax_platforms", "cpu")
            jax.config.update("jax_num_cpu_devices", devices)
        if (devices or 1) > 1 or not start:
            # XLA's thread pool: every device waits in a collective on a thread of its own, and where there are fewer
            # threads than waits, all wait for ever (400 steps without a pause on 8 devices and 2 cores: always)
            os.environ.setdefault("NPROC", str(max(os.cpu_count() or 1, 4 * (devices or 1), 16)))
    _settings.update(configured=True, deterministic=deterministic)
    compiler_options.cache_clear()
    jax.config.update("jax_debug_nans", debug_nans)
    if problem := set_cache(cache):
        _note(problem)
    if start:
        start_backend(device)
    return notes


def ensure() -> None:
    """Call `configure()` unless it was called before, as `train` does in a notebook."""
    if not _settings["configured"]:
        configure()


def start_backend(device: Device | None = None) -> list[jax.Device]:
    """Start the backend and return the devices of all processes. Raise UserError, listing what exists, if `device` does not."""
    reason = ""
    try:
        found = jax.devices()
    except RuntimeError as error:
        reason = f" [{str(error).split(' (set JAX_PLATFORMS')[0].splitlines()[0]}]"
        device = device or jax.config.jax_platforms
        jax.config.update("jax_platforms", "cpu")
        found = jax.devices()
    if device not in (None, jax.default_backend()):  # jax takes "cuda,cpu" without a GPU for the CPU
        there = ", ".join(sorted({f"{d.platform} ({d.device_kind})" for d in found}))
        hint = f"; {extras.command('cuda' if device == 'gpu' else device)}?" if device in ("gpu", "tpu") else ""
        raise UserError(f"device {device!r} is not here: there is only {there}{reason}{hint}")
    if jax.default_backend() == "cpu":
        _keep_memory()
    return found


@once
def compiler_options() -> dict[str, Any] | None:
    """Return the `compiler_options` of `jax.jit` for this backend. Starts the backend."""
    backend = jax.default_backend()
    if backend == "gpu":
        wanted = OPTIONS["deterministic gpu"] if _settings["deterministic"] else {}
    else:
        wanted = OPTIONS.get(backend, {})
    known = {name: value for name, value in wanted.items() if _known_options(backend, wanted)[name]}
    for name in wanted.keys() - known.keys():
        _note(f"jaxlib {jaxlib.__version__} does not know the option {name}: running without it")
    return known or None


def _known_options(backend: str, wanted: dict[str, Any]) -> dict[str, bool]:
    """Return which options the installed compiler takes. Each is tried once by compiling `x`; the answer is kept on disk."""
    path = cache_folder().parent / f"options-{jaxlib.__version__}-{backend}.json"
    asked = {name: f"{name}={value}" for name, value in wanted.items()}
    try:
        remembered = json.loads(path.read_text(encoding="utf-8"))
        return {name: bool(remembered[question]) for name, question in asked.items()}
    except (OSError, ValueError, LookupError, TypeError):
        pass
    known = {name: _compiles({name: value}) for name, value in wanted.items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(f".{os.getpid()}")
        new.write_text(json.dumps({asked[name]: answer for name, answer in known.items()}), encoding="utf-8")
        new.replace(path)
    except OSError:
        pass  # asked again next time: 0.02 s
    return known


def _compiles(options: dict[str, Any]) -> bool:
    try:
        jax.jit(lambda x: x, compiler_options=options).lower(0.0).compile()
    except Exception:  # the type depends on what is wrong with it and on the version
        return False
    return True


# -- backend ----------------------------------------------------------------------------------------------------------


def _started() -> bool:
    try:
        from jax._src.xla_bridge import backends_are_initialized  # there is no public way to ask without starting one
    except ImportError:
        return False
    return backends_are_initialized()


def _check_running(device: Device | None, devices: int | None) -> None:
    running, count = jax.default_backend(), jax.local_device_count()
    if device not in (None, running) or devices not in (None, count):
        asked = f"device={device!r}" if device not in (None, running) else f"devices={devices}"
        raise UserError(
            f"{asked} comes too late: the backend already runs on {running} ({count} device{'s' * (count > 1)}); "
            "configure before the first computation, or in a new process"
        )


def _gpu_platforms() -> str:
    spec = importlib.util.find_spec("jax_plugins")
    plugins = pkgutil.iter_modules(spec.submodule_search_locations) if spec else ()
    return "rocm,cpu" if any("rocm" in plugin.name for plugin in plugins) else _PLATFORMS["gpu"]


def _keep_memory() -> None:
    """Keep freed memory in the process (glibc): the buffers of a step then cost no page faults. A CNN: 28 -> 18 ms."""
    if _settings["allocator"] or platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL(None)
    M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
    libc.mallopt(M_MMAP_MAX, 0)
    libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
    libc.mallopt(M_TOP_PAD, 64 << 20)
    _settings["allocator"] = True


def give_back() -> None:
    """Return the memory that the compiler used to the kernel, after `_keep_memory` kept it. ResNet-18: 230 of 620 MB."""
    if _settings["allocator"]:
        ctypes.CDLL(None).malloc_trim(0)


def _note(line: str) -> None:
    if line not in notes:
        notes.append(line)


# -- doctor -----------------------------------------------------------------------------------------------------------


def doctor() -> list[tuple[str, bool, str]]:
    """Return what is installed, found and missing, as rows of (what, fine, text). Starts the backend."""
    devices = start_backend()
    kinds = sorted({f"{d.platform} ({d.device_kind})" for d in devices})
    rows = [("python", True, f"{platform.python_version()} on {platform.platform()}, {os.cpu_count()} cores")]
    rows.append(("jaxdl", True, __version__))
    for name in ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy"):
        version = _version(name)
        rows.append((name, version is not None, version or "not installed"))
    rows.append(("backend", True, f"{jax.default_backend()}: {len(devices)} x {', '.join(kinds)}"))
    rows.append(("processes", True, str(jax.process_count())))
    rows.append(_doctor_cache())
    backend = jax.default_backend()
    for name, known in _known_options(backend, OPTIONS.get(backend, {})).items():
        text = "known" if known else "unknown to this jaxlib: running without it, convolutions are slower"
        rows.append((f"XLA {name}", known, text))
    glibc = platform.libc_ver()[0] == "glibc"
    rows.append(
        ("allocator", glibc, "glibc, keeps freed memory" if glibc else "not glibc: small CNNs are slower on CPU")
    )
    for extra, packages in _extras().items():
        missing = [name for name in packages if _version(name) is None]
        rows.append((f"extra {extra}", not missing, f"misses {', '.join(missing)}" if missing else "complete"))
    return rows


def _doctor_cache() -> tuple[str, bool, str]:
    folder = Path(jax.config.jax_compilation_cache_dir or cache_folder())
    if "://" in str(jax.config.jax_compilation_cache_dir):
        return "cache", True, str(jax.config.jax_compilation_cache_dir)
    if problem := cannot_write(folder):
        return "cache", False, f"{folder}: {problem}; programs are compiled again in every run"
    sizes = [path.stat().st_size for path in folder.glob("*-cache")]
    return "cache", True, f"{folder}: {len(sizes)} programs, {sum(sizes) / 1e6:.1f} MB"


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _extras() -> dict[str, list[str]]:
    """The distributions that each extra needs."""
    named = {"jax[cuda13]": "jax-cuda13-plugin", "jax[tpu]": "libtpu"}
    listed = {
        extra: [re.split(r"[<>=!~ ;]", line)[0] for line in lines] for extra, lines in extras.requirements().items()
    }
    return {extra: [named.get(name, name.split("[")[0]) for name in names] for extra, names in listed.items()}
