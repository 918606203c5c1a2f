"""The claims of the cheat sheet as a page that a repository shows: verdicts, numbers and pictures from the stored results."""

import re
from collections.abc import Sequence
from pathlib import Path

from jaxdl.runs.claim_pictures import Judged, draw_claims, picture_names
from jaxdl.runs.claims import Decision
from jaxdl.types import UserError

MARK = "<!-- written by `python -m jaxdl claims --page FOLDER`: change the studies or their results, not this file -->"
INTRO = """# The cheat sheet on trial

Each claim of the cheat sheet was turned into at most five comparisons, which were named before they were measured. A difference
is the mean over seeds, paired by seed, with its 95 % interval (bootstrap) and the p-value of Wilcoxon's signed-rank test, before
Holm's correction; the verdict uses the corrected one.

- **holds**: every comparison shows a difference that is large enough to matter. **holds when**: only the named ones do.
- **no difference shown**: the interval lies within the smallest difference that would matter. **not decided**: it is wider.
- **wrong**: the opposite was measured, in the setting that the study describes. It is no statement about other settings.
"""


def tally(decisions: Sequence[Decision]) -> str:
    """How many verdicts of each kind there are."""
    kinds = ["holds in part" if " when" in one.verdict else one.verdict for one in decisions]
    numbers = {one.number for one in decisions}
    counted = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
    return f"{len(decisions)} verdicts on {len(numbers)} claims: {counted}"


def page(found: Sequence[Judged]) -> str:
    """The page in Markdown. Lines that begin with "Evidence:" hold rounding errors, which depend on the machine."""
    names, decisions = picture_names(found), [one.decision for one in found]
    rows = [
        f"| [{one.number}](#{name.lower()}) | {one.claim} | {one.verdict} |"
        for one, name in zip(decisions, names, strict=True)
    ]
    lines = [MARK, INTRO, f"{tally(decisions)}.\n", "| | claim | verdict |", "|---|---|---|", *rows, ""]
    for one, name in zip(decisions, names, strict=True):
        study = f"[{one.study}](../../experiments/claims/{one.study}.py)"
        lines += [f'<a id="{name.lower()}"></a>', "", f"## {one.number}: {one.claim}", "", f"**{one.verdict}**", ""]
        if one.evidence:
            lines += [f"Evidence: {one.evidence}", "", f"Study: {study}, checked by the tests.", ""]
            continue
        lines += [f"![{one.number}: {one.verdict}]({name}.png)", ""]
        lines += [*(f"- {label}: {found}" for label, found in one.differences), ""]
        lines += [f"Study: {study}. Run it again: `python -m jaxdl claims {one.study}`, with `--full` all of it.", ""]
    return "\n".join(lines)


def write_page(folder: Path, found: Sequence[Judged]) -> Path:
    """Write README.md and a picture for each claim that was measured; replace only what an earlier call has written.

    Raises UserError where the folder has another README.md, or a picture of that name which the page before did not show.
    """
    target = folder / "README.md"
    old = target.read_text(encoding="utf-8") if target.is_file() else ""
    if old and not old.startswith(MARK):
        raise UserError(f"{target} was not written by `claims --page`: name another folder")
    folder.mkdir(parents=True, exist_ok=True)
    for name in re.findall(r"^!\[.*\]\((\S+\.png)\)$", old, re.MULTILINE):
        (folder / name).unlink(missing_ok=True)
    draw_claims(folder, [one for one in found if not one.decision.evidence])
    target.write_text(page(found), encoding="utf-8")
    return target
