"""Train steps of the cheat sheet's MLP and CNN in jaxdl and in PyTorch, side by side on one machine.

Run: python benchmarks/train_step.py [--rounds 7] [--seconds 2] [--models mlp cnn] [--json FILE]

Each contender is a process of its own that stays alive; a round runs every contender once, one after the other, in an order
that turns from round to round. The table gives the median milliseconds per step and the quartiles of the ratio to PyTorch eager
within a round. Besides jaxdl this imports only jax, flax, optax and torch.
"""

import argparse
import ctypes
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
BATCH, EXAMPLES = 128, 8192
GOALS = {"mlp": 0.45, "cnn": 0.8}
CONTENDERS = {
    "mlp": ("torch eager", "jaxdl"),
    "cnn": ("torch eager", "torch channels-last", "jaxdl"),
}
Run = Callable[[int], float]
"""Takes so many steps and returns the seconds it took, results ready."""

# -- contenders -------------------------------------------------------------------------------------------------------


def jaxdl(model: str) -> Run:
    """Chunks of steps as one compiled loop: batches gathered from uint8 images on the device, state donated."""
    sys.path.insert(0, str(ROOT))
    keep_memory()
    import jax
    import jax.numpy as jnp
    import numpy as np

    rng = np.random.default_rng(0)
    images = jnp.asarray(rng.integers(0, 256, (EXAMPLES, 28, 28, 1), np.uint8))
    labels = jnp.asarray(rng.integers(0, 10, EXAMPLES, np.int32))
    state, step = build_step(model)

    def chunk(state: Any, images: Any, labels: Any, steps: Any) -> Any:
        def body(i: Any, state: Any) -> Any:
            rows = (i * BATCH + jnp.arange(BATCH)) % EXAMPLES
            return step(state, images[rows].astype(jnp.float32) / 255, labels[rows])

        return jax.lax.fori_loop(0, steps, body, state)

    compiled = (
        jax.jit(chunk, donate_argnums=0, compiler_options=compiler_options())
        .lower(state, images, labels, jnp.int32(1))
        .compile()
    )

    def run(steps: int) -> float:
        nonlocal state
        begin = time.perf_counter()
        state = jax.block_until_ready(compiled(state, images, labels, jnp.int32(steps)))
        return time.perf_counter() - begin

    return run


def build_step(model: str) -> tuple[Any, Callable[[Any, Any, Any], Any]]:
    """The state before the first step, and (state, x, y) -> state."""
    import jax
    import jax.numpy as jnp
    import optax

    from jaxdl.models.cnn import CNN
    from jaxdl.models.mlp import MLP

    net = {"mlp": MLP(features=(512, 512), classes=10), "cnn": CNN(classes=10)}[model]
    optimizer = optax.adam(1e-3)
    params = net.init(jax.random.key(0), jnp.zeros((1, 28, 28, 1)), train=False)["params"]

    def step(state: Any, x: Any, y: Any) -> Any:
        params, opt_state = state

        def loss(params: Any) -> Any:
            logits = net.apply({"params": params}, x, train=True)
            return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

        updates, opt_state = optimizer.update(jax.grad(loss)(params), opt_state, params)
        return optax.apply_updates(params, updates), opt_state

    return (params, optimizer.init(params)), step


