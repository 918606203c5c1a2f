"""What each topic gives: for every slug a picture and a tile, drawn when asked."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from jaxdl.site.pictures.charts import Chart, chart_tile, charts_beside


class Drawn(NamedTuple):
    """Two functions without arguments that return SVG: the picture of an entry's page, and its tile on Home."""

    picture: Callable[[], str]
    tile: Callable[[], str]


class Plotted(NamedTuple):
    """A picture that consists of charts, and which of them the tile shows."""

    title: str
    desc: str
    charts: Sequence[Chart]
    shown: int = 0


def plotted_entries(make: Mapping[str, Callable[[], Plotted]]) -> dict[str, Drawn]:
    """Slug -> picture and tile of functions that return charts."""

    def drawn(name: str) -> Drawn:
        def picture() -> str:
            made = make[name]()
            return charts_beside(made.title, made.desc, made.charts)

        def tile() -> str:
            made = make[name]()
            return chart_tile(made.title, made.desc.split(". ")[0], made.charts[made.shown])

        return Drawn(picture, tile)

    return {name: drawn(name) for name in make}
