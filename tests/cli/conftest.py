"""What the tests of commands share."""

import pytest


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def unreported(monkeypatch):
    """Runs end without their report and its pictures, which are most of what a small run costs; for tests of other things."""
    monkeypatch.setattr("jaxdl.record.report.write_report", lambda *_: None)
