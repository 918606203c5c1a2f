"""Readers against files written byte by byte here, and one clear line for every damage."""

import gzip
import struct

import numpy as np
import pytest

from jaxdl.data import files


def idx(array, code):
    head = bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(files.IDX_TYPES[code]).tobytes()


@pytest.mark.parametrize("code", files.IDX_TYPES)
@pytest.mark.parametrize("packed", [False, True])
def test_idx(tmp_path, code, packed):
    array = np.arange(24).reshape(2, 3, 4)
    path = tmp_path / "array-idx3"
    path.write_bytes(gzip.compress(idx(array, code)) if packed else idx(array, code))
    read = files.read_idx(path)
    np.testing.assert_array_equal(read, array)
    assert read.dtype.isnative
    assert read.dtype.kind == files.IDX_TYPES[code][1]


def test_cifar(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    planes = image.transpose(0, 3, 1, 2).reshape(5, -1)
    for labels in (1, 2):
        names = np.arange(5 * labels, dtype=np.uint8).reshape(5, labels)
        (tmp_path / "batch.bin").write_bytes(np.concatenate([names, planes], 1).tobytes())
        x, y = files.read_cifar(tmp_path / "batch.bin", labels=labels)
        np.testing.assert_array_equal(x, image)
        np.testing.assert_array_equal(y, names[:, -1])


def test_npz_and_npy(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", x=np.eye(3), y=np.arange(3))
    arrays = files.read_npz(tmp_path / "a.npz")
    np.testing.assert_array_equal(arrays["x"], np.eye(3))
    np.testing.assert_array_equal(arrays["y"], np.arange(3))
    np.save(tmp_path / "a.npy", np.eye(3))
    mapped = files.read_npy(tmp_path / "a.npy")
    assert isinstance(mapped, np.memmap)
    np.testing.assert_array_equal(mapped, np.eye(3))


def test_lines_end_where_the_file_says_and_nowhere_else(tmp_path):
    """A form feed, U+0085 and U+2028 stand inside a line, whatever `str.splitlines` thinks; CR LF is LF."""
    path = tmp_path / "lines.txt"
    inside = "one\x0c two\u2028three\x85 \r four"
    path.write_bytes(f"\ufeff{inside}\r\n\n last ".encode())
    assert files.read_lines(path) == [inside, "", " last "]
    assert files.read_text(path) == f"{inside}\n\n last "
    path.write_bytes(gzip.compress(b"a\r\r\nb\n\n"))
    assert files.read_lines(path) == ["a", "b", ""]
    path.write_bytes(b"old\rMac\r")
    assert files.read_lines(path) == ["old", "Mac"]


whole = idx(np.zeros((2, 2)), 0x08)
BYTES = {
    "empty idx": (files.read_idx, b"", "is not an IDX file"),
    "text idx": (files.read_idx, b"hello", "is not an IDX file"),
    "short idx": (files.read_idx, whole[:-1], "holds 15 bytes"),
    "long idx": (files.read_idx, whole + b"!", "holds 17 bytes"),
    "headless idx": (files.read_idx, whole[:6], "is not an IDX file|holds 6 bytes"),
    "short gzip": (files.read_idx, gzip.compress(whole)[:-9], "damaged gzip"),
    "bad gzip": (files.read_idx, b"\x1f\x8bnothing", "damaged gzip"),
    "short cifar": (files.read_cifar, bytes(3072), "no whole number of CIFAR records"),
    "empty cifar": (files.read_cifar, b"", "no whole number of CIFAR records"),
    "text npz": (files.read_npz, b"hello", "is not a readable npz"),
    "empty npz": (files.read_npz, b"", "is not a readable npz"),
    "cut npz": (files.read_npz, b"PK\x03\x04cut", "is not a readable npz"),
    "text npy": (files.read_npy, b"hello", "is not a readable npy"),
    "latin text": (
        files.read_text,
        b"one\nm\xfcde\n",
        r":2: is not text in UTF-8 \(invalid start byte at byte 5\): save",
    ),
    "blank text": (files.read_lines, b" \n\n", "holds no text"),
}


@pytest.mark.parametrize("name", BYTES)
def test_a_malformed_file_is_one_line_that_names_it(tmp_path, name):
    read, content, message = BYTES[name]
    path = tmp_path / "some file"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        read(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


READERS = (files.read_idx, files.read_cifar, files.read_npz, files.read_npy, files.read_lines)


@pytest.mark.parametrize("read", READERS, ids=lambda read: read.__name__)
def test_a_missing_file_and_a_folder(tmp_path, read):
    with pytest.raises(FileNotFoundError, match="absent: no such file"):
        read(tmp_path / "absent")
    with pytest.raises(ValueError, match="is not a file"):
        read(tmp_path)


def test_pickles_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(ValueError, match=r"a\.npy: is not a readable npy"):
        files.read_npy(tmp_path / "a.npy")
    np.savez(tmp_path / "a.npz", x=np.array([{}], object))
    with pytest.raises(ValueError, match=r"a\.npz: is not a readable npz"):
        files.read_npz(tmp_path / "a.npz")
