"""A population of small networks in one jaxdl program, against the same runs one by one, in jaxdl and in PyTorch.

Run: python benchmarks/population.py [--rounds 7] [--seconds 2] [--members 8] [--models small mnist] [--json FILE]

Each member has its own seed, learning rate, data order and weights. Each contender is a process that stays alive; a round
runs every contender once, in an order that turns. The table gives the steps of members per second (median), the quartiles of
the throughput over PyTorch's in the same round, and the seconds to the first step. Besides jaxdl this imports only jax, flax,
optax and torch.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from train_step import ROOT, Contender, Run, answer, keep_memory, quartiles, rounds_of

MODELS = {"small": (32, (64, 64), 32), "mnist": (784, (128,), 128)}
"""features in, hidden widths, batch; ten classes."""
EXAMPLES, CLASSES = 4096, 10
CONTENDERS = ("torch, one by one", "jaxdl, one by one", "jaxdl, in turn", "jaxdl, together")
GOAL = {"small": 10.0}
"""Throughput of the faster population over PyTorch's, for 8 members on a CPU."""

# -- contenders -------------------------------------------------------------------------------------------------------


def jaxdl(model: str, how: str, members: int) -> Run:
    """The steps that `train` and `sweep` take: gathered batches, cross-entropy, Adam, metrics, the non-finite guard."""
    sys.path.insert(0, str(ROOT))
    keep_memory()
    import jax
    import numpy as np

    from jaxdl import Experiment
    from jaxdl.data.source import InMemory
    from jaxdl.engine.population import Group, Population
    from jaxdl.engine.program import Program
    from jaxdl.engine.traced import candidates
    from jaxdl.models.mlp import MLP
    from jaxdl.optim import adam
    from jaxdl.tasks.classification import Classification

    features, widths, batch = MODELS[model]
    rng = np.random.default_rng(0)
    x = rng.normal(size=(EXAMPLES, features)).astype(np.float32)
    data = InMemory({"train": {"x": x, "y": rng.integers(0, CLASSES, EXAMPLES, np.int32)}}, batch)

    def config(*, lr: float = 1e-3, seed: int = 0) -> Experiment:
        task = Classification(MLP(features=widths, classes=CLASSES))
        return Experiment(data=data, task=task, optimizer=adam(lr), steps=10**9, seed=seed)

    points = [{"lr": 1e-3 * (1 + 0.1 * i), "seed": i} for i in range(members)]
    first, never = config(**points[0]), np.int32(10**9)

    def build(knobs: Any) -> Experiment:
        return config(**knobs)

    if how == "one by one":
        program = Program(first, build, candidates(points[0]))
        programs = [program.bound(candidates(point)) for point in points]
    else:
        programs = [Population(Group.make(first, build, range(members), points, ["lr", "seed"]), mode=how).program]
    states = [one.init() for one in programs]
    source = programs[0].place(data.source(0, 1, 0))

    def run(steps: int) -> float:
        begin = time.perf_counter()
        for i, one in enumerate(programs):
            states[i], view = one.chunk(states[i], source, np.int32(steps), never)
            jax.block_until_ready(view)
        return time.perf_counter() - begin

    return run


def pytorch(model: str, members: int) -> Run:
    """Eager steps of one network after the other; the batches are tensors on the device already."""
    import torch
    from torch import nn

    features, widths, batch = MODELS[model]
    device = "cuda" if torch.cuda.is_available() else "cpu"
    x = torch.randn(EXAMPLES, features, device=device).split(batch)
    y = torch.randint(0, CLASSES, (EXAMPLES,), device=device).split(batch)
    runs = []
    for i in range(members):
        torch.manual_seed(i)
        layers: list[Any] = []
        for before, after in zip((features, *widths), widths, strict=False):
            layers += [nn.Linear(before, after), nn.ReLU()]
        net = nn.Sequential(*layers, nn.Linear(widths[-1], CLASSES)).to(device)
        runs.append((net, torch.optim.Adam(net.parameters(), lr=1e-3 * (1 + 0.1 * i))))

    def run(steps: int) -> float:
        begin = time.perf_counter()
        for net, optimizer in runs:
            for step in range(steps):
                optimizer.zero_grad()
                nn.functional.cross_entropy(net(x[step % len(x)]), y[step % len(y)]).backward()
                optimizer.step()
        if device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - begin

    return run


# -- the rounds -------------------------------------------------------------------------------------------------------


def measure(model: str, members: int, rounds: int, seconds: float) -> list[dict[str, Any]]:
    contenders = {name: Contender(__file__, model, name, str(members)) for name in CONTENDERS}
    times = rounds_of(contenders, rounds, seconds)
    rows = []
    for name, contender in contenders.items():
        lower, median, upper = quartiles(times[CONTENDERS[0]], times[name])  # of throughput: theirs over ours
        rows.append(
            {
                "model": model,
                "contender": name,
                "members": members,
                "member_steps_per_second": members / statistics.median(times[name]),
                "ratio": median,
                "lower": lower,
                "upper": upper,
                "first_step_s": contender.first_step,
                "times": times[name],
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="interleaved rounds")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of one measurement")
    parser.add_argument("--members", type=int, default=8)
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--json", metavar="FILE", help="write the numbers there as well")
    parser.add_argument("--worker", nargs=3, metavar=("MODEL", "NAME", "MEMBERS"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        model, name, members = args.worker[0], args.worker[1], int(args.worker[2])
        library, how = name.split(", ")
        answer(lambda: pytorch(model, members) if library == "torch" else jaxdl(model, how, members))
        return
    if args.rounds < 2:
        parser.error("--rounds: quartiles need at least 2")
    rows = [row for model in args.models for row in measure(model, args.members, args.rounds, args.seconds)]
    if args.json:
        Path(args.json).write_text(
            json.dumps({"cpus": os.cpu_count(), "machine": platform.processor(), "rows": rows}), encoding="utf-8"
        )
    print(
        f"{args.members} members, {args.rounds} rounds, {os.cpu_count()} cores; throughput over PyTorch's in the round"
    )
    print(f"{'model':7}{'contender':20}{'member steps/s':>15}{'times':>8}{'quartiles':>18}{'first step':>12}")
    for r in rows:
        spread = f"{r['lower']:.1f} to {r['upper']:.1f}"
        line = f"{r['model']:7}{r['contender']:20}{r['member_steps_per_second']:15,.0f}{r['ratio']:8.1f}"
        print(f"{line}{spread:>18}{r['first_step_s']:10.1f} s")
    for model, goal in GOAL.items():
        ours = [r for r in rows if r["model"] == model and r["contender"] in CONTENDERS[2:]]
        if ours and args.members == 8:
            best = max(ours, key=lambda r: r["ratio"])
            verdict = "missed" if best["upper"] < goal else "held"
            print(f"goal for {model}: {goal:g} times PyTorch's throughput: {verdict} ({best['contender']})")


if __name__ == "__main__":
    main()
