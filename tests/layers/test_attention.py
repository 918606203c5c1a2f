"""Attention: PyTorch's numbers and gradients, masks, grouped heads, caches; alignment by hand."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.layers import attention
from jaxdl.layers.alignment import Bahdanau, Luong
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
from jaxdl.layers.position import ALiBi, Rotary, Shaw, SinusoidalRelative, T5Bias, positions_of

KEY = jax.random.key(0)
Q, K, V = jax.random.normal(KEY, (3, 2, 5, 4, 6))
X = jax.random.normal(jax.random.key(1), (2, 5, 8))


def filled(layer, *inputs, seed=0):
    shapes = jax.eval_shape(partial(layer.init, train=False), KEY, *inputs)
    random = np.random.default_rng(seed)
    return jax.tree.map(lambda s: jnp.asarray(random.normal(0, 0.4, s.shape), s.dtype), shapes)


# -- outside oracles --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kv_heads", [4, 2, 1])
@pytest.mark.parametrize("form", ["plain", "causal", "mask", "bias", "scale"])
def test_scaled_dot_product_attention_is_pytorchs(form, kv_heads):
    torch = pytest.importorskip("torch")
    mask = jax.random.bernoulli(KEY, 0.6, (2, 1, 5, 5)).at[..., 0].set(True)
    bias = jax.random.normal(KEY, (2, 4, 5, 5))
    ours = {
        "plain": {},
        "causal": {"causal": True},
        "mask": {"mask": mask},
        "bias": {"bias": bias},
        "scale": {"scale": 0.3},
    }
    theirs = {
        "plain": {},
        "causal": {"is_causal": True},
        "mask": {"attn_mask": mask},
        "bias": {"attn_mask": bias},
        "scale": {"scale": 0.3},
    }
    q, k, v = Q, K[:, :, :kv_heads], V[:, :, :kv_heads]
    tensors = [torch.tensor(np.asarray(x.swapaxes(1, 2))).requires_grad_() for x in (q, k, v)]
    options = {n: torch.tensor(np.asarray(x)) if hasattr(x, "shape") else x for n, x in theirs[form].items()}
    expected = torch.nn.functional.scaled_dot_product_attention(*tensors, **options, enable_gqa=True)
    expected.square().sum().backward()
    run = lambda q, k, v: dot_product_attention(q, k, v, **ours[form])
    y, back = jax.vjp(run, q, k, v)
    np.testing.assert_allclose(y.swapaxes(1, 2), expected.detach(), atol=1e-5)
    for ours_, tensor in zip(back(2 * y), tensors, strict=True):
        np.testing.assert_allclose(ours_.swapaxes(1, 2), tensor.grad, atol=1e-5)


def test_multi_head_is_pytorchs_with_its_weights():
    torch = pytest.importorskip("torch")
    theirs = torch.nn.MultiheadAttention(8, 2, batch_first=True)
    state = {name: jnp.asarray(value.detach().numpy()) for name, value in theirs.state_dict().items()}
    kernels, biases = jnp.split(state["in_proj_weight"], 3), jnp.split(jnp.arange(24) / 24.0, 3)
    with torch.no_grad():
        theirs.in_proj_bias.copy_(torch.arange(24) / 24.0)
    params = {n: {"kernel": w.T, "bias": b} for n, w, b in zip(("query", "key", "value"), kernels, biases, strict=True)}
    params["out"] = {"kernel": state["out_proj.weight"].T, "bias": state["out_proj.bias"]}
    lengths, memory = jnp.array([4, 2]), jax.random.normal(KEY, (2, 4, 8))
    hidden = torch.tensor(np.asarray(jnp.arange(4)[None] >= lengths[:, None]))
    to = lambda x: torch.tensor(np.asarray(x))
    expected, weights = theirs(to(X), to(memory), to(memory), key_padding_mask=hidden, average_attn_weights=False)
    layer = MultiHead(8, 2)
    run = partial(layer.apply, {"params": params}, X, memory, mask=padding_mask(lengths, 4), train=False)
    np.testing.assert_allclose(run(), expected.detach(), atol=1e-5)
    _, captured = run(mutable="intermediates")
    np.testing.assert_allclose(captured["intermediates"]["weights"][0], weights.detach(), atol=1e-6)


@pytest.mark.parametrize(
    ("layer", "count"),
    [
        (MultiHead(512, 8), 1_050_624),  # nn.MultiheadAttention(512, 8)
        (MultiHead(512, 8, use_bias=False, dim=32), 4 * 512 * 256),
        (MultiHead(512, 8, kv_heads=1), 2 * (512 * 512 + 512) + 2 * (512 * 64 + 64)),
    ],
)
def test_parameter_counts(layer, count):
    shapes = jax.eval_shape(partial(layer.init, train=False), KEY, jnp.zeros((1, 2, 512)))
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == count


@pytest.mark.parametrize("kv_heads", [4, 2])
@pytest.mark.parametrize("causal", [False, True])
def test_the_fused_kernels_way_gives_the_same_numbers(causal, kv_heads, monkeypatch):
    """JAX's own attention, called as for cuDNN but by its XLA implementation; row 1 of the mask allows nothing."""
    q, k, v = Q, K[:, :, :kv_heads], V[:, :, :kv_heads]
    options = {
        "mask": padding_mask(jnp.array([3, 0]), 5),
        "bias": jax.random.normal(KEY, (1, 4, 5, 5)),
        "causal": causal,
    }
    plain = dot_product_attention(q, k, v, **options)
    fused = jax.nn.dot_product_attention
    monkeypatch.setattr(attention, "_has_kernel", lambda q, k, v: True)
    monkeypatch.setattr(
        jax.nn, "dot_product_attention", lambda *a, implementation, **o: fused(*a, **o, implementation="xla")
    )
    np.testing.assert_allclose(dot_product_attention(q, k, v, **options), plain, atol=1e-6)


