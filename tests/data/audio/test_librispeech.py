"""LibriSpeech from folders: every step's recordings by position, transcripts as symbols, missing files named."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from jaxdl.data.audio import librispeech
from jaxdl.data.audio.soundfiles import write_wav
from jaxdl.data.audio.spectrogram import PAD
from jaxdl.data.order import rows_of_step
from jaxdl.types import UserError


@pytest.fixture
def root(tmp_path):
    for part, n in (("train-a", 6), ("dev-a", 3), ("test-a", 1)):
        folder = tmp_path / part / "1" / "2"
        folder.mkdir(parents=True)
        for i in range(n):
            soundfile.write(folder / f"1-2-{i}.flac", np.full(1600 + i, (i + 1) / 100), 16000)
        (folder / "1-2.trans.txt").write_text(
            "".join(f"1-2-{i} {'AB' * (i + 1)}\n" for i in range(n)), encoding="utf-8"
        )
    return tmp_path


def test_a_step_holds_the_recordings_of_its_positions(root):
    data = librispeech.librispeech(root, batch=2, seconds=0.2)
    assert (data.size("train"), data.steps_per_epoch) == (6, 3)
    for step in (0, 1, 5, 8):
        source = data.source(step, step + 1, seed=3)
        batch = data.train_batch(source, 3, step)
        rows = rows_of_step(3, step, 2, 6)
        assert (np.asarray(batch["x"]) != PAD).sum(1).tolist() == [1600 + i for i in rows]
        assert (np.asarray(batch["y"]) > 0).sum(1).tolist() == [2 * (i + 1) for i in rows]
        assert np.asarray(batch["y"])[0, :2].tolist() == [2, 3]
    assert [data.span(step) for step in range(4)] == [2, 1, 2, 1]
    both, one = data.source(2, 4, 0), data.source(3, 4, 0)
    assert np.array_equal(both["x"][1], one["x"][1])
    with pytest.raises(ValueError, match="pass the window of 2"):
        data.source(1, 3, 0)


def test_evaluation_reads_every_recording_once(root):
    data = librispeech.librispeech(root, batch=2, seconds=0.2)
    parts = [source for _, source in data.eval_sources("validation")]
    assert [part["mask"].tolist() for part in parts] == [[1, 1], [1, 0]]
    assert [part["x"].shape for part in parts] == [(2, 36 * 16000)] * 2
    assert data.splits["validation"]["y"].shape == (3, 600)
    assert data.read(root / "dev-a" / "1" / "2" / "1-2-0.flac")["x"].shape == (1, 3200)


def test_long_training_recordings_are_left_out(root):
    data = librispeech.librispeech(root, batch=2, seconds=1602 / 16000)
    assert data.size("train") == 3
    assert data.split.endswith("3 training recordings of more than 0.100125 s are left out")
    with pytest.raises(UserError, match=r"each of the 6 training recordings lasts more than seconds = 0\.1"):
        librispeech.librispeech(root, batch=2, seconds=0.1 - 1e-9)
    assert "3 train, 3 validation, 1 test" in data.split


def test_what_is_missing_or_strange_is_named(root):
    transcripts = root / "dev-a" / "1" / "2" / "1-2.trans.txt"
    transcripts.write_text("1-2-0 AB\n1-2-9 AB\n", encoding="utf-8")
    with pytest.raises(FileNotFoundError, match=r"trans\.txt:2: no recording 1-2-9\.flac \(or \.wav\)$"):
        librispeech.librispeech(root)
    transcripts.write_text("1-2-0\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"trans\.txt:1: expected the name of a recording"):
        librispeech.librispeech(root)
    transcripts.write_text("1-2-0 Ab\n", encoding="utf-8")
    with pytest.warns(UserWarning, match="dev-a: 2 recordings without a transcript"):
        data = librispeech.librispeech(root, batch=2)
    with pytest.raises(ValueError, match=r"1-2-0\.flac: 'b' is none of the characters"):
        list(data.eval_sources("validation"))
    transcripts.unlink()
    with pytest.raises(FileNotFoundError, match=r"needs a folder dev-\* with recordings"):
        librispeech.librispeech(root)
    with pytest.raises(FileNotFoundError, match="nowhere: no such folder"):
        librispeech.librispeech(root / "nowhere")


def test_long_is_a_matter_of_seconds_whatever_the_rate(root):
    folder = root / "train-a" / "1" / "2"
    for i in range(2):
        (folder / f"1-2-{i}.flac").unlink()
    write_wav(folder / "1-2-0.wav", np.zeros(4000), 40000)  # 0.1 s, many samples
    write_wav(folder / "1-2-1.wav", np.zeros(1600), 8000)  # 0.2 s, few of them
    data = librispeech.librispeech(root, batch=2, seconds=0.15)
    assert [Path(path).stem[-1] for path, _ in data.parts["train"]] == ["0", "2", "3", "4", "5"]


def test_transcripts_in_another_encoding_are_named(root):
    (root / "dev-a" / "1" / "2" / "1-2.trans.txt").write_bytes(b"1-2-0 \xc9\n")
    with pytest.raises(ValueError, match=r"1-2\.trans\.txt"):
        librispeech.librispeech(root)


def test_hidden_files_are_left_out_and_others_counted(root):
    """What macOS and notebooks leave behind, and recordings of formats that are not read."""
    place = root / "dev-a" / "1" / "2"
    (place / "._1-2.trans.txt").write_bytes(b"\0\x05\x16\x07\xff")
    (root / "train-a" / ".ipynb_checkpoints").mkdir()
    (root / "train-a" / ".ipynb_checkpoints" / "1-2.trans.txt").write_text("9-9-9 AB\n", encoding="utf-8")
    (place / "1-2-7.m4a").touch()
    (place / "1-2-0.flac").rename(place / "1-2-0.FLAC")
    with pytest.warns(UserWarning, match=r"dev-a: 1 \.m4a not read"):
        data = librispeech.librispeech(root, batch=2)
    assert [data.size(part) for part in ("train", "validation", "test")] == [6, 3, 1]


def test_a_recording_that_is_flac_or_wav_is_read_alike(root):
    """Samples of 16 bits: both formats keep each of them."""
    x = np.random.default_rng(0).uniform(-0.5, 0.5, 1600)
    flac, wav = root / "a.flac", write_wav(root / "a.wav", x, 16000)
    soundfile.write(flac, soundfile.read(wav, dtype="int16")[0], 16000)
    data = librispeech.librispeech(root, batch=2, seconds=0.2)
    batch = data.encode([str(flac), str(wav)])
    np.testing.assert_array_equal(batch[0], batch[1])
    np.testing.assert_allclose(batch[0, :1600], np.round(x * 32767), atol=1.01)
