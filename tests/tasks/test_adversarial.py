"""Two players: PyTorch's loop step for step, who moves what, resume, sweep and meshes, EMA, evaluation, and what is told."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdl
from jaxdl import Experiment, optim
from jaxdl.data.source import InMemory
from jaxdl.engine.evaluate import evaluate
from jaxdl.engine.loop import Limits
from jaxdl.engine.population import Group, Population, member
from jaxdl.layers.normalization import SpectralNorm
from jaxdl.losses.adversarial import hinge
from jaxdl.metrics.generation import OnModes
from jaxdl.models.gan import MLPCritic, MLPGenerator
from jaxdl.runs.prepare import prepare
from jaxdl.setup import Setup
from jaxdl.tasks.adversarial import Adversarial
from tests.programs import one_program

ROOT = Path(__file__).parents[2]


@cache
def points(batch=16):
    """Two groups in the plane."""
    y = np.arange(88, dtype=np.int32) % 2
    x = np.random.default_rng(0).normal(size=(88, 2)).astype(np.float32) * 0.2 + np.float32([[1, -1]]) * (
        2 * y[:, None] - 1
    )
    arrays = {"x": x, "y": y}
    cut = lambda rows: {name: value[rows] for name, value in arrays.items()}
    return InMemory(
        {"train": cut(slice(0, 48)), "validation": cut(slice(48, 88))}, batch, name="points", split="as drawn"
    )


def config(
    *,
    lr: float = 1e-2,
    critic_lr: float = 1e-2,
    penalty: float = 1.0,
    batch: int = 16,
    spectral: bool = True,
    seed: int = 0,
) -> Experiment:
    return Experiment(
        data=points(batch),
        task=Adversarial(
            MLPGenerator(features=(8,), classes=2),
            MLPCritic((8,), classes=2, kernel_map=SpectralNorm if spectral else None),
            loss=hinge,
            latent=3,
            critic_steps=2,
            penalty=penalty,
            r1=0.1,
            conditional=True,
            measures=(OnModes(np.array([[-1.0, 1.0], [1.0, -1.0]]), 0.2),),
            metric=("high_quality", "max"),
        ),
        # a hinge critic's last bias has no gradient but rounding, which a small ε would make steps of
        optimizer={n: optim.adam(r, b1=0.5, eps=1e-4) for n, r in (("generator", lr), ("critic", critic_lr))},
        steps=20,
        eval_every=10,
        seed=seed,
    )


@cache
def ready(**options):
    """An experiment's program, compiled once; it takes other values of its knobs."""
    return prepare(Setup.of(config, options))


def advance(program, n, **knobs):
    """The state after n steps."""
    program = program.bound(knobs)
    source = program.place(program.exp.data.source(0, max(n, 1), 0))
    return program.chunk(program.init(), source, np.int32(n), np.int32(9))[0]


def flat(tree):
    leaves = jax.tree.leaves(jax.device_get(tree))
    return np.concatenate([np.ravel(a) for a in leaves])


# -- who moves what ---------------------------------------------------------------------------------------------------


def test_a_player_moves_nothing_but_its_own():
    """Without a learning rate a player stands still; the statistics of spectral norm are the critic's."""
    start, moved = advance(ready(), 0), {}
    for who, knob in {"generator": "critic_lr", "critic": "lr"}.items():
        after = advance(ready(), 3, **{knob: np.float32(0.0)})
        moved[who] = {
            name: (flat(after.params[name]) != flat(start.params[name])).any() for name in ("generator", "critic")
        }
    assert moved == {
        "generator": {"generator": True, "critic": False},
        "critic": {"generator": False, "critic": True},
    }
    assert list(start.model_state) == ["spectral_stats"]
    assert list(start.model_state["spectral_stats"]) == ["critic"]
    assert {"critic_gradient_norm", "generator_gradient_norm", "penalty", "r1", "critic_loss", "loss"} <= set(
        start.metrics
    )


def test_the_penalties_are_theirs():
    """With a linear critic w·x the penalty is (‖w‖ - 1)² and R1 ½γ‖w‖², whatever the examples."""
    exp = config()
    linear = MLPCritic((), classes=None)
    plain = replace(
        exp.task, generator=MLPGenerator(features=()), critic=linear, conditional=False, penalty=None, r1=None
    )

    def losses():
        batch = exp.data.train_batch(exp.data.splits["train"], 0, jnp.int32(0))
        params, state = plain.init(jax.random.key(0), batch)
        tasks = [replace(plain, **options) for options in ({}, {"penalty": 3.0}, {"r1": 3.0})]
        arguments = (params, state, batch, jax.random.key(1), jnp.int32(0))
        norm = jnp.linalg.norm(params["critic"]["Dense_0"]["kernel"])
        return norm, [task.criticise(*arguments, train=True)[0] for task in tasks]

    norm, (bare, penalty, r1) = one_program(losses)
    assert float(penalty - bare) == pytest.approx(3 * (float(norm) - 1) ** 2, rel=1e-4)
    assert float(r1 - bare) == pytest.approx(1.5 * float(norm) ** 2, rel=1e-4)


