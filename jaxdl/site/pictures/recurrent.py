"""Recurrent cells: what flows where in one step, and the gates and states of small trained networks over sunspots."""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from jaxdl.layers.recurrent import GRU, LSTM, RNN, Recurrent
from jaxdl.site.pictures.architectures import heading
from jaxdl.site.pictures.blocks import BEND, PLACES, block, model_facts, operation
from jaxdl.site.pictures.charts import TILE, Axes, Chart, Line
from jaxdl.site.pictures.entries import Drawn
from jaxdl.site.pictures.svg import BLUE, INK, Drawing, Point
from jaxdl.site.pictures.trained_sequences import HIDDEN, LOOKBACK, trained_cells

CHANNELS, UNITS = 64, 128
"""Sizes for which parameters are counted."""
NAMES = {"rnn": "RNN", "lstm": "LSTM", "gru": "GRU"}
CELLS = {"rnn": RNN(UNITS), "lstm": LSTM(UNITS), "gru": GRU(UNITS)}
SHOWN = {
    "rnn": ("hidden",),
    "lstm": ("input", "forget", "output", "cell", "hidden"),
    "gru": ("reset", "update", "hidden"),
}
FORMULAS = {
    "rnn": "h′ = tanh(W x + R h + b)",
    "lstm": "c′ = f ⊙ c + i ⊙ g,  h′ = o ⊙ tanh(c′)",
    "gru": "h′ = (1 − z) ⊙ n + z ⊙ h",
}
REMARKS = {
    "rnn": "The new state mixes the input with the old state by the same weights at every step.",
    "lstm": "Gates decide what the cell forgets, what is written to it and what is shown of it; the cell itself is only "
    "scaled and added to.",
    "gru": "The update gate z chooses between the old state and a candidate n, which sees the old state "
    "through the reset gate r.",
}


def bent_arrow(d: Drawing, *points: Point, head: bool = True, width: float = 1.5) -> None:
    """A line with corners, and a head at its end."""
    places = list(points)
    if len(places) > 2 or not head:
        d.path(places[:-1] if head else places, INK, width=width)
    if head:
        d.arrow(*places[-2], *places[-1], width=width)


def diagram_rnn(d: Drawing) -> None:
    """The cell unrolled over five steps."""
    for i in range(5):
        x = 96 + 112 * i
        block(d, x - 34, 72, 68, 40, "tanh", "", PLACES, size=13)
        bent_arrow(d, (x, 146), (x, 114))
        bent_arrow(d, (x, 72), (x, 46))
        d.text(x, 162, f"x{'₁₂₃₄₅'[i]}", size=13, anchor="middle")
        d.text(x, 42, f"h{'₁₂₃₄₅'[i]}", size=13, anchor="middle")
        bent_arrow(d, (x - 78 if i else 22, 92), (x - 36, 92))
        d.text(x + 8, 132, "W", size=11)
        if i:
            d.text(x - 56, 86, "R", size=11, anchor="middle")
    bent_arrow(d, (578, 92), (622, 92))


def diagram_lstm(d: Drawing) -> None:
    """The cell on the line above, the gates on the line below."""
    top, row = 62, 118
    gates = (
        (130, "f", "σ", "forget"),
        (220, "i", "σ", "input"),
        (310, "g", "tanh", "candidate"),
        (470, "o", "σ", "output"),
    )
    d.line(40, top, 120, top, width=2.5)
    d.line(140, top, 255, top, width=2.5)
    d.arrow(275, top, 610, top, width=2.5)
    d.text(24, top + 5, "c", size=14, anchor="middle", font_style="italic")
    d.text(622, top + 5, "c′", size=14, anchor="middle", font_style="italic")
    operation(d, 130, top, "×")
    operation(d, 265, top, "+")
    for x, name, kind, what in gates:
        block(d, x - 22, row - 15, 44, 30, kind, "", BEND, size=12)
        side, anchor = (-27, "end") if name == "o" else (27, "start")
        d.text(x + side, row - 6, name, size=13, anchor=anchor, font_style="italic")
        d.text(x + side, row + 10, what, size=11, anchor=anchor)
        bent_arrow(d, (x, 168), (x, row + 16))
    bent_arrow(d, (130, row - 15), (130, top + 11))
    operation(d, 265, 88, "×", 9)
    bent_arrow(d, (220, row - 15), (220, 88), (255, 88))
    bent_arrow(d, (310, row - 15), (310, 88), (275, 88))
    bent_arrow(d, (265, 79), (265, top + 11))
    block(d, 517, 74, 46, 24, "tanh", "", BEND, size=12)
    d.line(540, top, 540, 74, width=1.5)
    operation(d, 540, row, "×")
    bent_arrow(d, (540, 98), (540, row - 11))
    bent_arrow(d, (492, row), (529, row))
    d.arrow(551, row, 610, row, width=1.5)
    d.text(622, row + 5, "h′", size=14, anchor="middle", font_style="italic")
    d.line(60, 168, 470, 168, width=1.5)
    d.text(52, 173, "x, h", size=14, anchor="end", font_style="italic")


