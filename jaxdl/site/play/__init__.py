"""The widgets of the site: plain JavaScript in one page each, with small networks that are trained when it is built.

PLAY["digit"].body()      HTML that holds its own data and script, and asks for no other file
"""

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

from jaxdl.site.play import exported

HERE = Path(__file__).parent


class Widget(NamedTuple):
    """One page: its title, one line on it, and a function that makes its HTML."""

    title: str
    line: str
    body: Callable[[], str]


def page_body(name: str, data: Any = None, **fields: str) -> str:
    """A widget as HTML: its markup, its data as JSON, its script."""
    markup, script = ((HERE / f"{name}.{kind}").read_text(encoding="utf-8") for kind in ("html", "js"))
    held = json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")
    start = f'mount(document.getElementById("play-{name}"), {held});'
    html = Template(markup).substitute(fields)
    return f'<div class="play" id="play-{name}">\n{html}</div>\n<script>(() => {{\n{script}\n{start}\n}})();</script>'


def with_network(name: str, data: Mapping[str, Any]) -> str:
    """A widget that runs a trained network; its page says how good the network is."""
    return page_body(name, data, accuracy=f"{data['accuracy']:.1%}")


PLAY: dict[str, Widget] = {
    "digit": Widget(
        "Draw a digit",
        "and watch it pass through a trained CNN",
        lambda: with_network("digit", exported.digit_network()),
    ),
    "race": Widget("Optimizers racing", "on a surface, with your learning rate", partial(page_body, "race")),
    "convolution": Widget(
        "Convolution and pooling", "the window moves, the output size follows", partial(page_body, "convolution")
    ),
    "attention": Widget(
        "Attention",
        "over a sentence that you type",
        lambda: with_network("attention", exported.language_network()),
    ),
    "activations": Widget("Activations", "values and derivatives at any place", partial(page_body, "activations")),
}
