"""Attention: PyTorch's numbers and gradients, masks, grouped heads, caches."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.layers.attention import (
    MultiHead,
    attention_weights,
    both,
    causal_mask,
    dot_product_attention,
    local_mask,
    padding_mask,
    segment_mask,
)
from jaxdl.layers.position import ALiBi, Rotary, Shaw, SinusoidalRelative, T5Bias
from jaxdl.types import UserError
from tests.programs import one_program
from tests.tables import rows

RNG = np.random.default_rng(0)
KEY = jax.random.key(0)
Q, K, V = RNG.normal(size=(3, 2, 5, 4, 6)).astype(np.float32)
X = RNG.normal(size=(2, 5, 8)).astype(np.float32)
MASK = RNG.random((2, 1, 5, 5)) < 0.6
MASK[..., 0] = True
BIAS = RNG.normal(size=(2, 4, 5, 5)).astype(np.float32)


def filled(layer, *inputs, seed=0):
    shapes = jax.eval_shape(partial(layer.init, train=False), KEY, *inputs)
    random = np.random.default_rng(seed)
    return jax.tree.map(lambda s: random.normal(0, 0.4, s.shape).astype(s.dtype), shapes)


# -- outside oracles --------------------------------------------------------------------------------------------------

FORMS = {
    "plain": ({}, {}),
    "causal": ({"causal": True}, {"is_causal": True}),
    "mask": ({"mask": MASK}, {"attn_mask": MASK}),
    "bias": ({"bias": BIAS}, {"attn_mask": BIAS}),
    "scale": ({"scale": 0.3}, {"scale": 0.3}),
}


@cache
def every_form(kv_heads):
    """Value and gradients of the sum of squares, of all forms in one program."""

    def run(q, k, v, arrays):
        out = {}
        for form, (options, _) in FORMS.items():
            y, back = jax.vjp(
                lambda q, k, v, o={**options, **arrays[form]}: dot_product_attention(q, k, v, **o), q, k, v
            )
            out[form] = (y, *back(2 * y))
        return out

    arrays = {form: {n: a for n, a in o.items() if isinstance(a, np.ndarray)} for form, (o, _) in FORMS.items()}
    return one_program(run, Q, K[:, :, :kv_heads], V[:, :, :kv_heads], arrays)


@pytest.mark.parametrize("kv_heads", [4, 2, 1])
@pytest.mark.parametrize("form", FORMS)
def test_scaled_dot_product_attention_is_pytorchs(form, kv_heads, oracle):
    @oracle
    def theirs(torch):
        tensors = [torch.tensor(x.swapaxes(1, 2)).requires_grad_() for x in (Q, K[:, :, :kv_heads], V[:, :, :kv_heads])]
        options = {n: torch.tensor(x) if isinstance(x, np.ndarray) else x for n, x in FORMS[form][1].items()}
        y = torch.nn.functional.scaled_dot_product_attention(*tensors, **options, enable_gqa=True)
        y.square().sum().backward()
        return {"y": y} | {name: tensor.grad for name, tensor in zip("qkv", tensors, strict=True)}

    for ours, name in zip(every_form(kv_heads)[form], "yqkv", strict=True):
        np.testing.assert_allclose(ours.swapaxes(1, 2), theirs[name], atol=1e-5)


def test_multi_head_is_pytorchs_with_its_weights(oracle):
    memory = np.random.default_rng(1).normal(size=(2, 4, 8)).astype(np.float32)
    lengths = np.array([4, 2])

    @oracle
    def theirs(torch):
        module = torch.nn.MultiheadAttention(8, 2, batch_first=True)
        with torch.no_grad():
            module.in_proj_bias.copy_(torch.arange(24) / 24.0)
        hidden = torch.tensor(np.arange(4)[None] >= lengths[:, None])
        given = (torch.tensor(X), torch.tensor(memory), torch.tensor(memory))
        y, weights = module(*given, key_padding_mask=hidden, average_attn_weights=False)
        return {"y": y, "weights": weights, **module.state_dict()}

    kernels, biases = np.split(theirs["in_proj_weight"], 3), np.split(theirs["in_proj_bias"], 3)
    params = {n: {"kernel": w.T, "bias": b} for n, w, b in zip(("query", "key", "value"), kernels, biases, strict=True)}
    params["out"] = {"kernel": theirs["out_proj.weight"].T, "bias": theirs["out_proj.bias"]}

    def run(params, x, memory, lengths):
        apply = partial(
            MultiHead(8, 2).apply, {"params": params}, x, memory, mask=padding_mask(lengths, 4), train=False
        )
        return apply(), apply(mutable="intermediates")

    y, (again, captured) = one_program(run, params, X, memory, lengths)
    np.testing.assert_allclose(y, theirs["y"], atol=1e-5)
    np.testing.assert_array_equal(again, y)
    np.testing.assert_allclose(captured["intermediates"]["weights"][0], theirs["weights"], atol=1e-6)


@pytest.mark.parametrize(
    ("layer", "count"),
    [
        (MultiHead(512, 8), 1_050_624),  # nn.MultiheadAttention(512, 8)
        (MultiHead(512, 8, use_bias=False, dim=32), 4 * 512 * 256),
        (MultiHead(512, 8, kv_heads=1), 2 * (512 * 512 + 512) + 2 * (512 * 64 + 64)),
    ],
)
def test_parameter_counts(layer, count):
    shapes = jax.eval_shape(partial(layer.init, train=False), KEY, np.zeros((1, 2, 512), np.float32))
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == count


# -- masks ------------------------------------------------------------------------------------------------------------


def test_a_row_without_any_key_is_zero_with_finite_gradients():
    def run(q, k, v, lengths):
        y, back = jax.vjp(partial(dot_product_attention, mask=padding_mask(lengths, 5)), q, k, v)
        minus = dot_product_attention(q, k, v, bias=jnp.full((1, 1, 5, 5), -jnp.inf))
        huge = dot_product_attention(q * 1e4, k * 1e4, v, causal=True)
        return y, (*back(y), minus, huge)

    y, others = one_program(run, Q, K, V, np.array([3, 0]))
    np.testing.assert_array_equal(y[1], 0)
    assert all(np.isfinite(a).all() for a in others)


PLACES, HALVES = np.arange(5)[None].repeat(2, 0), np.array([[0, 0, 1, 1, 1]] * 2)
MASKS = {
    "causal": (lambda: causal_mask(PLACES, PLACES), lambda i, j: j <= i),
    "local": (lambda: local_mask(PLACES, PLACES, 1, 2), lambda i, j: i - 1 <= j <= i + 2),
    "padding": (lambda: padding_mask(np.array([3, 3]), 5), lambda i, j: j < 3),
    "segments": (lambda: segment_mask(HALVES, HALVES), lambda i, j: (i < 2) == (j < 2)),
}


@pytest.mark.parametrize("name", MASKS)
def test_masks_by_gradient(name):
    """∂y_i/∂v_j is not 0 exactly where the mask lets i see j."""
    mask, allowed = MASKS[name]
    seen = lambda q, k, v: jax.jacrev(lambda v: dot_product_attention(q, k, v, mask=mask())[0, :, 0, 0])(v)
    read = one_program(seen, Q, K, V)[:, 0, :, 0, 0]
    expected = [[allowed(i, j) for j in range(5)] for i in range(5)]
    np.testing.assert_array_equal(read != 0, expected)


def test_both_masks_and_the_window_of_a_layer():
    mask = np.ones((1, 1, 5, 5), bool)
    assert both(None, mask) is mask
    assert both(mask, None) is mask
    narrow, wide = MultiHead(8, 2, window=(1, 2)), MultiHead(8, 2)

    def run(variables, x):
        masks = both(MASKS["causal"][0](), MASKS["local"][0]())
        return narrow.apply(variables, x, causal=True, train=False), wide.apply(variables, x, mask=masks, train=False)

    y, expected = one_program(run, filled(wide, X), X)
    np.testing.assert_allclose(y, expected, atol=1e-6)


# -- the layer --------------------------------------------------------------------------------------------------------


def test_grouped_heads_are_heads_with_repeated_keys():
    k, v = K[:, :, :2], V[:, :, :2]
    run = lambda q, *pairs: [dot_product_attention(q, k, v) for k, v in pairs]
    y, repeated = one_program(run, Q, (k, v), (k.repeat(2, 2), v.repeat(2, 2)))
    np.testing.assert_allclose(y, repeated, atol=1e-6)
    with pytest.raises(UserError, match=r"^kv_heads = 3 "):
        dot_product_attention(Q, K[:, :, :3], V[:, :, :3])


def test_permuting_heads_changes_nothing():
    layer = MultiHead(8, 4)
    variables, order = filled(layer, X), [2, 0, 3, 1]
    p = variables["params"]
    heads = lambda m: m.reshape(*m.shape[:-1], 4, 2)[..., order, :].reshape(m.shape)
    moved = {n: {"kernel": heads(p[n]["kernel"]), "bias": heads(p[n]["bias"])} for n in ("query", "key", "value")}
    moved["out"] = {"kernel": heads(p["out"]["kernel"].T).T, "bias": p["out"]["bias"]}
    run = lambda x, *variables: [layer.apply(v, x, train=False) for v in variables]
    y, expected = one_program(run, X, {"params": moved}, variables)
    np.testing.assert_allclose(y, expected, atol=1e-5)


SCHEMES = {
    "none": None,
    "rotary": Rotary(),
    "alibi": ALiBi(),
    "t5": T5Bias(),
    "shaw": Shaw(3),
    "sinusoidal": SinusoidalRelative(),
}


@rows(SCHEMES, default=["none", "rotary", "shaw"], name="relative")
def test_steps_with_a_cache_are_causal_attention(relative):
    """Two tokens at once, then one by one; the rows stand at different positions, the second starts with padding."""
    layer = MultiHead(8, 4, kv_heads=2, relative=relative)
    variables = filled(layer, X)

    def run(variables, x):
        first = jnp.stack([x[0, :2], jnp.stack([x[1, 4], x[1, 0]])])
        y, cache = layer.apply(variables, first, layer.empty(2, 6), np.array([[0, 1], [-1, 0]]), method="step")

        def step(cache, t):
            tokens, positions = jnp.stack([x[0, t], x[1, t - 1]])[:, None], jnp.stack([t, t - 1])[:, None]
            y, cache = layer.apply(variables, tokens, cache, positions, method="step")
            return cache, y[:, 0]

        return layer.apply(variables, x, causal=True, train=False), y, jax.lax.scan(step, cache, jnp.arange(2, 5))[1]

    whole, y, steps = one_program(run, variables, X)
    np.testing.assert_allclose(y[0], whole[0, :2], atol=1e-5)
    np.testing.assert_allclose(y[1, 1], whole[1, 0], atol=1e-5)
    np.testing.assert_allclose(steps[:, 0], whole[0, 2:], atol=1e-5)
    np.testing.assert_allclose(steps[:, 1], whole[1, 1:4], atol=1e-5)


def test_dropout_of_weights_keeps_the_mean_and_may_be_traced():
    layer = lambda rate: MultiHead(8, 2, rate=rate)

    def run(variables, x, rates):
        noisy = lambda rate, key: layer(rate).apply(variables, x, train=True, rngs={"dropout": key})
        return layer(0.5).apply(variables, x, train=False), jax.vmap(noisy)(rates, jax.random.split(KEY, 400))

    plain, noisy = one_program(run, filled(layer(0.0), X), X, np.float32([0.0, 0.3] * 200))
    np.testing.assert_allclose(noisy[0], plain, atol=1e-5)
    np.testing.assert_allclose(noisy[1::2].mean(0), plain, atol=0.2)
    assert noisy[1::2].std(0).max() > 0.1


def test_bfloat16_scores_are_computed_in_float32():
    q, k, v = (jax.ShapeDtypeStruct(x.shape, jnp.bfloat16) for x in (Q, K, V))
    assert jax.eval_shape(attention_weights, q, k).dtype == jnp.float32
    assert jax.eval_shape(dot_product_attention, q, k, v).dtype == jnp.bfloat16
    with pytest.raises(UserError, match=r"^heads = 3 "):
        jax.eval_shape(partial(MultiHead(8, 3).init, train=False), KEY, X)
