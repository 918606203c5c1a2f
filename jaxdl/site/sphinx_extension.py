"""What Sphinx is told beside its settings: formulas as MathML, and docstrings as plain text."""

from typing import Any

from jaxdl.site.reference import docstring, foreign, short_signature


def mathml(translator: Any, node: Any) -> None:
    """Write a formula of a page, a node `math` or `math_block`, as MathML."""
    from docutils.nodes import SkipNode  # pyright: ignore[reportMissingImports]
    from latex2mathml.converter import convert  # pyright: ignore[reportMissingImports]

    block = node.tagname == "math_block"
    text = convert(node.astext(), display="block" if block else "inline")
    translator.body.append(f'<div class="formula" tabindex="0">{text}</div>' if block else text)
    raise SkipNode


def setup(app) -> dict[str, bool]:
    app.add_html_math_renderer("mathml", (mathml, None), (mathml, None))
    app.connect("autodoc-process-docstring", docstring, priority=400)  # before napoleon reads the sections
    app.connect("autodoc-skip-member", foreign)
    app.connect("autodoc-process-signature", short_signature)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
