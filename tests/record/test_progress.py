"""The progress bar of a run."""

from jaxdl.record.progress import Progress


def test_a_resumed_run_begins_at_its_step():
    with Progress(100, quiet=True) as progress:
        assert progress.bar.tasks[0].completed == 0
        progress.begin(40)
        assert progress.bar.tasks[0].completed == 40
        assert progress.bar.tasks[0].remaining == 60
