"""Images of many identities, split by identity: who is evaluated on was never trained on.

    folder/ann/1.jpg  folder/bob/7.png  …             identities drawn: 70 / 15 / 15 %
    folder/Greek/alpha/1.png  …                       groups of identities (alphabets), whole groups drawn
    folder/train/ann/1.jpg …  folder/val/…  folder/test/…   taken as they are

An identity is a folder that holds images. Numbers count the identities of train first, so that a loss against classes has as
many as `trained(data)`. Everything lives in memory as uint8; for millions of photographs see `streamed_faces`.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from jaxdl.data import files, images, prepare, vision
from jaxdl.data.decoding import ImageFiles
from jaxdl.data.folder import LIMIT, PARTS, SUFFIXES
from jaxdl.types import Batch

Listing = Mapping[str, Sequence[str]]
Pairs = tuple[list[str], np.ndarray]
LEAST = 2
"""Identities that a part needs, and images that an identity needs: a pair of one and a pair of two."""


def trained(data: vision.Images) -> int:
    """How many identities the training split has; they are numbered 0 … n-1."""
    return int(data.splits["train"]["y"].max()) + 1


@cache
def unseen_digits(*, batch: int = 64, seen: int = 7) -> vision.Images:
    """scikit-learn's digits 0 … seen-1 to train and, other images of them, to validate; the rest, never seen, to test."""
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
) -> vision.Images:
    """The images under `path`, split by identity.

    Args:
        path: the folder.
        batch: examples in a training step.
        size: height and width that every image is brought to, see `files.read_image`; None: they all have one size already.
        channels: 3 for colour, 1 for grey.
        least: identities with fewer images are left out; None: an identity with one image is refused.
        invert: white becomes black inside the program, for ink on paper.

    Errors: one line each for a folder without identities or with too few, an identity with one image, images of several
    sizes where `size` is None.
    """
    path = Path(path).expanduser()
    if channels not in (1, 3) or (size is not None and size < 1):
        raise ValueError(f"size = {size} must be positive and channels = {channels} be 1 or 3")
    listed, sentence = parts_by_identity(path, least=least)
    paths = tuple(
        (part, tuple((name, tuple(found)) for name, found in listing.items())) for part, listing in listed.items()
    )
    stamp = tuple(os.stat(f).st_mtime_ns for _, part in paths for _, found in part for f in found)
    return _decoded(path, paths, hash(stamp), batch, size, channels, invert, sentence)


def parts_by_identity(path: Path, *, least: int | None = None) -> tuple[dict[str, dict[str, list[str]]], str]:
    """part -> identity -> its image files, all sorted, no identity in two parts; and a sentence on the split."""
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: no such folder; it should hold one folder of images for each identity")
    places = {part: next((path / n for n in names if (path / n).is_dir()), None) for part, names in PARTS.items()}
    given = places["train"] is not None and places["test"] is not None
    roots = {part: place for part, place in places.items() if place} if given else {"all": path}
    found = {part: _enough(_identities(root), root, least) for part, root in roots.items()}
    for part, listing in found.items():
        shared = next((n for n in listing for other in found if other != part and n in found[other]), None)
        if shared is not None:
            raise ValueError(f"{path}: identity {shared!r} is in two parts, so that its test would be no test")
    sentence = "identities of each part as given"
    if not given:
        found, sentence = _drawn(found["all"], path)
    elif "validation" not in found:
        drawn, sentence = _drawn(found["train"], roots["train"], {"train": 0.85, "validation": 0.15})
        found, sentence = {**drawn, "test": found["test"]}, f"{sentence}; test as given"
    return {part: found[part] for part in ("train", "validation", "test")}, sentence


def _identities(root: Path) -> dict[str, list[str]]:
    """Identity -> images: every folder below `root` that holds images, called by its path from there."""
    found: dict[str, list[str]] = {}
    for place, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if name[0] != ".")
        inside = sorted(n for n in names if os.path.splitext(n)[1].lower() in SUFFIXES and n[0] != ".")
        if inside and Path(place) != root:
            found[Path(place).relative_to(root).as_posix()] = [os.path.join(place, name) for name in inside]
    return dict(sorted(found.items()))