@pytest.mark.device
@pytest.mark.skipif(jax.default_backend() != "gpu", reason="cuDNN's kernel needs an NVIDIA GPU")
@pytest.mark.parametrize("causal", [False, True])
def test_cudnns_kernel_gives_the_same_numbers(causal):
    q, k, v = jax.random.normal(KEY, (3, 2, 64, 4, 32), jnp.bfloat16)
    mask = padding_mask(jnp.array([40, 64]), 64)
    run = lambda q, k, v: (dot_product_attention(q, k, v, mask=mask, causal=causal).astype(jnp.float32) ** 2).sum()
    fused = jax.grad(run, (0, 1, 2))(q, k, v)
    wide = jax.grad(run, (0, 1, 2))(*(x.astype(jnp.float32) for x in (q, k, v)))
    for ours, exact in zip(fused, wide, strict=True):
        np.testing.assert_allclose(np.asarray(ours, np.float32), exact, atol=0.05)


# -- masks ------------------------------------------------------------------------------------------------------------


def test_a_row_without_any_key_is_zero_with_finite_gradients():
    mask = padding_mask(jnp.array([3, 0]), 5)
    y, back = jax.vjp(partial(dot_product_attention, mask=mask), Q, K, V)
    np.testing.assert_array_equal(y[1], 0)
    assert all(jnp.isfinite(g).all() for g in back(y))
    minus = dot_product_attention(Q, K, V, bias=jnp.full((1, 1, 5, 5), -jnp.inf))
    assert jnp.isfinite(minus).all()
    huge = dot_product_attention(Q * 1e4, K * 1e4, V, causal=True)
    assert jnp.isfinite(huge).all()


MASKS = {
    "causal": (causal_mask(positions_of(X), positions_of(X)), lambda i, j: j <= i),
    "local": (local_mask(positions_of(X), positions_of(X), 1, 2), lambda i, j: i - 1 <= j <= i + 2),
    "padding": (padding_mask(jnp.array([3, 3]), 5), lambda i, j: j < 3),
    "segments": (
        segment_mask(jnp.array([[0, 0, 1, 1, 1]] * 2), jnp.array([[0, 0, 1, 1, 1]] * 2)),
        lambda i, j: (i < 2) == (j < 2),
    ),
}


@pytest.mark.parametrize("name", MASKS)
def test_masks_by_gradient(name):
    """∂y_i/∂v_j is not 0 exactly where the mask lets i see j."""
    mask, allowed = MASKS[name]
    read = jax.jacrev(lambda v: dot_product_attention(Q, K, v, mask=mask)[0, :, 0, 0])(V)[:, 0, :, 0, 0]
    expected = [[allowed(i, j) for j in range(5)] for i in range(5)]
    np.testing.assert_array_equal(np.asarray(read) != 0, expected)


def test_both_masks_and_the_window_of_a_layer():
    causal, local = MASKS["causal"][0], MASKS["local"][0]
    assert both(None, causal) is causal
    assert both(causal, None) is causal
    narrow, wide = MultiHead(8, 2, window=(1, 2)), MultiHead(8, 2)
    variables = filled(wide, X)
    y = narrow.apply(variables, X, causal=True, train=False)
    np.testing.assert_allclose(y, wide.apply(variables, X, mask=both(causal, local), train=False), atol=1e-6)


# -- the layer --------------------------------------------------------------------------------------------------------


def test_grouped_heads_are_heads_with_repeated_keys():
    y = dot_product_attention(Q, K[:, :, :2], V[:, :, :2])
    repeated = dot_product_attention(Q, jnp.repeat(K[:, :, :2], 2, 2), jnp.repeat(V[:, :, :2], 2, 2))
    np.testing.assert_allclose(y, repeated, atol=1e-6)
    with pytest.raises(ValueError, match="kv_heads=3"):
        dot_product_attention(Q, K[:, :, :3], V[:, :, :3])


