"""Processes that read ahead end with the process that started them, whatever ends it."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARENT = """
import numpy as np
from multiprocessing import active_children
from jaxdl.data.workers import Reader


def row(position):
    return {"x": np.int32(position)}


if __name__ == "__main__":
    reader = Reader(row, 4, 2)
    for number in (3, 4):  # of both workers, which have begun then
        assert reader.read(number)["x"].tolist() == list(range(4 * number, 4 * number + 4))
    print(*[child.pid for child in active_children()], flush=True)
    while True:
        reader.read(reader.next)
"""


def runs(pid):
    """Whether a process is there and no zombie."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    return False


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_workers_end_with_a_parent_that_is_killed(tmp_path):
    """One of them is stopped (SIGSTOP) and cannot notice by itself that its parent is gone."""
    (tmp_path / "parent.py").write_text(PARENT, encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(tmp_path / "parent.py")]
    parent = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    workers = []
    try:
        workers = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(workers) == 2
        os.kill(workers[0], signal.SIGSTOP)
        parent.kill()
        parent.wait()
        end = time.monotonic() + 60
        while any(map(runs, workers)):
            assert time.monotonic() < end, [pid for pid in workers if runs(pid)]
            time.sleep(0.02)
    finally:
        parent.kill()
        parent.stdout.close()
        for pid in filter(runs, workers):
            os.kill(pid, signal.SIGKILL)
