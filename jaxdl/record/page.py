"""A report as one HTML file that opens anywhere: pictures inside, curves that answer the mouse, nothing from a network.

Its content security policy forbids every request, so that a page of somebody else can neither load nor send anything.
"""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from markdown_it import MarkdownIt

from jaxdl.record.manifest import write_synced
from jaxdl.record.series import Series

TYPES = {".png": "image/png", ".gif": "image/gif"}
Panels = Mapping[str, Mapping[str, Series]]
"""Title of a panel -> label of a line -> its values."""

HEAD = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>{title}</title>
<style>
{css}</style></head>
<body><main>
"""


def write_html(text: str, path: Path, curves: Mapping[str, Panels] | None = None) -> Path:
    """Write the Markdown of a report as a page of HTML, completely or not at all. Returns the path.

    Args:
        text: Markdown as `report` writes it; its pictures are files beside `path`. HTML in it is shown, not obeyed.
        curves: name of a picture's file -> what it draws: shown as lines to point at, and as the picture without JavaScript.
    """
    here = Path(__file__)
    md = MarkdownIt("commonmark", {"html": False}).enable("table")
    md.validateLink = lambda url: not url.lower().startswith(("javascript:", "vbscript:", "data:", "file:"))
    md.add_render_rule(
        "table_open", lambda *_: '<div class="wide" tabindex="0" role="region" aria-label="table"><table>'
    )
    md.add_render_rule("table_close", lambda *_: "</table></div>\n")

    def picture(renderer: Any, tokens: Sequence[Any], i: int, *_: Any) -> str:
        source, caption = str(tokens[i].attrs["src"]), renderer.renderInlineAsText(tokens[i].children, None, None)
        file, alt = path.parent / source, _attribute(caption)
        if file.suffix not in TYPES or not file.is_file():
            return f"<em>{alt}: no picture</em>"
        coded = base64.b64encode(file.read_bytes()).decode()
        image = f'<img alt="{alt}" src="data:{TYPES[file.suffix]};base64,{coded}">'
        panels = (curves or {}).get(file.name)
        return (
            f'<span class="curves" data-panels="{_attribute(_json(panels))}"></span><noscript>{image}</noscript>'
            if panels
            else image
        )

    md.add_render_rule("image", picture)
    tokens = md.parse(text)
    title = next((t.content for before, t in pairwise(tokens) if before.tag == "h1"), path.stem)
    css, script = (here.with_suffix(suffix).read_text(encoding="utf-8") for suffix in (".css", ".js"))
    body = md.renderer.render(tokens, md.options, {})
    head = HEAD.format(title=re.sub("<[^>]*>", "", md.renderInline(title)), css=css)
    write_synced(path, f"{head}{body}</main>\n<script>\n{script}</script></body></html>\n")
    return path


def _json(panels: Panels) -> str:
    def numbers(values: np.ndarray) -> list[float]:
        return [float(f"{value:.6g}") for value in values.tolist()]

    def line(label: str, series: Series) -> dict[str, Any]:
        spread = numbers(series.spread) if series.spread is not None and series.spread.any() else None
        return {"name": label, "x": numbers(series.steps), "y": numbers(series.values), "spread": spread}

    return json.dumps([{"title": t, "lines": [line(*pair) for pair in p.items()]} for t, p in panels.items()])


def _attribute(text: str) -> str:
    """Text inside double quotes, whether it was escaped as Markdown or not."""
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
