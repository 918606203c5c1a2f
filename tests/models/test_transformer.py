"""Transformers: PyTorch's numbers, the published parameter counts, causality by gradient, packing, populations."""

from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.activations import gelu, silu
from jaxdl.layers.normalization import RMSNorm
from jaxdl.layers.position import ALiBi, Learned, Rotary, Shaw, Sinusoidal, SinusoidalRelative, T5Bias
from jaxdl.models.transformer import Config, Decoder, Encoder, EncoderDecoder
from jaxdl.models.transformer_block import Block
from jaxdl.models.transformer_heads import MaskedLanguageModel, SequenceClassifier
from jaxdl.models.transformer_sizes import bert, distilbert, gpt2, marian, nanogpt, t5, transformer

KEY = jax.random.key(0)
TOKENS = jnp.array([[1, 5, 2, 7, 3, 0], [4, 4, 6, 0, 1, 2]])
SMALL = Config(vocab=8, width=8, depth=2, heads=2, hidden=12)


def shapes_of(model, *inputs):
    return jax.eval_shape(partial(model.init, train=False), KEY, *inputs)


def filled(model, *inputs, seed=0):
    random = np.random.default_rng(seed)
    return jax.tree.map(lambda s: jnp.asarray(random.normal(0, 0.5, s.shape), s.dtype), shapes_of(model, *inputs))


# -- identity numbers -------------------------------------------------------------------------------------------------

COUNTS = [
    (EncoderDecoder(transformer()), 63_082_496),
    (EncoderDecoder(transformer("big")), 214_245_376),
    # Hugging Face counts Marian's two fixed tables of sines and not its bias on the logits
    (EncoderDecoder(marian()), 74_410_496 - 2 * 512 * 512 + 58_101),
    (EncoderDecoder(t5()), 60_506_624),
    (EncoderDecoder(t5("base")), 222_903_552),
    (SequenceClassifier(bert(), 2), 109_483_778),
    (SequenceClassifier(bert("large"), 2), 335_141_888 + 2 * 1024 + 2),
    (SequenceClassifier(bert(vocab=50265, length=514, types=1), 2), 124_645_632 + 2 * 768 + 2),
    (MaskedLanguageModel(bert()), 109_514_298),
    (Encoder(distilbert()), 66_362_880),
    (Decoder(gpt2()), 124_439_808),
    (Decoder(gpt2("medium")), 354_823_168),
    (Decoder(gpt2("large")), 774_030_080),
    (Decoder(gpt2("xl")), 1_557_611_200),
    (Decoder(nanogpt()), 10_745_088),
    (Decoder(nanogpt("cpu")), 804_096),
]


@pytest.mark.parametrize(("model", "count"), COUNTS, ids=lambda v: str(v) if isinstance(v, int) else type(v).__name__)
def test_parameter_counts(model, count):
    inputs = (TOKENS[:, :2],) * (2 if isinstance(model, EncoderDecoder) else 1)
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes_of(model, *inputs))) == count


def test_blocks_count_as_pytorchs_layers():
    x = jnp.zeros((1, 2, 512))
    count = lambda shapes: sum(leaf.size for leaf in jax.tree.leaves(shapes))
    assert count(shapes_of(Block(Config()), x)) == 3_152_384
    cross = jax.eval_shape(partial(Block(Config(), cross=True).init, memory=x, train=False), KEY, x)
    assert count(cross) == 4_204_032


# -- PyTorch ----------------------------------------------------------------------------------------------------------


def block_from_torch(state, cross):
    """A `state_dict` of one of PyTorch's Transformer layers as parameters of a `Block`."""
    dense = lambda n: {"kernel": jnp.asarray(state[f"{n}.weight"]).T, "bias": jnp.asarray(state[f"{n}.bias"])}
    norm = lambda n: {"scale": jnp.asarray(state[f"{n}.weight"]), "bias": jnp.asarray(state[f"{n}.bias"])}

    def attention(name):
        w, b = (jnp.split(jnp.asarray(state[f"{name}.in_proj_{kind}"]), 3) for kind in ("weight", "bias"))
        names = ("query", "key", "value")
        heads = {n: {"kernel": k.T, "bias": v} for n, k, v in zip(names, w, b, strict=True)}
        return heads | {"out": dense(f"{name}.out_proj")}

    params = {"attention": attention("self_attn"), "norm_attention": norm("norm1")}
    params |= {
        "mlp": {"up": dense("linear1"), "down": dense("linear2")},
        "norm_mlp": norm("norm3" if cross else "norm2"),
    }
    if cross:
        params |= {"cross_attention": attention("multihead_attn"), "norm_cross_attention": norm("norm2")}
    return params


