"""Folders of words: the official lists, a draw where there are none, and what is refused."""

import numpy as np
import pytest
import soundfile

from jaxdl.data.audio import speech
from jaxdl.data.audio.soundfiles import write_wav
from jaxdl.data.audio.spectrogram import PAD


@pytest.fixture
def words(tmp_path):
    """Two words in the format of Speech Commands; the lists name one file each."""
    rng = np.random.default_rng(0)
    for word in ("no", "yes", "_background_noise_"):
        (tmp_path / word).mkdir()
        for i in range(4):
            write_wav(tmp_path / word / f"{i}_nohash_0.wav", rng.uniform(-0.5, 0.5, 300 + 10 * i), 16000)
    (tmp_path / "validation_list.txt").write_text("no/0_nohash_0.wav\nyes/0_nohash_0.wav\n", encoding="utf-8")
    (tmp_path / "testing_list.txt").write_text("yes/1_nohash_0.wav\n", encoding="utf-8")
    return tmp_path


def test_speech_commands_are_split_by_their_lists(words):
    data = speech.speech_commands(batch=2, folder=words)
    assert data.classes == ("no", "yes")
    assert {name: part["y"].tolist() for name, part in data.splits.items()} == {
        "train": [0, 0, 0, 1, 1],
        "validation": [0, 1],
        "test": [1],
    }
    assert data.splits["test"]["x"].shape == (1, 16000)
    assert not data.splits["test"]["x"][0, 310:].any()
    asked = data.read(words / "yes" / "1_nohash_0.wav")["x"]
    np.testing.assert_array_equal(asked, data.splits["test"]["x"], "a prediction reads what training reads")
    assert data.encode([str(words / word / "1_nohash_0.wav") for word in ("no", "yes")]).shape == (2, 16000)
    assert data.decode({"label": np.zeros(2)}) == {}


def test_folders_that_lack_something_are_refused(words):
    (words / "testing_list.txt").write_text("yes/9_nohash_0.wav\n", encoding="utf-8")
    with pytest.raises(ValueError, match="no recordings for the test split"):
        speech.speech_commands(batch=2, folder=words)
    (words / "testing_list.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"needs testing_list\.txt beside the other list, or neither"):
        speech.speech_commands(batch=2, folder=words)
    with pytest.raises(FileNotFoundError, match="nowhere: no such folder"):
        speech.speech_commands(folder=words / "nowhere")


def test_a_file_that_lasts_too_long_is_refused(words):
    data = speech.speech_commands(batch=2, folder=words)
    write_wav(words / "long.wav", np.zeros(20000), 16000)
    with pytest.raises(ValueError, match=r"long\.wav: lasts 1\.25 s, this set's recordings at most 1\.00 s"):
        data.read(words / "long.wav")


def sounds(folder, names, rng, samples=300):
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        write_wav(folder / name, rng.uniform(-0.5, 0.5, samples + rng.integers(100)), 8000)
    return folder


def test_a_folder_without_lists_is_drawn_by_class(tmp_path):
    rng = np.random.default_rng(0)
    names = [f"{word}/{i}.wav" for word in ("cat", "dog") for i in range(20)]
    sounds(tmp_path, [*names, "_noise_/0.wav", "cat/20.wav", "dog/20.wav"], rng)
    write_wav(tmp_path / "dog" / "long.wav", rng.uniform(-0.5, 0.5, 12000), 8000)
    data = speech.speech_commands(batch=2, folder=tmp_path, rate=8000)
    assert (data.name, data.classes) == (tmp_path.name, ("cat", "dog"))
    counts = {part: np.bincount(arrays["y"]).tolist() for part, arrays in data.splits.items()}
    assert {part: sum(n) for part, n in counts.items()} == {"train": 30, "validation": 7, "test": 6}
    assert all(abs(a - b) <= 1 for a, b in counts.values())
    assert data.split.startswith("30 train / 7 validation / 6 test: the same split for every seed, stratified by class")
    assert data.split.endswith("up to 1.50 s long")
    assert data.samples == 12000, "nothing is cut"
    one = data.read(tmp_path / "cat" / "0.wav")["x"]
    rows = np.concatenate([arrays["x"] for arrays in data.splits.values()])
    assert (rows == one).all(1).sum() == 1, "a file is read for a prediction as it was for training"
    assert one[0, -1] == PAD


def test_the_recordings_of_a_speaker_stay_together(tmp_path):
    """Speech Commands' names: <speaker>_nohash_<number>.wav; each of 40 speakers says both words twice."""
    rng = np.random.default_rng(1)
    names = [f"{word}/{s:02d}_nohash_{i}.wav" for word in ("no", "yes") for s in range(40) for i in range(2)]
    data = speech.speech_commands(batch=2, folder=sounds(tmp_path, names, rng), rate=8000)
    found = {}
    for name in names:
        row = data.read(tmp_path / name)["x"]
        (part,) = (part for part, arrays in data.splits.items() if (arrays["x"] == row).all(1).any())
        found.setdefault(name[-15:-13], set()).add(part)
    assert len(found) == 40
    assert all(len(parts) == 1 for parts in found.values())
    assert data.split.startswith("112 train / 24 validation / 24 test: the same split for every seed; the 40 speakers")


def test_folders_without_classes_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="two subfolders of recordings or more, one a class, found 0"):
        speech.speech_commands(folder=tmp_path)
    sounds(tmp_path, ["cat/0.wav", "cat/1.wav"], np.random.default_rng(0))
    with pytest.raises(FileNotFoundError, match="found 1"):
        speech.speech_commands(folder=tmp_path)


