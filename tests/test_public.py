"""The public interface is what tests/public.json says: a change of it is meant, and told in CHANGELOG.md.

Run: python tests/test_public.py     writes the file anew
"""

import ast
import json
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest

from jaxdl.moved import MOVED

ROOT = Path(__file__).parents[1]
FILE = ROOT / "tests" / "public.json"
BY_NAME = ("jaxdl.decode", "jaxdl.losses", "jaxdl.optim", "jaxdl.data")
"""Packages with an `__all__`."""
BY_MODULE = ("jaxdl.augment", "jaxdl.data", "jaxdl.layers", "jaxdl.metrics", "jaxdl.models", "jaxdl.tasks")
"""Packages whose modules are asked by name: `jaxdl.layers.dense`."""
BASES = ("jaxdl.types", "jaxdl.reports")
"""Modules of what a user subclasses."""
RETURNED = {
    "Imported": "jaxdl.pretrained.imported",
    "Run": "jaxdl.runs.run",
    "Sweep": "jaxdl.runs.sweep",
    "Evaluation": "jaxdl.engine.evaluate",
}
"""Class -> its module: what the functions return."""


def tree_of(name):
    """The syntax tree of a module."""
    path = ROOT / name.replace(".", "/")
    return ast.parse((path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text(encoding="utf-8"))


def defined(tree):
    """The public functions, classes and other values of a module, by name; constants and what it imports are no part of them."""
    found = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found[node.name] = node
        elif isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            found[node.targets[0].id] = node
    return {name: node for name, node in found.items() if not name.startswith("_") and not name.isupper()}


def signature(node):
    """A function's arguments and result, or a class's fields and public methods, as their file has them."""
    if isinstance(node, ast.FunctionDef):
        returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
        return f"({ast.unparse(node.args)}){returns}"
    lines = []
    for part in node.body:
        if isinstance(part, ast.AnnAssign):
            lines.append(ast.unparse(part))
        elif isinstance(part, ast.FunctionDef) and (part.name == "__init__" or not part.name.startswith("_")):
            shown = [ast.unparse(d) for d in part.decorator_list]
            what = "property " if shown and shown[0].endswith("property") else ""
            lines.append(f"{what}{part.name}{signature(part)}")
    return lines


def names(package):
    """Module -> its public names."""
    folder = ROOT / package.replace(".", "/")
    modules = sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("_"))
    return {module: sorted(defined(tree_of(f"{package}.{module}"))) for module in modules}


def interface():
    """All of it, as JSON."""
    import jaxdl

    top = {name: jaxdl._LAZY[name] for name in jaxdl.__all__} | RETURNED
    return {
        "signatures": {name: signature(defined(tree_of(module))[name]) for name, module in sorted(top.items())},
        "bases": {
            module: {name: signature(node) for name, node in defined(tree_of(module)).items() if hasattr(node, "body")}
            for module in BASES
        },
        "exported": {package: sorted(import_module(package).__all__) for package in ("jaxdl", *BY_NAME)},
        "modules": {package: names(package) for package in BY_MODULE},
    }


def leaves(tree, path=()):
    """(path, value) of everything in a JSON value; of a list each entry."""
    if isinstance(tree, dict):
        return {leaf for key, value in tree.items() for leaf in leaves(value, (*path, key))}
    return {" ".join((*path, value)) for value in ([tree] if isinstance(tree, str) else tree)}


def test_a_change_of_the_public_interface_is_meant():
    kept, now = leaves(json.loads(FILE.read_text(encoding="utf-8"))), leaves(interface())
    changes = [*(f"- {line}" for line in sorted(kept - now)), *(f"+ {line}" for line in sorted(now - kept))]
    assert not changes, "\n".join(
        [
            "the public interface is another one: explain the difference in CHANGELOG.md, "
            "then run `python tests/test_public.py`",
            *changes,
        ]
    )


@pytest.mark.parametrize("package", ["jaxdl", *BY_NAME])
def test_what_a_package_exports_is_there(package):
    module = import_module(package)
    assert len(set(module.__all__)) == len(module.__all__)
    assert not [name for name in module.__all__ if not hasattr(module, name)]


def test_the_comparison_sees_a_name_and_an_argument():
    """The control: what was removed, added or given another default is in the difference."""
    before, after = (ast.parse(text).body[0] for text in ("def f(x, *, p=1): ...", "def f(x, *, p=2): ..."))
    assert leaves({"f": signature(before)}) == {"f (x, *, p=1)"}
    assert leaves({"f": signature(before)}) != leaves({"f": signature(after)})
    assert leaves({"a": ["x", "y"]}) - leaves({"a": ["x"]}) == {"a y"}


def code_of(path):
    """The syntax tree of a Python file, or of a notebook's cells but the first, which is IPython's."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = [cell["source"] for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"][1:]
        text = "\n".join("".join(lines) for lines in cells)
    return ast.parse(text)


def member(module, name):
    """`module.name`, also of a module that nobody has imported yet; None where there is no such thing but an old name."""
    full = f"{module}.{name}"
    if module in MOVED or full in MOVED:
        return None
    parent = import_module(module)
    if not hasattr(parent, name) and hasattr(parent, "__path__") and find_spec(full):
        return import_module(full)
    return getattr(parent, name, None)


def absent(tree):
    """What a file takes from jaxdl and jaxdl has not: `from jaxdl.a import b`, and `b.c` where b is a module."""
    modules = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "jaxdl":
            for alias in node.names:
                found = member(node.module, alias.name)
                if isinstance(found, ModuleType):
                    modules[alias.asname or alias.name] = found
                elif found is None:
                    yield f"{node.module}.{alias.name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            modules.pop(node.id, None)  # a variable of that name
    for node in ast.walk(tree):
        module = (
            modules.get(node.value.id) if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) else None
        )
        if module is not None and not hasattr(module, node.attr):
            yield f"{module.__name__}.{node.attr}"


@pytest.mark.parametrize("folder", ["experiments", "benchmarks", "notebooks"])
def test_names_that_files_outside_the_package_use_are_there(folder):
    """Also in those that no test runs."""
    files = sorted(path for path in (ROOT / folder).rglob("*") if path.suffix in (".py", ".ipynb"))
    assert files
    assert not {path.name: lost for path in files if (lost := list(absent(code_of(path))))}


def test_a_name_that_is_gone_is_found():
    """The control."""
    lines = (
        "from jaxdl.data.audio import spoken",
        "from jaxdl.optim import adam, no_such",
        "from jaxdl import transfer",
        "spoken.GONE, spoken.bank, adam.x",
    )
    gone = ["jaxdl.optim.no_such", "jaxdl.transfer", "jaxdl.data.audio.spoken.GONE"]
    assert list(absent(ast.parse("\n".join(lines)))) == gone


if __name__ == "__main__":
    FILE.write_text(json.dumps(interface(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
