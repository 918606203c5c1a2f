"""Token shards are the corpus, written whole or not at all, and the same bytes however the call was interrupted."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from jaxdl.data.text import shard_files, tokenizing
from jaxdl.data.text.tokenizers import Bytes, load_tokenizer, save
from jaxdl.data.text.tokenizing import tokenize

ROOT = Path(__file__).parents[3]
# a shell ignores Ctrl-C for what it starts with &, and children inherit that; preexec_fn would fork under jax's threads
HEARS = (
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL);"
    "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
)
TEXTS = [f"{i} " + "the quick brown fox " * (i % 9) for i in range(300)]


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    """A file of 300 documents in about 20 units."""
    monkeypatch.setattr(tokenizing, "units_of", partial(tokenizing.units_of, size=1600))
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps({"text": text}) for text in TEXTS), encoding="utf-8")
    return tmp_path / "a.jsonl"


def content(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def rows(folder, split):
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    shards = [shard for shard in manifest["shards"] if shard["split"] == split]
    return np.concatenate([np.fromfile(folder / shard["file"], manifest["dtype"]) for shard in shards])


@pytest.mark.parametrize("kind", ["bytes", "bpe"])
def test_shards_are_the_corpus(kind, corpus, tmp_path):
    folder = tmp_path / "out"
    manifest = tokenize([corpus], folder, tokenizer=kind, vocab=300, validation=0.2, workers=1)
    tokenizer = load_tokenizer(folder / "tokenizer.json")
    assert manifest["dtype"] == "uint16"
    assert len(manifest["shards"]) > 20
    found = {}
    for split in ("train", "validation"):
        tokens = rows(folder, split)
        assert len(tokens) == manifest["splits"][split]["tokens"]
        ends = np.flatnonzero(tokens == tokenizer.end)
        assert ends[-1] == len(tokens) - 1
        found[split] = [tokenizer.decode(piece[:-1]) for piece in np.split(tokens, ends[:-1] + 1)]
        assert manifest["splits"][split]["characters"] == sum(map(len, found[split]))
    assert sorted(found["train"] + found["validation"]) == sorted(TEXTS)
    assert 30 < len(found["validation"]) < 90
    assert [text for text in TEXTS if text in set(found["train"])] == found["train"], "in the order of the corpus"


def test_large_vocabularies_take_32_bits(tmp_path, monkeypatch):
    monkeypatch.setattr(Bytes, "size", 70_000)
    (tmp_path / "a.txt").write_text("text", encoding="utf-8")
    assert tokenize([tmp_path / "a.txt"], tmp_path / "out", tokenizer="bytes", workers=1)["dtype"] == "uint32"
    assert rows(tmp_path / "out", "train").tolist() == [1 + b for b in b"text"] + [0]


def test_equal_documents_stay_in_one_part(tmp_path):
    texts = [f"text {i % 40}" for i in range(400)]
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps({"text": text}) for text in texts), encoding="utf-8")
    tokenize([tmp_path / "a.jsonl"], tmp_path / "out", tokenizer="bytes", validation=0.3, workers=1)
    tokenizer = load_tokenizer(tmp_path / "out" / "tokenizer.json")
    train, validation = (
        {tokenizer.decode(piece) for piece in np.split(tokens, np.flatnonzero(tokens == 0))}
        for tokens in (rows(tmp_path / "out", split) for split in ("train", "validation"))
    )
    assert (train & validation) <= {""}
    assert len((train | validation) - {""}) == 40


@pytest.mark.parametrize("number", [0, 1, 9])
def test_a_full_disk_is_one_line_and_a_second_call_goes_on(number, corpus, tmp_path, monkeypatch):
    """Where the system refuses to write: nothing half-written has the name of a shard; what was whole is not made again."""
    options = dict(tokenizer="bytes", validation=0.2, workers=1)
    tokenize([corpus], tmp_path / "straight", **options)
    synced, fsync = [], os.fsync

    def full(handle):
        synced.append(handle)
        if len(synced) > number * 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(ValueError, match=r"out: cannot be written, no space is left") as caught:
            tokenize([corpus], tmp_path / "out", **options)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out" / "manifest.json").exists()
    assert not list((tmp_path / "out").glob(".*-*")), "what was half written is removed"
    made, read = [], shard_files.read_documents
    monkeypatch.setattr(shard_files, "read_documents", lambda unit, field: made.append(unit) or read(unit, field))
    tokenize([corpus], tmp_path / "out", **options)
    assert content(tmp_path / "out") == content(tmp_path / "straight")
    units = tokenizing.units_of(corpus, "text")
    assert len(made) == len(units) - max(number - 1, 0), (
        "a unit syncs two shards and a record; the plan and the tokenizer, two"
    )


def test_damaged_and_missing_shards_are_written_again(corpus, tmp_path, monkeypatch):
    options = dict(tokenizer="bytes", workers=1)
    tokenize([corpus], tmp_path / "out", **options)
    before = content(tmp_path / "out")
    path = tmp_path / "out" / "train-00003.bin"
    path.write_bytes(b"\x07" + path.read_bytes()[1:])
    (tmp_path / "out" / "train-00004.bin").unlink()
    (tmp_path / "out" / "train-00005.bin").write_bytes(before["train-00005.bin"][:-2])
    (tmp_path / "out" / ".77-train-00006.bin").write_bytes(b"left by a kill")
    made, read = [], shard_files.read_documents
    monkeypatch.setattr(shard_files, "read_documents", lambda unit, field: made.append(unit) or read(unit, field))
    tokenize([corpus], tmp_path / "out", **options)
    assert len(made) == 3
    assert content(tmp_path / "out") == before


def test_what_does_not_fit_is_refused(corpus, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x", encoding="utf-8")
    with pytest.raises(ValueError, match=r"mine: holds 'thesis\.tex' and no corpus"):
        tokenize([corpus], tmp_path / "mine", tokenizer="bytes")
    tokenize([corpus], tmp_path / "out", tokenizer="bytes", workers=1)
    with pytest.raises(ValueError, match=r"out: was begun with other tokenizer, validation"):
        tokenize([corpus], tmp_path / "out", tokenizer="bpe", validation=0.3)
    with pytest.raises(ValueError, match=r"tokenizer = 'gpt': take bpe, bytes, or a file"):
        tokenize([corpus], tmp_path / "new", tokenizer="gpt")
    (tmp_path / "bad.json").write_text('{"model": 1}', encoding="utf-8")
    with pytest.raises(ValueError, match=r"bad\.json: is not a tokenizer\.json"):
        tokenize([corpus], tmp_path / "new", tokenizer=str(tmp_path / "bad.json"))
    with pytest.raises(ValueError, match=r"validation = 0\.9 must be a number from 0 to 0\.5"):
        tokenize([corpus], tmp_path / "new", tokenizer="bytes", validation=0.9)
    assert not (tmp_path / "new").exists()
    (tmp_path / "half.jsonl").write_text('{"text": "\\ud800"}', encoding="utf-8")
    with pytest.raises(ValueError, match=r"half\.jsonl: a document holds half a character"):
        tokenize([tmp_path / "half.jsonl"], tmp_path / "half", tokenizer="bytes", workers=1)


def test_a_file_gives_the_tokenizer(corpus, tmp_path):
    """One of jaxdl, and a tokenizer.json as Hugging Face has them."""
    from jaxdl.data.text.tokenizers import BPE

    made = BPE.of(TEXTS, size=270, specials=("<|endoftext|>",))
    (tmp_path / "theirs.json").write_text(made.model, encoding="utf-8")
    save(made, tmp_path / "ours.json")
    for name, end in (("theirs", 0), ("ours", None)):
        found = tokenize([corpus], tmp_path / name, tokenizer=str(tmp_path / f"{name}.json"), validation=0, workers=1)
        assert (found["vocab"], found["end"]) == (270, end)
    theirs, ours = rows(tmp_path / "theirs", "train"), rows(tmp_path / "ours", "train")
    np.testing.assert_array_equal(theirs[theirs != 0], ours)


@pytest.mark.slow
def test_a_call_that_is_stopped_and_killed_gives_the_same_bytes(tmp_path):
    """Ctrl-C at the terminal, then SIGKILL, then another number of processes; none is left behind."""
    from tests.data.image.test_images_processes import all_end

    rng = np.random.default_rng(0)
    (tmp_path / "in").mkdir()
    for i in range(16):
        words = rng.integers(0, 3000, 15_000)
        (tmp_path / "in" / f"{i:02d}.txt").write_text("\n".join(f"word{w} and" for w in words), encoding="utf-8")

    def begin(folder, *flags):
        command = [
            *(sys.executable, "-c", HEARS, "-m", "jaxdl", "tokenize"),
            *(tmp_path / "in", "-o", tmp_path / folder, "--vocab", "2000"),
        ]
        pipe = subprocess.PIPE
        return subprocess.Popen(
            [*map(str, command), *flags],
            cwd=ROOT,
            start_new_session=True,
            stdout=pipe,
            stderr=pipe,
            text=True,
        )

    def after(count, process):
        while process.poll() is None and len(list((tmp_path / "b").glob("*.bin"))) < count:
            time.sleep(0.01)

    straight = begin("a", "--workers", "1")
    _, err = straight.communicate()
    assert straight.returncode == 0, err
    for _ in range(10):  # a call that ended before the signal came shows nothing
        shutil.rmtree(tmp_path / "b", ignore_errors=True)
        first = begin("b", "--workers", "2")
        after(3, first)
        with suppress(ProcessLookupError):
            os.killpg(first.pid, signal.SIGINT)
        _, err = first.communicate()
        if first.returncode != 0:
            break
    assert first.returncode == 130, err
    assert "Traceback" not in err
    all_end(first.pid)
    second = begin("b", "--workers", "2")
    after(9, second)
    second.kill()
    second.communicate()
    all_end(second.pid)
    assert not (tmp_path / "b" / "manifest.json").exists()
    third = begin("b", "--workers", "2")
    _, err = third.communicate()
    assert third.returncode == 0, err
    assert content(tmp_path / "a") == content(tmp_path / "b")
