"""Encoders, decoders and what stands between them: shapes, names, parameters, and PyTorch's numbers."""

from functools import reduce

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.layers.quantize import VectorQuantizer
from jaxdl.models.autoencoder import (
    Activated,
    Autoencoder,
    ConvDecoder,
    ConvEncoder,
    Normal,
    SpatialDecoder,
    SpatialEncoder,
)
from jaxdl.models.mlp import MLP
from jaxdl.types import UserError
from tests.programs import one_program

KEY = jax.random.key(0)
MODELS = {  # model, shape of an example, of its code, parameters
    "dense": (Autoencoder(MLP((9,), 3), MLP((9,), 20)), (20,), (3,), 20 * 9 + 9 + 9 * 3 + 3 + 3 * 9 + 9 + 9 * 20 + 20),
    "variational": (Autoencoder(MLP((), 6), MLP((), 20), Normal()), (20,), (3,), 21 * 6 + 4 * 20),
    "sparse": (Autoencoder(MLP((), 6), MLP((), 20), Activated(nn.relu)), (20,), (6,), 21 * 6 + 7 * 20),
    "convolutional": (
        Autoencoder(ConvEncoder(5, (4, 8)), ConvDecoder((8, 12), 3, (8, 4))),
        (8, 12, 3),
        (5,),
        (16 * 3 + 1) * 4 + (16 * 4 + 1) * 8 + 9 * 8 + (6 * 8 + 1) * 5  # 2x3 of 8
        + 6 * 48 + (9 * 8 + 1) * 8 + (16 * 8 + 1) * 4 + (16 * 4 + 1) * 3,
    ),
    "quantized": (
        Autoencoder(SpatialEncoder(5, (4, 8), 1), SpatialDecoder(1, (8, 4), 1), VectorQuantizer(codes=7)),
        (8, 8, 1),
        (2, 2, 5),
        (16 + 1) * 4 + (16 * 4 + 1) * 8 + (9 * 8 + 1) * 8 + 9 * 8 + 9 * 5
        + (9 * 5 + 1) * 8 + (9 * 8 + 1) * 8 + 9 * 8 + (16 * 8 + 1) * 4 + (16 * 4 + 1),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_shapes_and_parameters(name):
    model, shape, code, count = MODELS[name]
    x = np.zeros((2, *shape), np.float32)
    variables = jax.eval_shape(lambda: model.init(KEY, x, train=False))
    assert sum(leaf.size for leaf in jax.tree.leaves(variables["params"])) == count
    assert {"encoder", "decoder"} <= set(variables["params"]) <= {"encoder", "decoder", "bottleneck"}
    z, about = jax.eval_shape(lambda v: model.apply(v, x, train=False, method="encode"), variables)
    assert z.shape == (2, *code)
    assert set(about) == {
        "variational": {"mean", "log_variance"},
        "quantized": {"h", "quantized", "index"},
    }.get(name, set())
    assert jax.eval_shape(lambda v: model.apply(v, x, train=True, mutable=["codebook"])[0], variables).shape == x.shape


def test_the_log_variance_is_cut_and_odd_widths_are_refused():
    bottleneck = lambda h: Normal(limit=3.0).apply({}, h, train=False)
    mean, about = one_program(bottleneck, np.float32([[1.0, 2.0, -9.0, 9.0]]))
    assert mean.tolist() == [[1, 2]]
    assert about["log_variance"].tolist() == [[-3, 3]]
    with pytest.raises(UserError, match="3"):
        Normal().apply({}, np.zeros((1, 3), np.float32), train=False)
    with pytest.raises(UserError, match=r"sides = \(9, 8\).*4"):
        ConvDecoder((9, 8)).init(KEY, np.zeros((1, 2), np.float32), train=False)


def test_the_convolutional_pair_equals_pytorch(oracle):
    """VQ-VAE's encoder and decoder with copied weights: strided and transposed convolutions, residual blocks."""
    encoder, decoder = SpatialEncoder(5, (4, 8), 1), SpatialDecoder(3, (8, 4), 1)
    x = np.random.default_rng(0).normal(size=(2, 8, 12, 3)).astype(np.float32)
    block = [("Residual_0", "Conv_0"), ("Residual_0", "Conv_1")]
    names = [
        [("Conv_0",), ("Conv_1",), *block, ("Conv_2",)],
        [("Conv_0",), *block, ("ConvTranspose_0",), ("ConvTranspose_1",)],
    ]
    z = jax.eval_shape(lambda: encoder.init_with_output(KEY, x, train=False)[0])
    random = np.random.default_rng(1)
    draw = lambda s: (random.normal(size=s.shape) / np.sqrt(max(s.size // s.shape[-1], 4))).astype(s.dtype)
    shapes = [
        jax.eval_shape(lambda m=m, seen=seen: m.init(KEY, jnp.zeros(seen.shape), train=False))
        for m, seen in ((encoder, x), (decoder, z))
    ]
    ours = jax.tree.map(draw, shapes)
    kernels = [
        reduce(lambda tree, key: tree[key], path, tree["params"])
        for tree, paths in zip(ours, names, strict=True)
        for path in paths
    ]

    @oracle
    def theirs(torch):
        tn = torch.nn

        class Residual(tn.Module):
            def __init__(self):
                super().__init__()
                self.inner = tn.Sequential(tn.ReLU(), tn.Conv2d(8, 8, 3, padding=1), tn.ReLU(), tn.Conv2d(8, 8, 1))

            def forward(self, x):
                return x + self.inner(x)

        pair = tn.Sequential(
            tn.Conv2d(3, 4, 4, 2, 1), tn.ReLU(), tn.Conv2d(4, 8, 4, 2, 1), tn.ReLU(), Residual(), tn.Conv2d(8, 5, 1),
            tn.Conv2d(5, 8, 3, padding=1), Residual(), tn.ReLU(), tn.ConvTranspose2d(8, 4, 4, 2, 1), tn.ReLU(),
            tn.ConvTranspose2d(4, 3, 4, 2, 1),
        )  # fmt: skip
        modules = [m for m in pair.modules() if isinstance(m, tn.Conv2d | tn.ConvTranspose2d)]
        for module, p in zip(modules, kernels, strict=True):
            if isinstance(module, tn.ConvTranspose2d):
                kernel = p["kernel"][::-1, ::-1].transpose(2, 3, 0, 1)
            else:
                kernel = p["kernel"].transpose(3, 2, 0, 1)
            assert module.weight.shape == kernel.shape
            module.weight.data, module.bias.data = torch.tensor(kernel.copy()), torch.tensor(p["bias"])
        return {"y": pair(torch.tensor(x.transpose(0, 3, 1, 2)))}

    both = lambda ours, x: decoder.apply(ours[1], encoder.apply(ours[0], x, train=False), train=False)
    want = theirs["y"].transpose(0, 2, 3, 1)
    assert want.std() > 0.01
    np.testing.assert_allclose(one_program(both, ours, x), want, rtol=1e-4, atol=1e-5)
