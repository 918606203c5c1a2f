"""Splits are disjoint, complete and fixed; scaling uses the numbers it was given; checks name what is wrong."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.data import prepare, splits
from tests.programs import one_program


@pytest.mark.parametrize("n", [20, 101, 1000])
@pytest.mark.parametrize("classes", [1, 4])
def test_a_split_is_disjoint_complete_stratified_and_fixed(n, classes):
    rng = np.random.default_rng(n)
    x, y = rng.normal(size=(n, 3)), rng.integers(0, classes, n)
    rows, _ = splits.split_rows(x, y)
    np.testing.assert_array_equal(np.sort(np.concatenate(list(rows.values()))), np.arange(n))
    for part, share in splits.FRACTIONS.items():
        for c in range(classes):
            total = (y == c).sum()
            assert abs((y[rows[part]] == c).sum() - share * total) <= 1, (part, c)
    again, _ = splits.split_rows(x.copy(), y)
    for part in rows:
        np.testing.assert_array_equal(rows[part], again[part])


GOLDEN = {
    "train": [1, 2, 4, 5, 6, 7, 8, 9, 10, 13, 14, 17, 18, 19],
    "validation": [3, 11, 16],
    "test": [0, 12, 15],
}


def test_the_split_does_not_change_from_release_to_release():
    rows, _ = splits.split_rows(np.arange(20.0))
    assert {part: r.tolist() for part, r in rows.items()} == GOLDEN


def test_equal_rows_stay_in_one_part_unless_they_are_ordinary():
    x = np.arange(200)
    x[190:] = x[:10]
    rows, sentence = splits.split_rows(x)
    values = [set(x[r].tolist()) for r in rows.values()]
    assert sum(map(len, values)) == len(set().union(*values)) == 190
    assert "duplicates stay in one part" in sentence
    rows, sentence = splits.split_rows(np.zeros((100, 2)), np.arange(100) % 2)
    assert [len(r) for r in rows.values()] == [70, 14, 16]
    assert sentence.endswith("the same split for every seed, stratified by class; 99 rows repeat others")


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_statistics_standardise_the_rows_they_come_from(dtype):
    x = np.random.default_rng(0).integers(0, 256, (50, 4, 4, 3)).astype(dtype)
    x[..., 2] = 7
    scale, standardise = prepare.Scale(255.0), prepare.statistics(x, maximum=255.0)
    out = one_program(lambda x: standardise(scale({"x": x, "y": 1}))["x"], x)
    np.testing.assert_allclose(out[..., :2].mean((0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(out[..., :2].std((0, 1, 2)), 1, rtol=1e-5)
    np.testing.assert_allclose(out[..., 2], 0, atol=1e-6)
    np.testing.assert_allclose(standardise.mean[:2], (x / 255.0).mean((0, 1, 2), dtype=float)[:2], rtol=1e-6)
    assert scale({"x": x, "y": 1})["y"] == 1


def test_standardise_keeps_the_precision_and_is_equal_to_its_twin():
    standardise = prepare.Standardise((1.0, 2.0), (0.5, 4.0))
    out = one_program(lambda x: standardise({"x": x})["x"], np.array([[2.0, 2.0]], jnp.bfloat16))
    assert out.dtype == jnp.bfloat16
    assert out.tolist() == [[2.0, 0.0]]
    assert standardise == prepare.Standardise((1.0, 2.0), (0.5, 4.0))
    assert hash(standardise) == hash(prepare.Standardise((1.0, 2.0), (0.5, 4.0)))


def test_labels_become_int32():
    y = prepare.check_labels(np.array([0.0, 2.0]), classes=3, source="s")
    assert y.dtype == np.int32
    assert prepare.check_labels(np.array([-1, 2]), classes=3, source="s", ignored=True).tolist() == [-1, 2]


bad_table = np.array([[0.0, 1.0], [2.0, np.nan], [np.inf, 0.0]])
BAD = {
    "column": (
        lambda: prepare.check_inputs(bad_table, source="file.csv", columns=("a", "b")),
        r"file.csv: 2 values are not finite, the first \(nan\) in row 1, column 'b'",
    ),
    "place": (lambda: prepare.check_inputs(bad_table[None], source="s"), r"in row 0, position \(1, 1\)"),
    "vector": (lambda: prepare.check_inputs(bad_table[:, 1], source="s"), r"\(nan\) in row 1$"),
    "high": (
        lambda: prepare.check_labels(np.array([0, 3]), classes=3, source="s"),
        "label 3 of row 1 is not one of 0 … 2",
    ),
    "low": (lambda: prepare.check_labels(np.array([0, -1]), classes=3, source="s"), "label -1 of row 1"),
    "ignored": (lambda: prepare.check_labels(np.array([-2]), classes=3, source="s", ignored=True), "0 … 2 or -1"),
    "fraction": (lambda: prepare.check_labels(np.array([0.5]), classes=3, source="s"), r"label 0\.5 of row 0"),
    "nan": (lambda: prepare.check_labels(np.array([np.nan]), classes=3, source="s"), "label nan of row 0"),
    "axes": (lambda: prepare.check_labels(np.zeros((2, 2)), classes=3, source="s"), r"\(n,\), got float64 \(2, 2\)"),
    "few": (lambda: splits.split_rows(np.arange(2), source="s"), "s: 2 rows are too few, nothing is left for"),
    "none": (lambda: splits.split_rows(np.zeros((0, 2))), "0 rows are too few"),
}


@pytest.mark.parametrize("name", BAD)
def test_errors(name):
    call, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        call()
