"""The naive method beside a result: what one reaches on the test split without a network, by the task's own report.

An experiment has its own `baseline(data)` where it stands in its file, or in the file `_<experiment>_baseline.py` beside it.
Otherwise the kind of task decides:

    classification                    logistic regression; of tokens, the most frequent class
    several labels per example        logistic regression, a label at a time
    regression                        linear regression
    segmentation                      the most frequent class for every pixel
    metric learning                   cosines of the pixels themselves
    autoencoders                      PCA, where the task has one; of a VAE of binary images, independent pixels
    GANs                              a Gaussian with the mean and the covariance of the training split
"""

import sys
from collections.abc import Callable, Mapping
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np

from jaxdl.data.source import InMemory
from jaxdl.metrics import reduction
from jaxdl.metrics.linear import least_squares, logistic_regression
from jaxdl.setup import Setup
from jaxdl.tasks.adversarial import Adversarial
from jaxdl.tasks.autoencoding import Autoencoding, VariationalAutoencoding
from jaxdl.tasks.classification import Classification
from jaxdl.tasks.metric_learning import MetricLearning
from jaxdl.tasks.multilabel import MultiLabelClassification
from jaxdl.tasks.regression import Regression
from jaxdl.tasks.segmentation import Segmentation
from jaxdl.types import Task


def classification(task: Classification, data: Any) -> dict[str, Any]:
    """logistic regression"""
    train, test = seen(data, "train"), seen(data, "test")
    x, y = train["x"], train["y"]
    classes = 1 + int(max(y.max(), test["y"].max()))
    if x.dtype.kind == "i":
        share = np.bincount(y, minlength=classes) / len(y)
        p = np.broadcast_to(share, (len(test["y"]), classes))
    else:
        p = logistic_regression(x, y, test["x"], classes=classes)
    return task.report({"probability": p, "label": p.argmax(1)}, test["y"])


def multilabel(task: MultiLabelClassification, data: Any) -> dict[str, Any]:
    """logistic regression, a label at a time"""
    train, test = seen(data, "train"), seen(data, "test")
    each = [logistic_regression(train["x"], y, test["x"], classes=2)[:, 1] for y in train["y"].astype(int).T]
    return task.report({"probability": np.stack(each, 1)}, test["y"])


def regression(task: Regression, data: Any) -> dict[str, Any]:
    """linear regression"""
    train, test = seen(data, "train"), seen(data, "test")
    return task.report({"value": least_squares(train["x"], train["y"], test["x"])}, test["y"])


def segmentation(task: Segmentation, data: Any) -> dict[str, Any]:
    """the most frequent class for every pixel"""
    train, true = data.splits["train"]["y"], data.splits["test"]["y"].ravel()
    common, classes = np.bincount(train.ravel()).argmax(), 1 + int(max(train.max(), true.max()))
    counts = np.zeros((1, classes, classes), np.int64)
    counts[0, :, common] = np.bincount(true, minlength=classes)
    return task.report({"counts": counts}, None)


def metric_learning(task: MetricLearning, data: Any) -> dict[str, Any]:
    """cosines of the pixels"""
    test = data.splits["test"]
    return task.report({"embedding": test["x"].reshape(len(test["x"]), -1)}, test["y"])


def autoencoding(task: Autoencoding, data: Any) -> dict[str, Any]:
    """PCA of the same width"""
    if task.baseline is None:
        return {}
    test = seen(data, "test")
    x = test["x"]
    code = task.baseline.encode(x)
    return reduction.report(x, code, task.baseline.decode(code), test.get("y"))


def variational(task: VariationalAutoencoding, data: Any) -> dict[str, Any]:
    """independent pixels, with the frequencies of the test split"""
    x = seen(data, "test")["x"]
    return dict.fromkeys(("nll", "loss"), reduction.independent_nll(x)) if set(np.unique(x).tolist()) <= {0, 1} else {}


def adversarial(task: Adversarial, data: Any) -> dict[str, Any]:
    """a Gaussian with the mean and the covariance of the training split"""
    train, test = seen(data, "train")["x"], seen(data, "test")["x"]
    real = reduction.flat_rows(train)
    made = np.random.RandomState(0).multivariate_normal(real.mean(0), np.cov(real.T), len(test))
    made = made.reshape(test.shape).astype(np.float32)
    return {name: value for measure in task.measures for name, value in measure(test, made).items()}


METHODS: dict[type[Task], Callable[..., dict[str, Any]]] = {
    Classification: classification,
    MultiLabelClassification: multilabel,
    Regression: regression,
    Segmentation: segmentation,
    MetricLearning: metric_learning,
    VariationalAutoencoding: variational,
    Autoencoding: autoencoding,
    Adversarial: adversarial,
}
"""Kind of task -> its method; the first that fits."""


def baseline(setup: Setup) -> tuple[dict[str, Any], str]:
    """The metrics of the naive method on the test split, and what it is called; nothing where there is none."""
    exp = setup.build()
    own = written(setup)
    if own is not None:
        found = dict(own(exp.data))
        return found, name_of_method(own) if found else ""
    method = next((method for kind, method in METHODS.items() if isinstance(exp.task, kind)), None)
    if method is None or not isinstance(exp.data, InMemory) or "test" not in exp.data.splits:
        return {}, ""
    found = method(exp.task, exp.data)
    return found, name_of_method(method) if found else ""


def written(setup: Setup) -> Callable[[Any], Mapping[str, float]] | None:
    """The experiment's own `baseline(data)`: in its file, or in `_<experiment>_baseline.py` beside it."""
    own = getattr(sys.modules.get(setup.config.__module__), "baseline", None)
    beside = Path(setup.source or "").with_name(f"_{setup.stem}_baseline.py")
    if own is not None or not beside.is_file():
        return own
    spec = spec_from_file_location(f"jaxdl_baseline_{setup.stem}", beside)
    if spec is None or spec.loader is None:
        return None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, "baseline", None)


def name_of_method(method: Callable[..., Any]) -> str:
    return (method.__doc__ or "baseline").strip().splitlines()[0].rstrip(".")


def seen(data: Any, part: str) -> dict[str, np.ndarray]:
    """A split with `x` as the network sees it, without augmentation; tokens stay numbers."""
    whole = dict(data.splits[part])
    tokens = whole["x"].dtype.kind == "i"
    return whole if tokens else {**whole, "x": np.asarray(data.standardise(data.prepare(whole))["x"])}
