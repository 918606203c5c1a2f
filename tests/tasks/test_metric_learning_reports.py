"""Metric learning: what is reported of a set's embeddings and of listed pairs."""

import numpy as np
import pytest

from jaxdl.losses import nt_xent
from jaxdl.metrics import ranking
from jaxdl.tasks.metric_learning import MetricLearning

TASK, RANDOM = MetricLearning(None, nt_xent), np.random.default_rng(0)


def clusters(n=90, classes=6):
    labels = RANDOM.integers(0, classes, n)
    return RANDOM.normal(size=(classes, 4))[labels] + 0.7 * RANDOM.normal(size=(n, 4)), labels


def test_the_report_is_that_of_the_whole_set():
    e, y = clusters()
    found = TASK.report({"embedding": e}, y)
    scores, same = ranking.all_pairs(e, y)
    for name, value in {**ranking.retrieval(e, y), **ranking.verification(scores, same)}.items():
        assert found[name] == pytest.approx(value, rel=1e-9), name
    assert 0.5 < found["verification_accuracy"] < 1
    assert found["embedding_map"].points.shape == (90, 3)
    rows, labels = np.moveaxis(found["neighbours"].rows, -1, 0)
    unit = e / np.linalg.norm(e, axis=1, keepdims=True)
    np.testing.assert_array_equal(labels, y[rows])
    for query, *near in rows:
        np.testing.assert_array_equal(near, np.argsort(-(unit @ unit[query]))[1:8])
    far, tar = found["roc"].points.T
    assert (np.diff(far) > 0).all()
    assert (np.diff(tar) >= 0).all()
    assert (far[-1], tar[-1]) == (1, 1)


def test_listed_pairs_are_scored_in_their_order():
    e, y = clusters()
    i, j = ranking.balanced_pairs(y, 40)
    rows = np.column_stack([i, j]).ravel()
    found = TASK.report({"embedding": 3 * e[rows]}, np.column_stack([y[rows], np.repeat(np.arange(len(i)), 2)]))
    unit = e / np.linalg.norm(e, axis=1, keepdims=True)
    accuracy, error = ranking.verification_accuracy((unit[i] * unit[j]).sum(1), y[i] == y[j])
    assert (found["verification_accuracy"], found["verification_error"]) == pytest.approx((accuracy, error))
    assert "recall_at_1" not in found


@pytest.mark.parametrize(("same", "other"), [(2, 3), (3, 50), (30, 4), (40, 40)])
def test_lists_of_few_pairs_of_a_kind_are_scored(same, other):
    """In as many folds as each kind can fill, ten at most; the list is not in the order of LFW."""
    kind = np.arange(same + other) < same
    y = np.stack([np.zeros(len(kind)), ~kind], 1).ravel()
    e = np.stack([np.ones(2 * len(kind)), 4 * y], 1)
    found = TASK.report({"embedding": e}, np.column_stack([y, np.repeat(np.arange(len(kind)), 2)]))
    assert (found["verification_accuracy"], found["verification_error"], found["eer"]) == (1, 0, 0)


def test_a_set_of_two_images_of_each_class_has_an_accuracy_of_half_without_skill():
    y = np.repeat(np.arange(60), 2)
    found = TASK.report({"embedding": np.random.default_rng(0).normal(size=(120, 8))}, y)
    assert found["verification_accuracy"] == pytest.approx(0.5, abs=0.14)  # three standard deviations of 120 pairs


def test_with_one_pair_of_a_kind_there_is_no_accuracy_over_folds():
    found = TASK.report({"embedding": np.eye(3)}, np.array([0, 0, 1]))
    assert "verification_accuracy" not in found
    assert "recall_at_1" in found
