"""The ledger: what it keeps of a measurement, how it is continued, when it is stale, and what it says of a repetition."""

import json

import pytest

from jaxdl import trial
from jaxdl.__main__ import main
from jaxdl.cli.record import seeds_of
from jaxdl.experiment import ExperimentError, load_config
from jaxdl.runs import ledger
from jaxdl.setup import Setup
from tests.conftest import HERE, ROOT

TINY = HERE / "tiny.py"
NAIVE = '\n\ndef baseline(data):\n    y = data.splits["test"]["y"]\n    return {"accuracy": float((y == 0).mean())}\n'


@pytest.fixture
def file(tmp_path):
    """A copy of the tiny experiment that states a naive baseline, and may be edited."""
    path = tmp_path / "small.py"
    text = TINY.read_text(encoding="utf-8").replace("steps: int = 24", "steps: int = 6")
    path.write_text(
        text.replace('\n\nif __name__ == "__main__"', f'{NAIVE}\n\nif __name__ == "__main__"'), encoding="utf-8"
    )
    return path


def command(file, *flags):
    return main(["record", str(file), "--results", str(file.parent / "results"), *flags])


def entry_of(file, name="default"):
    return ledger.load_entry(file.parent / "results" / "small" / f"{name}.json")


@pytest.mark.programs(40, "three trainings, each compiled whole, are the subject")
def test_an_entry_is_measured_continued_repeated_and_replaced(file, capsys):
    assert command(file, "--seed", "0") == 0
    assert command(file, "--seed", "0:2", "--splits", "test") == 0  # one seed more
    entry = entry_of(file)
    alone = trial(load_config(file), seed=1).evaluate("test").metrics
    assert entry.seeds == [0, 1]
    assert list(entry.runs[0]["metrics"]) == ["validation", "test"]
    assert entry.values("accuracy")[1] == pytest.approx(alone["accuracy"], rel=1e-6)
    assert entry.values("loss")[1] == pytest.approx(alone["loss"], rel=1e-4)
    assert entry.baseline == {"accuracy": pytest.approx(1 / 3, rel=1e-6)}
    # XLA counts at least the products: 3 of each of 2 layers (forward, two backward) of 16 rows, 2 FLOPs a multiply-add
    assert entry.flops is not None
    assert entry.flops > 6 * 16 * 2 * (2 * (8 * 6 + 3 * 8) + 3 * 8)
    assert entry.runs[0]["cpu_seconds"] > 0
    assert len(entry.runs[0]["commit"] or "0" * 40) == 40
    assert {"jax", "python"} <= {*entry.runs[0]["versions"]}

    capsys.readouterr()
    assert command(file, "--seed", "0:2") == 0  # all there: compared
    said = capsys.readouterr().out
    assert "DIFFERS" not in said
    assert said.count("holds") == len(entry.runs[0]["metrics"]["test"])
    assert entry_of(file) == entry, "a comparison writes nothing"

    stored = file.parent / "results" / "small" / "default.json"
    changed = json.loads(stored.read_text(encoding="utf-8"))
    for run in changed["runs"]:
        run["metrics"]["test"]["loss"] += 0.5
    stored.write_text(json.dumps(changed), encoding="utf-8")
    assert command(file, "--seed", "0:2") == 1
    assert "loss" in [line.split()[0] for line in capsys.readouterr().out.splitlines() if "DIFFERS" in line]


def test_an_edited_file_makes_its_entry_stale(file, capsys):
    setup = Setup.of(load_config(file), {})
    item = {"seed": 0, "metrics": {"test": {"accuracy": 0.5}}, "cpu_seconds": 1.0}
    ledger.LedgerEntry("small", {}, ledger.code_checksum(file), ("accuracy", "max"), runs=[item]).save(
        file.parent / "results"
    )
    assert ledger.open_entry(setup, file.parent / "results")[1] is False
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("The smallest", "A small").replace("updates.", "parameter updates."), encoding="utf-8")
    assert ledger.open_entry(setup, file.parent / "results")[1] is False, "docstrings are no code"
    file.write_text(text.replace("decay=0.01", "decay=0.02"), encoding="utf-8")
    assert ledger.open_entry(setup, file.parent / "results")[1] is True
    assert command(file, "--seed", "1") == 2
    assert "--replace" in capsys.readouterr().err
    assert entry_of(file).seeds == [0]


def test_settings_are_named_by_what_differs_from_the_defaults(tiny):
    setup = Setup.of(tiny.config, {"lr": 0.5, "width": 8, "seed": 4, "ema": 0.9})
    assert ledger.given(setup) == {"lr": 0.5, "ema": 0.9}
    assert ledger.name_of({"lr": 0.5, "ema": 0.9}) == "lr=0.5,ema=0.9"
    long = {f"knob{i}": i / 7 for i in range(20)}
    assert len(ledger.name_of(long)) < 130
    assert ledger.name_of(long) != ledger.name_of({**long, "knob19": 0})


@pytest.mark.parametrize(
    ("words", "seeds"),
    [(["--seed", "0:3"], [0, 1, 2]), (["--seed=4"], [4]), (["--seed", "1,5"], [1, 5]), ([], [0, 1, 2])],
)
def test_seeds(words, seeds):
    assert seeds_of(["--lr", "1", *words]) == (seeds, ["--lr", "1"])


def test_what_is_no_entry_is_refused(tmp_path):
    path = tmp_path / "default.json"
    for text in ("{", "[]", '{"experiment": "x"}'):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ExperimentError, match=r"default\.json"):
            ledger.load_entry(path)
    with pytest.raises(ExperimentError):
        ledger.open_entry(Setup.of(lambda: None, {}), tmp_path)


OWN = [path for path in sorted((ROOT / "results").glob("*/*.json")) if path.parent.name not in ("claims", "benchmarks")]


@pytest.mark.parametrize("path", OWN, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_the_projects_own_entries_are_of_todays_code(path):
    entry = ledger.load_entry(path)
    assert entry.code == ledger.code_checksum(ROOT / "experiments" / f"{entry.experiment}.py"), (
        "measure it anew: --replace"
    )
    assert path.stem == ledger.name_of(entry.setting)
    assert len(set(entry.seeds)) == len(entry.seeds) >= 3
