"""Every count that a data set takes is a whole number: anything else is one line, before a file is read."""

from functools import partial

import numpy as np
import pytest

from jaxdl.data import text
from jaxdl.data.audio import librispeech, speech, spoken
from jaxdl.data.image import folder, identities, images, vision
from jaxdl.data.source import InMemory, balanced
from jaxdl.data.table import series, tabular
from jaxdl.data.table.columns import from_columns
from jaxdl.data.text import text_classes
from jaxdl.data.text import translation as parallel
from jaxdl.data.text.symbols import Characters
from jaxdl.types import UserError

X = np.arange(40, dtype=np.float32).reshape(20, 2)
MADE = InMemory({"train": {"x": X, "y": np.arange(20) % 4}}, batch=4)
TEXT = "to be or not to be " * 40
PAIRS = (("train", (("a b", "c d"),) * 8),)
LABELLED = text_classes.Labelled(("a", "b") * 20, ("x", "y") * 20, tuple(map(str, range(40))))

COUNTS = {
    "InMemory": (partial(InMemory, {"train": {"x": X}}), {"batch": 4}),
    "balanced": (partial(balanced, MADE), {"classes": 2, "each": 2}),
    "from_columns": (partial(from_columns, {"x": X, "y": [0, 1] * 10}, y="y"), {"batch": 4}),
    "digits": (vision.digits, {"batch": 4}),
    "symmetric": (partial(vision.symmetric, vision.digits()), {"validation": 9}),
    "iris": (tabular.iris, {"batch": 4}),
    "table": (partial(tabular.table, X, X[:, 0], name="t"), {"batch": 4}),
    "image_folder": (partial(folder.image_folder, "nowhere", batch=4), {"size": 8, "channels": 3}),
    "identities": (partial(identities.identities, "nowhere", batch=4), {"size": 8, "channels": 3, "least": 2}),
    "unseen_digits": (identities.unseen_digits, {"batch": 4, "seen": 6}),
    "windows": (
        partial(series.windows, np.sin(np.arange(90.0))),
        {"lookback": 3, "horizon": 2, "batch": 4, "targets": 1},
    ),
    "text": (partial(text.windows, TEXT, Characters.of(TEXT)), {"batch": 4, "context": 8}),
    "documents": (
        partial(text.documents, {"train": [TEXT], "validation": [TEXT]}, Characters.of(TEXT)),
        {"batch": 4, "context": 8},
    ),
    "texts": (partial(text_classes.texts, LABELLED, unit="words"), {"batch": 4, "time": 8, "vocab": 9, "least": 1}),
    "pairs": (
        partial(parallel.from_pairs, PAIRS, tokens="words"),
        {"batch": 4, "vocab": 9, "longest": 9, "buckets": 1, "window": 2},
    ),
    "number_words": (parallel.number_words, {"batch": 4, "train": 50, "buckets": 1, "window": 2}),
    "speech_commands": (partial(speech.speech_commands, folder="nowhere"), {"batch": 4, "rate": 8000, "mels": 8}),
    "librispeech": (partial(librispeech.librispeech, "nowhere"), {"batch": 4, "mels": 8}),
    "spoken_digits": (
        partial(spoken.spoken_digits, "nowhere"),
        {"batch": 4, "longest": 2, "mels": 8, "count": 4},
    ),
    "telephone_tones": (
        partial(spoken.telephone_tones),
        {"batch": 2, "longest": 2, "lines": 4, "each": 1, "mels": 8, "count": 2},
    ),
}
CASES = [(name, argument) for name, (_, counts) in COUNTS.items() for argument in counts]


@pytest.mark.parametrize(("name", "argument"), CASES, ids=[f"{name}-{argument}" for name, argument in CASES])
def test_a_count_that_is_none_is_refused(name, argument):
    make, counts = COUNTS[name]
    for wrong in (True, float("nan"), 2.5, "4", -1, 0):
        with pytest.raises(UserError) as told:
            make(**{**counts, argument: wrong})
        assert argument in str(told.value), told.value
        assert repr(wrong) in str(told.value), told.value


@pytest.mark.parametrize("argument", ["batch", "image", "eval_image", "resize", "workers"])
def test_counts_of_a_streamed_folder(argument, tmp_path):
    for part in ("train", "val"):
        for name in ("a", "b"):
            (tmp_path / part / name).mkdir(parents=True)
            for i in range(4):
                (tmp_path / part / name / f"{i}.png").write_bytes(b"")
    for wrong in (True, float("nan"), 2.5, "4", -1):
        with pytest.raises(UserError) as told:
            images.streamed(tmp_path, **{"batch": 2, "image": 8, "workers": 0, argument: wrong})
        assert argument in str(told.value), told.value
