"""Reading weight files: every format that PyTorch wrote, damaged and hostile ones."""

import collections
import io
import json
import os
import pickle
import zipfile

import ml_dtypes
import numpy as np
import pytest

from jaxdl.pretrained.files import read_tensors, write
from jaxdl.types import UserError

ARRAYS = {
    "conv.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2),
    "fc.bias": np.array([0.5, -1.0], np.float16),
    "steps": np.array(7, np.int64),
    "empty": np.zeros((0, 3), np.float32),
}


def same(actual, expected):
    assert set(actual) == set(expected)
    for name, array in expected.items():
        assert actual[name].dtype == array.dtype
        np.testing.assert_array_equal(actual[name], array)


def test_safetensors(tmp_path):
    write(tmp_path / "model.safetensors", ARRAYS)
    same(read_tensors(tmp_path / "model.safetensors"), ARRAYS)
    same(read_tensors(tmp_path), ARRAYS)


def test_a_safetensors_file_that_begins_like_a_pickle(tmp_path):
    for size in range(200):  # the header's length is the file's first byte
        write(tmp_path / "w.safetensors", {"a" * size + "b": ARRAYS["fc.bias"]})
        if (tmp_path / "w.safetensors").read_bytes()[0] == 0x80:
            break
    assert size < 199
    same(read_tensors(tmp_path / "w.safetensors"), {"a" * size + "b": ARRAYS["fc.bias"]})


def test_sharded_folder(tmp_path):
    names = list(ARRAYS)
    for shard, part in (("a.safetensors", names[:2]), ("b.safetensors", names[2:])):
        write(tmp_path / shard, {name: ARRAYS[name] for name in part})
    weight_map = {name: "a.safetensors" if name in names[:2] else "b.safetensors" for name in names}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}), encoding="utf-8")
    same(read_tensors(tmp_path), ARRAYS)


def test_what_is_no_weight_file(tmp_path):
    (tmp_path / "a.pth").write_text("hello, I am text", encoding="utf-8")
    with pytest.raises(UserError, match=r"a\.pth"):
        read_tensors(tmp_path / "a.pth")
    (tmp_path / "b.pth").write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(UserError, match=r"b\.pth"):
        read_tensors(tmp_path / "b.pth")
    with zipfile.ZipFile(tmp_path / "c.pth", "w") as archive:
        archive.writestr("hello.txt", "hello")
    with pytest.raises(UserError, match=r"c\.pth"):
        read_tensors(tmp_path / "c.pth")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match=r"folder.*model\.safetensors"):
        read_tensors(tmp_path / "folder")


class Bomb:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.mkdir, (self.target,)


def zipped(path, payload, **storages):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", payload)
        for key, data in storages.items():
            archive.writestr(f"archive/data/{key}", data)


def test_a_hostile_pickle_does_nothing(tmp_path):
    target = str(tmp_path / "exploded")
    assert pickle.loads(pickle.dumps(Bomb(target))) is None
    assert os.path.isdir(target)
    os.rmdir(target)
    zipped(tmp_path / "bomb.pth", pickle.dumps({"state_dict": Bomb(target)}))
    with pytest.raises(UserError, match=r"bomb\.pth.*dict.*state_dict"):
        read_tensors(tmp_path / "bomb.pth")
    assert not os.path.exists(target)


class FakeStorage:
    """Pickles as PyTorch's persistent id of `count` float32 elements."""

    def __init__(self, count):
        self.count = count


class TorchPickler(pickle.Pickler):
    def persistent_id(self, obj):
        if isinstance(obj, FakeStorage):
            return "storage", FloatStorage, "0", "cpu", obj.count
        return None

    def reducer_override(self, obj):
        if isinstance(obj, FakeTensor):
            return _rebuild_tensor_v2, obj.arguments
        return NotImplemented


class FakeTensor:
    def __init__(self, *arguments):
        self.arguments = arguments


class FloatStorage:
    pass


def _rebuild_tensor_v2(*_):
    raise AssertionError("never called")