@pytest.mark.parametrize("order", ["first", "last"])
def test_pytorchs_numbers_without_pytorch(order):
    golden = np.load(Path(__file__).parents[1] / "golden" / "transformer.npz")
    state = {n.removeprefix(f"{order}/"): golden[n] for n in golden.files if n.startswith(f"{order}/")}
    block = Block(SMALL.but(width=4, hidden=6, order=order), cross=True)
    mask = jnp.asarray(golden["memory_mask"])[:, None, None]
    run = partial(block.apply, {"params": block_from_torch(state, True)}, causal=True, train=False)
    y = run(jnp.asarray(golden["x"]), memory=jnp.asarray(golden["memory"]), memory_mask=mask)
    np.testing.assert_allclose(y, state["y"], atol=1e-5)


@pytest.mark.parametrize("cross", [False, True])
@pytest.mark.parametrize("order", ["first", "last"])
def test_a_block_is_pytorchs_layer(order, cross):
    torch = pytest.importorskip("torch")
    kind = torch.nn.TransformerDecoderLayer if cross else torch.nn.TransformerEncoderLayer
    torch.manual_seed(0)
    theirs = kind(8, 2, 12, dropout=0.0, activation="gelu", batch_first=True, norm_first=order == "first")
    with torch.no_grad():
        for p in theirs.parameters():
            p.add_(0.3 * torch.randn_like(p))
    x, memory = (
        np.asarray(jax.random.normal(k, (2, n, 8))) for k, n in zip(jax.random.split(KEY), (5, 3), strict=True)
    )
    hidden = torch.tensor([[False] * 3, [False, True, True]])
    causal = torch.nn.Transformer.generate_square_subsequent_mask(5)
    if cross:
        expected = theirs(torch.tensor(x), torch.tensor(memory), tgt_mask=causal, memory_key_padding_mask=hidden)
        options = {"memory": memory, "memory_mask": ~jnp.asarray(hidden.numpy())[:, None, None]}
    else:
        expected, options = theirs(torch.tensor(x), src_mask=causal), {}
    state = {name: value.numpy() for name, value in theirs.state_dict().items()}
    block = Block(SMALL.but(order=order, act=gelu), cross=cross)
    y = block.apply({"params": block_from_torch(state, cross)}, jnp.asarray(x), causal=True, train=False, **options)
    np.testing.assert_allclose(y, expected.detach(), atol=1e-5)


# -- properties -------------------------------------------------------------------------------------------------------

SCHEMES = {
    "sinusoidal": SMALL,
    "learned_gate": SMALL.but(position=partial(Learned, 9), gate=True, act=silu, norm=RMSNorm, order="first"),
    "rotary_grouped": SMALL.but(position=None, relative=Rotary, kv_heads=1, use_bias=False),
    "alibi": SMALL.but(position=None, relative=ALiBi, tied=False),
    "t5": SMALL.but(position=None, relative=T5Bias, order="first", attention_scale=1.0, logit_scale=0.3),
    "shaw": SMALL.but(position=None, relative=partial(Shaw, 2)),
    "transformer_xl": SMALL.but(position=None, relative=SinusoidalRelative),
    "both_scaled": SMALL.but(
        position=partial(Sinusoidal, interleaved=False), relative=Rotary, embed_scale=3.0, logit_bias=True
    ),
}


@pytest.mark.parametrize("name", SCHEMES)
def test_a_decoder_is_causal_and_knows_order(name):
    """∂logits_i/∂embedding_j is 0 exactly for j > i, seen through one-hot tokens: change token j, see which logits move."""
    model = Decoder(SCHEMES[name])
    variables = filled(model, TOKENS)
    run = jax.jit(partial(model.apply, train=False))
    here = run(variables, TOKENS)
    assert here.shape == (2, 6, 8)
    for j in (2, 5):
        moved = jnp.abs(run(variables, TOKENS.at[:, j].add(1)) - here).max(-1) > 1e-6
        np.testing.assert_array_equal(moved, jnp.broadcast_to(jnp.arange(6)[None] >= j, (2, 6)))
    swapped = run(variables, TOKENS[:, jnp.array([1, 0, 2, 3, 4, 5])])
    assert jnp.abs(swapped - here)[:1, 5].max() > 1e-4


