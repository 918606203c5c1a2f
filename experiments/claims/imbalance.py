"""Focal loss where five of ten classes have 5 images and the others 125: balanced accuracy on a balanced test split."""

from jaxdl.experiment import load_config
from jaxdl.runs.claims import Comparison, Study, trained

study = Study(
    measure=trained(load_config("contrast_imbalance"), "balanced_accuracy"),
    settings={
        "focal γ=1": {"loss": "focal", "gamma": 1.0},
        "focal γ=2": {"loss": "focal", "gamma": 2.0},
        "cross-entropy": {"loss": "cross-entropy"},
        "class weights": {"loss": "weighted"},
    },
    comparisons=(
        Comparison("C27", "focal loss handles class imbalance", "focal γ=2", "cross-entropy", 0.005, "γ = 2"),
        Comparison("C27", "focal loss handles class imbalance", "focal γ=1", "cross-entropy", 0.005, "γ = 1"),
        Comparison(
            "C27", "focal loss handles class imbalance", "focal γ=2", "class weights", 0.005, "against class weights"
        ),
    ),
    unit="balanced test accuracy",
)
