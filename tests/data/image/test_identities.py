"""Identities: no one is in two parts, numbers of the trained come first, lists of pairs; one line for what is wrong."""

import re

import numpy as np
import pytest
from PIL import Image

from jaxdl.data.image.identities import identities, streamed_faces, trained_people, unseen_digits
from jaxdl.data.image.pairs import read_pairs
from jaxdl.data.source import balanced
from tests.programs import one_program

RANDOM = np.random.default_rng(0)
names_of = lambda data, part: {data.classes[y] for y in data.splits[part]["y"]}


def photograph(path, side=8):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(RANDOM.integers(0, 256, (side, side, 3), dtype=np.uint8)).save(path)


def people(root, names, each=3, side=8):
    for name in names:
        for i in range(each):
            photograph(root / name / f"{name.rsplit('/')[-1]}_{i + 1:04d}.png", side)
    return root


@pytest.fixture(scope="module")
def crowd(tmp_path_factory):
    return people(tmp_path_factory.mktemp("crowd"), [f"p{i:02d}" for i in range(20)])


def test_identities_are_split_whole_and_the_trained_come_first(crowd):
    data = identities(crowd, batch=6)
    parts = {part: names_of(data, part) for part in ("train", "validation", "test")}
    assert {part: len(names) for part, names in parts.items()} == {"train": 14, "validation": 3, "test": 3}
    assert len(set.union(*parts.values())) == 20
    assert sorted(set(data.splits["train"]["y"])) == list(range(14)) == list(range(trained_people(data)))
    assert data.splits["train"]["x"].shape == (42, 8, 8, 3)
    assert data.split == (
        "42 train / 9 validation / 9 test images; 14 train / 3 validation / 3 test identities, identities drawn once for "
        "every seed; no identity is in two parts"
    )
    assert identities(crowd, batch=6).splits is data.splits or identities(crowd, batch=6) is data
    grey, plain = (identities(crowd, batch=6, size=4, channels=1, invert=invert) for invert in (True, False))
    assert grey.splits["test"]["x"].shape == (9, 4, 4, 1)
    assert grey.split.endswith("; images brought to 4x4")
    splits = [{part: {"x": d.splits[part]["x"]} for part in ("train", "test")} for d in (plain, grey)]
    run = lambda d, s: (d.standardise(d.prepare(s["train"])), d.prepare(s["test"]))
    (scaled, given), (scaled_grey, inverted) = one_program(lambda *s: (run(plain, s[0]), run(grey, s[1])), *splits)
    for x in (scaled["x"], scaled_grey["x"]):
        assert (x.mean(), x.std()) == pytest.approx((0, 1), abs=1e-4)
    np.testing.assert_allclose(inverted["x"], 1 - given["x"], atol=1e-6)


def test_groups_are_split_whole(tmp_path):
    letters = [f"{alphabet}/{letter}" for alphabet in ("Greek", "Latin", "Korean", "Tagalog") for letter in "abc"]
    data = identities(people(tmp_path, letters, each=2), batch=2)
    alphabets = {part: {name.split("/")[0] for name in names_of(data, part)} for part in data.splits}
    assert [len(found) for found in alphabets.values()] == [2, 1, 1]
    assert len(set.union(*alphabets.values())) == 4
    assert "of 4 groups, the groups drawn once" in data.split


def test_parts_are_taken_as_given(tmp_path):
    for part, names in (("train", "abcdefgh"), ("test", "xyz")):
        people(tmp_path / part, names, each=2)
    data = identities(tmp_path, batch=2)
    assert names_of(data, "test") == set("xyz")
    assert len(names_of(data, "train") | names_of(data, "validation")) == 8
    people(tmp_path / "test", "a", each=2)
    with pytest.raises(ValueError, match="identity 'a' is in two parts"):
        identities(tmp_path, batch=2)


GIVEN = {
    ("train", "val"): "14 train / 2 test identities, identities drawn .* in two parts; validation as given",
    ("train", "test"): "14 train / 2 validation identities, identities drawn .* in two parts; test as given",
    ("train",): "12 train / 2 validation / 2 test identities, identities drawn .* no identity is in two parts",
    ("train", "val", "test"): "identities of each part as given",
}