def pytorch(model: str, channels_last: bool) -> Run:
    """The sheet's Sequential, eager; the batch is already a float tensor on the device."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    if model == "mlp":
        layers = [nn.Flatten(), nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10)]
    else:
        layers = [nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        layers += [nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64 * 49, 10)]
    device = "cuda" if torch.cuda.is_available() else "cpu"
    layout = torch.channels_last if channels_last else torch.contiguous_format
    net = nn.Sequential(*layers).to(device, memory_format=layout)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    batches = [
        (
            torch.rand(BATCH, 1, 28, 28, device=device).contiguous(memory_format=layout),
            torch.randint(0, 10, (BATCH,), device=device),
        )
        for _ in range(EXAMPLES // BATCH)
    ]

    def run(steps: int) -> float:
        begin = time.perf_counter()
        for i in range(steps):
            x, y = batches[i % len(batches)]
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x), y).backward()
            optimizer.step()
        if device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - begin

    return run


# -- the workers and the rounds ---------------------------------------------------------------------------------------


def answer(make: Callable[[], Run]) -> None:
    """The loop of a worker: seconds until the first step was done, then, for a number of steps per line, seconds per step."""
    begin = time.perf_counter()
    run = make()
    run(1)
    print(time.perf_counter() - begin, flush=True)
    for line in sys.stdin:
        print(run(int(line)) / int(line), flush=True)


class Contender:
    """A worker process that stays alive: `script --worker ...` ends in `answer`."""

    def __init__(self, script: str, *worker: str):
        command = [sys.executable, script, "--worker", *worker]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.first_step = self._answer()
        self.peak_bytes = 0
        """The most memory it held, known once it is closed."""

    def _answer(self) -> float:
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{' '.join(self.process.args[2:])} ended: see its message above")
        return float(line)

    def run(self, steps: int) -> float:
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        self.process.stdin.close()
        self.process.stdout.close()
        _, status, used = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        self.peak_bytes = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def rounds_of(contenders: dict[str, Contender], rounds: int, seconds: float) -> dict[str, list[float]]:
    """Seconds per step of every contender in every round; each round starts with another one. Closes them."""
    names, steps = list(contenders), {}
    times: dict[str, list[float]] = {name: [] for name in names}
    try:
        for name, contender in contenders.items():
            contender.run(3)
            steps[name] = max(3, int(seconds / contender.run(3)))
        for i in range(rounds):
            for name in names[i % len(names) :] + names[: i % len(names)]:
                times[name].append(contenders[name].run(steps[name]))
    finally:
        for contender in contenders.values():
            contender.close()
    return times


def quartiles(ours: list[float], theirs: list[float]) -> tuple[float, float, float]:
    """Lower quartile, median and upper quartile of the ratio within a round."""
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    return tuple(statistics.quantiles(ratios, n=4, method="inclusive"))


def compiler_options() -> dict[str, str] | None:
    """On a CPU dense convolutions are faster by Eigen: leave XLA's other library the products and reductions."""
    import jax

    options = {"xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_DOT,LIBRARY_FUSION_TYPE_REDUCE"}
    if jax.default_backend() != "cpu":
        return None
    try:
        jax.jit(lambda x: x, compiler_options=options).lower(1.0).compile()
    except jax.errors.JaxRuntimeError:  # another version of XLA does not know the option
        return None
    return options


def keep_memory() -> None:
    """Keep freed buffers instead of giving them back to the kernel (glibc): no page faults in every step."""
    if sys.platform == "linux" and platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(-4, 0), libc.mallopt(-1, 2**31 - 1), libc.mallopt(-2, 64 << 20)


def measure(model: str, rounds: int, seconds: float) -> list[dict[str, Any]]:
    contenders = {name: Contender(__file__, model, name) for name in CONTENDERS[model]}
    times = rounds_of(contenders, rounds, seconds)
    rows = []
    for name, contender in contenders.items():
        lower, median, upper = quartiles(times[name], times["torch eager"])
        rows.append(
            {
                "model": model,
                "contender": name,
                "ms": 1e3 * statistics.median(times[name]),
                "ratio": median,
                "lower": lower,
                "upper": upper,
                "first_step_s": contender.first_step,
                "goal": GOALS[model] if name == "jaxdl" else None,
                "missed": name == "jaxdl" and lower > GOALS[model],
                "times": times[name],
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="interleaved rounds")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of one measurement")
    parser.add_argument("--models", nargs="+", choices=list(CONTENDERS), default=list(CONTENDERS))
    parser.add_argument("--json", metavar="FILE", help="write the numbers there as well")
    parser.add_argument("--worker", nargs=2, metavar=("MODEL", "NAME"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        model, name = args.worker
        answer(lambda: jaxdl(model) if name == "jaxdl" else pytorch(model, name.endswith("channels-last")))
        return
    if args.rounds < 2:
        parser.error("--rounds: quartiles need at least 2")
    rows = [row for model in args.models for row in measure(model, args.rounds, args.seconds)]
    if args.json:
        Path(args.json).write_text(
            json.dumps({"cpus": os.cpu_count(), "machine": platform.processor(), "rows": rows}), encoding="utf-8"
        )
    print(
        f"{args.rounds} rounds, batch {BATCH}, {os.cpu_count()} cores; ratio: time / PyTorch eager's in the same round"
    )
    print(f"{'model':6}{'contender':21}{'ms/step':>9}{'ratio':>8}{'quartiles':>16}{'goal':>7}{'first step':>12}")
    for r in rows:
        goal = "" if r["goal"] is None else f"{r['goal']}{'!' if r['missed'] else ''}"
        quartiles = f"{r['lower']:.2f} to {r['upper']:.2f}"
        line = f"{r['model']:6}{r['contender']:21}{r['ms']:9.2f}{r['ratio']:8.2f}{quartiles:>16}{goal:>7}"
        print(f"{line}{r['first_step_s']:10.1f} s")


if __name__ == "__main__":
    main()
