"""The site: pages written as Markdown from the table of the sheet, the ledger and the repository, then built by Sphinx.

Sphinx with MyST and the theme furo: they make the navigation, the search, the reference and the notebooks, work without a
network, and an empty page of furo loads about 100 kB.
"""

import hashlib
import io
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxdl import extras, shipped
from jaxdl.site.home import home_page
from jaxdl.site.pages import Site, entry_page, experiment_page, raw, study_page
from jaxdl.site.pictures import PICTURES, TILES
from jaxdl.site.pictures.svg import stylesheet
from jaxdl.site.play import PLAY, Widget
from jaxdl.site.reference import PARTS, modules_of, reference_page
from jaxdl.site.sheet import ENTRIES, GROUPS
from jaxdl.site.verdicts import claim_page, trials
from jaxdl.types import UserError

MARK = ".jaxdl-site"
"""A file in every site, by which `write_site` knows a folder that it may replace."""

GUIDES = (
    "first-run",
    "your-data",
    "your-parts",
    "sweeps",
    "reading-a-run",
    "resume",
    "weights",
    "from-pytorch",
    "from-keras",
)
"""The guides of docs/guides in the order in which a newcomer reads them."""

MENDED = {
    '<p class="caption" role="heading">': '<p class="caption" role="heading" aria-level="2">',
    '<aside class="sidebar-drawer">': '<aside aria-label="all pages" class="sidebar-drawer">',
    '<aside class="toc-drawer': '<aside aria-label="on this page" class="toc-drawer',
    "<pre>": '<pre tabindex="0">',
    '<th class="head"><p></p></th>': "<td></td>",
    '<div id="search-results">': '<h1>Search</h1><div id="search-results">',
}
"""What furo and Sphinx write -> what is read aloud, and reached by the keyboard, as it is meant."""

SETTINGS: Mapping[str, Any] = {
    "project": "jaxdl",
    "html_title": "jaxdl",
    "html_theme": "furo",
    "html_static_path": ["_static"],
    "html_css_files": ["site.css"],
    "html_copy_source": False,
    "html_search_scorer": str(Path(__file__).with_name("search.js")),
    "html_show_sphinx": False,
    "html_show_copyright": False,
    "html_math_renderer": "mathml",
    "extensions": ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "jaxdl.site.sphinx_extension"],
    "myst_enable_extensions": ["dollarmath"],
    "myst_heading_anchors": 3,
    "nb_execution_mode": "off",
    "default_role": "code",
    "autodoc_typehints_format": "short",
    "napoleon_numpy_docstring": False,
    "smartquotes": False,
    "language": "en",
}


def write_site(target: Path, *, root: Path = extras.CHECKOUT, cache: Path | None = None) -> Path:
    """Build the site into the folder `target` and return its first page.

    `cache` keeps the pictures from one build to the next. Raises UserError where `target` has other files, or where jaxdl is
    installed without its repository; MissingPackage without the extra `docs`.
    """
    if not (root / "pyproject.toml").is_file():
        raise UserError("the site is made from a clone of the repository (docs/, notebooks/, results/), and jaxdl is installed "
                        "without one: clone it, and run this there")  # fmt: skip
    if target.exists() and not target.is_dir():
        raise UserError(f"{target} is a file: name a folder")
    if target.is_dir() and any(target.iterdir()) and not (target / MARK).is_file():
        raise UserError(f"{target} has files that are no site of jaxdl: name an empty or a new folder")
    try:
        from sphinx.application import Sphinx  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError as error:
        raise extras.missing("the site", error, "docs") from None
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".jaxdl-site-") as work:
        source, out = Path(work, "source"), Path(work, "html")
        write_sources(source, root, cache)
        said = io.StringIO()
        Sphinx(source, None, out, Path(work, "doctrees"), "html", dict(SETTINGS), status=None, warning=said).build()
        if said.getvalue():
            raise RuntimeError(f"Sphinx warns:\n{said.getvalue()}")
        for path in out.rglob("*.html"):
            path.write_text(accessible(path.read_text(encoding="utf-8")), encoding="utf-8")
        (out / MARK).touch()
        if target.is_dir():
            shutil.rmtree(target)
        os.rename(out, target)
    return target / "index.html"


def accessible(html: str) -> str:
    """A page of furo with what screen readers and keyboards miss in it: levels of headings, names of regions, blocks to scroll.

    >>> accessible('<aside class="toc-drawer"><pre>x</pre></aside>')
    '<aside aria-label="on this page" class="toc-drawer"><pre tabindex="0">x</pre></aside>'
    """
    for old, new in MENDED.items():
        html = html.replace(old, new)
    return html


