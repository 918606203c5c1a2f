"""Compiled programs outlive the process that made them; what cannot be written, or was written by half, does no harm."""

import os
import subprocess
import sys
import time
from importlib import import_module

import pytest

from jaxdl import runtime
from jaxdl.compilation_cache import WRITING, cache_folder, mend

python = import_module("tests.test_runtime").python


@pytest.mark.slow
def test_a_cache_that_cannot_be_written_is_done_without(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    notes, options, answer = python(
        """
        runtime.configure()
        print(json.dumps([runtime.notes, runtime.compiler_options(), float(jax.jit(lambda x: x + 1)(1.0))]))
        """,
        XDG_CACHE_HOME=str(tmp_path / "file"),
    )
    assert len(notes) == 1
    assert "compiled programs are not kept" in notes[0]
    assert "Not a directory" in notes[0]
    assert answer == 2.0
    assert options == runtime.OPTIONS["cpu"]


DOUBLE = """
import jax
from jaxdl import runtime
jax.monitoring.register_event_listener(lambda name, **_: print(name))
runtime.configure("cpu")
print("answer", jax.jit(lambda x: x * 2)(3.0))
"""
HIT, MISS = "/jax/compilation_cache/cache_hits", "/jax/compilation_cache/cache_misses"


def double(tmp_path):
    env = {k: v for k, v in os.environ.items() if not k.startswith(("JAX_", "XLA_"))} | {
        "XDG_CACHE_HOME": str(tmp_path)
    }
    done = subprocess.run([sys.executable, "-c", DOUBLE], capture_output=True, text=True, env=env, check=True)
    lines = done.stdout.splitlines()
    assert lines[-1] == "answer 6.0"
    return [line for line in lines if line in (HIT, MISS)], done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("kept", [0, 20])
def test_half_a_program_is_compiled_again_without_a_word(kept, tmp_path):
    """As after a kill in the middle of writing: once, then it is kept whole."""
    assert HIT not in double(tmp_path)[0]
    assert MISS not in double(tmp_path)[0]
    for path in tmp_path.glob("jaxdl/xla-*/*-cache"):
        whole = path.read_bytes()
        path.write_bytes(whole[:kept])
        os.utime(path, (path.stat().st_atime, time.time() - WRITING))
    events, error = double(tmp_path)
    assert HIT not in events
    assert error == ""
    events, error = double(tmp_path)
    assert MISS not in events
    assert error == ""


def test_a_program_is_looked_at_once_and_nothing_else_is_removed(tmp_path):
    old, new, note = (tmp_path / name for name in ("old-cache", "new-cache", "note"))
    now, hour = time.time(), 3600
    write = lambda path, ago: (path.write_bytes(b"no program"), os.utime(path, (now - ago, now - ago)))
    write(old, hour)
    write(note, hour)
    write(new, 0)  # another process may be writing it
    mend(tmp_path)
    assert not old.exists()
    assert new.exists()
    write(old, hour)  # before the last look
    os.utime(tmp_path / ".checked", (now - 100, now - 100))
    write(new, 50)
    mend(tmp_path)
    assert old.exists()
    assert not new.exists()
    assert note.exists()
    mend(tmp_path / "nowhere")  # not an error


def test_the_folder_is_named_after_the_processor(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder().parent == tmp_path / "jaxdl"
    assert cache_folder().name.startswith("xla-")


@pytest.mark.slow
def test_a_bucket_is_left_to_jax(tmp_path):
    code = """
        runtime.configure()
        print(json.dumps([runtime.notes, jax.config.jax_compilation_cache_dir]))
    """
    env = {"JAX_COMPILATION_CACHE_DIR": "gs://bucket/programs", "XDG_CACHE_HOME": str(tmp_path)}
    assert python(code, **env) == [[], env["JAX_COMPILATION_CACHE_DIR"]]
    assert not list(tmp_path.rglob("gs:*"))
