"""A picture and a tile for each entry of the sheet, as SVG: drawn by code from the library's own functions and models.

    PICTURES["relu"]()      the picture of the entry's page
    TILES["relu"]()         the small one of Home, without text

Colours are the CSS variables of `svg.stylesheet()`, which the page defines once; the rest is the page's text colour.
"""

from collections.abc import Callable

from jaxdl.site.pictures import (
    activations,
    architectures,
    attention,
    augmentation,
    convolution,
    families,
    generative,
    losses,
    mixing,
    network,
    optimizers,
    recurrent,
    regularization,
    transformers,
    uses_of_images,
    uses_of_sequences,
    uses_of_vectors,
)
from jaxdl.site.pictures.entries import Drawn

TOPICS = (
    architectures, generative, recurrent, transformers, families, activations, losses, optimizers, regularization, augmentation,
    mixing, convolution, attention, uses_of_sequences, uses_of_images, uses_of_vectors, network,
)  # fmt: skip
DRAWN: dict[str, Drawn] = {slug: drawn for topic in TOPICS for slug, drawn in topic.ENTRIES.items()}
PICTURES: dict[str, Callable[[], str]] = {slug: drawn.picture for slug, drawn in DRAWN.items()}
TILES: dict[str, Callable[[], str]] = {slug: drawn.tile for slug, drawn in DRAWN.items()}
