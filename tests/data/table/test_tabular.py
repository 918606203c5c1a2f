"""Tables: the bundled sets against scikit-learn's own loaders, statistics from the training rows only, CSV encoding."""

import subprocess
import sys

import numpy as np
import pytest
import sklearn.datasets

from jaxdl.data import splits
from jaxdl.data.table import tabular

SETS = {
    "breast_cancer": (tabular.breast_cancer, sklearn.datasets.load_breast_cancer, {}),
    "wine": (tabular.wine, sklearn.datasets.load_wine, {}),
    "iris": (tabular.iris, sklearn.datasets.load_iris, {}),
    "diabetes": (tabular.diabetes, sklearn.datasets.load_diabetes, {"scaled": False}),
}


def joined(data, key):
    return np.concatenate([data.splits[part][key] for part in ("train", "validation", "test")])


@pytest.mark.parametrize("name", SETS)
def test_the_parts_together_are_the_set_of_scikit_learn(name):
    ours, theirs, options = SETS[name]
    data, peer = ours(), theirs(**options)
    x, y = joined(data, "x"), joined(data, "y")
    order, expected = (np.lexsort((b, *a.T)) for a, b in ((x, y), (peer.data.astype(np.float32), peer.target)))
    np.testing.assert_array_equal(x[order], peer.data.astype(np.float32)[expected])
    np.testing.assert_allclose(y[order], peer.target[expected])
    assert data.classes == tuple(str(c).replace("class_", "class ") for c in getattr(peer, "target_names", ()))
    assert len(data.columns) == x.shape[1]
    if name != "diabetes":
        plain = [str(c).replace("_", " ") for c in peer.feature_names]
        assert list(data.columns) == plain
    assert data.split.startswith(" / ".join(f"{data.size(p)} {p}" for p in ("train", "validation", "test")))


@pytest.mark.parametrize("name", SETS)
def test_statistics_are_those_of_the_training_rows_alone(name):
    data = SETS[name][0]()
    train = data.splits["train"]["x"].astype(float)
    np.testing.assert_allclose(data.standardise.mean, train.mean(0), rtol=1e-6)
    np.testing.assert_allclose(data.standardise.std, train.std(0), rtol=1e-6)
    whole = joined(data, "x").astype(float)
    assert np.abs(train.mean(0) - whole.mean(0)).max() > 1e-3  # so that the comparison can tell them apart
    if not data.classes:
        y = data.splits["train"]["y"]
        np.testing.assert_allclose((data.center, data.scale), (y.mean(), y.std()), rtol=1e-5)


def test_statistics_do_not_move_when_other_rows_change():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 2)), rng.normal(size=40)
    before = tabular.table(x, y, batch=4, name="t")
    rows, _ = splits.split_rows(x.astype(np.float32))
    for part in ("validation", "test"):
        x[rows[part]] += 1e3
        y[rows[part]] += 1e3
    after = tabular.table(x, y, batch=4, name="t")
    assert after.standardise == before.standardise
    assert (after.center, after.scale) == (before.center, before.scale)
    assert after.splits["test"]["x"].min() > 900


@pytest.mark.slow
def test_loading_is_lazy_and_once():
    assert tabular.iris(batch=8) is tabular.iris(batch=8)
    code = (
        "import sys; from jaxdl.data import tabular, vision\n"
        "tabular.iris(); tabular.diabetes(); vision.digits()\n"
        "print(*(m for m in ('sklearn', 'scipy', 'pandas', 'PIL', 'tensorflow_datasets', 'grain') if m in sys.modules))"
    )
    environment = {"JAX_PLATFORMS": "none_such", "PATH": ""}  # any touch of a device would raise
    out = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert (out.returncode, out.stdout.strip(), out.stderr) == (0, "", "")


def write(path, n=40, extra=""):
    rng = np.random.default_rng(0)
    lines = ["age,town,income,bought"]
    for i in range(n):
        age = "" if i % 5 == 0 else f"{rng.integers(20, 60)}"
        lines.append(f"{age},{('Rome', 'Oslo', '')[i % 3]},{rng.normal():.3f},{('no', 'yes')[i % 2]}")
    path.write_text("\n".join(lines) + "\n" + extra, encoding="utf-8")
    return path