def diagram_gru(d: Drawing) -> None:
    """The old state on the line above, gates and candidate below."""
    top, row = 62, 122
    d.text(24, top + 5, "h", size=14, anchor="middle", font_style="italic")
    d.text(622, top + 5, "h′", size=14, anchor="middle", font_style="italic")
    d.line(40, top, 340, top, width=2.5)
    operation(d, 350, top, "×")
    d.line(361, top, 510, top, width=2.5)
    operation(d, 520, top, "+")
    d.arrow(531, top, 610, top, width=2.5)
    for x, name, kind, what in ((150, "r", "σ", "reset"), (350, "z", "σ", "update"), (520, "n", "tanh", "candidate")):
        block(d, x - 22, row - 15, 44, 30, kind, "", BEND, size=12)
        d.text(x + 27, row - 4, name, size=13, font_style="italic")
        d.text(x + 27, row + 11, what, size=11)
        bent_arrow(d, (x, 172), (x, row + 16))
    bent_arrow(d, (350, row - 15), (350, top + 11))
    operation(d, 250, row, "×")
    bent_arrow(d, (206, row), (239, row))
    bent_arrow(d, (250, top), (250, row - 11))
    bent_arrow(d, (250, row + 11), (250, 154), (506, 154), (506, row + 16))
    operation(d, 520, 92, "×", 9)
    bent_arrow(d, (520, row - 15), (520, 101))
    bent_arrow(d, (350, 92), (510, 92))
    d.text(430, 87, "1 − z", size=12, anchor="middle")
    bent_arrow(d, (520, 83), (520, top + 11))
    d.line(60, 172, 520, 172, width=1.5)
    d.text(52, 177, "x, h", size=14, anchor="end", font_style="italic")


DIAGRAMS: Mapping[str, Callable[[Drawing], None]] = {"rnn": diagram_rnn, "lstm": diagram_lstm, "gru": diagram_gru}


def draw_cell(slug: str) -> str:
    """The diagram of a step, then the series and what the gates do over it."""
    seen, names = trained_cells()[slug], SHOWN[slug]
    facts = model_facts(Recurrent(CELLS[slug]), (10, CHANNELS), train=False)
    title = NAMES[slug]
    desc = (
        f"{title}: {FORMULAS[slug]}. {REMARKS[slug]} With {CHANNELS} inputs and {UNITS} units it has {facts.total:,} parameters. "
        f"Below: {LOOKBACK} months of sunspots, and of a network of {HIDDEN} units that was trained to forecast them: "
        f"{', '.join(names)}; blue is positive, orange negative, gates are from 0 to 1."
    )
    base, each = 318, 46 if len(names) > 1 else 84
    d = Drawing(640, base + each * len(names) + 26, f"{title}, one step and its states over time", desc)
    heading(d, f"{title}:  {FORMULAS[slug]}", f"{facts.total:,} parameters ({CHANNELS} → {UNITS})")
    DIAGRAMS[slug](d)
    chart = Chart(
        [Line(np.arange(LOOKBACK), seen.read, "", BLUE, width=1.75)],
        "", "sunspots a month", (0, LOOKBACK - 1), (0, float(np.ceil(seen.read.max() / 50)) * 50),
    )  # fmt: skip
    axes = Axes(d, (106, 222, 514, 72), chart)
    axes.frame()
    axes.plot()
    for i, name in enumerate(names):
        values, y = seen.gates[name].T, base + each * i
        signed = name in ("cell", "hidden", "candidate")
        d.text(20, y + 15, name if name in ("cell", "hidden") else f"{name} gate", size=12, font_weight=600)
        limits = f"±{np.abs(values).max():.1f}" if signed else "0 to 1"
        d.text(20, y + 30, f"{len(values)} units, {limits}", size=11, opacity=0.8)
        d.heat(106, y, 514, each - 8, values, largest=None if signed else 1.0, data_gate=name)
        d.box(106, y, 514, each - 8, INK, fill=0, width=0.6, rx=0, opacity=0.4)
    d.text(363, base + each * len(names) + 12, "month", size=12, anchor="middle")
    return d.svg()


def draw_small_cell(slug: str) -> str:
    d = Drawing(*TILE, f"{NAMES[slug]} cell", f"The parts of {NAMES[slug]} in small", digits=1)
    if slug == "rnn":
        for i in range(3):
            x = 20 + 40 * i
            d.box(x - 10, 26, 20, 20, PLACES, fill=0.3, width=1.2)
        d.arrows([(20 + 40 * i, 68, 20 + 40 * i, 48) for i in range(3)], width=1.2, head=5)
        d.arrows([(20 + 40 * i, 26, 20 + 40 * i, 6) for i in range(3)], width=1.2, head=5)
        d.arrows([(30, 36, 49, 36), (70, 36, 89, 36)], width=1.5, head=5)
        return d.svg()
    xs = (24, 46, 68, 92) if slug == "lstm" else (24, 60, 88)
    d.arrow(4, 16, 117, 16, width=2.2, head=6)
    for x in xs:
        d.box(x - 8, 40, 16, 16, BEND, fill=0.3, width=1.2)
    d.line(4, 66, xs[-1], 66, width=1.3)
    d.arrows([(x, 66, x, 57) for x in xs], width=1, head=4)
    d.arrows([(x, 40, x, 22) for x in xs if x not in (46, 92) and (slug, x) != ("gru", 24)], width=1, head=4)
    if slug == "lstm":
        d.path([(46, 40), (46, 29), (68, 29)], width=1.2)
        d.arrow(100, 48, 117, 48, width=1.2, head=5)
    else:
        d.path([(32, 48), (42, 48), (42, 61), (84, 61), (84, 57)], width=1.2)
    return d.svg()


ENTRIES = {slug: Drawn(partial(draw_cell, slug), partial(draw_small_cell, slug)) for slug in NAMES}
