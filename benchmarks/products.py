"""Matrix products of XLA beside PyTorch's at the shapes of the other benchmarks, float32: what no rewriting of a model changes.

Run: python benchmarks/products.py [--rounds 5] [--seconds 0.5] [--shapes square mlp] [--json FILE]

Interleaved rounds as in `train_step.py`; GF/s counts two operations a multiply-add. A ratio above 1 is a product at which
PyTorch's library is faster.
"""

import argparse
import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

from train_step import Contender, Run, answer, quartiles, rounds_of

SHAPES = {
    "square": (1, 2048, 2048, 2048),
    "mlp": (1, 128, 784, 512),
    "lm mlp": (1, 4096, 256, 1024),
    "lm logits": (1, 4096, 256, 2048),
    "lm scores": (64, 256, 64, 256),
    "lstm step": (1, 64, 256, 1024),
    "resnet 1x1": (1, 6272, 256, 64),
    "one token": (1, 1, 256, 1024),
}
"""name -> (batch, m, k, n)."""


def jaxdl(name: str) -> Run:
    import jax
    import numpy as np

    batch, m, k, n = SHAPES[name]
    rng = np.random.default_rng(0)
    a, b = (jax.device_put(rng.normal(size=(batch, *s)).astype(np.float32)) for s in ((m, k), (k, n)))
    product = jax.jit(lambda a, b: a @ b) if batch > 1 else jax.jit(lambda a, b: a[0] @ b[0])
    jax.block_until_ready(product(a, b))

    def run(steps: int) -> float:
        begin = time.perf_counter()
        for _ in range(steps):
            result = product(a, b)
        jax.block_until_ready(result)
        return time.perf_counter() - begin

    return run


def pytorch(name: str) -> Run:
    import torch

    batch, m, k, n = SHAPES[name]
    torch.manual_seed(0)
    a, b = torch.randn(batch, m, k), torch.randn(batch, k, n)
    a, b = (a, b) if batch > 1 else (a[0], b[0])

    def run(steps: int) -> float:
        begin = time.perf_counter()
        for _ in range(steps):
            torch.matmul(a, b)
        return time.perf_counter() - begin

    return run


CONTENDERS = {"torch": pytorch, "jaxdl": jaxdl}


def measure(name: str, rounds: int, seconds: float) -> list[dict[str, Any]]:
    contenders = {who: Contender(__file__, name, who) for who in CONTENDERS}
    times = rounds_of(contenders, rounds, seconds)
    work = 2 * float(SHAPES[name][0] * SHAPES[name][1] * SHAPES[name][2] * SHAPES[name][3])
    rows = []
    for who in CONTENDERS:
        lower, median, upper = quartiles(times[who], times["torch"])
        row = {"case": name, "contender": who, "gflops": 1e-9 * work / statistics.median(times[who])}
        rows.append(row | {"ratio": median, "lower": lower, "upper": upper, "times": times[who]})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds")
    parser.add_argument("--seconds", type=float, default=0.5, help="length of one measurement")
    parser.add_argument("--shapes", nargs="+", choices=list(SHAPES), default=list(SHAPES))
    parser.add_argument("--json", metavar="FILE", help="write the numbers there as well")
    parser.add_argument("--worker", nargs=2, metavar=("SHAPE", "NAME"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        name, who = args.worker
        answer(lambda: CONTENDERS[who](name))
        return
    if args.rounds < 2:
        parser.error("--rounds: quartiles need at least 2")
    rows = [row for name in args.shapes for row in measure(name, args.rounds, args.seconds)]
    if args.json:
        Path(args.json).write_text(json.dumps({"cpus": os.cpu_count(), "rows": rows}), encoding="utf-8")
    print(f"{'product':14}{'shape':>22}{'XLA GF/s':>10}{'PyTorch':>9}{'ratio of times':>20}")
    for theirs, ours in zip(rows[::2], rows[1::2], strict=True):
        between = f"{ours['ratio']:.2f} ({ours['lower']:.2f} to {ours['upper']:.2f})"
        shape = "x".join(map(str, SHAPES[ours["case"]]))
        print(f"{ours['case']:14}{shape:>22}{ours['gflops']:10.0f}{theirs['gflops']:9.0f}{between:>20}")


if __name__ == "__main__":
    main()
