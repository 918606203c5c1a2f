"""Claims on trial: verdicts by hand, what a run keeps, and that the ledger of the project is of today's code."""

import json
import re

import jax
import numpy as np
import pytest

from jaxdl import shipped
from jaxdl.__main__ import main
from jaxdl.experiment import ExperimentError
from jaxdl.metrics.significance import Difference
from jaxdl.record import claim_plots
from jaxdl.runs import claim_pictures, claim_training, claims
from jaxdl.runs.claims import Comparison, Fact, Study
from tests.conftest import ROOT

SHEET = 64
"""Claims of the sheet."""
STUDIES = {path.stem: path for path in sorted((ROOT / "experiments" / "claims").glob("[!_]*.py"))}
RESULTS = ROOT / "results" / "claims"


def apart(mean, low, high, p):
    return Difference(mean, low, high, p, 12, "")


@pytest.mark.parametrize(
    ("found", "p", "expected", "alike"),
    [
        (apart(0.03, 0.02, 0.04, 0.001), 0.001, "holds", "wrong"),
        (apart(-0.03, -0.04, -0.02, 0.001), 0.001, "wrong", "wrong"),
        (apart(0.03, -0.01, 0.07, 0.2), 0.2, "not decided", "not decided"),
        (apart(0.001, -0.005, 0.006, 0.7), 0.7, "no difference shown", "holds"),
        (apart(0.004, 0.002, 0.006, 0.001), 0.001, "no difference shown", "holds"),  # too small to matter
    ],
)
def test_a_comparison_is_decided_by_p_value_and_least_difference(found, p, expected, alike):
    assert claims.decide(Comparison("C1", "", "a", "b", 0.01), found, p) == expected
    assert claims.decide(Comparison("C1", "", "a", "b", 0.01, alike=True), found, p) == alike


def test_a_claim_holds_wholly_or_under_conditions():
    pair = [Comparison("C1", "", "a", "b", 0.01, when) for when in ("small", "large")]
    assert claims.verdict(pair, ["holds", "holds"]) == "holds"
    assert claims.verdict(pair, ["holds", "wrong"]) == "holds when: small"
    assert claims.verdict(pair, ["not decided", "wrong"]) == "wrong"
    assert claims.verdict(pair, ["no difference shown"] * 2) == "no difference shown"
    assert claims.verdict(pair, ["no difference shown", "not decided"]) == "not decided"


def test_p_values_are_adjusted_within_a_claim_only():
    """Of six pairs the smallest p-value is 1/32: enough for one comparison, too large for two of one claim."""
    values = {"a": dict(zip("012345", 1 + np.arange(6), strict=True)), "b": dict.fromkeys("012345", 0)}
    one = Study(settings={"a": {}, "b": {}}, comparisons=(Comparison("C1", "", "a", "b", 0.1),))
    assert [row.verdict for row in claims.decisions("s", one, values)] == ["holds"]
    two = Study(settings=one.settings, comparisons=one.comparisons * 2)
    assert [row.verdict for row in claims.decisions("s", two, values)] == ["not decided"]
    apart = Study(settings=one.settings, comparisons=(*one.comparisons, Comparison("C2", "", "b", "a", 0.1)))
    assert [row.verdict for row in claims.decisions("s", apart, values)] == ["holds", "wrong"]
    lower = Study(settings=one.settings, comparisons=one.comparisons, smaller=True)
    assert [row.verdict for row in claims.decisions("s", lower, values)] == ["wrong"]


def test_a_study_states_few_comparisons_of_settings_that_it_has():
    with pytest.raises(ExperimentError, match="C3"):
        Study(settings={"a": {}, "b": {}}, comparisons=(Comparison("C3", "", "a", "b", 0.1),) * 6)
    with pytest.raises(ExperimentError, match="'c'"):
        Study(settings={"a": {}, "b": {}}, comparisons=(Comparison("C3", "", "a", "c", 0.1),))


TOY = """
from jaxdl.runs.claims import Comparison, Fact, Study

def measure(*, gain, seed):
    return gain + seed / 10

study = Study(measure=measure, settings={"with": {"gain": 1.0}, "without": {"gain": 0.0}}, seeds=6, quick=3,
              comparisons=(Comparison("C7", "gain helps", "with", "without", 0.5),),
              facts=(Fact("C8", "two is even", lambda: ("holds", "2 % 2 = 0")),))
"""


