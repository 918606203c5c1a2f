"""Settings of the whole suite: strict numerics, one shared compilation cache, no network, a limit on compiled programs."""

import gc
import getpass
import importlib.util
import os
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # PyTorch's threads spin while they wait: a tenth of a parity test
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")  # for processes that tests start, too
if "xla_backend_optimization_level" not in os.environ.get("XLA_FLAGS", ""):
    # XLA's own passes stay; LLVM's are most of compiling, and compiling is what the suite does. CI runs some of them.
    flags = [f"--xla_backend_optimization_level={1 if os.environ.get('CI') else 0}"]
    flags += ["--xla_cpu_parallel_codegen_split_count=1"]
    if version("jaxlib").startswith("0.10."):  # the older emitters of small kernels; later versions have no others
        flags += ["--xla_cpu_use_fusion_emitters=false"]
    os.environ["XLA_FLAGS"] = " ".join([os.environ.get("XLA_FLAGS", ""), *flags]).strip()

import jax
import pytest

from jaxdl.compilation_cache import cache_folder, mend
from tests import programs

collect_ignore_glob = ["golden/*.py", "pretrained/oracles*.py"]  # no tests: they need PyTorch to be imported

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:  # else jax knows it; set for processes that tests start, too
    kept = os.path.join(tempfile.gettempdir(), f"jaxdl-tests-{getpass.getuser()}", cache_folder().name)
    os.environ["JAX_COMPILATION_CACHE_DIR"] = kept
    jax.config.update("jax_compilation_cache_dir", kept)
    os.makedirs(kept, mode=0o700, exist_ok=True)
    mend(Path(kept))


def pytest_configure(config):
    config.pluginmanager.register(programs, "programs")


def pytest_collection_finish(session):
    """The garbage collector leaves modules and collected tests alone and comes by less often: a tenth of the suite's time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


HERE = Path(__file__).parent
ROOT = HERE.parent


def load_module(path):
    """A Python file as a module, once per process, so that its `config` is one function and its programs are shared."""
    name = f"jaxdl_test_{path.stem}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture(scope="session")
def tiny():
    """The module tests/tiny.py: `tiny.config(steps=...)`."""
    return load_module(HERE / "tiny.py")


@pytest.fixture(scope="session")
def tiny_file():
    """Its path, for the command line."""
    return HERE / "tiny.py"


@pytest.fixture(scope="session")
def trained(tiny, tmp_path_factory):
    """A finished run of the tiny experiment, for whoever only reads it."""
    from jaxdl import train

    return train(tiny.config, run=tmp_path_factory.mktemp("runs"), quiet=True)


@pytest.fixture
def unreported(monkeypatch):
    """Runs and sweeps end without report and pictures, which are most of what a small run costs; for tests of other things."""
    monkeypatch.setattr("jaxdl.record.report.write_report", lambda *_: None)
    monkeypatch.setattr("jaxdl.record.sweep_report.write_sweep_report", lambda *_: ("", {}))
