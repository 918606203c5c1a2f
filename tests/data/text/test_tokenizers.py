"""Tokenizers: back and forth, to JSON and back, what is unknown; BPE against the rule it is made by."""

import json
import unicodedata

import numpy as np
import pytest

from jaxdl.data.text.tokenizers import (
    BPE,
    SPECIALS,
    Bytes,
    Characters,
    HuggingFace,
    Parts,
    Words,
    at_home,
    from_json,
    kept,
    load_tokenizer,
    named,
    save,
    summary,
)

TEXT = "the cat sat on the mat; the rat ate the cat's hat.\n" * 20
TOKENIZERS = {
    "characters": Characters.of(TEXT),
    "characters_special": Characters.of(TEXT, specials=SPECIALS),
    "words": Words.of([TEXT], specials=SPECIALS),
    "parts": Parts(("the", "cat", *sorted(set(TEXT))), specials=SPECIALS),
    "bytes": Bytes(),
    "bytes_special": Bytes(("<pad>",)),
    "bpe": BPE.of(TEXT, size=300, specials=SPECIALS),
}
every = pytest.mark.parametrize("name", TOKENIZERS)


@every
def test_equal_after_json_and_a_file(name, tmp_path):
    tokenizer = TOKENIZERS[name]
    again = from_json(json.loads(json.dumps(tokenizer.to_json())))
    save(tokenizer, tmp_path / "t.json")
    assert again == tokenizer == load_tokenizer(tmp_path / "t.json")
    assert hash(again) == hash(tokenizer)
    np.testing.assert_array_equal(again.encode(TEXT), tokenizer.encode(TEXT))


@every
def test_tokens_are_in_range_and_come_back_as_text(name):
    tokenizer = TOKENIZERS[name]
    tokens = tokenizer.encode(TEXT[:50])
    assert tokens.dtype == np.int32
    assert len(tokenizer.specials) <= tokens.min() <= tokens.max() < tokenizer.size
    whole = TEXT[:50] if name != "words" else TEXT[:50].strip()
    assert tokenizer.decode(tokens).replace(" ;", ";") == whole
    special = [n for n in (tokenizer.pad, tokenizer.start, tokenizer.end) if n is not None]
    assert tokenizer.decode([*special, *tokens.tolist(), *special]).strip() == whole.strip()


@pytest.mark.parametrize("name", ["bytes", "bytes_special", "bpe"])
def test_bytes_know_every_text(name):
    strange = "naïve ☃ 日本\x00\ud7ff"
    assert TOKENIZERS[name].decode(TOKENIZERS[name].encode(strange)) == strange
    assert TOKENIZERS[name].missing(strange) == []


def test_what_is_unknown_is_named_or_becomes_unk():
    assert TOKENIZERS["characters"].missing("the ü☃ü") == ["ü", "☃"]
    with pytest.raises(ValueError, match="does not know 'ü', '☃'"):
        TOKENIZERS["characters"].encode("the ü☃ü")
    special = TOKENIZERS["characters_special"]
    assert special.encode("ü").tolist() == [special.unknown] == [1]
    assert TOKENIZERS["words"].decode(TOKENIZERS["words"].encode("the dog sat")) == "the <unk> sat"
    assert named(list("abcdefghijklmn")).endswith("'j' and 4 more")


def test_words_by_frequency_then_alphabet():
    tokenizer = Words.of(["b a b c C"], size=3, specials=("<unk>",))
    assert tokenizer.symbols == ("b", "C")
    assert Words.of(["B b a"], lower=True, specials=()).symbols == ("b", "a")
    assert Words.of(["b b a"], least=2, specials=()).symbols == ("b",)
    with pytest.raises(ValueError, match="size = 4 leaves no room"):
        Words.of(["a"], size=4)


def test_bpe_joins_the_most_frequent_pair_first():
    one = BPE.of("ababab cbc " * 9, size=257)
    assert one.size == 257
    assert len(one.encode("ab")) == 1  # ab: 27 times, the most frequent pair
    assert len(one.encode("bc")) == 2
    assert TOKENIZERS["bpe"].specials == SPECIALS
    assert [TOKENIZERS["bpe"].pad, TOKENIZERS["bpe"].end] == [0, 3]
    with pytest.raises(ValueError, match="size = 256: the 256 bytes and 4 special"):
        BPE.of("a", size=256, specials=SPECIALS)


@every
def test_what_looks_like_a_special_token_is_text(name):
    """`</s>` in a text of a user ends nothing and `<pad>` is not left out: only the program sets special tokens."""
    tokenizer = TOKENIZERS[name]
    specials = {n for n in (tokenizer.pad, tokenizer.start, tokenizer.end) if n is not None}
    for text in ("</s>", "<pad>", "<s>", "the </s> cat<pad>sat <s>"):
        if tokenizer.unknown is None and tokenizer.missing(text):
            continue  # a table of characters without these
        assert not specials & set(tokenizer.encode(text).tolist())
    if name in ("bytes", "bytes_special", "bpe"):
        tokens = tokenizer.encode("a </s><pad> b").tolist()
        assert tokenizer.decode([*tokens, *specials]) == "a </s><pad> b"


