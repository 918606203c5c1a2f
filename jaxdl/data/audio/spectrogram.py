"""From sound to pictures of it: log-mel spectrograms, computed on the device inside the compiled step.

    X[m, k] = Σ_n w[n]·x[m·hop + n]·e^(-2πikn/N),    S[m, j] = log(Σ_k M[k, j]·|X[m, k]|² + floor)

Recordings are int16, padded with `PAD` to one length; frame m is real if it begins and ends inside the recording, and what
stands in it depends on nothing else.
"""

import math
from dataclasses import dataclass
from functools import cache
from typing import Literal

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Int16

from jaxdl.types import Batch, UserError

PAD = -32768
"""The sample that is none: what fills up a recording. A real one is at least -32767."""


def hertz_to_mel(hertz: Float[np.ndarray, "*n"], scale: Literal["htk", "slaney"] = "htk") -> Float[np.ndarray, "*n"]:
    """How high a pitch sounds: equal steps sound equally far.

        htk      2595·log10(1 + f/700)
        slaney   3f/200 below 1000 Hz, above it 15 + 27·log(f/1000)/log(6.4)

    >>> print(f"{hertz_to_mel(np.float64(1000)):.3f} {hertz_to_mel(np.float64(1000), 'slaney'):.3f}")
    999.986 15.000
    """
    if scale == "htk":
        return 2595 * np.log10(1 + hertz / 700)
    return np.where(hertz < 1000, 3 * hertz / 200, 15 + 27 * np.log(np.maximum(hertz, 1) / 1000) / np.log(6.4))


def mel_to_hertz(mel: Float[np.ndarray, "*n"], scale: Literal["htk", "slaney"] = "htk") -> Float[np.ndarray, "*n"]:
    """The inverse of `hertz_to_mel`."""
    if scale == "htk":
        return 700 * (10 ** (mel / 2595) - 1)
    return np.where(mel < 15, 200 * mel / 3, 1000 * np.exp((mel - 15) / 27 * np.log(6.4)))


