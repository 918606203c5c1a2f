"""Kinds of bad input to data sets, tasks and experiments: each is refused by one line before anything is trained or written."""

import warnings
from functools import partial

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxdl import Experiment
from jaxdl.data import text
from jaxdl.data.image import vision
from jaxdl.data.source import InMemory
from jaxdl.data.table import columns, series, tabular
from jaxdl.losses.classification import cross_entropy
from jaxdl.models.mlp import MLP
from jaxdl.models.unet import UNet
from jaxdl.runs.prepare import check_data, prepare
from jaxdl.setup import Setup
from jaxdl.tasks.classification import BinaryClassification, Classification
from jaxdl.tasks.forecasting import Forecasting
from jaxdl.tasks.metric_learning import MetricLearning
from jaxdl.tasks.multilabel import MultiLabelClassification
from jaxdl.tasks.regression import Regression
from jaxdl.tasks.segmentation import Segmentation
from jaxdl.types import UserError

R = np.random.default_rng(0)
X, Y = R.normal(size=(32, 4)).astype("f4"), np.arange(32) % 3
M, ONE = MLP(features=(4,), classes=3), MLP(features=(4,), classes=1)


def mem(x=X, y=Y, b=8, **fields):
    return InMemory({"train": {"x": x, "y": y}, "validation": {"x": x, "y": y}}, b, **fields)


def exp(data=mem, task=lambda: Classification(M), **fields):
    """What a training does before its first step."""

    def config(*, seed: int = 0) -> Experiment:
        given = {"data": data(), "task": task(), "optimizer": optax.sgd(0.1), "steps": 2, "seed": seed}
        return Experiment(**{**given, **fields})

    setup = Setup.of(config, {})
    built = setup.build()
    check_data(built)
    prepare(setup, exp=built)


def img(y):
    return lambda: InMemory({"train": {"x": R.random((16, 8, 8, 1)).astype("f4"), "y": y}}, 4)


def C(**fields):
    return lambda: Classification(M, **fields)


