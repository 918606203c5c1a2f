"""Pictures of layers and augmentations read back: windows, weights, masks and mixtures are what the formulas say."""

import re

import numpy as np
import pytest
from scipy.signal import correlate2d

from jaxdl.data.table import series
from jaxdl.site.pictures import DRAWN, PICTURES
from tests.site.reading import (
    LEVEL,
    check_drawn,
    curve_of,
    heat_values,
    marked,
    numbers,
    photographs_of,
    text_of,
    words,
)

AUGMENTED = ("image-augmentation", "time-series-augmentation")
UNTRAINED = (
    "dropout", "batch-norm", "layer-norm", "text-augmentation", "mixup", "cutmix",
    "convolution", "pooling", "attention", "positional-encoding",
)  # fmt: skip


@pytest.mark.parametrize("slug", [*UNTRAINED, *(pytest.param(slug, marks=pytest.mark.slow) for slug in AUGMENTED)])
def test_a_picture_is_well_formed_and_small(slug):
    check_drawn(DRAWN[slug])


def value(text: str) -> float:
    return float(text.replace("−", "-"))


def test_outputs_of_a_convolution_are_the_windows_times_the_filter():
    picture = PICTURES["convolution"]()
    numbers_after = re.findall(r'data-cell="(\w+)"/><text[^>]*>(−?[\d.]+)</text>', picture)
    found = {kind: [value(v) for k, v in numbers_after if k == kind] for kind in ("input", "output", "filter")}
    inputs = np.array(found["input"]).reshape(3, 5, 5)
    kernel, outputs = np.array(found["filter"]).reshape(3, 3), found["output"]
    np.testing.assert_array_equal(inputs[0], inputs[2])
    for stride, padding in ((1, 1), (2, 1), (1, 0)):
        size = (5 - 3 + 2 * padding) // stride + 1
        expected = correlate2d(np.pad(inputs[0], padding), kernel, "valid")[::stride, ::stride]
        assert expected.shape == (size, size)
        np.testing.assert_array_equal(np.array(outputs[: size * size]).reshape(size, size), expected)
        del outputs[: size * size]
    assert not outputs
    assert numbers(picture, "size") == [5, 3, 3]
    assert len(marked(picture, "padding")) == 2 * (7 * 7 - 5 * 5)


def test_pools_are_the_maximum_and_the_mean_of_each_window():
    picture = PICTURES["pooling"]()
    cells = {kind: np.array([value(t) for t in words(picture, "cell", kind)]) for kind in ("input", "max", "mean")}
    windows = cells["input"].reshape(2, 2, 2, 2).swapaxes(1, 2).reshape(4, 4)
    np.testing.assert_array_equal(cells["max"], windows.max(1))
    np.testing.assert_allclose(cells["mean"], windows.mean(1), rtol=1e-3)


def test_attention_weights_are_a_distribution_and_sharper_without_the_scale():
    picture = PICTURES["attention"]()
    scaled, sharp = (
        np.array([float(t) for t in words(picture, "value", kind)]).reshape(4, 8) for kind in ("scaled", "sharp")
    )
    np.testing.assert_allclose(scaled.sum(1), 1, atol=0.03)  # two decimals are shown
    np.testing.assert_allclose(sharp.sum(1), 1, atol=0.03)
    np.testing.assert_array_equal(scaled.argmax(1), sharp.argmax(1))
    logs = np.log(np.maximum(scaled, 0.005))
    again = np.exp(8 * logs)  # the scale of 64 pixels is 1/8
    np.testing.assert_allclose(again / again.sum(1, keepdims=True), sharp, atol=0.05)


def test_positions_read_back_are_sines_and_cosines():
    (table,) = (heat_values(e) for e in marked(PICTURES["positional-encoding"](), "table"))
    p, i = np.arange(50)[:, None], np.arange(32)[None]
    angle = p / 10_000 ** (2 * i / 64)
    expected = np.stack([np.sin(angle), np.cos(angle)], -1).reshape(50, 64)
    np.testing.assert_allclose(table, expected, atol=LEVEL)


def test_products_of_positions_depend_on_their_distance_only():
    (products,) = (heat_values(e) for e in marked(PICTURES["positional-encoding"](), "products"))
    for distance in (0, 1, 7, 30):
        assert np.ptp(np.diagonal(products, distance)) <= 2 * LEVEL
    np.testing.assert_allclose(np.diagonal(products), 1, atol=LEVEL)


def images(picture: str, row: str) -> np.ndarray:
    (element,) = marked(picture, "row", row)
    return photographs_of(element, 28, 28)


