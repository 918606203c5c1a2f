"""What the tests of runs share."""

import pytest


@pytest.fixture
def unreported(monkeypatch):
    """Runs and sweeps end without report and pictures, which are most of what a small run costs; for tests of other things."""
    monkeypatch.setattr("jaxdl.record.report.write_report", lambda *_: None)
    monkeypatch.setattr("jaxdl.record.sweep_report.write_sweep_report", lambda *_: ("", {}))
