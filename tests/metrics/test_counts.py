"""Counts of metrics that are no counts are refused by name."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.metrics import classification, generation, ranking, reduction, segmentation, text
from jaxdl.types import UserError

POINTS = np.random.default_rng(0).normal(size=(40, 3))
LABELS = np.arange(40) % 2
HALVES, PIXELS = np.full((40, 2), 0.5), jnp.zeros((1, 4), int)
SCORES = np.linspace(0, 1, 40)
COUNTS = {  # name of the count -> calls with it
    "bins": [
        lambda n: classification.report(HALVES, LABELS, bins=n),
        lambda n: classification.calibration_error(HALVES, LABELS, bins=n),
    ],
    "k": [
        lambda n: classification.top_k(HALVES, LABELS, k=n),
        lambda n: generation.precision_recall(POINTS, POINTS, k=n),
    ],
    "classes": [lambda n: jax.eval_shape(lambda: segmentation.pixel_confusion(PIXELS, PIXELS, classes=n))],
    "subset": [lambda n: generation.kid(POINTS, POINTS, subset=n)],
    "subsets": [lambda n: generation.kid(POINTS, POINTS, subsets=n)],
    "ks": [lambda n: ranking.retrieval(POINTS, LABELS, ks=(1, n))],
    "chunk": [lambda n: ranking.retrieval(POINTS, LABELS, chunk=n)],
    "folds": [
        lambda n: ranking.verification_accuracy(SCORES, LABELS, folds=n),
        lambda n: reduction.knn_accuracy(POINTS, LABELS, folds=n),
    ],
    "most": [lambda n: ranking.made_pairs(LABELS, n)],
    "count": [lambda n: ranking.balanced_pairs(LABELS, n)],
    "width": [lambda n: reduction.pca(POINTS, n)],
    "neighbours": [
        lambda n: reduction.trustworthiness(POINTS, POINTS, neighbours=n),
        lambda n: reduction.knn_accuracy(POINTS, LABELS, neighbours=n),
    ],
    "order": [lambda n: text.bleu(["a b"], ["a b"], order=n)],
}


@pytest.mark.parametrize("bad", [0, -1, 2.5, True, float("nan"), "3"])
@pytest.mark.parametrize("name", COUNTS)
def test_counts_that_are_no_counts(name, bad):
    for call in COUNTS[name]:
        with pytest.raises(UserError, match=f"^{name} = "):
            call(bad)
