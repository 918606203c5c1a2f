"""Every optimizer against other people's, ten steps in parameters and state; every number traceable; closed forms."""

import functools
import inspect
import runpy
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxdl import optim
from jaxdl.optim import composition, schedules

GOLDEN_PATH = Path(__file__).parents[1] / "golden" / "optim.py"
golden = runpy.run_path(str(GOLDEN_PATH))
EXPECTED = np.load(GOLDEN_PATH.with_suffix(".npz"))
START, STEPS, gradient, falling = (golden[name] for name in ("START", "STEPS", "gradient", "falling"))


def take_steps(tx, steps=STEPS):
    """Ten steps from START on the gradients of the golden file."""
    params = jax.tree.map(jnp.asarray, START)
    state = tx.init(params)
    update = jax.jit(tx.update)
    for t in range(steps):
        updates, state = update(gradient(params, t), state, params)
        params = optax.apply_updates(params, updates)
    return params, state


# name of the golden case -> (our optimizer, state there -> state here)
ADAM = {"exp_avg": "mu", "exp_avg_sq": "nu"}
FACTORED = {"row_var": "rows", "col_var": "columns", "variance": "full"}
SAME_AS = {
    "sgd": (optim.sgd(0.05), {}),
    "sgd_decay": (optim.sgd(0.05, decay=0.1), {}),
    "momentum": (optim.momentum(0.05, decay=0.1), {"momentum_buffer": "trace"}),
    "nesterov": (optim.nesterov(0.05, decay=0.1), {"momentum_buffer": "trace"}),
    "adagrad": (optim.adagrad(0.05, decay=0.1), {"sum": "sum_of_squares"}),
    "rmsprop": (optim.rmsprop(0.05), {"square_avg": "nu"}),
    "rmsprop_momentum": (
        optim.rmsprop(0.05, b2=0.9, momentum=0.9, decay=0.1),
        {"square_avg": "nu", "momentum_buffer": "trace"},
    ),
    "adam": (optim.adam(0.05), ADAM),
    "adam_decay": (optim.adam(0.05, b1=0.8, b2=0.95, eps=1e-3, decay=0.1), ADAM),
    "adamw": (optim.adamw(0.05, decay=0.1), ADAM),
    "nadam": (optim.nadam(0.05, decay=0.1), {**ADAM, "mu_product": "product"}),
    "adafactor": (optim.adafactor(0.05, decay=0.1), FACTORED),
    "adafactor_capped": (optim.adafactor(0.5, clip_rms=1.5), FACTORED),
    "muon": (optim.muon(0.05), {**ADAM, "momentum_buffer": "trace"}),
    "muon_rms": (
        optim.muon(0.05, preset="match_rms_adamw", nesterov=False),
        {**ADAM, "momentum_buffer": "trace"},
    ),
    "lamb": (optim.lamb(0.05, decay=0.1), ADAM),
    "lamb_always": (optim.lamb(0.05, decay=0.1, max_norm=None, always_adapt=True, trust=(0.0, 1.0)), ADAM),
    "lion": (optim.lion(0.05, decay=0.1), {"exp_avg": "mu"}),
    "adan": (optim.adan(0.05, decay=0.1), {"exp_avg": "m", "exp_avg_diff": "v", "exp_avg_sq": "n"}),
    "rmsprop_tf": (
        optim.rmsprop(falling, momentum=0.9, eps=1e-3, decay=0.1, preset="tf"),
        {"square_avg": "nu", "momentum_buffer": "trace"},
    ),
    "schedule_free_adamw": (
        optim.schedule_free_adamw(schedules.linear_warmup(0.05, warmup=3), decay=0.1),
        {"exp_avg_sq": "nu", "z": "z"},
    ),
    "schedule_free_sgd": (optim.schedule_free_sgd(0.05, b1=0.8, decay=0.1), {"z": "z"}),
    "prodigy": (
        optim.prodigy(initial=1e-3, decay=0.1),
        {"exp_avg": "mu", "exp_avg_sq": "nu", "s": "total", "p0": "start"},
    ),
}


@functools.cache
def ten_steps(name):
    return take_steps(SAME_AS[name][0])


