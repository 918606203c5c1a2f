"""The one rule by which folders of data are read, on folders written here."""

import os

import pytest

from jaxdl.data.walker import list_files, one_folder_a_class, subfolders
from jaxdl.types import UserError


def write(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def names(found, root):
    return [os.path.relpath(file, root).replace(os.sep, "/") for file in found.files]


def test_hidden_files_and_those_of_the_system_are_left_out_and_not_counted(tmp_path):
    root = tmp_path / ".cache" / "set"  # the root and what is above it may be hidden
    write(root, "b/1.png", "a/2.PNG", "a/deep/3.png", ".ipynb_checkpoints/1.png", "a/.Trash/2.png", "a/._2.PNG")
    write(root, "__MACOSX/a/1.png", "a/Thumbs.db", "a/.DS_Store", "desktop.ini", "a/@eaDir/2.png")
    found = list_files(root, {".png"})
    assert names(found, root) == ["a/2.PNG", "a/deep/3.png", "b/1.png"]
    assert not found.left_out
    assert found.unread() == ""
    assert subfolders(root) == ["a", "b"]
    assert names(list_files(root / "a", {".png"}, deep=False), root) == ["a/2.PNG"]


def test_what_is_not_read_is_counted_by_suffix(tmp_path):
    write(tmp_path, "a.txt", "b.jfif", "c.JFIF", "README", "d.png", "e.trans.txt")
    found = list_files(tmp_path, {".png", ".trans.txt"})
    assert names(found, tmp_path) == ["d.png", "e.trans.txt"]
    assert found.left_out == {".jfif": 2, ".txt": 1, "without a suffix": 1}
    assert found.unread() == "2 .jfif, 1 .txt, 1 without a suffix"


def test_links_are_followed_and_loops_are_noticed(tmp_path):
    root, outside = tmp_path / "root", tmp_path / "outside"
    write(root, "a/1.png", "z/2.png")
    write(outside, "3.png", "deep/4.png")
    (root / "a" / "file.png").symlink_to(outside / "3.png")
    (root / "b").symlink_to(outside)
    (outside / "deep" / "up").symlink_to(root)  # root/b/deep/up is root again
    (root / "a" / "0").symlink_to(root / "z")  # comes first in the order, and is yet the link that is left out
    (root / "gone.png").symlink_to(tmp_path / "nowhere")
    found = list_files(root, {".png"})
    assert names(found, root) == ["a/1.png", "a/file.png", "b/3.png", "b/deep/4.png", "z/2.png"]
    assert found.left_out == {"broken links": 1, "links to a folder that is read already": 2}


def test_folders_that_link_to_each_other_are_read_once(tmp_path):
    places = [tmp_path / str(i) for i in range(12)]  # 12! paths lead through them
    for place in places:
        write(place, "1.png")
    for place in places:
        for other in places:
            (place / f"to{other.name}").symlink_to(other)
    found = list_files(tmp_path, {".png"})
    assert len(found.files) == 12
    assert sum(found.left_out.values()) == 144


def test_one_folder_a_class(tmp_path):
    write(tmp_path, "cat/1.png", "cat/2.jfif", "dog/1.png", "dog/more/2.png", "_noise/1.txt", "loose.png")
    (tmp_path / "empty").mkdir()
    classes, notes = one_folder_a_class(tmp_path, {".png"}, skip=lambda name: name[0] == "_")
    assert {name: len(files) for name, files in classes.items()} == {"cat": 1, "dog": 2}
    assert len(notes) == 3
    assert "class cat: 1 .jfif not read" in notes
    assert any("empty" in note for note in notes)
    assert any("1 not read" in note for note in notes)


def test_a_class_that_loses_all_its_files_is_an_error(tmp_path):
    write(tmp_path, "cat/1.png", *(f"bird/{i}.jfif" for i in range(40)))
    with pytest.raises(UserError, match=r"bird.*40 \.jfif"):
        one_folder_a_class(tmp_path, {".png"})


def test_no_folder_and_a_file(tmp_path):
    write(tmp_path, "a.png")
    with pytest.raises(FileNotFoundError, match="absent"):
        list_files(tmp_path / "absent", {".png"})
    with pytest.raises(UserError, match=r"a\.png"):
        list_files(tmp_path / "a.png", {".png"})
