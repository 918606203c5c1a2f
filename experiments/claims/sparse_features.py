"""AdaGrad on rare features, each optimizer at its best learning rate on the validation split."""

from jaxdl.experiment import load_config
from jaxdl.runs.claims import Comparison, Study, trained

study = Study(
    measure=trained(load_config("contrast_sparse_features"), "accuracy"),
    settings={
        "adagrad": {"optimizer": "adagrad", "lr": 0.3},
        "sgd": {"optimizer": "sgd", "lr": 1.0},
        "momentum": {"optimizer": "momentum", "lr": 0.3},
        "adam": {"optimizer": "adam", "lr": 0.03},
    },
    comparisons=(
        Comparison("C38", "AdaGrad suits sparse data", "adagrad", "sgd", 0.005, "against SGD"),
        Comparison("C38", "AdaGrad suits sparse data", "adagrad", "momentum", 0.005, "against momentum"),
        Comparison("C38", "AdaGrad suits sparse data", "adagrad", "adam", 0.005, "against Adam"),
    ),
)
