"""A training process that is killed again and again: `python survival_child.py RUNS SEED`.

The parent has imported everything and forks a child for each attempt, which starts its own backend, trains the tiny
experiment or resumes it, and is killed with SIGKILL after a random number of new lines of the log, every other time at once
and else as soon as a checkpoint is being written. Prints one line of JSON: how many children were killed, and in how many
cases a half-written checkpoint was left.
"""

import json
import os
import random
import signal
import sys
import time
import warnings
from contextlib import suppress
from pathlib import Path

from jaxdl import runtime, train
from jaxdl.engine.loop import Limits
from jaxdl.experiment import load_config
from jaxdl.record.orbax_leaves import preload

KILLS = 20
STEPS = 800
LIMITS = Limits(log_every=10, checkpoint_every=10)


def work(runs):
    """One attempt: new, or from the last checkpoint."""
    runtime.configure("cpu")
    config = load_config(Path(__file__).parents[1] / "tiny.py")
    found = sorted(runs.glob("*/*/config.json"))
    train(
        config,
        steps=STEPS,
        patience=STEPS,
        run=runs,
        resume=found[0].parent if found else None,
        limits=LIMITS,
        quiet=True,
    )


def log_of(runs):
    return next(iter(runs.glob("*/*/metrics.jsonl")), None)


def lines_of(path):
    return path.read_bytes().count(b"\n") if path is not None else 0


def saving(runs):
    """When each checkpoint that is being written, or was left half written, last changed."""
    found = set()
    for path in runs.glob("*/*/checkpoints/*.saving"):
        with suppress(FileNotFoundError):  # it was finished just now
            found.add(path.stat().st_ctime_ns)
    return found


def attempt(runs, lines, at_a_save):
    """A child killed after so many new lines of the log, or at the first save after them."""
    before, left = lines_of(log_of(runs)), saving(runs)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work(runs)
            code = 0
        finally:
            os._exit(code)
    while lines_of(log_of(runs)) < before + lines or (at_a_save and saving(runs) <= left):
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            raise SystemExit(f"a child ended by itself: {status}")
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def main(runs, seed):
    warnings.filterwarnings("ignore", message="os.fork", category=RuntimeWarning)
    preload().join()
    rng = random.Random(seed)
    torn = 0
    for kill in range(KILLS):
        attempt(runs, rng.randint(1, 5), at_a_save=kill % 2 == 1)
        torn += bool(saving(runs))
    child = os.fork()
    if child == 0:
        work(runs)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    print(json.dumps({"kills": KILLS, "torn": torn, "status": status}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
