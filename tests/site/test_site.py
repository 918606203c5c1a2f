"""The site as it is built: links, sizes, what a page loads, and where it may be written."""

import json
import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from jaxdl.__main__ import main
from jaxdl.site import reference
from jaxdl.site.sheet import ENTRIES

HOME, PAGE = 400_000, 350_000
"""Bytes that Home and an entry may load, uncompressed and with all styles and scripts."""


class Page(HTMLParser):
    """What a page names: its anchors, its links, and the files that it loads."""

    def __init__(self, path: Path):
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.anchors |= {found[name] for name in ("id", "name") if name in found}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if tag == "link" and found.get("rel") == "stylesheet":
            self.loads.append(found["href"])
        if tag in ("script", "img", "iframe", "source") and "src" in found:
            self.loads.append(found["src"])


@cache
def page(path: Path) -> Page:
    return Page(path)


def loaded(path: Path) -> int:
    """The bytes that a page loads, itself included."""
    files = {path} | {
        path.parent / unquote(urlsplit(name).path) for name in page(path).loads if not name.startswith("data:")
    }
    return sum(file.stat().st_size for file in {file.resolve() for file in files})


@pytest.mark.slow
def test_every_link_and_anchor_of_the_site_exists(site):
    missing, outside = [], set()
    for path in sorted(site.rglob("*.html")):
        for link in page(path).links:
            place = urlsplit(link)
            if place.scheme in ("http", "https", "mailto"):
                outside.add(place.netloc)
                continue
            target = (path.parent / unquote(place.path)).resolve() if place.path else path
            known = page(target).anchors if target.suffix == ".html" and target.is_file() else set()
            if not target.exists() or (
                place.fragment and target.suffix == ".html" and unquote(place.fragment) not in known
            ):
                missing.append(f"{path.name}: {link}")
    assert not missing
    assert len(outside) < 10, outside


@pytest.mark.slow
def test_pages_are_small_and_load_their_own_files_only(site):
    entries = [site / "entries" / f"{slug}.html" for slug in ENTRIES]
    for path in site.rglob("*.html"):
        assert not [name for name in page(path).loads if re.match(r"(https?:)?//", name)], path
    assert loaded(site / "index.html") <= HOME
    large = {path.stem: size for path in entries if (size := loaded(path)) > PAGE}
    assert not large


@pytest.mark.slow
def test_search_knows_each_entry_by_its_names(site):
    text = (site / "searchindex.js").read_text(encoding="utf-8")
    index = json.loads(text[text.index("(") + 1 : text.rindex(")")])
    names = {
        name.lower(): {index["docnames"][place[0]] for place in places}
        for name, places in index["indexentries"].items()
    }
    for slug, entry in ENTRIES.items():
        for name in (entry.name, *entry.aliases):
            assert f"entries/{slug}" in names[name.lower()], name


def test_a_folder_with_other_files_is_left_alone(tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("years of work", encoding="utf-8")
    assert main(["site", "-o", str(tmp_path)]) == 2
    assert str(tmp_path) in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    assert main(["site", "-o", str(tmp_path / "thesis.txt")]) == 2


def test_docstrings_become_literal_blocks_and_escaped_text():
    text = [
        "Penalty Σ|w|.",
        "",
        "    y = a*b",
        "      + c",
        "",
        "Args:",
        "    x: of `n*m` values.",
        "",
        ">>> 2 * 3",
        "6",
    ]
    found = reference.literal_blocks(text)
    assert found[0] == r"Penalty Σ\|w\|."
    assert found[2:6] == ["::", "", "    y = a*b", "      + c"]
    assert found[-2:] == [">>> 2 * 3", "6"]
    assert "``n*m``" in found[8]
