"""CSV files: notations of numbers, missing cells and quotes; one clear line for every damage."""

import csv as python
import gzip
import warnings

import numpy as np
import pytest

from jaxdl.data.table import csv, delimited
from jaxdl.data.table.csv import read_csv
from jaxdl.types import UserError


def test_csv(tmp_path):
    path = tmp_path / "people.csv"
    path.write_text(
        '\ufeffage,town,zip,note\n31,"Paris, FR",75001,\n\nNA,,10115,?\n 4e1 ,Berlin,10117,NA\n', encoding="utf-8"
    )
    columns = read_csv(path, names=["zip"])
    assert list(columns) == ["age", "town", "zip", "note"]
    np.testing.assert_array_equal(columns["age"], [31, np.nan, 40])
    assert columns["town"].tolist() == ["Paris, FR", "", "Berlin"]
    assert columns["zip"].tolist() == ["75001", "10115", "10117"]
    assert np.isnan(columns["note"]).all()
    path.write_text("1;a\n2;b\n", encoding="utf-8")
    assert read_csv(path, delimiter=";", header=["n", "s"])["s"].tolist() == ["a", "b"]


BAD = {
    "empty csv": (b"", "some file: is empty$"),
    "blank csv": (b"\n\n", "some file: is empty$"),
    "late csv": (b"\na,b\n1,2\n", ":1: is an empty line, the first one names the columns"),
    "no rows": (b"a,b\n", "holds no rows"),
    "ragged": (b"a,b\n1,2\n\n3\n", ":4: has 1 cells for 2 columns"),
    "unnamed": (b"a,,c\n1,2,3\n", ":1: every column needs a name"),
    "twice": (b"a,a\n1,2\n", ":1: two columns are called 'a'"),
    "mixed": (b"a,b\n1,2\n3,x\n", ":3: 'x' in column 'b' is not a number; list 'b' as categorical"),
    "underscore": (b"a\n1\n2_0\n", ":3: '2_0' in column 'a' is not a number"),
    "infinite": (b"a\n1\ninf\n", ":3: 'inf' in column 'a' is not finite"),
    "binary": (b"a\n\xff\xfe\n", "is not text in UTF-8"),
    "quote": (b'a\n"open\n', "quote|unexpected end"),
}


