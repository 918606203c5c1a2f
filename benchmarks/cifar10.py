"""A step of `experiments/cifar10_fast.py` beside the same recipe in PyTorch, on random images.

Run: python benchmarks/cifar10.py [--rounds 5] [--seconds 8] [--batch 2000] [--json FILE]

Each side trains in a process of its own that stays alive, in interleaved rounds. jaxdl's step gathers, shifts and mirrors its
batch, PyTorch's gets it ready: a lead of PyTorch's side in what is measured.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

from train_step import Contender, Run, answer, quartiles, rounds_of

ROOT = Path(__file__).resolve().parents[1]
STEPS = 10**6
GOAL = 0.9


def jaxdl(batch: int) -> Run:
    sys.path.insert(0, str(ROOT))
    from jaxdl import runtime

    runtime.configure("cpu", cache=False)
    import numpy as np
    from vision import chunks

    from jaxdl.data.image import vision
    from jaxdl.data.image.memory import images
    from jaxdl.engine.program import Program
    from jaxdl.experiment import load_config

    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (2 * batch, 32, 32, 3), np.uint8)
    pair = x, np.arange(2 * batch) % 10
    data = images(pair, pair, batch=batch, name="noise", classes=vision.CIFAR10, validation=pair)
    vision.cifar10 = lambda **_: data
    return chunks(Program(load_config(ROOT / "experiments" / "cifar10_fast.py")(batch=batch, epochs=STEPS)))


def pytorch(batch: int) -> Run:
    import time

    import cifar10_peer
    import torch

    torch.manual_seed(0)
    recipe = cifar10_peer.Recipe(cifar10_peer.Net().to(memory_format=torch.channels_last), STEPS, STEPS, batch)
    batches = [
        (
            torch.rand(batch, 3, 32, 32).contiguous(memory_format=torch.channels_last),
            torch.randint(0, 10, (batch,)),
        )
        for _ in range(2)
    ]

    def run(steps: int) -> float:
        begin = time.perf_counter()
        for i in range(steps):
            recipe.step(*batches[i % 2])
        return time.perf_counter() - begin

    return run


def measure(batch: int, rounds: int, seconds: float) -> list[dict[str, Any]]:
    contenders = {name: Contender(__file__, name, str(batch)) for name in ("torch channels-last", "jaxdl")}
    times = rounds_of(contenders, rounds, seconds)
    rows = []
    for name, contender in contenders.items():
        lower, median, upper = quartiles(times[name], times["torch channels-last"])
        row = {"case": "cifar10_fast", "contender": name, "batch": batch, "ms": 1e3 * statistics.median(times[name])}
        row |= {"ratio": median, "lower": lower, "upper": upper, "first_step_s": contender.first_step}
        rows.append(row | {"goal": GOAL if name == "jaxdl" else None, "times": times[name]})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds")
    parser.add_argument("--seconds", type=float, default=8.0, help="length of one measurement (three steps at least)")
    parser.add_argument("--batch", type=int, default=2000)
    parser.add_argument("--json", metavar="FILE", help="write the numbers there as well")
    parser.add_argument("--worker", nargs=2, metavar=("NAME", "BATCH"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        name, batch = args.worker
        answer(lambda: (jaxdl if name == "jaxdl" else pytorch)(int(batch)))
        return
    if args.rounds < 2:
        parser.error("--rounds: quartiles need at least 2")
    rows = measure(args.batch, args.rounds, args.seconds)
    if args.json:
        Path(args.json).write_text(json.dumps({"rounds": args.rounds, "rows": rows}), encoding="utf-8")
    for row in rows:
        between = f"{row['ratio']:.2f} ({row['lower']:.2f} to {row['upper']:.2f})"
        print(f"{row['contender']:21}{row['ms']:9.1f} ms  {between}  first step {row['first_step_s']:.1f} s")


if __name__ == "__main__":
    main()
