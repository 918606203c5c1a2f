"""Runs that are killed at random moments end as if nobody had touched them (`kill.py`)."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("kind", "kills"),
    [
        pytest.param("single", 4, marks=pytest.mark.slow),
        *(
            pytest.param(kind, 20, marks=pytest.mark.night)
            for kind in ("single", "stream", "tokens", "sweep", "prune", "gan")
        ),
    ],
)
def test_a_run_that_was_killed_ends_with_the_same_bits(kind, kills, tmp_path):
    words = [sys.executable, str(ROOT / "tests" / "faults" / "kill.py"), kind, str(kills), "0", str(tmp_path)]
    done = subprocess.run(
        words, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=3600
    )
    assert done.returncode in (0, 1), done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["failed"] == []
    assert told["kills"] == kills
    assert told["same"] == told["runs"] >= 1
