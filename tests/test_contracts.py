"""The contracts of data and tasks: what the least of each is, and that ours keep them."""

import inspect
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxdl
from jaxdl import data, tasks
from jaxdl.data import source
from jaxdl.data.audio import librispeech, speech, spoken
from jaxdl.data.image import images, vision
from jaxdl.data.table import series, tabular
from jaxdl.data.text import buckets, language, text_classes, token_shards
from jaxdl.engine.stopping import EarlyStopping
from jaxdl.reports import Notes, Picture, Rows
from jaxdl.types import Data, Task

SETS = [
    value
    for module in (
        buckets,
        images,
        librispeech,
        series,
        speech,
        spoken,
        source,
        tabular,
        language,
        text_classes,
        token_shards,
        vision,
    )
    for value in vars(module).values()
    if inspect.isclass(value) and hasattr(value, "train_batch") and value.__module__ == module.__name__
]
TASKS = [
    value
    for path in sorted(Path(tasks.__path__[0]).glob("*.py"))
    for value in vars(__import__(f"jaxdl.tasks.{path.stem}", fromlist=["_"])).values()
    if inspect.isclass(value) and hasattr(value, "objective") and value.__module__ == f"jaxdl.tasks.{path.stem}"
]


class Line(Data):
    """The least data set: y = 2x - 1."""

    batch, name = 8, "a line"
    splits = {  # noqa: RUF012 (the contract says Mapping)
        part: {
            "x": np.linspace(0, 1, n, dtype=np.float32)[:, None],
            "y": 2 * np.linspace(0, 1, n, dtype=np.float32) - 1,
        }
        for part, n in (("train", 32), ("validation", 9))
    }

    def train_batch(self, source, seed, draw):
        rows = (draw * self.batch + jnp.arange(self.batch)) % 32
        return {**{k: jnp.take(v, rows, axis=0) for k, v in source.items()}, "mask": jnp.ones(self.batch)}


class Slope(Picture):
    def draw(self, path):
        path.write_bytes(b"a picture")
        return path


@dataclass(frozen=True)
class Fit(Task):
    """The least task: a line through the points."""

    def init(self, key, batch):
        return {"w": jnp.zeros(()), "b": jnp.zeros(())}, {}

    def objective(self, params, model_state, batch, key, step, *, train):
        error = (params["w"] * batch["x"][:, 0] + params["b"] - batch["y"]) ** 2
        total, weight = (error * batch["mask"]).sum(), batch["mask"].sum()
        return total / weight, (model_state, {"loss": (total, weight)})

    def predict(self, params, model_state, batch, key):
        return {"value": params["w"] * batch["x"][:, 0] + params["b"]}

    def report(self, outputs, targets):
        worst = float(np.abs(outputs["value"] - targets).max())
        return {"worst": worst, "slope": Slope(title="The slope"), "notes": Notes(("so far, so straight",))}


def config(*, lr: float = 0.3, seed: int = 0) -> jaxdl.Experiment:
    return jaxdl.Experiment(data=Line(), task=Fit(), optimizer=optax.adam(lr), steps=120, eval_every=60, seed=seed)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return jaxdl.train(config, run=tmp_path_factory.mktemp("runs"), quiet=True)


def test_the_least_of_each_trains_evaluates_and_reports(run):
    found = run.evaluate("validation")
    assert found.metrics["loss"] < 1e-3
    assert found.metrics["worst"] < 0.1
    np.testing.assert_allclose([run.state.params["w"], run.state.params["b"]], [2, -1], atol=0.1)
    np.testing.assert_allclose(run.predict(np.float32([[0.5]]))["value"], [0], atol=0.05)
    report = (run.folder / "report.md").read_text(encoding="utf-8")
    assert "![The slope (validation split)](plots/slope.png)" in report
    assert "- so far, so straight" in report
    assert (run.folder / "plots" / "slope.png").read_bytes() == b"a picture"


@pytest.mark.programs(16, "a whole run, stopped early")
def test_early_stopping_by_the_metric_of_a_report(tmp_path):
    def stopped(*, lr: float = 0.0) -> jaxdl.Experiment:
        exp = config(lr=lr)
        stop = EarlyStopping(metric="worst", mode="min", patience=1)
        return jaxdl.Experiment(exp.data, exp.task, optax.sgd(lr), 120, eval_every=10, stop=stop)

    assert jaxdl.trial(stopped).outcome.reason == "stopped early"


@pytest.mark.parametrize("kind", SETS, ids=lambda kind: f"{kind.__module__.rsplit('.')[-1]}.{kind.__name__}")
def test_every_data_set_keeps_the_contract(kind):
    assert issubclass(kind, Data)
    extra = {name for name in vars(kind) if not name.startswith("_") and callable(getattr(kind, name))}
    for name in extra & set(vars(Data)):
        ours, theirs = inspect.signature(getattr(kind, name)), inspect.signature(getattr(Data, name))
        assert len(ours.parameters) == len(theirs.parameters) or name in ("prepare", "standardise"), name


@pytest.mark.parametrize("kind", TASKS, ids=lambda kind: kind.__name__)
def test_every_task_keeps_the_contract(kind):
    assert issubclass(kind, Task)
    for name in ("init", "objective", "predict", "observe", "sample", "report"):
        ours, theirs = inspect.signature(getattr(kind, name)), inspect.signature(getattr(Task, name))
        assert len(ours.parameters) == len(theirs.parameters), name
    assert kind.metric is not None


def test_there_are_sets_and_tasks():
    assert len(SETS) >= 10
    assert len(TASKS) >= 12
    assert data.__path__


def test_rows_and_pictures_are_plain_in_json():
    from jaxdl.reports import Matrix, as_json

    assert as_json(Matrix(np.eye(2, dtype=int))) == [[1, 0], [0, 1]]
    assert as_json(Rows(("a",), [[1]])) == [["1"]]
    assert as_json(Notes(("x",))) == ["x"]
    assert np.asarray(Matrix(np.eye(2))).tolist() == [[1, 0], [0, 1]]
    assert jax.tree.leaves(as_json(Slope())) == []
