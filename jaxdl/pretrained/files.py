"""Read weight files as dictionaries of NumPy arrays, without executing anything in them.

PyTorch's `.pth`, `.pt` and `.bin` files are pickles, which can run any code when they are opened. The unpickler here knows
tensors and plain values only; objects of every other class become an inert `Opaque`.
"""

import io
import json
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import ml_dtypes
import numpy as np

from jaxdl.types import UserError

SAFETENSORS = {
    **{f"F{bits}": np.dtype(f"float{bits}") for bits in (16, 32, 64)},
    **{f"I{bits}": np.dtype(f"int{bits}") for bits in (8, 16, 32, 64)},
    **{f"U{bits}": np.dtype(f"uint{bits}") for bits in (8, 16, 32, 64)},
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "BOOL": np.dtype(np.bool_),
}
DTYPES = {
    "DoubleStorage": np.float64,
    "FloatStorage": np.float32,
    "HalfStorage": np.float16,
    "BFloat16Storage": ml_dtypes.bfloat16,
    "LongStorage": np.int64,
    "IntStorage": np.int32,
    "ShortStorage": np.int16,
    "CharStorage": np.int8,
    "ByteStorage": np.uint8,
    "BoolStorage": np.bool_,
}
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
NESTED = ("state_dict", "model", "model_state_dict", "module", "params")
"""Names under which training scripts store the weights in a checkpoint."""


REPEATED = 2**20
"""Largest number of elements that a tensor may have in excess of its storage (views of stride 0, made by `expand`)."""


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn every exception that the content of a file causes into a UserError of one line."""
    try:
        yield
    except UserError:
        raise
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    except Exception as error:  # the parsers of other libraries do not document what they raise
        first = str(error).partition("\n")[0]
        raise UserError(f"{path} is damaged or of another form ({type(error).__name__}: {first})") from error


def read_json(path: Path, kind: type = dict) -> Any:
    """Read the object (or, with `kind`, the list) in a JSON file. Raises UserError for anything else."""
    with reading(path):
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, kind):
            wanted = "an object with names" if kind is dict else f"a {kind.__name__}"
            raise UserError(f"{path} holds a {type(found).__name__} instead of {wanted}")
        return found


def config_beside(path: str | Path) -> Path:
    """The `config.json` of weights, a file or a folder, whether it exists or not."""
    return (Path(path) if Path(path).is_dir() else Path(path).parent) / "config.json"


def read_tensors(path: str | Path) -> dict[str, np.ndarray]:
    """Read the arrays, by name, of a safetensors file, a PyTorch file, or a folder that holds one of them.

    PyTorch files may be older than version 1.6, and Hugging Face's folders may be sharded. Raises UserError if the file is of
    another kind, is damaged or holds no tensors.
    """
    path = Path(path)
    if path.is_dir():
        names = (
            "model.safetensors",
            "model.safetensors.index.json",
            "pytorch_model.bin",
            "pytorch_model.bin.index.json",
        )
        found = [path / name for name in names if (path / name).is_file()]
        if not found:
            raise UserError(f"{path} holds none of {', '.join(names)}")
        path = found[0]
    if path.suffix == ".json":
        return {name: array for shard in _shards(path) for name, array in read_tensors(shard).items()}
    with reading(path), path.open("rb") as file:
        head = file.read(16)
        file.seek(0)
        if head[:4] == b"PK\x03\x04":
            return tensors_of(_read_zip(file, path), path)
        # a length, then JSON; tested before pickles, because the length may begin with a pickle's first byte
        if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < path.stat().st_size:
            return _read_safetensors(file.read())
        if head[:1] == b"\x80":
            return tensors_of(_read_legacy(file, path), path)
    raise UserError(f"{path} is neither a safetensors nor a PyTorch file")


def _shards(index: Path) -> list[Path]:
    """Files that an index names. All must be in the folder of the index."""
    names = read_json(index).get("weight_map")
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        raise UserError(f"{index} is no index of weights: it has no weight_map of tensors and files")
    shards = sorted(set(names.values()))
    for shard in shards:
        if Path(shard).name != shard or "\\" in shard or shard.endswith(".json"):
            raise UserError(f"{index} names the file {shard!r}: files of weights must be in the folder of the index")
        if not (index.parent / shard).is_file():
            raise UserError(f"{index} names the file {shard!r}, which is missing")
    return [index.parent / shard for shard in shards]


def _read_safetensors(data: bytes) -> dict[str, np.ndarray]:
    from safetensors import deserialize

    out = {}
    for name, tensor in deserialize(data):
        if tensor["dtype"] not in SAFETENSORS:
            raise UserError(f"{name} has elements of type {tensor['dtype']}, which is none of {', '.join(SAFETENSORS)}")
        out[name] = np.frombuffer(tensor["data"], SAFETENSORS[tensor["dtype"]]).reshape(tensor["shape"])
    return out


def write(path: str | Path, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str] | None = None) -> None:
    """Write a safetensors file, which PyTorch's libraries read as well, with the permissions of the user's other files."""
    from safetensors.numpy import save_file

    contiguous = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    Path(path).touch()
    mode = Path(path).stat().st_mode  # save_file replaces the file by one that only its owner may read
    save_file(contiguous, str(path), metadata=dict(metadata or {"format": "pt"}))
    Path(path).chmod(mode)


def tensors_of(tree: Any, path: Path) -> dict[str, np.ndarray]:
    """Find the weights in a checkpoint: the dictionary, possibly nested, that holds arrays."""
    if isinstance(tree, Mapping):
        for part in (*(tree.get(name) for name in NESTED), tree, *tree.values()):
            if isinstance(part, Mapping):
                arrays = {str(name): value for name, value in part.items() if isinstance(value, np.ndarray)}
                if arrays:
                    return arrays
    what = tree.name if isinstance(tree, Opaque) else type(tree).__name__
    raise UserError(f"{path} holds no dictionary of tensors but a {what}: save model.state_dict() instead of the model")


# -- pickles ----------------------------------------------------------------------------------------------------------


class Opaque:
    """Placeholder for an object of any class that is not needed to read tensors. It ignores its state."""

    name = "unknown object"

    def __new__(cls, *args: Any, **options: Any) -> "Opaque":
        return super().__new__(cls)

    def __init__(self, *args: Any, **options: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def append(self, item: Any) -> None:
        pass

    def extend(self, items: Any) -> None:
        pass


def _tensor(storage: np.ndarray, offset: int, size: tuple, stride: tuple, *_: Any) -> np.ndarray:
    """PyTorch's `_rebuild_tensor_v2`. A view must be within its storage."""
    if offset < 0 or min(stride, default=0) < 0 or min(size, default=0) < 0:
        raise UserError(f"a tensor has offset {offset}, size {size} and stride {stride}")
    last = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
    if 0 not in size and last >= len(storage):
        raise UserError(f"a tensor of shape {size} reaches beyond its storage of {len(storage)} elements")
    if 0 in size:
        return np.zeros(size, storage.dtype)
    if prod(size) > len(storage) + REPEATED:
        raise UserError(f"a tensor of shape {size} and stride {stride} repeats a storage of {len(storage)} elements")
    item = storage.itemsize
    view = np.lib.stride_tricks.as_strided(storage[offset:], size, tuple(s * item for s in stride), writeable=False)
    return np.array(view)


