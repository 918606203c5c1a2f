"""`site`: the sheet as a web site in a folder, which opens in a browser without a network.

python -m jaxdl site -o site          then open site/index.html
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from jaxdl import runtime
from jaxdl.cli.options import read_flags
from jaxdl.compilation_cache import cache_folder
from jaxdl.site.build import write_site
from jaxdl.site.overview import sheet_picture
from jaxdl.site.pictures import TILES


@dataclass(frozen=True)
class Options:
    """Write the sheet as a web site: a page for each entry, the guides, the notebooks and the reference."""

    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """The folder to write: a new one, an empty one, or a site that this command wrote before, which is replaced."""
    sheet: Path | None = None
    """Also write the picture of the whole sheet into this folder, sheet-light.svg and sheet-dark.svg. None: no picture."""


def run(args: Sequence[str]) -> int:
    options = read_flags(Options, args, prog="python -m jaxdl site", text=__doc__)
    runtime.configure()
    if options.sheet:
        for name, dark in (("light", False), ("dark", True)):
            path = options.sheet / f"sheet-{name}.svg"
            path.write_text(sheet_picture(lambda slug: TILES[slug](), dark=dark), encoding="utf-8")
    print(write_site(options.output, cache=cache_folder().parent / "site"))
    return 0