def test_permuting_heads_changes_nothing():
    layer = MultiHead(8, 4)
    variables, order = filled(layer, X), jnp.array([2, 0, 3, 1])
    p = variables["params"]
    heads = lambda m: m.reshape(*m.shape[:-1], 4, 2)[..., order, :].reshape(m.shape)
    moved = {n: {"kernel": heads(p[n]["kernel"]), "bias": heads(p[n]["bias"])} for n in ("query", "key", "value")}
    moved["out"] = {"kernel": heads(p["out"]["kernel"].T).T, "bias": p["out"]["bias"]}
    run = partial(layer.apply, train=False)
    np.testing.assert_allclose(run({"params": moved}, X), run(variables, X), atol=1e-5)


@pytest.mark.parametrize("relative", [None, Rotary(), ALiBi(), T5Bias(), Shaw(3), SinusoidalRelative()])
def test_steps_with_a_cache_are_causal_attention(relative):
    """Two tokens at once, then one by one; the rows stand at different positions, the second starts with padding."""
    layer = MultiHead(8, 4, kv_heads=2, relative=relative)
    variables = filled(layer, X)
    whole = layer.apply(variables, X, causal=True, train=False)
    step = jax.jit(partial(layer.apply, variables, method="step"))
    cache = layer.empty(2, 6)
    positions = jnp.array([[0, 1], [-1, 0]])
    tokens = jnp.stack([X[0, :2], jnp.stack([X[1, 4], X[1, 0]])])
    y, cache = step(tokens, cache, positions)
    np.testing.assert_allclose(y[0], whole[0, :2], atol=1e-5)
    np.testing.assert_allclose(y[1, 1], whole[1, 0], atol=1e-5)
    for t in (2, 3, 4):
        y, cache = step(jnp.stack([X[0, t], X[1, t - 1]])[:, None], cache, jnp.array([[t], [t - 1]]))
        np.testing.assert_allclose(y[:, 0], jnp.stack([whole[0, t], whole[1, t - 1]]), atol=1e-5)


def test_dropout_of_weights_keeps_the_mean_and_may_be_traced():
    layer = lambda rate: MultiHead(8, 2, rate=rate)
    variables = filled(layer(0.0), X)
    run = lambda rate, key: layer(rate).apply(variables, X, train=True, rngs={"dropout": key})
    plain = layer(0.5).apply(variables, X, train=False)
    noisy = jax.jit(jax.vmap(run))(jnp.array([0.0, 0.3] * 200), jax.random.split(KEY, 400))
    np.testing.assert_allclose(noisy[0], plain, atol=1e-5)
    np.testing.assert_allclose(noisy[1::2].mean(0), plain, atol=0.2)
    assert noisy[1::2].std(0).max() > 0.1


def test_bfloat16_scores_are_computed_in_float32():
    weights = attention_weights(Q.astype(jnp.bfloat16), K.astype(jnp.bfloat16))
    assert weights.dtype == jnp.float32
    assert dot_product_attention(*(x.astype(jnp.bfloat16) for x in (Q, K, V))).dtype == jnp.bfloat16
    with pytest.raises(ValueError, match="heads=3"):
        MultiHead(8, 3).init(KEY, X, train=False)


# -- alignment --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", [Bahdanau(3), Luong(), Luong("general", 8)])
def test_alignment_is_its_formula(layer):
    query, memory, mask = X[:, 0], X[:, 1:], jnp.array([[True] * 4, [True, True, False, False]])
    shapes = jax.eval_shape(layer.init, KEY, query, memory)
    random = np.random.default_rng(0)
    variables = jax.tree.map(lambda s: jnp.asarray(random.normal(size=s.shape), s.dtype), shapes)
    context, weights = layer.apply(variables, query, memory, mask)
    p = variables.get("params", {})
    for row, keys in ((0, 4), (1, 2)):
        k, q = memory[row, :keys], query[row]
        match layer:
            case Bahdanau():
                inner = q @ p["query"]["kernel"] + p["query"]["bias"]
                e = jnp.tanh(k @ p["key"]["kernel"] + inner[None]) @ p["weigh"]["kernel"][:, 0]
            case Luong(kind="general"):
                e = (k @ p["key"]["kernel"]) @ q
            case _:
                e = k @ q
        w = jax.nn.softmax(e)
        np.testing.assert_allclose(weights[row, :keys], w, atol=1e-6)
        np.testing.assert_array_equal(weights[row, keys:], 0)
        np.testing.assert_allclose(context[row], w @ k, atol=1e-5)
    prepared = layer.apply(variables, memory, method="prepare")
    np.testing.assert_allclose(layer.apply(variables, query, memory, mask, prepared)[0], context, atol=1e-6)


def test_luong_names_widths_that_do_not_fit():
    narrow = jnp.zeros((2, 6))
    with pytest.raises(
        ValueError, match=r"kind='dot' with keys of 8 channels: the query has 6, take Luong\('general', 6\)"
    ):
        Luong().init(KEY, narrow, X)
    with pytest.raises(ValueError, match="width=5: the query has 6"):
        Luong("general", 5).init(KEY, narrow, X)


def test_an_unknown_alignment_is_named():
    with pytest.raises(ValueError, match="kind='concat'"):
        Luong("concat").init(KEY, X[:, 0], X)
