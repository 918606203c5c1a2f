"""Training one model with several processes: how they connect, agree and end together.

    python -m jaxdl train EXPERIMENT.py --coordinator host0:8476 --num-processes 2 --process-id 0      (1 on the next host)

Slurm, Open MPI, Kubernetes and Cloud TPU set this in the environment, so no flag is needed there. Every process computes its
share of each global batch; the first one writes the run folder, which must lie on a disk that all of them can read.

If a process dies or hangs, the others would wait in a collective forever. Three things end them: a missing heartbeat
(`HEARTBEAT` seconds), an exception (which ends a process at once, without waiting for the others at exit), and a watchdog that
ends a process whose steps have stopped.
"""

import ctypes
import faulthandler
import importlib.util
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import jax
import numpy as np

from jaxdl.engine.signals import kill_children
from jaxdl.types import UserError

HEARTBEAT = 10
"""Seconds without a sign of life after which a process counts as dead, and the others end."""

MEETING = 120
"""Seconds that processes wait for each other at the start, and at the end of the program."""

WATCHDOG = 300.0
"""Seconds without progress that a run of several processes allows; one process has no watchdog unless asked."""

LOST = ("Gloo", "NCCL", "Connection closed by peer", "Connection reset by peer", "heartbeat")
"""Words of errors that a process sees when another one is gone."""

STUCK = 86
"""Exit code of a process that its watchdog ended."""


def launcher(env: Mapping[str, str] = os.environ) -> str | None:
    """Return the launcher that started several processes, found in the environment as `jax.distributed` does; None without one.

    >>> launcher({"SLURM_JOB_ID": "7", "SLURM_STEP_NODELIST": "n[1-2]", "SLURM_NTASKS": "2", "SLURM_PROCID": "0"})
    'Slurm'
    >>> launcher({"SLURM_JOB_ID": "7", "SLURM_NTASKS": "1"}) is launcher({}) is None
    True
    """
    if "SLURM_PROCID" in env and "SLURM_STEP_NODELIST" in env and int(env.get("SLURM_NTASKS", "1")) > 1:
        return "Slurm"
    if int(env.get("OMPI_COMM_WORLD_SIZE", "1")) > 1:
        return "Open MPI"
    if "KUBERNETES_SERVICE_HOST" in env and "JOB_COMPLETION_INDEX" in env:
        return "Kubernetes"
    if "," in env.get("TPU_WORKER_HOSTNAMES", "") or "MEGASCALE_COORDINATOR_ADDRESS" in env:
        return "Cloud TPU"
    return None


def expected(coordinator: str | None, processes: int | None, process: int | None) -> bool:
    """Return whether this is one of several processes. Raise UserError if only some of the three flags are given."""
    given = [coordinator is not None, processes is not None, process is not None]
    if any(given) and not all(given):
        raise UserError("--coordinator host:port, --num-processes N and --process-id I go together: give all three")
    if all(given) and not 0 <= process < processes:
        raise UserError(f"--process-id {process} must lie in 0 … {processes - 1}, --num-processes is {processes}")
    if all(given) and not coordinator.rpartition(":")[2].isdecimal():
        raise UserError(f"--coordinator {coordinator!r} should be host:port, as in 10.0.0.1:8476")
    return all(given) or launcher() is not None or _on_tpu_vm()


def join(coordinator: str | None, processes: int | None, process: int | None) -> None:
    """Connect to the other processes, before the backend starts. The first process listens at `coordinator`."""
    jax.config.update("jax_enable_preemption_service", False)  # it would swallow SIGTERM; the loop has its own handler
    address = {}
    if coordinator is not None:
        address = {"coordinator_address": coordinator, "num_processes": processes, "process_id": process}
        if coordinator.startswith(("127.", "localhost:")):
            address["coordinator_bind_address"] = coordinator  # by default it listens on every interface
    try:
        jax.distributed.initialize(
            **address,
            cluster_detection_method="deactivate" if address else None,
            initialization_timeout=MEETING,
            heartbeat_timeout_seconds=HEARTBEAT,
            shutdown_timeout_seconds=MEETING,
        )
    except ValueError:
        if address or launcher() is not None:
            raise
        # a TPU machine that belongs to no group: one process
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"the processes did not meet at {coordinator or launcher()} in {MEETING} s: {reason}") from None


def _on_tpu_vm() -> bool:
    if os.environ.get("JAX_PLATFORMS", "tpu").split(",")[0] != "tpu" or importlib.util.find_spec("libtpu") is None:
        return False
    return any(Path("/dev").glob("accel*")) or any(Path("/dev/vfio").glob("[0-9]*"))


