"""Every optimizer against other people's, ten steps in parameters and state; clipping and decay in closed form."""

import functools
import runpy
from pathlib import Path

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxdl import optim
from jaxdl.optim import composition, schedules
from jaxdl.types import UserError
from tests.programs import one_program

GOLDEN_PATH = Path(__file__).parents[1] / "golden" / "optim.py"
golden = runpy.run_path(str(GOLDEN_PATH))
EXPECTED = np.load(GOLDEN_PATH.with_suffix(".npz"))
START, STEPS, pull, falling = (golden[name] for name in ("START", "STEPS", "pull", "falling"))
NOISE = jax.tree.map(lambda *noise: np.stack(noise), *golden["NOISE"])


def descend(tx, start, noise):
    """Parameters, state and what is evaluated after a step from `start` for every gradient of the golden file."""

    def step(carry, noise):
        params, state = carry
        updates, state = tx.update(pull(noise, params), state, params)
        return (optax.apply_updates(params, updates), state), None

    params = jax.tree.map(jnp.asarray, start)
    (params, state), _ = jax.lax.scan(step, (params, tx.init(params)), noise)
    return params, state, optim.evaluation_params(state, params)


def take_steps(tx, steps=STEPS):
    return one_program(functools.partial(descend, tx), START, jax.tree.map(lambda noise: noise[:steps], NOISE))


# name of the golden case -> (our optimizer, state there -> state here)
def everywhere(**fields):
    """Fields that every parameter has."""
    return {f"{name}/{field}": ours for name in START for field, ours in fields.items()}


ADAM = everywhere(exp_avg="mu", exp_avg_sq="nu")
FACTORED = {"kernel/row_var": "rows", "kernel/col_var": "columns", "bias/variance": "full"}
MUON = {"kernel/momentum_buffer": "trace", "bias/exp_avg": "mu", "bias/exp_avg_sq": "nu"}  # AdamW for what is no matrix
SAME_AS = {
    "sgd": (optim.sgd(0.05), {}),
    "sgd_decay": (optim.sgd(0.05, decay=0.1), {}),
    "momentum": (optim.momentum(0.05, decay=0.1), everywhere(momentum_buffer="trace")),
    "nesterov": (optim.nesterov(0.05, decay=0.1), everywhere(momentum_buffer="trace")),
    "adagrad": (optim.adagrad(0.05, decay=0.1), everywhere(sum="sum_of_squares")),
    "rmsprop": (optim.rmsprop(0.05), everywhere(square_avg="nu")),
    "rmsprop_momentum": (
        optim.rmsprop(0.05, b2=0.9, momentum=0.9, decay=0.1),
        everywhere(square_avg="nu", momentum_buffer="trace"),
    ),
    "adam": (optim.adam(0.05), ADAM),
    "adam_decay": (optim.adam(0.05, b1=0.8, b2=0.95, eps=1e-3, decay=0.1), ADAM),
    "adamw": (optim.adamw(0.05, decay=0.1), ADAM),
    "nadam": (optim.nadam(0.05, decay=0.1), ADAM | everywhere(mu_product="product")),
    "adafactor": (optim.adafactor(0.05, decay=0.1), FACTORED),
    "adafactor_capped": (optim.adafactor(0.5, clip_rms=1.5), FACTORED),
    "muon": (optim.muon(0.05), MUON),
    "muon_rms": (
        optim.muon(0.05, preset="match_rms_adamw", nesterov=False),
        MUON,
    ),
    "lamb": (optim.lamb(0.05, decay=0.1), ADAM),
    "lamb_always": (optim.lamb(0.05, decay=0.1, max_norm=None, always_adapt=True, trust=(0.0, 1.0)), ADAM),
    "lion": (optim.lion(0.05, decay=0.1), everywhere(exp_avg="mu")),
    "adan": (
        optim.adan(0.05, decay=0.1),
        everywhere(exp_avg="m", exp_avg_diff="v", exp_avg_sq="n", neg_pre_grad="previous"),
    ),
    "rmsprop_tf": (
        optim.rmsprop(falling, momentum=0.9, eps=1e-3, decay=0.1, preset="tf"),
        everywhere(square_avg="nu", momentum_buffer="trace"),
    ),
    "schedule_free_adamw": (
        optim.schedule_free_adamw(schedules.linear_warmup(0.05, warmup=3), decay=0.1),
        everywhere(exp_avg_sq="nu", z="z", eval=""),
    ),
    "schedule_free_sgd": (optim.schedule_free_sgd(0.05, b1=0.8, decay=0.1), everywhere(z="z", eval="")),
    "prodigy": (
        optim.prodigy(initial=1e-3, decay=0.1),
        everywhere(exp_avg="mu", exp_avg_sq="nu", s="total", p0="start"),
    ),
}


@functools.cache
def ten_steps(name):
    return take_steps(SAME_AS[name][0])


def check(name, expected):
    fields, (params, state, evaluated) = SAME_AS[name][1], ten_steps(name)
    assert set(expected) == {*START, *fields}
    for key, value in expected.items():
        parameter, _, field = key.partition("/")
        if field == "eval":
            ours = evaluated[parameter]
        elif field:
            ours = optax.tree.get(state, fields[key])
            ours = ours[parameter] if isinstance(ours, dict) else ours
        else:
            ours = params[parameter]
        if (name, field) in (("rmsprop_tf", "momentum_buffer"), ("adan", "neg_pre_grad")):
            value = -value  # timm's holds the step, ours what is added to w; and the previous gradient's negative
        # prodigyopt keeps its distance in double precision, and d² multiplies its sums
        tolerance = {"rtol": 2e-5, "atol": 2e-6} if name == "prodigy" else {"rtol": 2e-6, "atol": 1e-6}
        np.testing.assert_allclose(ours.reshape(value.shape), value, **tolerance, err_msg=key)


