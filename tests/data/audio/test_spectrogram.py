"""Spectrograms against librosa's filters and power (a golden file), jax's stft, and closed forms; padding changes nothing."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.data.audio.spectrogram import PAD, LogMel, hertz_to_mel, lengths_of, mel_filters, mel_to_hertz, power
from tests.programs import one_program

GOLDEN = np.load(Path(__file__).parents[2] / "golden" / "spectrogram.npz")


@pytest.mark.parametrize("scale", ["htk", "slaney"])
@pytest.mark.parametrize("area", [False, True])
def test_filters_are_librosas(scale, area):
    ours = mel_filters(8000, 256, 16, low=60, high=3800, scale=scale, area=area)
    np.testing.assert_allclose(ours, GOLDEN[f"{scale}/{area}"], rtol=1e-5, atol=1e-7)
    f = np.linspace(0, 4000, 9)
    np.testing.assert_allclose(mel_to_hertz(hertz_to_mel(f, scale), scale), f, atol=1e-9)


def test_power_is_librosas_and_jaxs():

    def both(x):
        _, _, z = jax.scipy.signal.stft(x, nperseg=256, noverlap=176, boundary=None, padded=False)
        scaled = jnp.abs(z.swapaxes(1, 2)) ** 2 * 128**2  # it divides by the window's sum, 128
        return power(x, window=256, hop=80, size=256), scaled

    ours, scaled = one_program(both, GOLDEN["x"][None])
    np.testing.assert_allclose(ours[0], GOLDEN["power"], rtol=1e-4, atol=2e-3)
    np.testing.assert_allclose(ours, scaled, rtol=1e-4, atol=2e-3)


def test_a_tone_is_where_it_sounds():
    """A sine of amplitude a at the k-th frequency: |X|² = (a·Σw/2)² there; its loudest mel channel is the one around it."""
    t = np.arange(800) / 8000
    x = 0.5 * np.sin(2 * np.pi * 1000 * t)[None].astype(np.float32)
    prepare = LogMel(8000, 20, normalise="none")
    p, mel = one_program(lambda x: (power(x, window=256, hop=80, size=256), prepare.spectrogram(x)), x)
    assert p[0].argmax(-1).tolist() == [32] * p.shape[1]
    np.testing.assert_allclose(p[0, :, 32], (0.5 * 128 / 2) ** 2, rtol=1e-4)
    loud = mel[0].argmax(-1)
    centres = mel_to_hertz(np.linspace(hertz_to_mel(np.float64(20)), hertz_to_mel(np.float64(4000)), 22))[1:-1]
    assert set(loud.tolist()) == {int(np.abs(centres - 1000).argmin())}


@pytest.mark.parametrize(
    "normalise", ["channel", *(pytest.param(n, marks=pytest.mark.slow) for n in ("recording", "none"))]
)
def test_what_is_padded_changes_nothing(normalise):
    """A recording alone equals the same one in a longer batch; frames are those that lie wholly inside it."""
    rng = np.random.default_rng(0)
    sound = rng.integers(-8000, 8000, 1500).astype(np.int16)
    prepare = LogMel(8000, 8, normalise=normalise)
    both = np.full((2, 2600), PAD, np.int16)
    both[0, :1500], both[1] = sound, rng.integers(-8000, 8000, 2600)
    alone, padded = one_program(lambda x, both: (prepare({"x": x}), prepare({"x": both, "y": 0})), sound[None], both)
    frames = 1 + (1500 - 200) // 80
    assert alone["length"].tolist() == [frames] == [prepare.frames(1500)]
    assert padded["length"].tolist() == [frames, 31]
    np.testing.assert_allclose(padded["x"][0, :frames], alone["x"][0], atol=2e-5)
    assert not padded["x"][0, frames:].any()
    if normalise == "channel":  # whatever the microphone: mean 0, deviation 1 over the real frames
        np.testing.assert_allclose(alone["x"][0].mean(0), 0, atol=1e-4)
        np.testing.assert_allclose(alone["x"][0].std(0), 1, atol=4e-2)  # white noise hardly varies: ε = 1e-3 shows


def test_recordings_shorter_than_a_frame_have_one():
    x = np.full((2, 150), PAD, np.int16)
    x[0, :90] = 100
    batch, lengths = one_program(lambda x: (LogMel(8000, 8)({"x": x}), lengths_of(x)), x)
    assert lengths.tolist() == [90, 0]
    assert batch["length"].tolist() == [1, 1]
    assert np.isfinite(batch["x"]).all()


def test_bad_numbers_are_refused():
    with pytest.raises(ValueError, match="low=5000 and high=4000"):
        mel_filters(8000, 256, 10, low=5000)
    with pytest.raises(ValueError, match="mels=200: a transform of 256"):
        mel_filters(8000, 256, 200)
    with pytest.raises(ValueError, match="scale='bark'"):
        mel_filters(8000, 256, 10, scale="bark")
    with pytest.raises(ValueError, match="normalise='max'"):
        LogMel(8000, normalise="max")
    with pytest.raises(ValueError, match="window=256 is longer than the 100 samples"):
        power(np.zeros((1, 100), np.float32), window=256, hop=80, size=256)
