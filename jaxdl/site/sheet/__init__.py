"""The 68 entries of the cheat sheet, in its order."""

from jaxdl.site.sheet import activations, architectures, attention, families, losses, optimizers, regularization, uses
from jaxdl.site.sheet.entry import SheetEntry, SheetGroup

GROUPS: tuple[SheetGroup, ...] = (
    architectures.GROUP,
    families.GROUP,
    activations.GROUP,
    losses.GROUP,
    optimizers.GROUP,
    regularization.GROUP,
    attention.CONVOLUTION,
    attention.ATTENTION,
    uses.GROUP,
)
ENTRIES: dict[str, SheetEntry] = {entry.slug: entry for group in GROUPS for entry in group.entries}
