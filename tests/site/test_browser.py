"""The site in a browser: layout at three widths, light and dark, errors, requests, accessibility, search, the widgets."""

from pathlib import Path

import numpy as np
import pytest

from jaxdl.data.image import vision
from jaxdl.site.sheet import ENTRIES
from tests.site import browser

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(browser.reason()), reason=browser.reason() or "none")]

KINDS = (
    *("index", "claims", "search", "genindex", "experiments/index", "experiments/digits_cnn", "studies/gates"),
    *("api/losses", "api/layers", "notebooks/06_convolution_and_vision", "guides/your-data", "guides/from-pytorch"),
    "play/index",
)
"""One page of each kind beside the entries and the widgets, which axe reads all."""
WIDGETS = ("digit", "race", "convolution", "attention", "activations")


@pytest.fixture(scope="module")
def chromium():
    with browser.chromium() as opened:
        yield opened


def pages(site: Path) -> list[Path]:
    names = [*KINDS, *(f"entries/{slug}" for slug in ENTRIES), *(f"play/{name}" for name in WIDGETS)]
    return [site / f"{name}.html" for name in names]


@pytest.mark.parametrize(("width", "dark"), [(390, False), (390, True), (768, False), (1440, True)])
def test_every_page_fits_log_no_error_and_ask_for_their_own_files_only(site, chromium, width, dark):
    wrong = []
    opened = browser.watched(chromium, width=width, dark=dark)
    for path in sorted(site.rglob("*.html")):
        opened.page.goto(browser.address(path))
        if (by := browser.overflow(opened.page)) > 0:
            wrong.append(f"{path.stem} is {by} pixels too wide")
    opened.page.close()
    assert not wrong
    assert not opened.errors
    assert not opened.outside


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing(site, chromium, dark):
    found = {}
    opened = browser.watched(chromium, dark=dark)
    every = pages(site)
    for path in every if dark else every[: len(KINDS)] + every[-len(WIDGETS) :]:
        opened.page.goto(browser.address(path))
        if broken := browser.violations(opened.page):
            found[path.stem] = broken
    opened.page.close()
    assert not found


def test_search_finds_entries_by_name_and_abbreviation(site, chromium):
    wanted = {
        "MSE": "mse",
        "BCE": "binary-cross-entropy",
        "L2": "l2",
        "BN": "batch-norm",
        "ViT": "vit",
        "nn.LSTM": "lstm",
        "GRU": "gru",
    }
    for word, slug in wanted.items():
        opened = browser.watched(chromium)
        opened.page.goto(f"{browser.address(site / 'search.html')}?q={word}")
        opened.page.wait_for_selector("#search-results li a")
        opened.page.wait_for_timeout(300)
        links = [link.get_attribute("href") for link in opened.page.query_selector_all("#search-results li a")]
        assert any(f"entries/{slug}.html" in (link or "") for link in links[:5]), (word, links[:5])
        opened.page.close()


def test_a_drawn_digit_is_read_as_python_reads_it(site, chromium):
    """The bits of a real digit are drawn with the pen; the page's answer is that of the trained network."""
    part = vision.digits().splits["test"]
    opened = browser.watched(chromium)
    page = opened.page
    page.goto(browser.address(site / "play" / "digit.html"))
    for label in range(10):
        page.locator(".examples button").nth(label).click()
        assert page.locator("output").get_attribute("data-digit") == str(label)
    hits = 0
    for label in (0, 1, 4, 7):
        image = part["x"][np.flatnonzero(part["y"] == label)[1], ..., 0]
        page.locator("button.clear").click()
        box = page.locator("canvas.pad").bounding_box()
        for row, column in np.argwhere(image >= 10):
            page.mouse.move(box["x"] + (column + 0.5) * box["width"] / 8, box["y"] + (row + 0.5) * box["height"] / 8)
            page.mouse.down()
            page.mouse.up()
        hits += page.locator("output").get_attribute("data-digit") == str(label)
    assert hits >= 3
    assert not opened.errors
    page.close()


def test_the_keyboard_draws_and_every_control_is_reached(site, chromium):
    opened = browser.watched(chromium)
    page = opened.page
    page.goto(browser.address(site / "play" / "digit.html"))
    page.locator("canvas.pad").focus()
    for _ in range(10):
        page.keyboard.press("Shift+ArrowDown")
    assert page.locator("output").get_attribute("data-digit") != ""
    for name in WIDGETS:
        page.goto(browser.address(site / "play" / f"{name}.html"))
        controls = page.locator(".play button, .play input, .play select, .play canvas[tabindex]")
        first = controls.first
        first.focus()
        reached = 1
        for _ in range(controls.count() - 1):
            page.keyboard.press("Tab")
            reached += page.evaluate("document.activeElement.closest('.play') !== null")
        assert reached == controls.count(), name
    assert not opened.errors
    page.close()


def test_a_race_ends_where_the_table_says(site, chromium):
    opened = browser.watched(chromium)
    page = opened.page
    page.goto(browser.address(site / "play" / "race.html"))
    assert "after 60 steps" in page.locator("output").inner_text()
    page.locator("[name=surface]").select_option("banana")
    page.locator("button.step").click()
    assert "after 1 steps" in page.locator("output").inner_text()
    rows = page.locator("tbody tr").all_inner_texts()
    assert [row.split()[0] for row in rows] == ["SGD", "momentum", "Adam"]
    assert not opened.errors
    page.close()
