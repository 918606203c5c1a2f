"""The table of models is read from a file that says what a recount says."""

import json

import pytest

from jaxdl.__main__ import main
from jaxdl.commands import models
from jaxdl.inspect.flops import rows
from jaxdl.models.catalog import MODELS


def test_the_file_has_every_model_of_the_catalog():
    shown = [(row["name"], tuple(row["input"]), row["source"]) for row in models.read()]
    assert shown == [(name, entry.input, entry.source) for name, entry in MODELS.items()]
    assert {tuple(row) for row in models.read()} == {
        ("name", "params", "batch_stats", "multiply_adds", "input", "source")
    }


def test_a_recount_of_small_models_equals_the_file():
    small = ["alexnet", "vgg11_bn", "cifar_resnet20"]
    assert list(rows(MODELS, small)) == [row for name in small for row in models.read() if row["name"] == name]


@pytest.mark.slow
def test_a_recount_of_all_models_equals_the_file(tmp_path, monkeypatch):
    kept = models.CATALOG.read_bytes()
    monkeypatch.setattr(models, "CATALOG", tmp_path / "catalog.json")
    models.write()
    assert models.CATALOG.read_bytes() == kept


def test_the_command_counts_nothing(capsys, monkeypatch):
    monkeypatch.setattr("jaxdl.inspect.flops.rows", None)
    assert main(["models", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == models.read()
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(MODELS) + 1
    assert lines[1].split()[:2] == ["alexnet", "61,100,840"]
