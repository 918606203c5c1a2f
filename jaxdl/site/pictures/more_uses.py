"""What networks are used for, continued: images that are made, likeness of what was never seen, tables."""

import numpy as np

from jaxdl.data.image.vision import FASHION
from jaxdl.data.table import tabular
from jaxdl.site.pictures.architectures import heading
from jaxdl.site.pictures.charts import TILE, Axes, Chart, Line
from jaxdl.site.pictures.entries import Drawn
from jaxdl.site.pictures.rasters import photographs
from jaxdl.site.pictures.svg import BLUE, GREEN, INK, RED, Drawing
from jaxdl.site.pictures.trained import UNSEEN, trained_embedding, trained_tables
from jaxdl.site.pictures.trained_generators import trained_vae
from jaxdl.site.pictures.uses import (
    draw_forecast,
    draw_reduction,
    draw_small_forecast,
    draw_small_reduction,
    draw_small_text_uses,
    draw_small_vision,
    draw_text_uses,
    draw_vision,
)

# -- image generation -------------------------------------------------------------------------------------------------


def draw_generation() -> str:
    images = trained_vae()
    rows, columns = images.shape[:2]
    desc = (
        f"{rows * columns} pieces of clothing that a variational autoencoder makes: the decoder gets a code of two numbers, "
        "which changes evenly from left to right and from top to bottom. None of them is in the data; neighbours are alike."
    )
    d = Drawing(640, 56 + 600 * rows / columns + 30, "Image generation", desc)
    heading(d, "images decoded from a plane of codes", "variational autoencoder")
    h = 600 * (29 * rows - 1) / (29 * columns - 1)
    d.raster(20, 36, 600, h, photographs(images.reshape(-1, 28, 28), columns), data_images=rows * columns)
    d.text(320, 36 + h + 20, "first number of the code →", size=12, anchor="middle")
    d.text(14, 36 + h, "second →", size=11, transform=f"rotate(-90 14 {36 + h:.0f})")
    return d.svg()


def draw_small_generation() -> str:
    d = Drawing(*TILE, "Image generation", "Images that change from one to the next", digits=1)
    images = trained_vae()
    some = images[1::2, ::4][:2, :4]
    d.raster(4, 8, 112, 56, photographs(some.reshape(-1, 28, 28)[:, ::2, ::2], 4))
    return d.svg()


# -- recognition ------------------------------------------------------------------------------------------------------


def likeness() -> tuple[np.ndarray, np.ndarray, float, float]:
    """Cosines of pairs of one class and of different ones, the threshold between them, and the share on the right sides."""
    z, labels, _ = trained_embedding()
    cosines, (i, j) = z @ z.T, np.triu_indices(len(z), 1)
    values, same = cosines[i, j], labels[i] == labels[j]
    grid = np.linspace(-0.2, 1, 121)
    shares = [((values[same] > t).mean() + (values[~same] <= t).mean()) / 2 for t in grid]
    best = int(np.argmax(shares))
    return values[same], values[~same], float(grid[best]), float(shares[best])


def draw_recognition() -> str:
    z, labels, images = trained_embedding()
    same, different, threshold, share = likeness()
    people = [FASHION[k] for k in UNSEEN]
    desc = (
        f"Recognition of what was never seen. A network was trained with ArcFace on {10 - len(UNSEEN)} classes of clothing; the "
        f"classes {', '.join(people)}, which it has not seen, stand for new people. Left: pairs and the cosine of their "
        f"embeddings. Right: cosines of pairs of one class and of different ones; {threshold:.2f} as threshold puts "
        f"{share:.0%} on the right side."
    )
    d = Drawing(640, 300, "Face recognition", desc)
    heading(d, "the same or another? cosine of two embeddings", f"threshold {threshold:.2f}: {share:.0%} right")
    first = [int(np.flatnonzero(labels == k)[n]) for n in (0, 3) for k in UNSEEN]
    pairs = [(first[0], first[3]), (first[1], first[4]), (first[0], first[1]), (first[1], first[2])]
    for row, (a, b) in enumerate(pairs):
        y = 42 + 62 * row
        d.raster(20, y, 106, 52, photographs(images[[a, b]], 2), data_pair=row)
        cosine = float(z[a] @ z[b])
        matches = cosine > threshold
        d.text(138, y + 22, f"cos = {cosine:.2f}".replace("-", "−"), size=12.5, data_cosine=f"{cosine:.4f}")
        d.text(
            138,
            y + 40,
            "the same" if matches else "another",
            size=12.5,
            colour=BLUE if matches else RED,
            font_weight=600,
        )
    edges = np.linspace(-0.4, 1, 36)
    middle = (edges[1:] + edges[:-1]) / 2
    lines = [
        Line(middle, np.histogram(v, edges, density=True)[0], name, colour)
        for v, name, colour in ((same, "one class", BLUE), (different, "different", RED))
    ]
    top = float(np.ceil(max(line.y.max() for line in lines)))
    lines.append(Line(np.array([threshold, threshold]), np.array([0, top]), "threshold", INK, "4 3", 1.2))
    axes = Axes(d, (286, 72, 336, 176), Chart(lines, "cosine", "pairs", (-0.4, 1), (0, top)))
    axes.frame()
    axes.plot()
    axes.legend()
    return d.svg()


def draw_small_recognition() -> str:
    _, labels, images = trained_embedding()
    d = Drawing(*TILE, "Face recognition", "A pair that is alike, and one that is not", digits=1)
    first = [int(np.flatnonzero(labels == k)[n]) for n in (0, 3) for k in UNSEEN[1:]]
    d.raster(22, 3, 65, 32, photographs(images[[first[0], first[2]]], 2))
    d.raster(22, 38, 65, 32, photographs(images[[first[0], first[1]]], 2))
    d.path([(94, 19), (100, 26), (111, 11)], BLUE, width=3)
    d.path([(95, 47), (110, 62)], RED, width=3)
    d.path([(110, 47), (95, 62)], RED, width=3)
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
    "forecasting-and-speech": Drawn(draw_forecast, draw_small_forecast),
    "translation-and-text": Drawn(draw_text_uses, draw_small_text_uses),
    "computer-vision": Drawn(draw_vision, draw_small_vision),
    "dimensionality-reduction": Drawn(draw_reduction, draw_small_reduction),
    "image-generation": Drawn(draw_generation, draw_small_generation),
    "face-recognition": Drawn(draw_recognition, draw_small_recognition),
    "tabular": Drawn(draw_table, draw_small_table),
}
