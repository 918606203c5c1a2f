"""Token shards as a data set: windows by (seed, step) alone, packed documents apart, exact evaluation, errors in one line."""

import json

import jax
import numpy as np
import pytest

from jaxdl.data.text import shard_files
from jaxdl.data.text.language import IGNORE, pack, shards
from jaxdl.data.text.shard_files import Tokens
from jaxdl.data.text.tokenizing import tokenize
from tests.programs import one_program

CONTEXT = 16


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Three shards of documents of a few letters."""
    root, rng = tmp_path_factory.mktemp("corpus"), np.random.default_rng(0)
    for name in "abc":
        texts = ["".join(rng.choice(list("uvwxyz"), rng.integers(1, 40))) for _ in range(80)]
        (root / f"{name}.jsonl").write_text("\n".join(json.dumps({"text": text}) for text in texts), encoding="utf-8")
    tokenize([root], root / "tokens", tokenizer="bytes", validation=0.2, workers=1)
    return root / "tokens"


def stored(folder, split):
    return np.concatenate([np.fromfile(path, "<u2") for path in sorted(folder.glob(f"{split}-*.bin"))]).astype(np.int32)


def steps(data, seed, first, count):
    """The batches of training steps, one program."""

    def draws(sources):
        return [data.train_batch(source, seed, first + i) for i, source in enumerate(sources)]

    return one_program(draws, [data.source(first + i, first + i + 1, seed) for i in range(count)])


def test_an_epoch_reads_every_window_once_from_an_offset_of_its_own(corpus):
    data = shards(corpus, batch=1, context=CONTEXT)
    size, offsets = data.size("train"), set()
    assert size == len(stored(corpus, "train")) // CONTEXT - 1
    for epoch in range(12):
        starts = data.starts(7, epoch * size, (epoch + 1) * size)[:, 0]
        offsets.add(starts.min())
        np.testing.assert_array_equal(np.sort(starts), starts.min() + CONTEXT * np.arange(size))
        assert (np.diff(starts) < 0).any()
    assert len(offsets) > 4
    assert max(offsets) < CONTEXT
    assert (data.starts(7, 0, 9) != data.starts(8, 0, 9)).any()


def test_a_step_is_a_function_of_seed_and_number(corpus):
    """Whatever was read before; a row is what lies on disk, also where it passes from one shard to the next."""
    data, tokens = shards(corpus, batch=3, context=CONTEXT), stored(corpus, "train")
    count = data.size("train") // 3
    batches = steps(data, 7, 0, count)
    starts = data.starts(7, 0, count)
    edges = np.cumsum(
        [shard["tokens"] for shard in json.loads((corpus / "manifest.json").read_text(encoding="utf-8"))["shards"]][:2]
    )
    assert ((starts[..., None] < edges) & (starts[..., None] + CONTEXT >= edges)).any(), "a window passes a border"
    for draw, batch in enumerate(batches):
        wanted = tokens[starts[draw][:, None] + np.arange(CONTEXT + 1)]
        np.testing.assert_array_equal(batch["x"], wanted[:, :-1])
        np.testing.assert_array_equal(batch["y"], wanted[:, 1:])
        assert batch["x"].dtype == batch["y"].dtype == np.int32
        assert batch["mask"].tolist() == [1.0] * 3
        np.testing.assert_allclose(batch["characters"], CONTEXT * data.per_token["train"], rtol=1e-6)
    at = data.span(0) + 2
    source = data.source(at, at + 2, 7)
    for draw in (at, at + 1):
        slot = source["tokens"][draw % data.window]
        np.testing.assert_array_equal(slot[:, :-1], batches[draw]["x"])
    with pytest.raises(ValueError, match="ask `span` first"):
        data.source(1, data.window + 1, 7)


def test_documents_of_a_row_are_apart_as_pack_makes_them(corpus):
    """Against `pack` of the pieces that a row consists of."""
    data = shards(corpus, batch=3, context=CONTEXT, segments=True)
    for batch in steps(data, 1, 0, 5):
        for i, row in enumerate(batch["x"]):
            ends = np.flatnonzero(row == data.end)
            pieces = [piece for piece in np.split(row, ends + 1) if len(piece)]
            wanted = pack(pieces, CONTEXT)
            for name in ("x", "segments", "positions"):
                np.testing.assert_array_equal(batch[name][i], wanted[name][0])
            np.testing.assert_array_equal(
                batch["y"][i, :-1], wanted["y"][0, :-1]
            )  # the target of the last lies behind it
        assert batch["characters"].tolist() == pytest.approx(
            ((batch["y"] != IGNORE).sum(1) * data.per_token["train"]).tolist()
        )
    assert set(data.example()) == set(batch)
    assert {name: (a.shape, a.dtype) for name, a in data.example().items()} == {
        name: (a.shape, a.dtype) for name, a in batch.items()
    }


def evaluated(data, split):
    sources = [source for _, source in data.eval_sources(split)]
    return one_program(lambda sources: [data.eval_batch(source, 0) for source in sources], sources)


@pytest.mark.parametrize("batch", [2, 7])
def test_evaluation_reads_every_target_once_in_order(batch, corpus):
    data, tokens = shards(corpus, batch=batch, context=CONTEXT), stored(corpus, "validation")
    batches = evaluated(data, "validation")
    valid = [(b["mask"][:, None] > 0) & (b["y"] != IGNORE) for b in batches]
    assert np.concatenate([b["y"][v] for b, v in zip(batches, valid, strict=True)]).tolist() == tokens[1:].tolist()
    assert np.concatenate([b["x"][v] for b, v in zip(batches, valid, strict=True)]).tolist() == tokens[:-1].tolist()
    assert sum(b["mask"].sum() for b in batches) == data.size("validation")
    splits = json.loads((corpus / "manifest.json").read_text(encoding="utf-8"))["splits"]["validation"]
    counted = sum((b["characters"] * b["mask"]).sum() for b in batches)
    np.testing.assert_allclose(counted, (len(tokens) - 1) * splits["characters"] / splits["tokens"], rtol=1e-6)


def test_some_windows_are_evenly_spread(corpus):
    data, tokens = shards(corpus, batch=2, context=CONTEXT, eval_rows=5), stored(corpus, "validation")
    rows = np.concatenate([b["x"][b["mask"] > 0] for b in evaluated(data, "validation")])
    whole = -(-(len(tokens) - 1) // CONTEXT)
    assert data.size("validation") == len(rows) == 5
    for i, row in enumerate(rows):
        np.testing.assert_array_equal(row, tokens[i * whole // 5 * CONTEXT :][:CONTEXT])


def test_what_a_run_records(corpus, tmp_path):
    data = shards(corpus, batch=2, context=CONTEXT)
    assert data is shards(corpus, batch=2, context=CONTEXT), "one object a process"
    assert list(data.tokenizers) == ["tokenizer"]
    assert data.splits["train"]["y"].shape == (64, CONTEXT)
    assert f"{len(stored(corpus, 'train')):,} train" in data.split
    other = tmp_path / "other"
    (tmp_path / "a.txt").write_text("another text " * 99, encoding="utf-8")
    tokenize([tmp_path / "a.txt"], other, tokenizer="bytes", validation=0, workers=1)
    assert shards(other, batch=2, context=CONTEXT).fingerprint() != data.fingerprint()
    assert list(shards(other, batch=2, context=CONTEXT).splits) == ["train"]
    with pytest.raises(ValueError, match="split = 'validation' is not one of train"):
        shards(other, batch=2, context=CONTEXT).size("validation")


@pytest.fixture
def copy(corpus, tmp_path):
    for path in corpus.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def test_a_broken_corpus_is_refused_in_one_line(copy):
    path = copy / "train-00001.bin"
    content = path.read_bytes()
    for changed, message in (
        (content[:-2], rf"train-00001\.bin: holds {len(content) - 2} bytes instead of {len(content)}"),
        (b"\x09" + content[1:], r"train-00001\.bin: is damaged \(its checksum differs\)"),
        (None, r"train-00001\.bin: no such file"),
    ):
        path.unlink()
        if changed is not None:
            path.write_bytes(changed)
        shard_files.read_manifest.cache_clear()
        with pytest.raises(ValueError, match=message) as caught:
            shards(copy, batch=2, context=CONTEXT)
        assert "tokenize` again" in str(caught.value)
        assert "\n" not in str(caught.value)
    (copy / "manifest.json").write_text('{"format": 1', encoding="utf-8")
    with pytest.raises(ValueError, match=r"manifest\.json: is damaged"):
        shards(copy, batch=2, context=CONTEXT)
    (copy / "manifest.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"is not complete: call tokenize again"):
        shards(copy, batch=2, context=CONTEXT)
    with pytest.raises(FileNotFoundError, match=r"none: holds no manifest\.json"):
        shards(copy / "none", batch=2, context=CONTEXT)


def test_a_shard_that_is_broken_while_training_is_one_line(copy):
    """Cut, overwritten or removed in the middle of a run: not zeros, and no signal that ends the process."""
    data = shards(copy, batch=2, context=CONTEXT)
    path = copy / "train-00001.bin"
    content = path.read_bytes()

    def read_all():
        for draw in range(data.size("train") // 2):
            data.source(draw, draw + 1, 0)

    read_all()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"train-00001\.bin: ends before its tokens"):
        read_all()
    path.write_bytes(b"\xff\xff" * (len(content) // 2))
    with pytest.raises(ValueError, match=r"holds token 65535 of 257: .*tokenize"):
        read_all()
    data.close()
    path.unlink()
    with pytest.raises(ValueError, match=r"train-00001\.bin: cannot be read \(No such file"):
        read_all()
    path.write_bytes(content)
    read_all()


def test_too_little_text_and_impossible_requests_are_said(corpus, tmp_path):
    with pytest.raises(ValueError, match=r"tokens: \d+ train tokens are too few, context = 100000 needs 200000"):
        shards(corpus, batch=1, context=100_000)
    with pytest.raises(ValueError, match=r"batch = 9999 must lie between 1 and \d+"):
        shards(corpus, batch=9999, context=CONTEXT)
    with pytest.raises(ValueError, match=r"context = 0 must be 1 or more"):
        shards(corpus, batch=2, context=0)
    with pytest.raises(ValueError, match=r"eval_rows = 0 must be 1 or more"):
        shards(corpus, batch=2, context=4, eval_rows=0)
    data = shards(corpus, batch=2, context=CONTEXT)
    with pytest.raises(ValueError, match=r"a\.txt: expected tokens as npy"):
        data.read(tmp_path / "a.txt")


def test_the_memory_of_reading_does_not_depend_on_the_corpus(tmp_path):
    """Ten billion tokens (files of zeros that take no room): a batch of them takes the memory of a batch."""
    import tracemalloc

    paths = [tmp_path / f"{i}.bin" for i in range(200)]
    for path in paths:
        with path.open("wb") as file:
            file.truncate(100_000_000)
    tokens = Tokens(paths, [50_000_000] * 200, np.dtype("<u2"), 10)
    rng = np.random.default_rng(0)
    tracemalloc.start()
    try:
        for _ in range(4):
            starts = rng.integers(0, len(tokens) - 1025, 64)
            assert not tokens.read(starts, np.full(64, 1025), 1025).any()
        assert tracemalloc.get_traced_memory()[1] < 3 * 64 * 1025 * 2
        assert len(tokens.opened) <= shard_files.OPEN
    finally:
        tracemalloc.stop()
        tokens.close()


def test_what_is_traced_needs_no_file(corpus):
    data = shards(corpus, batch=3, context=CONTEXT)
    blank = data.blank_source()
    assert {name: (a.shape, a.dtype) for name, a in blank.items()} == {
        name: (a.shape, a.dtype) for name, a in data.source(0, 1, 0).items()
    }
    shapes = jax.eval_shape(lambda source, draw: data.train_batch(source, 0, draw), blank, np.int32(3))
    assert shapes["x"].shape == (3, CONTEXT)
