"""The ledger: every measured number of an experiment, by setting and seed, in `results/<experiment>/<setting>.json`.

    {"experiment": "digits_mlp", "setting": {"lr": 0.003}, "code": <checksum>, "select": ["accuracy", "max"],
     "flops": <of all steps>, "baseline": {"accuracy": 0.95}, "baseline_by": "logistic regression",
     "runs": [{"seed": 0, "metrics": {"validation": {...}, "test": {...}}, "cpu_seconds": 3.1, "peak_memory": 4e8,
               "date": ..., "commit": ..., "versions": {...}, "processor": ..., "command": ...}, ...]}

Seeds may be added one at a time. `code` is a checksum of the experiment file without its docstrings and comments: an entry whose
file has another one is stale, since it was measured with other code.
"""

import ast
import json
import math
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.engine.program import Program
from jaxdl.experiment import ExperimentError
from jaxdl.metrics.significance import Difference, paired_difference
from jaxdl.record.manifest import write_synced
from jaxdl.record.run import environment
from jaxdl.runs import naive
from jaxdl.runs.run import Run
from jaxdl.runs.trial import trial
from jaxdl.setup import Setup

RESULTS = Path("results")


@dataclass
class LedgerEntry:
    """One setting of one experiment, measured over seeds."""

    experiment: str
    setting: dict[str, Any]
    code: str
    select: tuple[str, str]
    flops: float | None = None
    baseline: dict[str, float] = field(default_factory=dict)
    baseline_by: str = ""
    runs: list[dict[str, Any]] = field(default_factory=list)

    @property
    def seeds(self) -> list[int]:
        return [run["seed"] for run in self.runs]

    def values(self, metric: str, split: str = "test") -> list[float]:
        """The metric of every seed on a split, in the order of the seeds."""
        return [run["metrics"][split][metric] for run in sorted(self.runs, key=lambda run: run["seed"])]

    def save(self, root: Path = RESULTS) -> Path:
        """Write the entry, whole or not at all."""
        path = root / self.experiment / f"{name_of(self.setting)}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_synced(path, json.dumps(vars(self), indent=1, ensure_ascii=False) + "\n")
        return path


def name_of(setting: Mapping[str, Any]) -> str:
    """The file name of a setting: `default`, or its values that are not defaults.

    >>> name_of({"optimizer": "lamb", "lr": 0.1}), name_of({})
    ('optimizer=lamb,lr=0.1', 'default')
    """
    words = [f"{name}={value}" for name, value in setting.items()]
    text = ",".join(words).replace("/", "_") or "default"
    return text if len(text) <= 120 else f"{text[:100]}-{sha256(text.encode()).hexdigest()[:8]}"


def load_entry(path: Path) -> LedgerEntry:
    """Read an entry. UserError for a file that is none."""
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
        return LedgerEntry(**{**read, "select": tuple(read["select"])})
    except (ValueError, TypeError, KeyError) as error:
        raise ExperimentError(f"{path} is not an entry of the ledger: {error}") from None


def code_checksum(path: str | Path) -> str:
    """16 hex digits of SHA-256 of a Python file without docstrings, comment lines and blank lines: equal for equal code."""
    text = Path(path).read_text(encoding="utf-8")
    lines = dict(enumerate(text.splitlines(), 1))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None:
            for number in range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1):
                del lines[number]
    code = [line.rstrip() for line in lines.values() if line.strip() and not line.lstrip().startswith("#")]
    return sha256("\n".join(code).encode()).hexdigest()[:16]


def measure(setup: Setup, seed: int, splits: Sequence[str]) -> tuple[dict[str, Any], Run]:
    """Train one seed in memory and evaluate the splits. Return an item of `LedgerEntry.runs`, and the run."""
    began = time.process_time()
    run = trial(setup.config, **{**given(setup), "seed": seed})
    metrics = {split: numbers(run.evaluate(split).metrics) for split in splits}
    env = environment(setup.source)
    item = {
        "seed": seed,
        "metrics": metrics,
        "cpu_seconds": round(time.process_time() - began, 2),
        "peak_memory": peak_memory(),
        "date": env["time"][:10],
        "commit": (env["git"] or {}).get("commit"),
        "versions": env["versions"],
        "processor": processor(),
        "command": env["command"],
    }
    return item, run


