"""Transformers: PyTorch's numbers, the published parameter counts, causality by gradient, packing, populations."""

from functools import partial

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
from jaxdl.models.transformer_sizes import bert, gpt2
from jaxdl.types import UserError
from tests.programs import one_program
from tests.tables import rows

KEY = jax.random.key(0)
TOKENS = np.array([[1, 5, 2, 7, 3, 0], [4, 4, 6, 0, 1, 2]])
SMALL = Config(vocab=8, width=8, depth=1, heads=2, hidden=12)


def shapes_of(model, *inputs):
    return jax.eval_shape(partial(model.init, train=False), KEY, *inputs)


def filled(model, *inputs, seed=0):
    random = np.random.default_rng(seed)
    return jax.tree.map(lambda s: random.normal(0, 0.5, s.shape).astype(s.dtype), shapes_of(model, *inputs))


# -- identity numbers -------------------------------------------------------------------------------------------------

COUNTS = {  # what the catalog does not name
    "bert_large_classifier": (SequenceClassifier(bert("large"), 2), 335_141_888 + 2 * 1024 + 2),
    "roberta_classifier": (SequenceClassifier(bert(vocab=50265, length=514, types=1), 2), 124_645_632 + 2 * 768 + 2),
}


@rows(COUNTS, default=["roberta_classifier"])
def test_parameter_counts(row):
    model, count = row
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes_of(model, TOKENS[:, :2]))) == count


def test_blocks_count_as_pytorchs_layers():
    x = np.zeros((1, 2, 512), np.float32)
    count = lambda shapes: sum(leaf.size for leaf in jax.tree.leaves(shapes))
    assert count(shapes_of(Block(Config()), x)) == 3_152_384
    cross = jax.eval_shape(partial(Block(Config(), cross=True).init, memory=x, train=False), KEY, x)
    assert count(cross) == 4_204_032


# -- PyTorch ----------------------------------------------------------------------------------------------------------


def block_from_torch(state, cross):
    """A `state_dict` of one of PyTorch's Transformer layers as parameters of a `Block`."""
    dense = lambda n: {"kernel": state[f"{n}.weight"].T, "bias": state[f"{n}.bias"]}
    norm = lambda n: {"scale": state[f"{n}.weight"], "bias": state[f"{n}.bias"]}

    def attention(name):
        w, b = (np.split(state[f"{name}.in_proj_{kind}"], 3) for kind in ("weight", "bias"))
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


@pytest.mark.parametrize("cross", [False, True], ids=["encoder", "decoder"])
@pytest.mark.parametrize("order", ["first", "last"])
def test_a_block_is_pytorchs_layer(order, cross, oracle):
    random = np.random.default_rng(0)
    x, memory = (random.normal(size=(2, n, 8)).astype(np.float32) for n in (5, 3))
    hidden = np.array([[False] * 3, [False, True, True]])

    @oracle
    def theirs(torch):
        kind = torch.nn.TransformerDecoderLayer if cross else torch.nn.TransformerEncoderLayer
        layer = kind(8, 2, 12, dropout=0.0, activation="gelu", batch_first=True, norm_first=order == "first")
        with torch.no_grad():
            for p in layer.parameters():
                p.add_(0.3 * torch.randn_like(p))
        causal = torch.nn.Transformer.generate_square_subsequent_mask(5)
        given, behind = torch.tensor(x), (torch.tensor(memory), torch.tensor(hidden))
        if cross:
            y = layer(given, behind[0], tgt_mask=causal, memory_key_padding_mask=behind[1])
        else:
            y = layer(given, src_mask=causal)
        return {"y": y, **layer.state_dict()}

    block = Block(SMALL.but(order=order, act=gelu), cross=cross)
    options = {"memory": memory, "memory_mask": ~hidden[:, None, None]} if cross else {}
    run = lambda params, x, options: block.apply({"params": params}, x, causal=True, train=False, **options)
    y = one_program(run, block_from_torch(theirs, cross), x, options)
    np.testing.assert_allclose(y, theirs["y"], atol=1e-5)


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


@rows(SCHEMES, default=["learned_gate", "shaw"], name="config")
def test_a_decoder_is_causal_and_knows_order(config):
    """∂logits_i/∂embedding_j is 0 exactly for j > i, seen through one-hot tokens: change token j, see which logits move."""
    model = Decoder(config.but(depth=2))
    others = [TOKENS.copy() for _ in range(3)]
    for other, j in zip(others, (2, 5), strict=False):
        other[:, j] += 1
    others[2] = TOKENS[:, [1, 0, 2, 3, 4, 5]]
    run = lambda variables, tokens: model.apply(variables, tokens.reshape(-1, 6), train=False)
    y = one_program(run, filled(model, TOKENS), np.stack([TOKENS, *others])).reshape(4, 2, 6, 8)
    here, *moved, swapped = y
    for other, j in zip(moved, (2, 5), strict=True):
        np.testing.assert_array_equal(np.abs(other - here).max(-1) > 1e-6, [np.arange(6) >= j] * 2)
    assert np.abs(swapped - here)[:1, 5].max() > 1e-4


