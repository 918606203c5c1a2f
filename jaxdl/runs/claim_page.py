"""The claims of the cheat sheet as a page that a repository shows: verdicts, numbers and pictures from the stored results."""

from collections.abc import Sequence
from pathlib import Path

from jaxdl.runs import claims
from jaxdl.runs.claim_pictures import draw_claims, picture_names
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
    kinds = [one.verdict.split(" when")[0] for one in decisions]
    numbers = {one.number for one in decisions}
    counted = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
    return f"{len(decisions)} verdicts on {len(numbers)} claims: {counted}"


def ordered(results: Path) -> list[Decision]:
    """All claims in the order of the sheet."""
    found: list[Decision] = []
    for name, file in claims.studies().items():
        found += claims.decisions(name, claims.load_study(file), claims.valid_values(name, file, results))
    return sorted(found, key=lambda one: int(one.number[1:]))


def page(decisions: Sequence[Decision]) -> str:
    """The page in Markdown. Lines that begin with "Evidence:" hold rounding errors, which depend on the machine."""
    names = picture_names(decisions)
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


def write_page(folder: Path, results: Path) -> Path:
    """Write README.md and a picture for each claim; replace only what an earlier call has written.

    Raises UserError where the folder has another README.md or pictures without one.
    """
    target = folder / "README.md"
    old = target.read_text(encoding="utf-8") if target.is_file() else ""
    pictures = sorted(folder.glob("*.png"))
    if (old or pictures) and not old.startswith(MARK):
        raise UserError(f"{target if old else pictures[0]} was not written by `claims --page`: name another folder")
    for picture in pictures:
        picture.unlink()
    folder.mkdir(parents=True, exist_ok=True)
    decisions = ordered(results)
    draw_claims(folder, results, facts=False)
    target.write_text(page(decisions), encoding="utf-8")
    return target
