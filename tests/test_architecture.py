"""The shape of the code: imports flow down, files are short, heavy libraries stay in their leaf, importing is light."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "jaxdl"
FILES = sorted(PACKAGE.rglob("*.py"))
LONGEST = 300

SCIENCE = {"types", "counts", "activations", "parameters", "tracing", "calling"}
MAY_IMPORT = {
    "types": set(),
    "reports": set(),
    "moved": set(),
    "compilation_cache": set(),
    "counts": {"types"},
    "tracing": {"types"},
    "activations": {"types"},
    "parameters": {"types"},
    "extras": {"types"},
    "calling": {"types"},
    "formats": {"types"},
    "runtime": {"types", "compilation_cache", "counts", "extras"},
    **dict.fromkeys(("losses", "optim", "augment", "layers", "decode"), SCIENCE),
    "metrics": {*SCIENCE, "reports"},
    "data": {*SCIENCE, "extras", "moved"},
    "models": {*SCIENCE, "layers"},
    "tasks": {*SCIENCE, "reports", "losses", "metrics", "decode"},
    "record": {"types", "counts", "reports", "runtime"},
    "pretrained": {"types", "counts", "models", "data", "decode"},
    "inspect": {"types", "counts", "runtime", "layers", "parameters", "calling"},
    "engine": {*SCIENCE, "reports", "runtime", "record"},
}
"""Part -> the parts it may import beside itself; the list runs upwards."""
TOP = ("shipped", "experiment", "setup", "runs", "site", "cli", "__main__", "__init__")
"""What stands on these, from the bottom to the top: each may import everything below it."""
DRAWN = {f"jaxdl.record.{name}" for name in ("plots", "pictures", "claim_plots", "draw", "report", "sweep_report")}
"""What brings matplotlib: imported where something is drawn."""

LEAVES = {
    "orbax": "record/orbax_leaves.py",
    "matplotlib": "record/plots.py",
    "tensorflow_datasets": "data/tfds.py",
    "tensorboardX": "record/log.py",
    "grain": "data/workers.py",
    "datasets": "data/huggingface.py",
    "soundfile": "data/audio/soundfiles.py",
    "tokenizers": "data/text/bpe.py",
    "pyarrow": ("data/table/csv.py", "data/text/parquet.py"),
}
"""Heavy library -> the one file that may import it, or one for each of its formats."""


@cache
def source(path):
    return path.read_text(encoding="utf-8")


@cache
def parsed(path):
    """Once for all tests: there are hundreds of files, and each test reads all of them."""
    return ast.parse(source(path))


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
    outer, waiting = [], [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            outer.append(node)
        elif not isinstance(node, ast.FunctionDef | ast.Lambda):
            waiting += ast.iter_child_nodes(node)
    return {name for node in outer for name, _ in imports(ast.Module([node], []))}


def test_every_part_has_its_level():
    parts = {part(path) for path in FILES}
    assert parts == MAY_IMPORT.keys() | set(TOP), "a part has its line in MAY_IMPORT, or its place in TOP"
    order = [*MAY_IMPORT, *TOP]
    above = [
        (one, other) for one, below in MAY_IMPORT.items() for other in below if order.index(other) > order.index(one)
    ]
    assert not above


@cache
def imported(path):
    return list(imports(parsed(path)))


def test_imports_flow_down():
    found = []
    for path in FILES:
        mine, where = part(path), path.relative_to(ROOT)
        for name, line in imported(path):
            words = name.split(".")
            if words[0] in ("experiments", "tests", "benchmarks"):
                found.append(f"{where}:{line} imports {name}")
            if words[0] != "jaxdl" or len(words) == 1 or words[1] not in {*MAY_IMPORT, *TOP}:
                continue
            below = MAY_IMPORT.get(mine, {*MAY_IMPORT, *TOP[: TOP.index(mine)]} if mine in TOP else ())
            if words[1] not in {mine, *below}:
                found.append(f"{where}:{line} imports {name}")
    assert not found


def module(path):
    """jaxdl/losses/margin.py -> jaxdl.losses.margin."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def test_no_module_imports_itself_through_others():
    known = {module(path) for path in FILES}
    graph = {module(path): {name for name, _ in imported(path)} & known - {module(path)} for path in FILES}
    while ends := [name for name, below in graph.items() if not below & graph.keys()]:
        for name in ends:
            del graph[name]
    assert not graph, "each of these imports another one of them"


def test_imports_inside_functions_are_for_heavy_libraries_only():
    """And for the dispatch of commands, which imports one of them."""
    found = []
    for path in FILES:
        top = at_top(parsed(path))
        for name, line in imported(path):
            ours = name.startswith("jaxdl") and name not in top
            if ours and part(path) != "__main__" and not any(name == d or name.startswith(f"{d}.") for d in DRAWN):
                parent = name.rpartition(".")[0]
                if not (name in DRAWN or parent in DRAWN or name == "jaxdl.record"):
                    found.append(f"{path.relative_to(ROOT)}:{line} imports {name}")
    assert not found


