"""A corpus as token shards: files of uint16 or uint32 that training reads at any place, written once by several processes.

    tokenize(["corpus/"], "tokens")                 then: language.shards("tokens", batch=8, context=1024)

    tokens/plan.json                inputs and settings; a second call with others is refused
    tokens/tokenizer.json
    tokens/train-00000.bin          the tokens of a unit of the corpus, little-endian, each document ending in </s>
    tokens/validation-00000.bin
    tokens/manifest.json            size and CRC-32 of every shard; a corpus that has it is complete

A file gets its name when it is whole and on the disk. So a call after a kill or a full disk goes on, and the files have the same
bytes as those of a call that was never interrupted.
"""

import hashlib
import json
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jaxdl.counts import check_counts, check_numbers
from jaxdl.data.text.corpus import CorpusUnit, find_corpus, read_documents, units_of
from jaxdl.data.text.shard_files import (
    FORMAT,
    Job,
    known_records,
    make_shards,
    manifest_of,
    record_file,
    split_of,
    write_whole,
)
from jaxdl.data.text.tokenizers import BPE, END, Bytes, HuggingFace, Tokenizer, from_json, load_tokenizer
from jaxdl.data.workers import begin_worker
from jaxdl.types import UserError

LEARNED_FROM = 64 << 20
"""Characters of a corpus, evenly spread, that BPE is learned from."""


def tokenize(
    paths: Sequence[str | Path],
    folder: str | Path,
    *,
    tokenizer: str = "bpe",
    vocab: int = 32768,
    field: str = "text",
    validation: float = 0.005,
    workers: int | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Write the tokens of a corpus into a folder, or go on where an earlier call was interrupted; returns the manifest.

    Shards whose checksum differs are written again.

    Args:
        paths: files of text, JSON lines or parquet, gzipped or not, or folders of them; see `corpus`.
        folder: where to write; new, empty, or begun by a call with the same inputs and settings.
        tokenizer: "bpe", learned from the corpus; "bytes"; or a file, a tokenizer.json.
        vocab: tokens that BPE learns at most.
        field: of JSON lines and parquet, the field that holds the text.
        validation: share of the documents that are set apart, by their checksum: equal documents stay in one part.
        workers: processes; None: one for each core. Not part of the result.
        say: called with lines on the progress.
    """
    check_counts(workers=workers, vocab=vocab)
    check_numbers(0, 0.5, validation=validation)
    inputs, folder = find_corpus(paths), Path(folder).expanduser()
    given = _given(tokenizer)
    settings = {
        "format": FORMAT,
        "inputs": [[str(p.resolve()), p.stat().st_size, p.stat().st_mtime_ns] for p in inputs],
        "tokenizer": f"bpe, at most {vocab}" if given is None else _digest(given),
        "field": field,
        "validation": validation,
    }
    units = [unit for path in inputs for unit in units_of(path, field)]
    with _writing(folder):
        _agree(folder, settings)
        kept = folder / "tokenizer.json"
        if not kept.is_file():
            if given is None:
                say("learning byte pairs")
            made = given or BPE.of(_sample(units, field, validation), size=vocab, specials=(END,))
            write_whole(kept, json.dumps(made.to_json(), ensure_ascii=False).encode())
        job = Job(folder, load_tokenizer(kept), field, validation)
        records = _all_shards(job, units, min(workers or os.cpu_count() or 1, len(units)), say)
        manifest = manifest_of(job, records)
        write_whole(folder / "manifest.json", json.dumps(manifest, indent=1).encode())
        for number in range(len(units)):
            record_file(folder, number).unlink(missing_ok=True)
    return manifest


def _given(tokenizer: str) -> Tokenizer | None:
    """The tokenizer of this name or in this file; None for one that is learned."""
    if tokenizer in ("bpe", "bytes"):
        return Bytes((END,)) if tokenizer == "bytes" else None
    path = Path(tokenizer).expanduser()
    if not path.is_file():
        raise UserError(f"tokenizer = {tokenizer!r}: take bpe, bytes, or a file, such as the tokenizer.json of GPT-2")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        made = from_json(found) if "kind" in found else HuggingFace(json.dumps(found, ensure_ascii=False))
        made.encode("")
    except (ValueError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: is not a tokenizer.json ({' '.join(str(error).split())})") from None
    return made


def _digest(tokenizer: Tokenizer) -> str:
    return hashlib.sha256(json.dumps(tokenizer.to_json(), sort_keys=True).encode()).hexdigest()


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Make the folder, and keep other processes from writing into it at the same time."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot be made ({error.strerror})") from None
    try:
        import fcntl
    except ModuleNotFoundError:  # Windows
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the system gives it back if the process is killed
        except BlockingIOError:
            raise UserError(f"{folder}: another process is writing into it") from None
        for left in folder.glob(".[0-9]*-*"):  # by a process that was killed
            left.unlink(missing_ok=True)
        yield
    finally:
        os.close(handle)


def _agree(folder: Path, settings: Mapping[str, Any]) -> None:
    """Record the settings of a new corpus; refuse others than it was begun with, and a folder of something else."""
    plan = folder / "plan.json"
    if plan.is_file():
        try:
            begun = json.loads(plan.read_text(encoding="utf-8"))
        except ValueError:
            raise UserError(f"{plan}: is damaged: remove {folder} and begin again") from None
        if changed := [name for name, value in settings.items() if begun.get(name) != value]:
            raise UserError(
                f"{folder}: was begun with other {', '.join(changed)}: give the same, or write into another folder"
            )
    elif held := sorted(path.name for path in folder.iterdir() if not path.name.startswith(".")):
        raise UserError(f"{folder}: holds {held[0]!r} and no corpus: write into a new folder")
    else:
        write_whole(plan, json.dumps(settings, indent=1).encode())


def _sample(units: Sequence[CorpusUnit], field: str, validation: float) -> Iterator[str]:
    """Training documents from the beginnings of units that are evenly spread over the corpus."""
    some = units[:: -(-len(units) // 32) or 1]
    for unit in some:
        room = LEARNED_FROM // len(some)
        for text in read_documents(unit, field):
            if split_of(text, validation) == "train":
                yield text
            if (room := room - len(text)) <= 0:
                break


def _all_shards(
    job: Job, units: Sequence[CorpusUnit], workers: int, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """The records of all units, made where there are none yet."""
    known = known_records(job.folder, len(units))
    if workers == 1:
        records = []
        for number, unit in enumerate(units):
            records.append(make_shards(job, number, unit, known.get(number)))
            say(f"{number + 1} of {len(units)} parts")
        return records
    before, found = set(multiprocessing.active_children()), {}
    context = multiprocessing.get_context("spawn")  # a fork of a process that computes with JAX may never end
    with ProcessPoolExecutor(workers, context, _begin) as pool:
        try:
            futures = {pool.submit(make_shards, job, i, unit, known.get(i)): i for i, unit in enumerate(units)}
            for future in as_completed(futures):
                found[futures[future]] = future.result()
                say(f"{len(found)} of {len(units)} parts")
        except BaseException as error:
            pool.shutdown(wait=False, cancel_futures=True)
            for child in set(multiprocessing.active_children()) - before:
                child.kill()
            if isinstance(error, BrokenProcessPool):
                raise UserError(
                    f"{job.folder}: a process was killed; if memory is short, take fewer workers. A second call goes on"
                ) from None
            raise
    return [found[i] for i in range(len(units))]


def _begin() -> None:
    begin_worker()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