FloatStorage.__module__, _rebuild_tensor_v2.__module__ = "torch", "torch._utils"
FloatStorage.__qualname__ = "FloatStorage"


def fake_file(path, monkeypatch, size, stride, offset=0, elements=4):
    """A PyTorch file made without PyTorch."""
    import sys
    import types

    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    torch.FloatStorage, utils._rebuild_tensor_v2, torch._utils = FloatStorage, _rebuild_tensor_v2, utils
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)
    buffer = io.BytesIO()
    tensor = FakeTensor(FakeStorage(elements), offset, size, stride, False, collections.OrderedDict())
    TorchPickler(buffer, 2).dump(collections.OrderedDict(w=tensor))
    zipped(path, buffer.getvalue(), **{"0": np.arange(elements, dtype=np.float32).tobytes()})


def test_a_file_made_without_pytorch(tmp_path, monkeypatch):
    fake_file(tmp_path / "w.pth", monkeypatch, (2, 2), (1, 2))
    np.testing.assert_array_equal(read_tensors(tmp_path / "w.pth")["w"], [[0, 2], [1, 3]])


@pytest.mark.parametrize(("size", "stride", "offset"), [((5,), (1,), 0), ((2, 2), (2, 1), 1), ((2,), (-1,), 1)])
def test_a_view_beyond_its_storage(tmp_path, monkeypatch, size, stride, offset):
    fake_file(tmp_path / "w.pth", monkeypatch, size, stride, offset)
    with pytest.raises(UserError, match=r"4 elements|stride"):
        read_tensors(tmp_path / "w.pth")


# -- what PyTorch itself writes ---------------------------------------------------------------------------------------


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


@pytest.mark.parity
@pytest.mark.parametrize("zip_file", [True, False], ids=["zip", "before 1.6"])
def test_pytorch_files(tmp_path, torch, zip_file):
    base = torch.arange(12.0).reshape(3, 4)
    state = {
        "plain": base,
        "transposed view": base.T,
        "column": base[:, 1],
        "half": torch.tensor([0.5, 2.0]).half(),
        "brain": torch.tensor([0.5, 3.0]).bfloat16(),
        "integers": torch.tensor([[1, -2]]),
        "flags": torch.tensor([True, False]),
        "scalar": torch.tensor(3.0),
        "parameter": torch.nn.Parameter(torch.ones(2)),
    }
    torch.save(state, tmp_path / "w.pth", _use_new_zipfile_serialization=zip_file)
    arrays = read_tensors(tmp_path / "w.pth")
    assert set(arrays) == set(state)
    for name, tensor in state.items():
        expected = tensor.detach()
        if name == "brain":
            assert arrays[name].dtype == ml_dtypes.bfloat16
            expected = expected.float()
        np.testing.assert_array_equal(arrays[name].astype(expected.numpy().dtype), expected.numpy())


@pytest.mark.parity
def test_training_checkpoints(tmp_path, torch):
    import argparse

    weights = {"a": torch.ones(2)}
    for key in ("state_dict", "model"):
        saved = {"epoch": 3, key: weights, "args": argparse.Namespace(lr=1.0), "best": torch.tensor(0.7)}
        torch.save(saved, tmp_path / "w.pth")
        assert set(read_tensors(tmp_path / "w.pth")) == {"a"}


@pytest.mark.parity
def test_a_whole_pickled_model_is_refused(tmp_path, torch):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "w.pth")
    with pytest.raises(UserError, match=r"torch\.nn\.modules\.linear\.Linear.*state_dict"):
        read_tensors(tmp_path / "w.pth")


@pytest.mark.parity
def test_bfloat16_safetensors_of_pytorch(tmp_path, torch):
    pytest.importorskip("safetensors.torch").save_file(
        {"a": torch.tensor([0.5, 3.0]).bfloat16()}, tmp_path / "w.safetensors"
    )
    np.testing.assert_array_equal(read_tensors(tmp_path / "w.safetensors")["a"].astype(np.float32), [0.5, 3.0])
