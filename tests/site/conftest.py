"""The site, built once for all tests that look at it, also by several processes of pytest-xdist."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("sphinx", reason="the extra docs is not installed")
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder, said = shared / "site", shared / "site.said"
    try:
        (shared / "site.begun").mkdir()  # the first of all processes builds, the others wait for what it says
    except FileExistsError:
        while not said.exists():
            time.sleep(0.2)
    else:
        command = [
            sys.executable,
            "-m",
            "jaxdl",
            "site",
            "-o",
            str(folder),
        ]  # Sphinx's own warnings are not ours to raise
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8")
        half = said.with_suffix(".half")
        half.write_text(
            done.stdout if done.returncode == 0 else f"exit {done.returncode}\n{done.stderr}", encoding="utf-8"
        )
        half.rename(said)
    assert said.read_text(encoding="utf-8").strip() == str(folder / "index.html")
    return folder
