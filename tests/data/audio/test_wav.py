"""wav files of every width and header, broken ones, resampling."""

import struct
import wave

import numpy as np
import pytest
from scipy.io import wavfile

from jaxdl.data.audio import wav
from jaxdl.data.audio.spectrogram import PAD

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
    x, rate = wav.read_wav(write(tmp_path / "a.wav", X, width=width))
    assert (rate, x.dtype) == (8000, np.float32)
    np.testing.assert_allclose(x, X, atol=1 / 2 ** (8 * width - 1))
    both = np.stack([X, -X / 2], 1)
    x, _ = wav.read_wav(write(tmp_path / "b.wav", both, width=width, channels=2))
    np.testing.assert_allclose(x, X / 4, atol=1 / 2 ** (8 * width - 1))


def test_what_is_written_is_read(tmp_path):
    x, _ = wav.read_wav(wav.write_wav(tmp_path / "a.wav", X, 16000))
    np.testing.assert_allclose(x, np.clip(X, -32767 / 32768, 1), atol=1 / 16384)
    assert wav.to_int16(X).min() == -32767 > PAD, "the sample that marks padding is never one of a recording"


def test_another_rate_is_resampled_and_said_once(tmp_path, capsys):
    t = np.arange(4410) / 44100
    for name in ("a", "b"):
        write(tmp_path / f"{name}.wav", 0.5 * np.sin(2 * np.pi * 440 * t), width=2, rate=44100)
    wav._said.clear()
    x, rate = wav.read_wav(tmp_path / "a.wav", rate=8000)
    wav.read_wav(tmp_path / "b.wav", rate=8000)
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
            wav.read_wav(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(FileNotFoundError, match=r"missing\.wav: no such file"):
        wav.read_wav(tmp_path / "missing.wav")


def riff(form, content, *, size=None, total=None, extra=b""):
    """A file as the specification has it: "RIFF", the format, any other chunk, the samples."""
    data = b"data" + struct.pack("<I", len(content) if size is None else size) + content
    chunks = b"WAVE" + b"fmt " + struct.pack("<I", len(form)) + form + extra + data
    return b"RIFF" + struct.pack("<I", len(chunks) if total is None else total) + chunks


def form(kind, bits, channels=1, rate=8000):
    return struct.pack("<HHIIHH", kind, channels, rate, rate * channels * bits // 8, channels * bits // 8, bits)


def extensible(kind, bits, channels=1):
    """The header of what has more than 16 bits: 22 bytes more, the format first in a GUID that ends as all of them do."""
    guid = struct.pack("<H", kind) + bytes.fromhex("000000001000800000aa00389b71")
    return form(0xFFFE, bits, channels) + struct.pack("<HHI", 22, bits, 4) + guid


def test_the_extensible_header_of_24_bits(tmp_path):
    """Two channels by hand: 0x400000 is a half, 0xC00000 its negative; a chunk of odd size stands in between."""
    content = bytes.fromhex("000040 000040  0000c0 000040".replace(" ", ""))
    note = b"note" + struct.pack("<I", 3) + b"abc\0"
    (tmp_path / "a.wav").write_bytes(riff(extensible(1, 24, channels=2), content, extra=note))
    x, rate = wav.read_wav(tmp_path / "a.wav")
    assert (x.tolist(), rate) == ([0.5, 0.0], 8000)
    assert wav.seconds_of(tmp_path / "a.wav") == 2 / 8000
    with pytest.warns(wavfile.WavFileWarning, match="not understood"):  # the note
        found, scipys = wavfile.read(tmp_path / "a.wav")
    np.testing.assert_array_equal(x, (scipys / 2**31).mean(1))
    assert found == rate


SILENT = bytes(800)
REFUSED = {
    "no frames": (riff(form(1, 16), b""), r"holds no sound, 0 samples$"),
    "floats": (
        riff(form(3, 32), SILENT),
        r"holds floats, not PCM; convert it: ffmpeg -i in\.wav -c:a pcm_s16le out\.wav$",
    ),
    "extensible floats": (riff(extensible(3, 32), SILENT), "holds floats, not PCM; convert it: ffmpeg"),
    "A-law": (riff(form(6, 8), SILENT), "holds A-law, not PCM; convert it: ffmpeg"),
    "unheard of": (riff(form(4711, 8), SILENT), "holds the format 4711, not PCM; convert it: ffmpeg"),
    "ffmpeg's pipe": (riff(form(1, 16), SILENT, size=2**32 - 1, total=2**32 - 1), "for a stream.; convert it: ffmpeg"),
    "sox's pipe": (riff(form(1, 16), SILENT, size=0x7FFFF000, total=0x7FFFF024), "for a stream.; convert it: ffmpeg"),
    "a pipe of zeros": (riff(form(1, 16), SILENT, size=0, total=0), "for a stream.; convert it: ffmpeg"),
    "cut": (riff(form(1, 16), SILENT, size=900), "holds 800 of the 900 bytes that its header says$"),
    "64 bits": (riff(form(1, 64), SILENT), "1 channels of 64 bits at 8000 Hz"),
    "24 of 32 bits": (
        riff(struct.pack("<HHIIHH", 1, 1, 8000, 32000, 4, 24), SILENT),
        "keeps 1 x 24 bits in frames of 4 bytes, not 3; convert it: ffmpeg",
    ),
    "no format": (riff(b"", SILENT), "it does not say its format"),
    "no samples": (riff(form(1, 16), SILENT)[:36], "it ends before its samples"),
    "MP3": (b"ID3\x03" + SILENT, r"begins with b'ID3\\x03'\); convert it: ffmpeg"),
}


@pytest.mark.parametrize(("content", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_read_is_told_with_what_helps(content, message, tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    for read in (wav.read_wav, wav.seconds_of):
        with pytest.raises(ValueError, match=message) as caught:
            read(path)
        assert str(caught.value).startswith(str(path))
