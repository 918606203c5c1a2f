"""Two processes never train one folder, and a killed one leaves no lock behind."""

import os
import subprocess
import sys

import pytest

from jaxdl import train
from jaxdl.engine.loop import Limits
from jaxdl.record.lock import locked

HOLD = """
import sys
from pathlib import Path
from jaxdl.record.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.slow
def test_the_second_is_refused_until_the_first_is_killed(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as first:
        assert first.stdout.readline() == "held\n"
        with pytest.raises(ValueError, match=rf"{tmp_path} is being trained by process {first.pid}$"), locked(tmp_path):
            pass
        first.kill()
        first.wait()
    with locked(tmp_path):
        assert (tmp_path / ".lock").read_text(encoding="utf-8") == str(os.getpid())


@pytest.mark.slow
@pytest.mark.programs(40, "whole trainings")
def test_a_run_is_locked_while_it_trains_and_free_afterwards(tiny, tmp_path):
    def again(line):
        if line["kind"] == "eval":
            (folder,) = tmp_path.glob("*/*")
            with pytest.raises(ValueError, match="is being trained by process"):
                train(tiny.config, resume=folder, quiet=True)
            seen.append(line["step"])

    seen = []
    run = train(tiny.config, run=tmp_path, limits=Limits(stop_at=6), quiet=True, callback=again)
    assert seen == [6]
    assert int(train(tiny.config, resume=run.folder, quiet=True).state.step) == 24