def test_a_report_says_how_much_is_unknown_and_how_long_texts_are():
    words = TOKENIZERS["words"]
    rows = [words.encode(text) for text in ("the dog", "the cat sat on the mat", "cat sat", "")]
    assert summary(words, rows) == "vocabulary 15, 10 % unknown"
    assert summary(words, rows, of="lines", characters=38) == (
        "vocabulary 15, 3.80 characters a token, 10 % unknown; 4 lines of 0 to 6 tokens, median 2"
    )
    assert summary(Bytes(), []) == "vocabulary 256"


def test_a_run_that_is_loaded_gets_its_own(tmp_path):
    save(Characters.of("xyz"), tmp_path / "tokenizer.json")
    make = lambda: Characters.of("abc")
    with at_home(tmp_path):
        assert kept("tokenizer", make) == Characters.of("xyz")
        assert kept("another", make) == Characters.of("abc")
    assert kept("tokenizer", make) == Characters.of("abc")


@pytest.mark.parametrize("content", ["", "[1]", '{"kind": "letters"}', '{"kind": "bytes", "more": 1}'])
def test_a_file_that_is_none(content, tmp_path):
    (tmp_path / "t.json").write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=r"t\.json: is not a saved tokenizer"):
        load_tokenizer(tmp_path / "t.json")
    with pytest.raises(FileNotFoundError, match=r"none\.json: no such file"):
        load_tokenizer(tmp_path / "none.json")


WRITTEN = {
    "Arabic": ("مُحَمَّد", 1),
    "Bengali": ("বাংলা ভাষা", 2),
    "French, decomposed": (unicodedata.normalize("NFD", "café crème"), 2),
    "Hebrew": ("שָׁלוֹם צה״ל", 2),
    "Hindi": ("हिन्दी में लिखा", 3),
    "Persian": ("می\u200cخواهم", 1),
    "Tamil": ("தமிழ் மொழி", 2),
    "Thai": ("ที่", 1),
    "Vietnamese, decomposed": (unicodedata.normalize("NFD", "tiếng Việt"), 2),
    "emoji": ("hi 👩\u200d🚀 👍🏽 ❤️ 1️⃣ 🇫🇷 👨\u200d👩\u200d👧 there", 8),
    "English": ("it's fine, isn't it?", 6),
}


@pytest.mark.parametrize(("text", "count"), WRITTEN.values(), ids=WRITTEN)
def test_words_keep_their_marks_and_joiners(text, count):
    words = Words.of([text])
    assert len(words.encode(text)) == count
    assert words.decode(words.encode(text)) == unicodedata.normalize("NFC", text)
    np.testing.assert_array_equal(words.encode(unicodedata.normalize("NFD", text)), words.encode(text))


def test_punctuation_of_other_scripts_follows_its_word():
    for text in ("में लिखा।", "ما هذا؟", "یہ کتاب ہے۔"):
        words = Words.of([text])
        assert words.decode(words.encode(text)) == text


def test_a_file_of_words_of_earlier_versions_keeps_its_rule():
    """Written before `marks` was: what a model learned as two tokens stays two."""
    old = from_json({"kind": "words", "symbols": ["é", "e", "\u0301"], "specials": ["<unk>"], "lower": False})
    assert old.encode("e\u0301").tolist() == [2, 3]
    assert from_json(json.loads(json.dumps(old.to_json()))) == old
    new = Words(("é", "e", "\u0301"), ("<unk>",))
    assert new.encode("e\u0301").tolist() == [1]
    assert from_json(new.to_json()) == new


def test_the_settings_of_a_tokenizer_json_neither_cut_nor_pad():
    """Against the package itself, with settings as transformers writes them after a call with padding and truncation."""
    from tokenizers import Tokenizer

    made = Tokenizer.from_str(BPE.of(TEXT, size=300, specials=("<pad>",)).model)
    long = "the cat sat on the mat " * 50
    wanted = {text: made.encode(text, add_special_tokens=False).ids for text in (long, "the")}
    made.enable_truncation(16)
    made.enable_padding(length=16, pad_id=0, pad_token="<pad>")
    tokenizer = HuggingFace(made.to_str())
    for text, ids in wanted.items():
        assert tokenizer.encode(text).tolist() == ids
    assert [row.tolist() for row in tokenizer.encode_all(list(wanted))] == list(wanted.values())


@every
def test_stored_tokens_are_decoded_as_they_are(name):
    """Shards and buckets hold uint16."""
    tokens = TOKENIZERS[name].encode("the cat")
    assert TOKENIZERS[name].decode(tokens.astype(np.uint16)) == TOKENIZERS[name].decode(tokens)
    assert TOKENIZERS[name].decode(np.zeros(1, np.uint16)) == TOKENIZERS[name].decode([0])


@every
def test_several_texts_are_encoded_as_each_is(name):
    texts = ["the cat", "", "rat's hat."]
    for text, row in zip(texts, TOKENIZERS[name].encode_all(texts), strict=True):
        np.testing.assert_array_equal(row, TOKENIZERS[name].encode(text))
        assert row.dtype == np.int32
