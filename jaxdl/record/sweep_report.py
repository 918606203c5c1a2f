"""The report of a sweep: a table of its settings, best first, `results.csv`, pictures, `report.md` and `report.html`."""

import csv
import io
import math
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxdl.record import sweep_plots
from jaxdl.record.log import Line
from jaxdl.record.manifest import write_synced
from jaxdl.record.page import write_html
from jaxdl.record.parallel_coordinates import parallel_coordinates
from jaxdl.record.report import _data, _settings, _where, duration, markdown_table, plain_text, title
from jaxdl.record.run import RunFolder
from jaxdl.record.series import series_over_seeds

Row = Mapping[str, Any]
"""One member: its number, knobs and results (`engine/halving.py`)."""

MOST_LINES = 12
"""Lines that report.html shows."""

CAPTIONS = {
    "curves": "Curves: mean over seeds, a band of one standard deviation",
    "one_knob": "Against the knob",
    "two_knobs": "Over the two knobs: darker is better, the best is framed",
    "many_knobs": "Over all knobs: a line is a member, the best are on top",
}


def write_sweep_report(
    run: RunFolder,
    data: Any,
    rows: Sequence[Row],
    histories: Sequence[Sequence[Line]],
    plan: Sequence[str],
    seconds: float,
) -> tuple[str, dict[str, Path]]:
    """Write results.csv, the plots and the report of a sweep. Returns the table of its settings and its pictures.

    Args:
        data: the data set, for its name and split.
        rows: the members, in the order of the sweep.
        histories: the log of each.
        plan: lines on how members were grouped into programs.
        seconds: duration of the programs, including compilation.
    """
    metric, mode = run.config["select"]
    folder = shlex.quote(str(run.folder))
    swept = run.config["sweep"]["swept"]
    write_synced(run.folder / "results.csv", as_csv(rows, swept))
    groups = settings(rows, varying(rows, swept), mode)
    listed = settings_table(groups, metric, mode)
    shown = draw_sweep(groups, histories, metric, mode, run.plots)
    steps = sum(row["step"] for row in rows)
    best = next((row for row in ranked(rows, mode) if row["best"] is not None), None)
    named = varying(rows, swept, seeds=True)
    parts = [
        f"# Sweep: {plain_text(title(run))}\n",
        f"**{len(rows)} members**, {steps:,} steps in all, in {duration(seconds)}: "
        f"{steps / max(seconds, 1e-9):,.0f} steps a second, compilation included.\n",
        "\n".join(f"- {plain_text(line)}" for line in plan) + "\n",
        "## Result\n",
        listed + "\n",
        "Mean ± standard deviation over n members that differ in the seed only. Validation: the best evaluation of each "
        "member, which determines the order; as a selected value it is slightly optimistic. Test: the weights that `load` "
        "takes. `results.csv` has every member.\n",
        _best(best, named, metric, run) if best is not None else "",
        *(f"### {CAPTIONS[name]}\n\n![{CAPTIONS[name]}](plots/{path.name})\n" for name, path in shown.items()),
        "## Data\n",
        _data(data),
        "## Settings\n",
        _settings({**run.config, "knobs": {k: v for k, v in run.config["knobs"].items() if k not in swept}}),
        "## Where it ran\n",
        _where(run, sum(map(len, histories))),
        "## Again\n",
        f"```bash\n{run.env['command']}   # the command of this sweep\n"
        f"python -m jaxdl sweep --resume {folder}   # continue it, if it was stopped\n"
        f"python -m jaxdl evaluate {folder} --member {best['member'] if best else 0}\n```\n",
    ]
    text = "\n".join(part for part in parts if part)
    write_synced(run.report, text)
    lines = series_over_seeds(dict(list(named_histories(groups, histories).items())[:MOST_LINES]), metric, "validation")
    more = f", the best {MOST_LINES} of {len(groups)} settings" if len(groups) > MOST_LINES else ""
    write_html(text, run.page, {shown["curves"].name: {f"{metric}, validation{more}": lines}})
    return listed, shown


# -- numbers ----------------------------------------------------------------------------------------------------------


def varying(rows: Sequence[Row], swept: Sequence[str], *, seeds: bool = False) -> list[str]:
    """The knobs that differ between members, without the seed."""
    return [n for n in swept if (seeds or n != "seed") and len({repr(row[n]) for row in rows}) > 1]


def ranked(rows: Sequence[Row], mode: str) -> list[Row]:
    """Members, best first; those without a finite result last."""
    sign = -1 if mode == "max" else 1
    return sorted(rows, key=lambda row: (row["best"] is None, sign * (row["best"] or 0.0)))


def settings(rows: Sequence[Row], knobs: Sequence[str], mode: str) -> list[tuple[dict[str, Any], list[Row]]]:
    """Group members that differ in the seed only, as (knobs, members): best mean first, diverged ones last."""
    groups: dict[str, tuple[dict[str, Any], list[Row]]] = {}
    for row in rows:
        chosen = {name: row[name] for name in knobs}
        groups.setdefault(repr(chosen), (chosen, []))[1].append(row)
    sign = -1 if mode == "max" else 1

    def key(one: tuple[dict[str, Any], list[Row]]) -> tuple[bool, float]:
        values = finite(row["best"] for row in one[1])
        failed = len(values) < len(one[1]) or any(row["ended"] == "diverged" for row in one[1])
        return failed, sign * float(np.mean(values)) if values else math.inf

    return sorted(groups.values(), key=key)


