"""What networks of vectors are used for: fewer dimensions, and the classes of a table."""

from functools import cache

import numpy as np

from jaxdl.data.table import tabular
from jaxdl.metrics.reduction import knn_accuracy, pca
from jaxdl.site.pictures.charts import TILE, Axes, Chart
from jaxdl.site.pictures.entries import Drawn
from jaxdl.site.pictures.svg import BLUE, GREEN, INK, ORANGE, PURPLE, RED, Drawing
from jaxdl.site.pictures.trained import digit_images, trained_tables
from jaxdl.site.pictures.trained_generators import trained_autoencoders

FIVE = (BLUE, RED, GREEN, PURPLE, ORANGE)

# -- dimensionality reduction -----------------------------------------------------------------------------------------

POINTS = 130


@cache
def planes() -> list[tuple[str, np.ndarray, float]]:
    """Name, codes of two numbers of the test digits, and accuracy of the nearest neighbours in the plane."""
    x, y = digit_images("test")
    fitted = pca(digit_images("train")[0], 2)
    found = (("PCA", fitted.encode(x)), ("autoencoder", trained_autoencoders()[2]["code"]))
    return [(name, np.asarray(code), knn_accuracy(code, y)) for name, code in found]


def glyphs(d: Drawing, code: np.ndarray, labels: np.ndarray, box: tuple[float, float, float, float]) -> None:
    """Each digit at its place in the plane, as its own sign."""
    left, top, w, h = box
    low, high = np.quantile(code, 0.005, 0), np.quantile(code, 0.995, 0)
    share = np.clip((code - low) / (high - low), 0, 1)
    for (x, y), label in zip(share[:POINTS], labels[:POINTS], strict=True):
        d.text(left + w * float(x), top + h * (1 - float(y)) + 4, str(label), size=11.5, anchor="middle", colour=FIVE[label % 5],
               font_weight=600 if label > 4 else None)  # fmt: skip


def draw_reduction() -> str:
    labels = digit_images("test")[1]
    desc = (
        f"{POINTS} test digits of 64 pixels, each drawn as its sign at two numbers: the first two principal components, and the "
        "code of an autoencoder. In the plane the five nearest neighbours name the digit in "
        f"{' and '.join(f'{accuracy:.0%} ({name})' for name, _, accuracy in planes())} of the cases."
    )
    d = Drawing(640, 312, "Dimensionality reduction", desc, digits=1)
    for i, (name, code, accuracy) in enumerate(planes()):
        x = 20 + 314 * i
        d.text(x, 22, f"{name}, 64 → 2", size=13.5, font_weight=600)
        d.text(x + 286, 22, f"neighbours: {accuracy:.0%}", size=12, anchor="end", data_accuracy=f"{accuracy:.4f}")
        d.add("rect", x=x, y=34, width=286, height=262, fill="none", stroke=INK, stroke_opacity=0.35)
        glyphs(d, code, labels, (x + 12, 46, 262, 238))
    return d.svg()


def draw_small_reduction() -> str:
    d = Drawing(*TILE, "Dimensionality reduction", "Digits as points of a plane", digits=1)
    (_, code, _), labels = planes()[1], digit_images("test")[1]
    low, high = np.quantile(code, 0.01, 0), np.quantile(code, 0.99, 0)
    share = np.clip((code - low) / (high - low), 0, 1)[:200]
    for k in range(5):
        d.dots(
            [(5 + 110 * float(x), 67 - 62 * float(y)) for (x, y), n in zip(share, labels, strict=False) if n == k],
            FIVE[k],
            4,
        )
    return d.svg()


# -- tables -----------------------------------------------------------------------------------------------------------

HUES = np.array([(0, 114, 178), (213, 94, 0), (0, 158, 115)])
CLASS_COLOURS = (BLUE, RED, GREEN)


