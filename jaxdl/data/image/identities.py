"""Images of many identities, split by identity: who is evaluated on was never trained on.

    folder/ann/1.jpg  folder/bob/7.png  …             identities drawn: 70 / 15 / 15 %
    folder/Greek/alpha/1.png  …                       groups of identities (alphabets), whole groups drawn
    folder/train/ann/1.jpg …  folder/val/…  folder/test/…   taken as they are; parts that are missing are drawn from train

An identity is a folder that holds images. A list of pairs to test on sets aside every identity that it names. Numbers count the
identities of train first, so that a loss against classes has as many as `trained(data)`. Everything lives in memory as uint8;
for millions of photographs see `streamed_faces`.
"""

import os
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from jaxdl.counts import check_count, check_counts
from jaxdl.data import prepare
from jaxdl.data.image import images, vision
from jaxdl.data.image.decoding import ImageFiles
from jaxdl.data.image.folder import PARTS, check_memory, check_shape, part_folders
from jaxdl.data.image.pairs import read_pairs
from jaxdl.data.image.reader import open_image, read_images, suffixes
from jaxdl.data.splits import FRACTIONS, draw_names, row_digest, shared
from jaxdl.data.walker import Found, list_files, tell
from jaxdl.types import Batch, UserError

Listing = dict[str, list[str]]
LEAST = 2
"""Identities that a part needs, images that an identity needs (a pair of one, a pair of two)."""


def trained_people(data: vision.Images) -> int:
    """How many identities the training split has; they are numbered 0 … n-1."""
    return int(data.splits["train"]["y"].max()) + 1


@cache
def unseen_digits(*, batch: int = 64, seen: int = 7) -> vision.Images:
    """scikit-learn's digits 0 … seen-1 to train and, other images of them, to validate; the rest, never seen, to test."""
    check_count("seen", seen)
    data = vision.digits(batch=batch)
    parts = {part: dict(split) for part, split in data.splits.items()}
    every = {key: np.concatenate([split[key] for split in parts.values()]) for key in ("x", "y")}
    known = {key: np.concatenate([parts[p][key] for p in ("train", "test")]) for key in ("x", "y")}
    found = {
        "train": _where(known, known["y"] < seen),
        "validation": _where(parts["validation"], parts["validation"]["y"] < seen),
        "test": _where(every, every["y"] >= seen),
    }
    sizes = {part: len(split["y"]) for part, split in found.items()}
    return replace(
        data,
        splits=found,
        standardise=prepare.statistics(found["train"]["x"], maximum=data.maximum),
        name="digits, classes split",
        split=f"{sizes['train']} train and {sizes['validation']} validation images of digits 0 to {seen - 1}; "
        f"{sizes['test']} test images of the digits from {seen} on, which are in no other split",
    )


def identities(
    path: str | Path,
    *,
    batch: int,
    size: int | None = None,
    channels: int = 3,
    least: int | None = None,
    invert: bool = False,
    pairs: str | Path | None = None,
) -> vision.Images:
    """The images under `path`, split by identity.

    Args:
        path: the folder.
        batch: examples in a training step.
        size: height and width that every image is brought to, see `read_image`; None: they all have one size already.
        channels: 3 for colour, 1 for grey.
        least: identities with fewer images are left out; None: an identity with one image is refused.
        invert: white becomes black inside the program, for ink on paper.
        pairs: a list of pairs of images below `path`, which become the test, see `read_pairs`; their identities are in no other.

    Errors: one line each for a folder without identities or with too few, an identity with one image, images of several
    sizes where `size` is None.
    """
    path = Path(path).expanduser()
    check_shape(size, channels)
    check_counts(least=least)
    listed, y = ([], None) if pairs is None else read_pairs(pairs, path)
    found, sentence = parts_by_identity(path, least=least, listed=listed)
    number = {name: i for i, name in enumerate(name for listing in found.values() for name in listing)}
    rows = {part: [(f, number[n]) for n, some in listing.items() for f in some] for part, listing in found.items()}
    if listed:
        rows["test"] = list(zip(listed, map(tuple, y.tolist()), strict=True))
    parts = tuple((part, tuple((f, os.stat(f).st_mtime_ns, y) for f, y in some)) for part, some in rows.items())
    return _decoded(path, parts, tuple(number), batch, size, channels, invert, sentence)


