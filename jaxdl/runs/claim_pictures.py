"""A picture for each claim, from the stored results alone: nothing is trained."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jaxdl.runs import claims
from jaxdl.runs.claims import Decision, Study
from jaxdl.types import UserError

Values = Mapping[str, Mapping[str, float]]


class Judged(NamedTuple):
    """A claim with its verdict, and the study and the stored values that it was computed from."""

    decision: Decision
    study: Study
    values: Values


def judged(results: Path, *, only: str | None = None) -> list[Judged]:
    """All claims, or those of one study, in the order of the sheet, from the results in a folder."""
    found: list[Judged] = []
    for name, file in claims.studies().items():
        if only in (None, name):
            study, values = claims.load_study(file), claims.valid_values(name, file, results)
            found += [Judged(one, study, values) for one in claims.decisions(name, study, values)]
    return sorted(found, key=lambda one: int(one.decision.number[1:]))


def draw_decision(one: Judged, path: Path) -> Path:
    """Draw one claim as a PNG: the values of the settings it compares, and the differences with their intervals."""
    from jaxdl.record.claim_plots import draw_claim  # brings matplotlib

    decision, study, values = one
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


def picture_names(found: Sequence[Judged]) -> list[str]:
    """`<number>-<study>` for each claim, with `-fact` for the second one of a study."""
    names: list[str] = []
    for decision, *_ in found:
        name = f"{decision.number}-{decision.study}"
        names.append(f"{name}-fact" if name in names else name)
    return names


def draw_claims(folder: Path, found: Sequence[Judged]) -> list[Path]:
    """Draw claims into a folder, `<name>.png` with the names of `picture_names`.

    A claim that was measured with other code has only its verdict drawn, which says so. Raises UserError where a PNG exists.
    """
    paths = [folder / f"{name}.png" for name in picture_names(found)]
    if exists := [path for path in paths if path.exists()]:
        raise UserError(f"{exists[0]} exists already: name another folder for the pictures")
    return [draw_decision(one, path) for one, path in zip(found, paths, strict=True)]