def test_lists_hold_one_file_a_line_whatever_its_name(words):
    """A blank in a word's name, and what editors on Windows write."""
    (words / "yes").rename(words / "turn on")
    (words / "validation_list.txt").write_bytes(b"\xef\xbb\xbfno/0_nohash_0.wav\r\nturn on/0_nohash_0.wav\r\n")
    (words / "testing_list.txt").write_text("turn on/1_nohash_0.wav\n", encoding="utf-8")
    data = speech.speech_commands(batch=2, folder=words)
    sizes = {name: part["y"].tolist() for name, part in data.splits.items()}
    assert sizes == {"train": [0, 0, 0, 1, 1], "validation": [0, 1], "test": [1]}
    (words / "validation_list.txt").write_bytes(b"no/\xe9.wav\n")
    with pytest.raises(ValueError, match=r"validation_list\.txt"):
        speech.speech_commands(batch=3, folder=words)


def test_hidden_files_and_folders_are_no_recordings(words):
    """Case 06: .ipynb_checkpoints in and beside classes, what macOS writes beside each file."""
    for name in (".ipynb_checkpoints/a.wav", "no/.ipynb_checkpoints/0_nohash_0-checkpoint.wav", "__MACOSX/0.wav"):
        (words / name).parent.mkdir(exist_ok=True)
        write_wav(words / name, np.zeros(300), 16000)
    (words / "no" / "._0_nohash_0.wav").write_bytes(b"\0\x05\x16\x07 Mac OS X")
    data = speech.speech_commands(batch=2, folder=words)
    assert data.classes == ("no", "yes")
    assert {part: len(arrays["y"]) for part, arrays in data.splits.items()} == {"train": 5, "validation": 2, "test": 1}


def test_every_format_of_a_class_is_read(words):
    """Case 10: a class in .flac was left out. The official lists name files of it by .wav."""
    before = speech.speech_commands(batch=2, folder=words)
    for file in sorted((words / "yes").iterdir()):
        sound, rate = soundfile.read(file, dtype="int16")
        soundfile.write(file.with_suffix(".FLAC"), sound, rate, format="FLAC")
        file.unlink()
    data = speech.speech_commands(batch=2, folder=words)
    for part, arrays in data.splits.items():
        assert set(before.splits[part]) == set(arrays)
        np.testing.assert_array_equal(arrays["y"], before.splits[part]["y"])
        np.testing.assert_array_equal(arrays["x"], before.splits[part]["x"])


def test_what_is_not_read_is_counted_and_a_class_without_recordings_refused(words):
    for i in range(3):
        (words / "no" / f"{i}.m4a").touch()
    (words / "maybe").mkdir()
    with pytest.warns(UserWarning, match=r"class maybe: an empty folder; class no: 3 \.m4a not read"):
        speech.speech_commands(batch=2, folder=words)
    (words / "maybe" / "0.m4a").touch()
    with pytest.raises(ValueError, match=r"class 'maybe' is read \(1 \.m4a\)"):
        speech.speech_commands(batch=2, folder=words)