@cache
def mel_filters(
    rate: int,
    size: int,
    mels: int,
    *,
    low: float = 0.0,
    high: float | None = None,
    scale: Literal["htk", "slaney"] = "htk",
    area: bool = False,
) -> Float[np.ndarray, "bins mels"]:
    """Triangles over the frequencies of a Fourier transform, evenly spaced in mel, each from its left to its right neighbour.

    Args:
        rate: samples a second.
        size: of the transform; it has size/2 + 1 frequencies.
        mels: how many triangles.
        low, high: where the first begins and the last ends, in hertz; None: rate/2.
        scale: "htk" (Kaldi, torchaudio) or "slaney" (librosa).
        area: triangles of area 1 rather than of height 1 (librosa's `norm="slaney"`).
    """
    high = rate / 2 if high is None else high
    if not 0 <= low < high <= rate / 2:
        raise UserError(f"low={low} and high={high} must satisfy 0 <= low < high <= rate/2 = {rate / 2}")
    if scale not in ("htk", "slaney"):
        raise UserError(f"scale={scale!r}: take 'htk' or 'slaney'")
    ends = hertz_to_mel(np.array([low, high], np.float64), scale)
    corners = mel_to_hertz(np.linspace(*ends, mels + 2), scale)
    left, centre, right = corners[:-2], corners[1:-1], corners[2:]
    f = np.linspace(0, rate / 2, size // 2 + 1)[:, None]
    filters = np.maximum(0, np.minimum((f - left) / (centre - left), (right - f) / (right - centre)))
    filters = filters * (2 / (right - left)) if area else filters
    if (filters.max(0) == 0).any():
        raise UserError(f"mels={mels}: a transform of {size} at {rate} Hz is too coarse: use fewer mel bands")
    filters = filters.astype(np.float32)
    filters.flags.writeable = False
    return filters


def power(x: Float[Array, "batch samples"], *, window: int, hop: int, size: int) -> Float[Array, "batch frames bins"]:
    """|X[m, k]|² of frames of `window` samples every `hop`, each under Hann's (periodic) window, zeros up to `size`.

    Where window = size it is `jax.scipy.signal.stft` without boundary, but for the scaling.
    """
    if x.shape[1] < window:
        raise UserError(f"window={window} is longer than the {x.shape[1]} samples")
    frames, block = 1 + (x.shape[1] - window) // hop, math.gcd(window, hop)
    blocks = x[:, : x.shape[1] // block * block].reshape(len(x), -1, block)
    step = hop // block
    # a frame is window/block neighbouring blocks: strided slices, as a gather of frames costs more than their transform
    parts = [blocks[:, i : i + step * (frames - 1) + 1 : step] for i in range(window // block)]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    z = jnp.fft.rfft(jnp.concatenate(parts, -1) * jnp.asarray(hann, x.dtype)[None, None], size)
    return jnp.square(z.real) + jnp.square(z.imag)


def lengths_of(x: Int16[Array, "batch samples"]) -> Int[Array, "batch"]:
    """Samples of each recording: up to its last one that is not `PAD`."""
    return jnp.max(jnp.where(x != PAD, jnp.arange(1, x.shape[1] + 1, dtype=jnp.int32)[None], 0), 1)


@dataclass(frozen=True)
class LogMel:
    """A data set's `prepare`: int16 recordings to log-mel spectrograms `(batch, frames, mels)` and their `length` in frames.

    Args:
        rate: samples a second.
        mels: channels.
        window, hop: of a frame and from frame to frame, in seconds.
        low, high: the range of the filters in hertz; None: rate/2.
        floor: power that silence has, so that its logarithm is finite.
        normalise: "channel": every channel of a recording has mean 0 and deviation 1 over its time, which takes out loudness
            and the microphone's colour; "recording": over time and channels together; "none".

    Beyond the length frames are 0, which is the mean.
    """

    rate: int
    mels: int = 40
    window: float = 0.025
    hop: float = 0.010
    low: float = 20.0
    high: float | None = None
    floor: float = 1e-5
    normalise: Literal["channel", "recording", "none"] = "channel"

    def __post_init__(self) -> None:
        if self.normalise not in ("channel", "recording", "none"):
            raise UserError(f"normalise={self.normalise!r}: take 'channel', 'recording' or 'none'")

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Window, hop and size of the transform, in samples."""
        window = round(self.window * self.rate)
        return window, round(self.hop * self.rate), 1 << (window - 1).bit_length()

    def frames(self, samples: int) -> int:
        """Frames of a recording: those that lie wholly inside it, and at least one."""
        window, hop, _ = self.sizes
        return max(1, 1 + (samples - window) // hop)

    def spectrogram(self, x: Float[Array, "batch samples"]) -> Float[Array, "batch frames mels"]:
        """log(mel power + floor) of sound in [-1, 1], neither masked nor normalised."""
        window, hop, size = self.sizes
        filters = mel_filters(self.rate, size, self.mels, low=self.low, high=self.high)
        spectrum = power(x, window=window, hop=hop, size=size)
        return jnp.log(jnp.einsum("bfk,km->bfm", spectrum, jnp.asarray(filters), precision="highest") + self.floor)

    def __call__(self, batch: Batch) -> Batch:
        samples = batch["x"]
        window, hop, _ = self.sizes
        lengths = jnp.maximum(1, 1 + (lengths_of(samples) - window) // hop)
        sound = jnp.where(samples == PAD, 0, samples).astype(jnp.float32) / 32768
        if samples.shape[1] < window:
            sound = jnp.pad(sound, ((0, 0), (0, window - samples.shape[1])))
        s = self.spectrogram(sound)
        real = (jnp.arange(s.shape[1])[None] < lengths[:, None])[..., None]
        if self.normalise != "none":
            axes = (1,) if self.normalise == "channel" else (1, 2)
            count = lengths[:, None, None].astype(jnp.float32) * (1 if len(axes) == 1 else self.mels)
            centred = s - jnp.where(real, s, 0).sum(axes, keepdims=True) / count
            variance = jnp.where(real, jnp.square(centred), 0).sum(axes, keepdims=True) / count
            s = centred / jnp.sqrt(variance + 1e-3)
        return {**batch, "x": jnp.where(real, s, 0), "length": lengths}
