"""Ten training steps through the whole program are PyTorch's."""

import pytest

from jaxdl import optim
from jaxdl.data.source import InMemory
from jaxdl.experiment import Experiment
from jaxdl.models.cnn import CNN
from jaxdl.models.mlp import MLP
from jaxdl.tasks.classification import Classification
from tests.engine.test_step import advance, close, mean_of
from tests.golden.ten_steps import BATCH, NETS, OPTIMIZERS, ORDER, STEPS, images, stored, ten_steps

MODELS = {"mlp": MLP(features=(16,), classes=3), "cnn": CNN(features=(4, 8), classes=3)}
RULES = {"sgd": optim.momentum(0.05, b=0.9), "adamw": optim.adamw(0.01, decay=0.1, mask=optim.everything)}


ROWS = [("mlp", "sgd"), ("mlp", "adamw"), ("cnn", "sgd")]
ROWS = [("cnn", "adamw"), *(pytest.param(*row, marks=pytest.mark.slow) for row in ROWS)]


def compare(net, rule, theirs):
    start, end, loss = theirs
    data, task = InMemory({"train": images()}, BATCH), Classification(MODELS[net])
    exp = Experiment(data=data, task=task, optimizer=RULES[rule], steps=STEPS, seed=ORDER)
    state = advance(exp, STEPS, start=start)
    assert mean_of(state, "loss") == pytest.approx(loss, rel=1e-6)
    # Adam divides by the size of a gradient: where that is near zero, rounding shows
    close(state.params, end, rtol=1e-5, atol={"sgd": 1e-6, "adamw": 1e-5}[rule])


@pytest.mark.parametrize(("net", "rule"), ROWS)
def test_ten_steps_are_those_of_pytorchs_golden_file(net, rule):
    compare(net, rule, stored(net, rule))


@pytest.mark.parity
@pytest.mark.parametrize("rule", OPTIMIZERS)
@pytest.mark.parametrize("net", NETS)
def test_ten_steps_are_pytorchs_from_other_weights(net, rule):
    pytest.importorskip("torch")
    compare(net, rule, ten_steps(net, rule, seed=1))
