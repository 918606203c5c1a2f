"""Autoencoder and GAN: their shapes, and images that small trained ones make."""

import numpy as np

from jaxdl.models.autoencoder import Autoencoder
from jaxdl.models.gan import DCGANCritic, DCGANGenerator
from jaxdl.models.mlp import MLP
from jaxdl.site.pictures.architectures import heading
from jaxdl.site.pictures.blocks import (
    BEND,
    CHANNELS,
    FEWER,
    PLACES,
    DrawnArray,
    array_chain,
    layer_shapes,
    model_facts,
    shape_text,
    slab,
)
from jaxdl.site.pictures.charts import TILE
from jaxdl.site.pictures.entries import Drawn
from jaxdl.site.pictures.rasters import photographs
from jaxdl.site.pictures.svg import INK, Drawing
from jaxdl.site.pictures.trained import digit_images
from jaxdl.site.pictures.trained_generators import trained_autoencoders, trained_gan

# -- autoencoder ------------------------------------------------------------------------------------------------------

CODE = 8


def layer_bars(d: Drawing, widths: list[int], box: tuple[float, float, float, float], *, text: bool) -> None:
    """Layers as bars as tall as they are wide; encoder and decoder meet at the code."""
    left, top, width, height = box
    each = width / (len(widths) - 1)
    sizes = [height * (w / max(widths)) ** 0.6 for w in widths]
    for i, (size, count) in enumerate(zip(sizes, widths, strict=True)):
        x, colour = left + i * each, BEND if count == min(widths) else CHANNELS if 0 < i < len(widths) - 1 else INK
        if i:
            a, b = (x - each + 5, sizes[i - 1] / 2), (x - 5, size / 2)
            middle = top + height / 2
            corners = [(a[0], middle - a[1]), (b[0], middle - b[1]), (b[0], middle + b[1]), (a[0], middle + a[1])]
            d.path(corners, CHANNELS, width=0, fill=CHANNELS, fill_opacity=0.12)
        d.box(x - 5, top + (height - size) / 2, 10, size, colour, fill=0.35, width=1.1, rx=1)
        if text:
            d.text(x, top + height + 15, str(count), size=11.5, anchor="middle")


def draw_autoencoder() -> str:
    model = Autoencoder(MLP((64, 32), CODE), MLP((32, 64), 64))
    facts = model_facts(model, (64,), train=False)
    sides = [facts.params[part] for part in ("encoder", "decoder")]
    widths = [64, *(side[name]["kernel"].shape[1] for side in sides for name in sorted(side))]
    made, x = trained_autoencoders(), digit_images("test")[0][..., 0]
    rows = range(9, 20)
    errors = {width: float(np.mean((v["made"].reshape(-1, 8, 8) - x) ** 2)) for width, v in made.items()}
    desc = (
        f"An autoencoder of {facts.total:,} parameters with layers of {', '.join(map(str, widths))} units. Below: test digits, "
        f"and what is made of them from a code of {CODE} numbers (mean squared error {errors[CODE]:.4f}) and of 2 "
        f"({errors[2]:.4f})."
    )
    d = Drawing(640, 356, "Autoencoder", desc)
    heading(d, "encoder, code, decoder", f"{facts.total:,} parameters")
    d.raster(22, 68, 64, 64, photographs(x[rows[0]][None], 1))
    d.raster(554, 68, 64, 64, photographs(made[CODE]["made"].reshape(-1, 8, 8)[rows[0]][None], 1))
    d.arrow(92, 100, 112, 100)
    d.arrow(528, 100, 548, 100)
    layer_bars(d, widths, (124, 40, 392, 120), text=True)
    code = made[CODE]["code"][rows[0]]
    d.text(320, 54, "code", size=12, anchor="middle", font_weight=600)
    d.text(54, 148, "x", size=13, anchor="middle", font_style="italic")
    d.text(586, 148, "x̂", size=13, anchor="middle", font_style="italic")
    d.heat(320 - 4 * 14, 182, 8 * 14, 8, code[None], largest=float(np.abs(made[CODE]["code"]).max()))
    lines = (("test images", x), (f"from {CODE} numbers", made[CODE]["made"]), ("from 2 numbers", made[2]["made"]))
    for i, (name, values) in enumerate(lines):
        y = 208 + 48 * i
        d.text(20, y + 18, name, size=11.5)
        if i:
            width = (CODE, 2)[i - 1]
            d.text(20, y + 33, f"error {errors[width]:.4f}", size=11, opacity=0.8, data_error=f"{errors[width]:.6f}")
        images = np.asarray(values).reshape(-1, 8, 8)[rows.start : rows.stop]
        d.raster(134, y, 44 * 11 - 2, 42, photographs(np.clip(images, 0, 1), 11), data_row=name)
    return d.svg()


