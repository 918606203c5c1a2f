"""The files of a tokenized corpus: shards that are written whole or not at all, their checksums, and the manifest."""

import errno
import json
import os
import zlib
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from io import FileIO
from itertools import accumulate, islice
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from jaxdl.data.text.corpus import CorpusUnit, read_documents
from jaxdl.data.text.tokenizers import Tokenizer
from jaxdl.types import UserError

FORMAT, SPLITS = 1, ("train", "validation")
AGAIN = "run `python -m jaxdl tokenize` again, which writes damaged shards anew"
AT_ONCE, OPEN = 1 << 20, 128
"""Characters that are encoded in one call, and files that are open at a time."""


@dataclass(frozen=True)
class Job:
    """What a process needs to make the shards of a unit."""

    folder: Path
    tokenizer: Tokenizer
    field: str
    validation: float

    @property
    def dtype(self) -> np.dtype:
        return np.dtype("<u2" if self.tokenizer.size <= 2**16 else "<u4")


def split_of(text: str, validation: float) -> str:
    """The part of a document, by its checksum: equal documents have the same."""
    return SPLITS[zlib.crc32(text.encode()) < validation * 2**32]


def record_file(folder: Path, number: int) -> Path:
    return folder / f".{number:05d}.json"


def known_records(folder: Path, count: int) -> dict[int, dict[str, Any]]:
    """unit -> what an earlier call wrote about it."""
    try:
        shards = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["shards"]
        found = {i: {split: {} for split in SPLITS} for i in range(count)}
        for shard in shards:
            found[shard["unit"]][shard["split"]] = shard
        return found
    except (FileNotFoundError, ValueError, LookupError, TypeError):
        pass
    found = {}
    for number in range(count):
        try:
            found[number] = json.loads(record_file(folder, number).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            continue
    return found


def crc32_of(path: Path) -> int:
    """CRC-32 of a file."""
    crc = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            crc = zlib.crc32(block, crc)
    return crc


def _whole(job: Job, record: Mapping[str, Any]) -> bool:
    """Whether the shards of a record are as they were written."""
    try:
        return all(
            not shard
            or (
                (path := job.folder / shard["file"]).stat().st_size == shard["tokens"] * job.dtype.itemsize
                and crc32_of(path) == shard["crc32"]
            )
            for shard in record.values()
        )
    except (OSError, LookupError, TypeError, AttributeError):
        return False


def make_shards(job: Job, number: int, unit: CorpusUnit, known: Mapping[str, Any] | None) -> dict[str, Any]:
    """Write the shards of a unit, unless they are there and whole; split -> file, tokens, documents, characters, crc32."""
    if known is not None and _whole(job, known):
        return dict(known)
    names = {split: f"{split}-{number:05d}.bin" for split in SPLITS}
    parts = {split: job.folder / f".{os.getpid()}-{name}" for split, name in names.items()}
    counts = {split: dict.fromkeys(("tokens", "documents", "characters", "crc32"), 0) for split in SPLITS}
    end = np.array([] if job.tokenizer.end is None else [job.tokenizer.end], np.int32)
    try:
        with parts["train"].open("wb") as train, parts["validation"].open("wb") as validation:
            for texts in _batched(read_documents(unit, job.field)):
                try:
                    splits = [split_of(text, job.validation) for text in texts]
                except UnicodeEncodeError as error:
                    raise UserError(f"a document holds half a character: {error}") from None
                encoded = job.tokenizer.encode_all(texts)
                for split, file in (("train", train), ("validation", validation)):
                    chosen = [i for i, of in enumerate(splits) if of == split]
                    rows = [row for i in chosen for row in (encoded[i], end)]
                    content = np.concatenate(rows).astype(job.dtype).tobytes() if rows else b""
                    file.write(content)
                    count = counts[split]
                    count["tokens"] += len(content) // job.dtype.itemsize
                    count["documents"] += len(chosen)
                    count["characters"] += sum(len(texts[i]) for i in chosen)
                    count["crc32"] = zlib.crc32(content, count["crc32"])
            for file in (train, validation):
                file.flush()
                os.fsync(file.fileno())
        for split, part in parts.items():
            if counts[split]["tokens"]:
                os.replace(part, job.folder / names[split])
        record = {split: {"file": names[split], **count} if count["tokens"] else {} for split, count in counts.items()}
        write_whole(record_file(job.folder, number), json.dumps(record).encode())
    except OSError as error:
        raise _unwritten(job.folder, error) from None
    except ValueError as error:
        said = str(error)
        raise UserError(said if said.startswith(unit.file) else f"{unit.file}: {said}") from None
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)
    return record


