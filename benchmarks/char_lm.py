"""Training nanoGPT's character model for a CPU in jaxdl and in PyTorch, side by side on one machine.

Run: python benchmarks/char_lm.py [--text FILE] [--rounds 9] [--seconds 3] [--json FILE]

4 layers, 4 heads, width 128, context 64, batch 12, no biases, no dropout; AdamW (0.9, 0.99), decay 0.1, rate 1e-3 with warm-up
and cosine, gradients clipped to norm 1: 804,096 parameters with a vocabulary of 65. jaxdl runs its whole training program (batch,
step, metrics, the guard against steps that are not finite); PyTorch the loop of nanoGPT's train.py, eager, its AdamW as nanoGPT
makes it on a CPU ("torch") and fused ("torch fused"). Without --text both read random characters.
"""

import argparse
import json
import math
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from train_step import ROOT, Contender, Run, answer, keep_memory, quartiles, rounds_of

LAYERS, HEADS, WIDTH, CONTEXT, BATCH, STEPS = 4, 4, 128, 64, 12, 2000
GOAL = 0.95
CONTENDERS = ("torch", "torch fused", "jaxdl")


def text_of(path: str) -> str:
    if path:
        return Path(path).read_text(encoding="utf-8")
    import random

    return "".join(random.Random(0).choices("".join(map(chr, range(40, 105))), k=200_000))


def jaxdl(path: str) -> Run:
    """The program that `python -m experiments.char_lm` compiles."""
    sys.path.insert(0, str(ROOT))
    keep_memory()
    import jax
    import jax.numpy as jnp

    from jaxdl.data import text
    from jaxdl.data.text.tokenizers import Characters
    from jaxdl.engine.program import Program
    from jaxdl.experiment import Experiment
    from jaxdl.models.transformer import Decoder
    from jaxdl.models.transformer_sizes import nanogpt
    from jaxdl.optim import adamw, clip, compose, schedules
    from jaxdl.tasks.language import NextToken

    content = text_of(path)
    tokenizer = Characters.of(content)
    schedule = schedules.warmup_cosine(peak=1e-3, steps=STEPS, warmup=100, end=1e-4)
    exp = Experiment(
        data=text.windows(content, tokenizer, batch=BATCH, context=CONTEXT),
        task=NextToken(Decoder(nanogpt("cpu", vocab=tokenizer.size))),
        optimizer=compose(clip(norm=1.0), adamw(schedule, b2=0.99, decay=0.1)),
        steps=STEPS,
    )
    program = Program(exp)
    state, source = program.init(), program.place(exp.data.source(0, 1, 0))

    def run(steps: int) -> float:
        nonlocal state
        begin = time.perf_counter()
        state, view = program.chunk(state, source, jnp.int32(steps), jnp.int32(10))
        jax.block_until_ready((state, view))
        return time.perf_counter() - begin

    return run


def pytorch(path: str, fused: bool) -> Run:
    """The same model and step in PyTorch, eager."""
    import torch
    from sequence_peers import GPT
    from torch import nn
    from torch.nn import functional as F

    torch.manual_seed(0)
    content = text_of(path)
    table = {c: i for i, c in enumerate(sorted(set(content)))}
    tokens = torch.tensor([table[c] for c in content[: int(0.9 * len(content))]])

    net = GPT(len(table), WIDTH, LAYERS, HEADS, CONTEXT, bias=False)
    groups = [
        {"params": [p for p in net.parameters() if p.dim() > 1], "weight_decay": 0.1},
        {"params": [p for p in net.parameters() if p.dim() == 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.99), **({"fused": True} if fused else {}))
    done = 0

    def run(steps: int) -> float:
        nonlocal done
        begin = time.perf_counter()
        for _ in range(steps):
            wave = 1 + math.cos(math.pi * min(1, (done - 100) / (STEPS - 100)))
            rate = 1e-3 * (done + 1) / 101 if done < 100 else 1e-4 + 4.5e-4 * wave
            for group in optimizer.param_groups:
                group["lr"] = rate
            starts = torch.randint(len(tokens) - CONTEXT, (BATCH,))
            x = torch.stack([tokens[i : i + CONTEXT] for i in starts])
            y = torch.stack([tokens[i + 1 : i + 1 + CONTEXT] for i in starts])
            logits = net(x)
            F.cross_entropy(logits.view(-1, logits.shape[-1]), y.view(-1)).backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            done += 1
        return time.perf_counter() - begin

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", default="", metavar="FILE", help="what both read")
    parser.add_argument("--rounds", type=int, default=9, help="interleaved rounds")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of one measurement")
    parser.add_argument("--json", metavar="FILE", help="write the numbers there as well")
    parser.add_argument("--worker", nargs=2, metavar=("NAME", "TEXT"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        name, path = args.worker
        answer(lambda: jaxdl(path) if name == "jaxdl" else pytorch(path, name == "torch fused"))
        return
    if args.rounds < 2:
        parser.error("--rounds: quartiles need at least 2")
    contenders = {name: Contender(__file__, name, args.text) for name in CONTENDERS}
    times = rounds_of(contenders, args.rounds, args.seconds)
    if args.json:
        rows = [
            {"model": "char_lm", "contender": name, "times": times[name], "first_step_s": contenders[name].first_step}
            for name in CONTENDERS
        ]
        Path(args.json).write_text(json.dumps({"cpus": os.cpu_count(), "rows": rows}), encoding="utf-8")
    print(f"{args.rounds} rounds, {os.cpu_count()} cores; ratio: time / PyTorch's in the same round; goal {GOAL}")
    print(f"{'contender':14}{'ms/step':>9}{'2,000 steps':>13}{'ratio':>8}{'quartiles':>16}{'first step':>12}")
    for name in CONTENDERS:
        lower, median, upper = quartiles(times[name], times["torch"])
        ms = 1e3 * sorted(times[name])[len(times[name]) // 2]
        missed = "!" if name == "jaxdl" and lower > GOAL else ""
        between = f"{lower:.2f} to {upper:.2f}{missed}"
        line = f"{name:14}{ms:9.2f}{2 * ms:11.1f} s{median:8.2f}{between:>16}"
        print(f"{line}{contenders[name].first_step:10.1f} s")


if __name__ == "__main__":
    main()
