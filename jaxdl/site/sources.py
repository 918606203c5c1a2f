"""The pages of the site as Markdown: from the table of the sheet, the ledger and the repository."""

import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from jaxdl import shipped
from jaxdl.site.home import home_page
from jaxdl.site.pages import Site, entry_page, experiment_page, raw, study_page
from jaxdl.site.pictures import PICTURES, TILES
from jaxdl.site.pictures.network import network
from jaxdl.site.pictures.svg import stylesheet
from jaxdl.site.play import PLAY, Widget
from jaxdl.site.reference import PARTS, modules_of, reference_page
from jaxdl.site.sheet import ENTRIES, GROUPS
from jaxdl.site.verdicts import claim_page, trials

GUIDES = (
    "first-run",
    "your-data",
    "your-parts",
    "sweeps",
    "reading-a-run",
    "resume",
    "weights",
    "commands",
    "from-pytorch",
    "from-keras",
)
"""The guides of docs/guides in the order in which a newcomer reads them."""
Kept = Callable[[str, Callable[[], str]], str]
"""A function of a name and of a function that draws: it draws, or finds what it drew before."""
RESULTS = ("measured", "speed")
"""Pages of docs/ with results."""


def write_sources(source: Path, root: Path, cache: Path | None) -> None:
    """Write the pages of the site, its notebooks and its style sheet into a folder."""
    kept = kept_pictures(cache)
    notebooks = {path.stem: path for path in sorted((root / "notebooks").glob("*.ipynb"))}
    for name, text in every_page(root, kept, list(notebooks)).items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / f"{name}.md").write_text(text, encoding="utf-8")
    for name, path in notebooks.items():
        (source / "notebooks" / f"{name}.ipynb").write_text(notebook(path), encoding="utf-8")
    styles = source / "_static" / "site.css"
    styles.parent.mkdir()
    parts = [(Path(__file__).parent / name).read_text(encoding="utf-8") for name in ("site.css", "play/play.css")]
    styles.write_text("".join([stylesheet(), *parts]), encoding="utf-8")


def every_page(root: Path, kept: Kept, notebooks: Sequence[str]) -> dict[str, str]:
    """Name of a page -> its Markdown."""
    site = Site(root, trials(root / "results" / "claims"), lambda slug: kept(f"{slug}-picture", PICTURES[slug]))
    files = lambda *folder: {p.stem: p for p in shipped.files(root.joinpath(*folder)) if p.stem != "__init__"}
    experiments, studies = files("experiments"), files("experiments", "claims")
    document = lambda *parts: relinked(root.joinpath("docs", *parts).with_suffix(".md").read_text(encoding="utf-8"))
    pages = {"claims": claim_page(site.trials)}
    pages |= {f"entries/{slug}": entry_page(entry, site) for slug, entry in ENTRIES.items()}
    pages |= {f"experiments/{name}": experiment_page(path, site.results) for name, path in experiments.items()}
    pages |= {f"studies/{name}": study_page(path, site.trials) for name, path in studies.items()}
    pages |= {f"api/{part}": reference_page(part) for part in PARTS}
    pages |= {f"play/{name}": play_page(widget, kept(f"{name}-play", widget.body)) for name, widget in PLAY.items()}
    pages |= {f"guides/{name}": document("guides", name) for name in GUIDES}
    pages |= {f"more/{name}": document(name) for name in RESULTS}
    lists = {
        "guides": ("Guides", GUIDES),
        "play": ("Play", [*PLAY]),
        "notebooks": ("Notebooks", notebooks),
        "api": ("Reference", PARTS),
    }
    pages |= {f"{name}/index": f"# {title}\n\n{toctree(inside)}" for name, (title, inside) in lists.items()}
    pages["experiments/index"] = linked("Experiments", experiments)
    pages["studies/index"] = linked("Studies of claims", studies)
    contents = [toctree([f"entries/{e.slug}" for e in group.entries], group.title) for group in GROUPS]
    more = [*(f"{name}/index" for name in (*lists, "experiments", "studies")), *(f"more/{name}" for name in RESULTS)]
    contents.append(toctree(["claims", *more], "More"))
    tiles = lambda slug: kept(f"{slug}-tile", TILES[slug])
    return pages | {"index": home_page(site, network=kept("network", network), tiles=tiles, contents=contents)}


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


def kept_pictures(cache: Path | None) -> Kept:
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
