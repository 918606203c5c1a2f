"""Home: the sheet at a glance."""

from collections.abc import Callable
from html import escape

from jaxdl.site.pages import Site, raw
from jaxdl.site.sheet import GROUPS, SheetEntry
from jaxdl.site.verdicts import briefly


def tile(entry: SheetEntry, site: Site, picture: Callable[[str], str | None]) -> str:
    """One entry: its picture, its name, one line, and the verdicts on its claims."""
    said = briefly(entry, site.trials)
    chips = "".join(f'<span class="chip {kind}">{escape(text)}</span>' for text, kind in said[:2])
    empty = '<span class="chip open">not measured yet</span>' if entry.claims else ""
    return (
        f'<a class="tile" href="entries/{entry.slug}.html">{picture(entry.slug) or ""}<strong>{escape(entry.name)}</strong>'
        f"<span>{escape(entry.line)}</span><span>{chips or empty}</span></a>"
    )


def home_page(site: Site, *, network: str | None, tiles: Callable[[str], str | None], contents: list[str]) -> str:
    """The first page. `contents` are the tables of contents of all other pages, which it holds out of sight."""
    lines = ["# jaxdl: the deep-learning cheat sheet, executable", ""]
    lines += [
        "Every entry of the sheet as short JAX code, tested against facts from outside, and trained on real data. The "
        "verdicts on the sheet's claims were measured: [the sheet on trial](claims.md). "
        "To begin: [the first run](guides/first-run.md).",
        "",
    ]
    lines += raw(f'<figure class="picture wide">{network}</figure>') if network else []
    for group in GROUPS:
        tiles_ = "\n".join(tile(entry, site, tiles) for entry in group.entries)
        lines += [f"## {group.title}", "", *raw(f'<div class="tiles">\n{tiles_}\n</div>')]
    return "\n".join([*lines, *contents, ""])
