"""The command `predict` on imported text models, without another library: what it prints, and what it refuses in one line."""

import json

import jax
import numpy as np
import pytest

from jaxdl.__main__ import main
from jaxdl.models.catalog import MODELS
from jaxdl.pretrained.folder import import_weights, open_weights, save_torch, shapes_of
from jaxdl.pretrained.text_settings import TextSettings, text_settings_beside
from jaxdl.types import UserError

pytestmark = pytest.mark.programs(60, "each array of a file is put on the device by itself")

LINES = ["the cat sat", "a rat sat on the cat", "the rat"]
VOCAB = {word: i for i, word in enumerate("[PAD] [CLS] [SEP] [UNK] a cat on rat sat the".split())}
TINY = {"vocab": len(VOCAB), "width": 8, "depth": 1, "heads": 2, "hidden": 12}
SAYS = {
    "vocab_size": len(VOCAB),
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 12,
    "max_position_embeddings": 12,
    "model_type": "bert",
}


def hub(folder, name, kind, naming="huggingface bert", options=None, **config):
    """A folder with random weights of a small model, its config.json and a tokenizer of words."""
    package = pytest.importorskip("tokenizers")
    model, random = MODELS[name].build(**{**TINY, "length": 12, **(options or {})}), np.random.default_rng(0)
    variables = jax.tree.map(lambda s: random.normal(0, 0.5, s.shape).astype(np.float32), shapes_of(model))
    folder.mkdir(exist_ok=True)
    save_torch(model, variables, folder / "model.safetensors", naming=naming)
    config = {**SAYS, "architectures": [kind], **config}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    made = package.Tokenizer(package.models.WordLevel(VOCAB, unk_token="[UNK]"))
    made.pre_tokenizer = package.pre_tokenizers.WhitespaceSplit()
    made.post_processor = package.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    made.enable_truncation(4)  # as files of the hub have it: it is not obeyed
    made.enable_padding(length=4)
    made.save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture
def lines(tmp_path):
    (tmp_path / "lines.txt").write_text("\n".join(LINES) + "\n", encoding="utf-8")
    return tmp_path / "lines.txt"


def ids(text):
    return np.array([[1, *(VOCAB[word] for word in text.split()), 2]])


def test_labels_of_lines(tmp_path, lines, capsys):
    labels = {"0": "bad", "1": "fair", "2": "good"}
    hub(
        tmp_path / "hub",
        "bert_base_classifier",
        "BertForSequenceClassification",
        options={"classes": 3},
        id2label=labels,
    )
    assert main(["import-weights", str(tmp_path / "hub"), "-o", str(tmp_path / "out")]) == 0
    found = open_weights(tmp_path / "out")
    capsys.readouterr()
    assert main(["predict", str(tmp_path / "out"), str(lines), "--top", "1"]) == 0
    shown = capsys.readouterr().out.splitlines()
    apply = jax.jit(lambda variables, tokens: found.model.apply(variables, tokens, train=False))
    for number, text in enumerate(LINES):  # each alone, without padding
        logits = apply(found.weights.variables, ids(text))[0]
        probability = np.asarray(jax.nn.softmax(logits))
        best = int(probability.argmax())
        assert shown[number] == f"{lines}[{number}]: {labels[str(best)]} {probability[best]:.3f}"
    with pytest.raises(UserError, match="does not give embeddings: `predict` gives classes"):
        found.features(LINES)
    with pytest.raises(UserError, match="does not answer with a text"):
        found.text.answers(LINES)


def test_embeddings_of_lines(tmp_path, lines, capsys):
    hub(tmp_path / "hub", "bert_base", "BertModel", naming="huggingface bert, bare")
    assert main(["import-weights", str(tmp_path / "hub"), "-o", str(tmp_path / "out")]) == 0
    found = open_weights(tmp_path / "out")
    vectors = found.features(LINES)
    apply = jax.jit(lambda variables, tokens: found.model.apply(variables, tokens, train=False)[0])
    for vector, text in zip(vectors, LINES, strict=True):
        mean = np.asarray(apply(found.weights.variables, ids(text)))[0].mean(0)
        np.testing.assert_allclose(vector, mean / np.linalg.norm(mean), atol=1e-5)
    capsys.readouterr()
    assert main(["predict", str(tmp_path / "out"), str(lines)]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) == 6
    assert shown[0].startswith(f"{lines}[0]: embedding [")
    assert shown[3] == f"{lines}[0]  {lines}[1]: similarity {vectors[0] @ vectors[1]:.3f}"


