"""Pages in MyST Markdown: one for each entry of the sheet, each experiment and each study."""

import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from jaxdl.site.measured import ledger_lines
from jaxdl.site.sheet import ENTRIES, SheetEntry
from jaxdl.site.verdicts import Trial, claim_lines

LONGEST = 90
"""Lines of code of one definition that a page shows; the rest is in the file, which it names."""
ORPHAN = "---\norphan: true\n---\n"
"""A page that is not in the side bar, which every page would repeat."""


@dataclass(frozen=True)
class Site:
    """What the pages are made of.

    Args:
        root: the clone: experiments, tests, notebooks, results and docs lie in it.
        trials: verdicts by claim.
        picture: slug -> SVG, or None where there is no picture.
    """

    root: Path
    trials: Mapping[int, Sequence[Trial]]
    picture: Callable[[str], str | None]

    @property
    def results(self) -> Path:
        return self.root / "results"


def raw(html: str) -> list[str]:
    return ["```{raw} html", html, "```", ""]


def indexed(names: Sequence[str]) -> list[str]:
    """Names under which search and index find a page."""
    return ["```{eval-rst}", ".. index::", *(f"   single: {name}" for name in names), "```", ""]


def definition(name: str) -> tuple[str, str, str]:
    """`losses.penalty:l1` -> (file in the repository, module, source)."""
    module, _, thing = name.partition(":")
    found = getattr(importlib.import_module(f"jaxdl.{module}"), thing)
    lines = inspect.getsource(found).rstrip().splitlines()
    if len(lines) > LONGEST:
        lines = [*lines[:LONGEST], f"    # ... {len(lines) - LONGEST} more lines in the file"]
    return f"jaxdl/{module.replace('.', '/')}.py", f"jaxdl.{module}", "\n".join(lines)


def code_lines(entry: SheetEntry) -> list[str]:
    lines = []
    for name in entry.code:
        file, module, source = definition(name)
        lines += [f"From {{py:mod}}`{file} <{module}>`:", "", "```python", source, "```", ""]
    return lines


def pair_lines(entry: SheetEntry) -> list[str]:
    if not entry.torch:
        return [entry.without, ""]
    return [
        "PyTorch:",
        "",
        "```python",
        entry.torch,
        "```",
        "",
        "jaxdl:",
        "",
        "```python",
        entry.ours,
        "```",
        "",
        f"A test runs both lines and compares {compared(entry)}.",
        "",
    ]


def compared(entry: SheetEntry) -> str:
    if entry.slug in ("rnn", "lstm", "gru"):
        return "their outputs with the same weights"
    if entry.sample:
        return "the numbers of parameters; the oracles below compare the values"
    return "ten steps from the same weights" if entry.torch.startswith("torch.optim") else "the values"


def train_lines(entry: SheetEntry, results: Path) -> list[str]:
    lines = []
    for name in entry.experiments:
        lines += [
            f"[{name}](../experiments/{name}.md): `python -m jaxdl train {name}`",
            "",
            *ledger_lines(name, results),
        ]
    return lines or ["No experiment of its own.", ""]


def entry_page(entry: SheetEntry, site: Site) -> str:
    """The page of one entry."""
    picture = site.picture(entry.slug)
    related = ", ".join(f"[{ENTRIES[slug].name}]({slug}.md)" for slug in entry.related)
    lines = [
        f"# {entry.name}",
        "",
        *raw(f'<p class="lead">{escape(entry.line)}</p>'),
        *(raw(f'<figure class="picture">{picture}</figure>') if picture else ["This page has no picture yet.", ""]),
        *indexed((entry.name, *entry.aliases)),
        entry.purpose,
        "",
        entry.when,
        "",
        "$$",
        entry.formula,
        "$$",
        "",
        "## What was measured",
        "",
        *claim_lines(entry, site.trials),
        "## Train it",
        "",
        *train_lines(entry, site.results),
        "## Code",
        "",
        *code_lines(entry),
        "## In PyTorch",
        "",
        *pair_lines(entry),
        "## Tested against",
        "",
        "Facts from outside. Each is a test that you can run with `python -m pytest`:",
        "",
        *(f"- `{oracle}`" for oracle in entry.oracles),
        "",
        "## Source",
        "",
        f"{entry.source}. Entry {entry.number} of the sheet.",
        "",
        f"Also called: {', '.join(entry.aliases)}." if entry.aliases else "",
        "",
        f"Related: {related}. Notebook: [{entry.notebook}](../notebooks/{entry.notebook}.ipynb).",
        "",
    ]
    return "\n".join(lines)


def experiment_page(path: Path, results: Path) -> str:
    """An experiment: what its docstring says, what the ledger holds, and its code."""
    text = path.read_text(encoding="utf-8")
    said = (inspect.cleandoc(text.split('"""')[1]) if text.startswith('"""') else "").replace("```", "'''")
    homes = [f"[{e.name}](../entries/{e.slug}.md)" for e in ENTRIES.values() if path.stem in e.experiments]
    measured = ledger_lines(path.stem, results)
    lines = [ORPHAN, f"# {path.stem}", "", "```text", said, "```", ""]
    lines += [f"Shows: {', '.join(homes)}.", ""] if homes else []
    lines += ["## Measured", "", *measured] if measured else []
    code = text.split('"""', 2)[2] if said else text
    return "\n".join(
        [*lines, "## Code", "", f"After that docstring, {path.name} reads:", "", "```python", code.strip(), "```", ""]
    )


def study_page(path: Path, trials: Mapping[int, Sequence[Trial]]) -> str:
    """A study of claims: which claims it decides, and its code."""
    decided = [
        f"- C{number}: {one.found.decision.claim}: **{one.verdict}**"
        for number, group in trials.items()
        for one in group
        if one.found.decision.study == path.stem
    ]
    run = f"Run it again: `python -m jaxdl claims {path.stem}`, with `--full` all of it."
    code = path.read_text(encoding="utf-8").rstrip()
    return "\n".join([ORPHAN, f"# Study: {path.stem}", "", *decided, "", run, "", "```python", code, "```", ""])
