"""Reading pictures back: curves in the units of their axes, rasters as values, marked elements."""

import base64
import io
import re
from xml.etree import ElementTree

import numpy as np
from PIL import Image

SVG = "{http://www.w3.org/2000/svg}"
LEVEL = 1 / 31
"""Rasters have 32 levels."""


def check(picture: str, most: int) -> None:
    """Valid XML with a view box, a title and a description, within its size."""
    root = ElementTree.fromstring(picture)
    assert (root.tag, root.get("role")) == (f"{SVG}svg", "img")
    assert [float(v) for v in root.attrib["viewBox"].split()][2:] == [
        float(root.attrib[k]) for k in ("width", "height")
    ]
    title, desc = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert title is not None
    assert desc is not None
    assert len(title.text or "") > 3
    assert len(desc.text or "") > 20
    assert len(picture.encode()) <= most
    assert not re.search(r'\bid="|\bnan\b|\binf\b', picture), "an id would clash with another picture's in one page"
    assert set(re.findall(r'href="(.{10})', picture)) <= {"data:image"}


def check_drawn(drawn) -> None:
    """Picture and tile of an entry: the text of a picture is large enough and inside, a tile is 120x72 and has none."""
    picture, tile = drawn.picture(), drawn.tile()
    check(picture, 60_000)
    check(tile, 4_000)
    root, small = ElementTree.fromstring(picture), ElementTree.fromstring(tile)
    assert small.get("viewBox") == "0 0 120 72"
    assert not small.findall(f"{SVG}text")
    width, height = (float(root.attrib[k]) for k in ("width", "height"))
    texts = root.findall(f"{SVG}text")
    assert texts
    for text in texts:
        assert float(text.attrib["font-size"]) >= 11 * width / 640 * (width == 640 or 0.7), text.text
        assert 0 <= float(text.attrib["x"]) <= width, text.text
        assert 0 <= float(text.attrib["y"]) <= height, text.text


def curve_of(picture: str, panel: int, name: str) -> np.ndarray:
    """The points of a curve in the units of its axes, read back from the SVG."""
    root = ElementTree.fromstring(picture)
    elements = list(root)
    frames = [e for e in elements if "data-limits" in e.attrib]
    start, end = elements.index(frames[panel]), [*map(elements.index, frames), len(elements)][panel + 1]
    path = next(e for e in elements[start:end] if e.get("data-curve") == name)
    places = np.array([float(v) for v in re.findall(r"-?[\d.]+", path.attrib["d"])]).reshape(-1, 2)
    left, top, width, height = (float(frames[panel].attrib[k]) for k in ("x", "y", "width", "height"))
    x0, x1, y0, y1 = map(float, frames[panel].attrib["data-limits"].split())
    share = (places - [left, top]) / [width, height]
    return np.stack([x0 + share[:, 0] * (x1 - x0), y1 - share[:, 1] * (y1 - y0)], 1)


def marked(picture: str, name: str, value: str | None = None) -> list[ElementTree.Element]:
    """The elements with an attribute `data-<name>`, of that value if one is given."""
    elements = [e for e in ElementTree.fromstring(picture).iter() if f"data-{name}" in e.attrib]
    return [e for e in elements if value is None or e.attrib[f"data-{name}"] == value]


def numbers(picture: str, name: str) -> list[float]:
    """The values of all attributes `data-<name>`."""
    return [float(e.attrib[f"data-{name}"]) for e in marked(picture, name)]


def words(picture: str, name: str, value: str) -> list[str]:
    """The texts of the elements with this mark."""
    return [e.text or "" for e in marked(picture, name, value)]


def text_of(picture: str) -> str:
    """All texts that are seen, one a line."""
    return "\n".join(e.text or "" for e in ElementTree.fromstring(picture).iter(f"{SVG}text"))


def pixels(element: ElementTree.Element) -> np.ndarray:
    """RGBA bytes of an image, read by Pillow."""
    data = base64.b64decode(element.attrib["href"].partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))


def heat_values(element: ElementTree.Element) -> np.ndarray:
    """Values of a heat map as shares of its largest: the opacity, negative where it is orange."""
    rgba = pixels(element).astype(float)
    return np.where(rgba[..., 0] > rgba[..., 2], -1, 1) * rgba[..., 3] / 255


def photographs_of(element: ElementTree.Element, height: int, width: int) -> np.ndarray:
    """The grey images `(n, height, width)` in [0, 1] of a mosaic."""
    rgba, images = pixels(element).astype(float) / 255, []
    gap = (rgba.shape[1] - width) % (width + 1) and next(
        g for g in range(2, 8) if (rgba.shape[1] - width) % (width + g) == 0 == (rgba.shape[0] - height) % (height + g)
    )
    for top in range(0, rgba.shape[0], height + (gap or 1)):
        for left in range(0, rgba.shape[1], width + (gap or 1)):
            images.append(rgba[top : top + height, left : left + width])
    found = np.stack(images)
    assert (found[..., 3] == 1).all(), "images are opaque"
    return found[..., 0]
