"""CSV files: notations of numbers, missing cells and quotes; one clear line for every damage."""

import numpy as np
import pytest

from jaxdl.data.table.csv import read_csv


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
