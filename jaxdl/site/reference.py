"""The reference: one page for each part of the library that users import, made by Sphinx from the docstrings.

The docstrings are plain text. Before Sphinx reads them as reStructuredText, its special characters are escaped, and indented
formulas become literal blocks.
"""

import pkgutil
import re
from importlib import import_module

PARTS = ("activations", "losses", "optim", "layers", "models", "augment", "metrics", "tasks", "decode", "data", "experiment",
         "types", "engine.stopping", "engine.callbacks")  # fmt: skip
SECTION = re.compile(r"^(Args|Returns|Raises|Yields|Attributes|Example|Examples|Note|Notes):$")


def modules_of(part: str) -> list[str]:
    """The modules of a part of the library, without `jaxdl.`."""
    path = getattr(import_module(f"jaxdl.{part}"), "__path__", None)
    inside = pkgutil.walk_packages(path, f"{part}.") if path else []
    return [m.name for m in inside if not m.ispkg and "._" not in m.name] or [part]


def reference_page(part: str) -> str:
    """A part of the library: each of its modules with what it defines."""
    lines = [f"# jaxdl.{part}", ""]
    for module in modules_of(part):
        lines += [f"## {module}", ""] if module != part else []
        lines += [
            "```{eval-rst}",
            f".. automodule:: jaxdl.{module}",
            "   :members:",
            "   :member-order: bysource",
            "```",
            "",
        ]
    return "\n".join(lines)


def escaped(line: str) -> str:
    """Escape what reStructuredText would read as markup, but for `code`.

    >>> print(escaped("Σ|w| of `a*b`, and x_ * y"))
    Σ\\|w\\| of ``a*b``, and x\\_ \\* y
    """
    parts = re.split(r"(`[^`]+`)", line)
    plain = [re.sub(r"_(?=\W|$)", r"\\_", re.sub(r"([*|\\])", r"\\\1", part)) for part in parts[::2]]
    code = [f"`{part}`" for part in parts[1::2]]
    return "".join(a + b for a, b in zip(plain, [*code, ""], strict=True))


def literal_blocks(lines: list[str]) -> list[str]:
    """A docstring as reStructuredText: indented lines after an empty one stay as they are, the rest is escaped text."""
    found: list[str] = []
    inside = example = section = False
    for line in lines:
        indent = len(line) - len(line.lstrip())
        if SECTION.match(line):
            section = True
        elif line and indent == 0:
            section = False
        if not line.strip():
            example = False
            found.append("")
            continue
        example = example or line.lstrip().startswith(">>>")
        if indent >= (8 if section else 4) and (inside or (found and found[-1] == "")) and not example:
            if not inside:
                found += [" " * (4 if section else 0) + "::", ""]
            inside = True
            found.append(line)
            continue
        inside = False
        found.append(line if example else escaped(line))
    return found


def docstring(app, what, name, thing, options, lines: list[str]) -> None:  # Sphinx's event `autodoc-process-docstring`
    lines[:] = literal_blocks(lines)


def short_signature(app, what, name, thing, options, signature, returns):  # Sphinx's event `autodoc-process-signature`
    """`Array` in place of the private module that it comes from."""
    short = lambda text: text and re.sub(r"\b(jaxlib|jax|numpy)(\.\w+)*\.(Array|ndarray)\b", r"\3", text)
    return short(signature), short(returns)


def foreign(app, what, name, thing, skip, options) -> bool | None:  # Sphinx's event `autodoc-skip-member`
    """A default value with a docstring of its own, such as `jnp.tanh`, is no member."""
    return True if what == "class" and not str(getattr(thing, "__module__", "jaxdl")).startswith("jaxdl") else None
