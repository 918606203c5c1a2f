"""Does the suite notice faults? Changes one operator, comparison or constant at a time and runs the tests that mirror the file.

    python tests/mutate.py --count 100 --seed 0        results in results/mutants.json; a mutant that lives is printed

A mutant dies if a default test of its folder fails. Works on a copy of the repository; nothing here is changed.
"""

import argparse
import ast
import copy
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
TARGETS = {"losses": "losses", "optim": "optim", "layers": "layers", "tasks": "tasks", "engine/step.py": "engine"}
"""Part of jaxdl -> folder of tests."""
OPERATORS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.MatMult: ast.Add}
COMPARISONS = {ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq}


def places(tree):
    """(index of the node in ast.walk, what it becomes) for every node inside a function that can be mutated."""
    inside = {id(n) for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) for s in f.body for n in ast.walk(s)}
    raised = {
        id(n) for r in ast.walk(tree) if isinstance(r, ast.Raise | ast.Assert | ast.JoinedStr) for n in ast.walk(r)
    }
    for i, node in enumerate(ast.walk(tree)):
        if id(node) not in inside or id(node) in raised:
            continue
        if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
            yield i, f"{type(node.op).__name__} -> {OPERATORS[type(node.op)].__name__}"
        elif isinstance(node, ast.Compare) and type(node.ops[0]) in COMPARISONS:
            yield i, f"{type(node.ops[0]).__name__} -> {COMPARISONS[type(node.ops[0])].__name__}"
        elif isinstance(node, ast.Constant) and type(node.value) in (int, float) and abs(node.value) >= 0.01:
            yield i, f"{node.value} -> {node.value + 1}"
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            yield i, "- dropped"


def mutated(tree, index):
    """The source with one node changed, and its line."""
    tree = copy.deepcopy(tree)
    node = list(ast.walk(tree))[index]
    if isinstance(node, ast.BinOp):
        node.op = OPERATORS[type(node.op)]()
    elif isinstance(node, ast.Compare):
        node.ops[0] = COMPARISONS[type(node.ops[0])]()
    elif isinstance(node, ast.Constant):
        node.value += 1
    else:
        node.op = ast.UAdd()
    return ast.unparse(tree), node.lineno


def dies(copy_of, tests):
    """Whether a default test fails in the copy."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-n", "0", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(command, cwd=copy_of, capture_output=True, text=True, timeout=900, check=False)
    if done.returncode not in (0, 1, 2):
        raise RuntimeError(f"{' '.join(command)}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.returncode != 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "mutants.json")
    options = parser.parse_args()
    every = []
    for part, folder in TARGETS.items():
        path = ROOT / "jaxdl" / part
        for file in [path] if path.suffix else sorted(path.glob("*.py")):
            found = list(places(ast.parse(file.read_text(encoding="utf-8"))))
            every += [(file.relative_to(ROOT), folder, index, what) for index, what in found]
    chosen = random.Random(options.seed).sample(every, options.count)
    rows = []
    with tempfile.TemporaryDirectory() as there:
        copied = Path(there) / "repository"
        shutil.copytree(ROOT, copied, ignore=shutil.ignore_patterns(".git", "runs", "__pycache__"))
        os.environ["PYTHONPATH"] = str(copied)
        for file, folder, index, what in chosen:
            source = (ROOT / file).read_text(encoding="utf-8")
            text, line = mutated(ast.parse(source), index)
            (copied / file).write_text(text, encoding="utf-8")
            mirror = Path("tests") / folder / f"test_{file.stem}.py"
            tests = [str(mirror)] * (copied / mirror).is_file()
            dead = bool(tests and dies(copied, tests)) or dies(copied, [f"tests/{folder}"])
            (copied / file).write_text(source, encoding="utf-8")
            rows.append({"file": str(file), "line": line, "change": what, "dead": dead})
            print(f"{'died ' if dead else 'LIVES'} {file}:{line}  {what}", flush=True)
    print(f"{sum(row['dead'] for row in rows)} of {len(rows)} died")
    options.out.parent.mkdir(exist_ok=True)
    options.out.write_text(json.dumps({"seed": options.seed, "mutants": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
