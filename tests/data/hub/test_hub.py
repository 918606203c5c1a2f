"""Sets written by `datasets` itself: every feature becomes the set it declares; offline the cache, or one line at once."""

import io
import shutil

import numpy as np
import pytest
import soundfile
from PIL import Image

from jaxdl.data import hub
from jaxdl.data.audio.speech import Recordings
from jaxdl.data.image.images import StreamedImages
from jaxdl.data.image.memory import Images
from jaxdl.data.table.tabular import Table
from jaxdl.data.text.text_classes import Texts
from jaxdl.types import UserError

NAMES = ["dog", "cat"]
PIXELS = np.random.default_rng(0).integers(0, 256, (40, 8, 8), dtype=np.uint8)


def pictures(library, rows, sizes=None):
    images = [Image.fromarray(PIXELS[i]).resize(sizes[i % 2] if sizes else (8, 8)) for i in rows]
    features = library.Features(image=library.Image(), label=library.ClassLabel(names=NAMES))
    return library.Dataset.from_dict({"image": images, "label": [i % 2 for i in rows]}, features=features)


def saved(library, made, folder, kind):
    """The same rows as a folder of `save_to_disk`, of parquet files, or of arrow files by split."""
    if kind == "save_to_disk":
        library.DatasetDict(made).save_to_disk(str(folder))
        return folder
    folder.mkdir()
    for part, rows in made.items():
        if kind == "parquet":
            rows.to_parquet(str(folder / f"{part}-00000-of-00001.parquet"))
        else:
            rows.save_to_disk(str(folder.parent / f"{part}_saved"))
            shutil.copy(folder.parent / f"{part}_saved" / "data-00000-of-00001.arrow", folder / f"{part}.arrow")
    return folder


@pytest.mark.parametrize("kind", ["save_to_disk", "parquet", "arrow"])
def test_images_keep_their_pixels_their_names_and_their_splits(library, tmp_path, kind):
    made = {"train": pictures(library, range(30)), "test": pictures(library, range(30, 40))}
    data = hub.dataset(saved(library, made, tmp_path / "pets", kind), batch=4)
    assert isinstance(data, Images)
    assert (data.name, data.classes) == ("pets", ("dog", "cat"))
    assert {part: data.size(part) for part in data.splits} == {"train": 26, "validation": 4, "test": 10}
    np.testing.assert_array_equal(data.splits["test"]["x"][..., 0], PIXELS[30:])
    np.testing.assert_array_equal(data.splits["test"]["y"], np.arange(30, 40) % 2)
    seen = np.concatenate([data.splits[part]["x"] for part in ("train", "validation")])
    assert {image.tobytes() for image in seen} == {image.tobytes() for image in PIXELS[:30]}


def test_images_of_several_sizes_need_one(library, tmp_path):
    pictures(library, range(40), sizes=((8, 8), (12, 6))).to_parquet(str(tmp_path / "a.parquet"))
    with pytest.raises(UserError, match=r"image 1 has \(6, 12\) pixels, the first \(8, 8\); give size="):
        hub.dataset(tmp_path / "a.parquet", batch=4)
    data = hub.dataset(tmp_path / "a.parquet", batch=4, size=(6, 5), channels=3)
    assert data.splits["train"]["x"].shape == (28, 6, 5, 3)
    with pytest.raises(UserError, match=r"unexpected keyword argument 'mels' \(Image as inputs\)"):
        hub.dataset(tmp_path / "a.parquet", batch=4, mels=3)


def test_images_are_streamed(library, tmp_path):
    """Every example comes once an epoch, decoded where it is needed; of the parts that are missing each is drawn."""
    pictures(library, range(40)).to_parquet(str(tmp_path / "a.parquet"))
    options = {
        "batch": 14,
        "stream": True,
        "image": 8,
        "resize": 8,
        "workers": 0,
        "scale": (1.0, 1.0),
        "ratio": (1.0, 1.0),
    }
    data = hub.dataset(tmp_path / "a.parquet", **options)
    assert isinstance(data, StreamedImages)
    assert {part: data.size(part) for part in data.splits} == {"train": 28, "validation": 6, "test": 6}
    found = [data.source(draw, draw + 1, 0) for draw in (0, 1)]
    images = np.concatenate([one["x"][0, ..., 0] for one in found])
    labels = np.concatenate([one["y"][0] for one in found])
    place = {PIXELS[i].tobytes(): i for i in range(40)}
    rows = [place[image.tobytes()] for image in images]
    assert len(set(rows)) == 28
    np.testing.assert_array_equal(labels, np.array(rows) % 2)
    data.close()
    assert hub.dataset(tmp_path / "a.parquet", **options) is data, "an unchanged file is not read again"