def test_csv_imputes_indicates_and_encodes(tmp_path):
    data = tabular.csv(write(tmp_path / "shop.csv"), target="bought", batch=4)
    assert data.columns == ("age", "income", "age is missing", "town = missing", "town = Oslo", "town = Rome")
    assert data.classes == ("no", "yes")
    assert data.name == "shop"
    x = data.splits["train"]["x"]
    missing = x[:, 2] == 1
    assert missing.any()
    median = np.median(x[~missing, 0])
    assert (x[missing, 0] == median).all()  # of the training rows that have an age
    np.testing.assert_array_equal(x[:, 3:].sum(1), 1)
    assert data.standardise.mean[2:] == (0.0,) * 4  # indicators stay 0 and 1
    assert data.standardise.std[2:] == (1.0,) * 4
    np.testing.assert_allclose(data.standardise.mean[0], x[:, 0].mean(), rtol=1e-6)
    np.testing.assert_allclose(joined(data, "x")[:, 2].mean(), 0.2)


def test_csv_codes_and_values(tmp_path):
    data = tabular.csv(write(tmp_path / "shop.csv"), target="income", batch=4, encode="codes")
    assert data.columns == ("age", "age is missing")
    assert data.classes == ()
    codes = data.splits["train"]["codes"]
    assert codes.shape == (28, 2)
    assert codes.dtype == np.int32
    assert set(codes[:, 0]) == {1, 2, 3}
    assert set(codes[:, 1]) == {1, 2}
    assert data.splits["train"]["y"].dtype == np.float32


def test_csv_of_numbers_as_classes_and_as_categories(tmp_path):
    path = tmp_path / "n.csv"
    path.write_text("id,zip,grade\n" + "".join(f"{i},{i % 2},{8 + i % 3}\n" for i in range(40)), encoding="utf-8")
    data = tabular.csv(path, target="grade", kind="classes", categorical=["zip"], ignore=["id"], batch=2)
    assert data.columns == ("zip = 0", "zip = 1")
    assert data.classes == ("8", "9", "10")
    assert tabular.csv(path, target="grade", ignore=["id"], batch=2).classes == ()


def test_an_edited_file_is_read_again(tmp_path):
    path = write(tmp_path / "shop.csv")
    first = tabular.csv(path, target="bought", batch=4)
    assert tabular.csv(path, target="bought", batch=4) is first
    write(path, extra="33,Rome,1,maybe\n" * 3)
    assert tabular.csv(path, target="bought", batch=4).classes == ("maybe", "no", "yes")


def test_categories_that_training_never_saw_are_counted(tmp_path):
    """One town a split, by the rows that the fixed draw gives it: 12 towns of one row each that training does not have."""
    path = tmp_path / "towns.csv"
    path.write_text("town,age,y\n" + "".join(f"t{i},{i},{i % 2}\n" for i in range(40)), encoding="utf-8")
    data = tabular.csv(path, target="y", batch=4, categorical=["town"])
    for part in ("validation", "test"):
        (note,) = data.notes_on(part)
        assert note.startswith("6 of 6 rows have a town never seen in training ('t")
        assert (data.splits[part]["x"][:, 1:] == 0).all()
    assert data.notes_on("train") == ()


