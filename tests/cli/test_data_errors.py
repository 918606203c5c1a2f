"""Data that cannot be learned from: one line that names what is wrong, and exit code 2."""

import gzip
import struct
import textwrap

import numpy as np
import pytest

from tests.cli.test_errors import FILE, ROOT, refused, write

DATA = {
    "NaN": ("x[3, 1] = np.nan", "ones, train split: inputs must be finite: there is a NaN or an infinity in row 3"),
    "a label too high": (
        "y[5] = 2",
        "so labels must lie in 0 … 1 (or be -100: ignored), got 2",
    ),
    "a negative label": (
        "y[5] = -1",
        "so labels must lie in 0 … 1 (or be -100: ignored), got -1",
    ),
    "real labels": ("y = y * 0.5", "labels must be integers"),
    "lengths": ("y = y[:5]", "needs arrays of one length"),
}


@pytest.mark.parametrize("what", DATA)
def test_data(here, capfd, what):
    statement, message = DATA[what]
    write(here, textwrap.dedent(FILE).replace("\ndef config", f"{statement}\n\ndef config", 1))
    assert message in refused(capfd, "train", "mine.py")
    assert not (here / "runs").exists()


def idx(array):
    array = np.asarray(array, np.uint8)
    return b"\0\0\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def mnist(folder, **replaced):
    folder.mkdir()
    images, labels = np.zeros((20, 28, 28)), np.arange(20) % 10
    for prefix in ("train", "t10k"):
        (folder / f"{prefix}-images-idx3-ubyte").write_bytes(idx(images))
        (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(idx(labels))
    for name, content in replaced.items():
        next(folder.glob(f"{name.replace('_', '-')}*")).write_bytes(content)
    return folder


FOLDERS = {
    "truncated": ({"train_images": idx(np.zeros((20, 28, 28)))[:-1]}, "train-images-idx3-ubyte: holds 15695 bytes"),
    "not IDX": ({"train_labels": b"hello"}, "train-labels-idx1-ubyte: is not an IDX file"),
    "damaged gzip": ({"t10k_images": gzip.compress(b"x" * 99)[:-9]}, "t10k-images-idx3-ubyte: is a damaged gzip file"),
    "labels": ({"train_labels": idx(np.full(20, 10))}, "label 10 of row 0 is not one of 0 … 9"),
}


@pytest.mark.parametrize("what", FOLDERS)
def test_malformed_file(here, capfd, what):
    replaced, message = FOLDERS[what]
    folder = mnist(here / "data", **replaced)
    line = refused(capfd, "train", ROOT / "experiments" / "mnist_mlp.py", "--folder", folder)
    assert message in line


def test_missing_data_folder(here, capfd):
    line = refused(capfd, "train", ROOT / "experiments" / "mnist_mlp.py", "--folder", here / "absent")
    assert f"{here / 'absent'}: no such folder" in line


def test_an_empty_data_folder(here, capfd):
    (here / "empty").mkdir()
    line = refused(capfd, "train", ROOT / "experiments" / "mnist_mlp.py", "--folder", here / "empty")
    assert "holds neither train-images-idx3-ubyte" in line


def test_a_set_that_is_not_prepared(here, capfd, monkeypatch):
    """One line that says what to run, and no attempt at the network."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(here / "tfds"))
    assert "mnist" in refused(capfd, "train", ROOT / "experiments" / "mnist_mlp.py")


KNOBS = {
    "char_lm": (("--context", 0), "context = 0 must be 1 or more"),
    "text_classification": (("--time", 0), "time = 0 must be 1 or more"),
    "spoken_digits": (("--longest", 0), "longest = 0 must be 1 or more"),
}


@pytest.mark.parametrize("name", KNOBS)
def test_a_size_of_nothing(here, capfd, name):
    given, message = KNOBS[name]
    assert message in refused(capfd, "train", ROOT / "experiments" / f"{name}.py", *given)


def test_columns_of_a_labelled_table(here, capfd):
    (here / "reviews.csv").write_text("review,stars\nfine,5\nbad,1\n", encoding="utf-8")
    experiment = ROOT / "experiments" / "text_classification.py"
    line = refused(capfd, "train", experiment, "--file", "reviews.csv", "--text-column", "review")
    assert "reviews.csv: has no column 'label'; it has review, stars" in line


def test_a_gap_in_a_series(here, capfd):
    hours = [f"2016-07-01 {h:02d}:00:00,{',' if h == 1 else '1,'}2,3,4,5,6,7" for h in range(9)]
    (here / "gap.csv").write_text("\n".join(["date,HUFL,HULL,MUFL,MULL,LUFL,LULL,OT", *hours]), encoding="utf-8")
    experiment = ROOT / "experiments" / "etth1_forecast.py"
    line = refused(capfd, "train", experiment, "--file", "gap.csv")
    assert "row 2 has no value in 'HUFL' (1 gaps in all): fill = 'previous' repeats the value before" in line
    assert "9 rows are too few" in refused(capfd, "train", experiment, "--file", "gap.csv", "--fill", "previous")
