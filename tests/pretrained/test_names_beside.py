"""Which model a config.json of Hugging Face or timm describes, and with which options; each refusal is one line."""

import json

import pytest

from jaxdl.__main__ import main
from jaxdl.models.catalog import MODELS
from jaxdl.pretrained import sizes
from jaxdl.pretrained.architectures import name_beside
from jaxdl.pretrained.timm import timm_name
from jaxdl.types import UserError


def said(folder, **config):
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


REFUSED = {
    "another type": ({"model_type": "llama"}, "model_type='llama': import-weights knows bert, deit, distilbert, "),
    "no type": ({"hidden_size": 3}, "model_type=None"),
    "another class": (
        {"model_type": "bert", "architectures": ["BertLMHeadModel"]},
        r"architectures=\['BertLMHeadModel'\]: of bert, import-weights knows ...Model, ForPreTraining",
    ),
    "no class": ({"model_type": "t5"}, r"architectures=\[''\]: of t5"),
    "another of timm": ({"architecture": "resnetblur50"}, "architecture='resnetblur50', which is none of the named"),
    "classes that are no list": ({"model_type": "bert", "architectures": 3}, "config.json is damaged"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_folder_of_an_unknown_model_is_refused(what, tmp_path):
    config, message = REFUSED[what]
    with pytest.raises(UserError, match=message) as refused:
        name_beside(said(tmp_path, **config))
    assert "\n" not in str(refused.value)


def test_the_command_says_what_is_missing_in_one_line(tmp_path, capsys):
    (tmp_path / "net.safetensors").write_bytes(b"")
    for words, message in {
        (): "import-weights takes a file or folder of weights",
        ("a", "b", "c"): "import-weights takes a file or folder of weights",
        ("resnet50",): "no file resnet50: give the weights, after the name of their model",
        ("resnet50", "absent"): "no file absent: give the weights",
        (str(tmp_path / "net.safetensors"),): "config.json that says which model this is",
    }.items():
        assert main(["import-weights", *words, "-o", str(tmp_path / "out")]) == 2
        err = capsys.readouterr().err
        assert message in err
        assert err.count("\n") == 1
        assert not (tmp_path / "out").exists()
    said(tmp_path, model_type="vit", hidden_size=384, patch_size=8)
    assert main(["import-weights", "vit_small", str(tmp_path), "-o", str(tmp_path / "out")]) == 2
    assert "says vit_s_8" in capsys.readouterr().err


NAMED = {
    "vit_b_16": {"model_type": "vit"},
    "vit_s_8": {"model_type": "vit", "hidden_size": 384, "patch_size": 8},
    "vit_l_32": {"model_type": "vit_mae", "hidden_size": 1024, "patch_size": 32},
    "resnet50": {"model_type": "resnet"},
    "resnet34": {"model_type": "resnet", "layer_type": "basic", "depths": [3, 4, 6, 3]},
    "mobilenet_v1_125": {"model_type": "mobilenet_v1", "depth_multiplier": 1.25},
    "mobilenet_v2_140": {"model_type": "mobilenet_v2", "depth_multiplier": 1.4},
    "efficientnet_b7": {"model_type": "efficientnet"},
    "efficientnet_b2": {"model_type": "efficientnet", "width_coefficient": 1.1, "depth_coefficient": 1.2},
    "bert_large": {"model_type": "bert", "architectures": ["BertModel"], "hidden_size": 1024},
    "gpt2_xl": {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_embd": 1600},
    "t5_v1_1_base": {
        "model_type": "t5",
        "architectures": ["T5ForConditionalGeneration"],
        "d_model": 768,
        "feed_forward_proj": "gated-gelu",
    },
    "deit_ti_16_distilled": {"model_type": "deit", "architectures": ["DeiTModel"], "hidden_size": 192},
    "resnet18d": {"architecture": "resnet18d"},
    "vit_ti_16": {"architecture": "deit_tiny_patch16_224.fb_in1k"},
}


@pytest.mark.parametrize("name", NAMED)
def test_sizes_give_the_name(name, tmp_path):
    """transformers' defaults stand for what a file does not say."""
    assert name_beside(said(tmp_path, **NAMED[name])) == name
    assert name in MODELS


TIMM = {
    "resnet50": "resnet50",
    "resnet26": None,
    "efficientnet_b3": "efficientnet_b3",
    "tf_efficientnet_lite0": "efficientnet_lite0",
    "mobilenetv1_125": "mobilenet_v1_125",
    "mobilenetv2_050": "mobilenet_v2_050",
    "tf_mobilenetv3_small_minimal_100": "mobilenet_v3_small_minimal",
    "vit_base_patch16_384": "vit_b_16_384",
    "vit_base_patch32_384": "vit_b_32",
    "vit_huge_patch14_224": "vit_h_14",
    "deit_base_distilled_patch16_224": "deit_b_16_distilled",
    "vgg11_bn": "vgg11_bn",
    "vit_base_patch16_clip_224": None,
    "resnet50_clip": None,
}


def test_names_of_timm():
    assert {name: timm_name(name) for name in TIMM} == TIMM


def test_what_a_config_of_timm_decides(tmp_path):
    options = lambda name, **config: sizes.options_beside(said(tmp_path, **config), name)
    assert options("resnet50", architecture="resnet50", num_classes=7) == {"classes": 7}
    assert options("resnet50", architecture="resnet50", num_classes=0) == {}
    assert options("mobilenet_v3_large", architecture="mobilenetv3_large_100") == {"eps": 1e-5}
    size = {"pretrained_cfg": {"input_size": [3, 384, 384], "num_classes": 9}}
    assert options("vit_b_32", architecture="vit_base_patch32_384", **size) == {"image": 384, "classes": 9}
    for config, message in (
        ({"architecture": "resnet18"}, "is of resnet18, not resnet50"),
        ({"architecture": "resnet50", "global_pool": "max"}, "global_pool='max': resnet50 is made for 'avg'"),
        ({"architecture": "resnet50", "model_args": {"in_chans": 1}}, "in_chans=1: resnet50 is made for 3"),
        ({"architecture": "resnet50", "model_args": {"output_stride": 8}}, "output_stride=8, which is not known"),
    ):
        with pytest.raises(UserError, match=message):
            options("resnet50", **config)
