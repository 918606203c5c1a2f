"""The claims of the sheet with their verdicts, as Markdown and pictures of the site; all numbers come from the ledger."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np

from jaxdl.runs import claims
from jaxdl.runs.claim_page import tally
from jaxdl.runs.claim_pictures import Judged, judged
from jaxdl.site.pictures.svg import GREEN, INK, RED, Drawing
from jaxdl.site.sheet import ENTRIES, SheetEntry
from jaxdl.site.sheet.statements import STATEMENTS


@dataclass(frozen=True)
class Trial:
    """One verdict on a claim, with what it was computed from."""

    found: Judged
    measured: str
    """When, as the ledger has it; empty for what the tests compute."""

    @property
    def verdict(self) -> str:
        return self.found.decision.verdict


def trials(results: Path) -> dict[int, list[Trial]]:
    """Number of a claim -> its verdicts, from a folder `results/claims`; none for a claim that nobody has measured."""
    found: dict[int, list[Trial]] = {number: [] for number in STATEMENTS}
    for one in judged(results):
        kept = claims.stored(one.decision.study, results)["measured"]
        date = max((each["date"] for each in kept), default="") if not one.decision.evidence else ""
        found[int(one.decision.number[1:])].append(Trial(one, date))
    return found


def kind(verdict: str) -> str:
    """A word for the colour of a verdict: holds, partly, open or wrong."""
    if verdict == "wrong":
        return "wrong"
    return "partly" if verdict.startswith("holds when") else "holds" if verdict == "holds" else "open"


def chip(verdict: str) -> str:
    """A verdict as a coloured mark in HTML."""
    return f'<span class="chip {kind(verdict)}">{escape(verdict)}</span>'


def briefly(entry: SheetEntry, found: Mapping[int, Sequence[Trial]]) -> list[tuple[str, str]]:
    """(text, kind) for a tile: one for each claim that was measured, the conditions left out."""
    return [
        (f"C{number} {'holds in part' if kind(one.verdict) == 'partly' else one.verdict}", kind(one.verdict))
        for number in entry.claims
        for one in found[number][:1]
    ]


def intervals(one: Judged) -> str:
    """The differences of a claim with their 95 % intervals, as SVG; the band is what would be too small to matter."""
    decision, study, _ = one
    compared = [each for each in study.comparisons if each.number == decision.number]
    pairs = list(zip(compared, decision.differences, strict=True))
    reach = 1.08 * max(max(abs(f.low), abs(f.high), abs(f.mean), c.least) for c, (_, f) in pairs)
    better = "less" if study.smaller else "more"
    title = f"{decision.number}: {decision.claim}"
    said = "; ".join(f"{label}: {found}" for label, found in decision.differences)
    d = Drawing(640, 46 * len(pairs) + 40, title, f"Differences in {study.unit} with 95 % intervals. {said}")
    left, right = 20.0, 620.0
    at = lambda value: left + (value + reach) / (2 * reach) * (right - left)
    bottom = 46.0 * len(pairs) + 6
    for row, (comparison, (label, found)) in enumerate(pairs):
        y = 46.0 * row + 32
        lost = found.high < 0 and found.mean <= -comparison.least
        won = found.low > 0 and found.mean >= comparison.least
        colour = INK if comparison.alike else GREEN if won else RED if lost else INK
        d.box(at(-comparison.least), y - 9, at(comparison.least) - at(-comparison.least), 18, INK, fill=0.08, width=0)
        d.text(left, y - 14, f"{label}  ({found.n} seeds)", size=13)
        d.line(at(found.low), y, at(found.high), y, colour, width=3)
        d.circle(at(found.mean), y, 5, colour)
    d.line(at(0), 22, at(0), bottom, opacity=0.5)
    for value in (-reach / 1.08, 0.0, reach / 1.08):
        anchor = "middle" if value == 0 else "start" if value < 0 else "end"
        place = at(0) if value == 0 else left if value < 0 else right
        d.text(place, bottom + 16, "0" if value == 0 else f"{value:+.2g}", size=12, anchor=anchor)
    d.text(
        at(0),
        bottom + 32,
        f"difference in {study.unit} ({better} is better, shown to the right)",
        size=12,
        anchor="middle",
    )
    return d.svg()


def compared_settings(one: Judged) -> list[str]:
    """A table in Markdown of the settings that a claim compares: mean, standard deviation, seeds."""
    decision, study, values = one
    compared = [each for each in study.comparisons if each.number == decision.number]
    names = dict.fromkeys(name for each in compared for name in (each.better, each.worse))
    rows = [f"| setting | {study.unit}, mean ± sd | seeds |", "|---|---|---|"]
    for name in names:
        x = np.array(list(values[name].values()))
        rows.append(f"| {name} | {x.mean():.4g} ± {x.std(ddof=1):.2g} | {len(x)} |")
    return rows


def trial_lines(one: Trial) -> list[str]:
    """What the page of an entry says of one verdict."""
    decision = one.found.decision
    lines = ["```{raw} html", f"<p>{chip(decision.verdict)} {escape(decision.claim)}</p>", "```", ""]
    study = f"[{decision.study}](../studies/{decision.study}.md)"
    if decision.evidence:
        return [*lines, f"Computed and checked by the tests: {decision.evidence} Study: {study}.", ""]
    if not decision.differences:
        return [*lines, f"Study: {study}.", ""]
    lines += ["```{raw} html", f'<figure class="picture">{intervals(one.found)}</figure>', "```", ""]
    lines += [f"- {label}: {found}" for label, found in decision.differences]
    lines += ["", *compared_settings(one.found), ""]
    return [
        *lines,
        f"Study: {study}, measured {one.measured}. Run it again: `python -m jaxdl claims {decision.study}`",
        "",
    ]


def claim_lines(entry: SheetEntry, found: Mapping[int, Sequence[Trial]]) -> list[str]:
    """What the page of an entry says of its claims."""
    if not entry.claims:
        return ["The sheet claims nothing of this entry.", ""]
    lines = []
    for number in entry.claims:
        lines += [f"(c{number}-{entry.slug})=", f"### C{number}: {STATEMENTS[number]}", ""]
        lines += [line for one in found[number] for line in trial_lines(one)]
        lines += [] if found[number] else ["Not measured yet.", ""]
    return lines


def claim_page(found: Mapping[int, Sequence[Trial]]) -> str:
    """All claims of the sheet: statement, verdict, the entry that shows it."""
    decided = [one.found.decision for group in found.values() for one in group]
    open_ = sum(not group for group in found.values())
    lines = [
        "# The sheet on trial",
        "",
        "The sheet makes 64 claims. Each was turned into at most five comparisons, which were named before they were measured. A "
        "difference is the mean over seeds, paired by seed, with its 95 % interval (bootstrap) and the p-value of Wilcoxon's "
        "signed-rank test, before Holm's correction; the verdict uses the corrected one.",
        "",
        "- **holds**: every comparison shows a difference that is large enough to matter. **holds when**: only the named do.",
        "- **no difference shown**: the interval lies within the smallest difference that matters. **not decided**: it is wider.",
        "- **wrong**: the opposite was measured, in the setting that the study describes. It says nothing of other settings.",
        "",
        f"{tally(decided)}." + (f" {open_} claims are not measured yet." if open_ else ""),
        "",
        "| number | claim | verdict | entry |",
        "|---|---|---|---|",
    ]
    for number, group in found.items():
        said = "; ".join(
            f"**{one.verdict}** ([{one.found.decision.study}](studies/{one.found.decision.study}.md))" for one in group
        )
        homes = [entry for entry in ENTRIES.values() if number in entry.claims]
        places = ", ".join(f"[{entry.name}](entries/{entry.slug}.md#c{number}-{entry.slug})" for entry in homes[:3])
        lines.append(f"| C{number} | {STATEMENTS[number]} | {said or 'not measured yet'} | {places} |")
    return "\n".join([*lines, ""])
