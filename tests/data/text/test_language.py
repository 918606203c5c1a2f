"""Texts as rows of tokens: nothing is lost or seen twice, streams go on, packed documents stay apart."""

import gzip

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.data.text import language as texts
from jaxdl.data.text.tokenizers import BPE, Characters
from jaxdl.models.transformer import Config, Decoder
from tests.programs import one_program

TEXT = "".join(chr(97 + (i * i + i // 7) % 23) for i in range(1000))
TOKENIZER = Characters.of(TEXT)


def rows_of(data, split):
    """The batches of an evaluation."""
    found = []
    for count, source in data.eval_sources(split):
        every = jax.vmap(data.eval_batch, (None, 0))
        batches = one_program(every, dict(source), np.arange(count))
        found += [{name: value[i] for name, value in batches.items()} for i in range(count)]
    return found


@pytest.mark.parametrize("contiguous", [False, True])
def test_evaluation_reads_every_target_once_in_order(contiguous):
    data = texts.windows(TEXT, TOKENIZER, batch=7, context=16, contiguous=contiguous)
    for split, part in (("train", TEXT[:900]), ("validation", TEXT[900:])):
        found, characters = [], 0
        for batch in rows_of(data, split):
            valid = (batch["mask"][:, None] > 0) & (batch["y"] != texts.IGNORE)
            found += batch["y"][valid].tolist()
            characters += (batch["characters"] * batch["mask"]).sum()
            assert (batch["y"][:, :-1] == batch["x"][:, 1:])[valid[:, 1:]].all()
        assert found == TOKENIZER.encode(part)[1:].tolist()
        assert characters == len(part) - 1
    assert data is texts.windows(TEXT, TOKENIZER, batch=7, context=16, contiguous=contiguous)
    assert "900 train / 100 validation" in data.split


def steps(data, seed, count):
    """The first batches of training."""
    draw = lambda source: jax.lax.map(lambda step: data.train_batch(source, seed, step), jnp.arange(count))
    return one_program(draw, dict(data.source(0, 1, 0)))


def test_windows_begin_everywhere_once_an_epoch():
    data = texts.windows(TEXT[:100], TOKENIZER, batch=4, context=10)
    tokens = TOKENIZER.encode(TEXT[:90])
    np.testing.assert_array_equal(data.source(0, 1, 0)["tokens"], tokens)
    batches = steps(data, 3, 20)
    windows = [tuple(row) for row in np.concatenate([batches["x"], batches["y"][..., -1:]], 2).reshape(-1, 11).tolist()]
    wanted = [tuple(tokens[i : i + 11].tolist()) for i in range(80)]
    assert sorted(windows) == sorted(wanted)
    assert batches["characters"][0].tolist() == [10.0] * 4


def test_a_row_of_a_stream_continues_the_row_of_the_step_before():
    data = texts.windows(TEXT, TOKENIZER, batch=3, context=10, contiguous=True)
    assert data.steps_per_epoch == 29  # 899 targets are 89 whole windows
    batches = steps(data, 0, 65)
    seen = np.concatenate(batches["x"], 1)
    whole = TOKENIZER.encode(TEXT[:870])
    for r, row in enumerate(seen):
        wanted = np.roll(whole, -r * 290)
        np.testing.assert_array_equal(row, np.concatenate([wanted, wanted])[: len(row)])
    np.testing.assert_array_equal(batches["y"][4, :, -1], batches["x"][5, :, 0])


def test_characters_of_a_coarser_tokenizer():
    tokenizer = BPE.of(TEXT, size=280)
    data = texts.windows(TEXT, tokenizer, batch=2, context=8)
    rows = data.splits["validation"]
    tokens = len(tokenizer.encode(TEXT[900:]))
    np.testing.assert_allclose(rows["characters"].sum(), (tokens - 1) * 100 / tokens, rtol=1e-6)


@pytest.mark.parametrize("whole", [False, True])
def test_packed_documents_are_all_there_and_apart(whole):
    rng = np.random.default_rng(0)
    documents = [rng.integers(0, 50, n).astype(np.int32) for n in (3, 9, 1, 17, 4, 8, 2)]
    rows = texts.pack(documents, 8, whole=whole)
    real = rows["segments"] > 0
    assert sorted(rows["x"][real].tolist()) == sorted(np.concatenate(documents).tolist())
    for x, y, s, p in zip(rows["x"], rows["y"], rows["segments"], rows["positions"], strict=True):
        for number in range(1, s.max() + 1):
            here = s == number
            assert p[here].tolist() == list(range(here.sum()))
            assert y[here].tolist() == [*x[here][1:].tolist(), texts.IGNORE]
        assert (y[s == 0] == texts.IGNORE).all()
    pieces = [tuple(x[s == n]) for x, s in zip(rows["x"], rows["segments"], strict=True) for n in range(1, s.max() + 1)]
    kept = sum(tuple(d) in pieces for d in documents)
    assert kept == (5 if whole else 3)  # of 9 and 17 tokens are cut anyway; `whole` cuts no other
    if not whole:
        assert np.concatenate([x[s > 0] for x, s in zip(rows["x"], rows["segments"], strict=True)]).tolist() == (
            np.concatenate(documents).tolist()
        )


@pytest.mark.slow
def test_a_packed_document_is_read_as_if_it_were_alone():
    documents = [np.array([1, 2, 3]), np.array([4, 5, 6, 1])]
    rows = texts.pack(documents, 8)
    model = Decoder(Config(vocab=7, width=8, depth=1, heads=2, hidden=8, order="first"))

    def run(rows, *documents):
        params = model.init(jax.random.key(0), rows["x"], train=False)
        packed = model.apply(params, rows["x"], segments=rows["segments"], positions=rows["positions"], train=False)
        return packed, [model.apply(params, document[None], train=False)[0] for document in documents]

    packed, apart = one_program(run, dict(rows), *documents)
    for number, alone in enumerate(apart, 1):
        np.testing.assert_allclose(packed[rows["segments"] == number], alone, rtol=2e-5, atol=2e-6)


def test_documents_end_and_are_counted():
    tokenizer = Characters.of("abc", specials=("</s>",))
    data = texts.documents({"train": ["ab", "c", "cab"]}, tokenizer, batch=1, context=4)
    assert data.splits["train"]["x"].tolist() == [[1 + 0, 2, 0, 3], [0, 3, 1, 2], [0, 0, 0, 0]][:3]
    assert data.splits["train"]["segments"].tolist() == [[1, 1, 1, 2], [1, 2, 2, 2], [1, 0, 0, 0]]
    assert dict(data.tokenizers) == {"tokenizer": tokenizer}


def test_files(tmp_path):
    (tmp_path / "a.txt").write_bytes("\ufeffgrün\r\n\rb".encode())
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress("grün\n\nb".encode()))
    assert texts.read_any_text(tmp_path / "a.txt") == texts.read_any_text(tmp_path / "a.txt.gz") == "grün\n\nb"
    (tmp_path / "latin.txt").write_bytes("eins\nzwei\ngrün\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"latin\.txt:3: is not text in UTF-8 .* at byte 12"):
        texts.read_any_text(tmp_path / "latin.txt")
    assert texts.read_any_text(tmp_path / "latin.txt", encoding="latin-1").endswith("grün\n")
    (tmp_path / "empty.txt").write_text(" \n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"empty\.txt: holds no text"):
        texts.read_any_text(tmp_path / "empty.txt")
    with pytest.raises(FileNotFoundError, match=r"none\.txt: no such file"):
        texts.read_any_text(tmp_path / "none.txt")


def test_too_little_text_is_said():
    with pytest.raises(ValueError, match="poem: 9 characters are too few, nothing is left for validation"):
        texts.windows(TEXT[:9], TOKENIZER, batch=1, context=4, name="poem")
    with pytest.raises(ValueError, match="poem: 90 tokens for train are too few for a context of 100"):
        texts.windows(TEXT[:100], TOKENIZER, batch=1, context=100, name="poem")
    with pytest.raises(ValueError, match="poem: is too short for batch=9 rows of 10 tokens"):
        texts.windows(TEXT[:100], TOKENIZER, batch=9, context=10, contiguous=True, name="poem")
    with pytest.raises(ValueError, match="poem: holds '☃', which the tokenizer does not know"):
        texts.windows(TEXT + "☃", TOKENIZER, batch=1, context=4, name="poem")


def test_a_row_has_a_token():
    for context in (0, -3):
        with pytest.raises(ValueError, match=f"^context = {context} must be 1 or more"):
            texts.windows(TEXT, TOKENIZER, batch=1, context=context)
        with pytest.raises(ValueError, match=f"^context = {context} must be 1 or more"):
            texts.documents({"train": ["ab"]}, TOKENIZER, batch=1, context=context)


def test_the_report_says_what_the_text_is_as_tokens():
    data = texts.windows(TEXT, TOKENIZER, batch=7, context=16)
    assert data.split.endswith("each alone; vocabulary 23, 1.00 characters a token")
    some = Characters.of("abcd", specials=("<unk>",))  # TEXT[:20] begins acejq...: what it does not know is counted
    share = 100 * sum(c not in "abcd" for c in TEXT[:20]) / 20
    data = texts.windows(TEXT[:20], some, batch=1, context=4)
    assert data.split.endswith(f"; vocabulary 5, 1.00 characters a token, {share:.2g} % unknown")
    data = texts.documents({"train": ["ab", "c", "dab"], "test": ["a" * 9]}, some, batch=1, context=4)
    assert data.split.endswith("0 % unknown; 4 documents of 1 to 9 tokens, median 2.5")
    assert len(texts.python_topics()) > 300_000