def test_equal_images_stand_in_one_part(library, tmp_path):
    rows = [*range(38), 0, 1]
    pictures(library, rows).to_parquet(str(tmp_path / "a.parquet"))
    data = hub.dataset(tmp_path / "a.parquet", batch=4, stream=True, image=8, workers=0)
    parts = {}
    for part, records in data.records.items():
        for i in range(len(records)):
            parts.setdefault(records[i][0], set()).add(part)
    assert len(parts) == 38
    assert all(len(found) == 1 for found in parts.values())


@pytest.mark.parametrize("stream", [False, True])
def test_labels_that_are_names_or_numbers(library, tmp_path, stream):
    made = pictures(library, range(40))
    options = {"stream": True, "image": 8, "workers": 0} if stream else {}
    for name, column in (("names", [f"kind {i % 3}" for i in range(40)]), ("numbers", [i % 3 for i in range(40)])):
        rows = made.remove_columns("label").add_column("label", column)
        rows.to_parquet(str(tmp_path / f"{name}.parquet"))
        data = hub.dataset(tmp_path / f"{name}.parquet", batch=4, **options)
        assert data.classes == (("kind 0", "kind 1", "kind 2") if name == "names" else ("0", "1", "2"))
        assert sorted(np.concatenate([part["y"] for part in data.splits.values()])) == sorted(i % 3 for i in range(40))


def test_texts(library, tmp_path):
    """As IMDB has it: train, test, and texts without labels; a csv and a folder of json."""
    texts = [f"{word} number {i}" for i in range(20) for word in ("good", "bad")]
    features = library.Features(text=library.Value("string"), label=library.ClassLabel(names=["neg", "pos"]))
    whole = library.Dataset.from_dict({"text": texts, "label": [1, 0] * 20}, features=features)
    unlabelled = library.Dataset.from_dict({"text": ["?"] * 3, "label": [-1] * 3}, features=features)
    made = library.DatasetDict(train=whole.select(range(30)), test=whole.select(range(30, 40)), unsupervised=unlabelled)
    made.save_to_disk(str(tmp_path / "films"))
    with pytest.warns(UserWarning, match=r"split unsupervised \(3 examples\) is not read"):
        data = hub.dataset(tmp_path / "films", batch=4, unit="words", time=4)
    assert isinstance(data, Texts)
    assert data.classes == ("neg", "pos")
    assert {part: data.size(part) for part in data.splits} == {"train": 26, "validation": 4, "test": 10}
    assert data.tokenizer.decode(data.splits["test"]["x"][0]).split()[0] == "good"
    assert data.splits["test"]["y"].tolist() == [1, 0] * 5
    whole.to_csv(str(tmp_path / "train.csv"))
    drawn = hub.dataset(tmp_path / "train.csv", batch=4, time=24)
    assert (drawn.size("train"), drawn.classes) == (28, ("0", "1"))
    (tmp_path / "json").mkdir()
    for split in ("train", "test"):
        made[split].to_json(str(tmp_path / "json" / f"{split}.jsonl"))
    same = hub.dataset(tmp_path / "json", batch=4, unit="words", time=4)
    np.testing.assert_array_equal(same.splits["test"]["x"], data.splits["test"]["x"])