def parts_by_identity(path: Path, *, least: int | None, listed: Sequence[str]) -> tuple[dict[str, Listing], str]:
    """part -> identity -> its image files, all sorted, no identity in two parts; and a sentence on the split.

    Where the test is the images `listed` as pairs, only train and validation, without any identity of these.
    """
    roots = part_folders(path)
    aside = _names(listed, (*roots.values(), path))
    beside = f" beside the {len(aside)} of the list of pairs" if aside else ""
    wanted = [part for part in PARTS if part != "test" or not listed]
    found = {p: _enough(_identities(root, aside), root, least, beside) for p, root in roots.items() if p in wanted}
    for part, listing in found.items():
        shared = next((n for n in listing for other in found if other != part and n in found[other]), None)
        if shared is not None:
            raise UserError(f"{path}: identity {shared!r} is in two parts, so that its test would be no test")
    missing, sentence = [part for part in wanted if part not in found], "identities of each part as given"
    if missing:
        drawn, sentence = _drawn(found["train"], roots["train"], missing, beside)
        sentence += "".join(f"; {part} as given" for part in found if part != "train")
        found |= drawn
    if listed:
        sentence += f"; test: {len(listed) // 2} listed pairs, whose {len(aside)} identities are set aside"
    return {part: found[part] for part in wanted}, sentence


def _names(listed: Sequence[str], roots: Sequence[Path]) -> set[str]:
    """What the identities of these files are called: their folders, from the first of the roots that holds them."""
    folders = {Path(place).resolve() for place in {os.path.dirname(f) for f in listed}}
    tops = [root.resolve() for root in roots]
    return {next((f.relative_to(t).as_posix() for t in tops if f.is_relative_to(t)), str(f)) for f in folders}


def _identities(root: Path, aside: Container[str] = ()) -> Listing:
    """Identity -> images: every folder below `root` that holds images, called by its path from there, but those set aside."""
    inside = list_files(root, suffixes())
    found: Listing = {}
    for file in inside.files:
        place = os.path.dirname(file)
        if place != str(root):
            found.setdefault(os.path.relpath(place, root).replace(os.sep, "/"), []).append(file)
    # what lies beside the folders describes them: lists of pairs, a README
    below = Found(left_out=inside.left_out - list_files(root, suffixes(), deep=False).left_out)
    tell(root, [f"{below.unread()} not read"] if below.left_out else ())
    return {name: found[name] for name in sorted(found) if name not in aside}


def _enough(found: Listing, root: Path, least: int | None, beside: str = "") -> Listing:
    """Without the identities that have too few images, if `least` says so."""
    lonely = next((name for name, images in found.items() if len(images) < LEAST), None)
    if lonely is not None and least is None:
        raise UserError(
            f"{root / lonely}: holds one image, and a pair of one identity needs two; add some, or leave such identities "
            f"out with least = 2"
        )
    kept = {name: images for name, images in found.items() if len(images) >= max(LEAST, least or 0)}
    if len(kept) < LEAST:
        what = f"one identity only, {next(iter(kept))!r}" if kept else "no folder of images of one identity"
        few = f" with {max(LEAST, least)} images or more" if least is not None else ""
        raise UserError(f"{root}: holds {what}{few}{beside}; who is who takes two folders of images at least")
    return kept


