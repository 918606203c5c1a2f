"""Sequence models in jaxdl and in PyTorch, side by side on one machine: training steps and writing.

Run: python benchmarks/sequences.py [--rounds 7] [--seconds 3] [--models lstm gru lm generate] [--json FILE]
     python benchmarks/sequences.py --models gpt2 --peak-tflops 989        # on a GPU; not measured yet

    lstm, gru    one layer of 256 over 128 steps of 256 channels, batch 64, 10 classes, Adam: a training step
    lm           GPT of 4 layers, width 256, 4 heads, context 256, batch 16, vocabulary 2048, Adam: a training step
    generate     the same GPT writes 200 tokens behind 16, batch 1, greedily, with a cache of keys and values: a token
    gpt2         GPT-2 124M, context 1024, batch 16, bfloat16 (autocast and torch.compile beside it): tokens/s and the share of
                 the peak, by 6 · parameters + 12 · layers · width · context operations a token

PyTorch runs eager on a CPU. The table gives the median time, and the ratio to PyTorch's in the same round.
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
from train_step import ROOT, Contender, Run, answer, compiler_options, keep_memory, quartiles, rounds_of

GOALS = {"lstm": 0.95, "gru": 0.95, "lm": 0.93, "generate": 1 / 3, "gpt2": 1.0}
SIZES = {  # vocab, width, layers, heads, context, batch
    "lm": (2048, 256, 4, 4, 256, 16),
    "generate": (2048, 256, 4, 4, 256, 1),
    "gpt2": (50257, 768, 12, 12, 1024, 16),
}
TIME, CHANNELS, HIDDEN, BATCH, CLASSES = 128, 256, 256, 64, 10
PROMPT, WRITTEN = 16, 200

# -- jaxdl ------------------------------------------------------------------------------------------------------------


def jaxdl(model: str) -> Run:
    sys.path.insert(0, str(ROOT))
    keep_memory()
    return jaxdl_generate() if model == "generate" else jaxdl_train(model)


def jaxdl_model(model: str) -> Any:
    from jaxdl.activations import gelu
    from jaxdl.layers.recurrent import GRU, LSTM, Recurrent
    from jaxdl.models.rnn import Classifier
    from jaxdl.models.transformer import Decoder
    from jaxdl.models.transformer_sizes import gpt2

    if model in ("lstm", "gru"):
        return Classifier(CLASSES, Recurrent({"lstm": LSTM, "gru": GRU}[model](HIDDEN)))
    vocab, width, layers, heads, context, _ = SIZES[model]
    sizes = {"width": width, "depth": layers, "heads": heads, "hidden": 4 * width}
    return Decoder(gpt2(vocab=vocab, length=context, act=gelu, **sizes))


def jaxdl_train(model: str) -> Run:
    """A chunk of steps as one compiled loop, the state donated; 16 batches that lie ready."""
    import jax
    import jax.numpy as jnp
    import numpy as np
    import optax

    from jaxdl.engine.keys import unrolled

    net, rng = jaxdl_model(model), np.random.default_rng(0)
    if model in SIZES:
        vocab, _, _, _, context, batch = SIZES[model]
        rows = rng.integers(0, vocab, (16, batch, context + 1), np.int32)
        x, y = rows[..., :-1], rows[..., 1:]
    else:
        x = rng.standard_normal((16, BATCH, TIME, CHANNELS), np.float32)
        y = rng.integers(0, CLASSES, (16, BATCH), np.int32)
    x, y = jnp.asarray(x), jnp.asarray(y)
    half = model == "gpt2"
    optimizer = optax.adam(1e-3)

    def start(key: Any, x: Any) -> Any:
        params = net.init(unrolled(key), x, train=False)["params"]
        return params, optimizer.init(params)

    state = jax.jit(start)(jax.random.key(0), x[0])

    def step(state: Any, x: Any, y: Any) -> Any:
        params, opt_state = state

        def loss(params: Any) -> Any:
            if half:
                params = jax.tree.map(lambda p: p.astype(jnp.bfloat16), params)
            logits = net.apply({"params": params}, x, train=True).astype(jnp.float32)
            return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

        updates, opt_state = optimizer.update(jax.grad(loss)(params), opt_state, params)
        return optax.apply_updates(params, updates), opt_state

    def chunk(state: Any, x: Any, y: Any, steps: Any) -> Any:
        return jax.lax.fori_loop(0, steps, lambda i, state: step(state, x[i % 16], y[i % 16]), state)

    compiled = (
        jax.jit(chunk, donate_argnums=0, compiler_options=compiler_options()).lower(state, x, y, jnp.int32(1)).compile()
    )

    def run(steps: int) -> float:
        nonlocal state
        begin = time.perf_counter()
        state = jax.block_until_ready(compiled(state, x, y, jnp.int32(steps)))
        return time.perf_counter() - begin

    return run


def jaxdl_generate() -> Run:
    """`jaxdl.decode.generate`: prompt and loop are one program. A "step" is a token."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from jaxdl.decode import generate, step_of
    from jaxdl.engine.keys import unrolled

    net, rng = jaxdl_model("generate"), np.random.default_rng(0)
    prompt = jnp.asarray(rng.integers(0, SIZES["generate"][0], (1, PROMPT), np.int32))
    start = jax.jit(lambda key, prompt: net.init(unrolled(key), prompt, train=False)["params"])
    params = start(jax.random.key(0), prompt)

    def write(params: Any, prompt: Any) -> Any:
        return generate(step_of(net), params, net.start(1, PROMPT + WRITTEN), prompt, steps=WRITTEN).tokens

    compiled = jax.jit(write, compiler_options=compiler_options()).lower(params, prompt).compile()
    return tokens_of(lambda: jax.block_until_ready(compiled(params, prompt)))


