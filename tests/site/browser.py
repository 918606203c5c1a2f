"""The site in headless Chromium: what a page logs, asks for, and how it is laid out."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
WIDTHS = (390, 768, 1440)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def reason() -> str:
    """Why no page can be opened here; "" where one can."""
    if CHROMIUM is None:
        return "no Chromium is installed"
    try:
        import axe_playwright_python
        import playwright  # noqa: F401
    except ModuleNotFoundError as error:
        return f"{error.name} is not installed: the extra site-test"
    return "" if axe_playwright_python else "nothing"


class Opened(NamedTuple):
    """A page of Playwright, with what it logged as an error and the addresses that it asked for outside of its files."""

    page: Any
    errors: list[str]
    outside: list[str]


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser, ended on exit."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


def watched(browser: Any, *, width: int = 1440, dark: bool = False, height: int = 900) -> Opened:
    """A new page whose errors and requests are noted."""
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light")
    errors: list[str] = []
    outside: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
    page.on(
        "request",
        lambda request: None if request.url.startswith(("file:", "data:", "blob:")) else outside.append(request.url),
    )
    return Opened(page, errors, outside)


def overflow(page: Any) -> int:
    """By how many pixels the page is wider than the window."""
    return page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")


def violations(page: Any) -> list[str]:
    """What axe-core finds: rule, impact and the first element."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, options={"preload": False}).response["violations"]
    return [f"{one['id']} ({one['impact']}): {one['nodes'][0]['html'][:160]}" for one in found]


def address(path: Path) -> str:
    return path.resolve().as_uri()
