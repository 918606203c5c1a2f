"""The picture of a claim on trial: what its settings measured, seed by seed, and the differences that decide it."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxdl.record.plots import COLOURS, FAINT, INK, Figure, PathLike, _bare, _save, _title

VERDICTS = {"holds": COLOURS[2], "holds when": COLOURS[2], "wrong": COLOURS[1]}
"""Colours of verdicts; the others are open, and dark."""


def draw_claim(
    path: PathLike,
    *,
    title: str,
    verdict: str,
    values: Mapping[str, Sequence[float]],
    differences: Sequence[tuple[str, Any, float]] = (),
    curves: Mapping[str, Mapping[float, Sequence[float]]] | None = None,
    knob: str = "",
    unit: str = "",
    evidence: str = "",
) -> Path:
    """Draw a claim from its stored values.

    On the left each setting with a point for each seed and their mean, or curves over a swept knob, the mean over seeds with its
    range; on the right each difference with its 95 % interval, beside the band of differences too small to matter.

    Args:
        path: the PNG.
        title: number and words of the claim.
        verdict: its verdict, printed below the title.
        values: setting -> values by seed.
        differences: (label, `Difference`, smallest difference that would matter) of each comparison.
        curves: line -> value of the knob -> values by seed; drawn instead of `values`.
        knob: name of the knob of `curves`.
        unit: what was measured.
        evidence: text below the verdict of a claim that needs no seeds.
    """
    said = textwrap.wrap(f"{verdict}{': ' if evidence else ''}{evidence}", 112)
    rows = max(0 if curves else len(values), 1.6 * len(differences), 6 if curves else 0)
    top = 0.4 + 0.2 * len(said)
    height = top + (0.9 + 0.26 * rows if differences else 0.1)
    figure = Figure(figsize=(9.6, height))
    figure.set_layout_engine("constrained", rect=(0, 0, 1, 1 - top / height), wspace=0.04)
    figure.text(0.012, 1 - 0.12 / height, title, va="top", fontsize=11, fontweight="bold", color=INK)
    colour = VERDICTS.get(verdict.split(":")[0], INK)
    figure.text(0.012, 1 - 0.36 / height, "\n".join(said), va="top", fontsize=9, color=colour, linespacing=1.35)
    if differences:
        left, right = figure.subplots(1, 2, width_ratios=(1.1, 1))
        (_draw_curves(left, curves, knob) if curves else _draw_seeds(left, values))
        if curves:
            _title(left, unit)
        else:
            left.set_xlabel(unit, fontsize=9, color=INK)
        _draw_differences(right, differences)
    return _save(figure, path)


def _draw_seeds(axes: Any, values: Mapping[str, Sequence[float]]) -> None:
    _bare(axes, grid="x")
    for row, found in enumerate(values.values()):
        axes.plot(found, np.full(len(found), row), "o", color=COLOURS[0], alpha=0.35, markersize=4, markeredgewidth=0)
        axes.plot(np.mean(found), row, "|", color=INK, markersize=13, markeredgewidth=1.6)
    axes.set_yticks(range(len(values)), [textwrap.shorten(name, 44, placeholder=" ...") for name in values])
    axes.set_ylim(len(values) - 0.5, -0.5)


def _draw_curves(axes: Any, curves: Mapping[str, Mapping[float, Sequence[float]]], knob: str) -> None:
    _bare(axes)
    for i, (name, points) in enumerate(curves.items()):
        x, colour = sorted(points), COLOURS[i % len(COLOURS)]
        axes.fill_between(
            x, [min(points[at]) for at in x], [max(points[at]) for at in x], color=colour, alpha=0.15, linewidth=0
        )
        axes.plot(x, [np.mean(points[at]) for at in x], "o-", color=colour, markersize=4, linewidth=1.6, label=name)
    ticks = sorted({at for points in curves.values() for at in points})
    if ticks[0] > 0 and ticks[-1] >= 8 * ticks[0]:
        axes.set_xscale("log")
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel(knob, fontsize=9, color=INK)
    if any(curves):
        axes.legend(frameon=False, fontsize=8, labelcolor="linecolor")


def _draw_differences(axes: Any, differences: Sequence[tuple[str, Any, float]]) -> None:
    _bare(axes, grid="")
    for row, (name, found, least) in enumerate(differences):
        axes.fill_betweenx((row - 0.28, row + 0.28), -least, least, color=FAINT, linewidth=0, zorder=0)
        axes.plot((0, 0), (row - 0.28, row + 0.28), color=INK, linewidth=0.8)
        sure = abs(found.mean) >= least and found.low * found.high > 0
        colour = INK if not sure else COLOURS[2] if found.mean > 0 else COLOURS[1]
        axes.plot((found.low, found.high), (row, row), color=colour, linewidth=2)
        axes.plot(found.mean, row, "D", color=colour, markersize=6)
        text = f"{name}: {found.mean:+.3g} [{found.low:+.3g}, {found.high:+.3g}], p = {found.p:.2g}, n = {found.n}"
        axes.text(
            0, row - 0.36, text, transform=axes.get_yaxis_transform(), fontsize=8, color=INK, va="bottom", clip_on=False
        )
    axes.set(yticks=[], ylim=(len(differences) - 0.5, -0.75))
    axes.set_xlabel("difference; grey: too small to matter", fontsize=9, color=INK)
