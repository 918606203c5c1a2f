"""Files of sound: every width, header and format against samples written by hand, broken ones, resampling."""

import io
import struct
import wave

import numpy as np
import pytest
import soundfile
from scipy.io import wavfile

from jaxdl.data.audio import soundfiles
from jaxdl.data.audio.soundfiles import read_audio, seconds_of, to_int16, write_wav
from jaxdl.data.audio.spectrogram import PAD
from jaxdl.types import UserError

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
    x, rate = read_audio(write(tmp_path / "a.wav", X, width=width))
    assert (rate, x.dtype) == (8000, np.float32)
    np.testing.assert_allclose(x, X, atol=1 / 2 ** (8 * width - 1))
    both = np.stack([X, -X / 2], 1)
    x, _ = read_audio(write(tmp_path / "b.wav", both, width=width, channels=2))
    np.testing.assert_allclose(x, X / 4, atol=1 / 2 ** (8 * width - 1))


def test_what_is_written_is_read(tmp_path):
    x, _ = read_audio(write_wav(tmp_path / "a.wav", X, 16000))
    np.testing.assert_allclose(x, np.clip(X, -32767 / 32768, 1), atol=1 / 16384)
    assert to_int16(X).min() == -32767 > PAD, "the sample that marks padding is never one of a recording"