def write_sources(source: Path, root: Path, cache: Path | None) -> None:
    """Write the Markdown of all pages."""
    kept = kept_pictures(cache)
    picture = lambda slug: kept(f"{slug}-picture", PICTURES[slug]) if slug in PICTURES else None
    tile = lambda slug: kept(f"{slug}-tile", TILES[slug]) if slug in TILES else None
    site = Site(root, trials(root / "results" / "claims"), picture)
    pages: dict[str, str] = {"claims": claim_page(site.trials)}
    pages |= {f"entries/{slug}": entry_page(entry, site) for slug, entry in ENTRIES.items()}
    experiments = {path.stem: path for path in shipped.files(root / "experiments") if path.stem != "__init__"}
    studies = {path.stem: path for path in shipped.files(root / "experiments" / "claims") if path.stem != "__init__"}
    pages |= {f"experiments/{name}": experiment_page(path, site.results) for name, path in experiments.items()}
    pages |= {f"studies/{name}": study_page(path, site.trials) for name, path in studies.items()}
    pages |= {f"api/{part}": reference_page(part) for part in PARTS}
    guides = [root / "docs" / "guides" / f"{name}.md" for name in GUIDES]
    pages |= {f"play/{name}": play_page(widget, kept(f"{name}-play", widget.body)) for name, widget in PLAY.items()}
    pages |= {f"guides/{path.stem}": relinked(path.read_text(encoding="utf-8")) for path in guides}
    notebooks = sorted((root / "notebooks").glob("*.ipynb"))
    lists = {
        "guides": ("Guides", [path.stem for path in guides]),
        "play": ("Play", [*PLAY]),
        "notebooks": ("Notebooks", [path.stem for path in notebooks]),
        "api": ("Reference", [*PARTS]),
    }
    lists = {name: (title, inside) for name, (title, inside) in lists.items() if inside}
    pages |= {f"{name}/index": f"# {title}\n\n{toctree(inside)}" for name, (title, inside) in lists.items()}
    pages["experiments/index"] = linked("Experiments", experiments)
    pages["studies/index"] = linked("Studies of claims", studies)
    contents = [toctree([f"entries/{e.slug}" for e in group.entries], group.title) for group in GROUPS]
    contents.append(toctree(["claims", *(f"{name}/index" for name in (*lists, "experiments", "studies"))], "More"))
    pages["index"] = home_page(site, network=None, tiles=tile, contents=contents)
    for name, text in pages.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / f"{name}.md").write_text(text, encoding="utf-8")
    for path in notebooks:
        (source / "notebooks" / path.name).write_text(notebook(path), encoding="utf-8")
    styles = source / "_static" / "site.css"
    styles.parent.mkdir()
    parts = [(Path(__file__).parent / name).read_text(encoding="utf-8") for name in ("site.css", "play/play.css")]
    styles.write_text("".join([stylesheet(), *parts]), encoding="utf-8")


def toctree(pages: Sequence[str], caption: str | None = None) -> str:
    """A table of contents; with a caption it is out of sight, for the side bar."""
    options = [":hidden:", f":caption: {caption}"] if caption else [":maxdepth: 1"]
    return "\n".join(["```{toctree}", *options, "", *pages, "```", ""])


def play_page(widget: Widget, body: str) -> str:
    """The page of a widget."""
    return "\n".join([f"# {widget.title}", "", *raw(f'<p class="lead">{widget.line}</p>'), *raw(body)])


def linked(title: str, files: Mapping[str, Path]) -> str:
    """A page that lists files with the first lines of their docstrings."""
    first = {name: path.read_text(encoding="utf-8").split("\n")[0].strip('"') for name, path in files.items()}
    return "\n".join([f"# {title}", "", *(f"- [{name}]({name}.md): {line}" for name, line in first.items()), ""])


def kept_pictures(cache: Path | None) -> Callable[[str, Callable[[], str]], str]:
    """A function that draws a picture, or finds it in the cache, where it lies under a checksum of the code of jaxdl."""
    if cache is None:
        return lambda name, draw: draw()
    code = hashlib.sha256()
    for path in sorted(shipped.PACKAGE.rglob("*.py")):
        if path.relative_to(shipped.PACKAGE).parts[0] not in ("cli", "runs", "record"):
            code.update(path.read_bytes())
    folder = cache / code.hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)

    def kept(name: str, draw: Callable[[], str]) -> str:
        path = folder / f"{name}.svg"
        if not path.is_file():
            half = path.with_suffix(f".{os.getpid()}")
            half.write_text(draw(), encoding="utf-8")
            os.replace(half, path)
        return path.read_text(encoding="utf-8")

    return kept


def relinked(text: str) -> str:
    """Links to files of the repository as links to pages of the site, one folder below its root; others lose their link."""

    def place(found: re.Match[str]) -> str:
        shown, path = found[1], found[2]
        parts = [part for part in path.split("/") if part != ".."]
        name = Path(parts[-1]).stem
        if path.startswith(("http", "#")) or path == parts[0]:
            return found[0]
        if parts[0] == "experiments" and parts[-1].endswith(".py"):
            return f"[{shown}](../{'studies' if 'claims' in parts else 'experiments'}/{name}.md)"
        if parts[0] in ("notebooks", "guides") or parts[:2] == ["docs", "guides"]:
            return f"[{shown}](../{parts[-2]}/{parts[-1]})"
        if parts[:2] == ["docs", "claims"]:
            return f"[{shown}](../claims.md)"
        module = ".".join(parts[1:]).removesuffix(".py")
        known = parts[0] == "jaxdl" and any(module in modules_of(part) for part in PARTS)
        return f"{{py:mod}}`{shown} <jaxdl.{module}>`" if known else shown

    return re.sub(r"(?<!!)\[([^\]]+)\]\(([^)\s]+)\)", place, text)


def notebook(path: Path) -> str:
    """A notebook with the links of its texts relinked."""
    book = json.loads(path.read_text(encoding="utf-8"))
    for cell in book["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = relinked("".join(cell["source"])).splitlines(keepends=True)
    book["metadata"]["language_info"] |= {"pygments_lexer": "ipython3"}  # which knows `%pip` and `!`
    return json.dumps(book)
