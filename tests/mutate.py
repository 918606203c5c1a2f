"""Does the suite notice faults? Changes one operator, comparison or constant at a time and runs the tests that mirror the file.

    python tests/mutate.py --count 100 --seed 0        results in results/mutants.json; a mutant that lives is printed
    python tests/mutate.py --again                     after new tests: only those of that file that lived

A mutant dies if a doctest of its file or a default test of its folder fails, or does not end in 15 minutes. One that lives
because it computes the same has its reason under EQUIVALENT. Works on a copy of the repository; nothing but the results is
written here, after each mutant, so that `--again` also goes on after an interruption.
"""

import argparse
import ast
import copy
import json
import os
import platform
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from datetime import date
from importlib.metadata import version
from pathlib import Path

import flax.linen  # noqa: F401  so that no fork has to import it, nor jax, which starts no thread before its first use
import jax  # noqa: F401  (the same)
import optax  # noqa: F401  (the same)
import pytest

ROOT = Path(__file__).parents[1]
TARGETS = {"losses": "losses", "optim": "optim", "layers": "layers", "tasks": "tasks", "engine/step.py": "engine"}
"""Part of jaxdl -> folder of tests."""
OPERATORS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.MatMult: ast.Add}
EQUIVALENT = {
    (
        "jaxdl/losses/labels.py",
        "Add -> Sub",
        "return jnp.where(exists, values, 0) + (1 - one / one)",
    ): "the second term is 0 or NaN",
    (
        "jaxdl/layers/dense.py",
        "2 -> 3",
        'if x.ndim > 2 and jax.default_backend() == "cpu":',
    ): "both branches are the same product; they differ in time only",
    (
        "jaxdl/layers/dropout.py",
        "2.0 -> 3.0",
        "kept = jnp.maximum(1 - jnp.asarray(rate, jnp.float32), 2.0**-16).astype(x.dtype)",
    ): "a divisor that is used where everything is dropped: any small number above 0 serves",
    (
        "jaxdl/layers/recurrent_cells.py",
        "2 -> 3",
        "h = jax.nn.sigmoid(o + peep(2, c)) * jnp.tanh(seen)",
    ): "JAX clamps the index 3 of three rows to the last one, 2",
    (
        "jaxdl/tasks/classification.py",
        "- dropped",
        "return y.argmax(-1)",
    ): "soft labels are (batch, classes): the last axis is axis 1",
    (
        "jaxdl/tasks/multilabel.py",
        "- dropped",
        "loss, pair = weighted_mean(one_each(self.loss(logits, y), logits.shape).mean(-1), mask)",
    ): "logits are (batch, labels): the last axis is axis 1",
    (
        "jaxdl/tasks/noise.py",
        "Add -> Sub",
        "return lambda key, x: x + jnp.asarray(scale, x.dtype) * jax.random.normal(key, x.shape, x.dtype)",
    ): "the normal distribution is symmetric around 0",
}
"""Mutants that compute the same: (file, change, line) -> why."""
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


def run_tests(copied, *tests):
    """pytest over the copy up to the first failure, in a fork of this process: (its exit code, what it printed)."""
    log = copied.parent / "log"
    child = os.fork()
    if child == 0:
        code = 99
        try:
            signal.alarm(900)
            os.chdir(copied)
            sys.path[0] = str(copied)
            sys.dont_write_bytecode = True
            with open(log, "w", encoding="utf-8") as file:
                os.dup2(file.fileno(), 1)
                os.dup2(file.fileno(), 2)
            code = int(pytest.main(["-x", "-q", "-n", "0", "-p", "no:cacheprovider", *tests]))
            sys.stdout.flush()
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    printed = log.read_text(encoding="utf-8", errors="replace")
    if code not in (0, 1, 2, 5, -signal.SIGALRM):  # 5: a file without doctests, which has no test file of its own
        raise RuntimeError(f"{' '.join(tests)} ended with {code}:\n{printed[-4000:]}")
    return code, printed


def killer(copied, *tests):
    """The test that fails, "a test does not end", or None if all pass."""
    code, printed = run_tests(copied, *tests)
    if code in (0, 5):
        return None
    failed = [
        line.split(" - ")[0].split(" ", 1)[1] for line in printed.splitlines() if line.startswith(("FAILED ", "ERROR "))
    ]
    if code > 0 and not failed:
        raise RuntimeError(printed[-4000:])
    return failed[0] if failed else "a test does not end"


def choose(count, seed):
    """(file, folder of tests, node, change), drawn from all places that can be changed."""
    every = []
    for part, folder in TARGETS.items():
        path = ROOT / "jaxdl" / part
        for file in [path] if path.suffix else sorted(path.glob("*.py")):
            found = list(places(ast.parse(file.read_text(encoding="utf-8"))))
            every += [(file.relative_to(ROOT).as_posix(), folder, index, what) for index, what in found]
    return random.Random(seed).sample(every, count)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--again", action="store_true", help="only those that lived without a reason or were not tried")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "mutants.json")
    options = parser.parse_args()
    done = {}
    if options.again:
        before = json.loads(options.out.read_text(encoding="utf-8"))
        options.count, options.seed = before["count"], before["seed"]
        settled = [row for row in before["mutants"] if row["killed_by"] or "equivalent" in row]
        done = {key(row): row for row in settled}
    rows = list(done.values())
    with tempfile.TemporaryDirectory() as there:
        copied = Path(there) / "repository"
        shutil.copytree(ROOT, copied, ignore=shutil.ignore_patterns(".git", "runs", "__pycache__"))
        for file, folder, index, what in choose(options.count, options.seed):
            source = (ROOT / file).read_text(encoding="utf-8")
            text, line = mutated(ast.parse(source), index)
            shown = source.splitlines()[line - 1].strip()
            row = {"file": file, "node": index, "line": line, "change": what, "source": shown}
            if key(row) in done:
                continue
            (copied / file).write_text(text, encoding="utf-8")
            mirror = f"tests/{folder}/test_{Path(file).stem}.py"
            by = killer(copied, file, *[mirror] * (copied / mirror).is_file())
            by = by or killer(copied, f"tests/{folder}", f"--ignore={mirror}")
            (copied / file).write_text(source, encoding="utf-8")
            print(f"{'died ' if by else 'LIVES'} {file}:{line}  {what}  {by or ''}", flush=True)
            row["killed_by"] = by
            if by is None and (file, what, shown) in EQUIVALENT:
                row["equivalent"] = EQUIVALENT[file, what, shown]
            rows.append(row)
            write(options, rows)
        killers = sorted({row["killed_by"] for row in rows} - {None, "a test does not end"})
        wrong = killer(copied, *killers)
        if wrong:
            raise SystemExit(f"{wrong} fails without a mutant, too")
    print(f"{sum(row['killed_by'] is not None for row in rows)} of {len(rows)} died")


def key(row):
    return row["file"], row["node"], row["change"], row["source"]


def write(options, rows):
    """The results so far, with what they were found."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    result = {
        "command": f"python tests/mutate.py --count {options.count} --seed {options.seed}",
        "date": str(date.today()),
        "commit": commit.stdout.strip(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("jax", "flax", "optax", "numpy")},
        "count": options.count,
        "seed": options.seed,
        "tried": len(rows),
        "dead": sum(row["killed_by"] is not None for row in rows),
        "equivalent": sum("equivalent" in row for row in rows),
        "mutants": sorted(rows, key=key),
    }
    options.out.parent.mkdir(exist_ok=True)
    options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
