"""Positions: fixed tables, and that relative schemes know only the distance i - j."""

from functools import cache, partial

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
from jaxdl.types import UserError
from tests.programs import one_program

KEY = jax.random.key(0)
X = np.random.default_rng(0).normal(size=(2, 7, 8)).astype(np.float32)
HERE = np.arange(7)[None].repeat(2, 0)
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
    table = one_program(partial(sinusoidal, width=16, interleaved=interleaved), np.arange(50))
    for p in (0, 1, 7, 49):
        for i in range(8):
            angle = p / 10000 ** (2 * i / 16)
            at = [2 * i, 2 * i + 1] if interleaved else [i, 8 + i]
            np.testing.assert_allclose(table[p, at], [np.sin(angle), np.cos(angle)], atol=4e-6)


def test_sinusoidal_vectors_at_one_distance_have_one_product():
    table = one_program(partial(sinusoidal, width=16), np.arange(40))
    products = table @ table.T
    for distance in (0, 3, 11):
        np.testing.assert_allclose(np.diagonal(products, distance), products[0, distance], atol=1e-4)


def test_absolute_schemes_add_the_row_of_each_position():
    learned = Learned(9)
    table = np.arange(72, dtype=np.float32).reshape(9, 8)
    restart = np.array([[0, 1, 2, 0, 1, 2, 3], [8, 7, 6, 5, 4, 3, -1]])

    def run(table, x, restart):
        y = learned.apply({"params": {"position": table}}, x, restart)
        return y, Sinusoidal().apply({}, x, positions_of(x)), sinusoidal(jnp.arange(7), 8)

    y, waves, rows = one_program(run, table, X, restart)
    np.testing.assert_allclose(y - X, table[np.maximum(restart, 0)], atol=1e-5)
    np.testing.assert_allclose(waves - X, np.broadcast_to(rows, X.shape), atol=1e-6)
    with pytest.raises(UserError, match=r"^length = 5 "):
        jax.eval_shape(Learned(5).init, KEY, X, HERE)
    with pytest.raises(UserError, match=r"^width = 3 "):
        jax.eval_shape(lambda p: sinusoidal(p, 3), np.arange(2))


def layer(relative):
    return MultiHead(8, 2, relative=relative)


def filled(relative):
    shapes = jax.eval_shape(partial(layer(relative).init, train=False), KEY, X)
    random = np.random.default_rng(0)
    return jax.tree.map(lambda s: random.normal(0, 0.4, s.shape).astype(s.dtype), shapes)


@pytest.mark.parametrize("name", RELATIVE)
def test_relative_schemes_do_not_see_a_common_shift_but_do_see_order(name):
    relative, mixed = RELATIVE[name], np.array([[0, 2, 5, 1, 3, 6, 4]] * 2)

    def run(variables, x, *positions):
        one = lambda p: layer(relative).apply(variables, x, positions=p, train=False)
        return jax.lax.map(one, jnp.stack(positions))

    here, shifted, other = one_program(run, filled(relative), X, HERE, HERE + 1000, mixed)
    np.testing.assert_allclose(shifted, here, atol=2e-4)
    assert np.abs(other - here).max() > 1e-3


def test_without_positions_attention_is_equivariant_to_permutations():
    order = [3, 0, 6, 2, 5, 1, 4]
    run = lambda variables, *xs: [layer(None).apply(variables, x, train=False) for x in xs]
    moved, y = one_program(run, filled(None), X[:, order], X)
    np.testing.assert_allclose(moved, y[:, order], atol=1e-6)
    assert Relative().rotate(X, HERE) is X