def draw_small_autoencoder() -> str:
    d = Drawing(*TILE, "Autoencoder", "Layers that become narrow and wide again", digits=1)
    layer_bars(d, [64, 64, 32, 8, 32, 64, 64], (12, 6, 96, 60), text=False)
    return d.svg()


# -- GAN --------------------------------------------------------------------------------------------------------------

NOISE, SIDE = 100, 64


def gan_stages() -> tuple[list[DrawnArray], list[DrawnArray]]:
    """Generator and critic of DCGAN for 64x64 colour images."""
    makes = layer_shapes(DCGANGenerator((SIDE, SIDE, 3)), (NOISE,))
    judges = layer_shapes(DCGANCritic(), (SIDE, SIDE, 3))
    generator = [DrawnArray("noise", (NOISE,)), DrawnArray("dense", makes["BatchNorm_0"], CHANNELS)]
    generator += [
        DrawnArray("conv ↑", shape, PLACES) for name, shape in makes.items() if name.startswith("ConvTranspose")
    ]
    critic = [DrawnArray("image", (SIDE, SIDE, 3))]
    critic += [DrawnArray("conv", shape, FEWER) for name, shape in judges.items() if name.startswith("Conv_")]
    return generator, [*critic, DrawnArray("logit", judges["Dense_0"], CHANNELS)]


def draw_gan() -> str:
    (generator, critic), (made, times) = gan_stages(), trained_gan()
    counts = [
        model_facts(model, shape, train=False).total
        for model, shape in ((DCGANGenerator((SIDE, SIDE, 3)), (NOISE,)), (DCGANCritic(), (SIDE, SIDE, 3)))
    ]
    desc = (
        f"DCGAN for {SIDE}x{SIDE} images. The generator, {counts[0]:,} parameters, turns noise into an image: "
        f"{', '.join(shape_text(s.shape) for s in generator)}. The critic, {counts[1]:,} parameters, tells real images from made "
        f"ones: {', '.join(shape_text(s.shape) for s in critic)}. Below: digits that a small dense generator makes "
        f"after {', '.join(map(str, times))} steps, beside real ones."
    )
    d = Drawing(640, 528, "Generative adversarial network", desc)
    for y, name, stages, count in ((0, "generator", generator, counts[0]), (146, "critic", critic, counts[1])):
        d.text(20, 22 + y, name, size=14, font_weight=600)
        d.text(620, 22 + y, f"{count:,} parameters", size=12, anchor="end", data_parameters=count)
        array_chain(d, stages, (10, 24 + y, 620, 120))
    x, y = digit_images("train")
    real = np.stack([x[int(np.flatnonzero(y == k)[0]), ..., 0] for k in range(10)])
    d.text(20, 314, "digits that a small dense generator makes, one for each label", size=12, font_weight=600)
    for i, (images, step) in enumerate(zip([*made, real], [*times, None], strict=True)):
        top = 324 + 49 * i
        d.text(116, top + 27, "real digits" if step is None else f"{step} steps", size=12, anchor="end")
        d.raster(130, top, 49 * 10 - 4, 44, photographs(images, 10), data_step=step)
    return d.svg()


def draw_small_gan() -> str:
    d = Drawing(
        *TILE, "Generative adversarial network", "Arrays that grow to an image and shrink to a number", digits=1
    )
    for i, side in enumerate((4, 8, 16, 32)):
        slab(d, 3 + 13 * i, 66, (side, side, 512 // 2**i), PLACES, 0.62 + 0.1 * i)
    for i, side in enumerate((32, 16, 8, 4)):
        slab(d, 62 + 14 * i, 66, (side, side, 64 * 2**i), FEWER, 0.92 - 0.13 * i)
    return d.svg()


ENTRIES = {
    "autoencoder": Drawn(draw_autoencoder, draw_small_autoencoder),
    "gan": Drawn(draw_gan, draw_small_gan),
}
