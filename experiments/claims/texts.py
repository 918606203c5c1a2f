"""Random edits of texts: the language of a sentence, one of twenty, by a small convolutional network over its letters.

`experiments/text_classification.py` with width 32, 8 epochs and texts of 64 letters. In training a tenth of the letters of each
text are deleted, exchanged, or made unknown. These are the simplest text augmentations; paraphrases and back-translation need a
second model (`experiments/back_translation.py`). A seed draws the initialization, the order, the edits and the dropout.
"""

from jaxdl.experiment import load_config
from jaxdl.runs.claims import Comparison, Study, trained

SMALL = {"model": "cnn", "width": 32, "epochs": 8, "time": 64, "patience": 100}
study = Study(
    measure=trained(load_config("text_classification"), "accuracy", **SMALL),
    settings={edit: {"edit": edit} for edit in ("none", "delete", "swap", "mask")},
    comparisons=tuple(
        Comparison("C54", "text augmentation helps", edit, "none", 0.005, f"random {name}")
        for edit, name in (("delete", "deletions"), ("swap", "exchanges"), ("mask", "unknown letters"))
    ),
)
