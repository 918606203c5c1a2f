"""The reader of pictures against Pillow and closed forms: every mode, 16 and 32 bits by their range, upright, over white."""

import io

import numpy as np
import pytest
from PIL import Image

from jaxdl.data.image import reader
from jaxdl.data.walker import Note
from jaxdl.types import UserError

RAMP = (np.arange(64 * 64).reshape(64, 64) * 16).astype(np.uint16)  # 0 … 65520: its mean in 8 bits is 127.47


def grey(path):
    return np.asarray(reader.open_image(path, channels=1))


DEEP = {
    "png": RAMP,
    "tif": RAMP,
    "pgm": RAMP,
    "big.tif": RAMP.astype(">u2"),
    "int32.tif": RAMP.astype(np.int32),  # 16 bits in a wider type
    "wide.tif": (RAMP.astype(np.int64) * (2**31 - 1) // 65535).astype(np.int32),  # all of the range of int32
    "float.tif": (RAMP / 65535).astype(np.float32),
    "pfm": (RAMP / 65535).astype(np.float32),
}


@pytest.mark.parametrize("name", DEEP)
def test_more_than_8_bits_are_scaled_by_their_range(tmp_path, name):
    path = tmp_path / f"ramp.{name}"
    Image.fromarray(DEEP[name]).save(path)
    expected = RAMP / 65535 * 255
    np.testing.assert_allclose(grey(path), expected, atol=0.51)
    for channels in (1, 3):
        x = reader.read_image(path, size=(64, 64), channels=channels)
        np.testing.assert_allclose(x, expected[..., None].repeat(channels, -1), atol=0.51)


def test_twelve_bits_of_a_tiff_white_as_zero_and_a_transparent_grey(tmp_path):
    words = np.array([[0, 4095], [2048, 1024]])
    packed = b"".join(  # two pixels in three bytes
        bytes([a >> 4, (a & 15) << 4 | b >> 8, b & 255]) for a, b in words.tolist()
    )
    tags = {256: 2, 257: 2, 258: 12, 259: 1, 262: 1, 273: 8, 277: 1, 278: 2, 279: len(packed)}
    entries = b"".join(
        tag.to_bytes(2, "little") + (4).to_bytes(2, "little") + (1).to_bytes(4, "little") + value.to_bytes(4, "little")
        for tag, value in tags.items()
    )
    start = 8 + len(packed)
    head = b"II*\0" + start.to_bytes(4, "little")
    (tmp_path / "a.tif").write_bytes(head + packed + len(tags).to_bytes(2, "little") + entries + bytes(4))
    np.testing.assert_allclose(grey(tmp_path / "a.tif"), words / 4095 * 255, atol=0.51)
    Image.fromarray(RAMP).save(tmp_path / "white.tif", tiffinfo={262: 0})
    np.testing.assert_allclose(grey(tmp_path / "white.tif"), 255 - RAMP / 65535 * 255, atol=0.51)
    Image.fromarray(RAMP).save(tmp_path / "clear.png", transparency=0)
    assert grey(tmp_path / "clear.png")[0, :2].tolist() == [255, 0]  # over white; the next grey is nearly black


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr"])
def test_every_mode_is_what_pillow_makes_of_it(tmp_path, mode):
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    image = Image.fromarray(pixels).convert(mode)
    image.save(tmp_path / "a.tif")
    with Image.open(tmp_path / "a.tif") as stored:
        assert stored.mode == mode
        expected = np.asarray(stored.convert("RGB"))  # opaque
    np.testing.assert_array_equal(np.asarray(reader.open_image(tmp_path / "a.tif")), expected)
    np.testing.assert_array_equal(grey(tmp_path / "a.tif"), np.asarray(Image.fromarray(expected).convert("L")))


TURNS = {
    1: lambda x: x,
    2: np.fliplr,
    3: lambda x: np.rot90(x, 2),
    4: np.flipud,
    5: np.transpose,
    6: lambda x: np.rot90(x, -1),
    7: lambda x: np.rot90(np.transpose(x), 2),
    8: np.rot90,
}


@pytest.mark.parametrize("suffix", ["png", "tif", "deep.tif"])
def test_all_orientations_of_exif(tmp_path, suffix):
    x = np.arange(32 * 48, dtype=np.uint16).reshape(32, 48) % 251
    for orientation, turn in TURNS.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        stored = (x * 257).astype(">u2") if suffix == "deep.tif" else x.astype(np.uint8)
        Image.fromarray(stored).save(tmp_path / f"a.{suffix}", exif=exif)
        np.testing.assert_array_equal(grey(tmp_path / f"a.{suffix}"), turn(x))


@pytest.mark.parametrize("suffix", ["gif", "png", "tif"])
def test_of_several_frames_the_first_with_a_note(tmp_path, suffix):
    frames = [Image.new("L", (8, 8), value) for value in (255, 0)]
    frames[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=frames[1:])
    with pytest.warns(Note, match=rf"a\.{suffix}.*first"):
        assert (grey(tmp_path / f"a.{suffix}") == 255).all()
    with pytest.warns(Note, match="3 files") as notes:
        x = reader.read_images([f"{tmp_path}/a.{suffix}"] * 3, size=(4, 4), channels=1, source="set")
    assert len(notes) == 1
    assert x.shape == (3, 4, 4, 1)


REFUSED = {
    "float.tif": (RAMP.astype(np.float32), "65520"),
    "nan.tif": (np.full((2, 2), np.nan, np.float32), "nan"),
    "negative.tif": (np.full((2, 2), -5, np.int32), "-5"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_values_without_a_range_are_refused(tmp_path, name):
    array, value = REFUSED[name]
    Image.fromarray(array).save(tmp_path / name)
    with pytest.raises(UserError, match=rf"{name}.*{value}"):
        reader.open_image(tmp_path / name)


def test_broken_and_absent_files(tmp_path):
    (tmp_path / "a.png").write_bytes(b"hello")
    with pytest.raises(UserError, match=r"^\S*a\.png: is not a readable image [^\n]*$"):
        reader.open_image(tmp_path / "a.png")
    with pytest.raises(UserError, match=r"^record 3: is not a readable image"):
        reader.open_image(io.BytesIO(b"hello"), name="record 3")
    with pytest.raises(FileNotFoundError, match="absent"):
        reader.open_image(tmp_path / "absent.png")


ARRAYS = {
    "uint8": np.array([[0, 128], [255, 64]], np.uint8),
    "uint16": np.array([[0, 128 * 257], [65535, 64 * 257]], np.uint16),
    "float": np.array([[0, 128], [255, 64]]) / 255,
    "int64": np.array([[0, 128], [255, 64]]),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_are_scaled_by_their_type(name):
    for x in (ARRAYS[name], ARRAYS[name][..., None]):
        np.testing.assert_array_equal(np.asarray(reader.open_image(x, channels=1)), ARRAYS["uint8"])


def test_arrays_that_are_refused():
    with pytest.raises(UserError, match=r"300"):
        reader.open_image(np.full((8, 8), 300.0))
    with pytest.raises(UserError, match=r"x\.transpose\(1, 2, 0\)"):
        reader.open_image(np.zeros((3, 20, 30), np.uint8))
    with pytest.raises(UserError, match=r"\(5,\)"):
        reader.open_image(np.zeros(5, np.uint8))


def test_what_pillow_reads_has_a_suffix_here():
    assert {
        ".png",
        ".jpg",
        ".jpeg",
        ".jfif",
        ".jpe",
        ".tga",
        ".webp",
        ".tif",
        ".bmp",
        ".gif",
        ".pgm",
    } <= reader.suffixes()
    assert not {".pdf", ".mpg", ".h5", ".eps", ".txt"} & reader.suffixes()


def test_images_are_covered_cropped_and_laid_over_white(tmp_path):
    wide = np.zeros((4, 8, 3), np.uint8)
    wide[:, 2:6] = 200  # the middle square is bright
    Image.fromarray(wide).save(tmp_path / "wide.png")
    np.testing.assert_array_equal(reader.read_image(tmp_path / "wide.png", size=(4, 4)), np.full((4, 4, 3), 200))
    assert reader.read_image(tmp_path / "wide.png", size=(4, 4), channels=1).shape == (4, 4, 1)
    Image.fromarray(np.zeros((2, 2, 4), np.uint8), "RGBA").save(tmp_path / "clear.png")
    assert (reader.read_image(tmp_path / "clear.png", size=(2, 2)) == 255).all()
