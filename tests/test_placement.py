"""What is computed for one example, and how often the data lie on the device."""

import jax
import numpy as np
import optax
import pytest

from jaxdl import Experiment
from jaxdl.data.source import InMemory
from jaxdl.engine.parallel import Plan
from jaxdl.engine.placement import placed
from jaxdl.models.mlp import MLP
from jaxdl.runs.prepare import prepare
from jaxdl.runs.run import Run, rows_for
from jaxdl.setup import Setup
from jaxdl.tasks.classification import Classification

X = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int32)
DATA = InMemory({"train": {"x": X, "y": Y}}, batch=20, name="made")


def config(*, width: int = 8, lr: float = 1e-2, seed: int = 0) -> Experiment:
    task = Classification(MLP(features=(width,), classes=2))
    return Experiment(data=DATA, task=task, optimizer=optax.sgd(lr), steps=2, seed=seed)


def test_programs_of_one_data_set_share_its_copy():
    """Two widths are two programs; the arrays they read are the same buffers."""
    one, two = (prepare(Setup.of(config, {"width": width})) for width in (3, 5))
    assert one is not two
    source = DATA.source(0, 1, 0)
    a, b = one.place(source), two.place(source)
    assert {name: array.unsafe_buffer_pointer() for name, array in a.items()} == {
        name: array.unsafe_buffer_pointer() for name, array in b.items()
    }
    np.testing.assert_array_equal(a["x"], X)


def test_an_array_that_was_written_to_is_copied_again():
    array = np.zeros(1000, np.float32)
    before = placed(Plan(), {"x": array})["x"]
    assert placed(Plan(), {"x": array})["x"] is before
    array[3] = 1
    after = placed(Plan(), {"x": array})["x"]
    assert float(after.sum()) == 1


def test_the_copy_goes_with_the_last_that_uses_it():
    array = np.full(1237, 7.0, np.float32)
    held = placed(Plan(), {"x": array})["x"]
    alive = lambda: sum(a.shape == (1237,) for a in jax.live_arrays())
    assert alive() == 1
    del held
    assert alive() == 0


def test_few_examples_are_few_rows(monkeypatch):
    """The program sees 1 row for one example and 4 for three; the answers are those of a whole batch."""
    setup = Setup.of(config, {})
    program = prepare(setup)
    run = Run(setup, program, program.init())
    whole, seen, plain = run.predict(X), [], program.predict

    def watched(weights, batch):
        seen.append(batch["x"].shape[0])
        return plain(weights, batch)

    monkeypatch.setattr(program, "predict", watched)
    for count in (1, 3):
        few = run.predict(X[:count])["probability"]
        np.testing.assert_allclose(few, whole["probability"][:count], rtol=1e-5)
    assert seen == [1, 4]


@pytest.mark.parametrize("batch", [1, 7, 64])
def test_there_are_few_sizes(batch):
    sizes = {rows_for(count, batch) for count in range(1, 500)}
    assert max(sizes) == batch
    assert len(sizes) <= np.log2(batch) + 2
    assert all(rows_for(count, batch) >= min(count, batch) for count in range(1, 500))