def check(name, expected):
    fields, (params, state) = SAME_AS[name][1], ten_steps(name)
    compared = 0
    for key, value in expected.items():
        parameter, _, field = key.partition("/")
        if field == "neg_pre_grad":  # the previous gradient with its sign turned
            ours = -optax.tree.get(state, "previous")[parameter]
        elif field == "eval":
            ours = optim.evaluation_params(state, params)[parameter]
        elif field:
            ours = optax.tree.get(state, fields[field])
            ours = ours[parameter] if isinstance(ours, dict) else ours
        else:
            ours = params[parameter]
        if name == "rmsprop_tf" and field == "momentum_buffer":  # timm's holds the step, ours what is added to w
            value = -value
        # prodigyopt keeps its distance in double precision, and d² multiplies its sums
        tolerance = {"rtol": 2e-5, "atol": 2e-6} if name == "prodigy" else {"rtol": 2e-6, "atol": 1e-6}
        np.testing.assert_allclose(ours.reshape(value.shape), value, **tolerance, err_msg=key)
        compared += 1
    assert compared >= 2 * (1 + bool(fields)) or name.startswith("muon")


@pytest.mark.parametrize("name", SAME_AS)
def test_golden(name):
    prefix = f"{name}/"
    check(name, {key.removeprefix(prefix): EXPECTED[key] for key in EXPECTED.files if key.startswith(prefix)})


@pytest.mark.parametrize("name", golden["TORCH"])
def test_torch_live(name):
    pytest.importorskip("torch")
    expected = golden["torch_case"](name)
    for key, value in expected.items():
        np.testing.assert_allclose(EXPECTED[f"{name}/{key}"], value, rtol=1e-6, atol=1e-7, err_msg=key)
    check(name, expected)


# name -> (constructor, every number it takes)
LR = {"lr": 0.05}
DECAY = LR | {"decay": 0.1}
MOMENTS = DECAY | {"b1": 0.8, "b2": 0.9, "eps": 1e-6}
OPTIMIZERS = {
    "sgd": (optim.sgd, DECAY),
    "momentum": (optim.momentum, DECAY | {"b": 0.8}),
    "nesterov": (optim.nesterov, DECAY | {"b": 0.8}),
    "adagrad": (optim.adagrad, DECAY | {"initial": 0.05, "eps": 1e-6}),
    "rmsprop": (optim.rmsprop, DECAY | {"b2": 0.9, "eps": 1e-6, "momentum": 0.5}),
    "adam": (optim.adam, MOMENTS),
    "adamw": (optim.adamw, MOMENTS),
    "lamb": (optim.lamb, MOMENTS | {"max_norm": 0.7}),
    "lion": (optim.lion, DECAY | {"b1": 0.8, "b2": 0.9}),
    "nadam": (optim.nadam, MOMENTS | {"momentum_decay": 0.01}),
    "adan": (optim.adan, MOMENTS | {"b3": 0.95}),
    "muon": (optim.muon, MOMENTS | {"b": 0.8, "adam_scale": 0.5}),
    "adafactor": (
        optim.adafactor,
        DECAY | {"decay_power": 0.7, "clip_rms": 1.2, "min_rms": 1e-2, "eps": 1e-6},
    ),
    "prodigy": (optim.prodigy, MOMENTS | {"lr": 1.0, "b3": 0.95, "initial": 0.01, "growth": 0.9}),
    "schedule_free_adamw": (optim.schedule_free_adamw, MOMENTS | {"power": 1.0}),
    "schedule_free_sgd": (optim.schedule_free_sgd, DECAY | {"b1": 0.8, "power": 1.0}),
    "sam": (lambda *, lr, rho, decay: optim.sam(optim.adamw(lr, decay=decay), rho=rho), DECAY | {"rho": 0.1}),
    "clip": (
        lambda *, lr, norm, value: optax.chain(optim.clip(norm=norm, value=value), optim.sgd(lr)),
        LR | {"norm": 1.0, "value": 0.4},
    ),
    "plateau": (
        lambda *, lr, **knobs: optax.chain(optim.sgd(lr), optim.reduce_on_plateau(**knobs)),
        LR | {"factor": 0.5, "patience": 2.0, "threshold": 0.1, "cooldown": 1.0, "min_scale": 0.1, "every": 2.0},
    ),
    "groups": (
        lambda *, lr, k, rate: optax.chain(
            optim.adamw(lr), optim.scale_groups({"kernel": k}), optim.scale_layers(rate, depth=1)
        ),
        LR | {"k": 0.5, "rate": 0.9},
    ),
}


