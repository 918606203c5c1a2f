"""A picture for each claim, from the stored results alone: nothing is trained."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxdl.runs import claims
from jaxdl.runs.claims import Decision, Study
from jaxdl.types import UserError

Values = Mapping[str, Mapping[str, float]]


def draw_decision(decision: Decision, study: Study, values: Values, path: Path) -> Path:
    """Draw one claim of a study as a PNG: the values of the settings it compares, and the differences with their intervals."""
    from jaxdl.record.claim_plots import draw_claim  # brings matplotlib

    compared = [one for one in study.comparisons if one.number == decision.number and decision.differences]
    names = list(dict.fromkeys(name for one in compared for name in (one.better, one.worse)))
    pairs = zip(decision.differences, compared, strict=True)
    knob, curves = swept_curves(study, names, values)
    return draw_claim(
        path,
        title=f"{decision.number}  {decision.claim}",
        verdict=decision.verdict,
        values={name: list(values[name].values()) for name in names},
        differences=[(label, found, one.least) for (label, found), one in pairs],
        curves=curves,
        knob=knob,
        unit=study.unit,
        evidence=decision.evidence,
    )


def swept_curves(
    study: Study, names: Sequence[str], values: Values
) -> tuple[str, dict[str, dict[float, list[float]]] | None]:
    """The numeric knob that takes three values or more in each setting of a claim, and the curves over it; else ("", None)."""

    def rest(name: str, knob: str) -> tuple[tuple[str, Any], ...]:
        return tuple((key, value) for key, value in study.settings[name].items() if key != knob)

    knobs = dict.fromkeys(key for name in names for key in study.settings[name])
    for knob in knobs:
        curves: dict[str, dict[float, list[float]]] = {}
        wanted = {rest(name, knob) for name in names}
        for name, setting in study.settings.items():
            at = setting.get(knob)
            if (
                isinstance(at, int | float)
                and not isinstance(at, bool)
                and rest(name, knob) in wanted
                and name in values
            ):
                label = ", ".join(f"{key} {value}" for key, value in rest(name, knob))
                curves.setdefault(label, {})[at] = list(values[name].values())
        if len(curves) == len(wanted) and all(len(points) > 2 for points in curves.values()):
            return knob, curves
    return "", None


def picture_names(decisions: Sequence[Decision]) -> list[str]:
    """`<number>-<study>` for each claim, with `-fact` for the second one of a study."""
    names: list[str] = []
    for one in decisions:
        name = f"{one.number}-{one.study}"
        names.append(f"{name}-fact" if name in names else name)
    return names


def draw_claims(
    folder: Path, results: Path = claims.RESULTS, *, only: str | None = None, facts: bool = True
) -> dict[str, Path]:
    """Draw every claim, or those of one study, into a folder. Returns the name of `picture_names` -> PNG.

    A claim that was measured with other code has only its verdict drawn, which says so. Without `facts` the claims that need no
    training are left out. Raises UserError where a PNG exists.
    """
    drawn: dict[str, Path] = {}
    for name, file in claims.studies().items():
        if only not in (None, name):
            continue
        study, values = claims.load_study(file), claims.valid_values(name, file, results)
        decisions = claims.decisions(name, study, values)
        for label, decision in zip(picture_names(decisions), decisions, strict=True):
            path = folder / f"{label}.png"
            if decision.evidence and not facts:
                continue
            if path.exists():
                raise UserError(f"{path} exists already: name another folder for the pictures")
            drawn[label] = draw_decision(decision, study, values, path)
    return drawn
