"""Networks without a head: imported as they are, equal features, and a new head where a run starts from them."""

import json

import jax
import numpy as np
import pytest
from PIL import Image

from jaxdl.__main__ import main
from jaxdl.models.catalog import MODELS
from jaxdl.pretrained import files
from jaxdl.pretrained.folder import import_weights, open_weights, save_torch, shapes_of
from jaxdl.pretrained.preprocess import Preprocess
from jaxdl.runs.prepare import prepare
from jaxdl.runs.weights import flat, initialised_from
from jaxdl.setup import Setup
from jaxdl.types import UserError
from tests.pretrained.test_named_by_config import BERT, VIT, close, imported, transformer

OPTIONS = {"stages": [1, 1], "width": 8}


@pytest.fixture
def backbone(tmp_path):
    """A small ResNet in torchvision's names, without `fc`."""
    model, random = MODELS["resnet18"].build(**OPTIONS, classes=3), np.random.default_rng(0)
    variables = jax.tree.map(lambda s: np.abs(random.normal(size=s.shape)).astype(np.float32), shapes_of(model))
    save_torch(model, variables, tmp_path / "whole.safetensors", naming="torchvision")
    tensors = files.read_tensors(tmp_path / "whole.safetensors")
    without = {name: array for name, array in tensors.items() if not name.startswith("fc.")}
    files.write(tmp_path / "net.safetensors", without)
    config = {"size": 32, "crop_size": 32, "image_mean": [0.5] * 3, "image_std": [0.25] * 3}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(config), encoding="utf-8")
    return tmp_path, variables, tensors


@pytest.mark.programs(60, "each array of a file is put on the device by itself")
def test_a_network_without_its_head(backbone, capsys):
    folder, variables, _ = backbone
    import_weights("resnet18", folder / "net.safetensors", folder / "out", **OPTIONS)
    import_weights("resnet18", folder / "whole.safetensors", folder / "with", **OPTIONS, classes=3)
    found, whole = open_weights(folder / "out"), open_weights(folder / "with")
    assert found.weights.absent == ("params/head/bias", "params/head/kernel")
    assert (found.headless, whole.headless) == (True, False)
    images = [np.random.default_rng(i).integers(0, 256, (40, 40, 3)).astype(np.uint8) for i in range(2)]
    features = found.features(images)
    assert features.shape == (2, 16)
    np.testing.assert_array_equal(features, whole.features(images))
    head = variables["params"]["head"]
    np.testing.assert_allclose(
        whole.predict(images), jax.nn.softmax(features @ head["kernel"] + head["bias"]), atol=1e-5
    )
    with pytest.raises(UserError, match="these weights of resnet18 have no head: take features"):
        found.predict(images)
    for i, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{i}.png")
    assert main(["predict", str(folder / "out"), str(folder / "0.png"), str(folder / "1.png"), "--json"]) == 0
    one, two, pair = map(json.loads, capsys.readouterr().out.splitlines())
    np.testing.assert_allclose([one["embedding"], two["embedding"]], features, rtol=1e-6)
    cosine = features[0] @ features[1] / np.linalg.norm(features[0]) / np.linalg.norm(features[1])
    assert pair["similarity"] == pytest.approx(cosine, abs=1e-5)


def test_half_a_head_is_refused(backbone):
    folder, _, tensors = backbone
    files.write(folder / "half.safetensors", {name: a for name, a in tensors.items() if name != "fc.bias"})
    with pytest.raises(UserError, match=r"missing: fc\.bias"):
        import_weights("resnet18", folder / "half.safetensors", folder / "half", **OPTIONS, classes=3)
    other = {name.replace("fc.", "linear2."): a for name, a in tensors.items()}
    files.write(folder / "other.safetensors", other)
    with pytest.raises(UserError, match=r"unexpected: linear2\.bias, linear2\.weight"):
        import_weights("resnet18", folder / "other.safetensors", folder / "other", **OPTIONS, classes=3)
    assert not (folder / "half").exists()
    assert not (folder / "other").exists()