@pytest.mark.parametrize("interleaved", [False, True])
def test_rotary_keeps_lengths_and_its_products_depend_on_distance(interleaved):
    q, k = np.random.default_rng(0).normal(size=(2, 8)).astype(np.float32)

    def run(x, positions):
        turned = rotary(jnp.broadcast_to(x, (1, len(positions), 1, 8)), positions[None], interleaved=interleaved)
        return turned[0, :, 0]

    q_at, k_at = one_program(lambda q, k, qs, ks: (run(q, qs), run(k, ks)), q[None, None, None], k[None, None, None],
                             np.array([123, 5, 105]), np.array([2, 102, 3]))  # fmt: skip
    np.testing.assert_allclose(np.linalg.norm(q_at[0]), np.linalg.norm(q), rtol=1e-5)
    np.testing.assert_allclose(q_at[1] @ k_at[0], q_at[2] @ k_at[1], rtol=1e-4, atol=1e-5)
    assert abs(q_at[1] @ k_at[0] - q_at[1] @ k_at[2]) > 1e-3
    with pytest.raises(UserError, match=r"^dims = 3 "):
        jax.eval_shape(partial(rotary, dims=3), np.zeros((1, 1, 1, 8), np.float32), np.zeros((1, 1), int))


def test_shaw_is_the_formula_written_out():
    variables = filled(Shaw(2))
    p = variables["params"]
    y, captured = one_program(partial(layer(Shaw(2)).apply, train=False, mutable="intermediates"), variables, X)
    q, k, v = ((X @ p[n]["kernel"] + p[n]["bias"]).reshape(2, 7, 2, 4) for n in ("query", "key", "value"))
    a_k, a_v = p["relative"]["key_position"], p["relative"]["value_position"]
    index = np.clip(np.arange(7)[None] - np.arange(7)[:, None], -2, 2) + 2
    scores = (np.einsum("bqhd,bkhd->bhqk", q, k) + np.einsum("bqhd,qkd->bhqk", q, a_k[index])) / 2
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights = weights / weights.sum(-1, keepdims=True)
    out = np.einsum("bhqk,bkhd->bqhd", weights, v) + np.einsum("bhqk,qkd->bqhd", weights, a_v[index])
    np.testing.assert_allclose(captured["intermediates"]["weights"][0], weights, atol=1e-6)
    np.testing.assert_allclose(y, out.reshape(2, 7, 8) @ p["out"]["kernel"] + p["out"]["bias"], atol=1e-5)


def test_the_relative_sinusoid_is_the_formula_written_out():
    """Transformer-XL, section 3.3: (q_i / √d + v / √d)·(W_R R_{i-j}); the layer hands over q_i / √d."""
    rng = np.random.default_rng(0)
    q, kernel, bias = (rng.normal(size=s).astype(np.float32) for s in ((2, 7, 2, 4), (8, 8), (2, 4)))
    apply = partial(SinusoidalRelative().apply, causal=False)
    scores, values = one_program(apply, {"params": {"kernel": kernel, "bias": bias}}, q, HERE, HERE)
    distance = (np.arange(7)[:, None] - np.arange(7)[None])[..., None] / 10000 ** (2 * np.arange(4) / 8)
    r = (np.stack([np.sin(distance), np.cos(distance)], -1).reshape(7, 7, 8) @ kernel).reshape(7, 7, 2, 4)
    np.testing.assert_allclose(scores, np.einsum("bqhd,qkhd->bhqk", q + bias / 2, r), atol=1e-4)
    assert values is None


def test_alibi_slopes_are_the_papers():
    np.testing.assert_allclose(alibi_slopes(8), [2.0**-i for i in range(1, 9)])
    np.testing.assert_allclose(alibi_slopes(16)[:2], [2**-0.5, 2**-1])
    twelve = [2.0**-i for i in range(1, 9)] + [2.0 ** -(i + 0.5) for i in range(4)]  # as in the authors' code
    np.testing.assert_allclose(alibi_slopes(12), twelve, rtol=1e-6)


