"""Several processes on loopback: the same run as in one, the same stop, and an end for all when one dies or hangs."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from jaxdl import load
from jaxdl.engine import distributed
from jaxdl.engine.distributed import STUCK, expected, launcher
from jaxdl.experiment import load_config
from jaxdl.record.log import comparable, read
from jaxdl.setup import Setup

WIDE = ["--width", "128", "--log-every", "10", "--checkpoint-every", "20", "--mesh", "data=2,fsdp=2"]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(folder, file, *args, processes=2, devices=2):
    """The processes of one run, their output in `folder/<process>.log`."""
    port, running = free_port(), []
    env = {k: v for k, v in os.environ.items() if "proxy" not in k.lower()}
    for process in range(processes):
        words = [sys.executable, "-m", "jaxdl", "train", *([str(file)] if file else []), *args, "--quiet"]
        words += ["--devices", str(devices), "--run", str(folder / "runs")]
        if processes > 1:
            words += ["--coordinator", f"127.0.0.1:{port}", "--num-processes", str(processes)]
            words += ["--process-id", str(process)]
        with open(folder / f"{process}.log", "w", encoding="utf-8") as log:
            running.append(subprocess.Popen(words, stdout=log, stderr=subprocess.STDOUT, env=env))
    return running


def finish(running, seconds=600):
    """Their exit codes."""
    deadline = time.monotonic() + seconds
    try:
        return [process.wait(max(1.0, deadline - time.monotonic())) for process in running]
    finally:
        for process in running:
            process.kill()
            process.wait()


def only_run(folder):
    (config,) = (folder / "runs").glob("*/*/config.json")
    return config.parent


def wait_for_training(folder, running, lines=2):
    """Until the log of the run has some lines; an error if a process has ended before."""
    while all(process.poll() is None for process in running):
        logs = list((folder / "runs").glob("*/*/metrics.jsonl"))
        if logs and logs[0].read_text(encoding="utf-8").count("\n") >= lines:
            return logs[0].parent
        time.sleep(0.05)
    raise AssertionError("\n".join(path.read_text(encoding="utf-8") for path in folder.glob("*.log")))


def digests(run):
    return [(line["step"], line["digest"]) for line in read(run) if line["kind"] == "checkpoint"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, tiny_file):
    """60 steps in two processes with two devices each."""
    folder = tmp_path_factory.mktemp("two")
    codes = finish(start(folder, tiny_file, "--steps", "60", *WIDE))
    assert codes == [0, 0], (folder / "0.log").read_text(encoding="utf-8") + (folder / "1.log").read_text(
        encoding="utf-8"
    )
    return only_run(folder)


@pytest.mark.slow
@pytest.mark.programs(40, "two states are restored and compared")
def test_two_processes_train_what_one_trains(undisturbed, tiny_file, tmp_path):
    assert finish(start(tmp_path, tiny_file, "--steps", "60", *WIDE, processes=1, devices=4)) == [0]
    one = only_run(tmp_path)
    ours, theirs = ([line for line in read(run) if line["kind"] in ("train", "eval")] for run in (undisturbed, one))
    assert [(line["kind"], line["step"]) for line in ours] == [(line["kind"], line["step"]) for line in theirs]
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a["loss"], b["loss"], atol=2e-6)
    config = load_config(tiny_file)
    a, b = (load(run, "last", config=config).state for run in (undisturbed, one))  # restored on one device
    assert int(a.step) == int(b.step) == 60
    for left, right in zip(jax.tree.leaves(a.params), jax.tree.leaves(b.params), strict=True):
        np.testing.assert_allclose(left, right, atol=1e-4)
    assert json.loads((undisturbed / "env.json").read_text(encoding="utf-8"))["processes"] == 2
    assert (
        Setup.from_json(config, json.loads((undisturbed / "config.json").read_text(encoding="utf-8"))).build().steps
        == 60
    )
    assert (undisturbed / "report.md").is_file()


@pytest.mark.slow
def test_sigterm_to_one_stops_all_at_the_same_step_and_a_resume_ends_with_the_same_bits(
    undisturbed, tiny_file, tmp_path
):
    # a checkpoint every step keeps the loop slow enough to be caught in the middle
    running = start(tmp_path, tiny_file, "--steps", "60", *WIDE, "--checkpoint-every", "1")
    try:
        run = wait_for_training(tmp_path, running)
        running[1].send_signal(signal.SIGTERM)
    finally:
        codes = finish(running)
    assert codes == [75, 75], (tmp_path / "0.log").read_text(encoding="utf-8") + (tmp_path / "1.log").read_text(
        encoding="utf-8"
    )
    assert read(run)[-1]["reason"] == "interrupted"
    stopped = read(run)[-1]["step"]
    assert 0 < stopped < 60
    words = ["--resume", str(run), *WIDE[2:]]
    assert finish(start(tmp_path, tiny_file, "--steps", "60", "--width", "128", *words)) == [0, 0]
    assert digests(run)[-1] == digests(undisturbed)[-1]
    assert comparable(read(run)) == comparable(read(undisturbed))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("process", "by", "codes", "says"),
    [
        (1, signal.SIGKILL, (1, STUCK), "error: process 0 of 2, "),  # mostly at once: the connection breaks
        pytest.param(  # so it does here, and the meeting point is gone
            *(0, signal.SIGKILL, (1, STUCK), "error: process 1 of 2, "), marks=pytest.mark.night
        ),
        (1, signal.SIGSTOP, (1, STUCK), "no progress for |died or hangs: no sign of life"),  # whichever notices first
    ],
    ids=["killed", "the first killed", "hanging"],
)
def test_a_process_that_dies_or_hangs_ends_the_other(process, by, codes, says, tiny_file, tmp_path):
    # the watchdog's 20 s are more than a busy machine takes for any step; it trains on for an hour if nobody notices
    running = start(tmp_path, tiny_file, "--steps", "10000000", "--watchdog", "20", "--log-every", "5")
    try:
        wait_for_training(tmp_path, running, lines=12)  # evaluated and saved once: nothing is left to compile
        running[process].send_signal(by)
        assert running[1 - process].wait(600) in codes, (tmp_path / f"{1 - process}.log").read_text(encoding="utf-8")
        said = (tmp_path / f"{1 - process}.log").read_text(encoding="utf-8")
    finally:
        for one in running:
            one.kill()
            one.wait()
    (last,) = (line for line in said.splitlines() if line.startswith("error: "))
    assert re.search(says, last), said
    if by == signal.SIGKILL and running[1 - process].returncode == 1:
        assert "another process has died" in last, said
    assert re.search(r", (training|evaluating) after step \d", last), said  # whatever it was doing when the other went


@pytest.mark.slow
def test_a_callback_of_the_first_process_stops_both(tiny_file, tmp_path):
    """It is called in the first alone, and gets copies of weights that lie on the devices of both."""
    file = tmp_path / "watched.py"
    file.write_text(
        "import os\nfrom dataclasses import replace\nimport jax\n"
        "from jaxdl.experiment import load_config\n"
        f"tiny = load_config({str(tiny_file)!r})\n"
        "def twelve(event):\n"
        "    if event.kind == 'eval':\n"
        "        print('called in', jax.process_index(), event.weights[0]['Dense_0']['kernel'].shape, flush=True)\n"
        "        if event.step == 12: event.stop()\n"
        "def config(*, width: int = 8, seed: int = 0):\n"
        "    return replace(tiny(width=width, seed=seed), callbacks=(twelve,))\n",
        encoding="utf-8",
    )
    running = start(tmp_path, file)
    assert finish(running) == [0, 0], (tmp_path / "0.log").read_text(encoding="utf-8")
    end = read(only_run(tmp_path))[-1]
    assert (end["step"], end["reason"]) == (12, "stopped early")
    assert (tmp_path / "0.log").read_text(encoding="utf-8").count("called in 0 (6, 8)") == 2
    assert "called in" not in (tmp_path / "1.log").read_text(encoding="utf-8")


def test_launchers_are_recognised():
    slurm = {"SLURM_JOB_ID": "9", "SLURM_STEP_NODELIST": "n1", "SLURM_NTASKS": "4", "SLURM_PROCID": "1"}
    assert launcher(slurm) == "Slurm"
    assert launcher(slurm | {"SLURM_NTASKS": "1"}) is None
    assert launcher({"OMPI_COMM_WORLD_SIZE": "2"}) == "Open MPI"
    assert launcher({"KUBERNETES_SERVICE_HOST": "h"}) is None  # a pod, but of no indexed job
    assert launcher({"KUBERNETES_SERVICE_HOST": "h", "JOB_COMPLETION_INDEX": "0"}) == "Kubernetes"
    assert launcher({"TPU_WORKER_HOSTNAMES": "a,b"}) == "Cloud TPU"
    assert not expected(None, None, None)
    assert expected("127.0.0.1:9", 2, 1)


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("h:1", 2, None), "go together"),
        (("h:1", 2, 2), "must lie in 0 … 1"),
        (("h", 2, 0), "should be host:port"),
    ],
)
def test_half_a_meeting_is_refused(flags, says):
    with pytest.raises(ValueError, match=says):
        expected(*flags)


@pytest.mark.slow
def test_the_watchdog_ends_a_process_that_is_stuck():
    program = (
        "import time; from jaxdl.engine import distributed as d\n"
        "d.limit = lambda seconds: seconds\n"  # no compilation here: the first limit is 10 minutes
        "with d.watchdog(0.5):\n    d.beat(41, 'training'); d.beat(42, 'training'); time.sleep(3600)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=600)
    assert done.returncode == STUCK
    assert "training after step 42: no progress for" in done.stderr.strip().splitlines()[-1]
    assert "most recent call first" in done.stderr  # where each thread was


@pytest.mark.parametrize(
    ("error", "lost"),
    [("Gloo all-gather failed: Connection closed by peer [127.0.0.1]", True), ("no such axis", False)],
)
def test_of_a_lost_process_the_other_speaks_first(error, lost, monkeypatch, capsys):
    """The words of the library that carries the messages come after our own."""
    said = []
    monkeypatch.setattr(distributed.jax, "process_count", lambda: 2)
    monkeypatch.setattr(distributed, "leave", lambda reason, code: said.append((reason, code)))
    with distributed._ended_together():
        raise RuntimeError(error)
    ((reason, code),) = said
    assert (reason.startswith("another process has died or was stopped; RuntimeError"), code) == (lost, 1)
    assert error in reason


def test_one_process_agrees_with_itself():
    assert distributed.agree(7, None) == (7, None, False)
    assert distributed.agree(7, 15, True) == (7, 15, True)
    assert distributed.from_first("runs/α") == "runs/α"
