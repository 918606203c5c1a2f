"""LibriSpeech from folders: every step's recordings by position, transcripts as symbols, missing files named."""

import numpy as np
import pytest

from jaxdl.data.audio import librispeech, speech
from jaxdl.data.audio.spectrogram import PAD
from jaxdl.data.order import rows_of_step


@pytest.fixture
def root(tmp_path):
    for part, n in (("train-a", 6), ("dev-a", 3), ("test-a", 1)):
        folder = tmp_path / part / "1" / "2"
        folder.mkdir(parents=True)
        for i in range(n):
            speech.write_wav(folder / f"1-2-{i}.wav", np.full(1600 + i, (i + 1) / 100), 16000)
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
    assert data.read(root / "dev-a" / "1" / "2" / "1-2-0.wav")["x"].shape == (1, 3200)


def test_long_training_recordings_are_left_out(root):
    data = librispeech.librispeech(root, batch=2, seconds=1602 / 16000)
    assert data.size("train") == 3
    assert "3 train, 3 validation, 1 test" in data.split


def test_what_is_missing_or_strange_is_named(root):
    transcripts = root / "dev-a" / "1" / "2" / "1-2.trans.txt"
    transcripts.write_text("1-2-0 AB\n1-2-9 AB\n", encoding="utf-8")
    with pytest.raises(FileNotFoundError, match=r"trans\.txt:2: no file 1-2-9\.wav$"):
        librispeech.librispeech(root)
    (root / "dev-a" / "1" / "2" / "1-2-9.flac").touch()
    with pytest.raises(FileNotFoundError, match=r"make a wav of each flac once: ffmpeg"):
        librispeech.librispeech(root)
    transcripts.write_text("1-2-0\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"trans\.txt:1: expected the name of a recording"):
        librispeech.librispeech(root)
    transcripts.write_text("1-2-0 Ab\n", encoding="utf-8")
    data = librispeech.librispeech(root, batch=2)
    with pytest.raises(ValueError, match=r"1-2-0\.wav: 'b' is none of the characters"):
        list(data.eval_sources("validation"))
    transcripts.unlink()
    with pytest.raises(FileNotFoundError, match=r"needs a folder dev-\* with wav files"):
        librispeech.librispeech(root)
    with pytest.raises(FileNotFoundError, match="nowhere: no such folder"):
        librispeech.librispeech(root / "nowhere")


def test_long_is_a_matter_of_seconds_whatever_the_rate(root):
    folder = root / "train-a" / "1" / "2"
    speech.write_wav(folder / "1-2-0.wav", np.zeros(4000), 40000)  # 0.1 s, many samples
    speech.write_wav(folder / "1-2-1.wav", np.zeros(1600), 8000)  # 0.2 s, few of them
    data = librispeech.librispeech(root, batch=2, seconds=0.15)
    assert [path.stem[-1] for path, _ in data.parts["train"]] == ["0", "2", "3", "4", "5"]


def test_transcripts_in_another_encoding_are_named(root):
    (root / "dev-a" / "1" / "2" / "1-2.trans.txt").write_bytes(b"1-2-0 \xc9\n")
    with pytest.raises(ValueError, match=r"1-2\.trans\.txt"):
        librispeech.librispeech(root)