ALLOWED: dict[tuple[str, str], Any] = {
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_parameter"): lambda data, *_: data,
    ("torch", "Size"): tuple,
    ("collections", "OrderedDict"): OrderedDict,
}


class Unpickler(pickle.Unpickler):
    """Unpickler of tensors, dictionaries and plain values; `storages` returns the elements of a persistent id."""

    def __init__(self, file: BinaryIO, storages: Any = None) -> None:
        super().__init__(file, encoding="utf-8")
        self.storages = storages

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in ALLOWED:
            return ALLOWED[module, name]
        if module in ("torch", "torch.storage") and name in DTYPES:
            return DTYPES[name]
        return type("Opaque", (Opaque,), {"name": f"{module}.{name}"})

    def persistent_load(self, pid: Any) -> np.ndarray:
        kind, dtype, key, _, count, *_ = pid
        if kind != "storage" or self.storages is None or (isinstance(dtype, type) and issubclass(dtype, Opaque)):
            raise UserError(f"unknown element type {getattr(dtype, 'name', kind)} in the file")
        return self.storages(str(key), np.dtype(dtype), count)


def _read_zip(file: BinaryIO, path: Path) -> Any:
    """Read a file of PyTorch 1.6 or later: an uncompressed zip with `data.pkl` and one file `data/<key>` per storage."""
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        if sum(entry.file_size for entry in archive.infolist()) > path.stat().st_size:
            raise UserError(f"{path} is a compressed zip file: torch.save compresses nothing")
        found = [name for name in names if name.endswith("/data.pkl")]
        if len(found) != 1:
            raise UserError(f"{path} is a zip file without data.pkl: torch.save did not write it")
        root = found[0].removesuffix("data.pkl")
        order = archive.read(f"{root}byteorder").decode() if f"{root}byteorder" in names else "little"

        def storage(key: str, dtype: np.dtype, count: int) -> np.ndarray:
            elements = np.frombuffer(archive.read(f"{root}data/{key}"), dtype)
            if len(elements) < count:
                raise UserError(f"{path} is damaged: storage {key} has {len(elements)} elements instead of {count}")
            return elements if order == "little" else elements.byteswap()

        return Unpickler(io.BytesIO(archive.read(found[0])), storage).load()


def _read_legacy(file: BinaryIO, path: Path) -> Any:
    """Read a file of PyTorch before 1.6: five pickles (magic number, version, system, object, storage keys), then storages."""
    if Unpickler(file).load() != LEGACY_MAGIC:
        raise UserError(f"{path} is a pickle, but not one of PyTorch's")
    Unpickler(file).load()
    Unpickler(file).load()
    # the elements come after the object that refers to them: make arrays now and fill them below
    storages: dict[str, np.ndarray] = {}
    begin = file.tell()

    def promise(key: str, dtype: np.dtype, count: int) -> np.ndarray:
        if count * dtype.itemsize > path.stat().st_size:
            raise UserError(f"{path} is damaged: storage {key} of {count} elements is larger than the file")
        return storages.setdefault(key, np.zeros(count, dtype))

    Unpickler(file, promise).load()
    for key in Unpickler(file).load():
        count = int(np.frombuffer(file.read(8), np.int64)[0])
        if str(key) not in storages or count != len(storages[str(key)]):
            raise UserError(f"{path} is damaged: storage {key} has {count} elements")
        storages[str(key)][:] = np.frombuffer(file.read(count * storages[str(key)].itemsize), storages[str(key)].dtype)
    file.seek(begin)
    return Unpickler(file, promise).load()
