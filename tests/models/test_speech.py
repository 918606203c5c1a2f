"""Speech encoders: padding changes nothing, lengths shrink as said, and a Conformer block is Hugging Face's."""

import math

import chex
import jax
import numpy as np
import pytest

from jaxdl.layers.normalization import LayerNorm
from jaxdl.layers.recurrent import GRU, Recurrent
from jaxdl.models.speech import (
    Conformer,
    ConformerBlock,
    RecurrentEncoder,
    SpeechClassifier,
    Subsample,
    Transcriber,
    conformer,
)
from jaxdl.types import UserError
from tests.programs import one_program
from tests.tables import rows

KEY, RNG = jax.random.key(0), np.random.default_rng(0)
CONFORMER = Conformer(width=8, layers=1, heads=2, kernel=4, channels=2, rate=0.0)
ENCODERS = {
    "gru": RecurrentEncoder(Recurrent(GRU(4), bidirectional=True), width=6, channels=2),
    "conformer": CONFORMER,
    "conformer, layer norm": CONFORMER.clone(norm=LayerNorm),
}


def count(model, x):
    lengths = np.full(x.shape[0], x.shape[1])
    shapes = jax.eval_shape(lambda x: model.init(KEY, x, lengths, train=False), x)
    return sum(a.size for a in jax.tree.leaves(shapes["params"]))


def filled(model, x, lengths):
    """Random numbers for all variables, deviations positive."""
    shapes = jax.eval_shape(lambda: model.init(KEY, x, lengths, train=False))
    random = np.random.default_rng(1)
    draw = lambda path, a: (
        random.uniform(0.5, 1.5, a.shape) if path[-1].key in ("var", "scale") else random.normal(0, 0.4, a.shape)
    ).astype(a.dtype)
    return jax.tree_util.tree_map_with_path(draw, shapes)


@rows(ENCODERS, default=["gru"], name="encoder")
def test_padding_changes_no_result(encoder):
    """Rubbish beyond the lengths and a longer batch change neither logits nor class, nor (in training) statistics."""
    x, lengths = RNG.normal(size=(2, 13, 8)).astype(np.float32), np.array([13, 6])
    model = Transcriber(classes=3, encoder=encoder)
    rubbish = np.pad(x, ((0, 0), (0, 8), (0, 0)), constant_values=9.0)
    rubbish[1, 6:] = 50 * RNG.normal(size=(15, 8))

    def run(variables, x, rubbish):
        apply = lambda x, lengths, train: model.apply(variables, x, lengths, train=train, mutable=["batch_stats"])
        return (
            [apply(batch, lengths, True) for batch in (x, rubbish)],
            [apply(x[1:, :6], lengths[1:], False)[0][0], apply(rubbish, lengths, False)[0][0]],
        )

    (((a, frames), stats), ((b, _), other)), (alone, together) = one_program(run, filled(model, x, lengths), x, rubbish)
    assert frames.tolist() == [4, 2]
    for row, n in enumerate(frames):
        np.testing.assert_allclose(a[row, :n], b[row, :n], atol=3e-5)
    chex.assert_trees_all_close(stats, other, rtol=1e-7, atol=1e-5)
    np.testing.assert_allclose(alone[0, :2], together[1, :2], atol=3e-5)


def test_a_classifier_reads_the_real_frames_only():
    x, lengths = RNG.normal(size=(2, 9, 8)).astype(np.float32), np.array([9, 5])
    model = SpeechClassifier(classes=3, encoder=ENCODERS["gru"])

    def run(variables, x):
        apply = lambda x, lengths=None: model.apply(variables, x, lengths, train=False)
        return apply(x, lengths), apply(x[1:, :5])[0]

    y, alone = one_program(run, filled(model, x, lengths), x)
    assert y.shape == (2, 3)
    np.testing.assert_allclose(alone, y[1], atol=1e-5)


@pytest.mark.parametrize("time", range(1, 10))
def test_subsampled_lengths_are_those_of_the_frames(time):
    """⌈⌈n/2⌉/2⌉ is what two convolutions of stride 2 give."""
    layer = Subsample(4, channels=1)
    x = jax.ShapeDtypeStruct((1, time, 4), np.float32)
    (y, lengths), _ = jax.eval_shape(lambda x: layer.init_with_output(KEY, x, np.full(1, time)), x)
    assert y.shape == (1, math.ceil(math.ceil(time / 2) / 2), 4)
    assert lengths.shape == (1,)


