"""Checkpoints across processes: other devices, two that write together, one that is killed, a full disk."""

import os
import signal
import socket
import subprocess
import sys
import textwrap

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxdl.record.checkpoint import Checkpoints, digest
from tests.programs import one_program


def python(code, *args, devices=1, **options):
    flags = f"--xla_force_host_platform_device_count={devices}"
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, args)],
        env={**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def drawn():
    return one_program(lambda: jax.random.normal(jax.random.key(3), (8, 6)))


@pytest.mark.slow
def test_restored_on_another_number_of_devices(tmp_path):
    save = """
        import sys, jax, numpy as np
        from jax.sharding import Mesh, NamedSharding, PartitionSpec as P
        from jaxdl.record.checkpoint import Checkpoints, digest
        assert len(jax.devices()) == 4
        mesh = Mesh(jax.devices(), "data")
        w = np.random.default_rng(3).normal(size=(8, 6)).astype(np.float32)
        state = {"w": jax.device_put(w, NamedSharding(mesh, P("data"))),
                 "key": jax.device_put(jax.random.key(1), NamedSharding(mesh, P()))}
        with Checkpoints(sys.argv[1]) as checkpoints:
            checkpoints.save(1, state)
        print(digest(state))
    """
    process = python(save, tmp_path, devices=4)
    out, err = process.communicate()
    assert process.returncode == 0, err
    here = NamedSharding(Mesh(jax.devices()[:1], "data"), P())
    for sharding in (None, here):
        target = {
            "w": jax.ShapeDtypeStruct((8, 6), jnp.float32, sharding=sharding),
            "key": jax.ShapeDtypeStruct((), jax.random.key(0).dtype, sharding=sharding),
        }
        state, _, _ = Checkpoints(tmp_path).restore(target)
        assert digest(state) == out.strip()
        assert sharding is None or state["w"].sharding == sharding
    np.testing.assert_array_equal(state["w"], np.random.default_rng(3).normal(size=(8, 6)).astype(np.float32))


TOGETHER = """
    import sys, jax, jax.numpy as jnp
    process, address, folder = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    jax.distributed.initialize(
        address, 2, process, cluster_detection_method="deactivate", coordinator_bind_address=address,
        initialization_timeout=300, heartbeat_timeout_seconds=100, shutdown_timeout_seconds=100,
    )
    from jax.sharding import Mesh, NamedSharding, PartitionSpec as P
    from jaxdl.record.checkpoint import Checkpoints, digest
    mesh = Mesh(jax.devices(), "data")
    sharding = {"w": NamedSharding(mesh, P("data")), "key": NamedSharding(mesh, P())}
    def state(step):
        return {"w": jax.random.normal(jax.random.key(3), (8, 6)) + step, "key": jax.random.key(1)}
    make = jax.jit(state, out_shardings=sharding)
    with Checkpoints(folder, keep=2) as checkpoints:
        for step in range(1, 5):
            checkpoints.save(step, make(jnp.float32(step)), metric=-abs(step - 1.0))
    shapes = jax.eval_shape(state, jnp.float32(0))
    target = jax.tree.map(lambda a, s: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=s), shapes, sharding)
    restored, _, step = checkpoints.restore(target)
    assert restored["w"].sharding == sharding["w"]
    print(checkpoints.steps(), checkpoints.best, step, digest(restored))
"""


@pytest.mark.slow
def test_two_processes_save_together_and_one_restores(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    processes = [python(TOGETHER, i, address, tmp_path, devices=2) for i in range(2)]
    results = [process.communicate(timeout=600) for process in processes]
    said = {out.splitlines()[-1] for out, _ in results}
    shapes = jax.eval_shape(lambda: {"w": jnp.zeros((8, 6)), "key": jax.random.key(0)})
    alone, _, _ = Checkpoints(tmp_path).restore(shapes)
    assert said == {f"[1, 3, 4] 1 4 {digest(alone)}"}, results
    np.testing.assert_allclose(alone["w"], drawn() + 4, rtol=1e-6)


FILL = """
    import sys, jax, jax.numpy as jnp
    from jaxdl.record.checkpoint import Checkpoints
    with Checkpoints(sys.argv[1], keep=2) as checkpoints:
        for step in range(1, 1000):
            checkpoints.save(step, {"w": jnp.full((256, 256), step), "v": jnp.full(7, -step)}, metric=float(step == 3))
            print(step, flush=True)
"""


@pytest.mark.slow
def test_killed_while_saving(tmp_path):
    process = python(FILL, tmp_path)
    target = {"w": jax.ShapeDtypeStruct((256, 256), jnp.int32), "v": jax.ShapeDtypeStruct((7,), jnp.int32)}
    while int(process.stdout.readline()) < 6:
        pass
    process.send_signal(signal.SIGKILL)
    process.communicate()
    checkpoints = Checkpoints(tmp_path)
    assert all(ok for _, ok, _ in checkpoints.verify())
    assert checkpoints.best == 3
    state, _, step = checkpoints.restore(target)
    assert step >= 4  # save 6 waited for 5, which committed before its old steps were dropped
    assert not checkpoints.notes
    np.testing.assert_array_equal(state["w"], step)
    np.testing.assert_array_equal(state["v"], -step)


FULL = """
    import resource, signal, sys, jax.numpy as jnp
    from jaxdl.record.checkpoint import Checkpoints, CheckpointError
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    checkpoints = Checkpoints(sys.argv[1])
    checkpoints.save(1, {"w": jnp.zeros(3)}); checkpoints.wait()
    # incompressible, and larger than a file may be from here on
    import jax; big = {"w": jax.random.bits(jax.random.key(0), (1 << 18,))}
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, resource.RLIM_INFINITY))
    try:
        checkpoints.save(2, big)
        checkpoints.wait()
        print("no error")
    except CheckpointError as error:
        print(error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    checkpoints.save(3, big); checkpoints.wait()
    print(checkpoints.steps())
"""


@pytest.mark.slow
def test_a_full_disk_is_said_in_one_line_and_the_last_good_step_stays(tmp_path):
    process = python(FULL, tmp_path)
    out, err = process.communicate()
    lines = out.splitlines()
    assert process.returncode == 0, err
    assert len(lines) == 2
    assert "cannot write the checkpoint of step 2" in lines[0]
    assert lines[0].endswith("step 1 is the last good one")
    assert lines[1] == "[1, 3]"
    assert err == ""  # no traceback of orbax either
    assert not list(tmp_path.glob("*.saving"))
    assert [ok for _, ok, _ in Checkpoints(tmp_path).verify()] == [True, True]


@pytest.mark.slow
def test_orbax_is_loaded_late():
    code = "import sys, jaxdl.record.checkpoint; print('orbax.checkpoint' in sys.modules)"
    out, err = python(code).communicate()
    assert out.strip() == "False", err
