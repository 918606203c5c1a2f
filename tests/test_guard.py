"""A script without a guard: what it calls when it is read for its `config` is refused; a script that runs is not read again."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import jaxdl
from jaxdl.experiment import ExperimentError, Unguarded, load_config

HEAD = '''"""A plain script."""
from functools import cache
import numpy as np
from jaxdl import Experiment, load, main, sweep, train, trial
from jaxdl.data.source import InMemory
from jaxdl.models.mlp import MLP
from jaxdl.optim import adam
from jaxdl.tasks.classification import Classification

print("--- executed")
x = (np.arange(48, dtype=np.float32).reshape(12, 4) * 7 % 11) / 11
y = (x[:, 0] > 0.5).astype(np.int32)

def config(*, lr: float = 1e-2, seed: int = 0) -> Experiment:
    data = InMemory({"train": {"x": x, "y": y}}, batch=4)
    return Experiment(data=data, task=Classification(MLP(features=(2,), classes=2)), optimizer=adam(lr), steps=2, seed=seed)

'''
CALLS = {
    "train(config)": "train(...)",
    "trial(config)": "trial(...)",
    "sweep(config, {'lr': [0.1, 0.2]})": "sweep(...)",
    "load('runs/x')": "load(...)",
    "main(config)": "main(config)",
}


@pytest.mark.parametrize("call", CALLS)
def test_a_file_that_calls_while_it_is_read_is_refused_in_one_line(call, tmp_path):
    file = tmp_path / "plain.py"
    file.write_text(HEAD + call + "\n", encoding="utf-8")
    line = len(HEAD.splitlines()) + 1
    with pytest.raises(Unguarded) as told:
        load_config(file)
    text = str(told.value)
    assert text.startswith(f"{file}:{line} calls {CALLS[call]} while the file is read for its config: ")
    assert 'if __name__ == "__main__":' in text
    assert "\n" not in text
    assert [path.name for path in tmp_path.iterdir() if path.name != "__pycache__"] == ["plain.py"]
    file.write_text(HEAD + f'if __name__ == "__main__":\n    {call}\n', encoding="utf-8")
    assert load_config(file)().steps == 2  # and what the message says to write helps


def test_a_call_inside_a_function_of_the_file_is_told_by_the_line_that_calls(tmp_path):
    file = tmp_path / "nested.py"
    file.write_text(HEAD + "def work():\n    train(config)\n\n\nwork()\n", encoding="utf-8")
    with pytest.raises(Unguarded, match=rf"nested.py:{len(HEAD.splitlines()) + 2} calls train"):
        load_config(file)


def test_the_original_is_named_where_a_copy_is_read(tmp_path):
    copy, source = tmp_path / "experiment.py", tmp_path / "plain.py"
    for file in (copy, source):
        file.write_text(HEAD + "train(config)\n", encoding="utf-8")
    with pytest.raises(Unguarded, match=r"plain\.py:\d"):
        load_config(copy, beside=str(source))


def test_other_mistakes_are_told_as_ever(tmp_path):
    file = tmp_path / "wrong.py"
    file.write_text("1 / 0\n", encoding="utf-8")
    with pytest.raises(ExperimentError, match=r"wrong\.py:1 raises ZeroDivisionError"):
        load_config(file)
    file.write_text(
        HEAD, encoding="utf-8"
    )  # and nothing is left behind: the file can be read, and a run trained, afterwards
    assert load_config(file)().steps == 2


@pytest.mark.slow
def test_a_script_that_trains_and_loads_is_executed_once(tmp_path):
    """Another process, since it is about `__main__`: the run's copy of the script is the script that runs."""
    script = tmp_path / "plain.py"
    script.write_text(
        HEAD + "run = train(config, quiet=True)\nprint('label', load(run.folder).predict(x[:3])['label'])\n",
        encoding="utf-8",
    )
    env = {**os.environ, "PYTHONPATH": str(Path(jaxdl.__file__).parents[1])}
    command = [sys.executable, script.name]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("--- executed") == 1
    assert done.stdout.count("label [") == 1
    assert len([*tmp_path.glob("runs/plain/*/config.json")]) == 1
