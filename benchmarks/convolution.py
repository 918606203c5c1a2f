"""One convolution or pool with its gradients: jaxdl's form, XLA's plain form and PyTorch (channels last), side by side.

Run: python benchmarks/convolution.py [--rounds 7] [--seconds 1] [--cases NAME ...] [--json FILE]

The table gives the median milliseconds of value and gradients with respect to input and kernel, and the quartiles of jaxdl's
ratio to both others within a round. Besides jaxdl this imports only jax and torch.
"""

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from train_step import ROOT, Contender, Run, answer, compiler_options, keep_memory, quartiles, rounds_of

# batch, size, channels, features, kernel, stride, groups; the models they come from
CASES = {
    "dense 3x3": (64, 32, 64, 64, 3, 1, 1),  # ResNet-18 on CIFAR-10
    "dense 3x3 stride 2": (64, 32, 64, 128, 3, 2, 1),
    "dense 1x1": (16, 28, 256, 64, 1, 1, 1),  # ResNet-50
    "depthwise 3x3": (32, 48, 96, 96, 3, 1, 96),  # MobileNetV2
    "depthwise 3x3 stride 2": (32, 48, 96, 96, 3, 2, 96),
    "grouped 3x3": (8, 28, 128, 128, 3, 1, 32),  # ResNeXt-50
    "transposed 4x4 stride 2": (64, 8, 128, 64, 4, 2, 1),  # DCGAN
    "max pool 2x2": (128, 28, 32, 0, 2, 2, 1),  # the sheet's CNN
    "max pool 3x3 stride 2": (16, 56, 64, 0, 3, 2, 1),
}
CONTENDERS = ("jaxdl", "xla", "torch")


def with_jax(case: str, plain: bool) -> Run:
    sys.path.insert(0, str(ROOT))
    keep_memory()
    import jax
    import jax.numpy as jnp
    from jax import lax

    from jaxdl.layers.convolution import convolve, convolve_transpose
    from jaxdl.layers.pooling import max_pool

    batch, size, channels, features, k, stride, groups = CASES[case]
    transposed, pad = case.startswith("transposed"), (k - 1) // 2
    layout, pads = ("NHWC", "HWIO", "NHWC"), ((pad, pad),) * 2
    x = jax.random.normal(jax.random.key(0), (batch, size, size, channels))
    w = jax.random.normal(jax.random.key(1), (k, k, channels // groups, features or 1))

    def ours(x: Any, w: Any) -> Any:
        if not features:
            return max_pool(x, k, stride, pad)
        if transposed:
            return convolve_transpose(x, w, strides=stride, padding=pad)
        return convolve(x, w, strides=stride, padding=pad, groups=groups)

    def xla(x: Any, w: Any) -> Any:
        if not features:
            window = (1, k, k, 1), (1, stride, stride, 1), ((0, 0), *pads, (0, 0))
            return lax.reduce_window(x, -jnp.inf, lax.max, *window)
        if transposed:
            grown = ((k - 1 - pad,) * 2,) * 2
            return lax.conv_general_dilated(x, w, (1, 1), grown, lhs_dilation=(stride,) * 2, dimension_numbers=layout)
        strides = (stride, stride)
        return lax.conv_general_dilated(x, w, strides, pads, dimension_numbers=layout, feature_group_count=groups)

    form = xla if plain else ours
    dy = jnp.ones(jax.eval_shape(form, x, w).shape)

    def all_three(x: Any, w: Any, dy: Any) -> Any:
        y, pull = jax.vjp(form, x, w)
        return y, *pull(dy)

    compiled = jax.jit(all_three, compiler_options=compiler_options())

    def run(times: int) -> float:
        begin = time.perf_counter()
        for _ in range(times):
            jax.block_until_ready(compiled(x, w, dy))
        return time.perf_counter() - begin

    return run


def with_torch(case: str) -> Run:
    import torch
    from torch.nn import functional as F

    batch, size, channels, features, k, stride, groups = CASES[case]
    transposed, pad = case.startswith("transposed"), (k - 1) // 2
    device = "cuda" if torch.cuda.is_available() else "cpu"
    shape = (channels, features, k, k) if transposed else (features or 1, channels // groups, k, k)
    last = {"memory_format": torch.channels_last}
    x = torch.randn(batch, channels, size, size, device=device).to(**last).requires_grad_()
    w = torch.randn(*shape, device=device).to(**last).requires_grad_()

    def form() -> Any:
        if not features:
            return F.max_pool2d(x, k, stride, pad)
        if transposed:
            return F.conv_transpose2d(x, w, stride=stride, padding=pad)
        return F.conv2d(x, w, stride=stride, padding=pad, groups=groups)

    dy = torch.ones_like(form())

    def run(times: int) -> float:
        begin = time.perf_counter()
        for _ in range(times):
            torch.autograd.grad(form(), (x, w) if features else (x,), dy)
        if device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - begin

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="interleaved rounds")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of one measurement")
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--json", metavar="FILE", help="write the numbers there as well")
    parser.add_argument("--worker", nargs=2, metavar=("CASE", "NAME"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        case, name = args.worker
        answer(lambda: with_torch(case) if name == "torch" else with_jax(case, name == "xla"))
        return
    if args.rounds < 2:
        parser.error("--rounds: quartiles need at least 2")
    rows = []
    for case in args.cases:
        contenders = {name: Contender(__file__, case, name) for name in CONTENDERS}
        times = rounds_of(contenders, args.rounds, args.seconds)
        rows.append(
            {
                "case": case,
                "ms": {name: 1e3 * statistics.median(times[name]) for name in CONTENDERS},
                "ratio": {name: quartiles(times["jaxdl"], times[name]) for name in ("xla", "torch")},
                "times": times,
            }
        )
    if args.json:
        Path(args.json).write_text(json.dumps({"cpus": os.cpu_count(), "rows": rows}), encoding="utf-8")
    print(
        f"{args.rounds} rounds, {os.cpu_count()} cores; milliseconds of value and both gradients; ratios of jaxdl's time"
    )
    print(f"{'case':25}{'jaxdl':>8}{'xla':>9}{'torch':>8}{'jaxdl / xla':>22}{'jaxdl / torch':>22}")
    for row in rows:
        ms = row["ms"]
        ratios = (f"{median:.2f} ({lower:.2f} to {upper:.2f})" for lower, median, upper in row["ratio"].values())
        print(
            f"{row['case']:25}{ms['jaxdl']:8.1f}{ms['xla']:9.1f}{ms['torch']:8.1f}"
            + "".join(f"{r:>22}" for r in ratios)
        )


if __name__ == "__main__":
    main()