def test_sizes_are_the_papers():
    """Table 1: 10.3, 30.7 and 118.8 million with an LSTM transducer's decoder; the encoders are what is left of them."""
    x = jax.ShapeDtypeStruct((1, 40, 80), np.float32)

    def millions(model):
        one, two = (count(model.clone(layers=n), x) for n in (1, 2))  # a layer more costs the same every time
        return (one + (model.layers - 1) * (two - one)) / 1e6

    sizes = {name: millions(conformer(name)) for name in ("S", "M", "L")}
    assert sizes["S"] < 10.3 < sizes["M"] < 30.7 < sizes["L"] < 118.8
    assert sizes["S"] == pytest.approx(8.7, abs=0.3)


@pytest.mark.slow
def test_a_whole_encoder_is_as_large_as_its_layers_say():
    model, x = conformer("S"), jax.ShapeDtypeStruct((1, 40, 80), np.float32)
    one, two = (count(model.clone(layers=n), x) for n in (1, 2))
    assert count(model, x) == one + (model.layers - 1) * (two - one)


def test_an_unknown_size_is_named():
    with pytest.raises(UserError, match=r"size='XL'.*S, M, L"):
        conformer("XL")


def test_a_block_is_hugging_faces(oracle):
    """Wav2Vec2-Conformer's layer with relative positions: outputs equal, with copied weights."""
    x = np.random.default_rng(0).normal(size=(2, 7, 8)).astype(np.float32)

    @oracle
    def state(torch):
        hf = pytest.importorskip("transformers.models.wav2vec2_conformer.modeling_wav2vec2_conformer")
        from transformers import Wav2Vec2ConformerConfig

        config = Wav2Vec2ConformerConfig(
            hidden_size=8, num_attention_heads=2, intermediate_size=16, conv_depthwise_kernel_size=3, hidden_act="swish",
            position_embeddings_type="relative", max_source_positions=20, attn_implementation="eager",
        )  # fmt: skip
        layer = hf.Wav2Vec2ConformerEncoderLayer(config).eval()
        position = hf.Wav2Vec2ConformerRelPositionalEmbedding(config)
        with torch.no_grad():  # nothing at its first value: biases, running statistics and norms take part
            for tensor in layer.state_dict().values():
                if tensor.is_floating_point():
                    tensor.copy_(torch.rand_like(tensor) + 0.2 if tensor.ndim == 1 else torch.randn_like(tensor) * 0.4)
            y = layer(torch.tensor(x), relative_position_embeddings=position(torch.tensor(x)))
        return {"y": y, **layer.state_dict()}

    dense = lambda name: {"kernel": state[f"{name}.weight"].T, "bias": state[f"{name}.bias"]}
    norm = lambda name: {"scale": state[f"{name}.weight"], "bias": state[f"{name}.bias"]}
    u, v = state["self_attn.pos_bias_u"], state["self_attn.pos_bias_v"]
    query = dense("self_attn.linear_q")
    query["bias"] = query["bias"] + u.reshape(-1)  # the paper's u is a bias of the queries ...
    params = {
        "first_norm": norm("ffn1_layer_norm"),
        "first": {"expand": dense("ffn1.intermediate_dense"), "reduce": dense("ffn1.output_dense")},
        "attention_norm": norm("self_attn_layer_norm"),
        "attention": {
            "query": query,
            "key": dense("self_attn.linear_k"),
            "value": dense("self_attn.linear_v"),
            "out": dense("self_attn.linear_out"),
        },
        "positions": {"kernel": state["self_attn.linear_pos.weight"].T, "bias": v - u},  # ... and v is on top of it
        "convolution_norm": norm("conv_module.layer_norm"),
        "convolution": {
            "expand": {"kernel": state["conv_module.pointwise_conv1.weight"][..., 0].T},
            "depthwise": {"kernel": state["conv_module.depthwise_conv.weight"].transpose(2, 1, 0)},
            "norm": norm("conv_module.batch_norm"),
            "reduce": {"kernel": state["conv_module.pointwise_conv2.weight"][..., 0].T},
        },
        "second_norm": norm("ffn2_layer_norm"),
        "second": {"expand": dense("ffn2.intermediate_dense"), "reduce": dense("ffn2.output_dense")},
        "last_norm": norm("final_layer_norm"),
    }
    stats = {
        "convolution": {
            "norm": {
                "mean": state["conv_module.batch_norm.running_mean"],
                "var": state["conv_module.batch_norm.running_var"],
            }
        }
    }
    block = ConformerBlock(heads=2, kernel=3, expansion=2, conv_bias=False)
    run = lambda variables, x: block.apply(variables, x, np.array([7, 7]), False)
    ours = one_program(run, {"params": params, "batch_stats": stats}, x)
    np.testing.assert_allclose(ours, state["y"], atol=2e-5)
