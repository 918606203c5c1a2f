"""The vision families in jaxdl and in PyTorch, side by side on one machine: step times, memory, seconds to the first step.

Run: python benchmarks/vision.py [--rounds 7] [--seconds 3] [--cases resnet50 vit_ti] [--device cpu] [--json FILE]

As in `train_step.py`, whose rounds these are: every contender is a process that stays alive, and a round runs each of them once.
What is measured of jaxdl is what `train()` runs, the compiled chunk of steps of an experiment (batches gathered from images
in memory, loss, gradient, optimizer, guard, metrics), and for inference its compiled `predict`; of PyTorch a loop over
batches that are ready. The first step counts everything but the imports, with no compilation cache. Memory is the most that
each process held. `--device gpu` compares bfloat16 with torch.compile instead: README.md.
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
from typing import Any, NamedTuple

from train_step import ROOT, Contender, Run, answer, quartiles, rounds_of

sys.path.insert(0, str(ROOT))


class Case(NamedTuple):
    """One comparison and what it must reach: the ratios of time and of memory to PyTorch eager's."""

    model: str
    image: int
    batch: int
    classes: int
    goal: float
    memory: float = 1.6
    train: bool = True


CASES = {
    "resnet18": Case("cifar_resnet18", 32, 64, 10, 1.15),
    "resnet50": Case("resnet50", 224, 8, 1000, 1.35),
    "resnet50-inference": Case("resnet50", 224, 8, 1000, 0.9, train=False),
    "mobilenet_v2": Case("mobilenet_v2", 96, 32, 1000, 1.5, memory=2.0),
    "efficientnet_b0": Case("efficientnet_b0", 96, 32, 1000, 1.5, memory=2.0),
    "vit_ti": Case("vit_ti_4", 32, 64, 10, 0.75),
}
GPU = {"batch": {"resnet18": 1024, "vit_ti": 1024}, "default": 256}
"""Batches that fill a GPU; there the step runs in bfloat16."""
FIRST_STEP = 10.0

# -- contenders -------------------------------------------------------------------------------------------------------


def jaxdl(case: Case, device: str) -> Run:
    """The program of an experiment, exactly as `jaxdl.train` compiles it."""
    from jaxdl import runtime

    runtime.configure(device, cache=False)
    import jax

    from jaxdl.engine.program import Program

    exp = experiment_of(case, "bfloat16" if device == "gpu" else "float32")
    program = Program(exp)
    if not case.train:
        weights = jax.jit(exp.task.init)(jax.random.key(0), exp.data.prepare(exp.data.example()))
        return predictions(program, weights, exp)
    return chunks(program)


def chunks(program: Any) -> Run:
    """Steps of training on one source, as `jaxdl.engine.loop` takes them."""
    import jax
    import numpy as np

    state = program.init()
    source = program.place(program.data.source(0, 1, 0))

    def run(steps: int) -> float:
        nonlocal state
        begin = time.perf_counter()
        state, view = program.chunk(state, source, np.int32(steps), np.int32(3))
        jax.block_until_ready(view)
        return time.perf_counter() - begin

    return run


def predictions(program: Any, weights: Any, exp: Any) -> Run:
    import jax

    batch = jax.device_put(exp.data.example())

    def run(steps: int) -> float:
        begin = time.perf_counter()
        for _ in range(steps):
            jax.block_until_ready(program.predict(weights, batch))
        return time.perf_counter() - begin

    return run


def experiment_of(case: Case, precision: str) -> Any:
    import numpy as np

    from jaxdl import Experiment
    from jaxdl.data.source import InMemory
    from jaxdl.models.catalog import MODELS
    from jaxdl.models.vit import vit
    from jaxdl.optim import adamw, momentum
    from jaxdl.tasks.classification import Classification

    rng, count = np.random.default_rng(0), 2 * case.batch
    images = rng.integers(0, 256, (count, case.image, case.image, 3), np.uint8)
    splits = {"train": {"x": images, "y": rng.integers(0, case.classes, count).astype(np.int32)}}
    data = InMemory(splits, case.batch, prepare=lambda batch: {**batch, "x": batch["x"].astype(np.float32) / 255})

    def config(*, lr: float = 1e-3, decay: float = 5e-4, seed: int = 0) -> Experiment:
        if case.model == "vit_ti_4":
            model, optimizer = vit("ti", 4, image=case.image, classes=case.classes), adamw(lr, decay=decay)
        else:
            model = MODELS[case.model].build(classes=case.classes)
            optimizer = momentum(lr, decay=decay)
        task = Classification(model=model)
        return Experiment(data=data, task=task, optimizer=optimizer, steps=10**6, precision=precision, seed=seed)

    return config()


