"""Language models from files: other spellings of their names, tied copies, sizes from config.json, the folder and the command."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.__main__ import main
from jaxdl.models.catalog import MODELS
from jaxdl.pretrained import files
from jaxdl.pretrained.folder import import_weights, load_weights, names_of, open_weights, save_torch, shapes_of
from jaxdl.pretrained.mapping import to_tensors, variables_of
from jaxdl.pretrained.sizes import options_beside
from jaxdl.types import UserError

TINY = {"vocab": 11, "width": 8, "depth": 2, "heads": 2, "hidden": 12}
GPT2 = {
    "model_type": "gpt2",
    "vocab_size": 11,
    "n_embd": 8,
    "n_layer": 2,
    "n_head": 2,
    "n_inner": 12,
    "n_positions": 16,
    "activation_function": "gelu_new",
}


def filled(name, **options):
    model = MODELS[name].build(**{**TINY, **options})
    random = np.random.default_rng(0)
    shapes = shapes_of(model)
    variables = jax.tree.map(lambda s: random.normal(size=s.shape).astype(np.float32), shapes)
    return model, shapes, variables, names_of(model, shapes)


def equal(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


@pytest.mark.programs(30, "Marian's table of sines is made by the library, operation by operation")
@pytest.mark.parametrize(
    ("name", "naming"),
    [
        ("bert_base", "huggingface bert"),
        ("bert_base_mlm", "huggingface bert, gamma"),
        ("distilbert", "huggingface distilbert, bare"),
        ("gpt2", "huggingface gpt2, bare"),
        ("gpt2", "nanogpt"),
        ("t5_small", "huggingface t5"),
        ("marian", "huggingface marian"),
    ],
)
def test_every_naming_is_found_by_itself(name, naming):
    _, shapes, variables, names = filled(name)
    tensors = to_tensors(variables, names[naming])
    loaded = variables_of(shapes, tensors, names)
    assert loaded.naming == naming
    equal(loaded.variables, variables)
    # a file may leave out what is tied or computed, and may name a tied tensor by its copy only
    least = {n: a for n, a in tensors.items() if n not in names[naming].extras}
    equal(variables_of(shapes, least, names).variables, variables)
    for copy, of in names[naming].copies.items():
        other = {copy if n == of else n: a for n, a in least.items()}
        equal(variables_of(shapes, other, names, naming=naming).variables, variables)


@pytest.mark.programs(30, "Marian's table of sines is made by the library, operation by operation")
@pytest.mark.parametrize(
    ("name", "naming", "change", "says"),
    [
        ("gpt2", "huggingface gpt2", "lm_head.weight", "lm_head.weight.*transformer.wte.weight"),
        (
            "t5_small",
            "huggingface t5",
            "decoder.embed_tokens.weight",
            "wrong values: decoder.embed_tokens.weight.*shared.weight",
        ),
        (
            "marian",
            "huggingface marian",
            "model.encoder.embed_positions.weight",
            "wrong values: .*positions.weight",
        ),
    ],
)
def test_a_copy_that_is_none_is_refused(name, naming, change, says):
    _, shapes, variables, names = filled(name)
    tensors = to_tensors(variables, names[naming])
    with pytest.raises(UserError, match=says):
        variables_of(shapes, {**tensors, change: tensors[change] + 1}, names)


def test_missing_left_over_and_wrong_shapes_are_named():
    _, shapes, variables, names = filled("gpt2")
    tensors = to_tensors(variables, names["huggingface gpt2"])
    del tensors["transformer.h.1.attn.c_attn.bias"]
    tensors |= {"transformer.h.0.attn.bias": np.ones((1, 1, 4, 4)), "transformer.h.2.ln_1.weight": np.ones(8)}
    tensors["transformer.wpe.weight"] = np.ones((4, 8))
    with pytest.raises(UserError) as error:
        variables_of(shapes, tensors, names)
    assert "missing: transformer.h.1.attn.c_attn.bias; unexpected: transformer.h.2.ln_1.weight" in str(error.value)
    assert "transformer.wpe.weight (4, 8) for embed/position/position (1024, 8)" in str(error.value)
    assert "attn.bias," not in str(error.value), "the causal mask of old files is no weight"


def test_bert_from_a_pretraining_file():
    """What is published holds the head for masked tokens and the next sentence: the bare model has neither."""
    model, shapes, variables, names = filled("bert_base")
    tensors = to_tensors(variables, names["huggingface bert"])
    heads = {"cls.predictions.bias": np.ones(11), "cls.seq_relationship.weight": np.ones((2, 8))}
    equal(variables_of(shapes, tensors | heads, names).variables, variables)
    hidden, pooled = jax.eval_shape(lambda v: model.apply(v, jnp.ones((1, 3), jnp.int32), train=False), variables)
    assert (hidden.shape, pooled.shape) == ((1, 3, 8), (1, 8))


@pytest.fixture
def hub(tmp_path):
    """A folder as on the hub: weights, config.json, tokenizer.json."""
    model, _, variables, _ = filled("gpt2", length=16)
    folder = tmp_path / "hub"
    folder.mkdir()
    save_torch(model, variables, folder / "model.safetensors", naming="huggingface gpt2, bare")
    (folder / "config.json").write_text(json.dumps(GPT2), encoding="utf-8")
    (folder / "tokenizer.json").write_text("{}", encoding="utf-8")
    return folder, model, variables


@pytest.mark.programs(30, "each array of a file is put on the device by itself")
def test_a_folder_of_the_hub_by_the_command(hub, tmp_path, capsys):
    folder, model, variables = hub
    assert "lm_head.weight" not in files.read_tensors(folder)
    assert main(["import-weights", "gpt2", str(folder), "-o", str(tmp_path / "out")]) == 0
    assert "huggingface gpt2, bare names, all tensors loaded" in capsys.readouterr().out
    opened = open_weights(tmp_path / "out")
    assert opened.tokenizer.read_text(encoding="utf-8") == "{}"
    equal(opened.weights.variables, variables)
    assert {n: getattr(opened.model.config, n) for n in TINY} == TINY
    assert opened.model.config.position().length == model.config.position().length == 16
    with pytest.raises(UserError, match="gpt2"):
        opened.predict(["cat.png"])


@pytest.mark.programs(30, "each array of a file is put on the device by itself")
def test_without_a_config_the_sizes_are_those_of_the_name(hub, tmp_path, capsys):
    folder, _, variables = hub
    (folder / "config.json").unlink()
    assert main(["import-weights", "gpt2", str(folder), "-o", str(tmp_path / "out")]) == 2
    assert "wte.weight (11, 8) for embed/embedding (50257, 768)" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    imported = import_weights("gpt2", folder, tmp_path / "out", **TINY, length=16)
    equal(imported.weights.variables, variables)
    assert main(["import-weights", "gpt2", str(folder), "-o", str(tmp_path / "more"), "--classes", "3"]) == 2
    assert "classes=3: this model has no such option" in capsys.readouterr().err


@pytest.mark.programs(30, "each array of a file is put on the device by itself")
def test_new_classes_on_pretrained_weights(tmp_path):
    model, _, variables, _ = filled("bert_base_classifier", classes=3)
    save_torch(model, variables, tmp_path / "model.safetensors", naming="huggingface bert")
    other = MODELS["bert_base_classifier"].build(**TINY, classes=5)
    with pytest.raises(UserError, match="classifier"):
        load_weights(other, tmp_path)
    weights = load_weights(other, tmp_path, fresh=("head/.*",))
    assert weights.variables["params"]["head"]["kernel"].shape == (8, 5)
    equal(weights.variables["params"]["stack"], variables["params"]["stack"])


@pytest.mark.parametrize(
    ("name", "config", "says"),
    [
        ("gpt2", {"model_type": "bert"}, "'bert'.*'gpt2'"),
        ("bert_base", {"hidden_act": "relu"}, "hidden_act='relu'.*'gelu'"),
        ("t5_small", {"feed_forward_proj": "gated-gelu"}, "feed_forward_proj='gated-gelu'.*'relu'"),
        ("t5_v1_1_small", {"feed_forward_proj": "relu"}, "feed_forward_proj='relu'.*'gated-gelu'"),
        ("marian", {"scale_embedding": False}, "scale_embedding=False"),
        ("marian", {"encoder_layers": 6, "decoder_layers": 1}, "decoder_layers=1.*encoder_layers=6"),
    ],
)
def test_a_config_of_another_model_is_refused(tmp_path, name, config, says):
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(UserError, match=says):
        options_beside(tmp_path, name)


def test_sizes_of_a_config(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({**GPT2, "n_inner": None}), encoding="utf-8")
    assert options_beside(tmp_path, "gpt2") == {**TINY, "hidden": 32, "length": 16}
    (tmp_path / "config.json").write_text(
        json.dumps({"vocab_size": 7, "id2label": {"0": "a", "1": "b", "2": "c"}}), encoding="utf-8"
    )
    assert options_beside(tmp_path, "distilbert_classifier") == {"vocab": 7, "classes": 3}
    assert options_beside(tmp_path, "distilbert") == {"vocab": 7}
    assert options_beside(tmp_path, "resnet50") == {}
