"""What the site says of an entry of the sheet."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SheetEntry:
    """One entry of the cheat sheet.

    Args:
        number: its number on the sheet.
        slug: the name of its page.
        name: as on the sheet.
        line: what it is, in one line.
        purpose: what it does.
        when: when to use it, and what else to take.
        formula: TeX.
        code: `module:name` of what is shown, `jaxdl.` left out.
        oracles: `file::test` of the facts from outside that it is tested against.
        source: where it was published.
        torch, ours: a line of PyTorch and ours, which give the same; a test runs both. Empty: PyTorch has no such line.
        without: what PyTorch's users take instead, where `torch` is empty.
        sample: the shape of one example, where the two lines are models and are compared by their parameters.
        experiments: which train it.
        claims: numbers of the sheet's claims on it.
        related: slugs.
        aliases: other names that people search for.
        notebook: the notebook that explains it.
    """

    number: int
    slug: str
    name: str
    line: str
    purpose: str
    when: str
    formula: str
    code: tuple[str, ...]
    oracles: tuple[str, ...]
    source: str
    torch: str = ""
    ours: str = ""
    without: str = ""
    sample: tuple[int, ...] = ()
    experiments: tuple[str, ...] = ()
    claims: tuple[int, ...] = ()
    related: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    notebook: str = ""


@dataclass(frozen=True)
class SheetGroup:
    """A part of the sheet: its title and its entries in the sheet's order."""

    title: str
    entries: tuple[SheetEntry, ...]
