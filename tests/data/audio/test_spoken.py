"""Sequences put together from single recordings: what they hold, where they come from, and that they are the same again."""

import jax
import numpy as np
import pytest

from jaxdl.data.audio import spoken
from jaxdl.data.audio.soundfiles import write_wav
from jaxdl.data.audio.spectrogram import PAD
from jaxdl.data.audio.tones import HIGH, LOW
from tests.programs import one_program


def constant(values, size=400):
    """Recordings whose every sample is the value by which they are known again."""
    return spoken.bank([np.full(size + 10 * i, v, np.int16) for i, v in enumerate(values)], range(1, len(values) + 1))


def many(composer, seed, count, bank):
    """That many sequences of one seed."""
    compose = lambda key, bank: jax.vmap(composer, (0, None))(jax.random.split(key, count), bank)
    return one_program(compose, jax.random.key(seed), dict(bank))


def test_a_sequence_holds_its_symbols_in_order_with_silence_between():
    bank = constant([1000, 2000, 3000])
    composer = spoken.Composer(4000, 1000, longest=4, gap=(0.1, 0.2), gain=(0.0, 0.0), noise=(-200.0, -190.0))
    x, y = many(composer, 0, 32, bank)
    assert set((y > 0).sum(1)) == {1, 2, 3, 4}
    for sound, symbols in zip(x, y, strict=True):
        real = sound[sound != PAD]
        assert (sound[len(real) :] == PAD).all(), "padding stands at the end"
        change = np.flatnonzero(np.diff(np.concatenate([[0], real, [0]])))
        starts, ends = change[::2], change[1::2]
        assert [real[start] // 1000 for start in starts] == [s for s in symbols if s]
        assert [end - start for start, end in zip(starts, ends, strict=True)] == [
            390 + 10 * s - 1 for s in symbols if s
        ]
        silences = np.concatenate([starts, [len(real)]]) - np.concatenate([[0], ends])
        assert ((silences >= 100) & (silences <= 202)).all()


def test_symbols_that_do_not_fit_are_left_out():
    composer = spoken.Composer(900, 1000, shortest=4, longest=4, gap=(0.1, 0.2))
    x, y = one_program(composer, jax.random.key(1), dict(constant([1000, 2000])))
    assert (y > 0).tolist() == [True, False, False, False]
    assert x.shape == (900,)


def test_a_sequence_has_a_symbol():
    for longest in (0, -1):
        with pytest.raises(ValueError, match=f"^longest = {longest} must be 1 or more"):
            spoken.telephone_tones(batch=4, longest=longest, lines=4, each=1, count=5)
    with pytest.raises(ValueError, match=r"^longest = 2 must be 3 or more"):
        spoken.Composer(1000, 1000, shortest=3, longest=2)


def test_gain_speed_and_noise_are_drawn_in_their_range():
    bank = constant([1000])
    composer = spoken.Composer(1000, 1000, longest=1, gain=(-6.0, 6.0), noise=(-60.0, -60.0), speed=(0.8, 1.25))
    x, _ = many(composer, 2, 64, bank)
    x = np.where(x == PAD, 0, x).astype(float)
    loud = x > 200  # the noise stays below √3·33
    assert loud.sum(1).min() < 340
    assert 450 < loud.sum(1).max() <= 500
    heights = np.array([row[mask].mean() for row, mask in zip(x, loud, strict=True)])
    assert 490 < heights.min() < 600
    assert 1700 < heights.max() < 2010
    hiss = one_program(lambda key: spoken.white_noise(key, 10001), jax.random.key(0))
    assert hiss.shape == (10001,)
    assert abs(hiss.mean()) < 0.03
    assert hiss.std() == pytest.approx(1, abs=0.02)


@pytest.fixture(scope="module")
def tones():
    return spoken.telephone_tones(batch=4, longest=3, lines=4, each=1, count=5)


def test_tones_are_where_the_keys_have_them():
    """Goertzel's question: which of the row's and of the column's frequencies is the loudest? Bad lines hide a few."""
    hits = []
    for line, key in np.ndindex(8, 12):
        x = spoken.tone(line, key, 0) * np.hanning(len(spoken.tone(line, key, 0)))
        power = [abs(np.exp(-2j * np.pi * f * np.arange(len(x)) / 8000) @ x) for f in LOW + HIGH]
        hits.append((int(np.argmax(power[:4])), int(np.argmax(power[4:]))) == divmod(key, 3))
    assert 0.9 < np.mean(hits) <= 1
    assert np.array_equal(spoken.tone(3, 5, 1), spoken.tone(3, 5, 1))
    assert not np.array_equal(spoken.tone(3, 5, 1)[:300], spoken.tone(2, 5, 1)[:300])


def test_a_batch_is_a_function_of_seed_and_step(tones):
    at = np.int32([(0, 3), (0, 3), (0, 4), (1, 3)])  # seed and step
    draw = lambda source: jax.lax.map(lambda at: tones.train_batch(source, at[0], at[1]), at)
    batches = one_program(draw, dict(tones.source(0, 1, 0)))
    a, b, *others = batches["x"]
    assert np.array_equal(a, b)
    for other in others:
        assert not np.array_equal(a, other)
    assert a.shape == (4, 12800)  # 3 · (0.2 + 0.25) + 0.25 seconds
    assert a.dtype == np.int16
    assert batches["y"].max() <= 12


def test_splits_are_fixed_and_share_no_line(tones):
    again = spoken.telephone_tones.__wrapped__(batch=4, longest=3, lines=4, each=1, count=5)
    for part in ("train", "validation", "test"):
        assert np.array_equal(tones.splits[part]["x"], again.splits[part]["x"])
        assert tones.size(part) == 5
        assert tones.splits[part]["x"].flags.writeable is False
    assert "2 train, 1 validation, 1 test" in tones.split
    assert "generated" in tones.name
    assert tones.classes[0] == ""
    assert len(tones.classes) == 13


def digits(folder, speakers, count=11):
    for i in range(count):
        for d in (0, 7):
            for s in speakers:
                write_wav(folder / f"{d}_{s}_{i}.wav", np.full(300, 0.1 * (d + 1)), 8000)
    return folder


def test_spoken_digits_are_split_by_speaker(tmp_path):
    folder = digits(tmp_path, ("ada", "bob", "eve"))
    data = spoken.spoken_digits(folder, batch=2, longest=2, seconds=0.5, count=3)
    assert data.split.startswith("by speaker: eve test; ada, bob train, of which every tenth recording is validation")
    assert {part: len(bank["size"]) for part, bank in data.recordings.items()} == {
        "train": 40,
        "validation": 4,
        "test": 22,
    }
    assert set(data.recordings["test"]["symbol"].tolist()) == {1, 8}
    other = spoken.spoken_digits(folder, batch=2, longest=2, seconds=0.5, count=3, unheard="ada")
    assert other.split.startswith("by speaker: ada test; bob, eve train")
    assert data.read(folder / "7_ada_0.wav")["x"].shape == (1, 4000)


def test_a_deleted_recording_is_no_speaker(tmp_path):
    """Case 06: a recording in .Trash became the test split. What is called otherwise is counted."""
    folder = digits(tmp_path, ("ann", "bob"))
    (folder / ".Trash").mkdir()
    write_wav(folder / ".Trash" / "1_zoe_0.wav", np.zeros(300), 8000)
    write_wav(folder / "hello.wav", np.zeros(300), 8000)
    (folder / "0_ann_0.wav").rename(folder / "0_ann_0.WAV")
    with pytest.warns(UserWarning, match=r"1 recordings not called \{digit\}_\{speaker\}_\{number\}"):
        data = spoken.spoken_digits(folder, batch=2, count=3)
    assert data.split.startswith("by speaker: bob test; ann train")
    assert sum(len(bank["size"]) for bank in data.recordings.values()) == 44


def test_folders_without_digits_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="of two speakers or more, found 0"):
        spoken.spoken_digits(tmp_path)
    with pytest.raises(FileNotFoundError, match="no such folder"):
        spoken.spoken_digits(tmp_path / "nowhere")
    digits(tmp_path, ("ada", "bob"))
    with pytest.raises(ValueError, match="unheard='eve' is none of the speakers ada, bob"):
        spoken.spoken_digits(tmp_path, unheard="eve")


def test_speakers_without_a_recording_to_validate_on_are_told(tmp_path):
    for name in ("1_ada_0.wav", "2_bob_0.wav"):
        write_wav(tmp_path / name, np.full(800, 0.1), 8000)
    with pytest.raises(FileNotFoundError, match=r"has nothing to validate on: .* a number ending in 9"):
        spoken.spoken_digits(tmp_path)
