"""Write what the night's tests gave: `python tests/night.py REPORT.xml results/night.json`, called by .ci/night."""

import json
import os
import platform
import sys
import xml.etree.ElementTree as ET
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("jax", "flax", "optax", "orbax-checkpoint", "torch", "transformers")


def summary(report: str) -> dict:
    """Date, machine, versions, counts, and every test with its seconds and outcome."""
    suite = next(iter(ET.parse(report).getroot().iter("testsuite")))
    tests = {}
    for case in suite.iter("testcase"):
        outcome = next((tag for tag in ("failure", "error", "skipped") if case.find(tag) is not None), "passed")
        tests[f"{case.get('classname')}::{case.get('name')}"] = {
            "outcome": outcome,
            "seconds": round(float(case.get("time", 0)), 1),
        }
    return {
        "date": suite.get("timestamp"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES},
        "seconds": float(suite.get("time", 0)),
        "counts": {name: int(suite.get(name, 0)) for name in ("tests", "failures", "errors", "skipped")},
        "tests": dict(sorted(tests.items())),
    }


if __name__ == "__main__":
    report, target = sys.argv[1:]
    Path(target).parent.mkdir(exist_ok=True)
    Path(target).write_text(json.dumps(summary(report), indent=1) + "\n", encoding="utf-8")
