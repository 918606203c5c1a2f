"""The first state of a population is made by a program that cannot wait for ever."""

import re

import flax.linen as nn
import numpy as np

from jaxdl import Experiment
from jaxdl.data.source import InMemory
from jaxdl.engine.population import Group, Population
from jaxdl.optim import sgd
from jaxdl.tasks.classification import Classification

DATA = InMemory({"train": {"x": np.zeros((8, 6), np.float32), "y": np.arange(8, dtype=np.int32) % 3}}, 4)


def orthogonal(*, seed: int = 0) -> Experiment:
    class Net(nn.Module):
        @nn.compact
        def __call__(self, x, *, train):
            for width in (5, 4, 3):
                x = nn.Dense(width, kernel_init=nn.initializers.orthogonal())(x.reshape(len(x), -1))
            return x

    return Experiment(DATA, Classification(Net()), sgd(0.1), 5, seed=seed)


def test_members_are_initialised_without_batched_factorizations():
    """jaxlib 0.10 waits for ever on a CPU where as many of them meet as it has cores."""
    one = Group.make(
        orthogonal(), lambda knobs: orthogonal(**knobs), range(4), [{"seed": i} for i in range(4)], ["seed"]
    )
    program = Population(one, mode="together").program
    text = program.function("init").lower(program.knobs).as_text()
    calls = [line for line in text.splitlines() if "custom_call @lapack" in line]
    assert len(calls) == 2 * 3  # geqrf and orgqr of three matrices
    ranks = [len(dims.split("x")) - 1 for line in calls for dims in re.findall(r"tensor<([0-9x]+f32)>", line)]
    assert set(ranks) <= {1, 2}