def test_a_split_without_labels_is_not_a_test(library, tmp_path):
    """As GLUE has it: the labels of its test are -1."""
    made = {"train": pictures(library, range(30)), "validation": pictures(library, range(30, 36))}
    hidden = pictures(library, range(36, 40)).map(lambda row: {"label": -1})
    with pytest.warns(UserWarning, match="split test has no labels and is not read"):
        data = hub.dataset(saved(library, {**made, "test": hidden}, tmp_path / "glue", "save_to_disk"), batch=4)
    assert data.size("validation") == 6


def test_recordings(library, tmp_path):
    """flac in the rows, as the hub keeps audio; what a file holds and what a row holds are read alike."""
    sounds = [np.round(np.random.default_rng(i).uniform(-9999, 9999, 800 + i)).astype(np.int16) for i in range(40)]
    contents = []
    for sound in sounds:
        file = io.BytesIO()
        soundfile.write(file, sound, 16000, format="FLAC")
        contents.append({"bytes": file.getvalue(), "path": None})
    rows = library.Dataset.from_dict({"audio": contents, "label": [i % 2 for i in range(40)]})
    rows = rows.cast_column("label", library.ClassLabel(names=NAMES)).cast_column("audio", library.Audio(16000))
    rows.to_parquet(str(tmp_path / "a.parquet"))
    data = hub.dataset(tmp_path / "a.parquet", batch=4)
    assert isinstance(data, Recordings)
    assert data.classes == ("dog", "cat")
    assert {part: data.size(part) for part in data.splits} == {"train": 28, "validation": 6, "test": 6}
    (tmp_path / "a.flac").write_bytes(contents[3]["bytes"])
    one = data.read(tmp_path / "a.flac")["x"]
    found = [(part, row) for part, arrays in data.splits.items() for row in np.flatnonzero((arrays["x"] == one).all(1))]
    assert len(found) == 1
    assert data.splits[found[0][0]]["y"][found[0][1]] == 1
    np.testing.assert_allclose(one[0, :803], sounds[3], atol=1.01)


def test_tables(library, tmp_path):
    """Class names of targets and of inputs are those that the features declare."""
    rng = np.random.default_rng(0)
    features = library.Features(
        size=library.Value("float64"),
        colour=library.ClassLabel(names=["red", "blue"]),
        kind=library.ClassLabel(names=NAMES),
    )
    columns = {"size": rng.normal(size=60), "colour": rng.integers(0, 2, 60), "kind": rng.integers(0, 2, 60)}
    library.Dataset.from_dict(columns, features=features).save_to_disk(str(tmp_path / "animals"))
    with pytest.raises(
        UserError, match=r"which column is the target\? give y=; it has size \(Value\), colour \(ClassLabel\)"
    ):
        hub.dataset(tmp_path / "animals", batch=4)
    data = hub.dataset(tmp_path / "animals", batch=4, y="kind")
    assert isinstance(data, Table)
    assert set(data.classes) == set(NAMES)
    assert data.columns == ("size", "colour = blue", "colour = red")
    assert sum(data.size(part) for part in data.splits) == 60
    regression = hub.dataset(tmp_path / "animals", batch=4, x=["colour"], y="size")
    assert regression.splits["train"]["y"].dtype == np.float32


def test_what_cannot_be_read_is_said_in_one_line(library, tmp_path):
    (tmp_path / "mixed").mkdir()
    for name in ("a.csv", "b.parquet"):
        (tmp_path / "mixed" / name).write_text("text,label\na,b\n", encoding="utf-8")
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 no parquet")
    (tmp_path / "notes.txt").write_text("hello", encoding="utf-8")
    (tmp_path / "numbers.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    for name, message in {
        "mixed": r"holds files of 2 kinds \(csv, parquet\)",
        "empty": "is none of",
        "broken.parquet": "is not read by datasets",
        "notes.txt": r"is none of \(\.txt\)",
        "numbers.csv": "which column is the target",
    }.items():
        with pytest.raises(UserError, match=message) as caught:
            hub.dataset(tmp_path / name, batch=1)
        assert name in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="config and revision are for sets of the hub"):
        hub.dataset(tmp_path / "numbers.csv", batch=1, revision="main")
    with pytest.raises(FileNotFoundError, match=r"a/b/c: no such file or folder, and no name of the hub"):
        hub.dataset("a/b/c", batch=1)
