"""A data set from named columns: the forms that frames, rows and other libraries' data sets have in common."""

import types

import numpy as np
import pytest
from PIL import Image

from jaxdl.data.image.vision import Images
from jaxdl.data.table.columns import from_columns
from jaxdl.data.table.tabular import Table
from jaxdl.types import UserError

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (60, 6, 5), dtype=np.uint8)
LABELS = ["cat", "dog", "cow"] * 20


class Rows:
    """A PyTorch data set: a length and items, which are tuples; its iteration never ends."""

    classes = ("cat", "cow", "dog")

    def __len__(self):
        return 60

    def __getitem__(self, i):
        return Image.fromarray(PIXELS[i]), self.classes.index(LABELS[i])


class Columns:
    """A Hugging Face data set: column names, columns by name, and names of classes among its features."""

    column_names = ("image", "label")

    class Label:
        names = Rows.classes

    features = types.MappingProxyType({"label": Label})

    def __len__(self):
        return 60

    def __getitem__(self, name):
        return [Rows()[i][("image", "label").index(name)] for i in range(60)]


ROWS = [{"image": pixels, "label": label} for pixels, label in zip(PIXELS, LABELS, strict=True)]
SAME = {
    "columns": ({"image": PIXELS, "label": LABELS}, "image", "label"),
    "lists": ({"image": PIXELS.astype(np.uint8), "label": np.array(LABELS, object)}, "image", "label"),
    "rows": (ROWS, "image", "label"),
    "tuples": (Rows(), 0, 1),
    "Hugging Face": (Columns(), "image", "label"),
}


@pytest.mark.programs(15, "images of many kinds are compared")
@pytest.mark.parametrize("kind", SAME)
def test_the_same_images_from_every_form(kind):
    source, x, y = SAME[kind]
    data = from_columns(source, x=x, y=y, batch=8, name="pets")
    assert isinstance(data, Images)
    assert data.classes == ("cat", "cow", "dog")
    every = {tuple(image.ravel()): label for image, label in zip(PIXELS, LABELS, strict=True)}
    assert [data.size(part) for part in ("train", "validation", "test")] == [42, 9, 9]
    for arrays in data.splits.values():
        assert arrays["x"].shape[1:] == (6, 5, 1)
        assert [data.classes[i] for i in arrays["y"]] == [every[tuple(image.ravel())] for image in arrays["x"]]
    prepared = data.standardise(data.prepare(data.splits["train"]))["x"]
    np.testing.assert_allclose([prepared.mean(), prepared.std()], [0, 1], atol=1e-5)
    assert data.maximum == 255


def test_given_splits_stay_and_missing_ones_come_from_training():
    parts = {"train": ROWS[:40], "test": ROWS[40:]}
    data = from_columns(parts, x="image", y="label", batch=8)
    assert [data.size(part) for part in ("train", "validation", "test")] == [37, 3, 20]  # a tenth of each class
    np.testing.assert_array_equal(data.splits["test"]["x"][..., 0], PIXELS[40:])


@pytest.mark.parity
def test_tensors_have_their_channels_first():
    torch = pytest.importorskip("torch", reason="the parity extra")
    pixels = torch.arange(30 * 3 * 4 * 5).reshape(30, 3, 4, 5) / 1800
    data = from_columns(torch.utils.data.TensorDataset(pixels, torch.arange(30) % 2), x=0, y=1, batch=4)
    assert data.splits["train"]["x"].shape[1:] == (4, 5, 3)
    tested = data.splits["test"]["x"]
    for image in tested:
        assert (np.moveaxis(image, -1, 0)[None] == pixels.numpy()).all((1, 2, 3)).any()


def test_one_column_of_floats_is_standardised_and_one_of_integers_is_tokens():
    floats = from_columns({"features": RNG.normal(5, 3, (40, 4)), "value": RNG.normal(size=40)}, y="value", batch=4)
    standard = floats.standardise({"x": floats.splits["train"]["x"]})["x"]
    np.testing.assert_allclose(np.std(standard, 0), np.ones(4), rtol=1e-5)
    tokens = RNG.integers(0, 50, (40, 7))
    data = from_columns({"tokens": tokens.tolist(), "label": [0, 1] * 20}, y="label", batch=4)
    assert {tuple(row) for row in data.splits["train"]["x"]} <= {tuple(row) for row in tokens}