@pytest.mark.parametrize("name", SAME_AS)
def test_golden(name):
    prefix = f"{name}/"
    check(name, {key.removeprefix(prefix): EXPECTED[key] for key in EXPECTED.files if key.startswith(prefix)})


@pytest.mark.parity
@pytest.mark.parametrize("name", golden["TORCH"])
def test_torch_live(name):
    pytest.importorskip("torch")
    expected = golden["torch_case"](name)
    for key, value in expected.items():
        np.testing.assert_allclose(EXPECTED[f"{name}/{key}"], value, rtol=1e-6, atol=1e-7, err_msg=key)
    check(name, expected)


def test_trust_bounds_are_traceable():
    noise = jax.tree.map(lambda noise: noise[:2], NOISE)
    lamb = lambda bounds: descend(optim.lamb(0.05, trust=bounds), START, noise)[0]["kernel"]
    traced, baked = one_program(lambda lower, upper: (lamb((lower, upper)), lamb((0.3, 0.9))), 0.3, 0.9)
    np.testing.assert_allclose(traced, baked, atol=1e-6)


def test_lamb_with_trust_ratio_one_is_adamw():
    lamb, *_ = take_steps(optim.lamb(0.05, decay=0.1, max_norm=None, trust=(1.0, 1.0)))
    adamw, *_ = take_steps(optim.adamw(0.05, decay=0.1, eps=1e-6))
    chex.assert_trees_all_close(lamb, adamw, atol=1e-7, rtol=1e-7)


def test_zero_weights_are_not_stuck_under_lamb():
    params, tx = {"kernel": np.zeros((2, 2), "f4")}, optim.lamb(0.1)
    updates = one_program(lambda p, g: tx.update(g, tx.init(p), p)[0], params, {"kernel": np.ones((2, 2), "f4")})
    np.testing.assert_allclose(updates["kernel"], -0.1, rtol=1e-5)


def test_coupled_and_decoupled_decay():
    """Without a gradient coupled decay under Adam steps by the sign of w, decoupled decay by w."""
    params, zeros = {"kernel": np.float32([[2, -4]])}, {"kernel": np.zeros((1, 2), "f4")}
    makers = [optim.adam(0.1, decay=0.5, coupled=coupled) for coupled in (True, False)]
    coupled, decoupled = one_program(
        lambda p, g: [tx.update(g, tx.init(p), p)[0]["kernel"] for tx in makers], params, zeros
    )
    np.testing.assert_allclose(coupled, [[-0.1, 0.1]], rtol=1e-5)
    np.testing.assert_allclose(decoupled, [[-0.1 * 0.5 * 2, 0.1 * 0.5 * 4]], rtol=1e-5)
    with pytest.raises(UserError, match="coupled = False"):
        optim.momentum(0.1, coupled=False, preset="tf")


@functools.cache
def clipped():
    """START, a gradient, within each of the golden file's limits."""
    made = [optim.clip(**limits) for limits in golden["CLIP"]]
    return one_program(lambda g: [tx.update(g, tx.init(None))[0] for tx in made], START)


@pytest.mark.parametrize("case", range(len(golden["CLIP"])))
def test_clip_is_torchs(case):
    for name in START:
        np.testing.assert_allclose(clipped()[case][name], EXPECTED[f"clip/{case}/{name}"], rtol=2e-6)


@pytest.mark.parity
@pytest.mark.parametrize("case", range(len(golden["CLIP"])))
def test_torch_clips_as_the_golden_file(case):
    pytest.importorskip("torch")
    for name, expected in golden["clip_case"](golden["CLIP"][case]).items():
        np.testing.assert_allclose(EXPECTED[f"clip/{case}/{name}"], expected, rtol=1e-6)


def test_clip():
    tx = optim.clip(norm=1.0, value=3.0)
    both, zero = one_program(
        lambda *grads: [tx.update(g, tx.init(None))[0] for g in grads], np.float32([3, 40]), np.zeros(2, "f4")
    )
    np.testing.assert_allclose(both, [0.5**0.5] * 2, rtol=1e-6)  # value first
    np.testing.assert_array_equal(zero, 0)
    with pytest.raises(UserError, match=r"norm=.*value="):
        optim.clip()


def test_current_learning_rate():
    schedule = schedules.step(1.0, every=1, rate=0.5)
    tx = optax.chain(optim.clip(norm=1.0), optim.freeze(optim.adamw(schedule), "bias"))

    def rates(params):
        state = tx.init(params)
        yield optim.current_learning_rate(state)
        for _ in range(3):
            _, state = tx.update(params, state, params)
            yield optim.current_learning_rate(state)
        yield composition.rate_at(schedule, jnp.int32(3))

    # before the first update: that of the first
    assert one_program(lambda params: list(rates(params)), START) == [1.0, 1.0, 0.5, 0.25, 0.125]
    assert optim.current_learning_rate(jax.eval_shape(optax.sgd(0.1).init, START)) is None


def test_prodigys_learning_rate_is_its_distance_times_the_rate():
    tx = optim.prodigy(0.5, initial=0.01)
    assert one_program(lambda params: optim.current_learning_rate(tx.init(params)), START) == pytest.approx(0.005)
