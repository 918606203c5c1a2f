"""Schedules against PyTorch's values (golden and live), closed forms, traced numbers; the plateau against PyTorch's."""

import inspect
import math
import runpy
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxdl import optim
from jaxdl.optim import schedules
from jaxdl.types import UserError
from tests.programs import one_program

GOLDEN_PATH = Path(__file__).parents[1] / "golden" / "optim.py"
golden = runpy.run_path(str(GOLDEN_PATH))
EXPECTED = np.load(GOLDEN_PATH.with_suffix(".npz"))
LENGTH = golden["LENGTH"]

SAME_AS = {
    "constant": schedules.constant(0.5),
    "linear_warmup": schedules.linear_warmup(0.5, warmup=8, start=0.1),
    "step": schedules.step(0.5, every=7, rate=0.3),
    "multistep": schedules.multistep(0.5, milestones=(5, 20), rate=0.3),
    "exponential": schedules.exponential(0.5, rate=0.9),
    "polynomial": schedules.polynomial(0.5, steps=30, power=2.0),
    "cosine": schedules.cosine(0.5, steps=LENGTH, end=0.1),
    "cosine_restarts": schedules.cosine_restarts(0.5, period=13, end=0.1),
    "cosine_restarts_growing": schedules.cosine_restarts(0.5, period=5, growth=2, end=0.1),
    "one_cycle": schedules.one_cycle(0.5, steps=LENGTH, warmup=0.25),
}


def values(schedule, length=LENGTH):
    return jax.vmap(schedule)(jnp.arange(length))


def rates(*made, length=LENGTH):
    """The rates of schedules, by one program."""
    return one_program(lambda: [values(schedule, length) for schedule in made])


@pytest.mark.parametrize("name", SAME_AS)
def test_golden(name):
    np.testing.assert_allclose(rates(SAME_AS[name])[0], EXPECTED[f"schedule/{name}"], rtol=3e-6, atol=1e-7)


@pytest.mark.parity
@pytest.mark.parametrize("name", SAME_AS)
def test_torch_live(name):
    pytest.importorskip("torch")
    np.testing.assert_allclose(EXPECTED[f"schedule/{name}"], golden["schedule_case"](name), rtol=1e-9)


# name -> its numbers; the integers are traced too
TABLE = {
    "constant": {},
    "linear_warmup": {"warmup": 8, "start": 0.1},
    "step": {"every": 7, "rate": 0.3},
    "exponential": {"rate": 0.9, "every": 2},
    "polynomial": {"steps": 30, "power": 2.0, "end": 0.1},
    "cosine": {"steps": 30, "end": 0.1},
    "cosine_restarts": {"period": 13, "shrink": 0.8, "end": 0.1},
    "one_cycle": {"steps": 30, "warmup": 0.25, "start_factor": 0.1, "end_factor": 0.01},
    "inverse_sqrt": {"warmup": 8, "start": 0.1},
    "warmup_stable_decay": {"steps": 30, "warmup": 5, "decay": 10, "end": 0.1, "start": 0.05},
    "warmup_cosine": {"steps": 30, "warmup": 5, "end": 0.1, "start": 0.05},
}


@pytest.mark.parametrize("name", TABLE)
def test_every_number_is_traceable(name):
    make, knobs = getattr(schedules, name), {"peak": 0.5, **TABLE[name]}
    numbers = {p.name for p in inspect.signature(make).parameters.values() if "Array" in str(p.annotation)}
    assert numbers == set(knobs)
    sweep = lambda peaks: jax.vmap(lambda peak: values(make(**{**knobs, "peak": peak})))(peaks)
    traced, plain, swept = one_program(
        lambda traced, peaks: (values(make(**traced)), values(make(**knobs)), sweep(peaks)), knobs, np.float32([0.5, 1])
    )
    np.testing.assert_allclose(traced, plain, rtol=2e-5, atol=1e-7)  # a power of a traced base is one of exp and log
    np.testing.assert_allclose(swept[0], plain, rtol=2e-6, atol=1e-7)
    assert np.abs(swept[1] - swept[0]).max() > 0.4
    assert traced.shape == (LENGTH,)
    for count in (3, jnp.int32(3)):
        assert jax.eval_shape(lambda count=count: make(**knobs)(count)).dtype == jnp.float32
    assert np.isfinite(traced).all()
    assert traced.max() <= 0.5 + 1e-6


