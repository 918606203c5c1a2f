"""The shape of the code: imports flow down, files are short, heavy libraries stay in their leaf, importing is light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "jaxdl"
FILES = sorted(PACKAGE.rglob("*.py"))
LONGEST = 330

SCIENCE = {"types", "activations"}
MAY_IMPORT = {
    "types": set(),
    "activations": set(),
    "compilation_cache": set(),
    "counts": set(),
    "runtime": {"compilation_cache"},
    **dict.fromkeys(("losses", "metrics", "optim", "augment", "layers", "decode", "data"), SCIENCE),
    "models": {*SCIENCE, "layers"},
    "tasks": {*SCIENCE, "losses", "metrics", "decode"},
    "record": {"types", "runtime"},
    "train": {"types", "runtime", "record", "counts"},
    "pretrained": {"types", "models"},
    "inspect": {"types", "runtime", "layers"},
}
"""Part -> the parts it may import beside itself; what is not listed is on top and may import everything below."""
TOP = {
    "__init__",
    "__main__",
    "experiment",
    "fingerprint",
    "formats",
    "judge",
    "prepared",
    "provenance",
    "api",
    "sweeps",
    "transfer",
    "members",
    "commands",
}

LEAVES = {
    "orbax": "record/checkpoint.py",
    "matplotlib": "record/plots.py",
    "tensorflow_datasets": "data/tfds.py",
    "tensorboardX": "record/log.py",
    "grain": "data/workers.py",
}
"""Heavy library -> the one file that may import it."""


def parsed(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def part(path):
    """jaxdl/losses/margin.py -> losses; jaxdl/types.py -> types."""
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imports(tree):
    """Every (module, line) imported anywhere in a file, also inside functions; `from a import b` gives a and a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import"
            yield node.module, node.lineno
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def at_top(tree):
    """The modules imported when a file is."""
    inner = {n for f in ast.walk(tree) if isinstance(f, ast.FunctionDef | ast.Lambda) for n in ast.walk(f)}
    outer = [n for n in ast.walk(tree) if isinstance(n, ast.Import | ast.ImportFrom) and n not in inner]
    return {name for node in outer for name, _ in imports(ast.Module([node], []))}


def test_every_part_has_its_level():
    parts = {part(path) for path in FILES}
    assert parts <= MAY_IMPORT.keys() | TOP, "a new part needs a line in MAY_IMPORT"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_flow_down(path):
    mine, found = part(path), []
    for name, line in imports(parsed(path)):
        words = name.split(".")
        assert words[0] not in ("experiments", "tests", "benchmarks"), f"{path}:{line} imports {name}"
        if words[0] == "jaxdl" and len(words) > 1 and mine not in TOP:
            known = words[1] in MAY_IMPORT or words[1] in TOP
            if known and words[1] not in {mine, *MAY_IMPORT[mine]}:
                found.append(f"{path.relative_to(ROOT)}:{line} imports {name}")
    assert not found


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_heavy_libraries_stay_in_their_leaf(path):
    tree, where = parsed(path), path.relative_to(PACKAGE).as_posix()
    for name, line in imports(tree):
        leaf = LEAVES.get(name.split(".")[0], where)
        assert leaf == where, f"{where}:{line} imports {name}, which belongs to {leaf}"
        if name.split(".")[0] in ("torch", "timm", "tensorflow"):
            assert part(path) == "pretrained", f"{where}:{line} imports {name}"
        if name.startswith("flax.linen"):
            assert part(path) in ("layers", "models"), f"{where}:{line}: Linen belongs to layers and models"
    heavy = {"torch", "orbax", "tensorflow_datasets", "tensorboardX", "sklearn", "grain"}
    assert not heavy & {name.split(".")[0] for name in at_top(tree)}, f"{where}: import it where it is used"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_files_are_short_and_well_named(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST
    assert path.stem not in {"utils", "util", "common", "helpers", "misc"}
    assert ast.get_docstring(parsed(path)) or not path.read_text().strip(), "a file begins with what it is for"


def test_the_median_file_is_shorter_than_200_lines():
    lengths = sorted(len(path.read_text(encoding="utf-8").splitlines()) for path in FILES if path.stat().st_size)
    assert lengths[len(lengths) // 2] < 200


def test_nothing_imports_an_experiment():
    for path in [*FILES, *(ROOT / "benchmarks").glob("*.py")]:
        assert not [name for name, _ in imports(parsed(path)) if name.split(".")[0] == "experiments"], path


IMPORTS = {
    "jaxdl": "jaxdl",
    "a loss": "jaxdl.losses.classification",
    "a model": "jaxdl.models.cnn",
    "the whole path": "jaxdl.api, jaxdl.commands.train",
}


@pytest.mark.parametrize("modules", IMPORTS.values(), ids=IMPORTS)
def test_importing_is_light(modules):
    program = (
        f"import sys; import {modules}\n"
        "heavy = {'orbax', 'matplotlib', 'tensorflow_datasets', 'tensorflow', 'sklearn', 'torch', 'tensorboardX', 'grain'}\n"
        "from jax._src.xla_bridge import backends_are_initialized\n"
        "print(sorted(heavy & set(sys.modules)), backends_are_initialized())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.stdout, done.returncode) == ("[] False\n", 0), done.stderr


def test_types_are_all_that_the_lowest_level_imports():
    """`import jaxdl.types` alone loads no other part of jaxdl."""
    for name in ("types", "activations"):
        assert not [m for m, _ in imports(parsed(PACKAGE / f"{name}.py")) if m.split(".")[0] == "jaxdl"]