# -- agreement ---------------------------------------------------------------------------------------------------------


def agree(length: int, number: int | None, stop: bool = False) -> tuple[int, int | None, bool]:
    """Return the shortest length, any signal and any request to stop of all processes, so that all run the same chunk."""
    if jax.process_count() == 1:
        return length, number, stop
    from jax.experimental import multihost_utils

    all_of_them = np.asarray(multihost_utils.process_allgather(np.asarray([length, number or 0, stop], np.int32)))
    most = all_of_them.max(0)
    return int(all_of_them[:, 0].min()), int(most[1]) or None, bool(most[2])


def from_first(text: str) -> str:
    """Return the text of the first process, in every process."""
    if jax.process_count() == 1:
        return text
    from jax.experimental import multihost_utils

    room = np.zeros(4096, np.uint8)
    data = np.frombuffer(text.encode(), np.uint8)[: room.size]
    room[: data.size] = data
    return bytes(np.asarray(multihost_utils.broadcast_one_to_all(room))).rstrip(b"\0").decode()


# -- ending together ---------------------------------------------------------------------------------------------------


@dataclass
class Pulse:
    """What a run was doing last, and since when."""

    step: int = 0
    doing: str = "starting"
    since: float = field(default_factory=time.monotonic)
    seen: set[str] = field(default_factory=set)
    first: bool = True


pulse = Pulse()


def beat(step: int, doing: str) -> None:
    """Record a sign of life: the run has reached `step` and starts `doing`."""
    pulse.first = doing not in pulse.seen
    pulse.seen.add(doing)
    pulse.step, pulse.doing, pulse.since = step, doing, time.monotonic()


def place() -> str:
    """'process 1 of 2, training after step 120'."""
    count = jax.process_count()
    who = f"process {jax.process_index()} of {count}, " if count > 1 else ""
    return f"{who}{pulse.doing} after step {pulse.step}"


def limit(seconds: float) -> float:
    """Return how long the present activity may last. The first time it compiles: ten times as long, at least 10 minutes.

    >>> beat(0, "a doctest"), limit(60.0), beat(1, "a doctest"), limit(60.0)
    (None, 600.0, None, 60.0)
    """
    return max(10 * seconds, 600.0) if pulse.first else seconds


@contextmanager
def watchdog(seconds: float | None) -> Iterator[None]:
    """End this process with exit code 86 if the run shows no sign of life for `seconds`.

    With several processes, one that fails ends at once with exit code 1, so that the others do not wait for it.
    """
    if seconds is None:
        seconds = WATCHDOG if jax.process_count() > 1 else None
    if seconds is None:
        yield
        return
    _say_where_it_aborted()
    done = threading.Event()

    def watch() -> None:
        while not done.wait(min(1.0, seconds / 4)):
            silent = time.monotonic() - pulse.since
            if silent > limit(seconds):
                faulthandler.dump_traceback(all_threads=True)
                others = (
                    "another process hangs or has died, or this one is stuck" if jax.process_count() > 1 else "stuck"
                )
                leave(f"no progress for {silent:.0f} s (--watchdog {seconds:g}): {others}", STUCK)

    beat(pulse.step, "starting")
    thread = threading.Thread(target=watch, name="watchdog", daemon=True)
    thread.start()
    try:
        with _ended_together():
            yield
    finally:
        done.set()


@contextmanager
def _ended_together() -> Iterator[None]:
    """In a run of several processes an exception ends this process at once, so that the others fail at once."""
    try:
        yield
    except BaseException as error:
        if jax.process_count() == 1:
            raise
        if not isinstance(error, OSError | ValueError | RuntimeError) or os.environ.get("JAXDL_TRACEBACK"):
            traceback.print_exc()
        line = next((line for line in str(error).splitlines() if line.strip()), "")
        lost = any(word in str(error) for word in LOST)
        leave(f"{'another process has died or was stopped; ' if lost else ''}{type(error).__name__}: {line}", 1)


_aborted = ctypes.CFUNCTYPE(None, ctypes.c_int)(
    lambda number: leave("another process has died or hangs: no sign of life from it (see above)", 1)
)


def _say_where_it_aborted() -> None:
    """Print a line when jax aborts this process from a C++ thread because a heartbeat is missing: only a C handler runs then."""
    if jax.process_count() > 1:
        ctypes.CDLL(None).signal(signal.SIGABRT, _aborted)


def leave(reason: str, code: int) -> None:
    """Print the reason and end this process at once; a usual exit would wait for processes that are gone."""
    print(f"error: {place()}: {reason}; the last checkpoint is kept", file=sys.stderr, flush=True)
    sys.stdout.flush()
    kill_children()
    os._exit(code)
