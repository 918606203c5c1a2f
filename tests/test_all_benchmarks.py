"""`benchmarks/all.py`: one row a case from any benchmark's rows, one column a processor."""

from pathlib import Path

import pytest


@pytest.fixture
def benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "benchmarks"))
    return __import__("all")


ROWS = [
    {"model": "lm", "contender": "torch", "times": [2.0, 2.0, 4.0, 4.0, 2.0]},
    {"model": "lm", "contender": "jaxdl", "times": [1.0, 3.0, 2.0, 2.0, 2.0], "first_step_s": 7.0, "memory": None},
]
ABOUT = {"processor": "Some CPU", "cores": 2, "quick": False, "versions": {"jax": "1", "torch": "2"}}


def test_a_ratio_is_taken_within_a_round(benchmarks):
    """Ratios 0.5, 1.5, 0.5, 0.5, 1.0: median 0.5 and upper quartile 1.0, where the medians alone would give 1.0."""
    row = benchmarks.compared("sequences", ROWS)["sequences: lm"]
    assert (row["lower"], row["ratio"], row["upper"], row["first_step_s"]) == (0.5, 0.5, 1.0, 7.0)
    assert "memory" not in row


def test_a_table_has_a_column_for_each_processor(benchmarks):
    cases = benchmarks.compared("sequences", ROWS)
    other = {**ABOUT, "processor": "Other", "quick": True, "cases": {}, "matrix_gflops": {"xla": 168.4, "torch": 233.0}}
    lines = benchmarks.table([{**ABOUT, "cases": cases}, other]).splitlines()
    assert lines[0].count("|") == lines[1].count("|") == lines[2].count("|") == 4
    assert "Other, 2 cores, matrices at 168 GF/s (PyTorch 233); jax 1, PyTorch 2, short rounds" in lines[0]
    assert lines[2] == "| sequences: lm | 0.50 (0.50 to 1.00) |  |"


def test_the_table_stands_between_its_marks(benchmarks):
    first, last = benchmarks.MARKS
    text = f"before\n{first}\nold\n{last}\nafter\n"
    assert benchmarks.with_table(text, "new") == f"before\n{first}\n\nnew\n\n{last}\nafter\n"


def test_every_benchmark_is_in_it_and_takes_its_options(benchmarks):
    folder = Path(benchmarks.__file__).parent
    scripts = {path.stem for path in folder.glob("*.py") if "--worker" in path.read_text(encoding="utf-8")}
    assert scripts - {"convolution"} == set(benchmarks.SUITES)  # convolution compares the forms of one operation
    for suite in benchmarks.SUITES:
        text = (folder / f"{suite}.py").read_text(encoding="utf-8")
        assert all(f'"{option}"' in text for option in benchmarks.command(suite, True, "x") if option.startswith("--"))
