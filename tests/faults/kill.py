"""Kill runs at random moments and resume them to their end: `python tests/faults/kill.py KIND KILLS SEED FOLDER`.

Each run is killed with SIGKILL again and again: after a random time (while it starts, compiles, trains, evaluates or reports)
or while a checkpoint is being written. When it has come to its end, it is compared with a run that nobody disturbed: the digests
of the last checkpoints, every line of the logs but for the clock, the rows of a sweep, and that nothing half-written is left.
Prints a line of JSON. This process has imported everything and forks a child for each attempt, which starts its own backend.
"""

import json
import os
import random
import signal
import sys
import time
import warnings
from pathlib import Path

import numpy as np

from jaxdl import runtime, sweep, train
from jaxdl.engine.loop import Limits
from jaxdl.experiment import load_config
from jaxdl.record.log import comparable, read
from jaxdl.record.orbax_leaves import preload
from jaxdl.runs import sweep as sweeps

ROOT = Path(__file__).resolve().parents[2]
LIMITS = Limits(log_every=10, checkpoint_every=10)
MOST = 8
"""Kills of one run."""


def photographs(folder):
    """A folder of 36 small images, for the run that streams them."""
    from PIL import Image

    rng = np.random.default_rng(0)
    for number in range(36):
        path = folder / f"class{number % 3}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (20, 20, 3), np.uint8)).save(path)


def streamed(folder):
    def config(*, lr: float = 1e-3, seed: int = 0):
        from jaxdl import Experiment
        from jaxdl.augment import image
        from jaxdl.data.image import images
        from jaxdl.models.cnn import CNN
        from jaxdl.optim import adam
        from jaxdl.tasks.classification import Classification

        data = images.streamed(folder, batch=8, image=16, workers=2)
        task = Classification(model=CNN(classes=3, features=(4,), rate=0.2))
        return Experiment(data, task, adam(lr), 60, augment=(image.flip(),), eval_every=20, seed=seed)

    return config


def corpus(folder):
    """Token shards of a few hundred documents, for the run that reads a corpus."""
    from jaxdl.data.text.tokenizing import tokenize

    rng, words = np.random.default_rng(0), ("cat", "dog", "mat", "log", "sat", "ran", "the")
    documents = [{"text": " ".join(rng.choice(words, 12))} for _ in range(400)]
    folder.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(one) + "\n" for one in documents)
    (folder / "documents.jsonl").write_text(lines, encoding="utf-8")
    tokenize([folder / "documents.jsonl"], folder / "tokens", tokenizer="bytes", validation=0.1, workers=1)


def language(folder):
    def config(*, lr: float = 1e-3, seed: int = 0):
        from jaxdl import Experiment
        from jaxdl.data.text.token_shards import shards
        from jaxdl.models.catalog import MODELS
        from jaxdl.optim import adam
        from jaxdl.tasks.language import NextToken

        data = shards(folder / "tokens", batch=4, context=16, eval_rows=8)
        sizes = {"width": 8, "depth": 1, "heads": 2, "hidden": 16, "length": 16}
        task = NextToken(model=MODELS["gpt2"].build(vocab=data.tokenizer.size, **sizes))
        return Experiment(data, task, adam(lr), 200, eval_every=50, seed=seed)

    return config


def action(kind, folder):
    """What begins a run of a kind under a folder, and what resumes it."""
    tiny = load_config(ROOT / "tests" / "tiny.py")
    if kind in ("sweep", "prune"):
        points = {"sweep": {"seed": (0, 1), "width": (8, 16)}, "prune": {"seed": (0, 1, 2, 3)}}[kind]
        values = {"how": "together", "prune": kind == "prune", "steps": 240, "patience": 240}
        begin = lambda: sweep(tiny, points, run=folder, limits=LIMITS, quiet=True, **values)
        return begin, lambda run: sweeps.resume(run, config=tiny, quiet=True)
    config, values = {
        "single": (tiny, {"steps": 200, "patience": 200}),
        "stream": (streamed(folder.parent / "images"), {}),
        "tokens": (language(folder.parent / "corpus"), {}),
        "gan": (
            load_config(ROOT / "experiments" / "ring_gan.py"),
            {"updates": 150, "width": 16, "depth": 1, "batch": 32, "eval_every": 50},
        ),
    }[kind]
    options = {"limits": LIMITS, "quiet": True}
    begin = lambda: train(config, run=folder, **options, **values)
    return begin, lambda run: train(config, resume=run, **options)