FORMS = {
    "comma": (lambda v: f"{v:.1f}".replace(".", ","), "decimal = ','"),
    "percent": (lambda v: f"{v:.1f}%", "with a unit"),
    "currency": (lambda v: f"{v:.1f} EUR", "with a unit"),
    "dollars": (lambda v: f"${v:.2f}", "with a unit"),
    "thousands": (lambda v: f"{1000 + 100 * v:,.0f}", "thousands = ','"),
    "german": (
        lambda v: f"{1000 + 100 * v:,.2f}".translate(str.maketrans(",.", ".,")),
        "decimal = ',', thousands = '.'",
    ),
    "names": (lambda v: f"Mr. {v:.6f}", "different strings"),
    "dates": (lambda v: f"2024-01-{1 + int(v):02d}", "dates ="),
    "identifiers": (lambda v: f"u{v * 1e6:.0f}", "different strings"),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("role", ["input", "target"])
def test_what_is_hardly_a_category_is_refused_with_three_of_its_values(tmp_path, form, role):
    write_one, hint = FORMS[form]
    values = np.random.default_rng(0).uniform(0, 30, 300)
    cells = [write_one(v) for v in values]
    path = tmp_path / "t.csv"
    path.write_text("a;b\n" + "".join(f"{c};{v:.2f}\n" for c, v in zip(cells, values, strict=True)), encoding="utf-8")
    with pytest.raises(ValueError, match=r"a'") as error:
        tabular.csv(path, target="b" if role == "input" else "a", batch=32)
    assert hint in str(error.value)
    assert all(repr(cell) in str(error.value) for cell in sorted(set(cells))[:3])
    if role == "input":
        data = tabular.csv(path, target="b", batch=32, categorical=["a"])
        assert all(name.startswith("a = ") for name in data.columns)


def test_numbers_in_another_notation_are_numbers_on_request(tmp_path):
    path = tmp_path / "t.csv"
    values = np.random.default_rng(0).uniform(-9999, 9999, 100).round(2)
    text = [f"{v:,.2f}".translate(str.maketrans(",.", ".,")) for v in values]
    path.write_text("a;b\n" + "".join(f"{c};{c}\n" for c in text), encoding="utf-8")
    data = tabular.csv(path, target="b", batch=8, decimal=",", thousands=".")
    assert (data.columns, data.classes) == (("a",), ())
    np.testing.assert_array_equal(data.read(path)["x"][:, 0], values.astype(np.float32))
    np.testing.assert_array_equal(np.sort(joined(data, "y")), np.sort(values.astype(np.float32)))


def test_dates_are_days_on_request(tmp_path):
    path = tmp_path / "t.csv"
    days = np.datetime64("1969-12-01") + np.arange(60)
    german = [f"{d.day:02d}.{d.month:02d}.{d.year}" for d in days.tolist()]
    rows = "".join(f"{a},{b},{i}\n" for i, (a, b) in enumerate(zip(days, german, strict=True)))
    path.write_text("iso,german,y\n" + rows, encoding="utf-8")
    data = tabular.csv(path, target="y", batch=8, dates={"iso": "", "german": "%d.%m.%Y"})
    expected = np.stack([days.astype("datetime64[D]").astype(int)] * 2, 1)
    np.testing.assert_array_equal(data.read(path)["x"], expected)
    np.testing.assert_array_equal(data.as_inputs({"iso": days, "german": german}), expected)
    with pytest.raises(ValueError, match=r"'german'.*'01.12.1969' of line 2 is not a date"):
        tabular.csv(path, target="y", batch=8, dates=["iso", "german"])
    with pytest.raises(ValueError, match="has no column 'day'"):
        tabular.csv(path, target="y", batch=8, dates=["day"])


def test_classes_may_be_called_na_and_null(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(
        "x,country\n" + "".join(f"{i},{('NA', 'null', 'US')[i % 3]}\n" for i in range(60)), encoding="utf-8"
    )
    assert tabular.csv(path, target="country", batch=8).classes == ("NA", "US", "null")


BAD = {
    "target": ({"target": "sold"}, "has no column 'sold' \\(target\\); it has age"),
    "missing target": ({"target": "age"}, "target 'age' is missing in 8 rows, first in line 2"),
    "values": ({"target": "bought", "kind": "values"}, r"holds names \('no'\), not values"),
    "kind": ({"target": "bought", "kind": "class"}, "kind = 'class' is not one of auto, classes, values"),
    "encode": ({"target": "bought", "encode": "hot"}, "encode = 'hot' is not one of"),
    "categorical": ({"target": "bought", "categorical": ["city"]}, "has no column 'city'"),
    "nothing": ({"target": "bought", "ignore": ["age", "town", "income"]}, "has no column but the target"),
    "batch": ({"target": "bought", "batch": 29}, "batch = 29 must lie between 1 and 28"),
}


@pytest.mark.parametrize("name", BAD)
def test_csv_errors_name_the_file_or_the_argument(tmp_path, name):
    options, message = BAD[name]
    path = write(tmp_path / "shop.csv")
    with pytest.raises(ValueError, match=message):
        tabular.csv(path, **{"batch": 4, **options})


def test_csv_with_one_class(tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n" + "1,x\n" * 30, encoding="utf-8")
    with pytest.raises(ValueError, match="has one class only, 'x'"):
        tabular.csv(tmp_path / "a.csv", target="b", batch=1)
    with pytest.raises(FileNotFoundError, match="no such file"):
        tabular.csv(tmp_path / "b.csv", target="b", batch=1)


def test_table_errors():
    with pytest.raises(ValueError, match="t: label 2 of row 3 is not one of 0 … 1"):
        tabular.table(np.arange(40.0).reshape(20, 2), np.array([0, 1, 0, 2] * 5), batch=1, name="t", classes=("a", "b"))
    with pytest.raises(ValueError, match="t: 1 values are not finite, the first"):
        tabular.table(
            np.where(np.eye(20) == 0, 0.5, np.nan)[:, :1] + np.arange(20.0)[:, None], np.arange(20), batch=1, name="t"
        )
    with pytest.raises(ValueError, match=r"got \(20, 2\) and \(19,\)"):
        tabular.table(np.zeros((20, 2)), np.zeros(19), batch=1, name="t")
