"""The claims of the cheat sheet on trial: settings, comparisons named before they are run, values by seed, and verdicts.

A file of `experiments/claims/` holds a `study`: what is measured in which settings, and the comparisons that decide the claims,
at most five each. Its values stand in `results/claims/<name>.json`. A verdict is computed from them and never stored.
"""

import importlib.util
import json
import math
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any

from jaxdl import shipped
from jaxdl.experiment import ExperimentError
from jaxdl.metrics.significance import Difference, holm, paired_difference
from jaxdl.record.manifest import write_synced
from jaxdl.record.run import environment
from jaxdl.runs import ledger
from jaxdl.runs.trial import trial
from jaxdl.setup import Config

RESULTS = ledger.RESULTS / "claims"
ALPHA = 0.05
NOTHING: Mapping[str, Any] = MappingProxyType({"code": None, "values": {}, "measured": []})
MOST = 5
"""Comparisons of one claim: with Holm's correction more would need more seeds than are run."""


@dataclass(frozen=True)
class Comparison:
    """What a claim expects of two settings.

    Args:
        number: the claim's number on the sheet, such as "C24".
        claim: the claim, in a few words.
        better, worse: names of settings.
        least: the smallest difference that would matter, in the unit of what is measured.
        when: the condition under which the two are compared, where a claim has several comparisons.
        alike: the claim is that the two differ by less than `least`.
    """

    number: str
    claim: str
    better: str
    worse: str
    least: float
    when: str = ""
    alike: bool = False


@dataclass(frozen=True)
class Fact:
    """A claim that needs no training: `check()` returns its verdict and the values that show it."""

    number: str
    claim: str
    check: Callable[[], tuple[str, str]]


@dataclass(frozen=True)
class Study:
    """Settings measured over seeds, and what is claimed of them.

    Args:
        measure: `measure(seed=0, **setting) -> float`; see `trained`. A seed must mean the same draw in every setting, since
            settings are compared seed by seed.
        settings: name -> the values that `measure` takes.
        comparisons: what is compared; the first one is run by `python -m jaxdl claims NAME`.
        facts: claims that need no training.
        unit: what is measured.
        smaller: whether smaller values are better.
        seeds: how many seeds the ledger holds; `quick` of them are run by `claims NAME`.
    """

    measure: Callable[..., float] = lambda **_: math.nan
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    comparisons: tuple[Comparison, ...] = ()
    facts: tuple[Fact, ...] = ()
    unit: str = "test accuracy"
    smaller: bool = False
    seeds: int = 12
    quick: int = 4

    def __post_init__(self) -> None:
        for number, group in by_number(self.comparisons).items():
            if len(group) > MOST:
                raise ExperimentError(f"{number}: {len(group)} comparisons, more than {MOST}")
        for comparison in self.comparisons:
            for name in (comparison.better, comparison.worse):
                if name not in self.settings:
                    raise ExperimentError(
                        f"{comparison.number}: no setting {name!r}; there are {', '.join(self.settings)}"
                    )


@dataclass(frozen=True)
class Decision:
    """One claim with its verdict."""

    number: str
    claim: str
    verdict: str
    differences: tuple[tuple[str, Difference], ...] = ()
    evidence: str = ""
    study: str = ""


def trained(config: Config, metric: str, split: str = "test", **fixed: Any) -> Callable[..., float]:
    """A measure: train the experiment with the values of a setting, and read a metric of a split."""

    def measure(**values: Any) -> float:
        return float(trial(config, **{**fixed, **values}).evaluate(split).metrics[metric])

    return measure


def by_number(comparisons: Sequence[Comparison]) -> dict[str, list[Comparison]]:
    """Claim number -> its comparisons."""
    found: dict[str, list[Comparison]] = {}
    for comparison in comparisons:
        found.setdefault(comparison.number, []).append(comparison)
    return found


def studies() -> dict[str, Path]:
    """Name -> file of every study: of ./experiments/claims, else of those that come with jaxdl."""
    found: dict[str, Path] = {}
    for folder in reversed(shipped.folders()):
        found |= {file.stem: file for file in shipped.files(folder / "claims")}
    return dict(sorted(found.items()))


def load_study(file: Path) -> Study:
    """The `study` of a file."""
    name = f"jaxdl_claims_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ExperimentError(f"{file} is not a Python file")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    study = getattr(module, "study", None)
    if not isinstance(study, Study):
        raise ExperimentError(f"{file} has no `study = Study(...)`")
    return study


def study_checksum(file: Path) -> str:
    """A checksum of the code of a study and of the experiments that it loads by name."""
    names = re.findall(r"load_config\(\"(\w+)\"\)", file.read_text(encoding="utf-8"))
    parts = [ledger.code_checksum(path) for path in (file, *(shipped.locate(name) for name in names))]
    return parts[0] if len(parts) == 1 else sha256(" ".join(parts).encode()).hexdigest()[:16]


