"""The pictures of the sheet: one for each entry, well formed, small, readable in both themes, and true when read back."""

import math
import re

import numpy as np
import pytest

from jaxdl.site.pictures import PICTURES, TILES, activations, losses, optimizers, svg
from tests.site.reading import check_drawn, curve_of

LIGHT, DARK = ("#ffffff", "#f8f9fb"), ("#131416", "#1a1c1e")
"""Backgrounds of furo's pages."""


@pytest.mark.parametrize("topic", [activations, losses, optimizers], ids=lambda m: m.__name__.rpartition(".")[2])
def test_charts_are_well_formed_and_small(topic):
    for drawn in topic.ENTRIES.values():
        check_drawn(drawn)


@pytest.mark.parametrize(
    ("slug", "name", "formula"),
    [
        ("relu", "ReLU", lambda x: max(0.0, x)),
        ("leaky-relu", "slope 0.01", lambda x: x if x > 0 else 0.01 * x),
        ("tanh", "tanh(x)", math.tanh),
        ("gelu", "GELU", lambda x: x * 0.5 * (1 + math.erf(x / math.sqrt(2)))),
    ],
)
def test_an_activation_read_back_is_its_formula(slug, name, formula):
    points = curve_of(PICTURES[slug](), 0, name)
    assert len(points) > 100
    np.testing.assert_allclose(points[[0, -1], 0], [-4, 4], atol=1e-3)
    np.testing.assert_allclose(points[:, 1], [formula(x) for x in points[:, 0]], atol=1e-3)


def test_the_lasso_read_back_is_the_soft_threshold():
    a, w = curve_of(PICTURES["l1"](), 1, "L1").T
    np.testing.assert_allclose(w, np.sign(a) * np.maximum(np.abs(a) - 1, 0), atol=0.03)  # the minimum is one of a grid


@pytest.mark.parametrize("slug", ["sgd", "momentum"])
def test_a_path_read_back_is_the_update_rule(slug):
    points = curve_of(PICTURES[slug](), 0, optimizers.NAMES[slug])
    rate, w, m = optimizers.optimizer_paths()[slug][0], np.array([-3.5, 1.6]), np.zeros(2)
    turn = np.deg2rad(12)
    along, across = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
    hessian, b = np.outer(along, along) + 100 * np.outer(across, across), {"sgd": 0.0, "momentum": 0.9}[slug]
    assert len(points) == optimizers.STEPS + 1
    for place in points:
        np.testing.assert_allclose(place, w, atol=5e-3)
        m = b * m + hessian @ (w - np.array([2.0, 0.8]))
        w = w - rate * m


def luminance(colour: str) -> float:
    """Relative luminance of WCAG 2.1."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def test_colours_can_be_read_in_both_themes():
    for light, dark in svg.COLOURS.values():
        for text, grounds in ((light, LIGHT), (dark, DARK)):
            for ground in grounds:
                low, high = sorted((luminance(text), luminance(ground)))
                assert (high + 0.05) / (low + 0.05) >= 4.5, f"{text} on {ground}"
    defined = re.findall(r"--site-(\d):", svg.stylesheet())
    assert len(defined) == 3 * len(svg.COLOURS)


def test_a_png_is_read_by_another_library():
    image = pytest.importorskip("PIL.Image")
    import base64
    import io

    rng = np.random.default_rng(0)
    for pixels in (
        rng.integers(0, 256, (5, 7), np.uint8),
        rng.integers(0, 256, (20, 30, 3), np.uint8),
        svg.signed(rng.normal(size=(9, 4))),
    ):
        data = base64.b64decode(svg.png(pixels).partition(",")[2])
        found = image.open(io.BytesIO(data))
        mode = {2: "L"}.get(pixels.ndim, "RGB" if pixels.shape[-1] == 3 else "RGBA")
        np.testing.assert_array_equal(np.asarray(found.convert(mode)), pixels)


SLUGS = """
mlp cnn rnn lstm gru transformer vit autoencoder gan alexnet vgg resnet inception mobilenet efficientnet typical-cnn
relu leaky-relu elu sigmoid tanh softmax swish gelu
binary-cross-entropy cross-entropy focal mse mae huber contrastive triplet arcface-cosface l1 l2 elastic-net
sgd momentum nesterov adagrad rmsprop adam adamw lamb
dropout batch-norm layer-norm weight-decay early-stopping
image-augmentation text-augmentation time-series-augmentation mixup cutmix
convolution pooling attention multi-head-attention positional-encoding seq2seq
forecasting-and-speech translation-and-text computer-vision dimensionality-reduction image-generation face-recognition tabular
forward-pass
"""


def test_every_entry_of_the_sheet_has_a_picture_and_a_tile():
    assert len(SLUGS.split()) == 68
    assert set(SLUGS.split()) == PICTURES.keys() == TILES.keys()
