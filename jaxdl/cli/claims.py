"""`claims`: the claims of the cheat sheet, each with the verdict of a measurement that can be repeated.

    python -m jaxdl claims                  all claims: verdict, seeds, difference with its 95 % interval, p-value
    python -m jaxdl claims regularization   run the deciding comparison again over a few seeds
    python -m jaxdl claims regularization --full       measure all settings over all seeds, into the ledger results/claims/
    python -m jaxdl claims --plot pictures             all claims, and a picture of each from what is stored
    python -m jaxdl claims --page docs/claims          a page with all of that

Verdicts: holds; holds when (some of its comparisons); no difference shown (the interval lies within the smallest difference
that would matter); not decided (the interval is wider); wrong (the opposite was measured). P-values are adjusted by Holm's
method for the comparisons of one claim.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from jaxdl import runtime, shipped
from jaxdl.cli.compare import unused
from jaxdl.cli.options import read_flags
from jaxdl.experiment import ExperimentError
from jaxdl.runs import claims
from jaxdl.runs.claim_page import tally, write_page
from jaxdl.runs.claim_pictures import draw_claims, judged


@dataclass(frozen=True)
class Options:
    """List the claims of the sheet with their verdicts, or run a study of them again."""

    name: tyro.conf.Positional[str | None] = None
    """The study to run, a file of experiments/claims. None: list all claims."""
    full: bool = False
    """Measure all settings over all seeds, and keep them in the ledger."""
    replace: bool = False
    """With --full: measure anew what was measured with other code."""
    results: Path = claims.RESULTS
    """The folder of the ledger."""
    plot: Path | None = None
    """A folder for pictures: <claim>-<study>.png for each claim, or NAME.png of what is run again. None: no picture."""
    page: Path | None = None
    """A folder for a page, README.md, with the verdicts, numbers and pictures of all claims. None: no page."""


def run(args: Sequence[str]) -> int:
    options = read_flags(Options, args, prog="python -m jaxdl claims", text=__doc__)
    runtime.configure()
    found, kept = claims.studies(), measured(options.results)
    if options.page:
        if options.name is not None:
            raise ExperimentError(f"--page holds all claims: leave out {options.name}")
        print(f"page: {write_page(options.page, judged(kept))}")
        return 0
    if options.name is None:
        show(options, kept)
        return 0
    if options.name not in found:
        raise ExperimentError(f"no study {options.name!r}; there are {', '.join(found) or 'none'}")
    name, file = options.name, found[options.name]
    study = claims.load_study(file)
    if not options.full:
        values = quick(study, name, file, kept)
        if options.plot and values:
            from jaxdl.record.pictures import strips  # brings matplotlib

            options.plot.mkdir(parents=True, exist_ok=True)
            path = unused(options.plot / f"{name}.png")
            print(f"picture: {strips({s: list(v.values()) for s, v in values.items()}, path, label=study.unit)}")
        return 0
    claims.run_study(
        study,
        name,
        file,
        seeds=range(study.seeds),
        settings=list(study.settings),
        root=options.results,
        replace=options.replace,
    )
    show(options, options.results)
    return 0


def show(options: Options, results: Path) -> None:
    """Print all claims, or those of a study, and draw them into the folder --plot."""
    found = judged(results, only=options.name)
    table([one.decision for one in found])
    if options.plot:
        print(f"{len(draw_claims(options.plot, found))} pictures in {options.plot}")


def measured(results: Path) -> Path:
    """The ledger to read: the folder given, or that of the clone that jaxdl is installed from."""
    beside = shipped.PACKAGE.parent / claims.RESULTS
    if results.is_dir() or not beside.is_dir():
        if not results.is_dir():
            print(f"note: there is no ledger {results}: run this in a clone of jaxdl, or measure with NAME --full\n")
        return results
    return beside


def table(rows: Sequence[claims.Decision]) -> None:
    """Print claims with their verdicts."""
    for row in rows:
        print(f"{row.number:<4} {row.claim}\n     {row.verdict}   ({row.study})")
        for label, found in row.differences:
            print(f"         {label}: {found}")
        if row.evidence:
            print(f"         {row.evidence}")
    print(f"\n{tally(rows)}")


def quick(study: claims.Study, name: str, file: Path, results: Path) -> dict[str, dict[str, float]]:
    """Run the first comparison of a study over a few seeds, and say whether it agrees with the ledger."""
    if not study.comparisons:
        table([one.decision for one in judged(results, only=name)])
        return {}
    first = study.comparisons[0]
    print(f"{first.number} {first.claim}: {first.better} against {first.worse}, {study.unit}")
    values = claims.run_study(study, name, file, seeds=range(study.quick), settings=[first.better, first.worse])
    now = claims.compare_settings(study, first, values)
    stored = claims.valid_values(name, file, results)
    kept = claims.compare_settings(study, first, stored)
    print(f"now:    {now}")
    if kept is None or now is None:
        print("the ledger has no values of these settings with this code: `--full` measures them")
    else:
        inside = now.low <= kept.mean <= now.high
        gap = max(abs(value - stored[s].get(seed, value)) for s, of in values.items() for seed, value in of.items())
        print(f"ledger: {kept}")
        print(f"the values of these seeds differ from the ledger's by at most {gap:.2g}")
        print(f"the interval of this run {'contains' if inside else 'DOES NOT CONTAIN'} the ledger's difference")
    return values
