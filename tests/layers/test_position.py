"""Positions: fixed tables, and that relative schemes know only the distance i - j."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.layers.attention import MultiHead
from jaxdl.layers.position import (
    ALiBi,
    Learned,
    Relative,
    Rotary,
    Shaw,
    Sinusoidal,
    SinusoidalRelative,
    T5Bias,
    alibi_slopes,
    positions_of,
    relative_bucket,
    rotary,
    sinusoidal,
)

KEY = jax.random.key(0)
X = jax.random.normal(KEY, (2, 7, 8))
RELATIVE = {
    "rotary": Rotary(),
    "rotary_part": Rotary(dims=2, interleaved=True),
    "alibi": ALiBi(),
    "t5": T5Bias(8, 6),
    "shaw": Shaw(2),
    "sinusoidal": SinusoidalRelative(),
}


@pytest.mark.parametrize("interleaved", [False, True])
def test_sinusoidal_table(interleaved):
    table = sinusoidal(jnp.arange(50), 16, interleaved=interleaved)
    for p in (0, 1, 7, 49):
        for i in range(8):
            angle = p / 10000 ** (2 * i / 16)
            at = (2 * i, 2 * i + 1) if interleaved else (i, 8 + i)
            np.testing.assert_allclose(table[p, jnp.array(at)], [np.sin(angle), np.cos(angle)], atol=4e-6)


def test_sinusoidal_vectors_at_one_distance_have_one_product():
    table = sinusoidal(jnp.arange(40), 16)
    products = table @ table.T
    for distance in (0, 3, 11):
        np.testing.assert_allclose(jnp.diagonal(products, distance), products[0, distance], atol=1e-4)


def test_absolute_schemes_add_the_row_of_each_position():
    learned = Learned(9)
    table = jnp.arange(72.0).reshape(9, 8)
    restart = jnp.array([[0, 1, 2, 0, 1, 2, 3], [8, 7, 6, 5, 4, 3, -1]])
    y = learned.apply({"params": {"position": table}}, X, restart)
    np.testing.assert_allclose(y - X, table[jnp.maximum(restart, 0)], atol=1e-5)
    y = Sinusoidal().apply({}, X, positions_of(X))
    np.testing.assert_allclose(y - X, jnp.broadcast_to(sinusoidal(jnp.arange(7), 8), X.shape), atol=1e-6)
    with pytest.raises(ValueError, match="length=5"):
        Learned(5).init(KEY, X, positions_of(X))
    with pytest.raises(ValueError, match="width=3"):
        sinusoidal(jnp.arange(2), 3)


def layer(relative):
    return MultiHead(8, 2, relative=relative)


def filled(relative):
    shapes = jax.eval_shape(partial(layer(relative).init, train=False), KEY, X)
    random = np.random.default_rng(0)
    return jax.tree.map(lambda s: jnp.asarray(random.normal(0, 0.4, s.shape), s.dtype), shapes)


@pytest.mark.parametrize("name", RELATIVE)
def test_relative_schemes_do_not_see_a_common_shift_but_do_see_order(name):
    variables = filled(RELATIVE[name])
    run = jax.jit(lambda positions: layer(RELATIVE[name]).apply(variables, X, positions=positions, train=False))
    here = run(positions_of(X))
    np.testing.assert_allclose(run(positions_of(X) + 1000), here, atol=2e-4)
    assert jnp.abs(run(jnp.array([[0, 2, 5, 1, 3, 6, 4]])) - here).max() > 1e-3


def test_without_positions_attention_is_equivariant_to_permutations():
    variables, order = filled(None), jnp.array([3, 0, 6, 2, 5, 1, 4])
    run = lambda x: layer(None).apply(variables, x, train=False)
    np.testing.assert_allclose(run(X[:, order]), run(X)[:, order], atol=1e-6)
    assert Relative().rotate(X, positions_of(X)) is X


@pytest.mark.parametrize("interleaved", [False, True])
def test_rotary_keeps_lengths_and_its_products_depend_on_distance(interleaved):
    q, k = jax.random.normal(KEY, (2, 1, 1, 1, 8))
    turn = lambda x, p: rotary(x, jnp.array([[p]]), interleaved=interleaved)[0, 0, 0]
    np.testing.assert_allclose(jnp.linalg.norm(turn(q, 123)), jnp.linalg.norm(q), rtol=1e-5)
    np.testing.assert_allclose(turn(q, 5) @ turn(k, 2), turn(q, 105) @ turn(k, 102), rtol=1e-4, atol=1e-5)
    assert abs(turn(q, 5) @ turn(k, 2) - turn(q, 5) @ turn(k, 3)) > 1e-3
    with pytest.raises(ValueError, match="dims=3"):
        rotary(jnp.zeros((1, 1, 1, 8)), jnp.zeros((1, 1), int), dims=3)


def test_shaw_is_the_formula_written_out():
    variables = filled(Shaw(2))
    p = variables["params"]
    y, captured = layer(Shaw(2)).apply(variables, X, train=False, mutable="intermediates")
    q, k, v = ((X @ p[n]["kernel"] + p[n]["bias"][None, None]).reshape(2, 7, 2, 4) for n in ("query", "key", "value"))
    a_k, a_v = p["relative"]["key_position"], p["relative"]["value_position"]
    index = np.clip(np.arange(7)[None] - np.arange(7)[:, None], -2, 2) + 2
    scores = (jnp.einsum("bqhd,bkhd->bhqk", q, k) + jnp.einsum("bqhd,qkd->bhqk", q, a_k[index])) / 2
    weights = jax.nn.softmax(scores)
    out = jnp.einsum("bhqk,bkhd->bqhd", weights, v) + jnp.einsum("bhqk,qkd->bqhd", weights, a_v[index])
    np.testing.assert_allclose(captured["intermediates"]["weights"][0], weights, atol=1e-6)
    np.testing.assert_allclose(y, out.reshape(2, 7, 8) @ p["out"]["kernel"] + p["out"]["bias"][None, None], atol=1e-5)


def test_alibi_slopes_are_the_papers():
    np.testing.assert_allclose(alibi_slopes(8), [2.0**-i for i in range(1, 9)])
    np.testing.assert_allclose(alibi_slopes(16)[:2], [2**-0.5, 2**-1])
    twelve = [2.0**-i for i in range(1, 9)] + [2.0 ** -(i + 0.5) for i in range(4)]  # as in the authors' code
    np.testing.assert_allclose(alibi_slopes(12), twelve, rtol=1e-6)


def test_alibi_takes_away_the_slope_times_the_distance():
    """Two heads of slopes 2⁻⁴ and 2⁻⁸; scores of 0 leave weights ∝ exp(-m·|i - j|), which fall with the distance."""
    far = np.array([[0, 1, 2], [1, 0, 1], [2, 1, 0]])
    at = jnp.array([[5, 6, 7]])
    bias, values = ALiBi().apply({}, jnp.zeros((1, 3, 2, 4)), at, at, causal=False)
    assert values is None
    np.testing.assert_allclose(bias[0], -np.array([2**-4, 2**-8])[:, None, None] * far[None], rtol=1e-6)
    variables = jax.tree.map(jnp.zeros_like, filled(ALiBi()))
    _, captured = layer(ALiBi()).apply(variables, X[:, :3], train=False, mutable="intermediates")
    likely = np.exp(-np.array([2**-4, 2**-8])[:, None, None] * far[None])
    likely = likely / likely.sum(-1, keepdims=True)
    np.testing.assert_allclose(captured["intermediates"]["weights"][0][0], likely, rtol=1e-5)


@pytest.mark.parametrize("interleaved", [False, True])
def test_rotary_is_hugging_faces(interleaved):
    """Llama pairs halves; of neighbours (GPT-J) it is the same with the channels in another order. Both through attention."""
    torch = pytest.importorskip("torch")
    llama = pytest.importorskip("transformers.models.llama.modeling_llama")
    config = llama.LlamaConfig(hidden_size=16, num_attention_heads=2, max_position_embeddings=900)
    q, k = (np.asarray(x) for x in jax.random.normal(KEY, (2, 2, 7, 2, 8)))  # batch, time, heads, channels
    at = np.array([[0, 1, 2, 3, 4, 5, 6], [3, 4, 0, 800, 801, 99, 7]])
    halves = lambda x: np.concatenate([x[..., ::2], x[..., 1::2]], -1) if interleaved else x
    theirs = [torch.tensor(halves(x)).transpose(1, 2) for x in (q, k)]
    cos, sin = llama.LlamaRotaryEmbedding(config)(theirs[0], torch.tensor(at))
    theirs = [x.transpose(1, 2).numpy() for x in llama.apply_rotary_pos_emb(*theirs, cos, sin)]
    ours = [Rotary(interleaved=interleaved).rotate(jnp.asarray(x), jnp.asarray(at)) for x in (q, k)]
    for x, y in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(halves(x), y, atol=2e-4)  # sines of angles up to 801, in float32
    scores = [np.einsum("bqhd,bkhd->bhqk", *pair) for pair in (ours, theirs)]
    np.testing.assert_allclose(*scores, atol=1e-3)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(("buckets", "far"), [(32, 128), (16, 50)])
def test_t5_buckets_widen_and_end(bidirectional, buckets, far):
    distance = jnp.arange(-300, 301)
    bucket = np.asarray(relative_bucket(distance, buckets=buckets, max_distance=far, bidirectional=bidirectional))
    left = bucket[:301][::-1]  # distances 0, 1, 2, ... to the left
    side = buckets // 2 if bidirectional else buckets
    np.testing.assert_array_equal(left[: side // 2], np.arange(side // 2))
    assert (np.diff(left) >= 0).all()
    assert (left[far:] == side - 1).all()
    assert set(left) == set(range(side))
    np.testing.assert_array_equal(bucket[301:], left[1:] + side if bidirectional else 0)


def test_t5_buckets_are_the_published_functions():
    """The formula in double precision, away from bucket edges that only rounding decides."""
    n = np.arange(1, 400)
    exact = 16 + np.log(n / 16) / np.log(128 / 16) * 16
    expected = np.where(n < 16, n, np.minimum(np.floor(exact + 1e-9), 31))
    np.testing.assert_array_equal(relative_bucket(jnp.asarray(-n), bidirectional=False), expected)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(("buckets", "far"), [(32, 128), (16, 50), (64, 1000)])
def test_t5_buckets_are_hugging_faces(bidirectional, buckets, far):
    """To both sides, through the part that widens and beyond its end."""
    torch = pytest.importorskip("torch")
    t5 = pytest.importorskip("transformers.models.t5.modeling_t5")
    distance = np.arange(-1200, 1201)
    options = {"bidirectional": bidirectional, "max_distance": far}
    expected = t5.T5Attention._relative_position_bucket(torch.tensor(distance), num_buckets=buckets, **options)
    np.testing.assert_array_equal(relative_bucket(jnp.asarray(distance), buckets=buckets, **options), expected)
