"""Weight files that are damaged, hostile or of another form: one line each, and every flipped bit is noticed."""

import json
import pickle
import shutil
import zipfile

import jax
import numpy as np
import pytest

from jaxdl.__main__ import main
from jaxdl.data.text.bpe import HuggingFace
from jaxdl.models.catalog import MODELS
from jaxdl.pretrained.files import LEGACY_MAGIC as LEGACY
from jaxdl.pretrained.files import read_tensors, write
from jaxdl.pretrained.folder import import_weights, open_weights, save_torch, shapes_of
from jaxdl.types import UserError
from tests.pretrained.test_files import ARRAYS, fake_file, zipped

NAME, OPTIONS = "cifar_resnet20", {"classes": 3, "width": 16, "stages": (1,)}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    write(folder / "w.safetensors", ARRAYS)
    return (folder / "w.safetensors").read_bytes()


def header(text):
    return len(text).to_bytes(8, "little") + text


def safetensors(content):
    return lambda path, whole: path.with_suffix(".safetensors").write_bytes(content(whole))


def index(content):
    return lambda path, whole: (path.parent / "model.safetensors.index.json").write_bytes(content)


def legacy(*objects, rest=b""):
    return lambda path, whole: path.write_bytes(b"".join(pickle.dumps(o, 2) for o in objects) + rest)


def archive(payload, **storages):
    return lambda path, whole: zipped(path, payload, **storages)


def squeezed(path, whole):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/data.pkl", pickle.dumps({}))
        file.writestr("archive/data/0", bytes(10**7))


def cut(path, whole):
    squeezed(path, whole)
    path.write_bytes(path.read_bytes()[:-200])


