"""EfficientNet-PyTorch's names (`_blocks.0._expand_conv`), which say that the weights were trained in TensorFlow."""

import re
from importlib import import_module

import jax
import numpy as np
import pytest

from jaxdl.__main__ import main
from jaxdl.models.catalog import MODELS
from jaxdl.pretrained import files
from jaxdl.pretrained.folder import import_weights, open_weights, save_torch, shapes_of
from jaxdl.pretrained.preprocess import Preprocess

SMALL = {"classes": 5, "width": 0.5, "depth": 0.3}
ENDS = {
    "efficientnet.embeddings.convolution": "_conv_stem",
    "efficientnet.embeddings.batchnorm": "_bn0",
    "efficientnet.encoder.top_conv": "_conv_head",
    "efficientnet.encoder.top_bn": "_bn1",
    "classifier": "_fc",
}
PARTS = {
    "expansion.expand_conv": "_expand_conv",
    "expansion.expand_bn": "_bn0",
    "depthwise_conv.depthwise_conv": "_depthwise_conv",
    "depthwise_conv.depthwise_norm": "_bn1",
    "squeeze_excite.reduce": "_se_reduce",
    "squeeze_excite.expand": "_se_expand",
    "projection.project_conv": "_project_conv",
    "projection.project_bn": "_bn2",
}


def renamed(name):
    """A name of transformers in EfficientNet-PyTorch."""
    module, _, end = name.rpartition(".")
    if module in ENDS:
        return f"{ENDS[module]}.{end}"
    number, part = re.fullmatch(r"efficientnet\.encoder\.blocks\.(\d+)\.(.+)", module).groups()
    return f"_blocks.{number}.{PARTS[part]}.{end}"


@pytest.mark.slow
@pytest.mark.parity
@pytest.mark.programs(80, "each array of a file is put on the device by itself")
def test_logits_are_those_of_transformers(tmp_path):
    """Both are ports of the same network of TensorFlow; padding and ε follow from the names alone."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    config = transformers.EfficientNetConfig(
        width_coefficient=0.5, depth_coefficient=0.3, hidden_dim=640, num_labels=5, image_size=64
    )
    model = transformers.EfficientNetForImageClassification(config).eval()
    import_module("tests.pretrained.test_parity").randomise(model, 0)
    tensors = {renamed(name): value.numpy() for name, value in model.state_dict().items()}
    torch.save({name: torch.tensor(array) for name, array in tensors.items()}, tmp_path / "net.pth")
    import_weights("efficientnet_b0", tmp_path / "net.pth", tmp_path / "out", **SMALL)
    found = open_weights(tmp_path / "out")
    assert found.options == {**SMALL, "padding": "same", "eps": 1e-3}
    x = np.random.default_rng(0).normal(size=(2, 64, 64, 3)).astype(np.float32)
    with torch.no_grad():
        theirs = model(torch.from_numpy(x.transpose(0, 3, 1, 2).copy())).logits.numpy()
    apply = jax.jit(lambda variables, x: found.model.apply(variables, x, train=False))
    ours = apply(found.weights.variables, x)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-4 * np.abs(theirs).max())


@pytest.mark.programs(80, "each array of a file is put on the device by itself")
def test_the_command_says_what_the_names_decide(tmp_path, capsys):
    model = MODELS["efficientnet_lite0"].build(classes=3)
    variables = jax.tree.map(lambda leaf: np.full(leaf.shape, 0.1, np.float32), shapes_of(model))
    save_torch(model, variables, tmp_path / "net.safetensors", naming="efficientnet-pytorch")
    names = files.read_tensors(tmp_path / "net.safetensors").keys()
    assert {"_conv_stem.weight", "_blocks.0._depthwise_conv.weight", "_blocks.1._bn0.running_mean", "_fc.bias"} <= names
    flags = [f"{tmp_path}/net.safetensors", "-o", f"{tmp_path}/out", "--classes", "3"]
    assert main(["import-weights", "efficientnet_b0", *flags]) == 2  # it has squeeze-and-excitation
    assert capsys.readouterr().err.count("\n") == 1
    assert main(["import-weights", "efficientnet_lite0", *flags]) == 0
    assert "padding=same, eps=0.001, classes=3" in capsys.readouterr().out
    found = open_weights(tmp_path / "out")
    assert (found.weights.naming, found.model.padding) == ("efficientnet-pytorch", "same")
    assert found.weights.preprocess == Preprocess(224, 224, interpolation="bicubic")
    jax.tree.map(np.testing.assert_array_equal, dict(found.weights.variables), variables)