def quadratic(params):
    """½ ‖w - 1‖², each axis with its own curvature."""
    curvature = jnp.array([1.0, 0.5, 0.2])
    return sum(0.5 * jnp.sum(jnp.broadcast_to(curvature, w.shape) * (w - 1) ** 2) for w in jax.tree.leaves(params))


def train(tx, steps=40):
    """The losses and the parameters along the way, and the last state."""
    tx = optax.with_extra_args_support(tx)

    def body(carry, _):
        params, state = carry
        value, grads = jax.value_and_grad(quadratic)(params)
        extra = {"value": value, "grad_fn": lambda params, i: jax.grad(quadratic)(params)}
        updates, state = tx.update(grads, state, params, **extra)
        params = optax.apply_updates(params, updates)
        return (params, state), (value, params)

    params = jax.tree.map(jnp.asarray, START)
    (params, state), (values, path) = jax.lax.scan(body, (params, tx.init(params)), length=steps)
    return values, path, state


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_number_is_traceable(name):
    make, knobs = OPTIMIZERS[name]

    @jax.jit
    def compare(traced):
        rates = jnp.stack([traced["lr"], traced["lr"] / 2])
        swept = jax.vmap(lambda lr: train(make(**{**traced, "lr": lr}))[:2])(rates)
        return train(make(**knobs)), train(make(**traced)), swept

    baked, traced, swept = compare(jax.tree.map(jnp.float32, knobs))
    values, path, state = traced
    assert values[-1] < 0.95 * values[0], "it does not descend"
    # the first five steps: later a rounded sign may part the ways of Lion
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a[:5], b[:5], atol=2e-6), baked[1], path)
    assert jax.tree.map(lambda x: (x.shape, x.dtype), baked[2]) == jax.tree.map(lambda x: (x.shape, x.dtype), state)
    jax.tree.map(lambda many, one: np.testing.assert_allclose(many[0, :5], one[:5], atol=2e-6), swept[1], path)
    assert not np.allclose(swept[0][0], swept[0][1]), "the learning rate changes nothing"


@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if callable(getattr(optim, name, None))])
def test_the_table_holds_every_number(name):
    parameters = inspect.signature(getattr(optim, name)).parameters.values()
    numbers = {p.name for p in parameters if "Array" in str(p.annotation) and "tuple" not in str(p.annotation)}
    assert numbers == set(OPTIMIZERS[name][1]) - ({"lr", "decay"} if name in ("sam", "clip") else set())


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_state(name):
    make, knobs = OPTIMIZERS[name]
    params = jax.tree.map(jnp.asarray, START)
    state = make(**knobs).init(params)
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(state)), "not only arrays"
    assert all(leaf.size for leaf in jax.tree.leaves(state)), "an empty array, which Orbax cannot save"
    zero = make(**jax.tree.map(lambda _: 0.0, knobs)).init(params)
    assert jax.tree.structure(zero) == jax.tree.structure(state), "the structure depends on values"
    buffers = [leaf.unsafe_buffer_pointer() for leaf in jax.tree.leaves((params, state))]
    assert len(set(buffers)) == len(buffers), "a buffer twice, which cannot be donated"
    assert optim.current_learning_rate(state) is not None


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_bfloat16_parameters_keep_float32_statistics(name):
    make, knobs = OPTIMIZERS[name]

    def step(params, knobs):
        tx = optax.with_extra_args_support(make(**knobs))
        state = tx.init(params)

        def grad_fn(params, i):
            return jax.tree.map(jnp.ones_like, params)

        updates, after = tx.update(grad_fn(params, 0), state, params, value=jnp.ones((), jnp.bfloat16), grad_fn=grad_fn)
        return state, after, optax.apply_updates(params, updates)

    params = jax.tree.map(lambda x: jnp.asarray(x, jnp.bfloat16), START)
    before, after, params = jax.eval_shape(step, params, jax.tree.map(jnp.float32, knobs))
    assert jax.tree.map(lambda x: x.dtype, before) == jax.tree.map(lambda x: x.dtype, after)
    assert not any(leaf.dtype == jnp.bfloat16 for leaf in jax.tree.leaves(after))
    assert all(leaf.dtype == jnp.bfloat16 for leaf in jax.tree.leaves(params))