def test_alibi_takes_away_the_slope_times_the_distance():
    """Two heads of slopes 2⁻⁴ and 2⁻⁸; scores of 0 leave weights ∝ exp(-m·|i - j|), which fall with the distance."""
    far = np.array([[0, 1, 2], [1, 0, 1], [2, 1, 0]])
    at = np.array([[5, 6, 7]])

    def run(variables, x, keys):
        bias, values = ALiBi().apply({}, keys, at, at, causal=False)
        assert values is None
        return bias, layer(ALiBi()).apply(variables, x, train=False, mutable="intermediates")[1]

    variables = jax.tree.map(np.zeros_like, filled(ALiBi()))
    bias, captured = one_program(run, variables, X[:, :3], np.zeros((1, 3, 2, 4), np.float32))
    slopes = np.array([2**-4, 2**-8])[:, None, None]
    np.testing.assert_allclose(bias[0], -slopes * far[None], rtol=1e-6)
    likely = np.exp(-slopes * far[None])
    likely = likely / likely.sum(-1, keepdims=True)
    np.testing.assert_allclose(captured["intermediates"]["weights"][0][0], likely, rtol=1e-5)


@pytest.mark.parametrize("interleaved", [False, True])
def test_rotary_is_hugging_faces(interleaved, oracle):
    """Llama pairs halves; of neighbours (GPT-J) it is the same with the channels in another order. Both through attention."""
    q, k = np.random.default_rng(0).normal(size=(2, 2, 7, 2, 8)).astype(np.float32)  # batch, time, heads, channels
    at = np.array([[0, 1, 2, 3, 4, 5, 6], [3, 4, 0, 800, 801, 99, 7]])
    halves = lambda x: np.concatenate([x[..., ::2], x[..., 1::2]], -1) if interleaved else x

    @oracle
    def theirs(torch):
        llama = pytest.importorskip("transformers.models.llama.modeling_llama")
        config = llama.LlamaConfig(hidden_size=16, num_attention_heads=2, max_position_embeddings=900)
        tensors = [torch.tensor(halves(x)).transpose(1, 2) for x in (q, k)]
        cos, sin = llama.LlamaRotaryEmbedding(config)(tensors[0], torch.tensor(at))
        turned = llama.apply_rotary_pos_emb(*tensors, cos, sin)
        return {name: x.transpose(1, 2) for name, x in zip("qk", turned, strict=True)}

    turn = Rotary(interleaved=interleaved).rotate
    ours = one_program(lambda at, *xs: [turn(x, at) for x in xs], at, q, k)
    expected = [theirs["q"], theirs["k"]]
    for x, y in zip(ours, expected, strict=True):
        np.testing.assert_allclose(halves(x), y, atol=2e-4)  # sines of angles up to 801, in float32
    scores = [np.einsum("bqhd,bkhd->bhqk", *pair) for pair in (ours, expected)]
    np.testing.assert_allclose(*scores, atol=1e-3)


BUCKETS = [(32, 128, 300), (16, 50, 300), (32, 128, 1200), (16, 50, 1200), (64, 1000, 1200)]


@cache
def every_bucket():
    """The bucket of every distance from -n to n: one program for all tests."""

    def run():
        return {
            f"{buckets} {far} {n} {both}": relative_bucket(
                jnp.arange(-n, n + 1), buckets=buckets, max_distance=far, bidirectional=both
            )
            for buckets, far, n in BUCKETS
            for both in (False, True)
        }

    return one_program(run)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(("buckets", "far"), [(32, 128), (16, 50)])
def test_t5_buckets_widen_and_end(bidirectional, buckets, far):
    bucket = every_bucket()[f"{buckets} {far} 300 {bidirectional}"]
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
    np.testing.assert_array_equal(every_bucket()["32 128 1200 False"][1199:800:-1], expected)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(("buckets", "far"), [(32, 128), (16, 50), (64, 1000)])
def test_t5_buckets_are_hugging_faces(bidirectional, buckets, far, oracle):
    """To both sides, through the part that widens and beyond its end."""

    @oracle
    def theirs(torch):
        t5 = pytest.importorskip("transformers.models.t5.modeling_t5")
        bucket = t5.T5Attention._relative_position_bucket
        distance = torch.arange(-1200, 1201)
        return {"bucket": bucket(distance, bidirectional=bidirectional, num_buckets=buckets, max_distance=far)}

    np.testing.assert_array_equal(every_bucket()[f"{buckets} {far} 1200 {bidirectional}"], theirs["bucket"])