@pytest.mark.parametrize("folders", GIVEN, ids="-".join)
def test_parts_that_are_missing_are_drawn_from_train(folders, tmp_path):
    """As is done where only validation is missing; and no identity is in two parts."""
    names = {"train": "abcdefghijklmnop", "val": "qrs", "test": "xyz"}
    for folder in folders:
        people(tmp_path / folder, names[folder], each=2)
    data = identities(tmp_path, batch=2)
    parts = {folder: names_of(data, part) for folder, part in zip(names, data.splits, strict=True)}
    assert set.union(*parts.values()) == {name for folder in folders for name in names[folder]}
    assert sum(map(len, parts.values())) == len(set.union(*parts.values()))
    for folder in folders[1:]:
        assert parts[folder] == set(names[folder]), "as given"
    assert re.search(GIVEN[folders], data.split)
    if "val" in folders:
        people(tmp_path / "val", "a", each=2)
        with pytest.raises(ValueError, match="identity 'a' is in two parts"):
            identities(tmp_path, batch=2)


def test_a_person_called_train_is_no_part(tmp_path):
    data = identities(people(tmp_path, ["train", "test", *"abcdef"]), batch=2)
    assert len(data.classes) == 8


def test_digits_with_classes_of_their_own():
    data = unseen_digits()
    assert [set(split["y"]) for split in data.splits.values()] == [set(range(7)), set(range(7)), {7, 8, 9}]
    assert trained_people(data) == 7
    assert sum(len(split["y"]) for split in data.splits.values()) == 1797


def lonely(root):
    people(root, "abcdefg")
    photograph(root / "ann" / "1.png")