def test_mixtures_read_back_are_a_line_between_two_images():
    picture = PICTURES["mixup"]()
    a, b = (images(picture, f"image {i}")[0] for i in (0, 1))
    for share in (1, 0.8, 0.6, 0.4, 0.2, 0):
        np.testing.assert_allclose(
            images(picture, f"shares {share}")[0], share * a + (1 - share) * b, atol=1.01 * LEVEL
        )
    own, other = numbers(picture, "share")
    assert own + other == pytest.approx(1, abs=1e-3)
    np.testing.assert_allclose(images(picture, "mixup")[0], own * a + other * b, atol=1.01 * LEVEL)


def test_a_cut_mix_is_one_image_with_a_box_of_the_other_and_labels_by_area():
    picture = PICTURES["cutmix"]()
    a, b = (images(picture, f"image {i}")[0] for i in (0, 1))
    mixed, (own, other) = images(picture, "cutmix")[0], numbers(picture, "share")
    assert ((mixed == a) | (mixed == b)).all()
    rows, columns = np.nonzero(mixed != a)
    box = np.zeros((28, 28), bool)
    box[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] = True
    np.testing.assert_array_equal(mixed[box], b[box])
    assert own + other == pytest.approx(1, abs=1e-3)
    assert round(784 * other) >= box.sum(), "outside the smallest box the images may be equal"
    assert other * 784 == pytest.approx(round(other * 784), abs=0.1)


@pytest.mark.slow
def test_flips_are_the_image_or_its_mirror():
    picture = PICTURES["image-augmentation"]()
    original, flipped = images(picture, "original")[0], images(picture, "flip")
    same = [np.array_equal(one, original) for one in flipped]
    mirrored = [np.array_equal(one, original[:, ::-1]) for one in flipped]
    assert len(flipped) == 7
    assert all(a or b for a, b in zip(same, mirrored, strict=True))
    assert any(same)
    assert any(mirrored)


def is_subsequence(short: list[str], long: list[str]) -> bool:
    rest = iter(long)
    return all(word in rest for word in short)


def test_texts_are_changed_as_their_names_say():
    picture = PICTURES["text-augmentation"]()
    found = {name: words(picture, "row", name) for name in ("original", "synonyms", "swap", "delete", "insert", "mask")}
    original = found["original"]
    assert " ".join(original) == "a small model reads a short text and finds the answer"
    assert sorted(found["swap"]) == sorted(original) != found["swap"] != original
    assert is_subsequence(found["delete"], original)
    assert is_subsequence(original, found["insert"])
    assert len(found["delete"]) < len(original) < len(found["insert"])
    kept = {"a", "model", "reads", "text", "and", "the"}
    for before, after in zip(original, found["synonyms"], strict=True):
        assert (before == after) or before not in kept
    assert found["synonyms"] != original
    assert [b if a == "▢" else a for a, b in zip(found["mask"], original, strict=True)] == original
    assert "▢" in found["mask"]


@pytest.mark.slow
def test_a_scaled_series_is_the_series_times_one_number():
    picture = PICTURES["time-series-augmentation"]()
    points = curve_of(picture, 0, "scaling")
    window = series.sunspots(lookback=132, horizon=1, batch=1).splits["test"]["x"][60][:, 0]
    np.testing.assert_allclose(points[:, 0], np.arange(132), atol=0.1)
    ratio = points[:, 1] @ window / (window @ window)
    np.testing.assert_allclose(points[:, 1], ratio * window, atol=1.0)
    assert abs(ratio - 1) > 0.02


def test_dropped_units_are_those_of_hidden_layers_in_training():
    picture = PICTURES["dropout"]()
    dropped = numbers(picture, "dropped")
    assert set(dropped) == {1.0, 2.0}
    assert 18 * 0.5 < len(dropped) < 36 - 18 * 0.5  # of 3 steps x 12 units a half
    before, after = numbers(picture, "mean")
    assert after == pytest.approx(before, rel=0.25)
    assert "evaluation" in text_of(picture)


@pytest.mark.parametrize(("slug", "count"), [("batch-norm", 22), ("layer-norm", 14)])
def test_after_a_norm_every_mean_is_0_and_every_deviation_1(slug, count):
    picture = PICTURES[slug]()
    means, deviations = np.array(numbers(picture, "mean")), np.array(numbers(picture, "deviation"))
    assert len(means) == 2 * count
    np.testing.assert_allclose(means[count:], 0, atol=1e-3)
    np.testing.assert_allclose(deviations[count:], 1, atol=1e-3)
    assert np.abs(deviations[:count] - 1).max() > 0.3
