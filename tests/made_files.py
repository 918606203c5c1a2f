"""Small files as the experiments read them: MNIST's format, recordings, folders of identities."""

import struct

import numpy as np
import soundfile
from PIL import Image


def idx(array):
    return b"\0\0\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def recordings(root, rng):
    """Spoken digits and Speech Commands as wav files of noise, LibriSpeech as flac."""

    def sound(name, samples, rate):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(root / name, rng.uniform(-0.5, 0.5, samples), rate)

    for speaker in ("ada", "bob", "eve"):
        for i in range(10):
            sound(f"spoken/{i}_{speaker}_{i}.wav", 1000, 8000)
    for word in ("no", "yes"):
        for i in range(12):
            sound(f"commands/{word}/{i}_nohash_0.wav", 9000, 16000)
    for name, i in (("validation", 0), ("testing", 1)):
        text = f"no/{i}_nohash_0.wav\nyes/{i}_nohash_0.wav\n"
        (root / "commands" / f"{name}_list.txt").write_text(text, encoding="utf-8")
    for part, n in (("train-clean-100", 18), ("dev-clean", 3), ("test-clean", 3)):
        for i in range(n):
            sound(f"librispeech/{part}/1/2/1-2-{i:04d}.flac", 4000 + 100 * i, 16000)
        lines = [f"1-2-{i:04d} {'A DOG' if i % 2 else 'HE IS'}" for i in range(n)]
        (root / "librispeech" / part / "1" / "2" / "1-2.trans.txt").write_text("\n".join(lines), encoding="utf-8")


def crowds(root, rng):
    """People, a list of pairs of them, and characters of alphabets."""

    def drawn(path, side):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (side, side), dtype=np.uint8)).save(path)

    for name in "abcdefghijkl":
        for i in range(1, 4):
            drawn(root / "people" / name / f"{name}_{i:04d}.png", 20)
    (root / "pairs.txt").write_text("a 1 2\na 1 b 2\nc 2 3\nc 1 d 1\n", encoding="utf-8")
    for i in range(160):
        drawn(root / "characters" / f"alphabet{i % 5}" / f"letter{i // 5 % 8}" / f"{i // 40}.png", 12)