def test_packed_documents_are_as_alone():
    model = Decoder(SCHEMES["learned_gate"])
    segments = np.array([[0, 0, 1, 1, 1, 1], [0, 0, 0, 0, 1, 1]])
    positions = np.array([[0, 1, 0, 1, 2, 3], [0, 1, 2, 3, 0, 1]])

    def run(variables, tokens):
        apply = partial(model.apply, variables, train=False)
        packed = apply(tokens, segments=segments, positions=positions)
        return packed, apply(jnp.stack([tokens[0, 2:], tokens[1, :4]]))

    packed, alone = one_program(run, filled(model, TOKENS), TOKENS)
    np.testing.assert_allclose(packed[0, 2:], alone[0], atol=1e-5)
    np.testing.assert_allclose(packed[1, :4], alone[1], atol=1e-5)


def test_masked_documents_that_are_packed_are_as_alone():
    """Both ways, and padding (segment 0) is read by nobody."""
    model = MaskedLanguageModel(SCHEMES["learned_gate"])
    segments = np.array([[1, 1, 2, 2, 2, 0], [1, 1, 1, 1, 2, 2]])
    positions = np.array([[0, 1, 0, 1, 2, 0], [0, 1, 2, 3, 0, 1]])

    def run(variables, tokens):
        apply = partial(model.apply, variables, train=False)
        packed = apply(tokens, segments=segments, positions=positions)
        return packed, apply(tokens[:1, 2:5])[0], apply(tokens[1:, :4])[0]

    packed, first, second = one_program(run, filled(model, TOKENS), TOKENS)
    np.testing.assert_allclose(packed[0, 2:5], first, atol=1e-5)
    np.testing.assert_allclose(packed[1, :4], second, atol=1e-5)


def test_padding_of_an_encoder_changes_nothing():
    encoder, lengths = Encoder(SCHEMES["t5"].but(types=2, embed_norm=True)), np.array([6, 3])

    def run(variables, tokens):
        apply = partial(encoder.apply, variables, train=False)
        mask = jnp.arange(6)[None] < lengths[:, None]
        return apply(tokens, lengths), apply(tokens[1:, :3])[0], apply(tokens, mask=mask)

    y, alone, masked = one_program(run, filled(encoder, TOKENS), TOKENS)
    np.testing.assert_allclose(y[1, :3], alone, atol=1e-5)
    np.testing.assert_allclose(masked, y, atol=1e-6)


def test_padding_of_a_source_changes_nothing():
    model, lengths = EncoderDecoder(SMALL), np.array([6, 3])

    def run(variables, tokens):
        apply = partial(model.apply, variables, train=False)
        return apply(tokens, tokens, lengths), apply(tokens[1:, :3], tokens[1:])[0]

    y, alone = one_program(run, filled(model, TOKENS, TOKENS), TOKENS)
    np.testing.assert_allclose(y[1], alone, atol=1e-5)


def test_a_classifier_does_not_read_padding():
    models = [SequenceClassifier(SMALL, 3, pool=pool, pad=0) for pool in ("first", "mean")]
    tokens = np.array([[1, 2, 3, 0, 0, 0], [1, 2, 3, 4, 5, 6]])
    run = lambda variables, *texts: [[m.apply(variables, text, train=False) for text in texts] for m in models]
    for y, alone in one_program(run, filled(models[0], tokens), tokens, tokens[:1, :3]):
        assert y.shape == (2, 3)
        np.testing.assert_allclose(y[0], alone[0], atol=1e-5)


def test_rates_may_be_traced_and_vary_over_a_population():
    def member(rate, key, variables):
        model = Decoder(SMALL.but(rate=rate, attention_rate=rate, mlp_rate=rate, embed_scale=1 + rate))
        loss = lambda v, key: model.apply(v, TOKENS, train=True, rngs={"dropout": key}).var()
        return jax.value_and_grad(loss)(variables, key)

    def run(rates, variables):
        alone = Decoder(SMALL.but(embed_scale=1.0)).apply(variables, TOKENS, train=False).var()
        return alone, *jax.vmap(member, (0, 0, None))(rates, jax.random.split(KEY, 2), variables)

    alone, losses, grads = one_program(run, np.float32([0.0, 0.3]), filled(Decoder(SMALL), TOKENS))
    assert all(np.isfinite(g).all() for g in jax.tree.leaves(grads))
    np.testing.assert_allclose(losses[0], alone, rtol=1e-5)


def test_bfloat16_stays_bfloat16():
    for config in (SCHEMES["learned_gate"], SCHEMES["both_scaled"], SCHEMES["shaw"]):
        model = Decoder(config.but(depth=2))
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
    with pytest.raises(UserError, match=words):
        call()
