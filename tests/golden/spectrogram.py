"""Makes spectrogram.npz: librosa 0.11's mel filters on both scales and its power spectrogram of a chirp."""

from pathlib import Path

import librosa
import numpy as np

if __name__ == "__main__":
    t = np.arange(1600) / 8000
    x = (0.5 * np.sin(2 * np.pi * (300 + 4000 * t) * t)).astype(np.float32)
    golden = {"x": x}
    for scale in ("htk", "slaney"):
        for area in (False, True):
            kept = librosa.filters.mel(
                sr=8000, n_fft=256, n_mels=16, fmin=60, fmax=3800, htk=scale == "htk", norm="slaney" if area else None
            )
            golden[f"{scale}/{area}"] = kept.T
    z = librosa.stft(x, n_fft=256, hop_length=80, win_length=256, window="hann", center=False)
    golden["power"] = (np.abs(z) ** 2).T.astype(np.float32)
    np.savez_compressed(Path(__file__).with_suffix(".npz"), **golden)