ENTRY = b'{"a":{"dtype":"F32","shape":[%s],"data_offsets":[0,%s]}}'
# kind -> what writes it to w.pth or beside
MALFORMED = {
    "nothing": safetensors(lambda whole: b""),
    "four bytes": safetensors(lambda whole: whole[:4]),
    "half a safetensors file": safetensors(lambda whole: whole[: len(whole) // 2]),
    "a header that is no JSON": safetensors(lambda whole: header(b"{nothing}") + bytes(64)),
    "a header longer than the file": safetensors(lambda whole: (2**60).to_bytes(8, "little") + b"{}" + bytes(64)),
    "a tensor beyond the end": safetensors(lambda whole: header(ENTRY % (b"1000", b"4000")) + bytes(64)),
    "a shape of other size": safetensors(lambda whole: header(ENTRY % (b"1099511627776", b"64")) + bytes(64)),
    "a negative shape": safetensors(lambda whole: header(ENTRY % (b"-1", b"64")) + bytes(64)),
    "8-bit floats": safetensors(
        lambda whole: header(b'{"a":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}}') + b"0"
    ),
    "an unknown type": safetensors(
        lambda whole: header(b'{"a":{"dtype":"X9","shape":[1],"data_offsets":[0,4]}}') + bytes(4)
    ),
    "text": safetensors(lambda whole: b"<html>404</html>" * 9),
    "half an index": index(b'{"weight_map": {"a": "b.saf'),
    "no index": index(b'{"vocab_size": 400}'),
    "a list": index(b"[1, 2]"),
    "no UTF-8": index(b"\xff\xfe{}"),
    "nested too deep": index(b"[" * 100_000),
    "a number for a file": index(b'{"weight_map": {"a": 3}}'),
    "a missing shard": index(b'{"weight_map": {"a": "b.safetensors"}}'),
    "a shard above": index(b'{"weight_map": {"a": "../b.safetensors"}}'),
    "a shard at the root": index(b'{"weight_map": {"a": "/etc/passwd"}}'),
    "a shard of Windows": index(b'{"weight_map": {"a": "..\\\\b.safetensors"}}'),
    "an index of itself": index(b'{"weight_map": {"a": "model.safetensors.index.json"}}'),
    "half a zip file": cut,
    "a compressed zip file": squeezed,
    "a zip file without a pickle": lambda path, whole: zipfile.ZipFile(path, "w").writestr("a.txt", "a"),
    "a zip file of half a pickle": archive(pickle.dumps({"a": list(range(99))})[:50]),
    "a zip file of text": archive(b"hello"),
    "a zip file of a list": archive(pickle.dumps([1, 2])),
    "a pickle of nothing": legacy(3),
    "half of an old file": legacy(LEGACY, 1001),
    "an old file of a number": legacy(LEGACY, 1001, {}, 7, []),
    "an old file with a key too many": legacy(LEGACY, 1001, {}, {}, ["0"], rest=bytes(8)),
    "an old file of damage": lambda path, whole: path.write_bytes(
        pickle.dumps(LEGACY, 2) + b"\x80\x02" + bytes(range(99))
    ),
}


@pytest.mark.parametrize("kind", MALFORMED)
def test_a_malformed_file_is_one_line(tmp_path, whole, kind):
    MALFORMED[kind](tmp_path / "w.pth", whole)
    (path,) = tmp_path.iterdir()
    with pytest.raises(UserError) as caught:
        read_tensors(path)
    assert "\n" not in str(caught.value)


VIEWS = {
    "a tensor of 2^40 elements": {"size": (2**40,), "stride": (0,)},
    "many axes of stride 0": {"size": (2**20, 2**20, 2**20), "stride": (0, 0, 0)},
    "a size that is no number": {"size": ("a",), "stride": (1,)},
    "a stride too few": {"size": (2, 2), "stride": (1,)},
    "half a number": {"size": (1.5,), "stride": (1,)},
    "a storage cut short": {"size": (2,), "stride": (1,), "elements": 4, "stored": 3},
    "a storage that is not there": {"size": (2,), "stride": (1,), "stored": None},
    "a storage of odd bytes": {"size": (2,), "stride": (1,), "stored": 3.25},
}


@pytest.mark.parametrize("kind", VIEWS)
def test_a_malformed_tensor_is_one_line(tmp_path, monkeypatch, kind):
    options = dict(VIEWS[kind])
    stored = options.pop("stored", 4)
    fake_file(tmp_path / "w.pth", monkeypatch, **options)
    with zipfile.ZipFile(tmp_path / "w.pth") as file:
        payload = file.read("archive/data.pkl")
    zipped(tmp_path / "w.pth", payload, **({} if stored is None else {"0": bytes(int(4 * stored))}))
    with pytest.raises(UserError) as caught:
        read_tensors(tmp_path / "w.pth")
    assert "\n" not in str(caught.value)


def test_a_repeated_view_of_usual_size_is_read(tmp_path, monkeypatch):
    fake_file(tmp_path / "w.pth", monkeypatch, (3, 4), (0, 1))
    np.testing.assert_array_equal(read_tensors(tmp_path / "w.pth")["w"], [[0, 1, 2, 3]] * 3)


# -- what lies beside the weights, and imported folders -----------------------------------------------------------------

BESIDE = {
    "half a config.json": ("bert_base", "config.json", b'{"vocab_size": 400,'),
    "a config of text": ("bert_base", "config.json", b'{"model_type": "bert", "hidden_size": "wide"}'),
    "a config of a negative size": ("bert_base", "config.json", b'{"model_type": "bert", "num_hidden_layers": -2}'),
    "a config of a billion blocks": ("gpt2", "config.json", b'{"model_type": "gpt2", "n_layer": 1000000000}'),
    "a config that is a list": ("bert_base", "config.json", b"[]"),
    "labels without numbers": (NAME, "config.json", b'{"id2label": {"a": "b"}}'),
    "labels that are a number": (NAME, "config.json", b'{"label_names": 3}'),
    "half a preprocessor": (NAME, "preprocessor_config.json", b'{"size": 22'),
    "a preprocessor without a mean": (NAME, "preprocessor_config.json", b'{"size": 224}'),
    "an unknown resampling": (
        NAME,
        "preprocessor_config.json",
        b'{"size": 8, "image_mean": [0], "image_std": [1], "resample": 9}',
    ),
    "a timm config without a size": (NAME, "config.json", b'{"pretrained_cfg": {}}'),
}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("source")
    model = MODELS[NAME].build(**OPTIONS)
    random = np.random.default_rng(0)
    variables = jax.tree.map(lambda s: np.abs(random.normal(size=s.shape)).astype(np.float32), shapes_of(model))
    save_torch(model, variables, folder / "model.safetensors", naming="kuangliu")
    return folder


@pytest.mark.programs(12, "the first of them makes the weights")
@pytest.mark.parametrize("kind", BESIDE)
def test_what_lies_beside_is_one_line(tmp_path, source, kind):
    name, file, content = BESIDE[kind]
    shutil.copytree(source, tmp_path / "in")
    (tmp_path / "in" / file).write_bytes(content)
    with pytest.raises(UserError) as caught:
        import_weights(name, tmp_path / "in", tmp_path / "out", **(OPTIONS if name == NAME else {}))
    assert file in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_the_command_says_one_line_and_exits_2(tmp_path, source, capsys):
    shutil.copytree(source, tmp_path / "in")
    whole = (tmp_path / "in" / "model.safetensors").read_bytes()
    (tmp_path / "in" / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    assert main(["import-weights", NAME, str(tmp_path / "in"), "-o", str(tmp_path / "out")]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "model.safetensors" in err
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def imported(tmp_path_factory, source):
    folder = tmp_path_factory.mktemp("imported")
    import_weights(NAME, source, folder, **OPTIONS)
    return folder


def test_ten_of_ten_flipped_bits_are_noticed(tmp_path, imported):
    shutil.copytree(imported, tmp_path / "w")
    file, rng = tmp_path / "w" / "weights.safetensors", np.random.default_rng(0)
    whole = file.read_bytes()
    for place in rng.integers(0, len(whole), 10):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << rng.integers(8)]) + whole[place + 1 :])
        with pytest.raises(UserError) as caught:
            open_weights(tmp_path / "w")
        assert "weights.safetensors" in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"naming": "', '"naming": "x'),
        ('"interpolation": "bilinear"', '"interpolation": "bicubic"'),
        ('"classes": ', '"classes": 1'),
    ],
)
def test_an_edit_of_the_description_is_noticed(tmp_path, imported, old, new):
    shutil.copytree(imported, tmp_path / "w")
    file = tmp_path / "w" / "weights.json"
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(UserError) as caught:
        open_weights(tmp_path / "w")
    assert str(file) in str(caught.value)


