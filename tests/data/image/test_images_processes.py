"""Streamed images while processes end: a worker that is killed, a run that is stopped, killed and resumed."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from multiprocessing import active_children
from pathlib import Path

import pytest

from tests.data.image.test_images import equal, paint, streamed

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def painted(tmp_path_factory):
    return paint(tmp_path_factory.mktemp("painted"))


@pytest.mark.slow
def test_a_worker_that_is_killed_is_replaced(painted):
    data = streamed(painted, workers=1)
    data.source(1, 2, 0)
    (worker,) = active_children()
    os.kill(worker.pid, signal.SIGKILL)
    for draw in range(2, 9):  # what it had read ahead, then what a new one reads
        source = data.source(draw, draw + 1, 0)
    equal(source, streamed(painted).source(8, 9, 0))
    data.close()


EXPERIMENT = """
from jaxdl.data.image import images
from jaxdl import Experiment
from jaxdl.models.cnn import CNN
from jaxdl.optim import momentum
from jaxdl.augment import image as augment
from jaxdl.tasks.classification import Classification


def config(
    *, folder: str = "", batch: int = 4, workers: int = 2, lr: float = 0.01, steps: int = 150, seed: int = 0
) -> Experiment:
    data = images.streamed(folder, batch=batch, image=16, workers=workers)
    model = CNN(features=(4,), classes=3, norm=None)
    return Experiment(
        data=data, augment=(augment.flip(),), task=Classification(model), optimizer=momentum(lr), steps=steps, eval_every=50
    )
"""


@pytest.fixture
def begin():
    """The command line in a process group of its own; whatever is left of it ends with the test."""
    begun = []

    def begin(file, *flags):
        command = [sys.executable, "-m", "jaxdl", "train", str(file), "--quiet", "--log-every", "5", *map(str, flags)]
        env = os.environ | {"PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(
            command, cwd=file.parent, env=env, start_new_session=True, stderr=subprocess.PIPE, text=True
        )
        begun.append(process)
        return process

    yield begin
    for process in begun:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stderr.close()


def lines_of(folder):
    found = sorted(folder.glob("runs/*/*/metrics.jsonl"))
    text = found[-1].read_text(encoding="utf-8") if found else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def wait_for(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def left_of(pid):
    """The processes of a group that still run; zombies do not."""
    listed = subprocess.run(["ps", "-eo", "pgid=,stat=,args="], capture_output=True, text=True, check=True)
    return [line for line in listed.stdout.splitlines() if line.split()[0] == str(pid) and line.split()[1][0] != "Z"]


def all_end(pid):
    """Multiprocessing's resource tracker ends when its parent has, so a moment later."""
    wait_for(lambda: not left_of(pid), 20)


@pytest.mark.slow
def test_a_run_that_is_stopped_killed_and_resumed_is_the_run_undisturbed(painted, tmp_path, begin):
    """Ctrl-C at the terminal, SIGKILL, another number of workers; no process is left behind."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.py").write_text(EXPERIMENT, encoding="utf-8")
    straight = begin(tmp_path / "a" / "mine.py", "--folder", painted, "--workers", 0)
    disturbed, file = tmp_path / "b", tmp_path / "b" / "mine.py"

    def step():
        return max([line["step"] for line in lines_of(disturbed)], default=0)

    flags = ("--folder", painted, "--checkpoint-every", 10)
    first = begin(file, *flags)
    wait_for(lambda: step() >= 20 or first.poll() is not None)
    os.killpg(first.pid, signal.SIGINT)
    _, err = first.communicate(timeout=60)
    assert first.returncode == 75, err
    assert "Traceback" not in err
    all_end(first.pid)
    stopped = step()
    assert stopped < 150

    second = begin(file, *flags, "--resume")
    wait_for(lambda: step() >= stopped + 10 or second.poll() is not None)
    second.kill()
    second.communicate()
    all_end(second.pid)

    third = begin(file, "--folder", painted, "--workers", 1, "--resume")
    _, err = third.communicate(timeout=120)
    assert third.returncode == 0, err
    all_end(third.pid)
    straight.communicate(timeout=120)
    ends = [[line for line in lines_of(tmp_path / name) if line["kind"] == "checkpoint"][-1] for name in ("a", "b")]
    assert ends[0]["step"] == ends[1]["step"] == 150
    assert ends[0]["digest"] == ends[1]["digest"]
