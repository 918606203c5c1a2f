"""`train(config, resume=RUN)`: it takes the knobs of the run, refuses others by name; what config.json holds; reserved names."""

import inspect
import json
import shutil

import numpy as np
import pytest

from jaxdl import Experiment, formats, load, sweep, train, trial
from jaxdl.__main__ import main
from jaxdl.data.source import InMemory
from jaxdl.engine import compiled
from jaxdl.engine.loop import Limits
from jaxdl.engine.stopping import EarlyStopping, directions
from jaxdl.experiment import RECORDED, ExperimentError
from jaxdl.models.mlp import MLP
from jaxdl.optim import adamw
from jaxdl.runs.prepare import prepare
from jaxdl.setup import RESERVED, Setup
from jaxdl.tasks.classification import Classification
from tests import tiny

pytestmark = [
    pytest.mark.programs(10, "the leaves of a checkpoint are put on the device one by one"),
    pytest.mark.usefixtures("unreported"),
]


def config(*, widths: tuple[int, ...], lr: float = 0.01, average: float = 0.5, seed: int = 0) -> Experiment:
    """One knob has no default, one is a tuple, one becomes a field that is recorded."""
    model = MLP(features=tuple(widths), classes=3)
    return Experiment(
        data=tiny.data(16), task=Classification(model), optimizer=adamw(lr), steps=6, ema=average, seed=seed
    )


VALUES = {"widths": [5], "lr": 0.02, "seed": np.int64(3), "data_seed": 7}


@pytest.fixture(scope="module")
def paused(tmp_path_factory):
    """A run of other values than the defaults that stopped after two of six steps."""
    return train(config, **VALUES, run=tmp_path_factory.mktemp("runs"), limits=Limits(stop_at=2), quiet=True)


@pytest.fixture
def copy(paused, tmp_path):
    return shutil.copytree(paused.folder, tmp_path / "copy")


def test_a_run_says_what_it_was_trained_with(paused):
    assert paused.setup.knobs == {"widths": [5], "lr": 0.02, "average": 0.5, "seed": 3}
    assert dict(paused.setup.overrides) == {"data_seed": 7}
    assert type(paused.setup.knobs["seed"]) is int
    loaded = load(paused.folder, config=config)
    assert loaded.setup.knobs == {"widths": (5,), "lr": 0.02, "average": 0.5, "seed": 3}
    assert (loaded.experiment.data_seed, loaded.experiment.ema) == (7, 0.5)


@pytest.mark.slow
@pytest.mark.parametrize("values", [{}, VALUES, {"lr": np.float64(0.02), "ema": 0.5, "precision": "float32"}], ids=str)
def test_a_resume_takes_the_runs_values_and_accepts_equal_ones(values, paused, copy):
    run = train(config, **values, resume=copy, limits=Limits(stop_at=3), quiet=True)
    assert (run.folder, int(run.state.step)) == (copy, 3)
    assert run.setup.knobs == {"widths": (5,), "lr": 0.02, "average": 0.5, "seed": 3}
    assert run.state.params["Dense_0"]["kernel"].shape == (6, 5)
    assert run.experiment.data_seed == 7
    assert json.loads((copy / "config.json").read_text(encoding="utf-8"))["knobs"] == {
        "widths": [5],
        "lr": 0.02,
        "average": 0.5,
        "seed": 3,
    }


DIFFERENT = {
    "lr was 0.02, now 0.03": {"lr": 0.03},
    "widths was (5,), now (5, 5)": {"widths": (5, 5)},
    "seed was 3, now 0": {"seed": 0},
    "average was 0.5, now 0.9": {"average": 0.9},
    "precision was float32, now bfloat16": {"precision": "bfloat16"},
    "data_seed was 7, now None": {"data_seed": None},
    "lr was 0.02, now 0.5; remat was False, now True": {"lr": 0.5, "remat": True, "seed": 3},
}