def test_multistep_is_traceable():
    make = lambda p, r, a, b: values(schedules.multistep(p, milestones=(a, b), rate=r))
    np.testing.assert_allclose(one_program(make, 0.5, 0.3, 5, 20), EXPECTED["schedule/multistep"], rtol=3e-6)


def test_warmup_cosine_is_a_line_and_a_wave():
    theirs = optax.warmup_cosine_decay_schedule(0.0, 1.0, 4, 40, end_value=0.2)
    ours, from_zero, theirs = rates(
        schedules.warmup_cosine(1.0, steps=40, warmup=4, end=0.2),
        schedules.warmup_cosine(1.0, steps=40, warmup=4, end=0.2, start=0.0),
        theirs,
    )
    np.testing.assert_allclose(ours[:5], [0.2, 0.4, 0.6, 0.8, 1.0], rtol=1e-6)  # no step is lost
    np.testing.assert_allclose(ours[22], 0.6, rtol=1e-6)
    wave = [0.2 + 0.8 * 0.5 * (1 + math.cos(math.pi * (t - 4) / 36)) for t in range(4, 40)]
    np.testing.assert_allclose(ours[4:], wave, rtol=3e-6)
    np.testing.assert_allclose(from_zero, theirs, rtol=3e-6, atol=1e-7)


def test_default_warmup_is_a_twentieth():
    default, of_two, short = rates(
        schedules.warmup_cosine(1.0, steps=40),
        schedules.warmup_cosine(1.0, steps=40, warmup=2),
        schedules.warmup_cosine(1.0, steps=3),
    )
    np.testing.assert_array_equal(default, of_two)
    assert short[0] == 1.0  # a short run has none


def test_inverse_sqrt_is_the_transformers():
    """The paper's lr = dim^-½ · min(t^-½, t · warmup^-1.5) counts from 1."""
    warmup, dim = 8, 64
    paper = [dim**-0.5 * min(t**-0.5, t * warmup**-1.5) for t in range(1, LENGTH + 1)]
    peak = dim**-0.5 * warmup**-0.5
    (ours,) = rates(schedules.inverse_sqrt(peak, warmup=warmup, start=0.0), length=LENGTH + 1)
    np.testing.assert_allclose(ours[1:], paper, rtol=3e-6)


def test_warmup_stable_decay_is_a_trapezoid():
    (ours,) = rates(schedules.warmup_stable_decay(1.0, steps=20, warmup=4, decay=5, end=0.5), length=25)
    np.testing.assert_allclose(ours[4:16], 1.0)
    np.testing.assert_allclose(ours[15:21], [1.0, 0.9, 0.8, 0.7, 0.6, 0.5], rtol=1e-6)
    np.testing.assert_allclose(ours[20:], 0.5)


def test_restarts_shrink():
    (ours,) = rates(schedules.cosine_restarts(1.0, period=10, shrink=0.5))
    np.testing.assert_allclose(ours[::10], [1.0, 0.5, 0.25, 0.125], rtol=1e-6)


