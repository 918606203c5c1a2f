"""Speech encoders: padding changes nothing, lengths shrink as said, and a Conformer block is Hugging Face's."""

import math

import jax
import jax.numpy as jnp
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

RNG = np.random.default_rng(0)
CONFORMER = Conformer(width=8, layers=1, heads=2, kernel=4, channels=2, rate=0.0)
ENCODERS = {
    "gru": RecurrentEncoder(Recurrent(GRU(4), bidirectional=True), width=6, channels=2),
    "conformer": CONFORMER,
    "conformer, layer norm": CONFORMER.clone(norm=LayerNorm),
}


def count(model, x):
    shapes = jax.eval_shape(lambda x: model.init(jax.random.key(0), x, jnp.full(len(x), x.shape[1]), train=False), x)
    return sum(a.size for a in jax.tree.leaves(shapes["params"]))


@pytest.mark.parametrize("encoder", ENCODERS.values(), ids=ENCODERS)
def test_padding_changes_no_result(encoder):
    """Rubbish beyond the lengths and a longer batch change neither logits nor class, nor (in training) statistics."""
    x, lengths = RNG.normal(size=(2, 13, 8)).astype(np.float32), jnp.array([13, 6])
    model = Transcriber(classes=3, encoder=encoder)
    variables = jax.jit(lambda: model.init(jax.random.key(0), x, lengths, train=False))()
    variables = jax.tree.map(lambda a: np.asarray(a) + 0.1 * RNG.normal(size=a.shape).astype(np.float32), variables)
    rubbish = np.pad(x, ((0, 0), (0, 8), (0, 0)), constant_values=9.0)
    rubbish[1, 6:] = 50 * RNG.normal(size=(15, 8))
    apply = jax.jit(
        lambda x, lengths, train: model.apply(variables, x, lengths, train=train, mutable=["batch_stats"]),
        static_argnums=2,
    )
    ((a, frames), stats), ((b, _), other) = apply(x, lengths, True), apply(rubbish, lengths, True)
    assert frames.tolist() == [4, 2]
    for row, n in enumerate(frames):
        np.testing.assert_allclose(a[row, :n], b[row, :n], atol=3e-5)
    for p, q in zip(jax.tree.leaves(stats), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(p, q, atol=1e-5)
    (alone, _), _ = apply(x[1:, :6], lengths[1:], False)
    (together, _), _ = apply(rubbish, lengths, False)
    np.testing.assert_allclose(alone[0, :2], together[1, :2], atol=3e-5)


def test_a_classifier_reads_the_real_frames_only():
    x, lengths = RNG.normal(size=(2, 9, 8)).astype(np.float32), jnp.array([9, 5])
    model = SpeechClassifier(classes=3, encoder=ENCODERS["gru"])
    variables = jax.jit(lambda: model.init(jax.random.key(0), x, lengths, train=False))()
    apply = jax.jit(lambda x, lengths=None: model.apply(variables, x, lengths, train=False))
    y = apply(x, lengths)
    assert y.shape == (2, 3)
    np.testing.assert_allclose(apply(x[1:, :5])[0], y[1], atol=1e-5)


@pytest.mark.parametrize("time", range(1, 10))
def test_subsampled_lengths_are_those_of_the_frames(time):
    """⌈⌈n/2⌉/2⌉ is what two convolutions of stride 2 give."""
    layer = Subsample(4, channels=1)
    x = jax.ShapeDtypeStruct((1, time, 4), jnp.float32)
    (y, lengths), _ = jax.eval_shape(lambda x: layer.init_with_output(jax.random.key(0), x, jnp.full(1, time)), x)
    assert y.shape == (1, math.ceil(math.ceil(time / 2) / 2), 4)
    assert lengths.shape == (1,)


def test_sizes_are_the_papers():
    """Table 1: 10.3, 30.7 and 118.8 million with an LSTM transducer's decoder; the encoders are what is left of them."""
    x = jax.ShapeDtypeStruct((1, 40, 80), jnp.float32)
    sizes = {name: count(conformer(name), x) / 1e6 for name in ("S", "M", "L")}
    assert sizes["S"] < 10.3 < sizes["M"] < 30.7 < sizes["L"] < 118.8
    assert sizes["S"] == pytest.approx(8.7, abs=0.3)
    with pytest.raises(ValueError, match="size='XL': take one of S, M, L"):
        conformer("XL")


def test_a_block_is_hugging_faces(torch_block):
    """Wav2Vec2-Conformer's layer with relative positions: outputs equal, with copied weights."""
    torch, layer, position = torch_block
    width, heads = 8, 2
    state = {k: v.detach().numpy() for k, v in layer.state_dict().items()}
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
    x = RNG.normal(size=(2, 7, width)).astype(np.float32)
    block = ConformerBlock(heads=heads, kernel=3, expansion=2, conv_bias=False)
    ours = jax.jit(lambda x: block.apply({"params": params, "batch_stats": stats}, x, jnp.array([7, 7]), False))(x)
    with torch.no_grad():
        theirs = layer(torch.tensor(x), relative_position_embeddings=position(torch.tensor(x)))
    np.testing.assert_allclose(ours, theirs.numpy(), atol=2e-5)


@pytest.fixture
def torch_block():
    torch = pytest.importorskip("torch")
    hf = pytest.importorskip("transformers.models.wav2vec2_conformer.modeling_wav2vec2_conformer")
    from transformers import Wav2Vec2ConformerConfig

    torch.manual_seed(0)
    config = Wav2Vec2ConformerConfig(
        hidden_size=8, num_attention_heads=2, intermediate_size=16, conv_depthwise_kernel_size=3, hidden_act="swish",
        position_embeddings_type="relative", max_source_positions=20, attn_implementation="eager",
    )  # fmt: skip
    layer = hf.Wav2Vec2ConformerEncoderLayer(config).eval()
    with torch.no_grad():  # nothing at its first value: biases, running statistics and norms take part
        for tensor in layer.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(torch.rand_like(tensor) + 0.2 if tensor.ndim == 1 else torch.randn_like(tensor) * 0.4)
    return torch, layer, hf.Wav2Vec2ConformerRelPositionalEmbedding(config)


def test_relative_positions_know_the_distance_only():
    from jaxdl.layers.attention import MultiHead
    from jaxdl.layers.position import SinusoidalRelative

    layer = MultiHead(8, 2, relative=SinusoidalRelative())
    x = RNG.normal(size=(1, 5, 8)).astype(np.float32)
    variables = jax.jit(lambda: layer.init(jax.random.key(1), x, train=False))()
    at = jax.jit(lambda x, start: layer.apply(variables, x, positions=start + jnp.arange(5)[None], train=False))
    np.testing.assert_allclose(at(x, 0), at(x, 100), atol=1e-5)
    assert np.abs(at(x[:, ::-1], 0)[:, ::-1] - at(x, 0)).max() > 1e-3, "it tells left from right"
