"""A training process that is killed again and again: `python survival_child.py RUNS SEED`.

The parent has imported everything and forks a child for each attempt, which starts its own backend, trains the tiny
experiment or resumes it, and is killed with SIGKILL at a random moment: while it starts, between steps, while a checkpoint is
written. Prints one line of JSON: how many children were killed, and in how many cases a half-written checkpoint was left.
"""

import json
import os
import random
import signal
import sys
import time
import warnings
from pathlib import Path

from jaxdl import runtime, train
from jaxdl.engine.loop import Limits
from jaxdl.experiment import load_config
from jaxdl.record.checkpoint import preload

KILLS = 20
STEPS = 800
LIMITS = Limits(log_every=10, checkpoint_every=10)


def work(runs):
    """One attempt: new, or from the last checkpoint."""
    runtime.configure("cpu")
    config = load_config(Path(__file__).parents[1] / "tiny.py")
    found = sorted(runs.glob("*/*/config.json"))
    train(
        config(steps=STEPS, patience=STEPS),
        run=runs,
        resume=found[0].parent if found else None,
        limits=LIMITS,
        quiet=True,
    )


def log_of(runs):
    return next(iter(runs.glob("*/*/metrics.jsonl")), None)


def size_of(path):
    return path.stat().st_size if path is not None and path.exists() else 0


def attempt(runs, delay):
    """A child killed `delay` seconds after its first new line of the log; whether it was killed (False: it has finished)."""
    before = size_of(log_of(runs))
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work(runs)
            code = 0
        finally:
            os._exit(code)
    while size_of(log_of(runs)) <= before:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            raise SystemExit(f"a child ended by itself before it wrote anything: {status}")
        time.sleep(0.002)
    time.sleep(delay)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise SystemExit(f"a child failed: {status}")
    return os.WIFSIGNALED(status)


def main(runs, seed):
    warnings.filterwarnings("ignore", message="os.fork", category=RuntimeWarning)
    preload().join()
    rng = random.Random(seed)
    kills = torn = 0
    while kills < KILLS:
        kills += attempt(runs, rng.uniform(0, 0.3))
        torn += bool(list(runs.glob("*/*/checkpoints/*.saving")))
    child = os.fork()
    if child == 0:
        work(runs)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    print(json.dumps({"kills": kills, "torn": torn, "status": status}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