def test_trust_bounds_are_traceable():
    run = jax.jit(lambda lower, upper: take_steps(optim.lamb(0.05, trust=(lower, upper)), steps=2)[0]["kernel"])
    expected = take_steps(optim.lamb(0.05, trust=(0.3, 0.9)), steps=2)[0]["kernel"]
    np.testing.assert_allclose(run(0.3, 0.9), expected, atol=1e-6)


def test_lamb_with_trust_ratio_one_is_adamw():
    lamb, _ = take_steps(optim.lamb(0.05, decay=0.1, max_norm=None, trust=(1.0, 1.0)))
    adamw, _ = take_steps(optim.adamw(0.05, decay=0.1, eps=1e-6))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-7), lamb, adamw)


def test_zero_weights_are_not_stuck_under_lamb():
    params = {"kernel": jnp.zeros((2, 2))}
    tx = optim.lamb(0.1)
    updates, _ = tx.update({"kernel": jnp.ones((2, 2))}, tx.init(params), params)
    np.testing.assert_allclose(updates["kernel"], -0.1, rtol=1e-5)


def test_coupled_and_decoupled_decay():
    """Without a gradient coupled decay under Adam steps by the sign of w, decoupled decay by w."""
    params = {"kernel": jnp.array([[2.0, -4.0]])}
    zeros = jax.tree.map(jnp.zeros_like, params)
    for coupled, expected in ((True, [[-0.1, 0.1]]), (False, [[-0.1 * 0.5 * 2, 0.1 * 0.5 * 4]])):
        tx = optim.adam(0.1, decay=0.5, coupled=coupled)
        np.testing.assert_allclose(tx.update(zeros, tx.init(params), params)[0]["kernel"], expected, rtol=1e-5)
    with pytest.raises(ValueError, match="coupled=False"):
        optim.momentum(0.1, coupled=False, preset="tf")


@pytest.mark.parametrize("limits", [{"norm": 1.0}, {"norm": 100.0}, {"value": 0.3}])
def test_clip_equals_torch(limits):
    torch = pytest.importorskip("torch")
    weights = [torch.nn.Parameter(torch.tensor(w)) for w in START.values()]
    for w in weights:
        w.grad = w.detach().clone()
    if "norm" in limits:
        torch.nn.utils.clip_grad_norm_(weights, limits["norm"])
    else:
        torch.nn.utils.clip_grad_value_(weights, limits["value"])
    ours, _ = optim.clip(**limits).update(jax.tree.map(jnp.asarray, START), optim.clip(**limits).init(None))
    for name, theirs in zip(START, weights, strict=True):
        np.testing.assert_allclose(ours[name], theirs.grad, rtol=2e-6)


def test_clip():
    tx = optim.clip(norm=1.0, value=3.0)
    clipped, _ = tx.update(jnp.array([3.0, 40.0]), tx.init(None))
    np.testing.assert_allclose(clipped, [0.5**0.5] * 2, rtol=1e-6)  # value first
    np.testing.assert_array_equal(tx.update(jnp.zeros(2), tx.init(None))[0], 0)
    with pytest.raises(ValueError, match="norm="):
        optim.clip()


def test_current_learning_rate():
    schedule = schedules.step(1.0, every=1, rate=0.5)
    tx = optax.chain(optim.clip(norm=1.0), optim.freeze(optim.adamw(schedule), "bias"))
    params = jax.tree.map(jnp.asarray, START)
    state = tx.init(params)
    rates = [float(optim.current_learning_rate(state))]
    for _ in range(3):
        _, state = tx.update(params, state, params)
        rates.append(float(optim.current_learning_rate(state)))
    assert rates == [1.0, 1.0, 0.5, 0.25]  # before the first update: that of the first
    assert optim.current_learning_rate(optax.sgd(0.1).init(params)) is None
    assert composition.rate_at(schedule, jnp.int32(3)) == 0.125