@pytest.mark.programs(30, "each array of a file is put on the device by itself")
def test_a_folder_of_an_earlier_version_has_no_digest_and_loads(tmp_path, imported):
    shutil.copytree(imported, tmp_path / "w")
    record = json.loads((tmp_path / "w" / "weights.json").read_text(encoding="utf-8"))
    assert len(record.pop("sha256")["weights.safetensors"]) == 64
    (tmp_path / "w" / "weights.json").write_text(json.dumps(record), encoding="utf-8")
    theirs, ours = open_weights(tmp_path / "w").weights.variables, open_weights(imported).weights.variables
    jax.tree.map(np.testing.assert_array_equal, theirs, ours)


RECORDS = {
    "half": b'{"name": "cif',
    "a list": b"[]",
    "no name": b"{}",
    "options of another kind": b'{"name": "cifar_resnet20", "options": 3, "labels": null, "preprocess": null, "naming": "a"}',
    "labels of another kind": b'{"name": "cifar_resnet20", "options": {}, "labels": 3, "preprocess": null, "naming": "a"}',
    "a stage that is text": b'{"name": "cifar_resnet20", "options": {"stages": "abc"}, "labels": null, "preprocess": null, '
    b'"naming": "a"}',
}


@pytest.mark.parametrize("kind", RECORDS)
def test_a_malformed_record_is_one_line(tmp_path, imported, kind):
    shutil.copytree(imported, tmp_path / "w")
    (tmp_path / "w" / "weights.json").write_bytes(RECORDS[kind])
    with pytest.raises(UserError) as caught:
        open_weights(tmp_path / "w")
    assert "weights.json" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_tokenizer_that_is_none():
    pytest.importorskip("tokenizers")
    for text in ("{}", "", '{"version": "1.0", "model": {"type": "BPE", "vocab": 3}}'):
        with pytest.raises(UserError) as caught:
            HuggingFace(text).encode("a")
        assert "\n" not in str(caught.value)