NUMBERS = {
    "constant": {"peak": 1.0},
    "linear_warmup": {"peak": 1.0, "warmup": 5, "start": 0.1},
    "step": {"peak": 1.0, "every": 5, "rate": 0.1},
    "multistep": {"peak": 1.0, "rate": 0.1},
    "exponential": {"peak": 1.0, "rate": 0.1, "every": 5},
    "polynomial": {"peak": 1.0, "steps": 10, "power": 2.0, "end": 0.1},
    "cosine": {"peak": 1.0, "steps": 10, "end": 0.1},
    "cosine_restarts": {"peak": 1.0, "period": 10, "shrink": 0.5, "end": 0.1},
    "one_cycle": {"peak": 1.0, "steps": 10, "warmup": 0.3, "start_factor": 0.1, "end_factor": 0.1},
    "inverse_sqrt": {"peak": 1.0, "warmup": 5, "start": 0.1},
    "warmup_stable_decay": {"peak": 1.0, "steps": 10, "warmup": 2, "decay": 3, "end": 0.1, "start": 0.1},
    "warmup_cosine": {"peak": 1.0, "steps": 10, "warmup": 2, "end": 0.1, "start": 0.1},
}


@pytest.mark.parametrize("bad", [-1, float("nan"), True, "3"])
@pytest.mark.parametrize("name", NUMBERS)
def test_what_is_no_number_or_negative_is_refused(name, bad):
    fixed = {"milestones": (3,)} if name == "multistep" else {}
    for number in NUMBERS[name]:
        with pytest.raises(UserError, match=f"^{number} = {bad!r} "):
            getattr(schedules, name)(**fixed, **NUMBERS[name] | {number: bad})
    with pytest.raises(UserError, match=r"^milestones\[1\] = "):
        schedules.multistep(1.0, milestones=(3, bad))


PLATEAU = golden["PLATEAU"]


@pytest.mark.parametrize("case", range(len(PLATEAU)))
def test_plateau_is_torchs(case):
    settings, expected = dict(PLATEAU[case]), EXPECTED[f"plateau/{case}"]
    settings = {"min_scale" if key == "min_lr" else key: value for key, value in settings.items()}
    tx = optax.chain(optim.sgd(1.0), optim.reduce_on_plateau(**settings))

    def step(state, loss):
        updates, state = tx.update(jnp.ones(()), state, jnp.zeros(()), value=loss)
        return state, (-updates, optim.current_learning_rate(state))

    scan = lambda losses: jax.lax.scan(step, tx.init(jnp.zeros(())), losses)[1]
    ours, reported = one_program(scan, golden["LOSSES"])
    assert len(set(expected.tolist())) > 3
    np.testing.assert_allclose(ours, expected, rtol=1e-6)
    np.testing.assert_allclose(reported, expected, rtol=1e-6)


@pytest.mark.parity
@pytest.mark.parametrize("case", range(len(PLATEAU)))
def test_torchs_plateau_live(case):
    pytest.importorskip("torch")
    np.testing.assert_allclose(EXPECTED[f"plateau/{case}"], golden["plateau_case"](PLATEAU[case]), rtol=1e-9)


def test_plateau_averages_observations():
    tx = optim.reduce_on_plateau(factor=0.5, patience=0, every=3)
    observed = np.float32([1.0, 2.0, 3.0, 0.0, 2.0, 4.1, 0.0, 0.0, 0.0])  # means 2.0, 2.03 (worse), 0 (better)

    def step(state, value):
        _, state = tx.update(jnp.ones(()), state, value=value)
        return state, state.scale

    scales = one_program(lambda observed: jax.lax.scan(step, tx.init(None), observed)[1], observed)
    assert scales.tolist() == [1.0] * 5 + [0.5] * 4
    with pytest.raises(UserError, match="value="):
        jax.eval_shape(lambda: tx.update(jnp.ones(()), tx.init(None)))


def test_a_plateau_ends_below_the_threshold_not_at_it():
    tx = optim.reduce_on_plateau(factor=0.5, patience=0, threshold=0.1)

    def step(state, value):
        _, state = tx.update(jnp.ones(()), state, value=value)
        return state, state.scale

    observed = np.float32([1.0, 0.95, 0.89, 0.82])  # only the third is 10 % below the best
    scales = one_program(lambda observed: jax.lax.scan(step, tx.init(None), observed)[1], observed)
    assert scales.tolist() == [1.0, 0.5, 0.5, 0.25]
