"""LAMB at a batch of 1024 of 1,258 digits, each optimizer at its best learning rate on the validation split.

The rates are those that `experiments/contrast_large_batch.py` found on validation.
"""

from jaxdl.experiment import load_config
from jaxdl.runs.claims import Comparison, Study, trained

study = Study(
    measure=trained(load_config("contrast_large_batch"), "accuracy"),
    settings={
        "lamb": {"optimizer": "lamb", "lr": 0.1},
        "momentum": {"optimizer": "momentum", "lr": 0.3},
        "adamw": {"optimizer": "adamw", "lr": 0.01},
    },
    comparisons=(
        Comparison("C43", "LAMB suits large batches", "lamb", "adamw", 0.01, "against AdamW"),
        Comparison("C43", "LAMB suits large batches", "lamb", "momentum", 0.01, "against momentum"),
    ),
)
