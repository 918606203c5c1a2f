"""Dropout, weight decay, augmentation, mix-up and cut-mix, label by label, on 100 digits that the network memorizes.

Measured on the 1,427 test digits by `experiments/digits_regularization.py`. The strengths are those of its table; cut-mix and
mix-up on pixels of 8x8 are harder than on photographs.
"""

from jaxdl.experiment import load_config
from jaxdl.runs.claims import Comparison, Study, trained

study = Study(
    measure=trained(load_config("digits_regularization"), "accuracy"),
    settings={
        "nothing": {},
        "augmentation": {"augment": 1.0},
        "dropout 0.3": {"rate": 0.3},
        "dropout 0.5": {"rate": 0.5},
        "decay 0.1": {"decay": 0.1},
        "decay 1": {"decay": 1.0},
        "mix-up 0.4": {"mixup": 0.4},
        "mix-up 1": {"mixup": 1.0},
        "cut-mix 0.4": {"cutmix": 0.4},
        "cut-mix 1": {"cutmix": 1.0},
        "stopped early": {"patience": 6},
    },
    comparisons=(
        Comparison("C53", "image augmentation helps", "augmentation", "nothing", 0.005),
        Comparison("C44", "dropout reduces overfitting", "dropout 0.5", "nothing", 0.005),
        Comparison("C45", "a dropout of 0.5 is a good choice", "dropout 0.5", "dropout 0.3", 0.002),
        Comparison("C51", "weight decay generalizes better", "decay 0.1", "nothing", 0.005, "λ = 0.1"),
        Comparison("C51", "weight decay generalizes better", "decay 1", "nothing", 0.005, "λ = 1"),
        Comparison("C56", "mix-up generalizes better", "mix-up 0.4", "nothing", 0.005, "α = 0.4"),
        Comparison("C56", "mix-up generalizes better", "mix-up 1", "nothing", 0.005, "α = 1"),
        Comparison("C57", "cut-mix generalizes better", "cut-mix 0.4", "nothing", 0.005, "α = 0.4"),
        Comparison("C57", "cut-mix generalizes better", "cut-mix 1", "nothing", 0.005, "α = 1"),
        Comparison("C52", "early stopping prevents overfitting", "stopped early", "nothing", 0.005),
    ),
)