@pytest.mark.slow
def test_micro_batches_change_nothing():
    """Noise and mixtures belong to rows of the whole batch."""
    whole, cut = (
        advance(prepare(Setup.of(config, {"spectral": False, **values})), 2) for values in ({}, {"accumulate": 4})
    )
    np.testing.assert_allclose(flat(cut.params), flat(whole.params), atol=1e-5, rtol=0)


# -- as any task ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.programs(40, "three runs with their reports")
def test_a_resumed_run_is_the_run_and_ema_follows_the_generator(tmp_path):
    limits = Limits(log_every=5)
    whole = jaxdl.train(config, ema=0.9, run=tmp_path, limits=limits, quiet=True)
    cut = jaxdl.train(config, ema=0.9, run=tmp_path, limits=replace(limits, stop_at=7), quiet=True)
    cut = jaxdl.train(config, resume=cut.folder, limits=limits, quiet=True)
    plain = lambda state: state.replace(key=jax.random.key_data(state.key))
    jax.tree.map(np.testing.assert_array_equal, plain(whole.state), plain(cut.state))
    state, evaluated = whole.state, whole.weights[0]
    np.testing.assert_array_equal(flat(evaluated["critic"]), flat(state.params["critic"]))
    assert (flat(evaluated["generator"]) != flat(state.params["generator"])).any()
    np.testing.assert_array_equal(flat(evaluated["generator"]), flat(state.ema["params"]["generator"]))
    # what is told: a film of points, a result, and what is wrong with a generator of 20 steps
    assert sorted(p.name for p in (whole.folder / "samples").iterdir()) == ["points-000010.png", "points-000020.png"]
    text = (whole.folder / "report.md").read_text(encoding="utf-8")
    assert (whole.folder / "plots" / "points.gif").is_file()
    assert "high_quality" in text
    notes = whole.evaluate("validation").report["notes"].lines
    assert any(note.startswith("modes missing") for note in notes), "20 steps find no two modes"
    assert [line[2:] for line in text.splitlines() if line.startswith("- ")] == list(notes)


@pytest.mark.slow
@pytest.mark.programs(70, "a sweep, and its members alone")
def test_a_member_of_a_sweep_is_the_run_alone():
    rows = [{"lr": 1e-2, "seed": 0}, {"lr": 3e-2, "seed": 1}]
    setups = [Setup.of(config, row) for row in rows]
    group = Group.make(config(**rows[0]), setups[0].build, range(2), [dict(s.knobs) for s in setups], ["lr", "seed"])
    whole = Population(group, 1, "together")
    log = type("Log", (), {"line": lambda *a: None, "progress": lambda *a: None, "pictures": lambda *a: None})()
    state = whole.fit(whole.init(), log, None, Limits(stop_at=10)).state
    for row, setup in enumerate(setups):
        alone = advance(prepare(setup), 10)
        np.testing.assert_allclose(flat(member(state, row).params), flat(alone.params), atol=1e-4)


@pytest.mark.slow
def test_the_evaluation_does_not_depend_on_the_batch():
    """Every row of a split has noise of its own, by its number."""
    state = ready().init()
    results, weights = [], (state.params, state.model_state)
    for batch in (16, 7):
        made = ready() if batch == 16 else ready(batch=batch)
        results.append(evaluate(made, weights, "validation"))
    one, two = results
    np.testing.assert_allclose(one.outputs["sample"], two.outputs["sample"], atol=1e-6)
    assert len(one.outputs["sample"]) == 40
    assert one.metrics.keys() == two.metrics.keys()
    assert len(np.unique(one.outputs["sample"], axis=0)) == 40
    names = {"critic_auc", "diversity", "modes", "high_quality", "mode_kl", "loss", "critic_loss", "real_logit"}
    assert names <= one.metrics.keys()
    for name, value in one.metrics.items():
        assert value == pytest.approx(two.metrics[name], abs=2e-6), name


MESHES = """
import json, sys
import jax, numpy as np
jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_num_cpu_devices", 4)
sys.path.insert(0, "{root}")
from tests.tasks.test_adversarial import config, flat

from jaxdl.engine.parallel import Plan
from jaxdl.runs.prepare import prepare
from jaxdl.setup import Setup

def trained(*plan):
    exp = config()
    program = prepare(Setup.of(config, {{}}), Plan.make(*plan, exp) if plan else Plan())
    state, source = program.init(), program.place(exp.data.source(0, 9, 0))
    for _ in range(3):
        state, view = program.chunk(state, source, np.int32(1), np.int32(9))
        jax.block_until_ready(view)
    return flat((state.params, state.model_state))

one = trained()
print(json.dumps({{name: float(np.abs(trained("data=4", name) - one).max()) for name in ("jit", "pmap")}}))
"""


@pytest.mark.slow
def test_several_devices_play_the_same_game():
    words = [sys.executable, "-c", MESHES.format(root=ROOT)]
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, env=dict(os.environ), check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    apart = json.loads(done.stdout)
    assert max(apart.values()) < 1e-4, apart