def _enough(found: dict[str, list[str]], root: Path, least: int | None) -> dict[str, list[str]]:
    """Without the identities that have too few images, if `least` says so."""
    lonely = next((name for name, images in found.items() if len(images) < LEAST), None)
    if lonely is not None and least is None:
        raise ValueError(
            f"{root / lonely}: holds one image, and a pair of one identity needs two; add some, or leave such identities "
            f"out with least = 2"
        )
    kept = {name: images for name, images in found.items() if len(images) >= max(LEAST, least or 0)}
    if len(kept) < LEAST:
        what = f"one identity only, {next(iter(kept))!r}" if kept else "no folder of images of one identity"
        few = f" with {max(LEAST, least)} images or more" if least is not None else ""
        raise ValueError(f"{root}: holds {what}{few}; who is who takes two folders of images at least")
    return kept


def _drawn(
    found: dict[str, list[str]], path: Path, shares: Mapping[str, float] = prepare.FRACTIONS
) -> tuple[dict[str, dict[str, list[str]]], str]:
    """Whole groups, or single identities where there are none, by a fixed draw; each part gets two identities at least."""
    groups: dict[str, list[str]] = {}
    for name in found:
        groups.setdefault(name.split("/")[0] if all("/" in n for n in found) else name, []).append(name)
    if len(groups) < len(shares):
        groups = {name: [name] for name in found}
    names = [sorted(groups)[i] for i in np.random.RandomState(0).permutation(len(groups))]
    least = min(len(groups[name]) for name in groups)
    need = -(-LEAST // least)
    counts = {part: max(need, round(share * len(names))) for part, share in shares.items() if part != "train"}
    if len(names) - sum(counts.values()) < need:
        raise ValueError(
            f"{path}: {len(found)} identities are too few for the parts {', '.join(shares)}: each needs {LEAST} of its own"
        )
    parts, start = {}, 0
    for part in ("test", "validation"):
        if part in counts:
            parts[part], start = names[start : start + counts[part]], start + counts[part]
    parts["train"] = names[start:]
    listed = {
        part: {name: found[name] for group in sorted(inside) for name in groups[group]}
        for part, inside in parts.items()
    }
    what = "identities" if len(groups) == len(found) else f"of {len(groups)} groups, the groups"
    sizes = " / ".join(f"{len(listed[part])} {part}" for part in ("train", "validation", "test") if part in listed)
    return listed, f"{sizes} identities, {what} drawn once for every seed; no identity is in two parts"


@cache
def _decoded(
    path: Path, parts: tuple, stamp: int, batch: int, size: int | None, channels: int, invert: bool, sentence: str
) -> vision.Images:
    every = [f for _, listing in parts for _, found in listing for f in found]
    shapes = {f: image_size(f) for f in (every if size is None else every[:1])}
    first = every[0]
    if size is None:
        other = next((f for f, shape in shapes.items() if shape != shapes[first]), None)
        if other is not None:
            (h, w), (p, q) = shapes[first], shapes[other]
            raise ValueError(f"{other}: is {p}x{q} and {first} is {h}x{w}; give a size that all images are brought to")
    height, width = shapes[first] if size is None else (size, size)
    if len(every) * height * width * channels > LIMIT:
        raise ValueError(f"{path}: {len(every)} images of {height}x{width} do not fit into memory; take a smaller size")
    names = [name for _, listing in parts for name, _ in listing]
    number = {name: i for i, name in enumerate(names)}
    decoded = {}
    for part, listing in parts:
        labelled = [(f, number[name]) for name, found in listing for f in found]
        x = np.stack([files.read_image(f, size=(height, width), channels=channels) for f, _ in labelled])
        decoded[part] = x, np.array([y for _, y in labelled])
    data = vision.images(batch=batch, name=path.resolve().name, classes=names, **decoded)
    if invert:
        plain = data.standardise
        inverse = prepare.Standardise(tuple(1 - mean for mean in plain.mean), plain.std)
        data = replace(data, prepare=Inverse(data.maximum), standardise=inverse)
    said = f"; images brought to {height}x{width}" if size is not None else ""
    counts = " / ".join(f"{len(y)} {part}" for part, (_, y) in decoded.items())
    return replace(data, split=f"{counts} images; {sentence}{said}")


@dataclass(frozen=True)
class Inverse:
    """Raw values to [0, 1], the other way round: 1 - x / maximum."""

    maximum: float

    def __call__(self, batch: Batch) -> Batch:
        return {**batch, "x": 1 - jnp.asarray(batch["x"], jnp.float32) / self.maximum}


def image_size(path: str) -> tuple[int, int]:
    """(height, width) from the header of a file."""
    image = files.open_image(path)
    return image.height, image.width


# -- lists of pairs ----------------------------------------------------------------------------------------------------


def read_pairs(path: str | Path, folder: str | Path) -> Pairs:
    """Image files of a list of pairs, row 2p and 2p + 1 those of pair p, and `(2·pairs, 2)`: identity, number of the pair.

    Two forms: LFW's (`name i j` for `name/name_000i.jpg` and `…j`; `name i other j` for two people; a first line of counts), or
    two paths below the folder and 1 or 0 for the same identity or two. The folds of the accuracy are consecutive parts.

    Errors: `FileNotFoundError` for a file that is not there, `ValueError` for a line of neither form; with file and line.
    Source: Huang et al. 2007, Labeled Faces in the Wild, section 4.
    """
    path, folder = files.existing(path), Path(folder).expanduser()
    listed, kinds = [], []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        words = line.split()
        if not words or (number == 1 and all(word.isdigit() for word in words)):
            continue
        names, same = _pair(words, path, number)
        for name in names:
            file = next(
                (f for f in (folder / name, *(folder / f"{name}{s}" for s in (".jpg", ".png"))) if f.is_file()), None
            )
            if file is None:
                raise FileNotFoundError(
                    f"{path}:{number}: names {folder / name}, which does not exist (nor with .jpg or .png)"
                )
            listed.append(str(file))
        kinds.append(same)
    if not any(kinds) or all(kinds):
        raise ValueError(f"{path}: verification needs pairs of one identity and pairs of two, got {len(kinds)} pairs")
    same = np.array(kinds)
    pair = np.repeat(np.arange(len(same)), 2)
    other = np.arange(2 * len(same)) % 2 * ~np.repeat(same, 2)
    return listed, np.column_stack([2 * pair + other, pair]).astype(np.int32)


def _pair(words: Sequence[str], path: Path, number: int) -> tuple[tuple[str, str], bool]:
    """Two names below the folder, and whether they are of one identity."""
    if len(words) == 3 and words[1].isdigit() and words[2].isdigit():
        return tuple(f"{words[0]}/{words[0]}_{int(i):04d}" for i in words[1:]), True
    if len(words) == 4 and words[1].isdigit() and words[3].isdigit():
        return tuple(f"{name}/{name}_{int(i):04d}" for name, i in (words[:2], words[2:])), False
    if len(words) == 3 and words[2] in ("0", "1"):
        return (words[0], words[1]), words[2] == "1"
    raise ValueError(
        f"{path}:{number}: expected `name i j`, `name i other j` or `one.jpg other.jpg 1`, got {' '.join(words)!r}"
    )


def with_pairs(data: vision.Images, listed: Pairs, *, split: str = "test") -> vision.Images:
    """The same set with the images of a list of pairs as a split, brought to its size."""
    height, width, channels = data.splits["train"]["x"].shape[1:]
    paths, y = listed
    x = np.stack([files.read_image(f, size=(height, width), channels=channels) for f in paths])
    splits = {**data.splits, split: {"x": x, "y": y}}
    return replace(data, splits=splits, split=f"{data.split}; {split}: {len(y) // 2} listed pairs")


@cache
def streamed_faces(
    folder: str, *, batch: int, pairs: tuple[tuple[str, str, str], ...], image: int = 112, workers: int | None = None
) -> images.StreamedImages:
    """Millions of aligned faces, read while training, and lists of pairs to evaluate on.

    Args:
        folder: one subfolder of images for each identity.
        batch: examples in a training step.
        pairs: (split, list of pairs, folder of its images) each.
        image: height and width that all are brought to, with nothing cut away.
        workers: processes that decode; None: see `images.worker_count`.
    """
    path = Path(folder).expanduser()
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: no such folder; it should hold one folder of images for each identity")
    found = _enough(_identities(path), path, LEAST)
    labels = np.repeat(np.arange(len(found), dtype=np.int32), [len(files) for files in found.values()])
    records = {"train": ImageFiles([f for files in found.values() for f in files], labels)}
    for split, listed, place in pairs:
        records[split] = ImageFiles(*read_pairs(listed, place))
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
        split=f"{len(labels)} train images of {len(found)} identities; "
        + "; ".join(f"{split}: {len(records[split]) // 2} pairs of {listed}" for split, listed, _ in pairs),
    )


def _where(split: Mapping[str, np.ndarray], keep: np.ndarray) -> dict[str, np.ndarray]:
    found = {key: value[keep] for key, value in split.items()}
    for value in found.values():
        value.flags.writeable = False
    return found
