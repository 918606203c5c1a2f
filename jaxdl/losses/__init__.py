"""Losses: predictions, targets, then keyword-only hyper-parameters; one value per example, never reduced.

Who sums, divides too: padding, class weights and ignored labels each need another denominator, which only the task
knows (`class_weight`, `valid_labels`, `average_nonzero` give it). Regression losses are elementwise (`per_example`
takes the mean over the rest), batch losses give one value per anchor, and only `penalty` gives a scalar. Everything is
computed in float32 at least, also for bfloat16 predictions. Hyper-parameters may be traced.
"""

from jaxdl.losses.activity import kl_activity, l1_activity
from jaxdl.losses.classification import (
    binary_cross_entropy,
    binary_cross_entropy_from_probabilities,
    class_weight,
    cross_entropy,
    dice,
    distillation,
    focal_bias,
    focal_loss,
    kl_divergence,
    poly_cross_entropy,
    sigmoid_focal_loss,
    softmax_dice,
    valid_labels,
)
from jaxdl.losses.margin import arcface, combined_margin, cosface, sphereface
from jaxdl.losses.metric_learning import (
    average_nonzero,
    contrastive,
    contrastive_linear,
    info_nce,
    mined_triplet,
    nt_xent,
    paired_contrastive,
    supervised_contrastive,
    triplet,
)
from jaxdl.losses.penalty import elastic_net, l1, l2
from jaxdl.losses.regression import (
    absolute_error,
    gaussian_nll,
    huber,
    log_cosh,
    per_example,
    quantile,
    smooth_l1,
    squared_error,
    student_t_nll,
)
from jaxdl.losses.sequence import coverage_loss, ctc, label_smoothed_nll, per_sequence
from jaxdl.losses.variational import importance_weighted, kl_normal, kl_standard_normal, negative_elbo

__all__ = [
    "absolute_error",
    "arcface",
    "average_nonzero",
    "binary_cross_entropy",
    "binary_cross_entropy_from_probabilities",
    "class_weight",
    "combined_margin",
    "contrastive",
    "contrastive_linear",
    "cosface",
    "coverage_loss",
    "cross_entropy",
    "ctc",
    "dice",
    "distillation",
    "elastic_net",
    "focal_bias",
    "focal_loss",
    "gaussian_nll",
    "huber",
    "importance_weighted",
    "info_nce",
    "kl_activity",
    "kl_divergence",
    "kl_normal",
    "kl_standard_normal",
    "l1",
    "l1_activity",
    "l2",
    "label_smoothed_nll",
    "log_cosh",
    "mined_triplet",
    "negative_elbo",
    "nt_xent",
    "paired_contrastive",
    "per_example",
    "per_sequence",
    "poly_cross_entropy",
    "quantile",
    "sigmoid_focal_loss",
    "smooth_l1",
    "softmax_dice",
    "sphereface",
    "squared_error",
    "student_t_nll",
    "supervised_contrastive",
    "triplet",
    "valid_labels",
]
