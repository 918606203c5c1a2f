"""Values as Python has them become the arrays a device takes; what would change there is refused with its row and value."""

import decimal

import jax
import numpy as np
import pytest

from jaxdl import Experiment
from jaxdl.data.arrays import aligned_empty, as_cells, check_device, check_resolution, class_names, taken_rows
from jaxdl.data.source import InMemory
from jaxdl.models.mlp import MLP
from jaxdl.optim import adam
from jaxdl.runs.prepare import check_data, prepare
from jaxdl.runs.run import Run
from jaxdl.setup import Setup
from jaxdl.tasks.classification import Classification
from jaxdl.tasks.regression import Regression
from jaxdl.types import UserError

X = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)


class Tensor:
    """What PyTorch, TensorFlow and pandas have in common with NumPy: `__array__`."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.array, dtype)


@pytest.mark.parametrize(
    "like", [list, Tensor, lambda x: [*map(list, x)], lambda x: x.astype(object), lambda x: [*map(Tensor, x)]]
)
def test_takes_what_numpy_takes(like):
    data = InMemory({"train": {"x": like(X), "y": list(range(12))}}, batch=4)
    np.testing.assert_array_equal(data.splits["train"]["x"], X)
    np.testing.assert_array_equal(data.splits["train"]["y"], np.arange(12))


def test_an_array_is_not_copied():
    assert InMemory({"train": {"x": X}}, batch=4).splits["train"]["x"] is X


def test_names_of_classes_become_numbers_in_the_order_of_the_alphabet_or_of_the_classes():
    splits = {"train": {"x": X[:3], "y": ["dog", "cat", "dog"]}, "test": {"x": X[:2], "y": np.array([b"cow", b"cat"])}}
    data = InMemory(splits, batch=1)
    assert data.classes == ("cat", "cow", "dog")
    assert [data.splits[part]["y"].tolist() for part in splits] == [[2, 0, 2], [1, 0]]
    assert data.splits["train"]["y"].dtype == np.int32
    assert data.notes_on("test") == ("1 of 2 examples are of a class never seen in training ('cow')",)
    assert data.notes_on("train") == ()
    data = InMemory(splits, batch=1, classes=("dog", "cow", "cat"))
    assert [data.splits[part]["y"].tolist() for part in splits] == [[0, 2, 0], [1, 2]]


def only(x, **more):
    return {"train": {"x": x, **more}}


REFUSED = {
    "no split": ({"test": {"x": X}}, ["'train'", "test"]),
    "no splits": ({"x": X, "y": X}, ["'train'", "'x'", "'y'"]),
    "split's name": (only(X) | {"val": {"x": X}}, ["'val'", "'validation'"]),
    "other names": (
        {"train": {"image": X, "label": X}},
        ["needs x and y, got image, label", "from_columns(..., x='image', y='label')"],
    ),
    "a pair": ({"train": (X, X)}, ["tuple", "from_columns"]),
    "lengths": (only(X, y=[1, 2]), ["12", "2", "'train'"]),
    "empty": (only(np.zeros((0, 3))), ["0"]),
    "empty rows": (only([[], []]), ["one length > 0"]),
    "one number": (only(3.0), ["x", "3.0"]),
    "objects": (only([object(), object()]), ["row 0", "object"]),
    "a hole": (only([1.0, None]), ["row 1", "None"]),
    "decimals": (only([decimal.Decimal(1)]), ["row 0", "Decimal"]),
    "a word among numbers": (only(np.array([1.0, "two", 3.0], object)), ["1 of 3", "text"]),
    "texts": (only(["a text", "another"]), ["'a text'", "text_classes"]),
    "dates": (only(np.array(["2020-01-01"], "M8[D]")), ["datetime64[D]", "days"]),
    "durations": (only(np.array([1], "m8[s]")), ["timedelta64[s]", "seconds"]),
    "complex": (only(X + 1j), ["complex64", "real"]),
    "records": (only(np.zeros(3, "i4,f4")), ["f0"]),
    "rows of two shapes": (only([[1.0], [1.0, 2.0]]), ["one shape"]),
    "masked": (only(np.ma.masked_array(X, X > 0)), ["masked"]),
    "a validation split of another shape": (only(X) | {"validation": {"x": X[:, :2]}}, ["(2,)", "(3,)", "validation"]),
    "labels of another shape": (
        only(X, y=np.zeros((12, 5))) | {"validation": {"x": X, "y": np.zeros((12, 4))}},
        ["(4,)", "(5,)", "validation"],
    ),
    "a test split without labels": (only(X, y=np.zeros(12)) | {"test": {"x": X}}, ["test", "y"]),
    "names in one split only": (only(X, y=["a"] * 12) | {"test": {"x": X, "y": np.zeros(12)}}, ["float64", "test"]),
}

if np.dtype(np.longdouble).itemsize > 8:  # not on every processor
    REFUSED["long doubles"] = only(np.ones(3, np.longdouble)), ["64 bits", np.dtype(np.longdouble).name]


@pytest.mark.parametrize("kind", REFUSED)
def test_refuses(kind):
    splits, says = REFUSED[kind]
    with pytest.raises(UserError) as told:
        InMemory(splits, batch=1, name="mine")
    assert all(part in str(told.value) for part in says), told.value
    assert "\n" not in str(told.value)


def test_a_label_that_is_no_class_is_refused_with_its_row():
    with pytest.raises(UserError) as told:
        InMemory(only(X[:3], y=["a", "b", "c"]), batch=1, classes=("a", "b"))
    assert all(part in str(told.value) for part in ("'c'", "row 2", "a, b"))


# -- what a device holds -----------------------------------------------------------------------------------------------
CHANGED = {
    "int64": (np.array([[1, 2], [3, 2**31 + 5]]), ["2147483653", "row 1", "(1,)", "-2147483643", "int32"]),
    "uint64": (np.array([1, 2**32 + 7], np.uint64), ["4294967303", "row 1", " 7 "]),
    "float64": (np.array([0.0, 1e39]), ["1e+39", "row 1", "inf"]),
    "seconds since 1970": (1.7e9 + 10 * np.arange(9.0), ["1700000040", "25.8"]),
}


@pytest.mark.parametrize("kind", CHANGED)
def test_a_value_that_the_device_would_change_is_refused(kind):
    values, says = CHANGED[kind]
    with pytest.raises(UserError) as told:
        check_device(values, source="x")
    assert all(part in str(told.value) for part in says), told.value
    if kind != "seconds since 1970":  # the claim itself: this is what jax makes of it
        with np.errstate(over="ignore"):
            assert not np.array_equal(jax.device_put(values), values)


@pytest.mark.parametrize(
    "values",
    [
        np.arange(5),
        np.array([-(2**31), 2**31 - 1]),
        np.array([1e38, -1e-50]),
        np.full(4, 0.1) + 1e-17,
        np.array([1e9, 2e9]),
        X,
    ],
)
def test_what_the_device_holds_passes(values):
    check_device(values, source="x")


def test_resolution_is_that_of_a_column():
    """Seconds beside an age: float32 keeps the age, and one value in 128 of the seconds."""
    table = np.stack([np.arange(100.0), 1.7e9 + np.arange(100.0)], -1)
    with pytest.raises(UserError, match="'seconds'"):
        check_resolution(table, source="t", columns=("age", "seconds"))
    check_resolution(table[:, :1], source="t")
    assert len(np.unique(table[:, 1].astype(np.float32))) == 2


def config(*, seed: int = 0) -> Experiment:
    rng = np.random.default_rng(0)
    big = rng.integers(0, 2**40, (64, 2))
    data = InMemory(only(big, y=(big[:, 0] > 2**39).astype(int)), batch=8, name="wide")
    return Experiment(
        data=data, task=Classification(MLP(features=(4,), classes=2)), optimizer=adam(1e-2), steps=2, seed=seed
    )


def test_a_training_refuses_them_before_it_starts():
    with pytest.raises(UserError) as told:
        check_data(config())
    assert all(part in str(told.value) for part in ("wide, train split", "row 0", "int32"))


def test_a_task_that_reads_what_the_data_have_not_says_so():
    data = InMemory({"train": {"x": X, "label": np.arange(12) % 2}}, batch=4, name="mine")

    def build(*, seed: int = 0) -> Experiment:
        return Experiment(
            data=data, task=Regression(MLP(features=(), classes=1)), optimizer=adam(1.0), steps=1, seed=seed
        )

    with pytest.raises(UserError) as told:
        prepare(Setup.of(build, {}))
    assert "needs x and y, got x, label" in str(told.value)


# -- prediction takes what training took -------------------------------------------------------------------------------
def images(*, seed: int = 0) -> Experiment:
    rng = np.random.default_rng(0)
    x = rng.random((16, 4, 4, 1))
    splits = {"train": {"x": x, "y": ["no", "yes"] * 8}, "test": {"x": x[:4], "y": ["no", "yes", "new", "new"]}}
    data = InMemory(splits, batch=8, name="squares", classes=("no", "yes", "new"))
    return Experiment(
        data=data, task=Classification(MLP(features=(3,), classes=3)), optimizer=adam(1e-2), steps=2, seed=seed
    )


@pytest.mark.programs(40, "a training and predictions of several shapes")
def test_predictions_for_every_shape_of_training_with_the_names_of_the_classes():
    program = prepare(Setup.of(images, {}))
    run = Run(Setup.of(images, {}), program, program.init())
    x = run.experiment.data.splits["train"]["x"][:5]
    whole = run.predict(x)
    np.testing.assert_array_equal(whole["name"], np.array(["no", "yes", "new"])[whole["label"]])
    for same in (x[..., 0], x[..., 0].tolist(), [*x]):
        np.testing.assert_allclose(run.predict(same)["probability"], whole["probability"], rtol=1e-6)
    for one in (x[2], x[2, ..., 0], x[2, ..., 0].tolist()):
        found = run.predict(one)
        np.testing.assert_allclose(found["probability"], whole["probability"][2], rtol=1e-5)
        assert found["name"] == whole["name"][2]
    (note,) = run.evaluate("test").report["notes"].lines
    assert all(part in note for part in ("2 of 4", "'new'", "never seen in training"))
    for wrong in (x[:, :3], x[0, 0], x.astype(str), x + 1j, x + 1e39):
        with pytest.raises(UserError):
            run.predict(wrong)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ([1, 2.5, None], [1, 2.5, np.nan]),
        ([True, False], [1, 0]),
        (np.array(["a", None, float("nan")], object), ["a", "", ""]),
        (["a", "b"], ["a", "b"]),
    ],
)
def test_cells_of_a_table(cells, expected):
    np.testing.assert_array_equal(as_cells(cells, "age"), np.array(expected))


def test_cells_of_two_kinds_are_refused():
    with pytest.raises(UserError, match="float, str"):
        as_cells(np.array([1.5, "a"], object), "age")


def test_cells_of_python_keep_what_is_missing_among_names_and_numbers():
    assert as_cells(["Rome", float("nan"), None], "town").tolist() == ["Rome", "", ""]
    np.testing.assert_array_equal(as_cells([decimal.Decimal("1.5"), None, 2, True], "n"), [1.5, np.nan, 2, 1])
    with pytest.raises(UserError, match="int, str"):
        as_cells([1, "a"], "mixed")


def test_labels_that_make_more_classes_than_there_are_examples_are_refused():
    assert class_names({"train": np.array(["b", "a"] * 9), "test": np.array(["c"])}, source="s") == ("a", "b", "c")
    with pytest.raises(UserError, match=r"s: labels 1000017, 1000034, 1000051, … of 50 examples make 1000851 classes"):
        class_names({"train": 1_000_017 + 17 * np.arange(50)}, source="s")
    with pytest.raises(UserError, match=r"'u10', 'u11', 'u12', … of 40 examples make 40 classes"):
        InMemory({"train": {"x": np.zeros((40, 2)), "y": [f"u{10 + i}" for i in range(40)]}}, batch=4)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
def test_aligned_arrays_are_shared_by_the_device(dtype):
    """A CPU's device array is the host's memory: a set of 2 GB is held once."""
    x = np.arange(3000).astype(dtype).reshape(100, 30)
    rows = np.array([5, 2, 99, 2])
    taken = taken_rows(x, rows)
    np.testing.assert_array_equal(taken, x[rows])
    assert taken.ctypes.data % 64 == 0
    assert aligned_empty((0, 3), dtype).shape == (0, 3)
    if jax.default_backend() == "cpu":
        assert jax.device_put(taken).unsafe_buffer_pointer() == taken.ctypes.data