def test_an_unknown_column(tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(ValueError, match="has no column 'c'; it has a, b"):
        read_csv(tmp_path / "a.csv", names=["c"])


@pytest.mark.parametrize("name", BAD)
def test_a_malformed_file_is_one_line_that_names_it(tmp_path, name):
    content, message = BAD[name]
    path = tmp_path / "some file"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        read_csv(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent: no such file"):
        read_csv(tmp_path / "absent")
    with pytest.raises(ValueError, match="is not a file"):
        read_csv(tmp_path)


def write(tmp_path, text):
    path = tmp_path / "t.csv"
    path.write_text(text, encoding="utf-8")
    return path


GERMAN = "a;b\n1.000,5;x\n-3;y\n,5e1;z\n"


def test_numbers_in_another_notation(tmp_path):
    path = write(tmp_path, GERMAN)
    read = read_csv(path, decimal=",", thousands=".")
    np.testing.assert_array_equal(read["a"], [1000.5, -3, 5])
    assert read["b"].tolist() == ["x", "y", "z"]
    assert read_csv(write(tmp_path, 'a,b\n"1,234,567",1\n"12",2\n'), thousands=",")["a"].tolist() == [1234567, 12]
    with pytest.raises(UserError, match=r"t.csv:3: '1.5' in column 'a' is not a number"):
        read_csv(write(tmp_path, "a;b\n1.500;1\n1.5;2\n"), decimal=",", thousands=".")
    with pytest.raises(UserError, match="both ','"):
        read_csv(path, decimal=",", thousands=",")
    with pytest.raises(UserError, match="decimal = 'comma'"):
        read_csv(path, decimal="comma")


def test_groups_of_three_digits_that_are_read_as_decimals_are_said(tmp_path):
    """1.000 is one or a thousand: nothing in the file decides it."""
    path = write(tmp_path, "a;b\n1.000;1.5\n12.500;0.125\n")
    with pytest.warns(UserWarning, match=r"'1.000' in column 'a' is read as 1; thousands = '.' reads 1000"):
        assert read_csv(path)["a"].tolist() == [1, 12.5]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_csv(path, thousands=".", decimal=",", columns=["a"])["a"].tolist() == [1000, 12500]
        read_csv(write(tmp_path, "a;b\n1.000;1.5\n0.500;0.125\n"))


@pytest.mark.parametrize("space", [" ", "\u00a0", "\u202f"])
def test_spaces_between_groups_of_three_digits(tmp_path, space):
    path = write(tmp_path, f"a;b\n1{space}000,5;x{space}y\n12{space}345;z\n")
    read = read_csv(path, decimal=",", thousands=" ")
    assert read["a"].tolist() == [1000.5, 12345]
    assert read["b"].tolist() == [f"x{space}y", "z"]


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(tmp_path, mark):
    path = write(tmp_path, f'date{mark}note{mark}v\n2020{mark}"a, b; c"{mark}1\n2021{mark}d e{mark}2\n')
    assert read_csv(path)["note"].tolist() == ["a, b; c", "d e"]


def test_one_column_with_commas_inside_of_quotes_is_one_column(tmp_path):
    assert read_csv(write(tmp_path, 'text\n"a, b"\n"c, d, e"\n'))["text"].tolist() == ["a, b", "c, d, e"]


def test_what_stands_in_quotes_is_text_and_what_is_verbatim_too(tmp_path):
    path = write(tmp_path, 'name,code,n\n"NA",NA,"NA"\nnull,null,2\n"null",,\n,US,3\n')
    read = read_csv(path, verbatim=["code"])
    assert read["name"].tolist() == ["NA", "", "null", ""]
    assert read["code"].tolist() == ["NA", "null", "", "US"]
    np.testing.assert_array_equal(read["n"], [np.nan, 2, np.nan, 3])


def test_only_the_columns_that_are_asked_for_are_looked_at(tmp_path):
    path = write(tmp_path, "a,b,c\n1,x,4\n2,5,inf\n")
    assert read_csv(path, columns=["a"])["a"].tolist() == [1, 2]
    for column in "bc":
        with pytest.raises(UserError, match=f"in column '{column}'"):
            read_csv(path, columns=["a", column])


def test_cells_of_any_length_and_blocks_of_many_rows(tmp_path, monkeypatch):
    """The rows do not depend on the blocks in which a file is read, and a cell may be longer than a block."""
    rows = [(i / 7, "x" * (i % 5), "" if i % 11 else "word") for i in range(500)]
    path = write(tmp_path, "a,b,c\n" + "".join(f"{a},{b},{c}\n" for a, b, c in rows) + f"1,{'y' * 300_000},\n")
    monkeypatch.setattr(csv, "BLOCK", 1000)
    read = read_csv(path, names=["b"])
    np.testing.assert_array_equal(read["a"][:-1], [a for a, _, _ in rows])
    assert [*read["b"][:-1]] == [b for _, b, _ in rows]
    assert len(read["b"][-1]) == 300_000
    assert [*read["c"][:-1]] == [c for _, _, c in rows]
    path.write_text(path.read_text(encoding="utf-8") + "2,x,3\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"t.csv:2: 'word' in column 'c' is not a number"):
        read_csv(path)


def test_an_integer_that_64_bits_round_is_refused(tmp_path):
    assert read_csv(write(tmp_path, f"id\n{2**53}\n{2**60}\n"))["id"].tolist() == [2**53, 2**60]
    with pytest.raises(UserError, match=r"t.csv:3: '9007199254740993' in column 'id' becomes 9007199254740992"):
        read_csv(write(tmp_path, f"id\n{2**53}\n{2**53 + 1}\n"))


def test_an_empty_line_keeps_its_number(tmp_path):
    path = write(tmp_path, 'a,b\n1,2\n\n"two\nlines",3\n   \n4,5\n\n')
    with pytest.raises(UserError, match=r"t.csv:5: 'two\\nlines' in column 'a'"):
        read_csv(path)
    assert delimited.empty_lines(path) == [3, 6]
    assert delimited.empty_lines(write(tmp_path, 'a,b\n1,"x\n\ny"\n\n')) == []


def test_a_gzipped_file_as_python_writes_it(tmp_path):
    rng = np.random.default_rng(0)
    rows = [
        (x if i % 7 else "", n, w)
        for i, (x, n, w) in enumerate(
            zip(
                rng.normal(size=300).tolist(),
                rng.integers(-9, 9, 300).tolist(),
                rng.choice(["a b", 'c"d', "e,f", "g\nh"], 300).tolist(),
                strict=True,
            )
        )
    ]
    with gzip.open(tmp_path / "t.csv.gz", "wt", encoding="utf-8", newline="") as file:
        python.writer(file).writerows([("x", "n", "w"), *rows])
    read = read_csv(tmp_path / "t.csv.gz")
    for i, name in enumerate("xnw"):
        expected = [np.nan if row[i] == "" else row[i] for row in rows]
        np.testing.assert_array_equal(read[name], expected)