def test_several_columns_are_a_table():
    frame = {"age": [20.0, None, 40.0, 50.0] * 10, "town": ["Rome", "Oslo"] * 20, "bought": ["no", "yes"] * 20}
    data = from_columns(frame, y="bought", batch=4)
    assert isinstance(data, Table)
    assert data.columns == ("age", "age is missing", "town = Oslo", "town = Rome")
    assert data.classes == ("no", "yes")
    parts = {"train": frame, "test": {name: column[:5] for name, column in frame.items()} | {"town": ["Lima"] * 5}}
    data = from_columns(parts, x=["age", "town"], y="bought", batch=4)
    assert [data.size(part) for part in ("train", "validation", "test")] == [36, 4, 5]
    (note,) = data.notes_on("test")
    assert "5 of 5 rows" in note
    assert "'Lima'" in note


class Series:
    """A column of pandas or polars: an array behind `__array__`, and the name of its type."""

    def __init__(self, values, dtype=""):
        self.values, self.dtype = values, dtype

    def __len__(self):
        return len(self.values)

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.values, dtype)


class Frame(dict):
    """A frame: `columns`, and a column by its name."""

    @property
    def columns(self):
        return list(self)


def test_a_frame_with_dates_and_numbers_that_name_categories():
    days = np.datetime64("2024-01-01", "us") + np.arange(40) * np.timedelta64(12, "h")
    days[10:16] = np.datetime64("NaT", "us")
    frame = Frame(
        day=Series(days), shop=Series(np.arange(40) % 3, "category"), n=Series(np.arange(40) % 2), y=["a", "b"] * 20
    )
    data = from_columns(frame, y="y", batch=4, dates=["day"], categorical=["n"])
    assert data.columns == ("day", "day is missing", *(f"shop = {i}" for i in range(3)), "n = 0", "n = 1")
    one = data.as_inputs(
        Frame({name: Series(np.asarray(column)[4:5], getattr(column, "dtype", "")) for name, column in frame.items()})
    )
    np.testing.assert_array_equal(one, [[19725, 0, 0, 1, 0, 1, 0]])  # 2024-01-03, shop 1, n 0
    with pytest.raises(UserError, match=r"day must be numbers.*dates ="):
        from_columns(frame, y="y", batch=4)
    with pytest.raises(UserError, match="'name' holds 40 different strings"):
        from_columns({"name": [f"n{i}" for i in range(40)], "n": [*range(40)], "y": ["a", "b"] * 20}, y="y", batch=4)
    with pytest.raises(UserError, match="has no column 'date'"):
        from_columns(frame, y="y", batch=4, dates=["date"])


def test_several_labels_for_one_example():
    tags = [["red"], [], ["blue", "red"], ["green"]] * 10
    data = from_columns({"x": RNG.normal(size=(40, 2)), "tags": tags}, y="tags", batch=4)
    assert data.classes == ("blue", "green", "red")
    assert {tuple(row) for row in data.splits["train"]["y"]} == {(0, 0, 1), (0, 0, 0), (1, 0, 1), (0, 1, 0)}
    by_column = {"x": RNG.normal(size=(40, 2)), "rain": [0, 1] * 20, "wind": [1, 1, 0, 0] * 10}
    data = from_columns(by_column, x="x", y=["rain", "wind"], batch=4)
    assert data.classes == ("rain", "wind")
    assert data.splits["train"]["y"].shape == (28, 2)


REFUSED = {
    "a column that is not there": (
        ({"image": PIXELS, "label": LABELS},),
        {"y": "target"},
        ["'target'", "image, label"],
    ),
    "no columns": ((PIXELS,), {"y": "label"}, ["ndarray"]),
    "a split of another name": (({"train": ROWS, "unlabelled": ROWS},), {"y": "label"}, ["'unlabelled'", "validation"]),
    "pictures of two sizes": (
        ([*ROWS, {"image": PIXELS[0, :3], "label": "cat"}],),
        {"y": "label"},
        ["train: image", "one shape"],
    ),
    "texts": (({"text": LABELS, "label": LABELS},), {"y": "label"}, ["text_classes"]),
    "a hole in the labels": (
        ({"a": np.ones((3, 2)), "label": ["a", None, "b"]},),
        {"y": "label"},
        ["row 1", "None"],
    ),
    "a count": (({"image": PIXELS, "label": LABELS},), {"y": "label", "batch": 2.5}, ["batch", "2.5"]),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_refuses(kind):
    given, options, says = REFUSED[kind]
    with pytest.raises(UserError) as told:
        from_columns(*given, **{"batch": 4, "name": "mine", **options})
    assert all(part in str(told.value) for part in says), told.value