WRONG = {
    "one identity": (lambda root: people(root, ["ann"]), {}, "holds one identity only, 'ann'; who is who takes two"),
    "no identity": (lambda root: photograph(root / "1.png"), {}, "holds no folder of images of one identity"),
    "one image": (lonely, {}, "ann: holds one image, and a pair of one identity needs two; .* least = 2"),
    "few": (lambda root: people(root, "abcd"), {}, "4 identities are too few for the parts train, validation, test"),
    "least": (lambda root: people(root, "abcdefg"), {"least": 9}, "no folder of images .* with 9 images or more"),
    "sizes": (
        lambda root: people(people(root, "abcdefg"), "z", side=9),
        {},
        "z_0001.png: is 9x9 and .*a_0001.png is 8x8; give a size that all images are brought to",
    ),
    "channels": (lambda root: None, {"channels": 2}, "channels = 2"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_told_in_one_line(name, tmp_path):
    make, options, says = WRONG[name]
    make(tmp_path)
    with pytest.raises(ValueError, match=says) as caught:
        identities(tmp_path, batch=2, **options)
    assert "\n" not in str(caught.value)


def test_what_can_be_mended_is(tmp_path):
    lonely(tmp_path)
    people(tmp_path, "z", side=9)
    data = identities(tmp_path, batch=2, size=6, least=2)
    assert "ann" not in data.classes
    assert data.splits["train"]["x"].shape[1:] == (6, 6, 3)
    with pytest.raises(FileNotFoundError, match="absent: no such folder"):
        identities(tmp_path / "absent", batch=2)


LISTS = {
    "lfw": "2\t1\np00\t1\t2\np01\t1\tp02\t3\np03\t2\t3\np04\t1\tp05\t1\n",
    "paths": "p00/p00_0001.png p00/p00_0002.png 1\np01/p01_0001.png p02/p02_0003.png 0\n\n"
    "p03/p03_0002.png p03/p03_0003.png 1\np04/p04_0001.png p05/p05_0001.png 0\n",
}


@pytest.mark.parametrize("form", LISTS)
def test_lists_of_pairs(form, crowd, tmp_path):
    (tmp_path / "pairs.txt").write_text(LISTS[form], encoding="utf-8")
    paths, y = read_pairs(tmp_path / "pairs.txt", crowd)
    assert [path.split("/")[-1] for path in paths] == [
        f"p{p}.png" for p in ("00_0001", "00_0002", "01_0001", "02_0003", "03_0002", "03_0003", "04_0001", "05_0001")
    ]
    assert y[:, 1].tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert (y[::2, 0] == y[1::2, 0]).tolist() == [True, False, True, False]
    data = identities(crowd, batch=6, pairs=tmp_path / "pairs.txt")
    assert identities(crowd, batch=6, pairs=tmp_path / "pairs.txt") is data
    test = data.splits["test"]
    assert test["x"].shape == (8, 8, 8, 3)
    np.testing.assert_array_equal(test["y"], y)
    np.testing.assert_array_equal(test["x"][4], np.asarray(Image.open(paths[4])))
    assert not test["x"].flags.writeable
    assert not test["y"].flags.writeable


@pytest.mark.parametrize("form", LISTS)
def test_who_is_listed_is_in_no_other_part(form, crowd, tmp_path):
    (tmp_path / "pairs.txt").write_text(LISTS[form], encoding="utf-8")
    data = identities(crowd, batch=6, pairs=tmp_path / "pairs.txt")
    listed, others = {f"p0{i}" for i in range(6)}, {f"p{i:02d}" for i in range(6, 20)}
    assert names_of(data, "train") | names_of(data, "validation") == others == set(data.classes)
    assert not names_of(data, "train") & names_of(data, "validation")
    photographs = {f.read_bytes() for name in listed for f in (crowd / name).iterdir()}
    assert len(photographs) == 18
    seen = {x.tobytes() for part in ("train", "validation") for x in data.splits[part]["x"]}
    assert not seen & {np.asarray(Image.open(f)).tobytes() for name in listed for f in (crowd / name).iterdir()}
    assert sorted(set(data.splits["train"]["y"])) == list(range(12)) == list(range(trained_people(data)))
    assert data.split == (
        "36 train / 6 validation / 8 test images; 12 train / 2 validation identities, identities drawn once for every seed; "
        "no identity is in two parts; test: 4 listed pairs, whose 6 identities are set aside"
    )


def test_who_is_listed_under_test_does_not_train_under_the_same_name(tmp_path):
    people(tmp_path / "train", "abcdefgh")
    people(tmp_path / "test", "axyz")
    listed = ("a/a_0001 a/a_0002", "x/x_0001 x/x_0002"), ("a/a_0001 x/x_0001", "y/y_0001 z/z_0001")
    lines = [
        " ".join(f"test/{name}.png" for name in line.split()) + f" {1 - k}\n" for k in (0, 1) for line in listed[k]
    ]
    (tmp_path / "pairs.txt").write_text("".join(lines), encoding="utf-8")
    data = identities(tmp_path, batch=2, pairs=tmp_path / "pairs.txt")
    assert set(data.classes) == set("bcdefgh")
    assert data.split.endswith("test: 4 listed pairs, whose 4 identities are set aside")


TOO_FEW = {
    17: "3 identities beside the 17 of the list of pairs are too few for the parts train, validation: each needs 2 of its",
    20: "holds no folder of images of one identity beside the 20 of the list of pairs; who is who takes two folders",
}


@pytest.mark.parametrize("listed", TOO_FEW)
def test_too_few_are_left_beside_the_listed(listed, crowd, tmp_path):
    lines = [f"p{i:02d} 1 2\np{i:02d} 1 p{(i + 1) % listed:02d} 3\n" for i in range(listed)]
    (tmp_path / "pairs.txt").write_text("".join(lines), encoding="utf-8")
    with pytest.raises(ValueError, match=TOO_FEW[listed]) as caught:
        identities(crowd, batch=6, pairs=tmp_path / "pairs.txt")
    assert "\n" not in str(caught.value)


def test_a_first_line_of_three_numbers_is_a_pair_of_someone_called_by_digits(tmp_path):
    people(tmp_path, ["12", "13"])
    for header in ("", "4\n", "2 1\n", "\ufeff", "\ufeff4\r\n"):
        (tmp_path / "pairs.txt").write_text(header + "12 1 2\n12 1 13 2\n13 2 3\n12 3 13 3\n", encoding="utf-8")
        paths, _ = read_pairs(tmp_path / "pairs.txt", tmp_path)
        names = ["12_0001", "12_0002", "12_0001", "13_0002", "13_0002", "13_0003", "12_0003", "13_0003"]
        assert [path.split("/")[-1] for path in paths] == [f"{name}.png" for name in names]


WRONG_LISTS = {
    "absent": ("p00 1 2\np01 1 p02 7\n", FileNotFoundError, r"pairs.txt:2: names .*p02/p02_0007, which does not exist"),
    "line": (
        "p00 1 2\np01 one two three\n",
        ValueError,
        r"pairs.txt:2: expected `name i j`, .* got 'p01 one two three'",
    ),
    "one kind": (
        "p00 1 2\n",
        ValueError,
        r"pairs.txt: verification needs 2 pairs or more of one identity, .*got 1 and 0",
    ),
    "one of a kind": (
        "p00 1 2\np01 1 2\np00 1 p01 1\n",
        ValueError,
        r"or more of one identity, and of two; got 2 and 1",
    ),
    "nothing": ("\n", ValueError, "holds no text"),
}


@pytest.mark.parametrize("name", WRONG_LISTS)
def test_wrong_lists_of_pairs(name, crowd, tmp_path):
    text, error, says = WRONG_LISTS[name]
    (tmp_path / "pairs.txt").write_text(text, encoding="utf-8")
    with pytest.raises(error, match=says):
        read_pairs(tmp_path / "pairs.txt", crowd)


def test_faces_are_streamed_with_lists_of_pairs(crowd, tmp_path):
    (tmp_path / "pairs.txt").write_text(LISTS["lfw"], encoding="utf-8")
    data = streamed_faces(
        str(crowd), batch=5, pairs=(("test", str(tmp_path / "pairs.txt"), str(crowd)),), image=8, workers=0
    )
    try:
        assert (data.size("train"), data.size("test"), trained_people(data)) == (60, 8, 20)
        batches = [data.eval_batch(source, 0) for count, source in data.eval_sources("test") for _ in range(count)]
        y, mask = (np.concatenate([batch[key] for batch in batches]) for key in ("y", "mask"))
        np.testing.assert_array_equal(y[mask > 0], read_pairs(tmp_path / "pairs.txt", crowd)[1])
        assert mask.tolist() == [1] * 8 + [0] * 2
        first = data.train_batch(data.source(0, 1, 0), 0, 0)
        assert first["x"].shape == (5, 8, 8, 3)
        assert data.split.startswith(f"60 train images of 20 identities; test: 4 pairs of {tmp_path / 'pairs.txt'}")
        assert "folders are called like some of training (seen before?)" in data.split, "the crowd is tested on itself"
        with pytest.raises(ValueError, match=r"balanced batches need a set in memory, and crowd\d* is StreamedImages"):
            balanced(data, classes=2, each=2)
    finally:
        data.close()


def test_pairs_of_people_whom_training_does_not_know_need_no_warning(crowd, tmp_path):
    people(tmp_path / "others", ["x", "y"], each=2)
    (tmp_path / "pairs.txt").write_text(LISTS["lfw"], encoding="utf-8")
    pairs = (("test", str(tmp_path / "pairs.txt"), str(crowd)),)
    data = streamed_faces(str(tmp_path / "others"), batch=2, pairs=pairs, image=8, workers=0)
    assert data.split == f"4 train images of 2 identities; test: 4 pairs of {tmp_path / 'pairs.txt'}"


def test_who_has_one_image_is_said_to_be_left_out(tmp_path):
    people(tmp_path, ["a 1", "b", "c"], each=2)
    people(tmp_path, ["d", "e"], each=1)
    data = streamed_faces(str(tmp_path), batch=2, pairs=(), image=8, workers=0)
    assert data.classes == ("a 1", "b", "c")
    assert data.split.startswith("6 train images of 3 identities, 2 with one image left out")