def attempt(kind, folder):
    """A child that begins the run, or resumes it."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        with open(folder.parent / f"{folder.name}.log", "a", encoding="utf-8") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        runtime.configure("cpu")
        begin, resume = action(kind, folder)
        found = list(folder.glob("*/*/config.json"))
        resume(found[0].parent) if found else begin()
        code = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)


def undisturbed(kind, folder):
    """The seconds that a run takes from its beginning to its end."""
    began = time.monotonic()
    _, status = os.waitpid(attempt(kind, folder), 0)
    if status:
        raise SystemExit((folder.parent / f"{folder.name}.log").read_text(encoding="utf-8"))
    return time.monotonic() - began


def is_saving(folder):
    """Whether a checkpoint is being written; `os.walk` goes on where a folder vanishes under it, pathlib's glob does not."""
    return any(name.endswith(".saving") for _, names, _ in os.walk(folder) for name in names)


def killed(kind, folder, seconds, rng, most):
    """Kill a run up to `most` times; (kills, those that left a half-written checkpoint, status of the end)."""
    kills = torn = 0
    while True:
        child, began = attempt(kind, folder), time.monotonic()
        at_a_save, wait = rng.random() < 0.4, rng.uniform(0, seconds)
        while kills < most:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                return kills, torn, status
            saving = at_a_save and is_saving(folder)
            if saving or time.monotonic() - began > wait:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                kills, torn = kills + 1, torn + is_saving(folder)
                break
            time.sleep(0.003)
        else:
            return kills, torn, os.waitpid(child, 0)[1]


def result(folder):
    """What must not depend on whether a run was killed."""
    (config,) = folder.glob("*/*/config.json")
    run, found = config.parent, {}
    for log in sorted(run.rglob("metrics.jsonl")):
        lines = read(log)
        digests = [line["digest"] for line in lines if line["kind"] == "checkpoint"]
        notes = [line["note"] for line in lines if line["kind"] == "note"]
        found[str(log.relative_to(run))] = (comparable(lines), digests[-1], notes)
    if (run / "results.json").is_file():
        found["rows"] = json.loads((run / "results.json").read_text(encoding="utf-8"))["rows"]
    left = [path.name for path in run.rglob("*") if path.name.endswith((".saving", ".new", ".damaged"))]
    return found, left


def main(kind, kills, seed, folder):
    warnings.filterwarnings("ignore", message="os.fork", category=RuntimeWarning)
    preload().join()
    folder.mkdir(parents=True, exist_ok=True)
    if kind == "stream":
        photographs(folder / "images")
    if kind == "tokens":
        corpus(folder / "corpus")
    rng, counts = random.Random(seed), {"kind": kind, "kills": 0, "torn": 0, "runs": 0, "same": 0}
    undisturbed(kind, folder / "first")  # compiles what the cache then holds
    seconds = undisturbed(kind, folder / "calm")
    calm, _ = result(folder / "calm")
    failed = []
    while counts["kills"] < kills:
        one = folder / f"run-{counts['runs']}"
        made, torn, status = killed(kind, one, seconds, rng, min(MOST, kills - counts["kills"]))
        counts["kills"], counts["torn"], counts["runs"] = (
            counts["kills"] + made,
            counts["torn"] + torn,
            counts["runs"] + 1,
        )
        found, left = result(one) if status == 0 else ({}, [])
        if status or left or found != calm:
            failed.append({"run": str(one), "status": status, "left": left})
        else:
            counts["same"] += 1
    print(json.dumps({**counts, "failed": failed}))
    sys.exit(bool(failed))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]).resolve())