@pytest.mark.parametrize("told", DIFFERENT)
def test_a_resume_refuses_other_values_by_name(told, paused, copy):
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    with pytest.raises(ExperimentError) as error:
        train(config, **DIFFERENT[told], resume=copy, quiet=True)
    assert str(error.value) == f"cannot resume with other settings: {told}. Train a new run, or drop the change"
    assert {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("values", [{"learning_rate": 0.02}, {"steps": 6}], ids=str)
def test_a_resume_refuses_what_is_no_knob(values, copy):
    with pytest.raises(ExperimentError, match=next(iter(values))):
        train(config, **values, resume=copy, quiet=True)


def test_a_resume_compiles_nothing_that_the_run_had_compiled(paused, copy):
    """`ema` is recorded, and follows from a knob: it stays an argument of the program."""
    known = set(compiled._programs)
    run = train(config, resume=copy, limits=Limits(stop_at=3), quiet=True)
    assert set(compiled._programs) == known
    assert set(run.program.knobs) == {"lr", "average", "seed"}


def test_a_recorded_field_holds_whatever_the_file_says_by_now(paused):
    """The same function by name, which has come to average and to draw otherwise."""

    def edited(*, widths: tuple[int, ...], lr: float = 0.01, average: float = 0.5, seed: int = 0) -> Experiment:
        return config(widths=widths, lr=lr, average=average / 2, seed=seed)

    setup = Setup.from_json(edited, json.loads((paused.folder / "config.json").read_text(encoding="utf-8")))
    assert edited(widths=(5,)).ema == 0.25
    assert setup.build().ema == setup.build({"lr": 0.5}).ema == 0.5
    assert setup.with_values({"ema": 0.75}).build().ema == 0.75
    assert prepare(setup).exp.data_seed == 7


def test_config_json_has_what_a_setup_promises(paused):
    found = json.loads((paused.folder / "config.json").read_text(encoding="utf-8"))
    exp = paused.experiment
    promised = {"format", "knobs", "recorded", "select", "directions", "docstring"}
    assert set(paused.setup.to_json(exp)) == promised
    assert set(found) == promised | {"plan", "data"} | {"experiment", "seed", "source", "source_hash", "imports"}
    assert found["format"] == formats.FORMAT == 2
    assert found["knobs"] == {"widths": [5], "lr": 0.02, "average": 0.5, "seed": 3}
    assert found["recorded"] == {name: getattr(exp, name) for name in RECORDED}
    assert (found["recorded"]["ema"], found["recorded"]["data_seed"]) == (0.5, 7)
    assert found["select"] == ["accuracy", "max"]
    assert found["directions"] == directions(exp.task)
    assert found["docstring"].startswith("`train(config, resume=RUN)`")
    assert (found["experiment"], found["seed"]) == ("test_train", 3)


# -- reserved names ----------------------------------------------------------------------------------------------------


def test_the_reserved_names_are_those_that_train_and_sweep_take():
    kind = inspect.Parameter.KEYWORD_ONLY
    own = {n for verb in (train, sweep, trial) for n, p in inspect.signature(verb).parameters.items() if p.kind is kind}
    assert sorted(own) == list(RESERVED)


@pytest.mark.parametrize("name", RESERVED)
def test_a_knob_of_a_reserved_name_is_refused_in_one_line(name, tmp_path, monkeypatch, capsys):
    text = f'"""Mine."""\nfrom jaxdl import Experiment\ndef config(*, lr: float = 0.1, {name}: int = 1) -> Experiment: ...\n'
    (tmp_path / "mine.py").write_text(text, encoding="utf-8")
    space = {}
    exec(text, space)
    monkeypatch.chdir(tmp_path)
    message = f"knob {name!r} of config has the name of an argument of train or sweep"
    for call in (train, trial, lambda config: sweep(config, {"lr": (0.1, 0.2)})):
        with pytest.raises(ExperimentError, match=message) as error:
            call(space["config"])
        assert "\n" not in str(error.value)
    assert main(["train", "mine.py"]) == 2
    assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir() if path.name != "__pycache__"] == ["mine.py"]


def test_roc_auc_of_many_classes_is_refused_before_the_training(tmp_path):
    def config(*, classes: int = 1001, seed: int = 0) -> Experiment:
        rows = {"x": np.zeros((8, 3), np.float32), "y": np.arange(8, dtype=np.int32)}
        task = Classification(MLP(features=(), classes=classes))
        stop = EarlyStopping(metric="roc_auc")
        return Experiment(InMemory({"train": rows, "validation": rows}, 4), task, adamw(0.1), 2, stop=stop, seed=seed)

    for action in (
        lambda: train(config, run=tmp_path, quiet=True),
        lambda: sweep(config, {"seed": (0, 1)}, run=tmp_path),
    ):
        with pytest.raises(ExperimentError, match=r"roc_auc.* 1,000 .* 1,001"):
            action()
    assert not list(tmp_path.iterdir())
    prepare(Setup.of(config, {"classes": 1000}))


@pytest.mark.slow
def test_a_sweep_notes_classes_that_training_never_saw(tmp_path, capfd):
    def config(*, lr: float = 0.1, seed: int = 0) -> Experiment:
        x, y = np.ones((8, 3), np.float32), np.arange(8, dtype=np.int32) % 2
        data = InMemory({"train": {"x": x, "y": y}, "test": {"x": x, "y": y + 1}}, 4, classes=("ant", "bee", "cow"))
        return Experiment(data, Classification(MLP(features=(), classes=3)), adamw(lr), 2, seed=seed)

    sweep(config, {"seed": (0, 1)}, run=tmp_path, how="in turn", quiet=True)
    assert "note: test: 4 of 8 examples are of a class never seen in training ('cow')" in capfd.readouterr().err
