"""Windows over series: what they hold, that no part leaks into another, what is said of gaps and wrong files."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.data.table import series
from tests.programs import one_program

LINE = np.arange(40.0)
OPTIONS = dict(lookback=4, horizon=3, batch=5)


def test_windows_are_the_rows_and_their_future():
    both = np.stack([LINE, -LINE], -1)
    data = series.windows(both, parts=(20, 10, 10), columns=("a", "b"), targets=1, **OPTIONS)
    assert {split: data.size(split) for split in data.splits} == {"train": 14, "validation": 8, "test": 8}
    assert data.splits["train"]["x"].shape == (14, 4, 2)
    np.testing.assert_array_equal(data.splits["train"]["x"][2, :, 1], [-2, -3, -4, -5])
    np.testing.assert_array_equal(data.splits["train"]["y"][2], [[6], [7], [8]])
    assert not data.splits["train"]["x"].flags.owndata, "a view: windows are not stored"
    assert (data.center, data.standardise.mean) == ((9.5,), (9.5, -9.5))
    assert data.scale[0] == pytest.approx(np.std(LINE[:20]))


def test_no_part_leaks_into_another():
    """Targets of each part lie in its own rows; inputs reach back at most to where the earlier part ends its own."""
    data = series.windows(LINE, parts=(0.5, 0.25, 0.25), **OPTIONS)
    rows = {split: np.unique(arrays["y"]) for split, arrays in data.splits.items()}
    np.testing.assert_array_equal(rows["train"], np.arange(4, 20))
    np.testing.assert_array_equal(rows["validation"], np.arange(20, 30))
    np.testing.assert_array_equal(rows["test"], np.arange(30, 40))
    assert data.splits["validation"]["x"].min() == 16
    assert data.splits["train"]["x"].max() < data.splits["validation"]["y"].min()
    for name, other in (("later values", np.r_[LINE[:20], 1e6 * LINE[20:]]), ("none", LINE[:35])):
        again = series.windows(other, parts=(20, 10, len(other) - 30), **OPTIONS)
        assert (again.center, again.scale) == (data.center, data.scale), f"{name} change the statistics"


def test_a_step_gathers_the_windows_and_an_epoch_has_each_once():
    data = series.windows(LINE, parts=(32, 4, 4), **OPTIONS)  # 26 windows, batches of 5
    steps = np.array([*range(26), 7], np.int32)  # five epochs, and one step again
    batches = one_program(
        lambda source: jax.lax.map(lambda step: data.train_batch(source, 3, step), steps), dict(data.source(0, 1, 0))
    )
    x, y = batches["x"][..., 0], batches["y"][..., 0]
    np.testing.assert_array_equal(np.concatenate([x, y], 2), x[:, :, :1] + np.arange(7))
    assert np.bincount(x[:26, :, 0].astype(int).ravel()).tolist() == [5] * 26
    np.testing.assert_array_equal(x[26], x[7])


@pytest.mark.parametrize("batch", [1, 3, 7, 8, 13])
def test_evaluation_sees_every_window_once_in_order(batch):
    data = series.windows(LINE, lookback=4, horizon=3, batch=batch, parts=(20, 10, 10))
    ((count, source),) = data.eval_sources("test")
    assert source is next(iter(data.eval_sources("test")))[1], "one object, so that it is put on the device once"
    every = lambda source: jax.lax.map(lambda i: data.eval_batch(source, i), jnp.arange(count))
    batches = one_program(every, {"series": source["series"]})
    for key in ("x", "y"):
        np.testing.assert_array_equal(batches[key][batches["mask"] > 0], data.splits["test"][key])


GAP = np.where(LINE == 22, np.nan, LINE)


def test_a_gap_is_named_or_filled_from_the_past():
    with pytest.raises(
        ValueError, match=r"^sea: row 23 has no value in 'series 0' \(1 gaps in all\): fill = 'previous'"
    ):
        series.windows(GAP, name="sea", **OPTIONS)
    data = series.windows(GAP, fill="previous", parts=(20, 10, 10), **OPTIONS)
    np.testing.assert_array_equal(data.splits["validation"]["y"][0, :, 0], [20, 21, 21])
    for fill in (None, "previous"):  # which does not help: there is nothing to repeat
        with pytest.raises(ValueError, match=r"row 1 has no value .* nothing before it .*: begin the file at row 3$"):
            series.windows(np.r_[np.nan, np.nan, LINE], fill=fill, **OPTIONS)
        with pytest.raises(
            ValueError, match=r"row 1 has no value in 'b' \(40 gaps in all\).*leave out columns without"
        ):
            series.windows(np.stack([LINE, LINE * np.nan], 1), columns=("a", "b"), fill=fill, **OPTIONS)
    with pytest.raises(ValueError, match="fill = 'linear'"):
        series.windows(GAP, fill="linear", **OPTIONS)


BAD = {
    "too short": (dict(series=LINE[:9]), "9 rows are too few: train gets 6 and needs 7"),
    "parts": (dict(series=LINE, parts=(30, 10, 10)), "40 rows are too few: test gets 0 and needs 10"),
    "horizon": (dict(series=LINE, parts=(36, 2, 2)), "validation gets 2 and needs 3"),
    "one part": (dict(series=LINE, parts=(1.0,)), r"parts = \(1.0,\)"),
    "lookback": (dict(series=LINE, lookback=0), "lookback = 0"),
    "targets": (dict(series=LINE, targets=2), "targets = 2"),
    "names": (dict(series=LINE, columns=("a", "b")), "2 names for 1 columns"),
    "words": (dict(series=np.array(["a", "b"])), "must be numbers"),
    "batch": (dict(series=LINE, batch=100), "batch = 100"),
}


@pytest.mark.parametrize(("change", "message"), BAD.values(), ids=BAD)
def test_a_wrong_request_is_one_line(change, message):
    arguments = OPTIONS | change
    with pytest.raises(ValueError, match=message) as caught:
        series.windows(arguments.pop("series"), **arguments)
    assert "\n" not in str(caught.value)


def table(tmp_path, rows, head="day,a,b"):
    path = tmp_path / "table.csv"
    path.write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    return path


def days(n):
    return [f"2020-01-{i + 1:02d},{i},{2 * i}" for i in range(n)]


def test_a_csv_file_is_read_and_so_are_its_last_rows(tmp_path):
    path = table(tmp_path, days(30))
    data = series.csv(path, time="day", targets=("b",), **OPTIONS)
    assert (data.columns, data.name) == (("b", "a"), "table.csv")
    np.testing.assert_array_equal(data.splits["train"]["x"][0, :2], [[0, 0], [2, 1]])
    assert data is series.csv(path, time="day", targets=("b",), **OPTIONS), "cached: one set a process"
    np.testing.assert_array_equal(data.read(path)["x"][0, -1], [58, 29])
    with pytest.raises(ValueError, match=r"short.csv: has 2 rows, the model reads 4"):
        data.read(table(tmp_path, days(2)).rename(tmp_path / "short.csv"))


def test_a_file_for_a_prediction_must_advance_as_well(tmp_path):
    data = series.csv(table(tmp_path, days(30)), time="day", **OPTIONS)
    assert data.time == "day"
    gap = table(tmp_path, [*days(9), *days(30)[10:]]).rename(tmp_path / "gap.csv")
    with pytest.raises(ValueError, match=r"gap.csv, column 'day': from row 9 \(2020-01-09\) to row 10 \(2020-01-11\)"):
        data.read(gap)
    back = table(tmp_path, days(30)[::-1]).rename(tmp_path / "back.csv")
    with pytest.raises(
        ValueError, match=r"from row 1 \(2020-01-30\) to row 2 \(2020-01-29\) it does not advance: rows"
    ):
        data.read(back)
    with pytest.raises(ValueError, match=r"undated.csv: has no column 'day'; it has a, b"):
        data.read(table(tmp_path, ["1,2"] * 5, head="a,b").rename(tmp_path / "undated.csv"))
    assert series.csv(table(tmp_path, days(30)), **OPTIONS).read(gap)["x"].shape == (1, 4, 2), "no time, no check"


def test_empty_lines_are_counted_as_rows(tmp_path):
    path = table(tmp_path, [*days(5), "", *days(9)[6:]])
    with pytest.raises(ValueError, match=r"from row 5 \(2020-01-05\) to row 7 \(2020-01-07\)"):
        series.csv(path, time="day", **OPTIONS)
    path = table(tmp_path, [*days(5), "", "2020-01-06,,3", *days(30)[6:]])
    with pytest.raises(ValueError, match=r"row 7 has no value in 'a'"):
        series.csv(path, time="day", **OPTIONS)


def test_another_notation_and_a_column_that_nobody_asked_for(tmp_path):
    path = table(tmp_path, [f"{i};{i},5;{'x' if i == 3 else i}" for i in range(60)], head="t;v;note")
    data = series.csv(path, lookback=2, horizon=1, batch=2, columns=("v",), decimal=",", time="t")
    np.testing.assert_array_equal(data.splits["train"]["x"][0, :, 0], [0.5, 1.5])
    np.testing.assert_array_equal(data.read(path)["x"][0, :, 0], [58.5, 59.5])


STEADY = {
    "tenths": [0.0, 0.1, 0.2, 0.3, 0.4, 0.1 + 0.4, 0.6],  # 0.3 - 0.2 is not 0.1 in binary
    "tenths of a second since 1970": (1.6e9 + np.arange(40) / 10).tolist(),
    "rounded": [0.333, 0.667, 1.0, 1.333],
    "months": ["2020-01-01", "2020-02-01", "2020-03-01", "2020-04-01"],
    "months' middles": ["2019-11-15", "2019-12-15", "2020-01-15", "2020-02-15"],
    "months' ends": ["2020-01-31", "2020-02-29", "2020-03-31", "2020-04-30"],
    "months by name": ["2020-11", "2020-12", "2021-01"],
    "quarters": ["2020-03-31", "2020-06-30", "2020-09-30", "2020-12-31", "2021-03-31"],
    "years": ["1999-01-01", "2000-01-01", "2001-01-01", "2002-01-01"],
    "weeks": ["2020-02-03", "2020-02-10", "2020-02-17"],
    "four weeks": ["2020-01-01", "2020-01-29", "2020-02-26", "2020-03-25"],
    "hours over a day's end": ["2020-02-28 22:00", "2020-02-28 23:00", "2020-02-29 00:00"],
    "two": [3.0, 4.0],
    "one": ["2020-01-01"],
}


@pytest.mark.parametrize("stamps", STEADY.values(), ids=STEADY)
def test_steps_of_the_clock_and_of_the_calendar(stamps):
    series.check_time(np.array(stamps), source="t")


ODD = {
    "tenths": ([0.1, 0.2, 0.3, 0.5, 0.6], "from row 3 (0.3) to row 4 (0.5) it does not advance by 0.1:"),
    "the first one": ([1.0, 3.0, 4.0, 5.0], "from row 1 (1.0) to row 2 (3.0) it does not advance by 1:"),
    "repeated": ([1.0, 2.0, 2.0, 3.0], "from row 2 (2.0) to row 3 (2.0)"),
    "a month": (["2020-01-01", "2020-02-01", "2020-04-01", "2020-05-01"], "from row 2 (2020-02-01) to row 3"),
    "a month's end": (["2020-01-31", "2020-02-29", "2020-04-30", "2020-05-31"], "to row 3 (2020-04-30) it does not"),
    "a slip": ([f"2020-{m:02d}-{1 + (m == 3):02d}" for m in range(1, 10)], "to row 3 (2020-03-02) it does not"),
    "a year": (["1999-01-01", "2000-01-01", "2002-01-01", "2003-01-01"], "not advance by 12 months"),
    "an hour": (["2020-01-01 00", "2020-01-01 01", "2020-01-01 03", "2020-01-01 04"], "not advance by 1 hours"),
    "backwards": (["2020-03-01", "2020-02-01", "2020-01-01"], "does not advance: rows stand in the order of time"),
    "numbers backwards": ([3.0, 2.0, 1.0], "does not advance: rows stand in the order of time, the oldest first"),
    "no date": (["2020-01-01", "", "2020-01-03"], "t: row 2 has none"),
    "no number": ([1.0, 2.0, np.nan], "t: row 3 has none"),
}


@pytest.mark.parametrize(("stamps", "message"), ODD.values(), ids=ODD)
def test_a_gap_in_time_is_named_by_its_row(stamps, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        series.check_time(np.array(stamps), source="t")


WRONG = {
    "missing column": (days(30), dict(columns=("c",)), "has no column 'c'; it has day, a, b"),
    "missing target": (days(30), dict(targets=("c",)), "has no column 'c'"),
    "words": (days(30), dict(columns=("day",)), "column 'day' holds '2020-01-01', not numbers"),
    "a word": ([*days(9), "2020-01-10,x,1", *days(30)[10:]], {}, ":11: 'x' in column 'a' is not a number"),
    "a gap": ([*days(9), "2020-01-10,,1", *days(30)[10:]], {}, "row 10 has no value in 'a'"),
    "a missing row": (
        [*days(9), *days(30)[10:]],
        dict(time="day"),
        r"column 'day': from row 9 \(2020-01-09\) to row 10 \(2020-01-11\) it does not advance by 1 days",
    ),
    "no dates": ([f"x,{i},{i}" for i in range(30)], dict(time="day"), "'x' is not a date"),
    "too short": (days(8), {}, "8 rows are too few"),
}


@pytest.mark.parametrize(("rows", "change", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_file_is_one_line_that_begins_with_its_path(rows, change, message, tmp_path):
    path = table(tmp_path, rows)
    with pytest.raises(ValueError, match=message) as caught:
        series.csv(path, **OPTIONS, **change)
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith((str(path), path.name))
    assert len(re.findall("table.csv", text)) == 1


def test_the_sunspots_are_the_ones_that_everybody_knows():
    data = series.sunspots(lookback=264, horizon=12, batch=64)
    train = data.rows["train"]["series"][:, 0]
    assert len(train) == round(3126 * 0.7)
    months = np.concatenate([train, *(data.rows[part]["series"][264:, 0] for part in ("validation", "test"))])
    assert len(months) == 3126
    assert months[0] == 58.0  # January 1749
    assert months.max() == pytest.approx(253.8)  # October 1957, the highest month of the old scale
    assert months[:12].mean() == pytest.approx(80.9, abs=0.05)  # 1749


def test_a_column_that_float32_cannot_tell_apart_is_refused():
    seconds = np.stack([np.sin(np.arange(100.0)), 1.7e9 + np.arange(100.0)], 1)
    with pytest.raises(ValueError, match=r"'at' varies by .* too little for float32: subtract a constant"):
        series.windows(seconds, columns=("y", "at"), lookback=3, horizon=2, batch=4)
    series.windows(1e5 + np.arange(100.0), lookback=3, horizon=2, batch=4)


def test_a_target_named_twice_is_one(tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n" + "".join(f"{i},{i * i}\n" for i in range(60)), encoding="utf-8")
    data = series.csv(tmp_path / "a.csv", lookback=3, horizon=2, batch=4, targets=("a", "a"))
    assert data.splits["train"]["y"].shape[-1] == 1


def test_the_stamp_that_is_no_date_is_named():
    with pytest.raises(ValueError, match="'2020-02-30' is not a date"):
        series.check_time(np.array(["2020-02-27", "2020-02-28", "2020-02-30"]), source="t")
