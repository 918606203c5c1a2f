"""The table of the sheet: every entry is whole, and all that it names exists."""

import ast
import importlib
import re
from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl import shipped
from jaxdl.site.pictures import PICTURES, TILES
from jaxdl.site.sheet import ENTRIES, GROUPS
from jaxdl.site.sheet.statements import STATEMENTS
from tests.test_readme import compare_optimizers, jaxdl_names, torch_names

ROOT = Path(__file__).parents[2]
PAIRS = [entry for entry in ENTRIES.values() if entry.torch]


@cache
def functions_of(file: str) -> set[str]:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_the_entries_are_the_sheets():
    assert [entry.number for entry in ENTRIES.values()] == list(range(1, 69))
    assert sum(len(group.entries) for group in GROUPS) == 68
    assert sorted(STATEMENTS) == list(range(1, 65))


def test_every_entry_is_whole_and_names_what_exists():
    experiments = {path.stem for path in shipped.files(ROOT / "experiments")}
    notebooks = {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}
    missing = []
    for slug, entry in ENTRIES.items():
        whole = entry.purpose and entry.when and entry.line and entry.source and entry.formula and entry.code
        assert whole, slug
        assert bool(entry.torch) == bool(entry.ours) != bool(entry.without), slug
        assert entry.oracles, slug
        for name in entry.code:
            module, _, thing = name.partition(":")
            if not hasattr(importlib.import_module(f"jaxdl.{module}"), thing):
                missing.append(name)
        for oracle in entry.oracles:
            file, _, test = oracle.partition("::")
            if test not in functions_of(file):
                missing.append(oracle)
        missing += [name for name in entry.experiments if name not in experiments]
        missing += [name for name in entry.related if name not in ENTRIES or name == slug]
        missing += [str(number) for number in entry.claims if number not in STATEMENTS]
        missing += [name for name in (entry.notebook,) if name not in notebooks]
    assert not missing


def test_every_claim_of_the_sheet_stands_at_an_entry():
    assert {number for entry in ENTRIES.values() for number in entry.claims} == {*STATEMENTS}


def test_every_experiment_has_its_entry():
    """Contrasts and recipes at scale among them; those that only support another entry are listed."""
    named = {name for entry in ENTRIES.values() for name in entry.experiments}
    found = {path.stem for path in shipped.files(ROOT / "experiments") if path.parent.name == "experiments"}
    assert found - named == {"digits_simclr"}


@pytest.mark.parity
@pytest.mark.programs(60, "lines as a reader types them: eagerly")
@pytest.mark.parametrize("entry", PAIRS, ids=[entry.slug for entry in PAIRS])
def test_a_pytorch_line_and_ours_give_the_same(entry):
    import torch

    random = np.random.default_rng(0)
    normal = lambda *shape: random.normal(size=shape).astype(np.float32)
    arrays = {
        "logits": normal(8, 5),
        "labels": random.integers(0, 5, 8),
        "z": normal(8),
        "t": random.integers(0, 2, 8).astype(np.float32),
        **{name: normal(8, 3) for name in "abc"},
        "q": normal(2, 4, 6, 8),
        "x": normal(2, 8, 8, 3),
        "k": normal(3, 3, 3, 4),
    }
    ours = eval(entry.ours, {**jaxdl_names(arrays), **models(), "key": jax.random.key(0)})
    if match := re.match(r"torchvision\.models\.(\w+)\(", entry.torch):
        assert parameters(ours, entry.sample) == count_of(match[1])
        return
    theirs = eval(entry.torch, torch_names(torch, arrays))
    if isinstance(theirs, torch.optim.Optimizer):
        compare_optimizers(torch, theirs, ours)
    elif isinstance(theirs, torch.nn.RNNBase):
        compare_recurrent(theirs, ours, normal(2, 5, 3))
    elif isinstance(theirs, torch.nn.Module):
        assert parameters(ours, entry.sample) == sum(p.numel() for p in theirs.parameters())
    else:
        np.testing.assert_allclose(np.asarray(ours), theirs.detach().numpy(), rtol=2e-6, atol=2e-6)


def models() -> dict:
    """The names of models and layers that the lines use beside those of README."""
    from jaxdl.layers import convolution, dropout, normalization, pooling
    from jaxdl.losses import metric_learning, penalty
    from jaxdl.models import alexnet, efficientnet, inception, mlp, mobilenet, resnet, transformer_block, vgg, vit

    modules = (convolution, dropout, normalization, pooling, metric_learning, penalty)
    modules += (
        alexnet,
        efficientnet,
        inception,
        mlp,
        mobilenet,
        resnet,
        vgg,
        vit,
        transformer_block,
    )  # `Block` is the last one's
    return {name: value for module in modules for name, value in vars(module).items() if not name.startswith("_")}


def parameters(model, sample: tuple[int, ...]) -> int:
    shapes = jax.eval_shape(lambda x: model.init(jax.random.key(0), x, train=False), jnp.zeros((1, *sample)))
    return sum(leaf.size for leaf in jax.tree.leaves(shapes["params"]))


def count_of(name: str) -> int:
    """The published number of parameters, as the tests of the catalog check it."""
    import json

    catalog = json.loads((ROOT / "jaxdl/models/catalog.json").read_text(encoding="utf-8"))
    return next(row["params"] for row in catalog if row["name"] == name)


def compare_recurrent(theirs, ours, x: np.ndarray) -> None:
    import torch

    from jaxdl.layers.recurrent_weights import from_torch

    wanted = theirs(torch.tensor(x))[0].detach().numpy()
    found = ours.apply({"params": from_torch(ours.cell, theirs.state_dict())}, jnp.asarray(x), train=False)[0]
    np.testing.assert_allclose(found, wanted, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("kind", ["light", "dark"])
def test_the_picture_of_the_sheet_names_every_entry(kind):
    from xml.etree import ElementTree

    text = (ROOT / "docs" / f"sheet-{kind}.svg").read_text(encoding="utf-8")
    svg = "{http://www.w3.org/2000/svg}"
    root = ElementTree.fromstring(text)
    words = re.sub(r"\s+", " ", " ".join(element.text or "" for element in root.findall(f"{svg}text")))
    assert [entry.name for entry in ENTRIES.values() if entry.name not in words] == []
    assert len(root.findall(f"{svg}svg")) == len(ENTRIES)
    assert "currentColor" not in text
    assert "var(" not in text


LACKING = {"forward-pass"}
"""Entries without a verdict: of the forward pass the sheet claims nothing. No entry lacks a picture, code, formula or oracle."""


def test_the_entries_that_lack_a_verdict_are_listed():
    page = (ROOT / "docs" / "claims" / "README.md").read_text(encoding="utf-8")
    judged = {int(number) for number in re.findall(r"^\| \[C(\d+)\]", page, re.MULTILINE)}
    assert {slug for slug, entry in ENTRIES.items() if not judged & {*entry.claims}} == LACKING
    assert PICTURES.keys() == TILES.keys() == ENTRIES.keys()
