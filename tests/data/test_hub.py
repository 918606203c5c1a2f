"""Sets written by `datasets` itself: every feature becomes the set it declares; offline the cache, or one line at once."""

import io
import shutil
import socket
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from PIL import Image

from jaxdl.data import hub, huggingface
from jaxdl.data.audio.speech import Recordings
from jaxdl.data.image.images import StreamedImages
from jaxdl.data.image.memory import Images
from jaxdl.data.table.tabular import Table
from jaxdl.data.text.text_classes import Texts
from jaxdl.types import UserError

NAMES = ["dog", "cat"]
PIXELS = np.random.default_rng(0).integers(0, 256, (40, 8, 8), dtype=np.uint8)


@pytest.fixture(scope="module")
def library():
    import datasets

    datasets.disable_progress_bars()
    yield datasets
    datasets.enable_progress_bars()


@pytest.fixture(autouse=True)
def _alone(monkeypatch, tmp_path, library):
    """A cache of its own, and no network: a test that asks for it fails."""
    monkeypatch.setattr(library.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    for variable in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        monkeypatch.delenv(variable, raising=False)

    def refuse(*_, **__):
        raise AssertionError("tried the network")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


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


# -- the hub ----------------------------------------------------------------------------------------------------------

COMMITS = ("0" * 39 + "a", "0" * 39 + "b")


@pytest.fixture
def cached(library, tmp_path):
    """What `load_dataset("acme/pets")` leaves in the cache, of two commits: the first with 30 images, the second with 40."""
    for commit, count in zip(COMMITS, (30, 40), strict=True):
        source = tmp_path / "made" / str(count)
        source.mkdir(parents=True)
        pictures(library, range(count)).to_parquet(str(source / "pets.parquet"))
        rows = library.load_dataset("parquet", data_files=str(source / "pets.parquet"), cache_dir=str(source / "cache"))
        (folder,) = (source / "cache").glob("parquet/*/*/*/")
        place = tmp_path / "cache" / "acme___pets" / "default" / "0.0.0" / commit
        shutil.copytree(folder, place)
        (place / "parquet-train.arrow").rename(place / "pets-train.arrow")
        info = (place / "dataset_info.json").read_text(encoding="utf-8")
        config = folder.parent.parent.name
        (place / "dataset_info.json").write_text(info.replace(config, "default"), encoding="utf-8")
        del rows


def reached(monkeypatch, answer):
    asked = []
    monkeypatch.setattr(huggingface, "_reachable", lambda: asked.append(1) or answer)
    return asked


def count(data):
    return sum(data.size(part) for part in data.splits)


def test_without_a_network_the_cache_is_read(cached, monkeypatch):
    asked = reached(monkeypatch, False)
    assert count(hub.dataset("acme/pets", batch=4)) in (30, 40)
    assert asked


def test_a_pinned_commit_is_read_from_the_cache_and_no_other(cached, monkeypatch, tmp_path):
    asked = reached(monkeypatch, False)
    assert [count(hub.dataset("acme/pets", batch=4, revision=commit)) for commit in COMMITS] == [30, 40]
    assert not asked, "a full commit needs no network"
    with pytest.raises(FileNotFoundError, match=f"acme/pets at {'0' * 40} is not in"):
        hub.dataset("acme/pets", batch=4, revision="0" * 40)
    with pytest.raises(FileNotFoundError, match="acme/pets at v2 is not in"):
        hub.dataset("acme/pets", batch=4, revision="v2")
    refs = tmp_path / "hub" / "datasets--acme--pets" / "refs"
    refs.mkdir(parents=True)
    (refs / "v1").write_text(COMMITS[0], encoding="utf-8")
    assert count(hub.dataset("acme/pets", batch=4, revision="v1")) == 30, "what the tag meant when it was asked for"


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"])
def test_offline_nothing_is_asked(cached, monkeypatch, variable):
    monkeypatch.setenv(variable, "1")
    asked = reached(monkeypatch, True)
    assert count(hub.dataset("acme/pets", batch=3)) in (30, 40)
    with pytest.raises(
        FileNotFoundError, match=r"acme/none is not in .*, and HF_HUB_OFFLINE or HF_DATASETS_OFFLINE is set"
    ):
        hub.dataset("acme/none", batch=3)
    assert not asked


def test_what_is_not_here_and_not_to_be_reached_is_said_with_what_to_run(monkeypatch):
    """A hub that refuses, and one that never answers: neither is waited for longer than a moment."""
    waits = []

    def never(address, timeout):
        waits.append((address, timeout))
        raise TimeoutError

    monkeypatch.setattr(socket, "create_connection", never)
    monkeypatch.setenv("HF_ENDPOINT", "https://hub.invalid")
    monkeypatch.setattr(huggingface, "getproxies", dict)
    with pytest.raises(FileNotFoundError) as caught:
        hub.dataset("acme/none", batch=4, revision="v1")
    message = str(caught.value)
    assert "\n" not in message
    assert waits == [(("hub.invalid", 443), huggingface.PATIENCE)]
    assert huggingface.PATIENCE < 1
    assert "https://hub.invalid does not answer" in message
    assert "datasets.load_dataset('acme/none', revision='v1')" in message


def test_a_set_of_the_hub_is_asked_for_by_its_name_and_revision(library, monkeypatch):
    reached(monkeypatch, True)
    asked = []
    made = library.DatasetDict(train=pictures(library, range(40)))
    monkeypatch.setattr(library, "load_dataset", lambda *args, **kwargs: asked.append((args, kwargs)) or made)
    assert count(hub.dataset("acme/new", batch=4, config="small", revision="v1")) == 40
    assert asked == [(("acme/new", "small"), {"revision": "v1"})]

    def fails(*_, **__):
        raise ValueError("BuilderConfig 'tiny' not found.\nAvailable: ['small']")

    monkeypatch.setattr(library, "load_dataset", fails)
    with pytest.raises(
        UserError, match=r"acme/new: is not read by datasets \(ValueError: BuilderConfig 'tiny' not found"
    ):
        hub.dataset("acme/new", batch=4, config="tiny")


def test_without_the_package_the_extra_is_named():
    code = (
        "import sys; sys.modules['datasets'] = None\n"
        "from jaxdl.data import hub\n"
        "try:\n    hub.dataset('mnist', batch=4)\n"
        "except ModuleNotFoundError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "hub.dataset needs the package datasets" in done.stdout
    assert "hub" in done.stdout.rpartition("install")[2]