def test_a_study_is_run_listed_and_repeated(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shipped, "folders", lambda: [tmp_path / "experiments"])
    folder = tmp_path / "experiments" / "claims"
    folder.mkdir(parents=True)
    (folder / "toy.py").write_text(TOY, encoding="utf-8")
    assert claims.studies()["toy"].resolve() == (folder / "toy.py").resolve()
    assert main(["claims", "toy"]) == 0
    assert "no values" in capsys.readouterr().out
    assert not (tmp_path / "results").exists()
    assert main(["claims", "toy", "--full"]) == 0
    kept = json.loads((tmp_path / "results" / "claims" / "toy.json").read_text(encoding="utf-8"))
    assert kept["values"]["with"]["3"] == pytest.approx(1.3)
    assert len(kept["values"]["without"]) == 6
    capsys.readouterr()
    assert main(["claims", "toy"]) == 0
    assert "contains the ledger" in capsys.readouterr().out
    assert main(["claims", "toy", "--plot", "again"]) == 0
    assert (tmp_path / "again" / "toy.png").read_bytes()[:4] == b"\x89PNG"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again", "experiments", "results"]  # nothing unasked
    assert main(["claims", "--plot", "pictures"]) == 0
    assert {path.name for path in (tmp_path / "pictures").iterdir()} == {"C7-toy.png", "C8-toy.png"}
    assert main(["claims", "--plot", "pictures"]) == 2
    capsys.readouterr()
    assert main(["claims", "nothing"]) == 2
    assert "toy" in capsys.readouterr().err
    assert main(["claims"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"C7 .*\n +holds .*\n +with against without: \+1 \[\+1, \+1\], p = 0\.031, n = 6", said)
    assert "C8" in said
    text = TOY.replace("seed / 10", "seed / 20")
    (folder / "toy.py").write_text(text, encoding="utf-8")
    assert main(["claims"]) == 0
    assert "not measured with this code" in capsys.readouterr().out
    assert main(["claims", "toy", "--full"]) == 2
    assert "--replace" in capsys.readouterr().err
    assert json.loads((tmp_path / "results" / "claims" / "toy.json").read_text(encoding="utf-8")) == kept
    assert main(["claims", "toy", "--full", "--replace"]) == 0
    kept = json.loads((tmp_path / "results" / "claims" / "toy.json").read_text(encoding="utf-8"))
    assert kept["values"]["with"]["2"] == pytest.approx(1.1)


@pytest.mark.parametrize("name", STUDIES)
def test_the_ledger_of_claims_is_of_todays_code(name):
    study, kept = claims.load_study(STUDIES[name]), claims.stored(name, RESULTS)
    assert len(STUDIES[name].read_text(encoding="utf-8").splitlines()) <= 100
    numbers = [c.number for c in study.comparisons] + [f.number for f in study.facts]
    assert numbers
    assert all(re.fullmatch(r"C[1-9]\d?", number) and int(number[1:]) <= SHEET for number in numbers)
    if not study.comparisons:
        assert not kept["values"]
        return
    assert kept["code"] == claims.study_checksum(STUDIES[name]), f"run: python -m jaxdl claims {name} --full"
    assert {*kept["values"]} == {*study.settings}
    assert study.seeds >= 12
    assert all(len(values) == study.seeds for values in kept["values"].values())
    assert all({"date", "processor", "command", "versions"} <= {*item} for item in kept["measured"])


@pytest.mark.slow
def test_a_picture_shows_each_setting_and_difference_of_the_ledger(tmp_path, monkeypatch):
    """The pictures of a swept knob and of single settings, from what is stored: no study measures anything."""
    drawn = {}
    monkeypatch.setattr(claim_plots, "draw_claim", lambda path, **shown: drawn.setdefault(path.stem, shown) and path)
    for name in ("batch_norm", "regularization"):
        for one in claim_pictures.judged(RESULTS, only=name):
            claim_pictures.draw_decision(one, tmp_path / f"{one.decision.number}.png")
    rates = drawn["C47"]
    assert rates["knob"] == "lr"
    assert {line: sorted(points) for line, points in rates["curves"].items()} == {
        "norm batch": [0.03, 0.3, 1.0],
        "norm none": [0.03, 0.3, 1.0],
    }
    decay = drawn["C51"]
    assert not decay["curves"]
    assert {*decay["values"]} == {"nothing", "decay 0.1", "decay 1"}
    assert [(label, least) for label, _, least in decay["differences"]] == [("λ = 0.1", 0.005), ("λ = 1", 0.005)]
    monkeypatch.undo()
    path = claim_plots.draw_claim(tmp_path / "real.png", **rates)
    assert path.read_bytes()[:4] == b"\x89PNG"


@pytest.mark.programs(8, "a seed alone is drawn eagerly")
def test_a_population_gives_each_seed_its_own_value():
    """Of a block of seeds in one program each is what the function gives for its key."""
    train = lambda key, *, gain, shape: gain * jax.random.normal(key, shape).sum()
    measure = claim_training.population(train, block=2)
    for seed in (0, 3):
        alone = 2.0 * np.asarray(jax.random.normal(jax.random.key(seed), (3,))).sum()
        assert measure(seed=seed, gain=2.0, shape=(3,)) == pytest.approx(alone, rel=1e-5)


@pytest.mark.programs(180, "formulas are evaluated once each, eagerly")
def test_facts_are_checked():
    """Every fact of the arithmetic study gives a verdict with numbers in its evidence."""
    study = claims.load_study(STUDIES["arithmetic"])
    found = {fact.number: fact.check() for fact in study.facts}
    assert {number: said.split(":")[0] for number, (said, _) in found.items()} == {
        "C26": "wrong",  # Swish is at least -0.2785, GELU at least -0.1700
        "C58": "holds when",
        "C20": "holds",
        "C23": "holds",
        "C39": "holds",
        "C50": "holds",
    }
    assert all(re.search(r"\d", evidence) for _, evidence in found.values())
    assert isinstance(study.facts[0], Fact)