def class_regions(p: np.ndarray) -> np.ndarray:
    """RGBA of class probabilities `(rows, columns, 3)`: the hue of the likeliest, more opaque where it is surer."""
    best = p.max(-1)
    alpha = np.round(15 * (best - 1 / 3) * 1.5) * 130 / 15
    return np.concatenate([HUES[p.argmax(-1)], alpha[..., None]], -1).astype(np.uint8)[::-1]


def draw_table() -> str:
    found, data = trained_tables(), tabular.wine()
    x, y = data.splits["test"]["x"], np.asarray(data.splits["test"]["y"])
    names = ("alcohol", "flavanoids", "color intensity", "proline")
    columns = [
        data.columns.index(name.replace(" ", "_") if name.replace(" ", "_") in data.columns else name) for name in names
    ]
    side, (points, labels), (mean, std) = found["wine_side"], found["wine_points"], found["wine_scale"]
    right = float((nearest_classes(found, points) == labels).mean())
    desc = (
        f"Left: rows of the wine data, measures of wines of three cultivars. Right: an MLP reads two of the measures; colours "
        f"are the classes that it finds, {right:.0%} of the training rows are on their own ground."
    )
    d = Drawing(640, 316, "Tabular data", desc)
    d.text(20, 24, "rows and columns", size=14, font_weight=600)
    for j, name in enumerate(names):
        for k, word in enumerate(name.split()):
            d.text(66 + 66 * j, 48 + 13 * k, word, size=11, anchor="middle", font_weight=600)
    d.text(318, 48, "class", size=11, anchor="middle", font_weight=600)
    d.line(20, 68, 344, 68, opacity=0.5)
    rows = [int(np.flatnonzero(y == k)[n]) for n in range(3) for k in range(3)]
    for i, row in enumerate(rows):
        top = 88 + 24 * i
        for j, column in enumerate(columns):
            d.text(66 + 66 * j, top, f"{x[row, column]:.4g}", size=12.5, anchor="middle")
        d.circle(302, top - 4, 5, CLASS_COLOURS[y[row]])
        d.text(318, top, str(y[row]), size=12.5, anchor="middle")
    box = (394.0, 44.0, 226.0, 214.0)
    limits = [(float(mean[k] + side[0] * std[k]), float(mean[k] + side[-1] * std[k])) for k in (0, 1)]
    d.raster(*box, class_regions(found["wine"]), data_regions="")
    axes = Axes(d, box, Chart([], "alcohol", "flavanoids", limits[0], limits[1]))
    axes.frame()
    for k, colour in enumerate(CLASS_COLOURS):
        places = points[labels == k] * std + mean
        for px, py in places:
            if limits[0][0] < px < limits[0][1] and limits[1][0] < py < limits[1][1]:
                d.circle(*axes.at(float(px), float(py)), 3, colour, stroke=INK, stroke_width=0.5)
    return d.svg()


def nearest_classes(found: dict, points: np.ndarray) -> np.ndarray:
    """The class of the grid point next to each point."""
    side = found["wine_side"]
    i, j = (
        np.clip(np.round((points[:, k] - side[0]) / (side[1] - side[0])).astype(int), 0, len(side) - 1) for k in (1, 0)
    )
    return found["wine"][i, j].argmax(-1)


def draw_small_table() -> str:
    found = trained_tables()
    points, labels = found["wine_points"]
    d = Drawing(*TILE, "Tabular data", "Points of three classes, and the ground of each class", digits=1)
    d.raster(0, 0, 120, 72, class_regions(found["wine"][::3, ::3]))
    for k, colour in enumerate(CLASS_COLOURS):
        d.dots([(60 + 23 * float(x), 36 - 13.8 * float(y)) for x, y in points[labels == k][:24]], colour, 4.5)
    return d.svg()


ENTRIES = {
    "dimensionality-reduction": Drawn(draw_reduction, draw_small_reduction),
    "tabular": Drawn(draw_table, draw_small_table),
}