def given(setup: Setup) -> dict[str, Any]:
    """The values of a setup that are not the defaults of its config, without the seed."""
    plain = Setup.of(setup.config, {})
    changed = {name: value for name, value in setup.knobs.items() if value != plain.knobs.get(name) and name != "seed"}
    return {**changed, **setup.overrides}


def numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The metrics that are finite numbers, to seven digits, without the count of examples."""
    return {name: float(f"{v:.7g}") for name, v in metrics.items() if math.isfinite(v) and name != "examples"}


def peak_memory() -> int | None:
    """The largest memory that the process has held so far, in bytes; None where the system does not tell."""
    try:
        import resource  # not on Windows
    except ImportError:
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def processor() -> str:
    """The name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def baseline_of(setup: Setup, reached: Mapping[str, float]) -> tuple[dict[str, float], str]:
    """The metrics of the naive method, of those that the run has, and what it is called."""
    found, title = naive.baseline(setup)
    kept = numbers({name: value for name, value in found.items() if name in reached})
    return kept, title if kept else ""


def flops_of(program: Program) -> float | None:
    """FLOPs of the whole training, as XLA counts those of one step before it optimizes."""
    step, number = program.function("chunk"), jax.ShapeDtypeStruct((), jnp.int32)
    source = {name: jax.ShapeDtypeStruct(np.shape(a), a.dtype) for name, a in dict(program.source_shapes).items()}
    cost = step.lower(program.traced, program.shapes, source, number, number).cost_analysis() or {}
    return None if "flops" not in cost else float(cost["flops"]) * program.exp.steps


def new_entry(setup: Setup) -> LedgerEntry:
    """An entry of a setting without a measured seed."""
    if setup.source is None:
        raise ExperimentError("the ledger holds experiments that stand in a file, not those of a notebook")
    return LedgerEntry(setup.stem, given(setup), code_checksum(setup.source), setup.build().select)


def open_entry(setup: Setup, root: Path = RESULTS) -> tuple[LedgerEntry, bool]:
    """The entry of a setting, new or as it stands, and whether its experiment file has changed since."""
    fresh = new_entry(setup)
    path = root / fresh.experiment / f"{name_of(fresh.setting)}.json"
    if not path.is_file():
        return fresh, False
    entry = load_entry(path)
    return entry, entry.code != fresh.code


def record(
    setup: Setup,
    seeds: Sequence[int],
    *,
    splits: Sequence[str] = ("validation", "test"),
    replace: bool = False,
    root: Path = RESULTS,
    say: Callable[[str], None] = print,
) -> LedgerEntry:
    """Measure the seeds that a setting's entry lacks; the entry is written after each one.

    Raises ExperimentError where the experiment file has changed since the entry was measured, unless `replace` is True: then
    the entry starts again.
    """
    entry, stale = open_entry(setup, root)
    if stale and not replace:
        raise ExperimentError(
            f"{entry.experiment}, {name_of(entry.setting)}: {setup.source} has changed since its {len(entry.runs)} seeds "
            "were measured; --replace measures anew"
        )
    if replace:
        entry = new_entry(setup)
    splits = [split for split in splits if split in setup.build().data.splits]
    for seed in (seed for seed in seeds if seed not in entry.seeds):
        item, run = measure(setup, seed, splits)
        if entry.flops is None:
            entry.flops = flops_of(run.program)
            entry.baseline, entry.baseline_by = baseline_of(setup, item["metrics"].get("test", {}))
        entry.runs.append(item)
        entry.save(root)
        shown = ", ".join(f"{split} {item['metrics'][split][entry.select[0]]:.4g}" for split in splits)
        say(f"seed {seed}: {shown}, {item['cpu_seconds']:.0f} CPU s")
    return entry


def repeat(setup: Setup, seeds: Sequence[int], entry: LedgerEntry, *, split: str = "test") -> dict[str, Difference]:
    """Train seeds of an entry again and return, for each metric, how it differs from what stands there."""
    kept = {run["seed"]: run["metrics"][split] for run in entry.runs}
    again = {seed: measure(setup, seed, [split])[0]["metrics"][split] for seed in seeds}
    names = [name for name in next(iter(again.values())) if all(name in kept[seed] for seed in seeds)]
    return {
        name: paired_difference([again[seed][name] for seed in seeds], [kept[seed][name] for seed in seeds])
        for name in names
    }