def test_options_that_a_file_cannot_hold_leave_nothing_behind(backbone):
    folder, _, _ = backbone
    with pytest.raises(UserError, match="options of imported weights are numbers, texts"):
        import_weights("resnet18", folder / "net.safetensors", folder / "out", **OPTIONS, act=jax.nn.gelu)
    assert not (folder / "out").exists()


@pytest.fixture
def photos(tmp_path):
    random = np.random.default_rng(0)
    for i in range(20):
        (tmp_path / "photos" / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        image = random.integers(0, 256, (40, 44, 3), dtype=np.uint8)
        Image.fromarray(image).save(tmp_path / "photos" / "ab"[i % 2] / f"{i}.png")
    return str(tmp_path / "photos")


def started(folder, photos):
    """The first state of `experiments/at_scale/finetune_folder.py` with these weights, and what was said."""
    from experiments.finetune_folder import config

    setup = Setup.of(config, {"batch": 4, "epochs": 1, "folder": photos, "init_from": str(folder)})
    program, said = prepare(setup), []
    state = initialised_from(program, program.init(), said.append)
    return flat({"params": state.params, **state.model_state}), said


@pytest.mark.slow
@pytest.mark.programs(90, "a first state, and weights put into it")
def test_a_run_draws_the_head(backbone, photos):
    folder, variables, _ = backbone
    import_weights("resnet18", folder / "net.safetensors", folder / "out", **OPTIONS, eps=1e-3)
    leaves, (said,) = started(folder / "out", photos)
    assert said.endswith("(resnet18 weights), head from seed 0")
    assert leaves["params/head/kernel"].shape == (16, 2)
    for name, leaf in flat(variables).items():
        if "head" not in name:
            np.testing.assert_array_equal(leaves[name], leaf, err_msg=name)


@pytest.mark.programs(60, "each array of a file is put on the device by itself")
def test_flags_say_how_images_are_prepared(backbone, capsys):
    """For a file that nothing beside it describes."""
    folder, _, _ = backbone
    (folder / "preprocessor_config.json").unlink()
    whole = ["import-weights", "cifar_resnet20", str(folder / "net.safetensors"), "-o", str(folder / "out")]
    model = MODELS["cifar_resnet20"].build(classes=2)
    save_torch(
        model,
        jax.tree.map(lambda s: np.ones(s.shape, np.float32), shapes_of(model)),
        folder / "net.safetensors",
        naming="kuangliu",
    )
    flags = ["--resize", "40", "--crop", "32", "--mean", "0.1", "0.2", "0.3", "--std", "0.4", "0.5", "0.6"]
    assert main([*whole, "--classes", "2", *flags, "--interpolation", "bicubic"]) == 0
    said = capsys.readouterr().out
    assert "the options are classes=2" in said
    assert "images are resized to 40 (bicubic), cropped to 32, minus 0.1, 0.2, 0.3, by 0.4, 0.5, 0.6" in said
    wanted = Preprocess(40, 32, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6), "bicubic")
    assert open_weights(folder / "out").weights.preprocess == wanted
    for wrong, message in {
        ("--std", "0.5"): "take one number for each of 1 or 3 channels",
        ("--std", "0.5", "0", "1"): "std above 0",
        ("--crop", "0"): "crop = 0 must be 1 or more",
    }.items():
        assert main([*whole[:-1], str(folder / "other"), "--classes", "2", *wrong]) == 2
        err = capsys.readouterr().err
        assert message in err
        assert err.count("\n") == 1
        assert not (folder / "other").exists()


