"""Text is UTF-8 whatever the locale says, and what a terminal cannot show is escaped."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import jaxdl

ROOT = Path(__file__).parents[1]
TEXT = {"read_text": 0, "write_text": 1}
"""Methods of a path -> how many arguments they have before `encoding`."""


def test_every_text_file_is_opened_as_utf8():
    """Ruff's PLW1514 sees only what it knows for a path; this test also sees what it does not know."""
    paths = [
        path
        for folder in ("jaxdl", "experiments", "tests", "notebooks", "benchmarks")
        for path in (ROOT / folder).rglob("*.py")
    ]
    assert len(paths) > 300
    wrong = []
    for path in paths:
        text = path.read_text(encoding="utf-8")
        if not any(name in text for name in (*TEXT, "open(")):
            continue  # parsing is most of what this test costs
        for node in ast.walk(ast.parse(text)):
            if not isinstance(node, ast.Call) or "encoding" in {word.arg for word in node.keywords}:
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            modes = [a.value for a in node.args[:2] if isinstance(a, ast.Constant) and isinstance(a.value, str)]
            textual = name in TEXT and len(node.args) <= TEXT[name]
            textual |= isinstance(node.func, ast.Name) and name == "open" and not any("b" in mode for mode in modes)
            if textual:
                wrong.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert not wrong


EXPERIMENT = '''"""Größe ± β: one line."""

import numpy as np

from jaxdl import Experiment, main
from jaxdl.data import InMemory
from jaxdl.models.mlp import MLP
from jaxdl.optim import adam
from jaxdl.tasks.classification import Classification

rng = np.random.default_rng(0)
x = rng.normal(size=(64, 3)).astype(np.float32)
rows = {"x": x, "y": (x[:, 0] > 0).astype(np.int32)}


def config(*, lr: float = 1e-2, seed: int = 0) -> Experiment:
    """Größe ± β.

    Args:
        lr: η, the learning rate.
        seed: of all draws.
    """
    data = InMemory({"train": rows, "validation": rows}, batch=8, classes=("größer", "−"))
    return Experiment(data=data, task=Classification(MLP(features=(), classes=2)), optimizer=adam(lr), steps=8, seed=seed)


if __name__ == "__main__":
    main(config)
'''
LOCALES = {
    "C": {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"},
    "cp1252": {"PYTHONIOENCODING": "cp1252"},  # the files' encoding follows the locale, which is that of C here, too
}


@pytest.mark.slow
@pytest.mark.parametrize("locale", LOCALES)
def test_commands_work_where_the_locale_is_not_utf8(locale, tmp_path):
    """One process: `list`, `new` and what it wrote, `--help`, a run and a sweep, their reports and `compare`."""
    (tmp_path / "idea.py").write_text(EXPERIMENT, encoding="utf-8")
    program = """
import locale, sys
from jaxdl.__main__ import main
assert locale.getencoding().lower() not in ("utf-8", "utf8"), locale.getencoding()
def call(*args):
    try:
        code = main(args)
    except SystemExit as error:
        code = error.code
    assert code in (0, None), (args, code)
call("list", ".")
call("new", "fresh")
call("train", "fresh.py", "--help")
call("train", "idea.py", "--help")
call("train", "idea.py", "--quiet", "--run", "runs")
call("train", "idea.py", "--quiet", "--run", "runs", "--seed", "1")
call("sweep", "idea.py", "--seed", "0:2", "--lr", "0.01,0.1", "--run", "sweeps")
call("compare", "runs")
"""
    env = {**os.environ, "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "NO_COLOR": "1"}
    env |= {"PYTHONPATH": str(Path(jaxdl.__file__).parents[1]), **LOCALES[locale]}
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=env, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode("utf-8", "replace")
    shown = done.stdout.decode("ascii" if locale == "C" else "cp1252")
    assert ("Gr\\xf6\\xdfe \\xb1 \\u03b2" if locale == "C" else "Größe ± \\u03b2") in shown
    compile((tmp_path / "fresh.py").read_text(encoding="utf-8"), "fresh.py", "exec")
    reports = [path.read_text(encoding="utf-8") for path in tmp_path.glob("**/report.md")]
    assert len(reports) == 3
    assert all("Größe ± β: one line" in text.splitlines()[0] for text in reports)
