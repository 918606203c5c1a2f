"""No measured number is typed by hand: what README, docs/measured.md and the docstrings of experiments say is in the ledger.

`unbacked.json` lists the numbers that are not there yet, by file; it may only shrink.
"""

import ast
import json
import re
import statistics

import pytest

from jaxdl import shipped
from jaxdl.cli.options import parse
from jaxdl.cli.record import Options
from jaxdl.experiment import load_config
from jaxdl.metrics.significance import paired_difference
from jaxdl.runs import ledger
from jaxdl.setup import Setup
from tests.conftest import ROOT

MEASURED = re.compile(r"(-?\d+(?:\.(\d+))?) ± (\d+(?:\.(\d+))?)")
COMPARED = re.compile(r"`([^`]*)` against `([^`]*)`, (\w+): (\S+ \[[^]]*\], p = \S+, n = \d+)")
UNBACKED = json.loads((ROOT / "tests" / "runs" / "unbacked.json").read_text(encoding="utf-8"))
FILES = {path.stem: path for path in shipped.files(ROOT / "experiments") if path.parent.name != shipped.RECIPES}
PAGES = {name: (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/measured.md")}


def entries_of(names):
    return [ledger.load_entry(path) for name in sorted(names) for path in (ROOT / "results" / name).glob("*.json")]


def stands_in(entries, text, mean_places, sd_places):
    """Whether a metric of an entry is spelled so, as it is or in per cent."""
    for entry in entries:
        for name in entry.runs[0]["metrics"]["test"]:
            values = entry.values(name)
            for unit in (1, 100):
                mean, sd = unit * statistics.fmean(values), unit * statistics.stdev(values)
                if f"{mean:.{mean_places}f} ± {sd:.{sd_places}f}" == text:
                    return True
    return False


def unbacked(text, entries):
    """The numbers "mean ± deviation" of a text that no entry holds."""
    found = [(m[0], len(m[2] or ""), len(m[4] or "")) for m in MEASURED.finditer(text)]
    return [number for number, *places in found if not stands_in(entries, number, *places)]


def docstring(name):
    return ast.get_docstring(ast.parse(FILES[name].read_text(encoding="utf-8"))) or ""


def check(source, missing):
    listed = UNBACKED.get(source, [])
    new, gone = sorted(set(missing) - set(listed)), sorted(set(listed) - set(missing))
    assert not new, f"{source}: {new} stand in no entry: python -m jaxdl record EXPERIMENT --seed 0:3"
    assert not gone, f"{source}: {gone} need not be listed in unbacked.json any more"


@pytest.mark.parametrize("page", PAGES)
def test_a_page_says_what_the_ledger_holds(page):
    missing = []
    for line in PAGES[page].splitlines():
        missing += unbacked(line, entries_of(re.findall(r"\]\((?:\.\./)?experiments/(\w+)\.py\)", line)))
    check(page, missing)


@pytest.mark.parametrize("name", FILES)
def test_an_experiment_expects_what_the_ledger_holds(name):
    check(name, unbacked(docstring(name), entries_of([name])))


def test_only_files_that_are_there_are_listed():
    assert set(UNBACKED) <= {*PAGES, *FILES}
    assert all(UNBACKED.values()), "leave out what has nothing missing"


def test_every_experiment_has_an_entry_or_says_what_is_missing():
    """An experiment without an entry has its numbers in unbacked.json, or none at all."""
    bare = {name for name in FILES if not entries_of([name])}
    assert {name for name in bare if MEASURED.search(docstring(name))} <= set(UNBACKED)


@pytest.mark.parametrize("name", FILES)
def test_a_stated_difference_is_that_of_the_ledger(name):
    """`flags` against `flags`, metric: mean [interval], p, n: paired over the seeds, as `metrics.significance` computes it.

    `default` stands for no flags.
    """
    config = load_config(FILES[name])

    def values(flags, metric):
        knobs, _ = parse(config, flags.replace("default", "").split(), prog=name, options=Options)
        setting = ledger.given(Setup.of(config, knobs))
        return ledger.load_entry(ROOT / "results" / name / f"{ledger.name_of(setting)}.json").values(metric)

    for one, other, metric, said in COMPARED.findall(" ".join(docstring(name).split())):
        assert said == str(paired_difference(values(one, metric), values(other, metric)))


def test_numbers_that_no_entry_holds_are_found():
    """The control."""
    run = {"metrics": {"test": {"accuracy": 0.5}}}
    entry = ledger.LedgerEntry("x", {}, "", ("accuracy", "max"), runs=[
        {**run, "seed": 0}, {"seed": 1, "metrics": {"test": {"accuracy": 0.6}}},
    ])  # fmt: skip
    assert unbacked("55.0 ± 7.1 %, 0.55 ± 0.07, 55.1 ± 7.1 %, 0.550 ± 0.072", [entry]) == [
        "55.1 ± 7.1",
        "0.550 ± 0.072",
    ]