def tokens_of(write: Callable[[], Any]) -> Run:
    """For a number of tokens the time that so many take: whole texts are written, at least one."""

    def run(tokens: int) -> float:
        texts = max(1, round(tokens / WRITTEN))
        begin = time.perf_counter()
        for _ in range(texts):
            write()
        return (time.perf_counter() - begin) * tokens / (texts * WRITTEN)

    return run


# -- PyTorch ----------------------------------------------------------------------------------------------------------


def pytorch(model: str) -> Run:
    import torch
    from sequence_peers import GPT, Recurrent
    from torch.nn import functional as F

    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if model in SIZES:
        vocab, width, layers, heads, context, batch = SIZES[model]
        net = GPT(vocab, width, layers, heads, context).to(device)
        rows = torch.randint(vocab, (16, batch, context + 1), device=device)
        x, y = rows[..., :-1], rows[..., 1:]
    else:
        net = Recurrent(model, CHANNELS, HIDDEN, CLASSES).to(device)
        x, y = torch.randn(16, BATCH, TIME, CHANNELS, device=device), torch.randint(CLASSES, (16, BATCH), device=device)

    if model == "generate":
        prompt = x[0, :1, :PROMPT]

        @torch.inference_mode()
        def write() -> Any:
            caches, token, tokens = net.caches(1, PROMPT + WRITTEN), prompt, []
            for i in range(WRITTEN):
                at = 0 if i == 0 else PROMPT + i - 1
                token = net(token, caches, at)[:, -1:].argmax(-1)
                tokens.append(token)
            return torch.cat(tokens, 1)

        return tokens_of(write)

    forward = torch.compile(net) if model == "gpt2" else net
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, **({"fused": True} if device == "cuda" else {}))

    def run(steps: int) -> float:
        begin = time.perf_counter()
        for i in range(steps):
            optimizer.zero_grad()
            with torch.autocast(device, torch.bfloat16, enabled=model == "gpt2"):
                logits = forward(x[i % 16])
            F.cross_entropy(logits.float().reshape(-1, logits.shape[-1]), y[i % 16].reshape(-1)).backward()
            optimizer.step()
        if device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - begin

    return run


# -- rounds -----------------------------------------------------------------------------------------------------------


def measure(model: str, rounds: int, seconds: float) -> list[dict[str, Any]]:
    contenders = {name: Contender(__file__, model, name) for name in ("torch", "jaxdl")}
    times = rounds_of(contenders, rounds, seconds)
    rows = []
    for name, contender in contenders.items():
        lower, median, upper = quartiles(times[name], times["torch"])
        goal = GOALS[model] if name == "jaxdl" else None
        row = {"model": model, "contender": name, "seconds": statistics.median(times[name]), "ratio": median}
        row |= {"lower": lower, "upper": upper, "goal": goal, "first_step_s": contender.first_step}
        rows.append({**row, "missed": goal is not None and lower > goal, "times": times[name]})
    return rows


def rate(row: dict[str, Any], peak: float | None) -> str:
    """Tokens a second, and the share of the machine's peak."""
    if row["model"] not in SIZES:
        return ""
    vocab, width, layers, _, context, batch = SIZES[row["model"]]
    per_second = (1 if row["model"] == "generate" else batch * context) / row["seconds"]
    parameters = vocab * width + context * width + layers * 12 * width**2
    used = per_second * (6 * parameters + 12 * layers * width * context)
    share = f", {100 * used / (peak * 1e12):.0f} % of the peak" if peak and row["model"] != "generate" else ""
    return f"{per_second:12,.0f} tokens/s{share}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="interleaved rounds")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of one measurement")
    parser.add_argument("--models", nargs="+", choices=list(GOALS), default=["lstm", "gru", "lm", "generate"])
    parser.add_argument("--peak-tflops", type=float, help="of the device in bfloat16, for the share of it")
    parser.add_argument("--json", metavar="FILE", help="write the numbers there as well")
    parser.add_argument("--worker", nargs=2, metavar=("MODEL", "NAME"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        model, name = args.worker
        answer(lambda: jaxdl(model) if name == "jaxdl" else pytorch(model))
        return
    if args.rounds < 2:
        parser.error("--rounds: quartiles need at least 2")
    rows = [row for model in args.models for row in measure(model, args.rounds, args.seconds)]
    if args.json:
        Path(args.json).write_text(json.dumps({"cpus": os.cpu_count(), "rows": rows}), encoding="utf-8")
    print(f"{args.rounds} rounds, {os.cpu_count()} cores; ratio: time / PyTorch's in the same round")
    print(f"{'model':10}{'contender':10}{'ms':>9}{'ratio':>7}{'quartiles':>15}{'goal':>7}{'first step':>12}")
    for r in rows:
        goal = "" if r["goal"] is None else f"{r['goal']:.2f}{'!' if r['missed'] else ''}"
        line = f"{r['model']:10}{r['contender']:10}{1e3 * r['seconds']:9.2f}{r['ratio']:7.2f}"
        between = f"{r['lower']:.2f} to {r['upper']:.2f}"
        print(f"{line}{between:>15}{goal:>7}{r['first_step_s']:10.1f} s{rate(r, args.peak_tflops)}")


if __name__ == "__main__":
    main()
