"""config.json decides: image models of transformers give the same logits, or are refused by the field that differs."""

import json

import jax
import numpy as np
import pytest

from jaxdl.__main__ import main
from jaxdl.pretrained.folder import import_weights
from jaxdl.pretrained.sizes import options_beside
from jaxdl.types import UserError

TINY_VIT = {
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 6,
    "intermediate_size": 32,
    "image_size": 32,
    "patch_size": 16,
    "num_labels": 5,
}
FIVE = {"num_labels": 5, "image_size": 64}
CASES = {
    "vit with six heads": ("vit_ti_16", "ViT", TINY_VIT, 32),
    "mobilenet_v1, TensorFlow": ("mobilenet_v1", "MobileNetV1", FIVE, 64),
    "mobilenet_v2, TensorFlow": ("mobilenet_v2", "MobileNetV2", FIVE, 64),
    "mobilenet_v2, symmetric": (
        "mobilenet_v2",
        "MobileNetV2",
        {**FIVE, "tf_padding": False, "layer_norm_eps": 1e-5},
        64,
    ),
    "efficientnet": (
        "efficientnet_b0",
        "EfficientNet",
        {**FIVE, "width_coefficient": 1.0, "depth_coefficient": 1.0, "hidden_dim": 1280},
        64,
    ),
}


@pytest.mark.slow
@pytest.mark.parity
@pytest.mark.programs(80, "each array of a file is put on the device by itself")
@pytest.mark.parametrize("case", CASES)
def test_logits_are_those_of_transformers(case, tmp_path):
    """Statistics of the batch norms are random, so that padding and ε are seen."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    name, family, config, size = CASES[case]
    torch.manual_seed(0)
    made = getattr(transformers, f"{family}Config")(**config)
    model = getattr(transformers, f"{family}ForImageClassification")(made).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_var, 0.001, 0.1)
            torch.nn.init.normal_(module.running_mean, 0, 0.1)
    model.save_pretrained(tmp_path / "hub")
    imported = import_weights(name, tmp_path / "hub", tmp_path / "out")
    x = np.random.default_rng(0).normal(size=(2, size, size, 3)).astype(np.float32)
    with torch.no_grad():
        wanted = model(torch.from_numpy(x.transpose(0, 3, 1, 2).copy())).logits.numpy()
    got = jax.jit(lambda variables, x: imported.model.apply(variables, x, train=False))(imported.weights.variables, x)
    assert wanted.shape == (2, 5)
    np.testing.assert_allclose(got, wanted, rtol=1e-3, atol=1e-3 * wanted.std())


@pytest.mark.parametrize(
    ("name", "config", "says"),
    [
        ("resnet50", {"model_type": "resnet", "downsample_in_bottleneck": True}, "downsample_in_bottleneck=True"),
        ("resnet50", {"model_type": "vit"}, "'vit'.*'resnet'"),
        ("vit_ti_16", {"model_type": "vit", "hidden_act": "relu"}, "hidden_act='relu'.*'gelu'"),
        ("mobilenet_v2", {"model_type": "mobilenet_v2", "output_stride": 8}, "output_stride=8.*32"),
        ("t5_small", {"model_type": "t5", "scale_decoder_outputs": False}, "scale_decoder_outputs=False"),
        ("t5_v1_1_small", {"model_type": "t5", "tie_word_embeddings": True}, "tie_word_embeddings=True"),
    ],
)
def test_another_model_is_refused_by_its_field(name, config, says, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(UserError, match=says):
        options_beside(tmp_path, name)


def test_what_a_config_decides(tmp_path):
    """T5 1.1 as transformers 5 saves it holds its own output matrix; timm's names begin with "tf_" for TensorFlow's weights."""
    said = lambda config: (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    said({"model_type": "t5", "tie_word_embeddings": True, "scale_decoder_outputs": False, "d_ff": 32})
    assert options_beside(tmp_path, "t5_v1_1_small") == {"hidden": 32}
    said({"architecture": "tf_efficientnet_lite0"})
    assert options_beside(tmp_path, "efficientnet_lite0") == {"padding": "same", "eps": 1e-3}
    said({"architecture": "efficientnet_lite0"})
    assert options_beside(tmp_path, "efficientnet_lite0") == {}


@pytest.mark.programs(60, "each array of a file is put on the device by itself")
def test_a_bare_file_is_told_what_was_assumed(tmp_path, capsys):
    from jaxdl.models.catalog import MODELS
    from jaxdl.pretrained.folder import open_weights, save_torch, shapes_of

    model = MODELS["mobilenet_v2_050"].build(classes=3)
    variables = jax.tree.map(lambda s: np.ones(s.shape, np.float32), shapes_of(model))
    save_torch(model, variables, tmp_path / "net.safetensors", naming="torchvision")
    flags = ["--classes", "3", "--padding", "same", "--eps", "1e-3"]
    assert (
        main(["import-weights", "mobilenet_v2_050", f"{tmp_path}/net.safetensors", "-o", f"{tmp_path}/out", *flags])
        == 0
    )
    assert "classes=3, padding=same, eps=0.001" in capsys.readouterr().out
    opened = open_weights(tmp_path / "out").model
    assert (opened.padding, opened.norm.keywords) == ("same", {"eps": 1e-3})
