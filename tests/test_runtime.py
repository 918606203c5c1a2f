"""The runtime: set once, never on import, never fatal but for a device that is not there."""

import json
import os
import subprocess
import sys
import textwrap

import jax
import pytest

from jaxdl import runtime


def python(code, **env):
    """Run a script in a new process, where no backend has started; the last line it printed, as JSON."""
    code = "import json, jax\nfrom jaxdl import runtime\n" + textwrap.dedent(code)
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("JAX_", "XLA_", "XDG_"))}
    result = subprocess.run([sys.executable, "-c", code], env={**inherited, **env}, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


@pytest.mark.slow
def test_importing_sets_nothing_and_configuring_twice_changes_nothing(tmp_path):
    before, started, once, twice, seconds = python(
        """
        from jax._src.xla_bridge import backends_are_initialized as started
        def settings():
            names = ("jax_compilation_cache_dir", "jax_platforms", "jax_debug_nans", "jax_enable_compilation_cache",
                     "jax_persistent_cache_min_compile_time_secs")
            return {name: getattr(jax.config, name) for name in names}
        before, running = settings(), started()
        runtime.configure("cpu", devices=2)
        once = settings()
        runtime.configure("cpu", devices=2)
        jax.jit(lambda x: x + 1)(1.0)
        print(json.dumps([before, running, once, settings(), len(jax.devices())]))
        """,
        XDG_CACHE_HOME=str(tmp_path),
    )
    assert (before["jax_compilation_cache_dir"], before["jax_platforms"], started) == (None, None, False)
    assert once == twice
    assert once["jax_platforms"] == "cpu"
    assert seconds == 2
    (folder,) = tmp_path.glob("jaxdl/xla-*")
    assert once["jax_compilation_cache_dir"] == str(folder)
    assert list(folder.glob("*-cache"))  # a program compiled in 5 ms is kept too


@pytest.mark.slow
def test_an_option_the_compiler_does_not_know_is_noted_and_remembered(tmp_path):
    code = """
        runtime.OPTIONS["cpu"] = {"xla_no_such_option": "1", **runtime.OPTIONS["cpu"]}
        runtime.configure("cpu")
        print(json.dumps([runtime.compiler_options(), runtime.notes]))
    """
    for _ in range(2):
        options, notes = python(code, XDG_CACHE_HOME=str(tmp_path))
        assert list(options) == ["xla_cpu_experimental_ynn_fusion_type"]
        assert notes == [
            f"jaxlib {jax.lib.__version__} does not know the option xla_no_such_option: running without it"
        ]
    (memory,) = (tmp_path / "jaxdl").glob("options-*.json")
    assert json.loads(memory.read_text(encoding="utf-8"))["xla_no_such_option=1"] is False
    memory.write_text("{", encoding="utf-8")  # damaged: asked again
    assert python(code, XDG_CACHE_HOME=str(tmp_path))[0] == options


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"device": "cuda"}, "device is 'cuda', should be cpu, gpu or tpu"),
        ({"device": "gpu", "devices": 2}, "devices = 2"),
        ({"devices": 0}, "devices = 0"),
        ({"devices": 77}, "devices=77 comes too late: the backend already runs on"),
    ],
)
def test_what_cannot_be_configured(arguments, message):
    jax.devices()
    with pytest.raises(ValueError, match=message):
        runtime.configure(**arguments)


def test_another_device_comes_too_late():
    other = "tpu" if jax.default_backend() == "cpu" else "cpu"
    with pytest.raises(ValueError, match=f"device='{other}' comes too late: the backend already runs on"):
        runtime.configure(other)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("device", "platforms", "message"),
    [
        ("tpu", "", "device 'tpu' is not here: there is only "),
        (None, "nonsense", "device 'nonsense' is not here: there"),
    ],
)
def test_a_device_that_is_not_there_is_said_in_one_line(device, platforms, message):
    error = python(
        f"""
        try:
            runtime.configure({device!r}, cache=False)
        except ValueError as error:
            print(json.dumps(str(error)))
        """,
        JAX_PLATFORMS=platforms,
    )
    assert message in error
    assert "\n" not in error


@pytest.mark.slow
def test_the_allocator_is_set_on_glibc():
    code = "runtime.configure('cpu', cache=False); print(json.dumps(runtime._settings['allocator']))"
    assert python(code) is (runtime.platform.libc_ver()[0] == "glibc")


def test_the_doctor_sees_what_is_missing(monkeypatch):
    rows = {name: (fine, text) for name, fine, text in runtime.doctor()}
    assert rows["jax"] == (True, jax.__version__)
    assert rows["backend"][1].startswith(f"{jax.default_backend()}: {len(jax.devices())} x ")
    assert "programs" in rows["cache"][1]
    assert rows["XLA xla_cpu_experimental_ynn_fusion_type"] == (True, "known")
    monkeypatch.setattr(runtime, "_extras", lambda: {"whole": ["numpy"], "torn": ["numpy", "no-such-package"]})
    rows = {name: (fine, text) for name, fine, text in runtime.doctor()}
    assert rows["extra whole"] == (True, "complete")
    assert rows["extra torn"] == (False, "misses no-such-package")


def test_the_extras_are_those_of_the_project():
    extras = runtime._extras()
    assert {"test", "parity", "notebooks", "tfds", "cuda", "tpu"} <= extras.keys()
    assert "pytest" in extras["test"]
    assert extras["cuda"] == ["jax-cuda13-plugin"]
