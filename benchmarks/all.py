"""Every benchmark in one go, into results/benchmarks/<processor>.json, and the table of docs/speed.md.

Run: python benchmarks/all.py [--quick] [--only vision gan] [--output FOLDER] [--replace]
     python benchmarks/all.py --table           writes the table of docs/speed.md from the files

Each number is the median (quartiles) of the ratio of jaxdl's time to PyTorch's within an interleaved round, on a machine that
does nothing else. `--quick` measures fewer cases in three short rounds, in about seven minutes on two cores. A failing one is
named, the results of the others are kept, and the exit code is 1.
"""

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from train_step import ROOT, quartiles

sys.path.insert(0, str(ROOT))
from jaxdl.runs.ledger import processor

FOLDER = ROOT / "results" / "benchmarks"
MARKS = "<!-- from results/benchmarks: python benchmarks/all.py --table -->", "<!-- end -->"
SUITES = {
    "products": ("square", "mlp", "lm mlp", "lm scores", "lstm step"),
    "train_step": ("mlp", "cnn"),
    "char_lm": (),
    "sequences": ("lstm", "lm", "generate"),
    "gan": (),
    "vision": ("resnet18",),
    "cifar10": (),
    "population": (),
}
"""benchmark -> what of it `--quick` measures; (): all, at short lengths."""
CHOICE = {"products": "--shapes", "train_step": "--models", "sequences": "--models", "vision": "--cases"}
SLOW = ("population",)
"""What `--quick` leaves out."""
QUICK = {"cifar10": ("--batch", "250")}


def command(suite: str, quick: bool, file: str) -> list[str]:
    """The command of one benchmark."""
    line = [sys.executable, str(ROOT / "benchmarks" / f"{suite}.py"), "--json", file]
    if not quick:
        return line
    seconds = "0.3" if suite == "products" else "1"
    chosen = (CHOICE[suite], *SUITES[suite]) if SUITES[suite] else ()
    return [*line, "--rounds", "3", "--seconds", seconds, *chosen, *QUICK.get(suite, ())]


def compared(suite: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """case -> ours and the peer's, which is the first contender of a case: median seconds, and quartiles of the ratio."""
    cases: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        cases.setdefault(row.get("case") or row.get("model") or suite, []).append(row)
    found = {}
    for name, contenders in cases.items():
        ours = [row for row in contenders if row["contender"].startswith("jaxdl")]
        best, peer = min(ours, key=lambda row: statistics.median(row["times"])), contenders[0]
        lower, median, upper = quartiles(best["times"], peer["times"])
        row = {"ratio": median, "lower": lower, "upper": upper, "rounds": len(peer["times"])}
        row |= {"ours": best["contender"], "ours_s": statistics.median(best["times"])}
        row |= {"peer": peer["contender"], "peer_s": statistics.median(peer["times"])}
        for key in ("first_step_s", "memory", "gflops"):
            if best.get(key) is not None:
                row[key] = best[key]
        if "gflops" in peer:
            row["peer_gflops"] = peer["gflops"]
        found[f"{suite}: {name}" if name != suite else suite] = row
    return found


def file_name(name: str, cores: int) -> str:
    """A file's name for a processor: letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", f"{name} {cores} cores".lower()).strip("-") + ".json"


def measured(suites: Sequence[str], quick: bool) -> tuple[dict[str, Any], list[str]]:
    """All results, and the benchmarks that failed."""
    cases: dict[str, Any] = {}
    failed, began = [], time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        for suite in suites:
            file = Path(folder) / f"{suite}.json"
            line = command(suite, quick, str(file))
            print(f"[{time.perf_counter() - began:5.0f} s] {suite}", file=sys.stderr, flush=True)
            done = subprocess.run(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
            if done.returncode or not file.is_file():
                failed.append(suite)
                print(f"{suite} failed:\n{done.stderr[-2000:]}", file=sys.stderr)
                continue
            cases |= compared(suite, json.loads(file.read_text(encoding="utf-8"))["rows"])
    about = {"processor": processor(), "cores": os.cpu_count(), "system": platform.system(), "quick": quick}
    about["versions"] = {name: version(name) for name in ("jax", "jaxlib", "flax", "torch")}
    about["versions"]["python"] = platform.python_version()
    about |= {"load_at_the_end": os.getloadavg()[0], "seconds": round(time.perf_counter() - began)}
    if (square := cases.get("products: square")) is not None:
        about["matrix_gflops"] = {"xla": square["gflops"], "torch": square["peer_gflops"]}
    return {**about, "cases": cases}, failed


def table(files: Sequence[Mapping[str, Any]]) -> str:
    """One row a case, one column a processor: median ratio of times (quartiles), below 1 where jaxdl is faster."""
    if not files:
        return "No processor has been measured with `python benchmarks/all.py` yet."
    heads = []
    for one in files:
        rate = one.get("matrix_gflops")
        speed = f", matrices at {rate['xla']:.0f} GF/s (PyTorch {rate['torch']:.0f})" if rate else ""
        versions = f"jax {one['versions']['jax']}, PyTorch {one['versions']['torch']}"
        short = ", short rounds" if one["quick"] else ""
        heads.append(f"{one['processor']}, {one['cores']} cores{speed}; {versions}{short}")
    names = list(dict.fromkeys(name for one in files for name in one["cases"]))
    lines = [f"| time / PyTorch's | {' | '.join(heads)} |", "|---" * (1 + len(files)) + "|"]
    for name in names:
        cells = []
        for one in files:
            row = one["cases"].get(name)
            cells.append("" if row is None else f"{row['ratio']:.2f} ({row['lower']:.2f} to {row['upper']:.2f})")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def stored(folder: Path = FOLDER) -> list[dict[str, Any]]:
    """The files of all processors, by name."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]


def with_table(text: str, made: str) -> str:
    """A page with this table between its marks."""
    first, last = MARKS
    head, _, rest = text.partition(first)
    return f"{head}{first}\n\n{made}\n\n{last}{rest.partition(last)[2]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer cases in three short rounds")
    parser.add_argument("--only", nargs="+", choices=list(SUITES), help="some of the benchmarks")
    parser.add_argument("--output", type=Path, default=FOLDER, metavar="FOLDER", help="where the file goes")
    parser.add_argument("--replace", action="store_true", help="replace the file of this processor")
    parser.add_argument(
        "--table", action="store_true", help="write the table of docs/speed.md from the files, without measuring"
    )
    parser.add_argument("--dry-run", action="store_true", help="print the commands only")
    args = parser.parse_args()
    speed = ROOT / "docs" / "speed.md"
    if args.table:
        speed.write_text(with_table(speed.read_text(encoding="utf-8"), table(stored(args.output))), encoding="utf-8")
        return
    suites = args.only or [suite for suite in SUITES if not (args.quick and suite in SLOW)]
    file = args.output / file_name(processor(), os.cpu_count() or 1)
    if args.dry_run:
        for suite in suites:
            print(" ".join(command(suite, args.quick, f"{suite}.json")))
        return
    if file.exists() and not args.replace:
        parser.error(f"{file} exists: --replace, or another --output")
    found, failed = measured(suites, args.quick)
    args.output.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(table([found]))
    print(f"{file}; {found['seconds']} s")
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
