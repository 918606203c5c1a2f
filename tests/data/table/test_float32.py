"""Numbers that float32 would merge: inputs and targets of tables keep their values and their unit."""

import numpy as np
import pytest

from jaxdl.data.table import tabular
from tests.data.table.test_tabular import joined


def stamps(tmp_path, step, n=200):
    """Seconds since 1970 as an input and as a target."""
    t = 1_600_000_000 + step * np.arange(n)
    (tmp_path / "in.csv").write_text("stamp,y\n" + "".join(f"{v},{i}\n" for i, v in enumerate(t)), encoding="utf-8")
    (tmp_path / "out.csv").write_text("x,stamp\n" + "".join(f"{i},{v}\n" for i, v in enumerate(t)), encoding="utf-8")
    return t


@pytest.mark.parametrize("step", [1, 10, 60])
def test_stamps_are_standardised_before_they_are_rounded(tmp_path, step):
    """(t - mean) / deviation in float64; float32 alone would keep 17 of 200 values 10 s apart."""
    t = stamps(tmp_path, step)
    data = tabular.csv(tmp_path / "in.csv", target="y", batch=8)
    rows = {part: arrays["y"].astype(int) for part, arrays in data.splits.items()}
    train = t[rows["train"]].astype(np.float64)
    for part, arrays in data.splits.items():
        found = np.asarray(data.standardise({"x": arrays["x"]})["x"])[:, 0]
        np.testing.assert_allclose(found, (t[rows[part]] - train.mean()) / train.std(), rtol=1e-5, atol=1e-6)
    assert len(np.unique(joined(data, "x"))) == 200
    assert f"'stamp' is held less {np.median(train):.15g}" in data.split
    np.testing.assert_array_equal(data.read(tmp_path / "in.csv")["x"][:, 0], t - np.median(train))
    raw = t[:, None].astype(np.float64)
    np.testing.assert_array_equal(data.as_inputs(raw), data.as_inputs({"stamp": t}))
    np.testing.assert_array_equal(data.as_inputs(data.splits["test"]["x"]), data.splits["test"]["x"])


@pytest.mark.parametrize("step", [1, 10, 60])
def test_targets_that_float32_merges_keep_their_values_and_their_unit(tmp_path, step):
    t = stamps(tmp_path, step)
    data = tabular.csv(tmp_path / "out.csv", target="stamp", batch=8)
    y = joined(data, "y")
    order = np.argsort(joined(data, "x")[:, 0])
    assert len(np.unique(y)) == 200
    np.testing.assert_array_equal(data.in_units(y)[order], t)
    np.testing.assert_array_equal(data.in_units({"value": y})["value"][order], t)
    train = data.in_units(data.splits["train"]["y"])
    np.testing.assert_allclose(data.scale, train.std(), rtol=1e-9)
    np.testing.assert_allclose(data.center + data.offset, train.mean(), rtol=1e-12)


def test_identifiers_near_the_limit_of_float64_stay_distinct_or_are_refused(tmp_path):
    path = tmp_path / "ids.csv"
    path.write_text("id,y\n" + "".join(f"{2**53 - 2 * i},{i % 7}\n" for i in range(60)), encoding="utf-8")
    data = tabular.csv(path, target="y", batch=8)
    assert len(np.unique(joined(data, "x"))) == 60
    path.write_text("id,y\n" + "".join(f"{2**53 + i},{i % 7}\n" for i in range(60)), encoding="utf-8")
    with pytest.raises(ValueError, match=r"ids.csv:3: '9007199254740993' in column 'id'"):
        tabular.csv(path, target="y", batch=8)
    data = tabular.csv(path, target="y", batch=8, categorical=["id"])
    assert len({*data.columns}) == 42  # one for each that is in training


def test_arrays_that_float32_merges_are_standardised_before_they_are_rounded():
    t = 1.6e9 + 10.0 * np.arange(200)
    data = tabular.table(np.stack([t, np.sin(t)], 1), t, batch=8, name="t", columns=("stamp", "wave"), target="stamp")
    assert len(np.unique(joined(data, "x")[:, 0])) == len(np.unique(joined(data, "y"))) == 200
    plain = tabular.table(np.arange(200.0)[:, None] + 2000, t / 1e9, batch=8, name="t")
    assert (plain.encoder.offsets, plain.splits["train"]["x"].min() >= 2000) == ({}, True)
