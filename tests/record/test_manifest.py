"""A file is written whole or not at all."""

import errno
import os

import pytest

from jaxdl.cli.errors import exit_code
from jaxdl.record.manifest import replacing, result_file
from jaxdl.types import UserError


def fails_when_full(path):
    if path.suffix:
        path.write_bytes(b"half of")
    else:
        path.mkdir()
        (path / "weights").write_bytes(b"half of")
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_leaves_the_old_file_and_nothing_half_written(tmp_path):
    path = tmp_path / "made" / "picture.png"
    for before in (None, b"old"):
        with pytest.raises(UserError) as error, result_file(path) as new:
            fails_when_full(new)
        assert str(error.value) == f"cannot write {path}: no space left on the device"
        assert [p.read_bytes() for p in path.parent.iterdir()] == ([before] if before else [])
        path.write_bytes(b"old")
    with result_file(path) as new:
        new.write_bytes(b"new")
    assert [p.read_bytes() for p in path.parent.iterdir()] == [b"new"]


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    with pytest.raises(OSError, match="No space"), replacing(tmp_path / "export") as new:
        fails_when_full(new)
    assert not [*tmp_path.iterdir()]
    with replacing(tmp_path / "export") as new:
        new.mkdir()
    assert (tmp_path / "export").is_dir()


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UserError, match=r"cannot write .*picture\.png"), result_file(tmp_path / "file" / "picture.png"):
        pass


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT])
def test_a_full_or_read_only_disk_is_no_defect_of_ours(number):
    assert exit_code(OSError(number, os.strerror(number))) == 2
