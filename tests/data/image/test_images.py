"""Streamed images: the same batches whoever decodes them and wherever reading begins; exact evaluation; errors in one line."""

import shutil
from multiprocessing import active_children
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jaxdl.data.image import decoding, images
from jaxdl.data.order import rows_of_step
from jaxdl.types import UserError
from tests.programs import one_program

ROOT = Path(__file__).parents[3]
CLASSES = ("bird", "cat", "dog")


def paint(root, parts=(("train", 6), ("val", 2)), classes=CLASSES):
    """Images of random colours and sizes, JPEG and PNG."""
    rng = np.random.default_rng(0)
    for part, n in parts:
        for name in classes:
            (root / part / name).mkdir(parents=True)
            for i in range(n):
                pixels = rng.integers(0, 256, (*rng.integers(12, 30, 2), 3), dtype=np.uint8)
                Image.fromarray(pixels).save(root / part / name / f"{i}.{'jpg' if i % 2 else 'png'}")
    return root


@pytest.fixture(scope="module")
def painted(tmp_path_factory):
    return paint(tmp_path_factory.mktemp("painted"))


def streamed(path, **options):
    """A set of its own for each test: `images.streamed` gives one object for equal arguments."""
    return images._streamed.__wrapped__(Path(path), **{"batch": 4, "image": 8, "workers": 0, **options})


def equal(a, b):
    assert a.keys() == b.keys()
    for key in a:
        np.testing.assert_array_equal(a[key], b[key])


# -- one image --------------------------------------------------------------------------------------------------------


def test_windows_have_the_area_and_aspect_they_should():
    rng = np.random.default_rng(0)
    windows = np.array([decoding.crop_window(rng, 400, 300, (0.08, 1.0), (3 / 4, 4 / 3)) for _ in range(4000)])
    left, top, right, bottom = windows.T
    assert min(left.min(), top.min()) >= 0
    assert right.max() <= 400
    assert bottom.max() <= 300
    width, height = right - left, bottom - top
    assert (width / height > 0.74).all()
    assert (width / height < 1.35).all()
    share = width * height / 120_000
    assert share.min() > 0.079
    # uniform on [0.08, 1], but for the draws that do not fit: below a half all fit
    np.testing.assert_allclose(np.quantile(share[share < 0.5], [0.25, 0.5, 0.75]), [0.185, 0.29, 0.395], atol=0.015)


def test_a_window_that_never_fits_is_the_middle():
    rng = np.random.default_rng(0)
    assert decoding.crop_window(rng, 100, 10, (0.9, 1.0), (1.0, 1.0)) == (45, 0, 55, 10)
    assert decoding.crop_window(rng, 10, 100, (0.9, 1.0), (3 / 4, 4 / 3)) == (0, 43, 10, 56)


def test_evaluation_cuts_as_the_preprocessing_of_weights_does():
    from jaxdl.pretrained.preprocess import Preprocess

    pixels = np.random.default_rng(0).integers(0, 256, (30, 47, 3), dtype=np.uint8)
    for method in ("bilinear", "bicubic"):
        ours = decoding.centre_crop(Image.fromarray(pixels), 20, 16, method)
        theirs = Preprocess(20, 16, (0.0,) * 3, (1.0,) * 3, method)(pixels)
        np.testing.assert_allclose(ours / np.float32(255), theirs, atol=1e-7)


# -- batches ----------------------------------------------------------------------------------------------------------


def test_the_order_is_that_of_sets_in_memory(painted):
    data = streamed(painted, batch=5)
    assert {part: data.size(part) for part in data.splits} == {"train": 18, "validation": 6}
    assert data.classes == CLASSES
    for draw in range(8):  # two epochs and more
        rows = rows_of_step(3, draw, 5, 18)
        np.testing.assert_array_equal(data.source(draw, draw + 1, 3)["y"][0], data.splits["train"]["y"][rows])


def test_an_example_is_cut_anew_each_time_but_the_same_for_seed_and_position(painted):
    data = streamed(painted, batch=18)
    first, second, other = (data.source(draw, draw + 1, seed) for draw, seed in ((0, 0), (1, 0), (0, 1)))
    order = [np.argsort(s["y"][0], kind="stable") for s in (first, second)]
    assert not np.array_equal(first["x"][0][order[0]], second["x"][0][order[1]])
    assert not np.array_equal(first["x"], other["x"])
    equal(first, streamed(painted, batch=18).source(0, 1, 0))
    smaller = streamed(painted, batch=9)  # a position is draw · batch + row, however it is cut into batches
    for draw in (0, 1):
        part = smaller.source(draw, draw + 1, 0)
        np.testing.assert_array_equal(part["x"][0], first["x"][0, 9 * draw : 9 * draw + 9])


@pytest.mark.slow
def test_workers_and_where_reading_begins_change_nothing(painted):
    alone, helped = streamed(painted), streamed(painted, workers=2)
    wanted = [alone.source(draw, draw + 1, 7) for draw in range(6)]
    for draw in (0, 0, 1, 2, 3, 4, 5):  # the loop asks for the first one twice
        equal(helped.source(draw, draw + 1, 7), wanted[draw])
    reader = helped.readers["train", 7]
    workers = {child.pid for child in active_children()}
    assert len(workers) == 2
    equal(alone.source(2, 3, 7), wanted[2])  # back again, as a resumed run begins
    helped.close()
    assert reader.iterator is None
    assert not {child.pid for child in active_children()}


