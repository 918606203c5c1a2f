"""Two players: what is told of a game, what a loss is, new examples, and what is refused."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdl
from jaxdl.data.source import InMemory
from jaxdl.losses.adversarial import hinge, least_squares, wasserstein
from jaxdl.models.gan import DCGANCritic, DCGANGenerator, MLPCritic, MLPGenerator
from jaxdl.runs.prepare import prepare
from jaxdl.setup import Setup
from jaxdl.tasks.adversarial import Adversarial, shown_examples
from tests.programs import one_program
from tests.tasks.test_adversarial import config, points


def outputs(made, real_logit, made_logit):
    real = np.random.default_rng(0).normal(size=(200, 8, 8, 1))
    return {"real": real, "sample": made, "real_logit": np.asarray(real_logit), "sample_logit": np.asarray(made_logit)}


def test_a_sick_game_is_named():
    task = Adversarial(None, None)
    rng = np.random.default_rng(1)
    fine = task.report(outputs(rng.normal(size=(200, 8, 8, 1)), rng.normal(size=200), rng.normal(size=200)), None)
    assert "notes" not in fine
    assert fine["samples"].pixels.shape == (64, 8, 8, 1)
    assert set(shown_examples(np.zeros((3, 2)), np.zeros((3, 2)))) == {"points"}
    assert shown_examples(np.zeros((3, 5)), np.zeros((3, 5))) == {}, "nothing to draw of five columns"
    assert fine["diversity"] == pytest.approx(1, abs=0.05)
    one_image = np.ones((200, 8, 8, 1)) + 0.1 * rng.normal(size=(200, 8, 8, 1))
    sick = task.report(outputs(one_image, np.full(200, 500.0), np.full(200, -500.0)), None)
    assert [note.split(":")[0] for note in sick["notes"].lines] == [
        "discriminator saturated",
        "generator collapsed",
        "diverging",
    ]
    apart = outputs(rng.normal(size=(200, 8, 8, 1)), 500 + rng.normal(size=200), 490 + rng.normal(size=200))
    assert "notes" not in replace(task, loss=wasserstein).report(
        apart, None
    )  # its critic has no zero, and does not saturate


def unlabelled():
    data = InMemory({part: {"x": arrays["x"]} for part, arrays in points().splits.items()}, 16, name="points")
    task = replace(config().task, generator=MLPGenerator((2,), (8,)), critic=MLPCritic((8,)), conditional=False)
    return replace(config(), data=data, task=task, steps=2, eval_every=1)


@pytest.mark.slow
@pytest.mark.programs(16, "a run with its report")
def test_labels_are_not_needed(tmp_path):
    run = jaxdl.train(lambda: unlabelled(), run=tmp_path, quiet=True)
    assert (run.folder / "plots" / "points.png").is_file()
    assert run.predict(points().splits["validation"]["x"])["logit"].shape == (40,)


def test_new_examples_are_of_the_class_that_is_asked_for():
    task = replace(config().task, generator=MLPGenerator((2,), (8,), classes=2))
    x = np.zeros((4, 2), np.float32)
    params, state = one_program(task.init, jax.random.key(0), {"x": x, "y": np.zeros(4, np.int32)})
    ask = lambda y: task.sample(params, state, {"x": x, "y": y}, jax.random.key(0))
    made, other = one_program(jax.vmap(ask), np.int32([[0, 1, 0, 1], [1, 1, 1, 1]]))
    assert len(np.unique(made, axis=0)) == 4
    np.testing.assert_array_equal(made[1], other[1])  # by seed, row and label
    assert (made[0] != other[0]).any()
    with pytest.raises(ValueError, match="jaxdl generate RUN --label"):
        task.predict(params, state, {"x": x}, jax.random.key(0))


def test_a_loss_is_a_value():
    tasks = [replace(config().task, loss=loss, penalty=None, r1=None) for loss in (hinge, least_squares)]

    def both():
        key, fold = jax.random.key(1), jax.random.fold_in
        batch = config().data.train_batch(config().data.splits["train"], 0, jnp.int32(0))
        params, state = tasks[0].init(jax.random.key(0), batch)

        def play(name, *inputs):
            return tasks[0].play(name, params, state, *inputs, batch["y"], key=key, train=False)[0]

        real, made = play("critic", batch["x"]), play("critic", play("generator", tasks[0].noise(fold(key, 1), batch)))
        found = [task.criticise(params, state, batch, key, jnp.int32(0), train=False)[0] for task in tasks]
        return found, [task.loss.critic(real, made).mean() for task in tasks]

    np.testing.assert_allclose(*one_program(both), rtol=1e-5)


def test_what_does_not_fit_is_refused():
    exp = config()
    with pytest.raises(ValueError, match=r"makes examples of shape \(3,\), the data's have \(2,\)"):
        prepare(Setup.of(lambda: replace(exp, task=replace(exp.task, generator=MLPGenerator((3,), classes=2))), {}))
    deaf = replace(exp, task=replace(exp.task, critic=MLPCritic((8,))))
    with pytest.raises(ValueError, match="critic has classes = None"):
        prepare(Setup.of(lambda: deaf, {}))
    normed, x = Adversarial(DCGANGenerator((16, 16, 1), 4), DCGANCritic(4), penalty=1.0), np.zeros((2, 16, 16, 1))
    with pytest.raises(ValueError, match=r"penalty = 1.0 .*norm=None"):
        jax.eval_shape(lambda: normed.init(jax.random.key(0), {"x": np.float32(x)}))
    with pytest.raises(ValueError, match="critic_steps = 0 must be 1 or more"):
        replace(exp.task, critic_steps=0)
    with pytest.raises(ValueError, match="labels must lie in 0 … 1, got 2"):
        exp.task.check(np.array([0, 2]))
