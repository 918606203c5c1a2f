"""Mix-up and cut-mix of two images and their labels, by the library's own augmentations."""

import math
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.augment import mix
from jaxdl.data.image.vision import FASHION
from jaxdl.site.pictures.architectures import heading
from jaxdl.site.pictures.augmentation import shown_clothing
from jaxdl.site.pictures.blocks import CHANNELS, operation
from jaxdl.site.pictures.charts import TILE, Axes, Chart, Line
from jaxdl.site.pictures.entries import Drawn
from jaxdl.site.pictures.rasters import photographs
from jaxdl.site.pictures.svg import GREEN, PURPLE, Drawing
from jaxdl.site.pictures.trained import quick_jit

PAIR = (9, 1)
"""Labels of the two images that are mixed: ankle boot, trouser."""
SHARES = (1.0, 0.8, 0.6, 0.4, 0.2, 0.0)
SEEDS = (12, 0, 2, 4, 16, 1, 7)
"""Draws of cut-mix that are shown."""


LAMBDAS = np.linspace(0.005, 0.995, 100)


def beta_density(alpha: float) -> np.ndarray:
    """Density of Beta(α, α), of which λ is drawn, at `LAMBDAS`: Γ(2α)/Γ(α)² · (λ(1 − λ))^(α − 1)."""
    return math.gamma(2 * alpha) / math.gamma(alpha) ** 2 * (LAMBDAS * (1 - LAMBDAS)) ** (alpha - 1)


@cache
def mixed_images() -> dict[str, np.ndarray]:
    """`mixup` and `cutmix` of the pair by one draw each, with their labels.

    `shares` are mixtures for `SHARES`, `boxes` other draws of cut-mix.
    """
    pair = np.stack([shown_clothing(label, number) for label, number in zip(PAIR, (3, 1), strict=True)])[..., None]
    batch = {"x": jnp.asarray(pair), "y": jnp.array(PAIR)}

    def run(batch: dict[str, jax.Array]) -> dict[str, jax.Array]:
        found = {"shares": jnp.stack([mix.with_partner(batch["x"], jnp.full(2, s))[0] for s in SHARES])[..., 0]}
        made = mix.mixup(1.0, 10)(jax.random.key(0), batch)
        # one program draws all boxes: compiling the draw of a Beta variable is most of what this costs
        some = jax.vmap(lambda seed: mix.cutmix(1.0, 10)(jax.random.key(seed), batch))(jnp.array(SEEDS))
        boxes, labels = some["x"][:, 0, ..., 0], some["y"][:, 0]
        found |= {"mixup": made["x"][0, ..., 0], "mixup label": made["y"][0]}
        found |= {"cutmix": boxes[0], "cutmix label": labels[0], "boxes": boxes[1:], "boxes labels": labels[1:]}
        return found

    return {"pair": pair[..., 0], **{name: np.asarray(v) for name, v in quick_jit(run)(batch).items()}}


def label_bars(d: Drawing, x: float, y: float, label: np.ndarray) -> None:
    """The mixed label as bars."""
    for i, k in enumerate(PAIR):
        at, p = y + 24 * i, float(label[k])
        d.text(x, at + 11, FASHION[k], size=12)
        d.box(x + 82, at, max(58 * p, 0.6), 14, CHANNELS, fill=0.4, width=0, rx=0, data_label=k, data_share=f"{p:.4f}")
        d.text(x + 88 + 58 * p, at + 11, f"{p:.2f}", size=12)


def draw_mix(slug: str) -> str:
    found = mixed_images()
    label = found[f"{slug} label"]
    title = {"mixup": "Mix-up", "cutmix": "Cut-mix"}[slug]
    how = {
        "mixup": "pixels and labels are λ times the first plus 1 − λ times the second",
        "cutmix": "a box of the second is pasted into the first; labels are mixed in proportion to the areas",
    }[slug]
    names = [FASHION[k] for k in PAIR]
    desc = f"{title} of an {names[0]} and a {names[1]}: {how}. Here the label is {label[PAIR[0]]:.2f} {names[0]}."
    d = Drawing(640, 344 if slug == "mixup" else 314, title, desc)
    heading(
        d, "x = λ x₁ + (1 − λ) x₂,  the same for y" if slug == "mixup" else "x = a box of x₂ in x₁,  y by the areas"
    )
    for i, (one, name) in enumerate(zip(found["pair"], names, strict=True)):
        x = 20 + 148 * i
        d.raster(x, 44, 112, 112, photographs(one[None], 1), data_row=f"image {i}")
        d.text(x + 56, 174, name, size=12, anchor="middle")
    operation(d, 150, 100, "+")
    d.arrow(288, 100, 316, 100)
    d.raster(324, 44, 112, 112, photographs(found[slug][None], 1), data_row=slug)
    d.text(380, 174, f"λ = {label[PAIR[0]]:.2f}", size=12, anchor="middle")
    d.text(456, 68, "label", size=12, font_weight=600)
    label_bars(d, 456, 80, label)
    names = ("shares", SHARES) if slug == "mixup" else ("boxes", found["boxes labels"][:, PAIR[0]].tolist())
    for i, (share, one) in enumerate(zip(names[1], found[names[0]], strict=True)):
        d.raster(20 + 62 * i, 226, 56, 56, photographs(one[None], 1), data_row=f"{names[0]} {share:g}")
        d.text(48 + 62 * i, 300, f"λ = {share:.2g}", size=11, anchor="middle")
    if slug == "cutmix":
        d.text(20, 214, "other draws", size=12, font_weight=600)
    else:
        lines = [Line(LAMBDAS, beta_density(a), f"α = {a:g}", c) for a, c in ((0.2, PURPLE), (1.0, GREEN))]
        axes = Axes(d, (444, 226, 176, 76), Chart(lines, "λ ~ Beta(α, α)", "", (0, 1), (0, 6)))
        axes.frame()
        axes.plot()
        axes.legend()
    return d.svg()


def draw_small_mix(slug: str) -> str:
    title = {"mixup": "Mix-up", "cutmix": "Cut-mix"}[slug]
    d = Drawing(*TILE, title, "Two images and their mixture", digits=1)
    found = mixed_images()
    three = np.stack([*found["pair"], found[slug]])
    d.raster(3, 18, 32, 32, photographs(three[:1], 1))
    d.raster(39, 18, 32, 32, photographs(three[1:2], 1))
    d.arrow(73, 34, 81, 34, width=1.2, head=4)
    d.raster(84, 18, 33, 33, photographs(three[2:], 1))
    return d.svg()


ENTRIES = {slug: Drawn(partial(draw_mix, slug), partial(draw_small_mix, slug)) for slug in ("mixup", "cutmix")}
