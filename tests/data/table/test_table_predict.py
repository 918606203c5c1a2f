"""Rows to predict for: files and mappings are read as training said, by the columns that are needed."""

import numpy as np
import pytest

from jaxdl.data.table import tabular
from jaxdl.data.text.tokenizers import at_home
from tests.data.table.test_tabular import write


def test_reading_a_file_to_predict_uses_what_training_said(tmp_path):
    data = tabular.csv(write(tmp_path / "shop.csv"), target="bought", batch=4)
    new = tmp_path / "new.csv"
    new.write_text("town,age,income\nRome,30,1\nLima,,2\n", encoding="utf-8")
    median = data.encoder.medians["age"]
    expected = [[30, 1, 0, 0, 0, 1], [median, 2, 1, 0, 0, 0]]
    with pytest.warns(UserWarning, match="1 of 2 rows have a town never seen in training .'Lima'"):
        np.testing.assert_array_equal(data.read(new)["x"], np.float32(expected))
    new.write_text("town,income\nRome,1\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"new\.csv: has no column 'age'"):
        data.read(new)
    iris = tmp_path / "iris.csv"
    iris.write_text(",".join(tabular.IRIS) + "\n1,2,3,4\n", encoding="utf-8")
    np.testing.assert_array_equal(tabular.iris().read(iris)["x"], [[1, 2, 3, 4]])
    iris.write_text(",".join(tabular.IRIS) + "\n1,2,,4\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"not finite.*row 0, column 'petal length \(cm\)'"):
        tabular.iris().read(iris)


def test_rows_to_predict_for_from_a_mapping_of_columns(tmp_path):
    data = tabular.csv(write(tmp_path / "shop.csv"), target="bought", batch=4)
    rows = [{"town": "Rome", "age": 30, "income": 1.0}, {"town": "Oslo", "age": None, "income": 2.0}]
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    expected = np.float32([[30, 1, 0, 0, 0, 1], [data.encoder.medians["age"], 2, 1, 0, 1, 0]])
    for given in (rows, columns):
        np.testing.assert_array_equal(data.as_inputs(given), expected)
    np.testing.assert_array_equal(data.as_inputs(expected), expected)


def test_predict_reads_the_columns_it_needs_alone(tmp_path):
    """An ignored column, and a target of mixed names, may stand in the file and hold anything."""
    path = tmp_path / "passengers.csv"
    rows = [(("1", "2", "crew")[i % 3], 20 + i, f"A {i}" if i % 4 == 0 else 1000 + i) for i in range(60)]
    path.write_text("label,age,ticket\n" + "".join(f"{a},{b},{c}\n" for a, b, c in rows), encoding="utf-8")
    data = tabular.csv(path, target="label", kind="classes", ignore=("ticket",), batch=8)
    assert (data.columns, data.classes) == (("age",), ("1", "2", "crew"))
    np.testing.assert_array_equal(data.read(path)["x"][:, 0], np.arange(20, 80))
    for text in ("age,ticket\n30,A 7\n31,1007\n", "label,age\ncrew,30\n1,31\n", "x;age\n1,5;30\n?;31\n"):
        (tmp_path / "new.csv").write_text(text, encoding="utf-8")
        np.testing.assert_array_equal(data.read(tmp_path / "new.csv")["x"][:, 0], [30, 31])


def test_a_run_that_learned_from_names_still_reads_them(tmp_path):
    """A run folder of an earlier version, which did not refuse them, builds its data again."""
    path = tmp_path / "t.csv"
    path.write_text("name,age,y\n" + "".join(f"n{i},{i},{i % 2}\n" for i in range(40)), encoding="utf-8")
    with pytest.raises(ValueError, match="'name' holds 40 different strings"):
        tabular.csv(path, target="y", batch=4)
    with at_home(tmp_path):
        data = tabular.csv(path, target="y", batch=4)
    assert len(data.columns) == 29  # age, and the names of the 28 training rows
    with pytest.raises(ValueError, match="'name' holds 40 different strings"):
        tabular.csv(path, target="y", batch=4)


def test_empty_lines_of_a_file_to_predict_on_are_said(tmp_path):
    data = tabular.csv(write(tmp_path / "shop.csv"), target="bought", batch=4)
    (tmp_path / "new.csv").write_text("town,age,income\nRome,30,1\n\nOslo,31,2\n\n", encoding="utf-8")
    with pytest.warns(UserWarning, match="line 3: empty, and left out"):
        assert len(data.read(tmp_path / "new.csv")["x"]) == 2
