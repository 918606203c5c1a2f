"""`train(config, lr=3e-3)`: what is a knob, what is recorded, what is refused; and no edit of code is missed."""

import sys
from types import ModuleType

import jax
import numpy as np
import optax
import pytest

import jaxdl
from jaxdl.data.source import InMemory
from jaxdl.engine import compiled
from jaxdl.experiment import Experiment, ExperimentError
from jaxdl.models.mlp import MLP
from jaxdl.runs.prepare import prepare
from jaxdl.setup import Setup
from jaxdl.tasks.classification import Classification
from jaxdl.types import UserError

X = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int32)
DATA = InMemory({"train": {"x": X, "y": Y}}, batch=20, name="made")

HELPERS = """
import numpy as np
from jaxdl.models.mlp import MLP
SIZES = {"width": 4}
SCALE = np.ones((1, 4), np.float32)
class Net:
    width = 4
def net(width=4):
    return MLP(features=(width,), classes=2)
def by_body():
    return MLP(features=(4,), classes=2)
def by_class():
    return MLP(features=(Net.width,), classes=2)
def by_dict():
    return MLP(features=(SIZES["width"],), classes=2)
def scaled(key, batch):
    return {**batch, "x": batch["x"] * SCALE}
"""
"""Another cell of a notebook: functions that `config` below looks up by name when it is called."""


@pytest.fixture
def helpers(monkeypatch):
    module = ModuleType("helpers_cell")
    exec(HELPERS, module.__dict__)
    monkeypatch.setitem(sys.modules, "helpers_cell", module)
    return module


def config(*, model: str = "net", lr: float = 0.1, seed: int = 0) -> Experiment:
    import helpers_cell

    task = Classification(getattr(helpers_cell, model)())
    return Experiment(data=DATA, task=task, optimizer=optax.sgd(lr), steps=2, augment=(helpers_cell.scaled,), seed=seed)


def width(model: str) -> int:
    return prepare(Setup.of(config, {"model": model})).shapes.params["Dense_0"]["kernel"].shape[1]


@pytest.mark.parametrize(
    ("model", "edit"),
    {
        "a default": ("net", "def net(width=6):\n    return MLP(features=(width,), classes=2)"),
        "a body": ("by_body", "def by_body():\n    return MLP(features=(6,), classes=2)"),
        "a class attribute": ("by_class", "Net.width = 6"),
        "a dictionary": ("by_dict", "SIZES['width'] = 6"),
    }.items(),
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_edit_in_another_cell_is_seen_without_running_the_cell_of_config(helpers, model, edit):
    name, code = edit
    assert width(name) == 4
    exec(code, helpers.__dict__)
    assert width(name) == 6, model


@pytest.mark.programs(12, "an edited array must give another program: two are compiled")
def test_an_array_that_is_edited_in_place_is_another_program(helpers):
    def moved() -> float:
        program = prepare(Setup.of(config, {}))
        state = program.init()
        before = np.asarray(state.params["Dense_0"]["kernel"])
        state, _ = program.chunk(state, program.place(DATA.source(0, 1, 0)), np.int32(1), np.int32(10))
        return float(np.abs(np.asarray(state.params["Dense_0"]["kernel"]) - before).max())

    assert moved() > 0
    helpers.SCALE[:] = 0
    assert moved() == 0, "inputs of zero have no gradient in the first layer"


def plain(*, lr: float = 0.1, decay: float = 0.0, seed: int = 0) -> Experiment:
    task = Classification(MLP(features=(4,), classes=2))
    return Experiment(data=DATA, task=task, optimizer=optax.sgd(lr), steps=2, seed=seed)


def test_another_learning_rate_or_seed_compiles_nothing():
    first = prepare(Setup.of(plain, {"lr": 0.1}))
    first.init()
    known = len(compiled._programs)
    second = prepare(Setup.of(plain, {"lr": 0.2, "seed": 3}))
    state = second.init()
    assert len(compiled._programs) == known
    assert second is not first
    assert not np.array_equal(state.params["Dense_0"]["kernel"], first.init().params["Dense_0"]["kernel"])


def test_values_are_knobs_or_recorded_fields():
    setup = Setup.of(plain, {"lr": np.float32(0.5), "precision": "bfloat16", "ema": 0.9})
    assert setup.knobs == {"lr": 0.5, "decay": 0.0, "seed": 0}
    assert type(setup.knobs["lr"]) is float
    assert setup.overrides == {"precision": "bfloat16", "ema": 0.9}
    exp = setup.build()
    assert (exp.precision, exp.ema) == ("bfloat16", 0.9)
    assert setup.to_json(exp)["recorded"]["ema"] == 0.9
    again = Setup.from_json(plain, setup.to_json(exp))
    assert again.build().ema == 0.9
    assert again.knobs == setup.knobs


def test_a_knob_named_like_a_recorded_field_is_the_knob():
    def own(*, ema: float = 0.5) -> Experiment:
        return Experiment(data=DATA, task=plain().task, optimizer=optax.sgd(ema), steps=2)

    setup = Setup.of(own, {"ema": 0.25})
    assert (setup.knobs, dict(setup.overrides)) == ({"ema": 0.25}, {})
    assert setup.build().ema is None


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"lrr": 1.0}, ("lrr", "'lr'")),
        ({"precison": "bfloat16"}, ("precison", "'precision'")),
        ({"steps": 3}, ("steps", "knobs")),
        ({"optimizer": None}, ("optimizer", "knobs")),
        ({"seed": -1}, ("seed", "-1")),
        ({"seed": 2**31}, ("seed", str(2**31))),
    ],
)
def test_a_name_or_a_value_that_is_nothing_is_refused(values, words):
    with pytest.raises(UserError) as error:
        Setup.of(plain, values)
    assert all(word in str(error.value) for word in words)


def test_an_experiment_in_place_of_its_function_is_refused_with_the_new_form():
    with pytest.raises(ExperimentError, match=r"train\(config, lr=3e-3\)"):
        jaxdl.train(plain(lr=0.2))


def test_an_experiment_made_by_hand_is_what_is_built():
    exp = plain()
    program = prepare(Setup.of(lambda: exp, {"ema": 0.5}))
    assert program.exp.ema == 0.5
    assert program.shapes.ema is not None
    assert program.knobs == {}


def test_a_function_that_returns_something_else_says_so():
    with pytest.raises(ExperimentError, match="must return an Experiment, got int"):
        Setup.of(lambda: 3, {}).build()


@pytest.mark.programs(8, "compiled programs are the subject")
def test_a_compiled_program_depends_on_what_was_lowered_alone():
    """Two functions of one text share a program; of another text, or of other arguments, they do not."""
    from jaxdl.engine.compiled import Compiled

    compiled.forget()
    one, two, three = (Compiled(f, "plan") for f in (lambda x: x + 1, lambda x: 1 + x, lambda x: x + 2))
    x = np.float32(3)
    assert [float(f(x)) for f in (one, two, three)] == [4, 4, 5]
    assert len({id(next(iter(f.known.values()))) for f in (one, three)}) == 2
    again = Compiled(lambda x: x + 1, "plan")
    again(x)
    assert next(iter(again.known.values())) is next(iter(one.known.values()))
    other = Compiled(lambda x: x + 1, "another plan")
    other(x)
    assert next(iter(other.known.values())) is not next(iter(one.known.values()))
    assert float(one(np.arange(2, dtype=np.float32))[1]) == 2
    assert jax.tree.structure({"a": 1}) != jax.tree.structure([1])
