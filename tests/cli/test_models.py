"""The table of models is read from a file that says what a recount says."""

import json

from jaxdl.__main__ import main
from jaxdl.cli import models
from jaxdl.models.catalog import MODELS


def test_the_file_has_every_model_of_the_catalog():
    shown = [(row["name"], tuple(row["input"]), row["source"]) for row in models.read()]
    assert shown == [(name, entry.input, entry.source) for name, entry in MODELS.items()]
    assert {tuple(row) for row in models.read()} == {
        ("name", "params", "batch_stats", "multiply_adds", "input", "source")
    }


def test_the_file_is_written_as_it_is(tmp_path, monkeypatch):
    """That its rows are those of a recount is asserted where every model is counted, in tests/models/test_catalog.py."""
    kept = models.CATALOG.read_bytes()
    shown = models.read()
    monkeypatch.setattr(models, "CATALOG", tmp_path / "catalog.json")
    monkeypatch.setattr("jaxdl.cli.models.rows", lambda catalog: iter(shown))
    models.write()
    assert models.CATALOG.read_bytes() == kept


def test_the_command_counts_nothing(capsys, monkeypatch):
    monkeypatch.setattr("jaxdl.cli.models.rows", None)
    assert main(["models", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == models.read()
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(MODELS) + 1
    assert lines[1].split()[:2] == ["alexnet", "61,100,840"]
