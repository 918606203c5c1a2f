"""`import-weights FOLDER`: config.json names the model, whose numbers are those of transformers."""

from importlib import import_module

import jax
import numpy as np
import pytest

from jaxdl.__main__ import main
from jaxdl.pretrained import sizes
from jaxdl.pretrained.architectures import IMAGE_NAMES
from jaxdl.pretrained.folder import open_weights

BERT = {
    "vocab_size": 29,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 20,
}
DISTILBERT = {"vocab_size": 29, "dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 24, "max_position_embeddings": 20}
T5 = {"vocab_size": 29, "d_model": 16, "num_layers": 2, "num_heads": 2, "d_kv": 5, "d_ff": 24}
MARIAN = {
    "vocab_size": 29,
    "d_model": 16,
    "scale_embedding": True,
    "activation_function": "swish",
    "pad_token_id": 0,
    "decoder_start_token_id": 0,
    "max_position_embeddings": 512,
    **{f"{side}_layers": 2 for side in ("encoder", "decoder")},
    **{f"{side}_attention_heads": 2 for side in ("encoder", "decoder")},
    **{f"{side}_ffn_dim": 24 for side in ("encoder", "decoder")},
}
VIT = {
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 6,
    "intermediate_size": 32,
    "image_size": 16,
    "patch_size": 8,
    "num_labels": 5,
}
RESNET = {"embedding_size": 64, "num_labels": 5}
# class of transformers, entries of its config, the name found here
TEXTS = {
    "BertModel": (BERT, "bert_base"),
    "BertForPreTraining": (BERT, "bert_base"),
    "BertForMaskedLM": (BERT, "bert_base_mlm"),
    "BertForSequenceClassification": ({**BERT, "num_labels": 3}, "bert_base_classifier"),
    "BertForQuestionAnswering": (BERT, "bert_base_encoder"),
    "DistilBertModel": (DISTILBERT, "distilbert"),
    "DistilBertForMaskedLM": (DISTILBERT, "distilbert_mlm"),
    "DistilBertForSequenceClassification": (DISTILBERT, "distilbert_classifier"),
    "DistilBertForTokenClassification": (DISTILBERT, "distilbert"),
    "GPT2LMHeadModel": ({"vocab_size": 29, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 20}, "gpt2"),
    "T5ForConditionalGeneration": (T5, "t5_small"),
    "T5ForConditionalGeneration, 1.1": (
        {**T5, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False},
        "t5_v1_1_small",
    ),
    "MarianMTModel": (MARIAN, "marian"),
}
IMAGES = {
    "ViTForImageClassification": (VIT, 16, "vit_ti_8"),
    "DeiTForImageClassificationWithTeacher": (VIT, 16, "deit_ti_16_distilled"),
    "ResNetForImageClassification, basic": (
        {**RESNET, "layer_type": "basic", "depths": [1, 2], "hidden_sizes": [8, 16]},
        32,
        "resnet18",
    ),
    "ResNetForImageClassification, bottleneck": (
        {**RESNET, "layer_type": "bottleneck", "depths": [2, 1], "hidden_sizes": [32, 64]},
        32,
        "resnet50",
    ),
    "MobileNetV1ForImageClassification": ({"depth_multiplier": 0.25, "num_labels": 5}, 64, "mobilenet_v1"),
    "MobileNetV2ForImageClassification": ({"depth_multiplier": 0.5, "num_labels": 5}, 64, "mobilenet_v2_050"),
    "EfficientNetForImageClassification": (
        {"width_coefficient": 0.5, "depth_coefficient": 0.3, "hidden_dim": 640, "num_labels": 5},
        64,
        "efficientnet_b0",
    ),
}


def transformer(kind, config):
    """A model of transformers with random weights, also of its norms and biases."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    kind = getattr(transformers, kind.partition(",")[0])
    model = kind(kind.config_class(**config)).eval()
    fixed = {name: p.detach().clone() for name, p in model.named_parameters() if "embed_positions" in name}
    import_module("tests.pretrained.test_parity").randomise(model, 0)
    model.load_state_dict(fixed, strict=False)  # Marian's sines
    if hasattr(model, "final_logits_bias"):
        model.final_logits_bias.copy_(0.1 * torch.randn(model.final_logits_bias.shape))
    return model


def imported(model, folder, capsys, *flags):
    """The weights of a model as the command imports them from its folder."""
    model.save_pretrained(folder / "hub")
    code = main(["import-weights", str(folder / "hub"), "-o", str(folder / "out"), *flags])
    said = capsys.readouterr()
    assert code == 0, said.err
    return open_weights(folder / "out"), said.out


def close(ours, theirs):
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-4 * max(1.0, float(np.abs(theirs).max())))


def run(found, *inputs):
    apply = jax.jit(lambda variables, *inputs: found.model.apply(variables, *inputs, train=False))
    return apply(found.weights.variables, *inputs)


@pytest.mark.slow
@pytest.mark.parity
@pytest.mark.programs(80, "each array of a file is put on the device by itself")
@pytest.mark.parametrize("kind", TEXTS)
def test_a_text_model_is_named_by_its_folder(kind, tmp_path, capsys):
    torch = pytest.importorskip("torch")
    config, name = TEXTS[kind]
    model = transformer(kind, config)
    found, said = imported(model, tmp_path, capsys)
    assert found.name == name
    assert f"{name} from huggingface" in said
    tokens = np.random.default_rng(0).integers(3, 29, (2, 7))
    target = np.random.default_rng(1).integers(3, 29, (2, 5))
    inputs = (tokens, target) if model.config.is_encoder_decoder else (tokens,)
    given = dict(zip(("input_ids", "decoder_input_ids"), map(torch.tensor, inputs), strict=False))
    base = getattr(model, model.base_model_prefix, model)
    headless = name in ("bert_base", "bert_base_encoder", "distilbert")
    with torch.no_grad():
        theirs = (base if headless else model)(**given)
    ours = run(found, *inputs)
    if name == "bert_base":
        ours, pooled = ours
        close(pooled, theirs.pooler_output.numpy())
    close(ours, (theirs.last_hidden_state if headless else theirs.logits).numpy())


@pytest.mark.slow
@pytest.mark.parity
@pytest.mark.programs(80, "each array of a file is put on the device by itself")
@pytest.mark.parametrize("kind", IMAGES)
def test_an_image_model_is_named_by_its_folder(kind, tmp_path, capsys):
    torch = pytest.importorskip("torch")
    config, size, name = IMAGES[kind]
    model = transformer(kind, config)
    found, _ = imported(model, tmp_path, capsys)
    assert found.name == name
    x = np.random.default_rng(0).normal(size=(2, size, size, 3)).astype(np.float32)
    with torch.no_grad():
        theirs = model(torch.from_numpy(x.transpose(0, 3, 1, 2).copy())).logits.numpy()
    assert theirs.shape == (2, 5)
    close(run(found, x), theirs)


HARMLESS = {
    *("attention_probs_dropout_prob", "attention_dropout", "attn_pdrop", "classifier_dropout", "embd_pdrop", "dropout"),
    *("hidden_dropout_prob", "classifier_dropout_prob", "dropout_rate", "qa_dropout", "resid_pdrop"),
    *("activation_dropout", "seq_classif_dropout", "summary_first_dropout", "drop_connect_rate"),  # of the training
    *("decoder_layerdrop", "encoder_layerdrop", "batch_norm_momentum"),
    *("initializer_factor", "initializer_range", "init_std"),
    *("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id", "forced_eos_token_id", "use_cache"),
    *("summary_activation", "summary_proj_to_labels", "summary_type", "summary_use_proj"),  # of a head with two choices
    *("pooler_act", "pooler_output_size", "encoder_stride", "semantic_loss_ignore_index"),  # of parts that are left out
    *(f"decoder_{n}" for n in ("hidden_size", "intermediate_size", "num_attention_heads", "num_hidden_layers")),
    *("mask_ratio", "norm_pix_loss"),
    *("dense_act_fn", "is_gated_act"),  # follow from feed_forward_proj
    *("out_features", "out_indices", "stage_names"),  # of a backbone for other models
    *("depth_divisible_by", "depth_divisor", "expand_ratio", "expand_ratios", "finegrained_output", "min_depth"),
    *("in_channels", "kernel_sizes", "num_block_repeats", "num_hidden_layers", "out_channels"),  # show in shapes
    *("squeeze_expansion_ratio", "hidden_dim"),
    *("depthwise_padding", "image_size", "reorder_and_upcast_attn", "is_decoder", "tie_word_embeddings"),
    "max_position_embeddings",
}
READ = {"hidden_sizes", "depths", "layer_type", "patch_size", "tf_padding"}
"""Entries that `resnet_options`, the names and `padding` read."""


@pytest.mark.slow
@pytest.mark.parity
def test_every_entry_of_a_known_config_is_read_or_refused_or_harmless():
    transformers = pytest.importorskip("transformers")
    general = transformers.PretrainedConfig().to_dict()
    names = {"bert": "Bert", "distilbert": "DistilBert", "gpt2": "GPT2", "t5": "T5", "marian": "Marian", "deit": "DeiT"}
    names |= {"vit": "ViT", "vit_mae": "ViTMAE", "resnet": "ResNet", "efficientnet": "EfficientNet"}
    names |= {f"mobilenet_v{i}": f"MobileNetV{i}" for i in (1, 2)}
    assert names.keys() >= {*IMAGE_NAMES, *sizes.SIZES}
    for kind, name in names.items():
        entries = getattr(transformers, f"{name}Config")().to_dict()
        family = kind.removesuffix("_mae")
        read = {*sizes.SIZES[family].values(), *sizes.SAID[family], *sizes.RATIOS.get(family, {}).values(), *READ}
        read |= {*sizes.TWINS, *sizes.EPS.get(family, ("",))[:1]}
        assert sorted(entries.keys() - general.keys() - read - HARMLESS) == [], kind
        for key, value in sizes.OMITTED.get(family, {}).items():
            assert entries[key] == value, (kind, key)
