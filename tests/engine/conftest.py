"""What several tests of trainings share."""

import pytest


@pytest.fixture(scope="module")
def no_report():
    """No plots and no report.md, where they are not the subject: drawing takes longer than the training."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jaxdl.record.report.write_report", lambda *_: None)
        yield