def test_a_window_of_several_draws(painted):
    data, alone = streamed(painted, window=3), streamed(painted)
    assert data.span(5) == 3
    source = data.source(4, 6, 0)
    assert source["x"].shape == data.blank_source()["x"].shape == (3, 4, 8, 8, 3)
    for draw in (4, 5):
        batch = one_program(data.train_batch, source, 0, np.int32(draw))
        np.testing.assert_array_equal(batch["x"], alone.source(draw, draw + 1, 0)["x"][0])
    assert not source["x"][0].any()
    with pytest.raises(ValueError, match="window = 3: this task draws 4 batches a step"):
        data.source(0, 4, 0)


@pytest.mark.parametrize("batch", [1, 4, 6, 7])
def test_evaluation_sees_every_example_once(painted, batch):
    data = streamed(painted, batch=batch)
    whole = next(streamed(painted, batch=6).eval_sources("validation"))[1]
    for _ in range(2):  # what was read ahead at the end of the first serves the second
        counts, sources = zip(*data.eval_sources("validation"), strict=True)
        assert set(counts) == {1}
        parts = [data.eval_batch(source, 0) for source in sources]
        merged = {key: np.concatenate([part[key] for part in parts]) for key in ("x", "y", "mask")}
        real = merged["mask"] > 0
        for key in ("x", "y"):
            np.testing.assert_array_equal(merged[key][real], whole[key][0])


def test_a_file_is_read_as_evaluation_reads_it(painted):
    data = streamed(painted, batch=6)
    ((_, source),) = data.eval_sources("validation")
    for i in range(6):
        path, label = data.records["validation"][i]
        assert Path(path).parent.name == CLASSES[label]
        np.testing.assert_array_equal(data.read(path)["x"][0], source["x"][0, i])
    assert data.inputs().shape == (6, 8, 8, 3)


def test_an_array_is_cut_as_a_file_is(painted, tmp_path):
    data = streamed(painted, batch=6)
    path = data.records["validation"][0][0]
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
    deep = pixels.astype(np.uint16) * 257
    for array in (pixels, deep, deep[None], pixels / 255):
        np.save(tmp_path / "a.npy", array)
        np.testing.assert_array_equal(data.read(tmp_path / "a.npy")["x"], data.encode([path]))
    np.save(tmp_path / "a.npy", pixels.transpose(2, 0, 1))
    with pytest.raises(UserError, match=r"transpose\(1, 2, 0\)"):
        data.read(tmp_path / "a.npy")


def test_an_evaluation_that_was_broken_off(painted):
    data = streamed(painted, batch=2)
    wanted = [source for _, source in data.eval_sources("validation")]
    next(data.eval_sources("validation"))
    for (_, source), other in zip(data.eval_sources("validation"), wanted, strict=True):
        equal(source, other)


# -- sets -------------------------------------------------------------------------------------------------------------


def test_a_missing_validation_part_is_drawn(tmp_path):
    paint(tmp_path, (("train", 10), ("test", 2)))
    data = streamed(tmp_path)
    assert {part: data.size(part) for part in data.splits} == {"train": 27, "validation": 3, "test": 6}
    names = [[split[i][0] for i in range(len(split))] for split in data.records.values()]
    assert len({name for part in names for name in part}) == 36
    flat = streamed(tmp_path / "train")
    assert {part: flat.size(part) for part in flat.splits} == {"train": 21, "validation": 3, "test": 6}
    assert images.streamed(tmp_path, batch=4) is images.streamed(tmp_path, batch=4)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_broken_file_is_named(tmp_path, workers):
    paint(tmp_path)
    (tmp_path / "train" / "cat" / "2.png").write_bytes(b"no image")
    data = streamed(tmp_path, batch=18, workers=workers)
    with pytest.raises(ValueError, match=r"cat/2\.png: is not a readable image") as caught:
        data.source(0, 1, 0)
    assert "\n" not in str(caught.value)
    data.close()
    if not workers:
        (tmp_path / "train" / "cat" / "2.png").unlink()
        with pytest.raises(ValueError, match=r"cat/2\.png: no such file"):
            data.source(0, 1, 0)


def test_errors(tmp_path, painted):
    with pytest.raises(FileNotFoundError, match="absent: no such folder"):
        images.imagenet(folder=str(tmp_path / "absent"), batch=4)
    with pytest.raises(ValueError, match="holds no subfolder of images"):
        images.streamed(tmp_path, batch=4)
    paint(tmp_path, (("train", 3),), ("one",))
    with pytest.raises(ValueError, match="one class only, 'one'"):
        images.streamed(tmp_path, batch=4)
    paint(tmp_path, (("train", 3),), ("two",))
    paint(tmp_path, (("val", 3),), ("three",))
    with pytest.raises(ValueError, match=r"val: class 'three' has no images in .*train"):
        images.streamed(tmp_path, batch=4)
    shutil.rmtree(tmp_path / "val" / "three")
    with pytest.raises(ValueError, match="val: holds no images"):
        images.streamed(tmp_path, batch=4)
    for options, message in (
        ({"batch": 19}, "batch = 19 must lie between 1 and 18"),
        ({"workers": -1}, "workers = -1 must be 0 or more"),
        ({"image": 0}, "image = 0 must be 1 or more"),
        ({"resize": 7}, "resize = 7 is smaller than what is cut out of it, 8"),
    ):
        with pytest.raises(ValueError, match=message):
            streamed(painted, **options)


def test_a_set_that_is_not_prepared(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"imagenet2012 is not prepared in .*--folder"):
        images.imagenet(batch=4)
