"""What Sphinx is told beside its settings: formulas as MathML, and docstrings as plain text."""

from docutils import nodes  # pyright: ignore[reportMissingImports]
from latex2mathml.converter import convert  # pyright: ignore[reportMissingImports]

from jaxdl.site.reference import docstring, foreign, short_signature


def mathml(translator, node: nodes.math | nodes.math_block) -> None:
    block = isinstance(node, nodes.math_block)
    text = convert(node.astext(), display="block" if block else "inline")
    translator.body.append(f'<div class="formula" tabindex="0">{text}</div>' if block else text)
    raise nodes.SkipNode


def setup(app) -> dict[str, bool]:
    app.add_html_math_renderer("mathml", (mathml, None), (mathml, None))
    app.connect("autodoc-process-docstring", docstring, priority=400)  # before napoleon reads the sections
    app.connect("autodoc-skip-member", foreign)
    app.connect("autodoc-process-signature", short_signature)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
