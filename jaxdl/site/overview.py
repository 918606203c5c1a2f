"""The whole sheet as one picture, for the first page of the repository: every entry's tile with its name."""

import re
from collections.abc import Callable
from html import escape

from jaxdl.site.pictures.svg import COLOURS
from jaxdl.site.sheet import GROUPS

COLUMNS, WIDTH, HEIGHT, LINE = 12, 128, 96, 24
INKS = ("#1f2328", "#e6edf3")


def sheet_picture(tile: Callable[[str], str], *, dark: bool) -> str:
    """All tiles in the sheet's order as one SVG on a transparent ground, in the colours of a light or a dark page."""
    parts, y = [], 0
    for group in GROUPS:
        parts.append(f'<text x="4" y="{y + 17}" font-size="15" font-weight="600">{escape(group.title)}</text>')
        y += LINE
        for place, entry in enumerate(group.entries):
            left, top = place % COLUMNS * WIDTH + 4, y + place // COLUMNS * HEIGHT
            small = re.sub(r"<title>.*?</desc>", "", tile(entry.slug), flags=re.DOTALL)
            parts.append(small.replace("<svg ", f'<svg x="{left}" y="{top}" ', 1))
            size = 12 if len(entry.name) < 20 else 9.5 if len(entry.name) < 26 else 7
            parts.append(
                f'<text x="{left + 60}" y="{top + 84}" font-size="{size}" text-anchor="middle">{escape(entry.name)}</text>'
            )
        y += -(-len(group.entries) // COLUMNS) * HEIGHT
    text = "".join(parts).replace("currentColor", INKS[dark])
    for number, pair in COLOURS.items():
        text = re.sub(rf"var\(--site-{number}[^)]*\)", pair[dark], text)
    title = "<title>The deep-learning cheat sheet, executable</title>"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {COLUMNS * WIDTH} {y}" role="img" fill="{INKS[dark]}" '
        f'font-family="system-ui,sans-serif">{title}{text}</svg>\n'
    )