def settings_table(groups: Sequence[tuple[dict[str, Any], list[Row]]], metric: str, mode: str) -> str:
    """A Markdown table with a row per setting."""
    knobs = list(groups[0][0])
    tested = f"test_{metric}" in groups[0][1][0]
    most = "highest" if mode == "max" else "lowest"
    head = [*knobs, "n", f"validation {metric}, {most}", *([f"test {metric}"] if tested else []), "steps", "ended"]
    lines = []
    for chosen, rows in groups:
        steps = [row["step"] for row in rows]
        lines.append(
            [
                *(sweep_plots.text(value) for value in chosen.values()),
                str(len(rows)),
                spread(row["best"] for row in rows),
                *([spread(row[f"test_{metric}"] for row in rows)] if tested else []),
                f"{min(steps)}" if min(steps) == max(steps) else f"{min(steps)} … {max(steps)}",
                endings(rows),
            ]
        )
    return markdown_table(head, lines)


def endings(rows: Sequence[Row]) -> str:
    """
    >>> endings([{"ended": "finished"}, {"ended": "diverged"}, {"ended": "finished"}]), endings([{"ended": "finished"}])
    ('2 finished, 1 diverged', 'finished')
    """
    counts = {row["ended"]: 0 for row in rows}
    for row in rows:
        counts[row["ended"]] += 1
    return ", ".join(f"{n} {how}" for how, n in counts.items()) if len(counts) > 1 else next(iter(counts))


def finite(values: Any) -> list[float]:
    return [value for value in values if value is not None and math.isfinite(value)]


def spread(values: Any) -> str:
    """Mean ± standard deviation (n - 1) of the finite ones.

    >>> spread([0.9, 0.92]), spread([0.5]), spread([None, 0.5]), spread([None])
    ('0.91 ± 0.014', '0.5', '0.5 (1 of 2)', '–')
    """
    values = list(values)
    kept = finite(values)
    if not kept:
        return "–"
    text = f"{np.mean(kept):.4g}" + (f" ± {np.std(kept, ddof=1):.2g}" if len(kept) > 1 else "")
    return text if len(kept) == len(values) else f"{text} ({len(kept)} of {len(values)})"


def as_csv(rows: Sequence[Row], swept: Sequence[str]) -> str:
    """CSV text with a row per member: its swept knobs, then its results."""
    told = [name for name in rows[0] if name not in swept]
    names = ["member", *swept, *told[told.index("ended") :]]
    out = io.StringIO()
    writer = csv.DictWriter(out, names, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _best(row: Row, knobs: Sequence[str], metric: str, run: RunFolder) -> str:
    chosen = ", ".join(f"{name} {sweep_plots.text(row[name])}" for name in knobs)
    test = row.get(f"test_{metric}")
    return (
        f"Best member: {row['member']} ({plain_text(chosen)}), validation {metric} {row['best']:.4g} at step {row['best_step']}"
        + (f", test {metric} {test:.4g}" if test is not None else "")
        + f".\n\n```python\nrun = jaxdl.load({str(run.folder)!r}, member={row['member']})\n```\n"
    )


# -- pictures ---------------------------------------------------------------------------------------------------------


def named_histories(
    groups: Sequence[tuple[dict[str, Any], list[Row]]], histories: Sequence[Sequence[Line]]
) -> dict[str, list[Sequence[Line]]]:
    """The histories of each setting under its name."""
    labels = [", ".join(f"{k} {sweep_plots.text(v)}" for k, v in chosen.items()) or "all seeds" for chosen, _ in groups]
    return {
        f"{label} (n={len(rows)})" if len(rows) > 1 else label: [histories[row["member"]] for row in rows]
        for label, (_, rows) in zip(labels, groups, strict=True)
    }


def draw_sweep(
    groups: Sequence[tuple[dict[str, Any], list[Row]]],
    histories: Sequence[Sequence[Line]],
    metric: str,
    mode: str,
    folder: Path,
) -> dict[str, Path]:
    """Draw the curves, and the result over one knob, over two as a map, or over more as parallel coordinates."""
    shown = {"curves": sweep_plots.curves(named_histories(groups, histories), metric, folder / "curves.png")}
    members = [
        (list(chosen.values()), row["best"]) for chosen, rows in groups for row in rows if row["best"] is not None
    ]
    names = list(groups[0][0])
    if len(members) < 2 or not names:
        return shown
    knobs, results = [values for values, _ in members], [result for _, result in members]
    numeric = all(sweep_plots.order(values[0])[0] == 0 for values in knobs)
    what = f"best validation {metric}"
    if len(names) == 1 and numeric:
        values = [values[0] for values in knobs]
        shown["one_knob"] = sweep_plots.one_knob(names[0], values, results, what, folder / "one_knob.png")
    elif len(names) == 2:
        pairs = [(a, b) for a, b in knobs]
        shown["two_knobs"] = sweep_plots.two_knobs(
            (names[0], names[1]), pairs, results, what, mode, folder / "two_knobs.png"
        )
    elif len(names) > 2:
        shown["many_knobs"] = parallel_coordinates(names, knobs, results, what, mode, folder / "many_knobs.png")
    return shown
