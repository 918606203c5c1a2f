"""Photographs that do not fit into memory: decoded, cut and resized by worker processes, a few batches ahead of the device.

    data = streamed("imagenet", batch=256, image=224)        folders as in `folder`
    data = prepared("imagenet2012", batch=256)               tensorflow-datasets, prepared as array_record

Position p = draw · batch + row of the endless sequence of epochs decides everything: which example, by the keyed permutation
of `stream`, and which window is cut out of it, by a generator of its own seeded with (seed, p). So a run resumes exactly, and
neither the number of workers nor what was read before is part of the result. Mirroring and colours are left to `jaxdl.augment`,
inside the compiled step.
"""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxdl.counts import check_counts
from jaxdl.data import files, prepare, tfds
from jaxdl.data.arrays import check_batch
from jaxdl.data.image import folder
from jaxdl.data.image.decoding import EvalRow, ImageFiles, Interpolation, Records, TrainRow, centre_crop
from jaxdl.data.image.reader import check_channels, open_image
from jaxdl.data.splits import FRACTIONS, shared, split_rows
from jaxdl.data.workers import Reader, together
from jaxdl.types import Array, Batch, Data, UserError

IMAGENET = prepare.Standardise((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""The channels' mean and deviation that nearly all published ImageNet weights were trained with."""
HALF = prepare.Standardise((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
"""To [-1, 1]."""
SCALE = prepare.Scale(255.0)
COMPARED = 200_000
"""Files up to which given parts are searched for files of train."""


@dataclass(frozen=True, eq=False)
class StreamedImages(Data):
    """A set of images on disk, with the methods of `InMemory`.

    Args:
        records: "train" and any of "validation", "test" -> random access to (path or encoded image, label).
        batch: examples in a training step; evaluation uses it too, and its result does not depend on it.
        classes: names of the classes.
        image: height and width in training, where a window of `scale` times the area and aspect `ratio` is drawn.
        resize, eval_image: in evaluation the shorter side is brought to `resize` and a square of `eval_image` cut out.
        interpolation: of both.
        workers: processes that decode; 0: threads of this process. Not part of the result.
        window: batches on the device at a time; more than one only for tasks that draw several a step.
        standardise: the last transformation, after augmentation.
        name, split: for the report.
    """

    records: Mapping[str, Records]
    batch: int
    classes: tuple[str, ...] = ()
    image: int = 224
    scale: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    resize: int = 256
    eval_image: int = 224
    interpolation: Interpolation = "bilinear"
    workers: int = 0
    window: int = 1
    prepare: Callable[[Batch], Batch] = SCALE
    standardise: Callable[[Batch], Batch] = IMAGENET
    name: str = ""
    split: str = ""
    maximum: float = 255.0
    resident: bool = field(default=False, init=False)
    by_row: bool = field(default=True, init=False)
    """Sources have axes (window, batch, ...): on a mesh every device is given its rows only."""
    splits: Mapping[str, Mapping[str, np.ndarray]] = field(init=False, repr=False)
    readers: dict[Any, Reader] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        check_counts(image=self.image, eval_image=self.eval_image, resize=self.resize, window=self.window)
        check_counts(0, workers=self.workers)
        if self.resize < self.eval_image:
            raise UserError(f"resize = {self.resize} is smaller than what is cut out of it, {self.eval_image}")
        check_batch(self)
        labels = {part: getattr(records, "labels", None) for part, records in self.records.items()}
        splits = {part: {} if y is None else {"y": y} for part, y in labels.items()}
        object.__setattr__(self, "splits", splits)

    def size(self, split: str) -> int:
        """Number of examples of a split."""
        if split not in self.records:
            raise UserError(f"split = {split!r} is not one of {', '.join(self.records)}")
        return len(self.records[split])

    def fingerprint(self) -> str:
        return "-".join(files.fingerprint(Sources(records)) for records in self.records.values())

    def example(self) -> Batch:
        """One raw batch of zeros, for shapes."""
        mask = np.ones(self.batch, np.float32)
        return {**{key: value[0] for key, value in self._blank(1).items()}, "mask": mask}

    def inputs(self) -> np.ndarray:
        """Zeros in the form that predictions are made for: evaluation's, which may be larger than training's."""
        return np.zeros((self.batch, self.eval_image, self.eval_image, 3), np.uint8)

    def _blank(self, count: int) -> dict[str, np.ndarray]:
        x = np.zeros((count, self.batch, self.image, self.image, 3), np.uint8)
        return {"x": x, "y": np.zeros((count, self.batch), np.int32)}

    def blank_source(self) -> dict[str, np.ndarray]:
        """A source of zeros: its shapes, without reading anything."""
        return self._blank(self.window)

    def source(self, start: int, stop: int, seed: int) -> Mapping[str, np.ndarray]:
        """The batches `start` … `stop`-1, each in the slot of its number modulo `window`; the other slots are zero."""
        if stop - start > self.window:
            raise UserError(f"window = {self.window}: this task draws {stop - start} batches a step; give it as many")
        name, window = f"{self.name}, train", (self.scale, self.ratio, self.interpolation)
        reader = self._reader(("train", seed), TrainRow(self.records["train"], seed, self.image, *window, name))
        found = self._blank(self.window)
        for draw in range(start, stop):
            for key, value in reader.read(draw).items():
                found[key][draw % self.window] = value
        return found

    def span(self, draw: int) -> int:
        """How many draws from `draw` on one source may serve."""
        return self.window

    def train_batch(self, source: Mapping[str, Array], seed: Any, draw: Any) -> Batch:
        """The raw batch of a draw, picked inside the compiled program."""
        batch = {key: source[key][draw % self.window] for key in ("x", "y")}
        return {**batch, "mask": jnp.ones(self.batch, jnp.float32)}

    def eval_sources(self, split: str) -> Iterator[tuple[int, Mapping[str, np.ndarray]]]:
        """(1, one batch) after another; what is read ahead at the end is the beginning of the next evaluation."""
        count = -(-self.size(split) // self.batch)
        name, sizes = f"{self.name}, {split}", (self.batch, self.resize, self.eval_image)
        reader = self._reader(split, EvalRow(self.records[split], *sizes, self.interpolation, name))
        first = -(-reader.next // count) * count
        for number in range(first, first + count):
            yield 1, {key: value[None] for key, value in reader.read(number).items()}

    def eval_batch(self, source: Mapping[str, Array], index: Any) -> Batch:
        """Batch `index` of a source, with its mask."""
        return {key: source[key][index] for key in ("x", "y", "mask")}

    def read(self, path: str | Path) -> dict[str, np.ndarray]:
        """One image file, or an npy file of images of any size, cut as in evaluation: {"x": (n, eval_image, eval_image, 3)}."""
        given = [path]
        if Path(path).suffix == ".npy":
            x = np.asarray(files.read_npy(path))
            if x.ndim > 2:
                check_channels(x.shape, str(path))
            given = [x] if x.ndim == 2 or (x.ndim == 3 and x.shape[-1] in (1, 3, 4)) else list(x)
        cut = [
            centre_crop(open_image(x, name=str(path)), self.resize, self.eval_image, self.interpolation) for x in given
        ]
        return {"x": np.stack(cut)}

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """The images in several files, so that `run.predict("a.png")` works."""
        return np.concatenate([self.read(path)["x"] for path in texts])

    def _reader(self, key: Any, row: Any) -> Reader:
        if key not in self.readers:
            if key not in self.splits:  # another seed's
                for other in [other for other in self.readers if other not in self.splits]:
                    self.readers.pop(other).close()
            self.readers[key] = Reader(row, self.batch, self.workers)
        return self.readers[key]

    def close(self) -> None:
        """End the workers; they start again when they are needed."""
        together(Reader.close, list(self.readers.values()))


class Sources(Sequence):
    """The files or contents of records, without their labels."""

    def __init__(self, records: Records):
        self.records = records

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: Any) -> Any:
        return self.records[index][0]


def worker_count(workers: int | None, batch_bytes: int) -> int:
    """`workers`, or if None one for each core but one (16 at most); fewer where /dev/shm cannot hold what they read ahead.

    >>> worker_count(3, 1000)
    3
    """
    if workers is not None:
        return workers
    wanted, shared = min(16, max(1, (os.cpu_count() or 1) - 1)), Path("/dev/shm")
    return min(wanted, shutil.disk_usage(shared).free // (6 * batch_bytes)) if shared.is_dir() else wanted


def streamed(
    path: str | Path, *, batch: int, image: int = 224, workers: int | None = None, **options: Any
) -> StreamedImages:
    """The images under `path`, read while training: `train`, `val`, `test` with a folder for each class, as in `folder`.

    A validation part that is missing is a fixed tenth of each class of train; without parts, 15 % each of validation, test.

    Args:
        path: the folder.
        batch: examples in a training step.
        image: height and width in training; evaluation resizes to 8/7 of it and cuts the middle out, unless told otherwise.
        workers: processes that decode; None: see `worker_count`.
        options: see `StreamedImages`.
    """
    return _streamed(Path(path).expanduser(), batch=batch, image=image, workers=workers, **options)


@cache
def _streamed(path: Path, *, batch: int, image: int, workers: int | None, **options: Any) -> StreamedImages:
    records, classes, sentence = _listed(path)
    return StreamedImages(
        records, batch, classes, name=path.resolve().name, split=sentence, **sizes(batch, image, workers, options)
    )


@cache
def prepared_images(
    name: str, *, batch: int, image: int = 224, workers: int | None = None, **options: Any
) -> StreamedImages:
    """A set that tensorflow-datasets has prepared as array_record, read while training; the arguments as of `streamed`.

    Its `image` and `label` are used, and of its splits those called train, validation and test; without a validation split
    `test` validates.
    """
    records, classes = tfds.encoded(name)
    sentence = ", ".join(records) + f" as in tensorflow-datasets' {name}"
    return StreamedImages(records, batch, classes, name=name, split=sentence, **sizes(batch, image, workers, options))


def imagenet(*, folder: str | None = None, **options: Any) -> StreamedImages:
    """ImageNet-1k, 1,281,167 photographs of 1,000 classes. Source: Russakovsky et al. 2015, arXiv:1409.0575.

    From a folder as of `streamed`, which has the other arguments; None: tensorflow-datasets' `imagenet2012`.
    """
    return streamed(folder, **options) if folder else prepared_images("imagenet2012", **options)


def imagenette(*, folder: str | None = None, **options: Any) -> StreamedImages:
    """Ten easy classes of ImageNet, 13,394 photographs. Source: Howard, github.com/fastai/imagenette.

    From a folder, the unpacked archive, as of `streamed`; None: tensorflow-datasets' `imagenette/320px-v2`.
    """
    return streamed(folder, **options) if folder else prepared_images("imagenette/320px-v2", **options)


def sizes(batch: int, image: int, workers: int | None, options: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of `StreamedImages` that follow from the arguments of `streamed`."""
    check_counts(batch=batch, image=image, **{key: options[key] for key in ("eval_image", "resize") if key in options})
    check_counts(0, workers=workers)
    eval_image = options.get("eval_image", image)
    resize = options.get("resize", round(eval_image * 8 / 7))
    sizes = {"image": image, "eval_image": eval_image, "resize": resize}
    return {**options, **sizes, "workers": worker_count(workers, 3 * batch * max(image, eval_image) ** 2)}


@cache
def _listed(path: Path) -> tuple[dict[str, ImageFiles], tuple[str, ...], str]:
    """Files of each part, the classes, and a sentence on the split."""
    listing, notes = folder.parts_and_notes(path)
    classes, found = tuple(listing["train"]), {}
    for part, images in listing.items():
        labels = np.repeat(np.arange(len(classes), dtype=np.int32), [len(images.get(c, ())) for c in classes])
        found[part] = [file for c in classes for file in images.get(c, ())], labels
    every = [file for paths, _ in found.values() for file in paths]
    sentence, given = ", ".join(found) + " as given", "test" in found
    if "validation" not in found or len(every) <= COMPARED:
        number = iter(folder.equal_files(every))
        keys = {part: list(islice(number, len(paths))) for part, (paths, _) in found.items()}
        leak = shared(keys)
    else:
        keys, leak = {}, "; too many files to look for equal ones"
    if "validation" not in found:
        paths, labels = found.pop("train")
        flat = folder.part_folders(path)["train"] == path
        shares = FRACTIONS if flat else {"train": 0.9, "validation": 0.1}
        rows, sentence = split_rows(np.array(keys["train"]), labels, shares, source=str(path), most=1.0)
        sentence = sentence.replace("duplicates stay", "equal files stay") + ("; test as given" if given else "")
        found |= {part: ([paths[i] for i in r], labels[r]) for part, r in rows.items()}
    for _, labels in found.values():
        labels.flags.writeable = False
    records = {part: ImageFiles(*found[part]) for part in folder.PARTS if part in found}
    return records, classes, "; ".join((sentence + leak, *notes))