def test_forty_texts_are_each_as_alone(tmp_path):
    """More than one batch, in the order of the lines."""
    hub(tmp_path / "hub", "bert_base", "BertModel", naming="huggingface bert, bare")
    found = import_weights(None, tmp_path / "hub", tmp_path / "out")
    texts = [" ".join(np.random.default_rng(i).choice(list(VOCAB)[4:], 1 + i % 9)) for i in range(40)]
    np.testing.assert_allclose(found.features(texts), [found.features([text])[0] for text in texts], atol=1e-5)


REFUSED = {
    "an image": (["out", "photo.png"], "photo.png: bert_base reads texts, one a line of a .txt file"),
    "nothing": (["out", "empty.txt"], "empty.txt: holds no text"),
    "a long text": (["out", "long.txt"], "text 2 has 14 tokens, and the model reads 12: 'a a a"),
    "beams": (["out", "lines.txt", "--beam", "2"], "--beam is for models that answer with a text; bert_base does not"),
    "no beam": (["out", "lines.txt", "--beam", "0"], "--beam 0: must be 1 or more"),
    "a decoder": (["gpt2", "lines.txt"], "gpt2 does not give probabilities of classes: `generate` continues texts"),
    "a masked model": (
        ["mlm", "lines.txt"],
        "bert_base_mlm does not give probabilities of classes: it predicts masked",
    ),
    "no tokenizer": (["bare", "lines.txt"], "bert_base has no tokenizer.json: import a folder that holds one"),
    "no begin": (["t5", "lines.txt"], "t5_small: no config.json beside the weights said which tokens begin"),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("folders")
    hub(root / "hub", "bert_base", "BertModel", naming="huggingface bert, bare")
    import_weights(None, root / "hub", root / "out")
    hub(root / "mlm-hub", "bert_base_mlm", "BertForMaskedLM")
    import_weights(None, root / "mlm-hub", root / "mlm")
    for name, naming in (("gpt2", "huggingface gpt2"), ("t5_small", "huggingface t5")):
        length = {"length": 12} if name == "gpt2" else {}
        model = MODELS[name].build(**TINY, **length)
        variables = jax.tree.map(lambda s: np.ones(s.shape, np.float32), shapes_of(model))
        (root / f"{name}-hub").mkdir()
        save_torch(model, variables, root / f"{name}-hub" / "model.safetensors", naming=naming)
        tokenizer = root / f"{name}-hub" / "tokenizer.json"
        tokenizer.write_bytes((root / "hub" / "tokenizer.json").read_bytes())
        import_weights(name, root / f"{name}-hub", root / name.removesuffix("_small"), **TINY, **length)
    (root / "hub" / "tokenizer.json").unlink()
    import_weights(None, root / "hub", root / "bare")
    (root / "lines.txt").write_text("a cat\n", encoding="utf-8")
    (root / "long.txt").write_text(f"a cat\n{' '.join('a' * 12)}\n", encoding="utf-8")
    (root / "empty.txt").write_text("", encoding="utf-8")
    (root / "photo.png").write_bytes(b"")
    return root


@pytest.mark.parametrize("what", REFUSED)
def test_one_line(what, folders, capsys, monkeypatch):
    monkeypatch.chdir(folders)
    flags, message = REFUSED[what]
    assert main(["predict", *flags]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert len(err.splitlines()) == 1


def write(folder, **files):
    for name, content in files.items():
        file = folder / f"{name.replace('__', '/')}.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(content), encoding="utf-8")
    return folder


def test_what_the_files_beside_say(tmp_path):
    assert text_settings_beside(tmp_path) == TextSettings()
    config = {"decoder_start_token_id": 5, "eos_token_id": 1, "max_length": 512, "bad_words_ids": [[7], [2, 3]]}
    write(tmp_path, config=config, generation_config={"eos_token_id": [1, 4], "forced_bos_token_id": 6})
    said = text_settings_beside(tmp_path)
    assert said == TextSettings(begin=(5, 6), end=(1, 4), never=(7,), longest=512)
    assert TextSettings.from_json(json.loads(json.dumps(said.to_json()))) == said
    assert (
        text_settings_beside(write(tmp_path, **{"1_Pooling__config": {"pooling_mode_cls_token": True}})).pooling
        == "first"
    )
    for files, message in (
        ({"1_Pooling__config": {"pooling_mode_max_tokens": True}}, "says pooling by max_tokens: known are mean_tokens"),
        ({"modules": [{"type": "sentence_transformers.models.Dense"}]}, "names a part of type Dense"),
        ({"modules": {"a": 1}}, "holds a dict instead of a list"),
        ({"generation_config": {"eos_token_id": "x"}}, "is damaged or of another form"),
    ):
        with pytest.raises(UserError, match=message):
            text_settings_beside(write(tmp_path, **files))
        write(tmp_path, modules=[], generation_config={})
