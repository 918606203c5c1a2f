"""The documents of a corpus: all of them once, whatever the units; what is wrong in one line that names the place."""

import gzip
import json

import pyarrow as pa
import pytest
from pyarrow import parquet

from jaxdl.data.text import corpus
from jaxdl.data.text.corpus import find_corpus, read_documents, units_of

TEXTS = [f"document {i}: " + "naïve ☃ " * (i % 7) for i in range(40)]


def read(path, size, field="text"):
    return [text for unit in units_of(path, field, size) for text in read_documents(unit, field)]


@pytest.mark.parametrize("size", [4, 7, 64, 1000, 1 << 20])
def test_every_document_is_in_one_unit(size, tmp_path):
    """Lines of JSON with \\r\\n and empty ones, rows of parquet, a text that begins with a byte-order mark."""
    lines = [json.dumps({"text": text, "n": 1}, ensure_ascii=i % 2 == 0) for i, text in enumerate(TEXTS)]
    (tmp_path / "a.jsonl").write_bytes("\r\n".join([*lines[:5], "", *lines[5:]]).encode())
    assert read(tmp_path / "a.jsonl", size) == TEXTS
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    assert read(tmp_path / "b.jsonl.gz", size) == TEXTS
    rows = pa.table({"n": range(42), "text": [*TEXTS, None, ""]})
    parquet.write_table(rows, tmp_path / "c.parquet", row_group_size=4)
    assert read(tmp_path / "c.parquet", size) == TEXTS
    (tmp_path / "d.txt").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(TEXTS).encode())
    assert "".join(read(tmp_path / "d.txt", size)) == "\n".join(TEXTS)


@pytest.mark.parametrize("size", [5, 50, 10_000])
def test_a_line_without_end_is_cut_between_characters(size, tmp_path, monkeypatch):
    monkeypatch.setattr(corpus, "PIECE", 16)
    monkeypatch.setattr(corpus, "LONGEST", 11)
    text = "☃é" * 60 + "\n" + "short\n" * 9 + "日本" * 30
    (tmp_path / "long.txt").write_text(text, encoding="utf-8")
    found = read(tmp_path / "long.txt", size)
    assert "".join(found) == text
    assert max(len(piece.encode()) for piece in found) <= 16 + 11 + 3


def test_a_folder_is_walked_and_tables_are_refused(tmp_path):
    (tmp_path / ".hidden").mkdir()
    for name in ("b.TXT", "a.jsonl", ".hidden/c.txt"):
        (tmp_path / name).write_text("x", encoding="utf-8")
    assert [path.name for path in find_corpus([tmp_path])] == ["a.jsonl", "b.TXT"]
    (tmp_path / "t.csv").write_text("a,b\n", encoding="utf-8")
    with pytest.warns(UserWarning, match=r"1 \.csv not read"):
        find_corpus([tmp_path])
    with pytest.raises(ValueError, match=r"t\.csv: is a table"):
        find_corpus([tmp_path / "t.csv"])
    with pytest.raises(FileNotFoundError, match=r"none\.txt: no such file"):
        find_corpus([tmp_path / "none.txt"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"empty: holds no \.json"):
        find_corpus([tmp_path / "empty"])


WRONG = {
    "no json": ("a.jsonl", b'{"text": "a"}\n\n{"text": \n', r"a\.jsonl:3: is no line of JSON with a field 'text'"),
    "no field": (
        "a.jsonl",
        b'{"text": "a"}\n{"content": "b", "id": 1}\n',
        r"a\.jsonl:2: .* 'text'; it has content, id",
    ),
    "no object": ("a.jsonl", b'{"text": "a"}\n[1]\n', r"a\.jsonl:2: is no line of JSON"),
    "no text": ("a.jsonl", b'{"text": 7}\n', r"a\.jsonl:1: 'text' holds no text but int"),
    "an array": ("a.json", b' [{"text": "a"}]', r"a\.json: is one JSON array"),
    "latin-1": ("a.txt", "grün ist es\n".encode("latin-1"), r"a\.txt: is not text in UTF-8 \(.* near byte 2\)"),
    "half a gzip file": ("a.txt.gz", gzip.compress(b"word " * 999)[:-9], r"a\.txt\.gz: is a damaged gzip file"),
    "no parquet": ("a.parquet", b"PAR1 and more", r"a\.parquet: is not a readable parquet file"),
}


@pytest.mark.parametrize(("name", "content", "message"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_one_line(name, content, message, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        read(tmp_path / name, 8)
    assert "\n" not in str(caught.value)


def test_a_column_of_parquet_holds_text(tmp_path):
    parquet.write_table(pa.table({"n": [1, 2], "body": ["a", "b"]}), tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet", 8, "body") == ["a", "b"]
    with pytest.raises(ValueError, match=r"a\.parquet: has no column 'text'; it has n, body"):
        read(tmp_path / "a.parquet", 8)
    with pytest.raises(ValueError, match=r"a\.parquet: column 'n' holds no text but int64"):
        read(tmp_path / "a.parquet", 8, "n")