def _batched(texts: Iterator[str]) -> Iterator[list[str]]:
    """Documents in lists of about a million characters."""
    while some := list(islice(texts, 1)):
        room = AT_ONCE - len(some[0])
        while room > 0 and (more := list(islice(texts, 1))):
            some += more
            room -= len(more[0])
        yield some


def manifest_of(job: Job, records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    shards = [
        {**record[split], "split": split, "unit": i}
        for split in SPLITS
        for i, record in enumerate(records)
        if record[split]
    ]
    totals = {
        split: {
            name: sum(s[name] for s in shards if s["split"] == split) for name in ("tokens", "documents", "characters")
        }
        for split in SPLITS
    }
    if not totals["train"]["tokens"]:
        raise UserError(f"{job.folder}: the corpus holds no text to train on")
    about = {"vocab": job.tokenizer.size, "end": job.tokenizer.end, "dtype": job.dtype.name}
    return {"format": FORMAT, **about, "splits": totals, "shards": shards}


def write_whole(path: Path, content: bytes) -> None:
    """Write a file completely or not at all."""
    part = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        raise _unwritten(path.parent, error) from None
    finally:
        part.unlink(missing_ok=True)


def _unwritten(folder: Path, error: OSError) -> UserError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    why = "no space is left on the device" if full else error.strerror or str(error)
    return UserError(f"{folder}: cannot be written, {why}; what is whole is kept, and a second call goes on")


# -- reading ---------------------------------------------------------------------------------------------------------


@cache
def read_manifest(path: Path, stamp: int) -> dict[str, Any]:
    """The manifest of a corpus, in which every shard has its size; `stamp` is a part of the cache's key.

    Errors: UserError of one line for what is missing, of another size, or damaged.
    """
    try:
        found = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
        if found["format"] != FORMAT:
            raise UserError(f"{path}: has format {found['format']}, this version of jaxdl reads {FORMAT}")
        for shard in found["shards"]:
            size, wanted = (path / shard["file"]).stat().st_size, shard["tokens"] * np.dtype(found["dtype"]).itemsize
            if size != wanted:
                raise UserError(f"{path / shard['file']}: holds {size} bytes instead of {wanted}: {AGAIN}")
    except FileNotFoundError as error:
        raise UserError(f"{error.filename}: no such file: {AGAIN}") from None
    except (ValueError, LookupError, TypeError) as error:
        raise (
            error if isinstance(error, UserError) else UserError(f"{path / 'manifest.json'}: is damaged: {AGAIN}")
        ) from None
    return found


@cache
def check_shards(path: Path, stamp: int) -> None:
    """UserError for a shard whose checksum differs."""
    for shard in read_manifest(path, stamp)["shards"]:
        if crc32_of(path / shard["file"]) != shard["crc32"]:
            raise UserError(f"{path / shard['file']}: is damaged (its checksum differs): {AGAIN}")


class Tokens:
    """The shards of a split as one sequence of tokens on disk."""

    def __init__(self, paths: Sequence[Path], counts: Sequence[int], dtype: np.dtype, vocab: int):
        self.paths, self.dtype, self.vocab = paths, dtype, vocab
        self.ends = list(accumulate(counts))
        self.opened: dict[int, FileIO] = {}

    def __len__(self) -> int:
        return self.ends[-1] if self.ends else 0

    def read(self, starts: Int[np.ndarray, "n"], lengths: Int[np.ndarray, "n"], width: int) -> np.ndarray:
        """Rows `(n, width)`: `lengths` tokens from `starts` on, then zeros."""
        rows = np.zeros((len(starts), width), self.dtype)
        for row, start, length in zip(rows, starts.tolist(), lengths.tolist(), strict=True):
            at = 0
            while at < length:
                number = bisect_right(self.ends, start + at)
                some = min(length, self.ends[number] - start) - at
                self._fill(number, start + at, row[at : at + some])
                at += some
        if rows.size and int(rows.max()) >= self.vocab:
            raise UserError(f"{self.paths[0].parent}: holds token {rows.max()} of {self.vocab}: {AGAIN}")
        return rows

    def _fill(self, number: int, start: int, into: np.ndarray) -> None:
        path = self.paths[number]
        try:
            if number not in self.opened:
                if len(self.opened) >= OPEN:
                    self.opened.pop(next(iter(self.opened))).close()
                self.opened[number] = FileIO(path)
            first = self.ends[number - 1] if number else 0
            self.opened[number].seek((start - first) * self.dtype.itemsize)
            found = self.opened[number].readinto(into.view(np.uint8))
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror}): {AGAIN}") from None
        if found != into.nbytes:
            raise UserError(f"{path}: ends before its tokens: {AGAIN}")

    def close(self) -> None:
        while self.opened:
            self.opened.popitem()[1].close()