def test_nobody_probes_a_task_or_a_data_set():
    """What the trunk may ask is in `jaxdl.types`: a base class with a default for everything."""
    found = []
    for path in FILES:
        for node in ast.walk(parsed(path)):
            called = isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("hasattr", "getattr")
            if called and ast.unparse(node.args[0]).split(".")[-1] in ("data", "task"):
                found.append(f"{path.relative_to(ROOT)}:{node.lineno} {ast.unparse(node)}")
    assert not found


SHARED = {
    **dict.fromkeys(("crop", "dropout"), "an augmentation or a layer by its module"),
    **dict.fromkeys(("windows", "csv"), "a kind of data by its module"),
    "report": "all numbers of a kind of metric",
    **dict.fromkeys(
        ("Residual", "Auxiliary", "Block", "FeedForward"), "a part of one architecture, in its parameters' paths"
    ),
    **dict.fromkeys(
        ("efficientnet", "vgg", "t5", "marian", "bert", "distilbert"), "a model, and the names of its weights"
    ),
    **dict.fromkeys(("names", "torchvision", "huggingface"), "the names of a family's weights in a library"),
    "run": "a command",
}
"""Names that several modules define on purpose: the module is part of the name."""


def test_a_public_name_means_one_thing():
    defined = {}
    for path in FILES:
        if part(path) == "cli":
            continue  # a command's functions are its own
        for node in parsed(path).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                defined.setdefault(node.name, []).append(module(path))
    assert not {name: where for name, where in defined.items() if len(where) > 1 and name not in SHARED}


def test_heavy_libraries_stay_in_their_leaf():
    heavy, found = {"torch", "orbax", "tensorflow_datasets", "tensorboardX", "sklearn", "grain", "pyarrow"}, []
    for path in FILES:
        where = path.relative_to(PACKAGE).as_posix()
        for name, line in imported(path):
            library = name.split(".")[0]
            leaf = LEAVES.get(library, where)
            if where not in ((leaf,) if isinstance(leaf, str) else leaf):
                found.append(f"{where}:{line} imports {name}, which belongs to {leaf}")
            if library in ("torch", "timm", "tensorflow") and part(path) != "pretrained":
                found.append(f"{where}:{line} imports {name}")
            if name.startswith("flax.linen") and part(path) not in ("layers", "models"):
                found.append(f"{where}:{line}: Linen belongs to layers and models")
        found += [f"{where}: import {name} where it is used" for name in heavy & roots(at_top(parsed(path)))]
    assert not found


def roots(names):
    return {name.split(".")[0] for name in names}


def test_files_are_short_and_well_named():
    found = []
    for path in FILES:
        where, text = path.relative_to(PACKAGE), source(path)
        if (length := len(text.splitlines())) > LONGEST:
            found.append(f"{where} has {length} lines, more than {LONGEST}")
        if path.stem in {"utils", "util", "common", "helpers", "misc"}:
            found.append(f"{where}: a name that says what it holds")
        if text.strip() and not ast.get_docstring(parsed(path)):
            found.append(f"{where}: a file begins with what it is for")
    assert not found


def test_files_of_tests_are_short():
    tests = [path for path in PACKAGE.parent.glob("tests/**/*.py") if "museum" not in path.parts]
    long = {path.name: n for path in tests if (n := len(path.read_text(encoding="utf-8").splitlines())) > LONGEST}
    assert tests
    assert not long, "split them by what they test"


def test_the_median_file_is_shorter_than_150_lines():
    lengths = sorted(len(source(path).splitlines()) for path in FILES if path.stat().st_size)
    assert lengths[len(lengths) // 2] < 150


def test_nothing_imports_an_experiment():
    for path in [*FILES, *(ROOT / "benchmarks").glob("*.py")]:
        assert not [name for name, _ in imported(path) if name.split(".")[0] == "experiments"], path


IMPORTS = ("jaxdl", "jaxdl.losses.classification", "jaxdl.models.cnn", "jaxdl.runs.train", "jaxdl.cli.train")
"""One after the other, lighter ones first: what one of them loads is still loaded after the next."""


@pytest.mark.slow
def test_importing_is_light():
    program = (
        "import importlib, sys\n"
        "heavy = {'orbax', 'matplotlib', 'tensorflow_datasets', 'tensorflow', 'sklearn', 'torch', 'tensorboardX', 'grain'}\n"
        "heavy |= {'datasets', 'pyarrow', 'pandas'}\n"
        f"for name in {IMPORTS}:\n"
        "    importlib.import_module(name)\n"
        "    from jax._src.xla_bridge import backends_are_initialized\n"
        "    print(name, sorted(heavy & set(sys.modules)), backends_are_initialized())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"{name} [] False" for name in IMPORTS]


def test_types_are_all_that_the_lowest_level_imports():
    """`import jaxdl.types` alone loads no other part of jaxdl."""
    for name in ("types", "activations"):
        assert not [m for m, _ in imported(PACKAGE / f"{name}.py") if m.split(".")[0] == "jaxdl"]