def pytorch(case: Case, device: str, *, channels_last: bool = False, compiled: bool = False) -> Run:
    import torch
    from torch import nn
    from vision_peers import PEERS

    torch.manual_seed(0)
    where = "cuda" if device == "gpu" else "cpu"
    layout = torch.channels_last if channels_last else torch.contiguous_format
    net = PEERS[case.model]().to(where, memory_format=layout).train(case.train)
    is_vit = case.model == "vit_ti_4"
    optimizer = (
        torch.optim.AdamW(net.parameters(), 1e-3, weight_decay=5e-4)
        if is_vit
        else torch.optim.SGD(net.parameters(), 1e-3, momentum=0.9, weight_decay=5e-4)
    )
    batches = [
        (
            torch.rand(case.batch, 3, case.image, case.image, device=where).contiguous(memory_format=layout),
            torch.randint(0, case.classes, (case.batch,), device=where),
        )
        for _ in range(2)
    ]
    forward = torch.compile(net) if compiled else net

    def step(x: Any, y: Any) -> None:
        if not case.train:
            forward(x)
            return
        optimizer.zero_grad()
        with torch.autocast(where, torch.bfloat16, enabled=device == "gpu"):
            loss = nn.functional.cross_entropy(forward(x), y)
        loss.backward()
        optimizer.step()

    def run(steps: int) -> float:
        begin = time.perf_counter()
        with torch.set_grad_enabled(case.train):
            for i in range(steps):
                step(*batches[i % 2])
        if where == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - begin

    return run


CONTENDERS: dict[str, dict[str, Callable[[Case, str], Run]]] = {
    "cpu": {
        "torch eager": pytorch,
        "torch channels-last": lambda case, device: pytorch(case, device, channels_last=True),
        "jaxdl": jaxdl,
    },
    "gpu": {
        "torch compile": lambda case, device: pytorch(case, device, channels_last=True, compiled=True),
        "jaxdl": jaxdl,
    },
}

# -- the table --------------------------------------------------------------------------------------------------------


def case_of(name: str, device: str) -> Case:
    case = CASES[name]
    return case if device == "cpu" else case._replace(batch=GPU["batch"].get(name, GPU["default"]))


def flops_per_image(case: Case) -> float:
    """Two a multiply-add; training costs three times the forward pass."""
    import jax

    from jaxdl.inspect.flops import counts

    exp = experiment_of(case._replace(batch=1), "float32")
    with jax.default_device(jax.devices("cpu")[0]):
        return (6 if case.train else 2) * counts(exp.task.model, (case.image, case.image, 3))["multiply_adds"]


def measure(name: str, args: argparse.Namespace) -> list[dict[str, Any]]:
    case, names = case_of(name, args.device), list(CONTENDERS[args.device])
    peer = names[0]
    contenders = {
        c: Contender(__file__, name, c, args.device) for c in names if c != "torch channels-last" or args.channels_last
    }
    times = rounds_of(contenders, args.rounds, args.seconds)
    rows = []
    for who, contender in contenders.items():
        lower, median, upper = quartiles(times[who], times[peer])
        seconds, ours = statistics.median(times[who]), who == "jaxdl" and args.device == "cpu"
        memory = contender.peak_bytes / contenders[peer].peak_bytes
        row = {"case": name, "contender": who, "batch": case.batch, "image": case.image, "ms": 1e3 * seconds}
        row |= {"ratio": median, "lower": lower, "upper": upper, "times": times[who]}
        row |= {"peak_bytes": contender.peak_bytes, "memory": memory, "first_step_s": contender.first_step}
        row |= {"images_per_s": case.batch / seconds, "goal": case.goal if ours else None}
        checks = {"time": lower > case.goal, "memory": memory > case.memory}
        checks["first step"] = contender.first_step > FIRST_STEP
        row["missed"] = [what for what, over in checks.items() if over] if ours else []
        if args.peak_tflops:
            row["utilisation"] = flops_per_image(case) * case.batch / seconds / (args.peak_tflops * 1e12)
        rows.append(row)
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    lines = [
        f"{'case':20}{'contender':21}{'ms':>8}{'images/s':>10}{'ratio':>7}{'quartiles':>14}{'goal':>6}"
        f"{'memory':>16}{'first step':>12}  missed"
    ]
    for r in rows:
        memory = f"{r['peak_bytes'] / 2**20:.0f} MiB x{r['memory']:.2f}"
        line = f"{r['case']:20}{r['contender']:21}{r['ms']:8.1f}{r['images_per_s']:10.1f}{r['ratio']:7.2f}"
        line += f"{r['lower']:7.2f} -{r['upper']:5.2f}{r['goal'] or '':>6}{memory:>16}{r['first_step_s']:10.1f} s"
        utilisation = f"  {100 * r['utilisation']:.1f} % of peak" if "utilisation" in r else ""
        lines.append(f"{line}  {', '.join(r['missed'])}{utilisation}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="interleaved rounds")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of one measurement (three steps at least)")
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--device", choices=list(CONTENDERS), default="cpu")
    parser.add_argument("--channels-last", action="store_true", help="PyTorch's other layout as well")
    parser.add_argument("--peak-tflops", type=float, default=0.0, help="of the device: gives model-FLOPs utilisation")
    parser.add_argument("--json", metavar="FILE", help="write the numbers there as well")
    parser.add_argument("--worker", nargs=3, metavar=("CASE", "NAME", "DEVICE"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        name, contender, device = args.worker
        answer(lambda: CONTENDERS[device][contender](case_of(name, device), device))
        return
    if args.rounds < 2:
        parser.error("--rounds: quartiles need at least 2")
    rows = [row for name in args.cases for row in measure(name, args)]
    if args.json:
        about = {
            "cpus": os.cpu_count(),
            "machine": platform.processor(),
            "load": os.getloadavg(),
            "rounds": args.rounds,
        }
        Path(args.json).write_text(json.dumps({**about, "rows": rows}), encoding="utf-8")
    print(f"{args.rounds} rounds on {args.device}, {os.cpu_count()} cores; ratios to {rows[0]['contender']}")
    print(table(rows))


if __name__ == "__main__":
    main()
