"""What is installed: every package and every experiment; a wheel works from any folder, and experiments go by name."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from itertools import chain
from pathlib import Path

import pytest

from jaxdl import extras, shipped
from jaxdl.data.text.tokenizers import BPE
from jaxdl.experiment import ExperimentError, load_config

ROOT = Path(__file__).parents[1]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_every_package_is_listed():
    folders = {path.parent for path in (ROOT / "jaxdl").rglob("*.py")}
    names = {".".join(folder.relative_to(ROOT).parts) for folder in folders} | {
        "jaxdl.experiments",
        "jaxdl.experiments.at_scale",
        "jaxdl.experiments.claims",
    }
    assert sorted(names) == sorted(SETTINGS["tool"]["setuptools"]["packages"])


IMPORTED = {
    "markdown_it": "markdown-it-py",
    "PIL": "pillow",
    "absl": "absl-py",
    "orbax": "orbax-checkpoint",
    "jaxlib": "jax",
}
"""Module -> the distribution that brings it, where the names differ."""


@pytest.mark.slow
def test_every_import_is_declared_by_a_dependency_or_an_extra():
    project = SETTINGS["project"]
    declared = list(chain(project["dependencies"], *project["optional-dependencies"].values()))
    names = {re.match(r"[\w.-]+", line)[0].replace("-", "_").lower() for line in declared}
    for path in [*(ROOT / "jaxdl").rglob("*.py"), *(ROOT / "experiments").rglob("*.py")]:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        imports = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
        imports += [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        modules = {name.split(".")[0] for name in imports} - {"jaxdl", *sys.stdlib_module_names}
        missing = {m for m in modules if IMPORTED.get(m, m).replace("-", "_").lower() not in names}
        assert not missing, f"{path.relative_to(ROOT)} imports {missing}, which is declared nowhere"


def test_an_experiment_goes_by_its_name_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own = ROOT / "experiments" / "digits_mlp.py"
    for given in ("digits_mlp", "digits_mlp.py", "experiments/digits_mlp.py"):
        assert shipped.locate(given) == own
    recipe = ROOT / "experiments" / "at_scale" / "imagenet_vgg16.py"
    for given in ("imagenet_vgg16", "experiments/imagenet_vgg16.py"):
        assert shipped.locate(given) == recipe
    for given in ("else/digits_mlp.py", "digits_mlp.txt", "no_such_thing"):
        assert shipped.locate(given) == Path(given)
    (tmp_path / "experiments").mkdir()
    mine = Path("experiments") / "digits_mlp.py"
    mine.write_text("def config(): ...", encoding="utf-8")
    assert shipped.locate("digits_mlp") == mine
    assert shipped.locate("digits_cnn") == ROOT / "experiments" / "digits_cnn.py"
    (tmp_path / "digits_cnn.py").write_text("def config(): ...", encoding="utf-8")
    assert shipped.locate("digits_cnn.py") == Path("digits_cnn.py")


def test_a_name_that_is_none_is_answered_with_the_nearest_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ExperimentError, match=r"no experiment file digits_cn \(did you mean digits_cnn\?\)"):
        load_config("digits_cn")
    with pytest.raises(ExperimentError, match=r"no experiment file zebra; `python -m jaxdl list` shows"):
        load_config("zebra")


def test_help_names_commands_that_work_here(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    text = "Run: python -m experiments.digits_cnn --lr 1e-3"
    assert shipped.commands_here(text) == text
    monkeypatch.chdir(tmp_path)
    assert shipped.commands_here(text) == "Run: python -m jaxdl train digits_cnn --lr 1e-3"


@pytest.mark.slow
def test_a_wheel_lists_and_trains_from_any_folder(tmp_path):
    """Built from a copy of the tree, so that nothing is left in it, and installed without what is here already."""
    tree, wheels, target = tmp_path / "tree", tmp_path / "wheels", tmp_path / "installed"
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )
    for name in ("pyproject.toml", "README.md", "LICENSE", *filter(re.compile("(jaxdl|experiments)/").match, listed)):
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_bytes((ROOT / name).read_bytes())
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    build = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "-w", wheels, tree]
    run([*pip, *build], tmp_path)
    (wheel,) = wheels.glob("jaxdl_sheet-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    top = {name.split("/")[0] for name in names}
    assert top == {"jaxdl", next(name for name in top if name.endswith(".dist-info"))}, "nothing else at the top"
    assert {name for name in listed if re.match(r"jaxdl/.*\.(py|json|typed|tsv|csv|gz|npz)$", name)} <= set(names)
    run([*pip, "install", "--quiet", "--no-deps", "--no-index", "--target", target, wheel], tmp_path)

    away = tmp_path / "away"
    away.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(target)}
    where = run([sys.executable, "-c", "import jaxdl; print(jaxdl.__file__)"], away, environment)
    assert Path(where.strip()) == target / "jaxdl" / "__init__.py"
    shown = run([sys.executable, "-m", "jaxdl", "list"], away, environment)
    assert {line.split()[0] for line in shown.splitlines() if line and not line.startswith("Recipes, ")} == {
        file.stem for file in shipped.files(ROOT / "experiments") if "def config" in file.read_text(encoding="utf-8")
    }
    train = ["train", "digits_cnn", "--stop-at", "2", "--log-every", "1", "--device", "cpu", "--quiet"]
    run([sys.executable, "-m", "jaxdl", *train], away, environment)
    (folder,) = (away / "runs" / "digits_cnn").glob("*-s0")
    assert '"step": 2' in (folder / "metrics.jsonl").read_text(encoding="utf-8")
    run([sys.executable, "-m", "jaxdl.experiments.digits_mlp", "--stop-at", "1", "--quiet"], away, environment)
    for name in ("imagenet_vgg16", "at_scale.imagenet_vgg16"):
        assert "--hidden" in run([sys.executable, "-m", f"jaxdl.experiments.{name}", "--help"], away, environment)


def run(command, folder, environment=None):
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("clone", [True, False])
def test_a_missing_extra_is_answered_with_the_command_that_installs_it(clone, tmp_path, monkeypatch):
    """In a clone its extra, elsewhere the packages themselves: no index is asked for jaxdl, whose name is another's there."""
    (tmp_path / "pyproject.toml").write_text(
        '[project]\noptional-dependencies = {bpe = ["tokenizers"]}', encoding="utf-8"
    ) if clone else None
    monkeypatch.setattr(extras, "CHECKOUT", tmp_path)
    recorded = ["jax>=0.10.2", 'tokenizers>=0.2; extra == "bpe"', 'jax[cuda13]>=0.10.2; extra == "cuda"']
    monkeypatch.setattr(extras.metadata, "requires", {extras.DISTRIBUTION: recorded}.get)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))
    monkeypatch.setitem(sys.modules, "tokenizers", None)  # as if it were not installed
    with pytest.raises(ModuleNotFoundError) as error:
        BPE.of("ab", size=300)
    q = '"' if os.name == "nt" else "'"
    what = f"-e {q}{tmp_path}[bpe]{q}" if clone else f"{q}tokenizers>=0.2{q}"
    command = f"{tmp_path / 'bin' / 'python'} -m pip install {what}"
    assert str(error.value) == f"byte-pair encoding needs the package tokenizers: {command}"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shutil, "which", lambda name: str(tmp_path / "bin" / name))
    assert extras.command("bpe") == "python -m pip install " + (f"-e {q}.[bpe]{q}" if clone else what)
    assert "bpe" in SETTINGS["project"]["optional-dependencies"]


def test_the_distribution_has_a_name_of_its_own():
    assert SETTINGS["project"]["name"] == extras.DISTRIBUTION != "jaxdl"  # PyPI's jaxdl is another project
    assert SETTINGS["project"]["scripts"] == {"jaxdl": "jaxdl.__main__:run"}
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "jaxdl").rglob("*.py")]:
        assert not re.search(r"pip install (-U )?['\"]?jaxdl\b(?!-sheet)", path.read_text(encoding="utf-8")), path


def test_the_type_checker_reads_files_that_exist():
    """A name that is no path is checked by nobody, and pyright does not say so."""
    assert [path for path in SETTINGS["tool"]["pyright"]["include"] if not (ROOT / path).exists()] == []
