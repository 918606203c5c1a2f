"""DCGAN at 32x32 in jaxdl and in PyTorch, side by side on one machine: one update of both players, and the first one.

Run: python benchmarks/gan.py [--rounds 7] [--seconds 3] [--json FILE]

As in `train_step.py`, whose rounds these are: every contender is a process that stays alive, and a round runs each of them once.
What is measured of jaxdl is what `train()` runs, the compiled chunk of updates of an experiment (batches gathered from images in
memory, noise, losses, gradients, both optimizers, guard, metrics); of PyTorch its DCGAN example's loop over batches that are
ready: the made images of the critic's turn serve the generator's, and the critic's gradients of the generator's turn are computed
and thrown away. Both do about the same products. The first update counts everything but the imports, without a compilation cache.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from train_step import ROOT, Contender, Run, answer, quartiles, rounds_of
from vision import chunks

sys.path.insert(0, str(ROOT))

BATCH, SIDE, LATENT, WIDTH = 64, 32, 100, 64
GOAL, FIRST_STEP = 1.0, 4.0


def experiment_of() -> Any:
    """DCGAN on random colour images."""
    import numpy as np

    from jaxdl import Experiment
    from jaxdl.data.prepare import Scale, Standardise
    from jaxdl.data.source import InMemory
    from jaxdl.models.gan import DCGANCritic, DCGANGenerator
    from jaxdl.optim import adam
    from jaxdl.tasks.adversarial import Adversarial

    images = np.random.default_rng(0).integers(0, 256, (2 * BATCH, SIDE, SIDE, 3), np.uint8)
    half = (0.5, 0.5, 0.5)
    data = InMemory({"train": {"x": images}}, BATCH, prepare=Scale(255.0), standardise=Standardise(half, half))

    def config(*, lr: float = 2e-4, b1: float = 0.5, seed: int = 0) -> Experiment:
        task = Adversarial(DCGANGenerator((SIDE, SIDE, 3), WIDTH), DCGANCritic(WIDTH), latent=LATENT)
        rules = {name: adam(lr, b1=b1) for name in ("generator", "critic")}
        return Experiment(data=data, task=task, optimizer=rules, steps=10**6, seed=seed)

    return config()


def jaxdl() -> Run:
    """The program of the experiment, exactly as `jaxdl.train` compiles it."""
    from jaxdl import runtime

    runtime.configure("cpu", cache=False)

    from jaxdl.engine.program import Program

    return chunks(Program(experiment_of()))


def players() -> tuple[Any, Any]:
    """The same networks as PyTorch's example writes them, for 32x32."""
    from torch import nn

    def up(i: int, o: int, *geometry: int) -> list[Any]:
        return [nn.ConvTranspose2d(i, o, 4, *geometry, bias=False), nn.BatchNorm2d(o), nn.ReLU(True)]

    def down(i: int, o: int) -> list[Any]:
        return [nn.Conv2d(i, o, 4, 2, 1, bias=False), nn.BatchNorm2d(o), nn.LeakyReLU(0.2, inplace=True)]

    w = WIDTH
    generator = [*up(LATENT, 4 * w, 1, 0), *up(4 * w, 2 * w, 2, 1), *up(2 * w, w, 2, 1)]
    generator += [nn.ConvTranspose2d(w, 3, 4, 2, 1, bias=False), nn.Tanh()]
    critic = [nn.Conv2d(3, w, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, inplace=True)]
    critic += [*down(w, 2 * w), *down(2 * w, 4 * w), nn.Conv2d(4 * w, 1, 4, bias=False), nn.Flatten(0)]
    return nn.Sequential(*generator), nn.Sequential(*critic)


def pytorch(channels_last: bool) -> Run:
    import torch

    torch.manual_seed(0)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    generator, critic = (net.to(memory_format=layout) for net in players())
    rules = [torch.optim.Adam(net.parameters(), 2e-4, (0.5, 0.999)) for net in (generator, critic)]
    batches = [torch.rand(BATCH, 3, SIDE, SIDE).mul(2).sub(1).contiguous(memory_format=layout) for _ in range(2)]
    ones, zeros = torch.ones(BATCH), torch.zeros(BATCH)
    loss = torch.nn.functional.binary_cross_entropy_with_logits

    def step(real: Any) -> None:
        rules[1].zero_grad()
        loss(critic(real), ones).backward()
        made = generator(torch.randn(BATCH, LATENT, 1, 1))
        loss(critic(made.detach()), zeros).backward()
        rules[1].step()
        rules[0].zero_grad()
        loss(critic(made), ones).backward()
        rules[0].step()

    def run(steps: int) -> float:
        begin = time.perf_counter()
        for i in range(steps):
            step(batches[i % 2])
        return time.perf_counter() - begin

    return run


CONTENDERS: dict[str, Callable[[], Run]] = {
    "torch eager": lambda: pytorch(False),
    "torch channels-last": lambda: pytorch(True),
    "jaxdl": jaxdl,
}


def measure(rounds: int, seconds: float) -> list[dict[str, Any]]:
    contenders = {name: Contender(__file__, name) for name in CONTENDERS}
    times, peer = rounds_of(contenders, rounds, seconds), "torch eager"
    rows = []
    for name, contender in contenders.items():
        lower, median, upper = quartiles(times[name], times[peer])
        row = {"contender": name, "ms": 1e3 * statistics.median(times[name]), "ratio": median, "lower": lower}
        row |= {"upper": upper, "first_step_s": contender.first_step, "times": times[name]}
        checks = {"time": lower > GOAL, "first update": contender.first_step > FIRST_STEP}
        row["missed"] = [what for what, over in checks.items() if over and name == "jaxdl"]
        rows.append(row)
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    lines = [f"{'contender':21}{'ms':>8}{'images/s':>10}{'ratio':>7}{'quartiles':>14}{'first update':>14}  missed"]
    for r in rows:
        line = f"{r['contender']:21}{r['ms']:8.1f}{1e3 * BATCH / r['ms']:10.1f}{r['ratio']:7.2f}"
        line += f"{r['lower']:7.2f} -{r['upper']:5.2f}{r['first_step_s']:12.1f} s  {', '.join(r['missed'])}"
        lines.append(line)
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="interleaved rounds")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of one measurement")
    parser.add_argument("--json", metavar="FILE", help="write the numbers there as well")
    parser.add_argument("--worker", choices=list(CONTENDERS), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        answer(CONTENDERS[args.worker])
        return
    if args.rounds < 2:
        parser.error("--rounds: quartiles need at least 2")
    rows = measure(args.rounds, args.seconds)
    if args.json:
        about = {
            "cpus": os.cpu_count(),
            "machine": platform.processor(),
            "load": os.getloadavg(),
            "rounds": args.rounds,
        }
        Path(args.json).write_text(json.dumps({**about, "rows": rows}), encoding="utf-8")
    print(
        f"{args.rounds} rounds, {os.cpu_count()} cores; ratios to {rows[0]['contender']}; goals {GOAL}, {FIRST_STEP} s"
    )
    print(table(rows))


if __name__ == "__main__":
    main()
