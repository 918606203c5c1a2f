"""What an Experiment and the limits of a run refuse before there is a folder: counts, and a stop with nothing to look at."""

from dataclasses import replace

import numpy as np
import pytest

from jaxdl import train
from jaxdl.counts import check_count
from jaxdl.data.source import InMemory
from jaxdl.engine.halving import rungs
from jaxdl.engine.loop import Limits
from jaxdl.engine.population import with_best
from jaxdl.engine.stopping import EarlyStopping
from jaxdl.record.checkpoint import Checkpoints
from jaxdl.runtime import configure
from jaxdl.types import UserError

WRONG = {
    19.5: r"= 19\.5 must be a whole number: give \w+ = 20, or compute it with round\(\.\.\.\)",
    20.0: r"= 20\.0 must be a whole number: give \w+ = 20, or compute it with round\(\.\.\.\)",
    np.float32(3.0): r"= 3\.0 must be a whole number: give \w+ = 3, or compute it with round\(\.\.\.\)",
    float("nan"): "= nan must be a whole number$",
    float("inf"): "= inf must be a whole number$",
    True: "= True must be a whole number$",
    "12": "= '12' must be a whole number$",
    0: "= 0 must be 1 or more",
    -3: "= -3 must be 1 or more",
}


@pytest.mark.parametrize("value", WRONG, ids=repr)
@pytest.mark.parametrize("name", ["steps", "eval_every", "accumulate"])
def test_an_experiment_refuses(name, value, tiny):
    with pytest.raises(ValueError, match=f"{name} {WRONG[value]}"):
        replace(tiny.config(), **{name: value})


@pytest.mark.parametrize("value", WRONG, ids=repr)
@pytest.mark.parametrize("name", ["log_every", "checkpoint_every", "stop_at", "max_bad"])
def test_limits_refuse(name, value):
    with pytest.raises(ValueError, match=f"{name} {WRONG[value]}"):
        Limits(**{name: value})


def test_whole_numbers_of_numpy_pass(tiny):
    exp = replace(tiny.config(), steps=np.int64(7), eval_every=np.int32(3), accumulate=np.uint8(2))
    assert (exp.steps, exp.evaluation_step, exp.accumulate) == (7, 3, 2)
    assert Limits(log_every=np.int64(5)).log_every == 5
    assert EarlyStopping(patience=np.int64(0)).patience == 0
    check_count("nothing", None)


@pytest.mark.parametrize("name", ["patience", "start_from"])
def test_early_stopping_refuses(name):
    with pytest.raises(ValueError, match=rf"{name} = 2\.5 must be a whole number: give {name} = 2"):
        EarlyStopping(**{name: 2.5})


@pytest.mark.parametrize("value", [True, float("nan"), float("inf"), "5", 0, -1.0], ids=repr)
def test_a_watchdog_is_a_time(value):
    with pytest.raises(UserError, match="watchdog"):
        Limits(watchdog=value)


@pytest.mark.parametrize("value", [True, float("nan"), "0.9", 1.0, -0.1], ids=repr)
def test_an_average_has_a_decay(value, tiny):
    with pytest.raises(UserError, match="ema"):
        replace(tiny.config(), ema=value)


@pytest.mark.parametrize("value", [True, 1.5, float("nan"), "1", -1, 2**31], ids=repr)
@pytest.mark.parametrize("name", ["seed", "data_seed"])
def test_a_seed_is_a_whole_number(name, value, tiny):
    with pytest.raises(UserError, match=f"{name} = "):
        replace(tiny.config(), **{name: value})


@pytest.mark.parametrize("value", [True, 1.5, float("nan"), "1", -1], ids=repr)
@pytest.mark.parametrize(
    "action",
    [
        lambda value: rungs(100, value),
        lambda value: rungs(value, 9),
        lambda value: rungs(100, 9, eta=value),
        lambda value: rungs(100, 9, grid=value),
        lambda value: Checkpoints("nowhere", keep=value),
        lambda value: configure(devices=value),
        lambda value: EarlyStopping(start_from=value),
    ],
)
def test_public_functions_refuse_what_is_no_count(action, value):
    with pytest.raises(UserError):
        action(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "0", True], ids=repr)
def test_an_improvement_is_a_number(value):
    with pytest.raises(UserError, match="min_delta"):
        EarlyStopping(min_delta=value)


def test_a_wrong_count_leaves_no_folder(tiny, tmp_path):
    with pytest.raises(ValueError, match="must be a whole number"):
        train(tiny.config, steps=19.5, run=tmp_path, quiet=True)
    assert not any(tmp_path.iterdir())


# -- early stopping needs something to look at ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def unvalidated(tiny):
    splits = {name: arrays for name, arrays in tiny.data(16).splits.items() if name != "validation"}
    return InMemory(splits, 16, name="two splits")


@pytest.mark.parametrize("rule", [{}, {"metric": "loss"}, {"patience": 10**9}, {"restore_best": False}], ids=str)
def test_early_stopping_without_a_validation_split_is_refused(rule, tiny, unvalidated):
    wanted = r"needs a validation split, and two splits has none: it has train, test; give it one, or stop=None"
    with pytest.raises(ValueError, match=wanted) as told:
        replace(tiny.config(), data=unvalidated, stop=EarlyStopping(**rule))
    assert "\n" not in str(told.value)


def test_no_early_stopping_needs_none(tiny, unvalidated):
    exp = replace(tiny.config(), data=unvalidated, stop=None)
    assert with_best(exp).stop.restore_best is False  # a population remembers what was best, if anything was evaluated