def test_packed_documents_are_as_alone():
    model = Decoder(SCHEMES["learned_gate"])
    variables = filled(model, TOKENS)
    segments = jnp.array([[0, 0, 1, 1, 1, 1], [0, 0, 0, 0, 1, 1]])
    positions = jnp.array([[0, 1, 0, 1, 2, 3], [0, 1, 2, 3, 0, 1]])
    run = partial(model.apply, variables, train=False)
    packed = run(TOKENS, segments=segments, positions=positions)
    np.testing.assert_allclose(packed[0, 2:], run(TOKENS[:1, 2:])[0], atol=1e-5)
    np.testing.assert_allclose(packed[1, :4], run(TOKENS[1:, :4])[0], atol=1e-5)


def test_masked_documents_that_are_packed_are_as_alone():
    """Both ways, and padding (segment 0) is read by nobody."""
    model = MaskedLanguageModel(SCHEMES["learned_gate"])
    variables = filled(model, TOKENS)
    run = jax.jit(partial(model.apply, variables, train=False))
    segments = jnp.array([[1, 1, 2, 2, 2, 0], [1, 1, 1, 1, 2, 2]])
    positions = jnp.array([[0, 1, 0, 1, 2, 0], [0, 1, 2, 3, 0, 1]])
    packed = run(TOKENS, segments=segments, positions=positions)
    np.testing.assert_allclose(packed[0, 2:5], run(TOKENS[:1, 2:5])[0], atol=1e-5)
    np.testing.assert_allclose(packed[1, :4], run(TOKENS[1:, :4])[0], atol=1e-5)


def test_padding_of_an_encoder_and_of_a_source_changes_nothing():
    lengths, short = jnp.array([6, 3]), TOKENS[1:, :3]
    encoder = Encoder(SCHEMES["t5"].but(types=2, embed_norm=True))
    variables = filled(encoder, TOKENS)
    y = encoder.apply(variables, TOKENS, lengths, train=False)
    np.testing.assert_allclose(y[1, :3], encoder.apply(variables, short, train=False)[0], atol=1e-5)
    masked = encoder.apply(variables, TOKENS, mask=jnp.arange(6)[None] < lengths[:, None], train=False)
    np.testing.assert_allclose(masked, y, atol=1e-6)
    both = EncoderDecoder(SMALL)
    variables = filled(both, TOKENS, TOKENS)
    y = both.apply(variables, TOKENS, TOKENS, lengths, train=False)
    np.testing.assert_allclose(y[1], both.apply(variables, short, TOKENS[1:], train=False)[0], atol=1e-5)


@pytest.mark.parametrize("pool", ["first", "mean"])
def test_a_classifier_does_not_read_padding(pool):
    model = SequenceClassifier(SMALL, 3, pool=pool, pad=0)
    tokens = jnp.array([[1, 2, 3, 0, 0, 0], [1, 2, 3, 4, 5, 6]])
    variables = filled(model, tokens)
    y = model.apply(variables, tokens, train=False)
    assert y.shape == (2, 3)
    np.testing.assert_allclose(y[0], model.apply(variables, tokens[:1, :3], train=False)[0], atol=1e-5)


def test_rates_may_be_traced_and_vary_over_a_population():
    def member(rate, key):
        model = Decoder(SMALL.but(rate=rate, attention_rate=rate, mlp_rate=rate, embed_scale=1 + rate))
        loss = lambda v, key: model.apply(v, TOKENS, train=True, rngs={"dropout": key}).var()
        return jax.value_and_grad(loss)(variables, key)

    variables = filled(Decoder(SMALL), TOKENS)
    rates, keys = jnp.array([0.0, 0.3]), jax.random.split(KEY, 2)
    losses, grads = jax.jit(jax.vmap(member))(rates, keys)
    assert all(jnp.isfinite(g).all() for g in jax.tree.leaves(grads))
    model = Decoder(SMALL.but(embed_scale=1.0))
    alone = model.apply(variables, TOKENS, train=False).var()
    np.testing.assert_allclose(losses[0], alone, rtol=1e-5)


def test_bfloat16_stays_bfloat16():
    for config in (SCHEMES["learned_gate"], SCHEMES["both_scaled"], SCHEMES["shaw"]):
        model = Decoder(config)
        params = jax.tree.map(lambda s: jax.ShapeDtypeStruct(s.shape, jnp.bfloat16), shapes_of(model, TOKENS))
        assert jax.eval_shape(partial(model.apply, train=True), params, TOKENS).dtype == jnp.bfloat16


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Config(order="middle"), "order='middle'"),
        (lambda: gpt2("giant"), "size='giant'"),
        (lambda: shapes_of(SequenceClassifier(SMALL, 2, pool="max"), TOKENS), "pool='max'"),
    ],
)
def test_errors_name_the_argument(call, words):
    with pytest.raises(ValueError, match=words):
        call()
