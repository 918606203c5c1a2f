"""wav files of every width, broken ones, resampling, and folders of words."""

import wave

import numpy as np
import pytest

from jaxdl.data import speech
from jaxdl.data.spectrogram import PAD

X = np.array([0.0, 0.5, -0.5, 0.25, -1.0, 0.99], np.float32)


def write(path, x, *, width, channels=1, rate=8000):
    """Any PCM file, by hand."""
    scaled = np.clip(
        np.round(x.astype(np.float64) * 2 ** (8 * width - 1)), -(2 ** (8 * width - 1)), 2 ** (8 * width - 1) - 1
    )
    wide = scaled.astype("<i8") + (128 if width == 1 else 0)
    content = wide[..., None].view(np.uint8).reshape(*x.shape, 8)[..., :width].tobytes()
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(content)
    return path


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_every_width_mono_and_stereo(width, tmp_path):
    x, rate = speech.read_wav(write(tmp_path / "a.wav", X, width=width))
    assert (rate, x.dtype) == (8000, np.float32)
    np.testing.assert_allclose(x, X, atol=1 / 2 ** (8 * width - 1))
    both = np.stack([X, -X / 2], 1)
    x, _ = speech.read_wav(write(tmp_path / "b.wav", both, width=width, channels=2))
    np.testing.assert_allclose(x, X / 4, atol=1 / 2 ** (8 * width - 1))


def test_what_is_written_is_read(tmp_path):
    x, _ = speech.read_wav(speech.write_wav(tmp_path / "a.wav", X, 16000))
    np.testing.assert_allclose(x, np.clip(X, -32767 / 32768, 1), atol=1 / 16384)
    assert speech.to_int16(X).min() == -32767 > PAD, "the sample that marks padding is never one of a recording"


def test_another_rate_is_resampled_and_said_once(tmp_path, capsys):
    t = np.arange(4410) / 44100
    for name in ("a", "b"):
        write(tmp_path / f"{name}.wav", 0.5 * np.sin(2 * np.pi * 440 * t), width=2, rate=44100)
    speech._said.clear()
    x, rate = speech.read_wav(tmp_path / "a.wav", rate=8000)
    speech.read_wav(tmp_path / "b.wav", rate=8000)
    said = capsys.readouterr().err.splitlines()
    assert said == ["note: a.wav has 44100 Hz: it and others like it are resampled to 8000 Hz"]
    assert (rate, len(x)) == (8000, 800)
    wanted = 0.5 * np.sin(2 * np.pi * 440 * np.arange(800) / 8000)
    np.testing.assert_allclose(x[50:-50], wanted[50:-50], atol=2e-3)


def test_broken_files_are_named_in_one_line(tmp_path):
    good = write(tmp_path / "good.wav", np.zeros(400, np.float32), width=2).read_bytes()
    broken = {
        "empty": b"",
        "text": b"no sound at all, and long enough",
        "cut": good[:300],
        "header": good[:20],
        "silent": write(tmp_path / "none.wav", np.zeros(0, np.float32), width=2).read_bytes(),
    }
    for name, content in broken.items():
        path = tmp_path / f"{name}.wav"
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"\.wav: ") as caught:
            speech.read_wav(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(FileNotFoundError, match=r"missing\.wav: no such file"):
        speech.read_wav(tmp_path / "missing.wav")


@pytest.fixture
def words(tmp_path):
    """Two words in the format of Speech Commands; the lists name one file each."""
    rng = np.random.default_rng(0)
    for word in ("no", "yes", "_background_noise_"):
        (tmp_path / word).mkdir()
        for i in range(4):
            write(tmp_path / word / f"{i}_nohash_0.wav", rng.uniform(-0.5, 0.5, 300 + 10 * i), width=2, rate=16000)
    (tmp_path / "validation_list.txt").write_text("no/0_nohash_0.wav\nyes/0_nohash_0.wav\n")
    (tmp_path / "testing_list.txt").write_text("yes/1_nohash_0.wav\n")
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
    assert data.read(words / "no" / "1_nohash_0.wav")["x"].shape == (1, 16000)
    assert data.encode([str(words / word / "1_nohash_0.wav") for word in ("no", "yes")]).shape == (2, 16000)
    assert data.decode({"label": np.zeros(2)}) == {}


def test_folders_that_lack_something_are_refused(words):
    (words / "testing_list.txt").write_text("yes/9_nohash_0.wav\n")
    with pytest.raises(ValueError, match="no recordings for the test split"):
        speech.speech_commands(batch=2, folder=words)
    (words / "testing_list.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"needs testing_list\.txt"):
        speech.speech_commands(batch=2, folder=words)
    with pytest.raises(FileNotFoundError, match="nowhere: no such folder"):
        speech.speech_commands(folder=words / "nowhere")


def test_a_file_that_lasts_too_long_is_refused(words):
    data = speech.speech_commands(batch=2, folder=words)
    write(words / "long.wav", np.zeros(20000), width=1, rate=16000)
    with pytest.raises(ValueError, match=r"long\.wav: lasts 1\.25 s, this set's recordings at most 1\.00 s"):
        data.read(words / "long.wav")
