"""What networks of images are used for: naming them, making them, and telling the same from another."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.data.image.vision import FASHION
from jaxdl.inspect.saliency import grad_cam
from jaxdl.site.pictures.architectures import heading
from jaxdl.site.pictures.blocks import CHANNELS
from jaxdl.site.pictures.charts import TILE, Axes, Chart, Line
from jaxdl.site.pictures.entries import Drawn
from jaxdl.site.pictures.rasters import photographs
from jaxdl.site.pictures.svg import BLUE, INK, RED, Drawing
from jaxdl.site.pictures.trained import UNSEEN, digit_images, quick_jit, trained_cnn, trained_embedding
from jaxdl.site.pictures.trained_generators import trained_vae

# -- computer vision --------------------------------------------------------------------------------------------------


@cache
def seen_digits() -> dict[str, np.ndarray]:
    """Six test digits, the last of them the one judged worst, with probabilities and Grad-CAM maps."""
    model, params, _ = trained_cnn()
    x, y = digit_images("test")
    p = np.asarray(quick_jit(lambda x: jax.nn.softmax(model.apply(params, x, train=False)))(x))
    hardest = int(np.argmin(p[np.arange(len(y)), y]))
    rows = [*(int(np.flatnonzero(y == k)[5]) for k in (2, 4, 6, 8, 9)), hardest]
    heat = np.asarray(grad_cam(model, (params["params"], {}), jnp.asarray(x[rows]), "Conv_1"))
    return {"images": x[rows, ..., 0], "labels": y[rows], "p": p[rows], "heat": heat}


def draw_vision() -> str:
    seen, accuracy = seen_digits(), trained_cnn().accuracy
    found = seen["p"].argmax(1)
    verdicts = ", ".join(f"{label} as {guess}" for label, guess in zip(seen["labels"], found, strict=True))
    desc = (
        f"Six test digits, what a CNN with {accuracy:.1%} test accuracy takes them for ({verdicts}), and where it looks "
        "(Grad-CAM of the second convolution). The last one is the digit that it judges worst."
    )
    d = Drawing(640, 300, "Computer vision", desc)
    heading(d, "what is it, and where does the network look?", f"{accuracy:.1%} of the test digits are right")
    for i, (image, heat, row, label) in enumerate(
        zip(seen["images"], seen["heat"], seen["p"], seen["labels"], strict=True)
    ):
        x, best = 20 + 103 * i, int(row.argmax())
        d.raster(x, 40, 84, 84, photographs(image[None], 1), data_image=i)
        d.raster(x, 132, 84, 84, photographs(0.45 * image[None], 1))
        fine = np.asarray(heat).repeat(8 // len(heat), 0).repeat(8 // len(heat), 1)
        d.raster(x, 132, 84, 84, blue_overlay(fine), data_heat=i)
        d.text(x, 236, f"{best}", size=15, font_weight=600, data_guess=best)
        d.box(x + 14, 225, max(52 * float(row[best]), 0.5), 12, CHANNELS, fill=0.45, width=0, rx=0)
        d.text(x + 14, 253, f"p = {row[best]:.2f}", size=11.5)
        if best != label:
            d.text(x, 272, f"it is a {label}", size=12, colour=RED, font_weight=600)
    d.text(20, 292, "top: the image; below: blue where it speaks for the class", size=11.5)
    return d.svg()


def blue_overlay(values: np.ndarray) -> np.ndarray:
    """RGBA: one bright blue, the more opaque the larger the value in [0, 1]."""
    alpha = np.round(31 * np.clip(values, 0, 1)) * 200 / 31
    colour = np.broadcast_to(np.array([86, 180, 233]), (*values.shape, 3))
    return np.concatenate([colour, alpha[..., None]], -1).astype(np.uint8)


def draw_small_vision() -> str:
    seen = seen_digits()
    d = Drawing(*TILE, "Computer vision", "A digit, and the probabilities of the classes", digits=1)
    d.raster(4, 10, 52, 52, photographs(seen["images"][3][None], 1))
    for k, p in enumerate(seen["p"][3]):
        d.box(64 + 5.4 * k, 60 - 48 * float(p), 4.2, 48 * float(p) + 0.6, CHANNELS, fill=0.6, width=0, rx=0)
    d.line(63, 61, 118, 61, opacity=0.6)
    return d.svg()


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


ENTRIES = {
    "computer-vision": Drawn(draw_vision, draw_small_vision),
    "image-generation": Drawn(draw_generation, draw_small_generation),
    "face-recognition": Drawn(draw_recognition, draw_small_recognition),
}