def compare_settings(
    study: Study, comparison: Comparison, values: Mapping[str, Mapping[str, float]]
) -> Difference | None:
    """How much better the better setting is, over the seeds that both have; None with fewer than two."""
    one, other = values.get(comparison.better, {}), values.get(comparison.worse, {})
    seeds = sorted({*one} & {*other})
    if len(seeds) < 2:
        return None
    pair = [one[seed] for seed in seeds], [other[seed] for seed in seeds]
    return paired_difference(*(reversed(pair) if study.smaller else pair))


def decide(comparison: Comparison, found: Difference, p: float) -> str:
    """holds, wrong, no difference shown or not decided; `p` is the p-value adjusted for the claim's other comparisons."""
    inside = -comparison.least < found.low and found.high < comparison.least
    if comparison.alike:
        return "holds" if inside else "wrong" if p < ALPHA and abs(found.mean) >= comparison.least else "not decided"
    if p < ALPHA and abs(found.mean) >= comparison.least:
        return "holds" if found.mean > 0 else "wrong"
    return "no difference shown" if inside else "not decided"


def label(comparison: Comparison) -> str:
    """The condition of a comparison, or the names of its settings."""
    return comparison.when or f"{comparison.better} against {comparison.worse}"


def verdict(comparisons: Sequence[Comparison], decided: Sequence[str]) -> str:
    """The verdict of a claim from those of its comparisons."""
    held = [label(one) for one, said in zip(comparisons, decided, strict=True) if said == "holds"]
    if len(held) == len(decided):
        return "holds"
    if held:
        return f"holds when: {'; '.join(held)}"
    kinds = set(decided)
    return "wrong" if "wrong" in kinds else kinds.pop() if len(kinds) == 1 else "not decided"


def decisions(name: str, study: Study, values: Mapping[str, Mapping[str, float]]) -> list[Decision]:
    """The claims of a study with their verdicts."""
    found = []
    for number, group in by_number(study.comparisons).items():
        differences = [compare_settings(study, comparison, values) for comparison in group]
        known = [one for one in differences if one is not None]
        if len(known) < len(group):
            found.append(Decision(number, group[0].claim, "not measured with this code", study=name))
            continue
        adjusted = holm([one.p for one in known])
        decided = [decide(*each) for each in zip(group, known, adjusted, strict=True)]
        shown = tuple(zip(map(label, group), known, strict=True))
        found.append(Decision(number, group[0].claim, verdict(group, decided), shown, study=name))
    for fact in study.facts:
        said, evidence = fact.check()
        found.append(Decision(fact.number, fact.claim, said, evidence=evidence, study=name))
    return found


def stored(name: str, root: Path = RESULTS) -> Mapping[str, Any]:
    """What the ledger holds of a study: `{"code", "unit", "values": {setting: {seed: value}}, "measured": [...]}`."""
    path = root / f"{name}.json"
    if not path.is_file():
        return NOTHING
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ExperimentError(f"{path} is damaged: {error}") from None


def valid_values(name: str, file: Path, root: Path = RESULTS) -> Mapping[str, Mapping[str, float]]:
    """The stored values of a study by setting and seed; none where they were measured with other code."""
    kept = stored(name, root)
    return kept["values"] if kept["code"] == study_checksum(file) else {}


def run_study(
    study: Study,
    name: str,
    file: Path,
    *,
    seeds: Sequence[int],
    settings: Sequence[str],
    root: Path | None = None,
    replace: bool = False,
    say: Callable[[str], None] = print,
) -> dict[str, dict[str, float]]:
    """Measure settings over seeds: values by setting and seed. With `root` the ledger keeps them after every seed.

    Raises ExperimentError where the ledger has values of other code, unless `replace` is True: then it starts again.
    """
    code, kept = study_checksum(file), stored(name, root) if root else NOTHING
    if kept["code"] not in (None, code):
        if not replace:
            raise ExperimentError(f"{name}: its code has changed since it was measured; --replace measures anew")
        kept = NOTHING
    values: dict[str, dict[str, float]] = {setting: dict(done) for setting, done in kept["values"].items()}
    env, began = environment(file), time.process_time()
    about = {
        "date": env["time"][:10],
        "commit": (env["git"] or {}).get("commit"),
        "versions": env["versions"],
        "processor": ledger.processor(),
        "command": f"python -m jaxdl claims {name} --full",
    }
    for seed in seeds:
        for setting in settings:
            done = values.setdefault(setting, {})
            if str(seed) not in done:
                done[str(seed)] = float(f"{study.measure(seed=seed, **study.settings[setting]):.7g}")
        if root:
            measured = [*kept["measured"], {**about, "cpu_seconds": round(time.process_time() - began, 1)}]
            whole = {"code": code, "unit": study.unit, "values": values, "measured": measured}
            root.mkdir(parents=True, exist_ok=True)
            write_synced(root / f"{name}.json", json.dumps(whole, indent=1) + "\n")
        say(f"seed {seed}: " + ", ".join(f"{setting} {values[setting][str(seed)]:.4g}" for setting in settings))
    return {setting: values[setting] for setting in settings}