CASES = {
    "prepare not callable": lambda: exp(lambda: mem(prepare=3)),
    "prepare returns None": lambda: exp(lambda: mem(prepare=lambda b: None)),
    "prepare returns array": lambda: exp(lambda: mem(prepare=lambda b: b["x"])),
    "prepare drops x": lambda: exp(lambda: mem(prepare=lambda b: {"y": b["y"]})),
    "standardise not callable": lambda: exp(lambda: mem(standardise="mean")),
    "standardise returns None": lambda: exp(lambda: mem(standardise=lambda b: None)),
    "balanced float": lambda: exp(lambda: mem(balanced=(2.0, 4))),
    "balanced int": lambda: exp(lambda: mem(balanced=8)),
    "balanced three": lambda: exp(lambda: mem(balanced=(2, 2, 2))),
    "balanced text": lambda: exp(lambda: mem(balanced="ab")),
    "y float halves": lambda: exp(lambda: mem(y=Y + 0.5)),
    "y nan": lambda: exp(lambda: mem(y=np.where(Y > 1, np.nan, Y))),
    "y 2d ints": lambda: exp(lambda: mem(y=np.stack([Y, Y], 1))),
    "y onehot wrong": lambda: exp(lambda: mem(y=np.eye(5)[Y].astype("f4"))),
    "y too big": lambda: exp(lambda: mem(y=Y + 1)),
    "y negative": lambda: exp(lambda: mem(y=Y - 1)),
    "y bool": lambda: exp(lambda: mem(y=Y > 1)),
    "x inf": lambda: exp(lambda: mem(x=np.where(X > 1, np.inf, X))),
    "splits list": lambda: exp(lambda: InMemory([X, Y], 4)),
    "splits none": lambda: exp(lambda: InMemory(None, 4)),
    "splits empty": lambda: exp(lambda: InMemory({}, 4)),
    "splits int": lambda: exp(lambda: InMemory({"train": 3}, 4)),
    "split none": lambda: exp(lambda: InMemory({"train": None}, 4)),
    "x none": lambda: exp(lambda: InMemory({"train": {"x": None}}, 4)),
    "key int": lambda: exp(lambda: InMemory({"train": {"x": X, "y": Y, 3: X}}, 4)),
    "split key int": lambda: exp(lambda: InMemory({"train": {"x": X, "y": Y}, 3: {"x": X, "y": Y}}, 4)),
    "data list": lambda: exp(lambda: [1]),
    "data class": lambda: exp(lambda: InMemory),
    "batch none": lambda: exp(lambda: mem(b=None)),
    "batch huge": lambda: exp(lambda: mem(b=10**12)),
    "batch array": lambda: exp(lambda: mem(b=np.array([4]))),
    "model none": lambda: exp(task=lambda: Classification(None)),
    "model str": lambda: exp(task=lambda: Classification("mlp")),
    "model func": lambda: exp(task=lambda: Classification(lambda x: x)),
    "model class": lambda: exp(task=lambda: Classification(MLP)),
    "task class": lambda: exp(task=lambda: Classification),
    "task model": lambda: exp(task=lambda: M),
    "loss str": lambda: exp(task=C(loss="ce")),
    "loss none": lambda: exp(task=C(loss=None)),
    "loss arity": lambda: exp(task=C(loss=lambda a: a)),
    "loss scalar": lambda: exp(task=C(loss=lambda a, b: jnp.float32(0))),
    "loss python": lambda: exp(task=C(loss=lambda a, b: 0.0)),
    "loss none returned": lambda: exp(task=C(loss=lambda a, b: None)),
    "loss class": lambda: exp(task=C(loss=partial(cross_entropy, smoothing="a"))),
    "loss smoothing 2": lambda: exp(task=C(loss=partial(cross_entropy, smoothing=2.0))),
    "loss unknown kw": lambda: exp(task=C(loss=partial(cross_entropy, smooth=0.1))),
    "weights short": lambda: exp(task=C(class_weights=(1.0, 2.0))),
    "weights long": lambda: exp(task=C(class_weights=(1.0, 2.0, 3.0, 4.0))),
    "weights text": lambda: exp(task=C(class_weights="abc")),
    "weights negative": lambda: exp(task=C(class_weights=(1.0, -2.0, 3.0))),
    "weights nan": lambda: exp(task=C(class_weights=(1.0, float("nan"), 3.0))),
    "weights number": lambda: exp(task=C(class_weights=2.0)),
    "weights dict": lambda: exp(task=C(class_weights={0: 1.0})),
    "ignore text": lambda: exp(task=C(ignore="x")),
    "ignore float": lambda: exp(task=C(ignore=1.5)),
    "auxiliary list": lambda: exp(task=C(auxiliary=["a"])),
    "auxiliary missing": lambda: exp(task=C(auxiliary={"a": 0.3})),
    "penalty number": lambda: exp(task=C(penalty=0.1)),
    "penalty vector": lambda: exp(task=C(penalty=lambda p: jnp.ones(3))),
    "penalty none": lambda: exp(task=C(penalty=lambda p: None)),
    "metric str": lambda: exp(task=C(metric="accuracy")),
    "metric mode": lambda: exp(task=C(metric=("accuracy", "maximum"))),
    "metric none": lambda: exp(task=C(metric=None)),
    "regression str center": lambda: exp(
        lambda: mem(y=X[:, 0]), task=lambda: Regression(MLP(features=(4,), classes=1), center="a")
    ),
    "regression scale 0": lambda: exp(
        lambda: mem(y=X[:, 0]), task=lambda: Regression(MLP(features=(4,), classes=1), scale=0.0)
    ),
    "regression scale nan": lambda: exp(
        lambda: mem(y=X[:, 0]), task=lambda: Regression(MLP(features=(4,), classes=1), scale=float("nan"))
    ),
    "regression scale neg": lambda: exp(
        lambda: mem(y=X[:, 0]), task=lambda: Regression(MLP(features=(4,), classes=1), scale=-1.0)
    ),
    "regression outputs": lambda: exp(lambda: mem(y=X[:, :2]), task=lambda: Regression(MLP(features=(4,), classes=3))),
    "binary 3": lambda: exp(lambda: mem(y=Y % 2), task=lambda: BinaryClassification(M)),
    "binary y2": lambda: exp(task=lambda: BinaryClassification(MLP(features=(4,), classes=1))),
    "multilabel classes": lambda: exp(task=lambda: MultiLabelClassification(M)),
    "multilabel width": lambda: exp(lambda: mem(y=np.ones((32, 5), int)), task=lambda: MultiLabelClassification(M)),
    "multilabel threshold text": lambda: exp(
        lambda: mem(y=np.ones((32, 3), int)), task=lambda: MultiLabelClassification(M, threshold="a")
    ),
    "multilabel threshold nan": lambda: exp(
        lambda: mem(y=np.ones((32, 3), int)), task=lambda: MultiLabelClassification(M, threshold=float("nan"))
    ),
    "seg mlp": lambda: exp(img(np.zeros((16, 8, 8), int)), task=lambda: Segmentation(M)),
    "seg labels": lambda: exp(img(np.zeros(16, int)), task=lambda: Segmentation(UNet(classes=3, width=2, depth=1))),
    "seg size": lambda: exp(
        img(np.zeros((16, 4, 4), int)), task=lambda: Segmentation(UNet(classes=3, width=2, depth=1))
    ),
    "seg depth": lambda: exp(
        img(np.zeros((16, 8, 8), int)), task=lambda: Segmentation(UNet(classes=3, width=2, depth=5))
    ),
    "seg weights": lambda: exp(
        img(np.zeros((16, 8, 8), int)),
        task=lambda: Segmentation(UNet(classes=3, width=2, depth=1), class_weights=(1.0,)),
    ),
    "forecast no windows": lambda: exp(task=lambda: Forecasting(M, center=(0.0,), scale=(1.0,))),
    "metric classes": lambda: exp(task=lambda: MetricLearning(M, loss=cross_entropy, classes=2)),
    "metric classes text": lambda: exp(task=lambda: MetricLearning(M, loss=cross_entropy, classes="3")),
    "metric views 0": lambda: exp(task=lambda: MetricLearning(M, loss=cross_entropy, classes=3, views=0)),
    "metric probe 2.5": lambda: exp(task=lambda: MetricLearning(M, loss=cross_entropy, classes=3, probe=2.5)),
    "augment lambda": lambda: exp(augment=lambda k, b: b),
    "augment arity": lambda: exp(augment=(lambda b: b,)),
    "augment str": lambda: exp(augment=("flip",)),
    "optimizer str": lambda: exp(optimizer="adam"),
    "optimizer float": lambda: exp(optimizer=0.1),
    "optimizer none": lambda: exp(optimizer=None),
    "steps str": lambda: exp(steps="2"),
    "stop int": lambda: exp(stop=5),
    "seed str": lambda: exp(seed="a"),
    "seed float": lambda: exp(seed=1.5),
    "seed neg": lambda: exp(seed=-1),
    "ema text": lambda: exp(ema="a"),
    "ema nan": lambda: exp(ema=float("nan")),
    "table x text": lambda: tabular.table([["a"]], [1], batch=1, name="t"),
    "table x 1d": lambda: tabular.table(np.arange(20.0), np.arange(20.0), batch=1, name="t"),
    "table dates": lambda: tabular.table(np.arange(20).astype("M8[D]")[:, None], np.arange(20.0), batch=1, name="t"),
    "table y objects": lambda: tabular.table(X, [object()] * 32, batch=1, name="t"),
    "table y complex": lambda: tabular.table(X, X[:, 0] * 1j, batch=1, name="t"),
    "table classes": lambda: tabular.table(X, Y + 0.5, batch=1, name="t", classes=("a", "b", "c")),
    "images 1d": lambda: vision.images((X, Y), batch=4, name="i", classes="abc"),
    "images text": lambda: vision.images((np.full((32, 4, 4), "a"), Y), batch=4, name="i", classes="abc"),
    "images dates": lambda: vision.images((np.zeros((32, 4, 4), "M8[D]"), Y), batch=4, name="i", classes="abc"),
    "images y dates": lambda: vision.images(
        (R.random((32, 4, 4)), np.zeros(32, "M8[D]")), batch=4, name="i", classes="abc"
    ),
    "images objects": lambda: vision.images((np.full((32, 4, 4), None), Y), batch=4, name="i", classes="abc"),
    "images complex": lambda: vision.images((R.random((32, 4, 4)) * 1j, Y), batch=4, name="i", classes="abc"),
    "images none": lambda: vision.images(None, batch=4, name="i", classes="abc"),
    "images not a pair": lambda: vision.images(X, batch=4, name="i", classes="abc"),
    "images validation shape": lambda: vision.images(
        (R.random((32, 4, 4)), Y), validation=(R.random((32, 5, 4)), Y), batch=4, name="i", classes="abc"
    ),
    "series text": lambda: series.windows(list("abcdefgh" * 9), lookback=2, horizon=1, batch=2),
    "series dates": lambda: series.windows(np.arange(90).astype("M8[D]"), lookback=2, horizon=1, batch=2),
    "series objects": lambda: series.windows(np.array([None] * 90), lookback=2, horizon=1, batch=2),
    "series fill": lambda: series.windows(np.arange(90.0), lookback=2, horizon=1, batch=2, fill="mean"),
    "series parts": lambda: series.windows(np.arange(90.0), lookback=2, horizon=1, batch=2, parts=(0.5,)),
    "series parts text": lambda: series.windows(np.arange(90.0), lookback=2, horizon=1, batch=2, parts="abc"),
    "text int": lambda: text.windows(3, None, batch=1, context=2),
    "columns int": lambda: columns.from_columns(3, y="a", batch=1),
    "columns empty": lambda: columns.from_columns([], y="a", batch=1),
    "columns none": lambda: columns.from_columns(None, y="a", batch=1),
    "columns y list empty": lambda: columns.from_columns({"x": X}, y=[], batch=1),
    "columns only y": lambda: columns.from_columns({"y": Y}, y="y", batch=1),
    "columns lengths": lambda: columns.from_columns({"x": X, "y": Y[:5]}, y="y", batch=1),
    "columns few": lambda: columns.from_columns({"x": X[:2], "y": Y[:2]}, y="y", batch=1),
    "columns table lengths": lambda: columns.from_columns({"a": [1, 2], "b": [1], "y": [1, 2]}, y="y", batch=1),
}


@pytest.mark.parametrize("kind", CASES)
def test_one_line(kind):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises((UserError, FileNotFoundError)) as told:
            CASES[kind]()
    assert str(told.value).strip()