def _drawn(found: Listing, path: Path, missing: Sequence[str], beside: str) -> tuple[dict[str, Listing], str]:
    """Train and what is missing: whole groups, or identities where there are none, by a fixed draw; each gets two at least."""
    groups: dict[str, list[str]] = {}
    for name in found:
        groups.setdefault(name.split("/")[0] if all("/" in n for n in found) else name, []).append(name)
    if len(groups) < len(missing) + 1:
        groups = {name: [name] for name in found}
    least = min(len(groups[name]) for name in groups)
    need = -(-LEAST // least)
    counts = {part: max(need, round(FRACTIONS[part] * len(groups))) for part in reversed(missing)}
    if len(groups) - sum(counts.values()) < need:
        raise UserError(
            f"{path}: {len(found)} identities{beside} are too few for the parts {', '.join(('train', *missing))}: "
            f"each needs {LEAST} of its own"
        )
    parts = draw_names(groups, counts)
    listed = {part: {n: found[n] for group in sorted(some) for n in groups[group]} for part, some in parts.items()}
    what = "identities" if len(groups) == len(found) else f"of {len(groups)} groups, the groups"
    sizes = " / ".join(f"{len(listed[part])} {part}" for part in ("train", "validation", "test") if part in listed)
    return listed, f"{sizes} identities, {what} drawn once for every seed; no identity is in two parts"


@cache
def _decoded(
    path: Path, parts: tuple, names: tuple, batch: int, size: int | None, channels: int, invert: bool, sentence: str
) -> vision.Images:
    """`parts`: the name of each and its (file, time of its last change, label) one after another."""
    every = [f for _, rows in parts for f, _, _ in rows]
    shapes = {f: open_image(f).size[::-1] for f in (every if size is None else every[:1])}
    first = every[0]
    if size is None:
        other = next((f for f, shape in shapes.items() if shape != shapes[first]), None)
        if other is not None:
            (h, w), (p, q) = shapes[first], shapes[other]
            raise UserError(f"{other}: is {p}x{q} and {first} is {h}x{w}; give a size that all images are brought to")
    height, width = shapes[first] if size is None else (size, size)
    check_memory(path, len(every), height, width, channels)
    splits = {}
    for part, rows in parts:
        files = [f for f, _, _ in rows]
        x = read_images(files, size=(height, width), channels=channels, source=path)
        y = np.array([y for _, _, y in rows], np.int32)
        x.flags.writeable = y.flags.writeable = False  # one array serves every experiment of the process
        splits[part] = {"x": x, "y": y}
    standardise = prepare.statistics(splits["train"]["x"], maximum=255.0)
    counts = " / ".join(f"{len(split['y'])} {part}" for part, split in splits.items())
    said = f"; images brought to {height}x{width}" if size is not None else ""
    said += shared({part: [row_digest(image) for image in split["x"]] for part, split in splits.items()})
    return vision.Images(
        splits=splits,
        batch=batch,
        prepare=Inverse(255.0) if invert else prepare.Scale(255.0),
        standardise=replace(standardise, mean=tuple(1 - m for m in standardise.mean)) if invert else standardise,
        name=path.resolve().name,
        split=f"{counts} images; {sentence}{said}",
        classes=names,
    )


@dataclass(frozen=True)
class Inverse:
    """Raw values to [0, 1], the other way round: 1 - x / maximum."""

    maximum: float

    def __call__(self, batch: Batch) -> Batch:
        return {**batch, "x": 1 - jnp.asarray(batch["x"], jnp.float32) / self.maximum}


@cache
def streamed_faces(
    folder: str, *, batch: int, pairs: tuple[tuple[str, str, str], ...], image: int = 112, workers: int | None = None
) -> images.StreamedImages:
    """Millions of aligned faces, read while training, and lists of pairs to evaluate on. Who has one image is left out.

    Args:
        folder: one subfolder of images for each identity.
        batch: examples in a training step.
        pairs: (split, list of pairs, folder of its images) each.
        image: height and width that all are brought to, with nothing cut away.
        workers: processes that decode; None: see `images.worker_count`.
    """
    path = Path(folder).expanduser()
    every = _identities(path)
    found = _enough(every, path, LEAST)
    alone = f", {len(every) - len(found)} with one image left out" if len(every) > len(found) else ""
    labels = np.repeat(np.arange(len(found), dtype=np.int32), [len(files) for files in found.values()])
    records = {"train": ImageFiles([f for files in found.values() for f in files], labels)}
    sentences = [f"{len(labels)} train images of {len(found)} identities{alone}"]
    for split, listed, place in pairs:
        listing, numbers = read_pairs(listed, place)
        records[split] = ImageFiles(listing, numbers)
        known = sorted({Path(file).parent.name for file in listing} & found.keys())
        seen = (
            f", in which {len(known)} folders are called like some of training (seen before?): {', '.join(known[:3])}"
        )
        sentences.append(f"{split}: {len(numbers) // 2} pairs of {listed}{seen if known else ''}")
    for record in records.values():
        record.labels.flags.writeable = False
    return images.StreamedImages(
        records,
        batch,
        tuple(found),
        image=image,
        scale=(1.0, 1.0),
        ratio=(1.0, 1.0),
        resize=image,
        eval_image=image,
        workers=images.worker_count(workers, 3 * batch * image**2),
        standardise=images.HALF,
        name=path.resolve().name,
        split="; ".join(sentences),
    )


def _where(split: Mapping[str, np.ndarray], keep: np.ndarray) -> dict[str, np.ndarray]:
    found = {key: value[keep] for key, value in split.items()}
    for value in found.values():
        value.flags.writeable = False
    return found
