"""Loss functions: `loss(predictions, targets, *, hyper-parameters)` returns one value per example, without reduction.

The task takes the mean, because padding, class weights and ignored labels change its denominator; `class_weight`,
`valid_labels` and `average_nonzero` compute it. Regression losses are elementwise (`per_example` averages the other axes),
losses of a batch return one value per anchor, and only a penalty returns a scalar. All are computed in float32 or wider, also
for bfloat16 predictions. Hyper-parameters may be traced.
"""

from jaxdl.losses.activity import kl_activity, l1_activity
from jaxdl.losses.classification import (
    binary_cross_entropy,
    binary_cross_entropy_from_probabilities,
    class_weight,
    cross_entropy,
    distillation,
    focal_bias,
    focal_loss,
    kl_divergence,
    poly_cross_entropy,
    sigmoid_focal_loss,
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
from jaxdl.losses.segmentation import dice, softmax_dice
from jaxdl.losses.sequence import coverage_loss, ctc, label_smoothed_nll, per_sequence, tiled_nll
from jaxdl.losses.variational import importance_weighted, kl_normal, kl_standard_normal, negative_elbo

__all__ = [
    "absolute_error", "arcface", "average_nonzero", "binary_cross_entropy", "binary_cross_entropy_from_probabilities",
    "class_weight", "combined_margin", "contrastive", "contrastive_linear", "cosface", "coverage_loss",
    "cross_entropy", "ctc", "dice", "distillation", "elastic_net", "focal_bias", "focal_loss", "gaussian_nll",
    "huber", "importance_weighted", "info_nce", "kl_activity", "kl_divergence", "kl_normal", "kl_standard_normal",
    "l1", "l1_activity", "l2", "label_smoothed_nll", "log_cosh", "mined_triplet", "negative_elbo", "nt_xent",
    "paired_contrastive", "per_example", "per_sequence", "poly_cross_entropy", "quantile", "sigmoid_focal_loss",
    "smooth_l1", "softmax_dice", "sphereface", "squared_error", "student_t_nll", "supervised_contrastive", "tiled_nll", "triplet",
    "valid_labels",
]  # fmt: skip
