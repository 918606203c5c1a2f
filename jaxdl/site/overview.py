"""The whole sheet as one picture, for the first page of the repository: every entry's tile with its name."""

import re
import textwrap
from collections.abc import Callable
from html import escape

from jaxdl.site.pictures.svg import COLOURS
from jaxdl.site.sheet import GROUPS

COLUMNS, WIDTH, HEIGHT = 12, 128, 148
INKS = ("#1f2328", "#e6edf3")


def sheet_picture(tile: Callable[[str], str], *, dark: bool) -> str:
    """All tiles in the sheet's order as one SVG on a transparent ground, in the colours of a light or a dark page.

    A group follows the one before it in the same row where there is room for all of it.
    """
    parts, row, column = [], 0, 0
    for group in GROUPS:
        if column + len(group.entries) > COLUMNS:
            row, column = row + 1, 0
        left, top = column * WIDTH, row * HEIGHT
        parts.append(
            f'<text x="{left + 4}" y="{top + 17}" font-size="16" font-weight="600">{escape(group.title)}</text>'
        )
        for place, entry in enumerate(group.entries, column):
            x = place * WIDTH + 4
            small = re.sub(r"<title>.*?</desc>", "", tile(entry.slug), flags=re.DOTALL)
            parts.append(small.replace("<svg ", f'<svg x="{x}" y="{top + 24}" ', 1))
            for line, words in enumerate(textwrap.wrap(entry.name, 19, break_on_hyphens=False)):
                at = f'x="{x + 60}" y="{top + 110 + 14 * line}" font-size="12.5" text-anchor="middle"'
                parts.append(f"<text {at}>{escape(words)}</text>")
        column += len(group.entries)
    y = (row + 1) * HEIGHT
    text = "".join(parts).replace("currentColor", INKS[dark])
    for number, pair in COLOURS.items():
        text = re.sub(rf"var\(--site-{number}[^)]*\)", pair[dark], text)
    title = "<title>The deep-learning cheat sheet, executable</title>"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {COLUMNS * WIDTH} {y}" role="img" fill="{INKS[dark]}" '
        f'font-family="system-ui,sans-serif">{title}{text}</svg>\n'
    )
