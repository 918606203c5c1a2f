"""tensorflow-datasets, read without TensorFlow and without a network: the only module that imports it.

Preparing a set (once) needs TensorFlow and usually a network; reading what was prepared as array_record or parquet needs neither.
So this module looks for prepared files first, and says at once what to run where there are none: a download that is
tried without a network hangs for minutes.
"""

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from jaxdl import extras
from jaxdl.types import UserError

READABLE = ("array_record", "parquet")


def data_folder(data_dir: str | Path | None = None) -> Path:
    """Where prepared sets lie: `data_dir`, else $TFDS_DATA_DIR, else ~/tensorflow_datasets."""
    return Path(data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()


def prepared(name: str, *, data_dir: str | Path | None = None) -> Path:
    """The folder of a prepared set, its newest version unless `name` says which; touches no network and starts no library.

    Args:
        name: as in tensorflow-datasets: "mnist", "mnist:3.0.1", "glue/sst2".
        data_dir: see `data_folder`.

    Errors: `FileNotFoundError`, one line that says how to prepare it.
    """
    base, _, version = name.partition(":")
    root = data_folder(data_dir)
    found = [path.parent for path in (root / base).glob(f"{version or '*'}/dataset_info.json")]
    found = [path for path in found if path.name.replace(".", "").isdigit()]
    if not found:
        configs = sorted({path.parents[1].name for path in (root / base).glob("*/*/dataset_info.json")})
        if configs:
            raise FileNotFoundError(
                f"{name} has several configurations in {root}: say {base}/{f' or {base}/'.join(configs)}"
            )
        raise FileNotFoundError(
            f"{name} is not prepared in {root}: name a folder that holds its files (--folder), or {_advice(name)}"
        )
    return max(found, key=lambda path: tuple(int(part) for part in path.name.split(".")))


def builder(name: str, *, data_dir: str | Path | None = None) -> Any:
    """A read-only builder of a prepared set: `.info`, and `.as_data_source(split)` with random access.

    Errors: as `prepared`; `ValueError` if the set was prepared as tfrecord, which only TensorFlow reads.
    """
    folder = prepared(name, data_dir=data_dir)
    import tensorflow_datasets

    with _quiet():
        try:
            found = tensorflow_datasets.builder_from_directory(folder)
        except Exception as error:  # whatever its JSON readers raise
            raise UserError(f"{folder}: is a damaged data set ({' '.join(str(error).split())[:200]})") from None
        ready = found.is_prepared()
    if not ready:
        raise FileNotFoundError(f"{folder}: preparing {name} did not finish; {_advice(name)}")
    if found.info.file_format.value not in READABLE:
        raise UserError(
            f"{folder}: {name} was prepared as {found.info.file_format.value}; delete it and {_advice(name)}"
        )
    return found


def load_arrays(
    name: str,
    *,
    splits: Sequence[str] = ("train", "test"),
    keys: Sequence[str] = ("image", "label"),
    data_dir: str | Path | None = None,
) -> tuple[dict[str, dict[str, np.ndarray]], Mapping[str, tuple[str, ...]]]:
    """Whole splits as arrays, for sets that fit into memory, and the names of the classes of each label.

    Args:
        name: see `prepared`.
        splits: in the language of tensorflow-datasets: "train", "train[:25%]", ...
        keys: features of one shape; for others use `builder(name).as_data_source(split)`.
        data_dir: see `data_folder`.
    """
    source = builder(name, data_dir=data_dir)
    features = source.info.features
    for key in keys:
        if key not in features:
            raise UserError(f"{name} has no feature {key!r}; it has {', '.join(sorted(features))}")
    for split in splits:
        if split.partition("[")[0] not in source.info.splits:
            raise UserError(f"{name} has no split {split!r}; it has {', '.join(sorted(source.info.splits))}")
    with _quiet():
        arrays = {split: _stack(source.as_data_source(split), keys, f"{name}, {split}") for split in splits}
    return arrays, {key: tuple(features[key].names) for key in keys if getattr(features[key], "names", None)}


class Encoded:
    """A split of images, undecoded: index -> (content of the image file, label). Rows are read where they are needed."""

    def __init__(self, rows: Any, x: str = "image", y: str = "label", labels: np.ndarray | None = None):
        self.rows, self.x, self.y, self.labels = rows, x, y, labels

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[bytes, int]:
        row = self.rows[int(index)]
        return content_of(row[self.x]), int(row[self.y])


def content_of(cell: bytes | Mapping[str, Any]) -> bytes:
    """The content of an image or a recording: bytes, or `bytes` or the `path` of a file as Hugging Face keeps it."""
    if isinstance(cell, bytes):
        return cell
    return cell["bytes"] if cell["bytes"] is not None else Path(cell["path"]).read_bytes()


def encoded(name: str, *, data_dir: str | Path | None = None) -> tuple[dict[str, Encoded], tuple[str, ...]]:
    """The splits train, validation and test of a set of images, with random access, and the names of its classes.

    Where there is no validation split, `test` stands for it. Errors: see `builder`; `ValueError` without images and labels.
    """
    found = builder(name, data_dir=data_dir)
    features = found.info.features
    if not {"image", "label"} <= set(features) or not getattr(features["label"], "names", None):
        raise UserError(f"{name} has no 'image' with a 'label' of named classes; it has {', '.join(sorted(features))}")
    there = [split for split in ("train", "validation", "test") if split in found.info.splits]
    if "train" not in there or len(there) < 2:
        raise UserError(
            f"{name} needs the splits train and validation (or test); it has {', '.join(found.info.splits)}"
        )
    if "validation" in there:
        there = ["train", "validation"]  # test splits beside one, such as ImageNet's, are most often without labels
    from tensorflow_datasets import decode

    with _quiet():
        sources = {s: found.as_data_source(s, decoders={"image": decode.SkipDecoding()}) for s in there}
    parts = {"validation" if split == "test" else split: Encoded(source) for split, source in sources.items()}
    return parts, tuple(features["label"].names)


def _stack(records: Sequence[Mapping[str, Any]], keys: Sequence[str], source: str) -> dict[str, np.ndarray]:
    first = {key: np.asarray(records[0][key]) for key in keys}
    arrays = {key: np.empty((len(records), *value.shape), value.dtype) for key, value in first.items()}
    for i, record in enumerate(records):
        for key, array in arrays.items():
            value = np.asarray(record[key])
            if value.shape != array.shape[1:]:
                raise UserError(f"{source}: {key!r} has the shape {array.shape[1:]} in record 0, {value.shape} in {i}")
            array[i] = value
    return arrays


def _advice(name: str) -> str:
    return f"run once, with a network: {extras.command('tfds')} && tfds build {name} --file_format=array_record"


@contextmanager
def _quiet() -> Iterator[None]:
    """Without absl's warnings about decoders that are not installed."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
