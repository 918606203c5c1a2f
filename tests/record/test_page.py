"""A report as a page: whole in one file, safe to open, and its curves are the numbers of the log."""

import html
import json
import re
import shutil
import subprocess

import numpy as np
import pytest

from jaxdl import __main__ as command
from jaxdl.record.page import write_html
from jaxdl.record.plots import image_grid
from jaxdl.record.run import create_run
from jaxdl.record.series import series_of_run, series_over_seeds

TEXT = """# A & B

**Finished** at step 9; `lr` 0.1.

| name | value |
|---|---|
| norm | a\\|b |

![Curves "of" a run](plots/curves.png)

![Samples](plots/samples.png)

![Gone](plots/gone.png)

```bash
python -m jaxdl train --resume 'a b'   # <go on>
```
"""
HISTORY = [
    {"kind": "train", "step": 4, "loss": 2.0},
    {"kind": "eval", "step": 4, "split": "validation", "loss": 1.5},
    {"kind": "train", "step": 8, "loss": 1.0},
    {"kind": "eval", "step": 8, "split": "validation", "loss": float("nan")},
]


@pytest.fixture
def page(tmp_path):
    for name in ("curves", "samples"):
        image_grid(np.zeros((2, 4, 4)), tmp_path / "plots" / f"{name}.png")
    path = write_html(TEXT, tmp_path / "report.html", {"curves.png": series_of_run(HISTORY)})
    return path, path.read_text(encoding="utf-8")


def test_one_file_without_requests(page):
    path, text = page
    assert not re.findall(r'(?:src|href)="(?!data:)[^"]*"', text)
    assert not re.findall(r"url\(|@import|fetch\(|XMLHttpRequest", text)
    assert "default-src 'none'; img-src data:;" in text
    assert text.count("data:image/png;base64,") == 2
    assert "<em>Gone: no picture</em>" in text
    assert "<title>A &amp; B</title>" in text
    assert "<td>a|b</td>" in text
    assert "--resume 'a b'   # &lt;go on&gt;" in text
    assert not [p for p in path.parent.iterdir() if p.name.startswith(".")]


def test_what_a_user_wrote_is_text(tmp_path):
    """Neither a name nor a docstring of somebody else becomes a script or a link that runs one."""
    evil = '# <script>alert(1)</script>\n\n![x" onerror="alert(1)](p.png)\n\n[a](javascript:alert(1)) <img src=x>\n'
    text = write_html(evil, tmp_path / "a.html").read_text(encoding="utf-8")
    body = text[text.index("<main>") : text.index("</main>")]
    assert re.findall(r"<(\w+)", body) == ["main", "h1", "p", "em", "p"]
    assert "<script>alert" not in text
    name = {'"><script>alert(2)</script>': [HISTORY]}
    image_grid(np.zeros((1, 4, 4)), tmp_path / "p.png")
    curves = {"p.png": {"loss": series_over_seeds(name, "loss", "train")}}
    text = write_html("![p](p.png)", tmp_path / "b.html", curves).read_text(encoding="utf-8")
    assert "<script>alert" not in text


def test_its_curves_are_the_log(page):
    """A training line stands in the middle of its steps; what is not finite is left out."""
    (coded,) = re.findall(r'data-panels="([^"]*)"', page[1])
    (panel,) = json.loads(html.unescape(coded))
    assert panel == {
        "title": "loss",
        "lines": [
            {"name": "train", "x": [2, 6], "y": [2, 1], "spread": None},
            {"name": "validation", "x": [4], "y": [1.5], "spread": None},
        ],
    }


@pytest.mark.slow
def test_a_browser_draws_a_line_for_each_series(page):
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("needs chromium or google-chrome")
    args = [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--virtual-time-budget=3000",
        "--dump-dom",
        page[0].as_uri(),
    ]
    dom = subprocess.run([browser, *args], capture_output=True, text=True, timeout=120, check=True).stdout
    assert dom.count("<polyline") == 2
    assert dom.count("<circle") == 1, "the validation has one point"
    assert "train 1</button>" in dom
    assert "validation 1.5</button>" in dom


def test_show(tmp_path, capsys, monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    config = {"knobs": {}, "recorded": {}}
    run = create_run(tmp_path, "a", seed=0, config=config, source=None)
    assert command.main(["show", str(run.folder)]) == 2
    assert "has no report yet: it is written when the run pauses or ends" in capsys.readouterr().err
    run.report.write_text(TEXT, encoding="utf-8")  # as a run of an older version has it
    opened = []
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr("webbrowser.open", lambda uri: opened.append(uri) or True)
    assert command.main(["show", str(run.folder)]) == 0
    assert capsys.readouterr().out.strip() == str(run.page)
    assert opened == [run.page.resolve().as_uri()]
    assert "<title>A &amp; B</title>" in run.page.read_text(encoding="utf-8")