MAE = {"decoder_hidden_size": 8, "decoder_num_hidden_layers": 1, "decoder_num_attention_heads": 2, "mask_ratio": 0.0}
DEEP = {"embedding_size": 64, "layer_type": "basic", "depths": [1, 2], "hidden_sizes": [8, 16]}
# class of transformers, entries of its config, the size of images, what the command leaves out
NETWORKS = {
    "ViTModel": (VIT, 16, "pooler.dense.bias"),
    "ViTMAEModel": ({**VIT, **MAE}, 16, ""),
    "ViTMAEForPreTraining": ({**VIT, **MAE, "decoder_intermediate_size": 8}, 16, "decoder.decoder_"),
    "ViTForMaskedImageModeling": ({**VIT, "encoder_stride": 8}, 16, "decoder.0.weight"),
    "DeiTModel": (VIT, 16, "pooler.dense.bias"),
    "ResNetModel": (DEEP, 32, ""),
    "MobileNetV1Model": ({"depth_multiplier": 0.25}, 64, ""),
    "MobileNetV2Model": ({"depth_multiplier": 0.35}, 64, ""),
    "EfficientNetModel": ({"width_coefficient": 0.5, "depth_coefficient": 0.3, "hidden_dim": 640}, 64, ""),
}


@pytest.mark.slow
@pytest.mark.parity
@pytest.mark.programs(90, "each array of a file is put on the device by itself")
@pytest.mark.parametrize("kind", NETWORKS)
def test_features_are_those_of_transformers(kind, tmp_path, capsys):
    torch = pytest.importorskip("torch")
    config, size, left_out = NETWORKS[kind]
    model = transformer(kind, config)
    found, said = imported(model, tmp_path, capsys)
    assert "without head" in said
    assert left_out in said
    x = np.random.default_rng(0).normal(size=(2, size, size, 3)).astype(np.float32)
    network = getattr(model, model.base_model_prefix, model) if kind != "ViTModel" else model
    with torch.no_grad():
        theirs = network(torch.from_numpy(x.transpose(0, 3, 1, 2).copy()))
    if kind.startswith(("ViT", "DeiT")):  # the class token after the last norm
        theirs = theirs.last_hidden_state[:, 0]
    else:
        theirs = theirs.pooler_output.flatten(1)
    apply = jax.jit(lambda variables, x: found.model.apply(variables, x, train=False, features=True)[1]["pooled"])
    close(apply(found.whole, x), theirs.numpy())


@pytest.mark.slow
@pytest.mark.parity
@pytest.mark.programs(90, "each array of a file is put on the device by itself")
def test_deit_by_its_class_token_alone(tmp_path, capsys):
    """transformers' DeiTForImageClassification has a distillation token that others attend to, and no head for it."""
    torch = pytest.importorskip("torch")
    model = transformer("DeiTForImageClassification", VIT)
    found, said = imported(model, tmp_path, capsys)
    assert "without" not in said
    x = np.random.default_rng(0).normal(size=(2, 16, 16, 3)).astype(np.float32)
    with torch.no_grad():
        theirs = model(torch.from_numpy(x.transpose(0, 3, 1, 2).copy())).logits.numpy()
    apply = jax.jit(lambda variables, x: found.model.apply(variables, x, train=False))
    close(apply(found.weights.variables, x), theirs)


@pytest.mark.slow
@pytest.mark.parity
@pytest.mark.programs(90, "each array of a file is put on the device by itself")
@pytest.mark.parametrize(("kind", "parts"), [("BertModel", {"head"}), ("BertForMaskedLM", {"head", "pooler"})])
def test_a_classifier_on_a_bert_without_one(kind, parts, tmp_path, capsys):
    """The name given by hand: what the file lacks is said, and the rest is there."""
    model = transformer(kind, BERT)
    model.save_pretrained(tmp_path / "hub")
    flags = [str(tmp_path / "hub"), "-o", str(tmp_path / "out"), "--classes", "3"]
    assert main(["import-weights", "bert_base_classifier", *flags]) == 0
    assert f"without {' and '.join(sorted(parts))}: " in capsys.readouterr().out
    found = open_weights(tmp_path / "out")
    assert {name.split("/")[1] for name in found.weights.absent} == parts
    assert found.whole["params"]["head"]["kernel"].shape == (16, 3)
    table = dict(model.named_parameters())[f"{'' if kind == 'BertModel' else 'bert.'}embeddings.word_embeddings.weight"]
    np.testing.assert_array_equal(found.weights.variables["params"]["embed"]["embedding"], table.detach().numpy())