def test_another_rate_is_resampled_and_said_once(tmp_path, capsys):
    t = np.arange(4410) / 44100
    for name in ("a", "b"):
        write(tmp_path / f"{name}.wav", 0.5 * np.sin(2 * np.pi * 440 * t), width=2, rate=44100)
    soundfiles._said.clear()
    x, rate = read_audio(tmp_path / "a.wav", rate=8000)
    read_audio(tmp_path / "b.wav", rate=8000)
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
            read_audio(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(FileNotFoundError, match=r"missing\.wav: no such file"):
        read_audio(tmp_path / "missing.wav")


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
    x, rate = read_audio(tmp_path / "a.wav")
    assert (x.tolist(), rate) == ([0.5, 0.0], 8000)
    assert seconds_of(tmp_path / "a.wav") == 2 / 8000
    with pytest.warns(wavfile.WavFileWarning, match="not understood"):  # the note
        found, scipys = wavfile.read(tmp_path / "a.wav")
    np.testing.assert_array_equal(x, (scipys / 2**31).mean(1))
    assert found == rate


FLOATS = np.random.default_rng(0).uniform(-0.9, 0.9, 100)
PCM = np.round(FLOATS * 32767).astype("<i2")


@pytest.mark.parametrize("kind", ["<f4", "<f8"])
@pytest.mark.parametrize("wide", [False, True])
def test_floats(kind, wide, tmp_path):
    bits = 8 * np.dtype(kind).itemsize
    header = extensible(3, bits) if wide else form(3, bits)
    (tmp_path / "a.wav").write_bytes(riff(header, FLOATS.astype(kind).tobytes()))
    np.testing.assert_allclose(read_audio(tmp_path / "a.wav")[0], FLOATS, rtol=1e-6)


@pytest.mark.parametrize("name", [b"LIST", b"note", b"bext"])
@pytest.mark.parametrize("pad", [b"", b"\0"])
def test_a_chunk_of_odd_size_with_or_without_the_byte_that_fills_it_up(name, pad, tmp_path):
    """As NAudio and others write it; the samples end with such a chunk, too."""
    odd = name + struct.pack("<I", 7) + b"INFOabc" + pad
    (tmp_path / "a.wav").write_bytes(riff(form(1, 16), PCM.tobytes(), extra=odd))
    np.testing.assert_allclose(read_audio(tmp_path / "a.wav")[0], PCM / 32768, rtol=1e-6)
    (tmp_path / "b.wav").write_bytes(riff(form(1, 8), bytes([128, 255, 0]), extra=odd) + pad + odd)
    assert read_audio(tmp_path / "b.wav")[0].tolist() == [0, 127 / 128, -1]
    assert seconds_of(tmp_path / "b.wav") == 3 / 8000


@pytest.mark.parametrize(
    ("suffix", "subtype", "tolerance"),
    [
        (".flac", "PCM_16", 0),
        (".flac", "PCM_24", 0),
        (".aiff", "PCM_16", 0),
        (".ogg", "VORBIS", 0.05),
        (".mp3", "MPEG_LAYER_III", 0.05),
    ],
)
def test_other_formats_hold_what_was_written(suffix, subtype, tolerance, tmp_path):
    """flac and aiff keep each sample; the others a tone, whatever the file is called."""
    x = 0.5 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    x = np.round(x * 32767) / 32768
    soundfile.write(tmp_path / f"a{suffix}", x, 16000, subtype=subtype)
    found, rate = read_audio(tmp_path / f"a{suffix}")
    assert (rate, seconds_of(tmp_path / f"a{suffix}")) == (16000, 1.0)
    np.testing.assert_allclose(found, x, atol=tolerance + 1e-7)
    (tmp_path / f"a{suffix}").rename(tmp_path / "b.WAV")
    np.testing.assert_array_equal(read_audio(tmp_path / "b.WAV")[0], found)


@pytest.mark.parametrize("size", [2**32 - 1, 0x7FFFF000])
def test_a_file_that_was_written_into_a_pipe_lasts_to_its_end(size, tmp_path):
    """ffmpeg and sox do not know the length of a stream, and promise the largest."""
    (tmp_path / "a.wav").write_bytes(riff(form(1, 16), PCM.tobytes(), size=size, total=min(size + 36, 2**32 - 1)))
    np.testing.assert_allclose(read_audio(tmp_path / "a.wav")[0], PCM / 32768, rtol=1e-6)


def test_floats_that_are_too_loud_are_clipped_with_a_note_or_refused(tmp_path, capsys):
    soundfiles._said.clear()
    for name in ("a", "b"):
        (tmp_path / f"{name}.wav").write_bytes(riff(form(3, 32), np.array([0.5, -1.5], "<f4").tobytes()))
        read_audio(tmp_path / f"{name}.wav")
    assert capsys.readouterr().err.splitlines() == [
        "note: a.wav reaches 1.5: what is beyond 1 is clipped, in it and in others"
    ]


def encoded_as(suffix, subtype):
    file = io.BytesIO()
    soundfile.write(file, np.random.default_rng(0).uniform(-0.5, 0.5, 16000), 16000, format=suffix, subtype=subtype)
    return file.getvalue()


SILENT = bytes(800)
HELP = r"; convert it: ffmpeg -i IN -ac 1 -c:a pcm_s16le OUT\.wav$"
REFUSED = {
    "no frames": (riff(form(1, 16), b""), r"holds no sound, 0 samples$"),
    "a pipe of zeros": (riff(form(1, 16), SILENT, size=0, total=0), r"holds no sound, 0 samples$"),
    "unheard of": (riff(form(4711, 8), SILENT), f"not a readable file of sound.*{HELP}"),
    "cut": (riff(form(1, 16), SILENT, size=900), "holds 800 of the 900 bytes that its header says$"),
    "64 bits": (riff(form(1, 64), SILENT), f"not a readable file of sound.*{HELP}"),
    "24 of 32 bits": (
        riff(struct.pack("<HHIIHH", 1, 1, 8000, 32000, 4, 24), SILENT),
        f"its header contradicts itself in the bytes of a sample{HELP}",
    ),
    "no format": (riff(b"", SILENT), f"not a readable file of sound.*{HELP}"),
    "no samples": (riff(form(1, 16), SILENT)[:36], f"not a readable file of sound.*{HELP}"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + SILENT, f"not a readable file of sound.*{HELP}"),
    "nothing": (b"", f"not a readable file of sound.*{HELP}"),
    "surround": (riff(form(1, 16, channels=6), bytes(1200)), f"has 6 channels, 1 or 2 are read{HELP}"),
    "cut ogg": (encoded_as("OGG", "VORBIS")[:4000], "ends before its end of stream, a part of it is missing$"),
}


@pytest.mark.parametrize(("content", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_read_is_named_with_what_helps(content, message, tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    for read in (read_audio, seconds_of):
        with pytest.raises(UserError, match=message) as caught:
            read(path)
        assert str(caught.value).startswith(str(path))
        assert "\n" not in str(caught.value)


UNREADABLE = {
    "cut flac": (encoded_as("FLAC", "PCM_16")[:8000], "not a readable file of sound"),
    "cut mp3": (encoded_as("MP3", "MPEG_LAYER_III")[:2500], "ends after [0-9]+ of the 16000 samples"),
    "not a number": (riff(form(3, 32), np.array([0, np.nan], "<f4").tobytes()), "holds samples up to nan"),
    "another unit": (riff(form(3, 32), np.array([0, 3e4], "<f4").tobytes()), r"up to 30000, .* in \[-1, 1\]"),
}


@pytest.mark.parametrize(("content", "message"), UNREADABLE.values(), ids=UNREADABLE)
def test_what_its_samples_show_only(content, message, tmp_path):
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_audio(tmp_path / "a.wav")
