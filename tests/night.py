"""Keep what the night's tests gave: `python tests/night.py REPORT.xml COLLECTED results/night.json`, called by .ci/night."""

import json
import os
import platform
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("jax", "flax", "optax", "orbax-checkpoint", "torch", "transformers")


def name_of(node: str) -> str:
    """tests/engine/test_tensor.py::test_parts[2] -> tests.engine.test_tensor::test_parts[2], as a report writes it."""
    file, _, test = node.partition("::")
    return f"{file.removesuffix('.py').replace('/', '.')}::{test}"


def outcomes(report: str) -> tuple[dict, dict]:
    """The run of a report (when, with what) and each of its tests with its outcome and CPU seconds."""
    suite = next(iter(ET.parse(report).getroot().iter("testsuite")))
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    began = suite.get("timestamp", "")[:19]
    run = {
        "commit": commit,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "seconds": round(float(suite.get("time", 0))),
        "versions": {"python": platform.python_version()} | {name: version(name) for name in PACKAGES},
    }
    tests = {}
    for case in suite.iter("testcase"):
        outcome = next((tag for tag in ("failure", "error", "skipped") if case.find(tag) is not None), "passed")
        shown = {p.get("name"): p.get("value") for p in case.iter("property")}
        cpu = sum(float(shown.get(name, 0)) for name in ("setup_cpu_seconds", "cpu_seconds"))
        name = f"{case.get('classname')}::{case.get('name')}"
        tests[name] = {"outcome": outcome, "cpu_seconds": round(cpu, 1), "run": began}
    return {began: run}, tests


def merged(before: dict, run: dict, now: dict, collected: list[str]) -> dict:
    """The last outcome of every night test there is; one that never ran is `not run`."""
    known = before.get("tests", {}) | now
    tests = {name: known.get(name, {"outcome": "not run"}) for name in sorted(map(name_of, collected))}
    runs = before.get("runs", {}) | run
    return {
        "counts": dict(sorted(Counter(test["outcome"] for test in tests.values()).items())),
        "runs": {name: runs[name] for name in sorted({test["run"] for test in tests.values() if "run" in test})},
        "tests": tests,
    }


if __name__ == "__main__":
    report, collected, target = sys.argv[1:]
    file = Path(target)
    before = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    nodes = Path(collected).read_text(encoding="utf-8").splitlines()
    result = merged(before, *outcomes(report), nodes)
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"{target}: {result['counts']}")
