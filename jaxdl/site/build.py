"""The site: Sphinx makes HTML of the pages that `sources.py` writes.

Sphinx with MyST and the theme furo: they make the navigation, the search, the reference and the notebooks, work without a
network, and an empty page of furo loads about 100 kB.
"""

import io
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxdl import extras
from jaxdl.site.sources import write_sources
from jaxdl.types import UserError

MARK = ".jaxdl-site"
"""A file in every site, by which `write_site` knows a folder that it may replace."""

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
