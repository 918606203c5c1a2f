"""Wrong callbacks, columns, NNX classes, label sets, label maps and sweeps: one line each, exit code 2, and no run folder."""

import textwrap

import pytest

from tests.cli.test_errors import refused, write

pytestmark = pytest.mark.programs(12, "making an NNX module compiles its initializers")

FILE = """
    import flax.linen as nn
    import numpy as np
    from flax import nnx
    from jaxdl import Experiment
    from jaxdl.data.source import InMemory
    from jaxdl.data.table.columns import from_columns
    from jaxdl.models.mlp import MLP
    from jaxdl.models.nnx import from_nnx
    from jaxdl.optim import sgd
    from jaxdl.tasks.classification import Classification
    from jaxdl.tasks.multilabel import MultiLabelClassification
    from jaxdl.tasks.segmentation import Segmentation

    class Net(nnx.Module):
        def __init__(self, width=2, *, rngs):
            self.head = nnx.Linear(3, width, rngs=rngs)

        def __call__(self, x):
            return self.head(x)

    class Maps(nn.Module):
        stride: int = 1

        @nn.compact
        def __call__(self, x):
            return nn.Conv(2, (1, 1), self.stride)(x)

    x, y = np.ones((8, 3), np.float32), np.arange(8) % 2
    images, maps = np.ones((8, 4, 4, 1), np.float32), np.arange(128).reshape(8, 4, 4) % 2

    def made(x=x, y=y, task=Classification(MLP(features=(), classes=2)), data=None, **fields):
        data = InMemory({"train": {"x": x, "y": y}}, 4) if data is None else data
        return Experiment(data, task, sgd(0.1), 2, **fields)

    def columns(y="b", **splits):
        return from_columns(splits, y=y, batch=4)

    def config(*, rate: float = 0.5, seed: int = 0) -> Experiment:
        return HERE
"""

WRONG = {
    "callbacks that is no sequence": ("made(callbacks=3)", "callbacks"),
    "one function for callbacks": ("made(callbacks=print)", "callbacks"),
    "a callback by its name": ("made(callbacks=('print',))", "'print'"),
    "columns of an unknown split": (
        "made(data=columns(train={'a': x[:, 0], 'b': y}, valid={'a': y, 'b': y}))",
        "'valid'",
    ),
    "a target that is no column": ("made(data=columns('c', train={'a': x[:, 0], 'b': y}))", "'c'"),
    "columns of two lengths": ("made(data=columns(train={'a': x[:3, 0], 'b': y}))", "one length"),
    "a target alone": ("made(data=columns(train={'b': y}))", "inputs and targets"),
    "rows that are numbers": ("made(data=columns(train=[1, 2, 3]))", "columns by name"),
    "no columns": ("made(data=columns(train={}))", "inputs and targets"),
    "numbers in one split and names in another": (
        "made(data=columns(train={'a': x[:, 0], 'b': y}, validation={'a': ['one'] * 8, 'b': y}))",
        "'one'",
    ),
    "an NNX module that exists": ("made(task=Classification(from_nnx(Net(rngs=nnx.Rngs(0)))))", "Net"),
    "no NNX class": ("made(task=Classification(from_nnx(3)))", "from_nnx"),
    "rngs for an NNX class": ("made(task=Classification(from_nnx(Net, rngs=nnx.Rngs(0))))", "rngs"),
    "another argument of an NNX class": ("made(task=Classification(from_nnx(Net, depth=3)))", "depth"),
    "a label of 2 among 0 and 1": (
        "made(y=np.full((8, 2), 2), task=MultiLabelClassification(MLP(features=(), classes=2)))",
        "got 2",
    ),
    "one label for each of many": ("made(task=MultiLabelClassification(MLP(features=(), classes=2)))", "(8,)"),
    "three logits for two labels": (
        "made(y=np.ones((8, 2), int), task=MultiLabelClassification(MLP(features=(), classes=3)))",
        "(n, 3)",
    ),
    "a threshold above 1": (
        "made(task=MultiLabelClassification(MLP(features=(), classes=2), threshold=1.5))",
        "threshold = 1.5",
    ),
    "maps of floats": ("made(images, maps / 2, Segmentation(Maps()))", "float64"),
    "maps of another size": ("made(images, maps[:, :2], Segmentation(Maps()))", "logits"),
    "a network that halves the map": ("made(images, maps, Segmentation(Maps(stride=2)))", "logits"),
    "a class for each image": ("made(images, y, Segmentation(Maps()))", "label maps"),
    "a class of -1 in a map": ("made(images, maps - 1, Segmentation(Maps()))", "got -1"),
}


@pytest.mark.parametrize("what", WRONG)
def test_an_experiment_is_refused(here, capfd, what):
    expression, named = WRONG[what]
    write(here, textwrap.dedent(FILE).replace("HERE", expression))
    assert named in refused(capfd, "train", "mine.py")
    assert not (here / "runs").exists()


SWEEPS = {
    "one value": (("--rate", "0.1"), "rate"),
    "a word among numbers": (("--rate", "0.1,high"), "high"),
    "pruning without validation": (("--seed", "0:3", "--prune"), "validation"),
}


@pytest.mark.parametrize("what", SWEEPS)
def test_a_sweep_is_refused(here, capfd, what):
    flags, named = SWEEPS[what]
    write(here, textwrap.dedent(FILE).replace("HERE", "made()"))
    assert named in refused(capfd, "sweep", "mine.py", *flags)
