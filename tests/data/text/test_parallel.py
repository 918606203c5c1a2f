"""Parallel files: read, found by their common name, drawn from without a leak; what is wrong is told in one line."""

import pytest

from jaxdl.data.text.parallel import drawn, find_files, read_parallel
from jaxdl.data.text.translation import from_files

LINES = [f"a{'b' * (i % 7)} c" for i in range(60)]


def test_reads_plain_and_packed_files(folder):
    pairs = read_parallel(folder / "train.en", folder / "train.de.gz")
    assert pairs[3] == ("abbb c", "ABBB Cß")
    assert len(pairs) == 60


def test_a_folder_is_searched_for_both_languages(folder):
    assert {k: [f.name for f in v] for k, v in find_files(folder, "en", "de").items()} == {
        "train": ["train.en", "train.de.gz"]
    }
    (folder / "val.en").write_text("a\n", encoding="utf-8")
    with pytest.raises(FileNotFoundError, match=r"has val.en, but not in both languages, en and de"):
        find_files(folder, "en", "de")
    with pytest.raises(FileNotFoundError, match=r"holds no train.fr and train.it"):
        find_files(folder, "fr", "it")
    with pytest.raises(FileNotFoundError, match="no such folder"):
        find_files(folder / "x", "en", "de")


def test_what_is_wrong_with_files(tmp_path):
    write = lambda name, content: (tmp_path / name).write_bytes(content)
    write("a", b"1\n2\n3\n")
    write("b", b"1\n2\n")
    write("empty", b"")
    write("blank", b"\n \n")
    write("latin", b"good\nm\xfcde\n")
    for pair in (("a", "b"), ("b", "a")):
        with pytest.raises(
            ValueError, match=r"b: ends at line 2, but .*a at line 3: parallel files have one sentence a line"
        ):
            read_parallel(*(tmp_path / name for name in pair))
    for name in ("empty", "blank"):
        with pytest.raises(ValueError, match=f"{name}: holds no text"):
            read_parallel(tmp_path / name, tmp_path / "a")
    with pytest.raises(ValueError, match=r"latin:2: is not text in UTF-8"):
        read_parallel(tmp_path / "latin", tmp_path / "a")
    with pytest.raises(FileNotFoundError, match=r"none: no such file"):
        from_files({"train": (tmp_path / "none", tmp_path / "a")}, batch=1)
    with pytest.raises(ValueError, match=r"a: 3 lines are too few to draw validation and test from"):
        from_files({"train": (tmp_path / "a", tmp_path / "a")}, batch=1)


def test_both_files_of_a_pair_have_one_name(tmp_path):
    """As corpora are: raw and tokenized in one folder, tests of several years, one of them without the other language."""
    names = ("train.en", "train.lc.norm.tok.en", "train.lc.norm.tok.ru", "dev.en", "dev.ru", "val.en.gz", "val.ru")
    for name in (*names, "test_2016.en", "test_2017.en", "test_2017.ru", "test_2018.en", "test_2018.ru", "notes.txt"):
        (tmp_path / name).write_text("a\n", encoding="utf-8")
    found = {part: [f.name for f in pair] for part, pair in find_files(tmp_path, "en", "ru").items()}
    assert found == {
        "train": ["train.lc.norm.tok.en", "train.lc.norm.tok.ru"],
        "validation": ["val.en.gz", "val.ru"],
        "test": ["test_2017.en", "test_2017.ru"],
    }
    (tmp_path / "train.ru.gz").write_text("a\n", encoding="utf-8")
    (tmp_path / "train.ru").write_text("a\n", encoding="utf-8")
    assert [f.name for f in find_files(tmp_path, "en", "ru")["train"]] == ["train.en", "train.ru"], "the shortest name"
    for year in (2017, 2018):
        (tmp_path / f"test_{year}.ru").unlink()
    (tmp_path / "test_2015.ru").write_text("a\n", encoding="utf-8")
    message = r"has test_2016.en, test_2017.en, test_2018.en, test_2015.ru, but not in both languages, .* one name$"
    with pytest.raises(FileNotFoundError, match=message):
        find_files(tmp_path, "en", "ru")
    with pytest.raises(FileNotFoundError, match=r"holds no train.xx and train.yy .* but 'dev.en', 'dev.ru', "):
        find_files(tmp_path, "xx", "yy")


def test_what_is_drawn_for_a_test_was_never_trained_on():
    """Pairs come twice and three times, sources with another target, targets with another source."""
    pairs = [(f"s{i}", f"t{i}") for i in range(400)]
    pairs += [(f"s{i}", f"t{i}") for i in range(0, 400, 4)] + [(f"s{i}", f"other {i}") for i in range(0, 400, 5)]
    pairs += [(f"another {i}", f"t{i}") for i in range(0, 400, 7)]
    parts, made = drawn(pairs, ("validation", "test"), source="f")
    assert sorted(pair for part in parts.values() for pair in part) == sorted(pairs), "none is lost"
    for part in ("validation", "test"):
        others = [pair for name, several in parts.items() if name != part for pair in several]
        assert not {x for x, _ in parts[part]} & {x for x, _ in others}
        assert not {y for _, y in parts[part]} & {y for _, y in others}
        assert len(parts[part]) == 638 // 20
    assert (
        made
        == "31 of 638 lines each for validation and test, by a fixed draw (those that share a sentence stay together)"
    )
    assert drawn(pairs, ("validation", "test"), source="f") == (parts, made)


def test_groups_without_room_are_trained_on():
    pairs = [("yes", str(i)) for i in range(30)] + [(f"s{i}", f"t{i}") for i in range(10)]
    parts, _ = drawn(pairs, ("test",), source="f")
    assert all(source != "yes" for source, _ in parts["test"])
    assert len(parts["test"]) == 2
    with pytest.raises(
        ValueError, match=r"^f: 60 lines in 7 groups that share a sentence are too few to draw test from"
    ):
        drawn([(line, line) for line in LINES], ("test",), source="f")
