"""Hugging Face `datasets`: sets of the hub, and folders and files in its formats, as the sets of jaxdl.

    hub.dataset("mnist", batch=64)                            of the hub, or of its cache
    hub.dataset("data/pets", batch=64, size=64)               what `save_to_disk` wrote, or parquet, json, arrow and csv files
    hub.dataset("imagenet-1k", batch=256, stream=True)        images that do not fit into memory

The declared features decide which of jaxdl's sets it becomes: images, texts, recordings, or columns.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from jaxdl.data.arrays import TARGETS
from jaxdl.data.audio.soundfiles import read_audio, to_int16
from jaxdl.data.audio.spectrogram import LogMel
from jaxdl.data.audio.speech import Recordings, padded_samples
from jaxdl.data.huggingface import PARTS, hub_splits, local_splits, with_classes
from jaxdl.data.image.images import StreamedImages, sizes
from jaxdl.data.image.memory import images
from jaxdl.data.image.reader import open_image
from jaxdl.data.splits import with_all_parts
from jaxdl.data.table.columns import from_columns
from jaxdl.data.text.text_classes import Labelled, texts
from jaxdl.data.text.tokenizers import kept
from jaxdl.data.tfds import Encoded, content_of
from jaxdl.data.walker import tell
from jaxdl.types import Data, UserError

TEXTS = ("text", "sentence")
"""Columns that are a text, whatever stands beside them."""


def dataset(
    name: str | Path,
    *,
    batch: int,
    x: str | Sequence[str] | None = None,
    y: str | None = None,
    config: str | None = None,
    revision: str | None = None,
    stream: bool = False,
    **options: Any,
) -> Data:
    """A data set of the hub, or of a file or a folder, as the set that its features declare.

        Image          `image.vision.Images`; `size=` brings them to one shape; with `stream` `image.images.StreamedImages`
        Audio          `audio.speech.Recordings`, `rate=` and `mels=`
        one string     `text.text_classes.Texts`, with the options of `text_classes.texts`
        anything else  as `table.columns.from_columns` makes it: several columns are a table

    The splits train, validation and test are kept; of those that are missing, equal examples stay in one part of the draw. Splits
    of other names, and those without labels (-1), are left out with a warning.

    Args:
        name: "mnist", "owner/name"; or the path of a file, of a folder of files of one kind, or of what `save_to_disk` wrote.
        batch: examples in a training step.
        x: the column of inputs, or several for a table; None: the one that is no target, or the image, audio, or text.
        y: the column of targets; None: the one of the type ClassLabel, or called label, target, and so on.
        config: the configuration of a set that has several.
        revision: a commit, tag or branch of the hub. A full commit is read from the cache, without a network.
        stream: read images while training.
        options: of the set that it becomes.

    Raises:
        MissingPackage: without `datasets`.
        FileNotFoundError: for a set that is neither on this machine nor to be reached.
        UserError: for columns that do not decide the set, and files that are not readable.
    """
    where = Path(name).expanduser()
    local = where if where.exists() else None
    inside = [local] if local is None or local.is_file() else sorted(local.rglob("*"))
    stamp = tuple((str(p), p.stat().st_mtime_ns, p.stat().st_size) for p in inside if p and p.is_file())
    nothing: Any = lambda: None
    columns = x if x is None or isinstance(x, str) else tuple(x)
    frozen = tuple(sorted((key, tuple(value) if isinstance(value, list) else value) for key, value in options.items()))
    return _dataset(
        str(name), local, stamp, batch, columns, y, config, revision, stream, frozen, kept("tokenizer", nothing)
    )


@cache
def _dataset(name, local, stamp, batch, x, y, config, revision, stream, options, tokenizer) -> Data:
    del stamp, tokenizer  # part of the cache's key: edited files, a run's own tokenizer
    found = local_splits(local, config, revision) if local else hub_splits(name, config, revision)
    name = local.resolve().name if local else name
    features = found["train"].features if "train" in found else {}
    x, y = _columns(features, x, y, name)
    parts, notes = _parts(found, y, name)
    tell(name, notes)
    kind, classes = _kind(features, x), tuple(getattr(features[y], "names", None) or ())
    if kind in ("Image", "Audio") and not classes:
        parts, classes = with_classes(parts, y)
    if stream and kind != "Image":
        raise UserError(f"{name}: stream=True is for images, and {x!r} is {kind}")
    build = _streamed if stream else {"Image": _images, "Audio": _sounds, "string": _texts}.get(kind, _table)
    try:
        return build(parts, x, y, classes, batch=batch, name=name, **dict(options))
    except TypeError as error:  # an option that this kind of set does not have
        if "unexpected keyword" not in str(error):
            raise
        raise UserError(f"{name}: {' '.join(str(error).split()).partition(' got ')[2]} ({kind} as inputs)") from None


def _kind(features: Mapping[str, Any], x: Any) -> str:
    """Image, Audio, string, another type of `datasets`, or table."""
    if not isinstance(x, str):
        return "table"
    feature = features[x]
    return "string" if "string" in getattr(feature, "dtype", "") else type(feature).__name__


def _columns(features: Mapping[str, Any], x: Any, y: str | None, name: str) -> tuple[Any, str]:
    """The columns of inputs and of targets."""
    if not features:
        raise UserError(f"{name}: has no split called train")
    listed = f"it has {', '.join(f'{column} ({_kind(features, column)})' for column in features)}"
    for column in (*((x,) if isinstance(x, str) else x or ()), *((y,) if y else ())):
        if column not in features:
            raise UserError(f"{name}: has no column {column!r}; {listed}")
    if y is None:
        given = {x} if isinstance(x, str) else set(x or ())
        labels = [column for column in features if _kind(features, column) == "ClassLabel" and column not in given]
        named = [column for column in TARGETS if column in features and column not in given]
        if len(labels) > 1 or not (labels or named):
            raise UserError(f"{name}: which column is the target? give y=; {listed}")
        y = (labels or named)[0]
    if x is None:
        rest = {column: _kind(features, column) for column in features if column != y}
        for kind in ("Image", "Audio"):
            if kind in rest.values():
                rest = {column: other for column, other in rest.items() if other == kind}
        texts = [column for column in TEXTS if rest.get(column) == "string"]
        if len(rest) > 1 and len(texts) != 1 and {"Image", "Audio"} & set(rest.values()):
            raise UserError(f"{name}: which column is the input? give x=; {listed}")
        x = texts[0] if len(texts) == 1 else next(iter(rest)) if len(rest) == 1 else tuple(rest)
    return x, y


def _parts(found: Mapping[str, Any], y: str, name: str) -> tuple[dict[str, Any], list[str]]:
    """The splits that are read, by part, undecoded; and notes on those that are not."""
    parts, notes = {}, []
    for split, rows in found.items():
        part = PARTS.get(split)
        if part is None or part in parts:
            notes.append(f"split {split} ({len(rows)} examples) is not read")
            continue
        features = rows.features
        if type(features.get(y)).__name__ == "ClassLabel" and set(rows.with_format("numpy")[y][:1000]) == {-1}:
            notes.append(f"split {split} has no labels and is not read")
            continue
        for column, feature in features.items():
            if type(feature).__name__ in ("Image", "Audio"):
                rows = rows.cast_column(column, type(feature)(decode=False))
        parts[part] = rows
    return parts, notes


def _drawn(parts: Mapping[str, Any], x: str, y: str, name: str) -> tuple[dict[str, Any], str]:
    """Training, validation and test rows, and a sentence on them; what is missing is drawn from train, equal inputs together."""
    known: dict[Any, int] = {}
    arrays = {}
    for part, rows in parts.items():
        number = group = np.arange(len(rows))
        if part == "train" and len(parts) < 3:
            cells = rows.select_columns([x])[x]
            keys = (hash(cell if isinstance(cell, str) else content_of(cell)) for cell in cells)
            group = np.array([known.setdefault(key, len(known)) for key in keys])
        arrays[part] = {"x": group, "y": _labels(rows, y), "row": number, "from": np.full(len(rows), part)}
    made, sentence = with_all_parts(arrays, source=name)
    return {part: parts[str(one["from"][0])].select(one["row"]) for part, one in made.items()}, sentence


def _labels(rows: Any, y: str) -> np.ndarray:
    return np.asarray(rows.with_format("numpy")[y][:])


def _decoded(rows: Any, x: str, size: Any, channels: int | None, name: str) -> np.ndarray:
    from PIL import Image, ImageOps

    found = []
    for i, row in enumerate(rows.select_columns([x])):
        if channels is None:
            mode = Image.open(BytesIO(content_of(row[x]))).mode
            channels = 1 if mode in ("1", "L", "F") or mode.startswith("I") else 3
        image = open_image(BytesIO(content_of(row[x])), channels=channels, name=f"{name}, {x} {i}")
        if size is not None:
            image = ImageOps.fit(
                image, (size, size) if isinstance(size, int) else size[::-1], Image.Resampling.BILINEAR
            )
        found.append(np.asarray(image).reshape(*image.size[::-1], channels))
        if (here := found[-1].shape[:2]) != (first := found[0].shape[:2]):
            raise UserError(
                f"{name}: image {i} has {here} pixels, the first {first}; give size=, to which all are brought"
            )
    return np.stack(found)


def _images(parts, x, y, classes, *, batch, name, size=None, channels=None) -> Data:
    made = {}
    for part, rows in parts.items():
        made[part] = _decoded(rows, x, size, channels, f"{name}, {part}"), _labels(rows, y)
        channels = made[part][0].shape[-1]
    return images(made.pop("train"), batch=batch, name=name, classes=classes, **made)


def _streamed(parts, x, y, classes, *, batch, name, image=224, workers=None, **options) -> Data:
    drawn, sentence = _drawn(parts, x, y, name)
    records = {part: Encoded(rows.select_columns([x, y]), x, y, _labels(rows, y)) for part, rows in drawn.items()}
    fields = sizes(batch, image, workers, options)
    return StreamedImages(records, batch, classes, name=name, split=sentence, **fields)


def _texts(parts, x, y, classes, *, batch, name, **options) -> Data:
    drawn, sentence = _drawn(parts, x, y, name)
    ends = np.cumsum([len(rows) for rows in drawn.values()])
    rows = {part: np.arange(end - len(drawn[part]), end) for part, end in zip(drawn, ends, strict=True)}
    labels = [classes[label] if classes else str(label) for part in drawn.values() for label in part[y]]
    found = [text for part in drawn.values() for text in part[x]]
    labelled = Labelled(tuple(found), tuple(labels), tuple(map(str, range(len(found)))))
    return texts(labelled, batch=batch, name=name, column=x, given=(rows, sentence), **options)


def _sounds(parts, x, y, classes, *, batch, name, rate=16000, mels=40) -> Data:
    drawn, sentence = _drawn(parts, x, y, name)
    sounds = {
        part: [
            to_int16(read_audio(content_of(cell), rate=rate, name=f"{name}, {part}, {x} {i}")[0])
            for i, cell in enumerate(rows.select_columns([x])[x])
        ]
        for part, rows in drawn.items()
    }
    longest = max(len(sound) for found in sounds.values() for sound in found)
    splits = {
        part: {"x": padded_samples(found, longest), "y": _labels(drawn[part], y).astype(np.int32)}
        for part, found in sounds.items()
    }
    sentence += f"; up to {longest / rate:.2f} s long"
    return Recordings(splits, batch, LogMel(rate, mels), name=name, split=sentence, classes=classes, rate=rate)


def _table(parts, x, y, classes, *, batch, name) -> Data:
    """Columns as `from_columns` takes them, with the names of classes in place of their numbers."""
    chosen = [x] if isinstance(x, str) else [*x]
    made = {}
    for part, rows in parts.items():
        columns = rows.select_columns([*chosen, y])[:]
        for column, feature in rows.features.items():
            if column in columns and _kind(rows.features, column) == "ClassLabel":
                columns[column] = [None if label is None else feature.names[label] for label in columns[column]]
        made[part] = columns
    return from_columns(made, x=x if isinstance(x, str) else chosen, y=y, batch=batch, name=name, classes=classes)
