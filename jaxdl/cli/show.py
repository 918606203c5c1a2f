"""`show RUN`: open the report of a run or a sweep in the browser."""

import os
import sys
import webbrowser
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from jaxdl.cli.options import read_flags
from jaxdl.experiment import ExperimentError
from jaxdl.record.page import write_html
from jaxdl.record.run import open_run


@dataclass(frozen=True)
class Options:
    """Open the report of a run or a sweep in the browser. Without a screen, print where it is."""

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """A run folder."""


def screen() -> bool:
    """Whether a browser can show something here."""
    return sys.platform in ("win32", "darwin") or any(
        os.environ.get(n) for n in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    )


def run(args: Sequence[str]) -> int:
    options = read_flags(Options, args, prog="python -m jaxdl show")
    folder = open_run(options.run)
    if not folder.report.is_file():
        raise ExperimentError(f"{options.run} has no report yet: it is written when the run pauses or ends")
    if not folder.page.is_file():  # a run of an older jaxdl
        write_html(folder.report.read_text(encoding="utf-8"), folder.page)
    print(folder.page)
    if screen() and not webbrowser.open(folder.page.resolve().as_uri()):
        print("no browser was found: open the file above in one", file=sys.stderr)
    return 0
