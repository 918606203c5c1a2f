"""Ranking reports against scikit-learn, pytorch-metric-learning and a direct reading of the definitions."""

import numpy as np
import pytest
import sklearn.metrics as sk
from sklearn.model_selection import KFold

from jaxdl.metrics import ranking
from jaxdl.types import UserError


def clusters(n=60, classes=5, dim=4, spread=0.8, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    return rng.normal(size=(classes, dim))[labels] + spread * rng.normal(size=(n, dim)), labels


def by_the_definition(e, labels, ks):
    """The formulas, one query and one neighbour at a time."""
    e = e / np.linalg.norm(e, axis=1, keepdims=True)
    recall, average, precision = {k: [] for k in ks}, [], []
    for i in range(len(e)):
        r = sum(labels[j] == labels[i] for j in range(len(e)) if j != i)
        if not r:
            continue
        near = sorted((j for j in range(len(e)) if j != i), key=lambda j, i=i: -(e[i] @ e[j]))
        right = [labels[j] == labels[i] for j in near]
        for k in ks:
            recall[k].append(any(right[:k]))
        average.append(sum(right[m] * sum(right[: m + 1]) / (m + 1) for m in range(r)) / r)
        precision.append(sum(right[:r]) / r)
    recalls = {f"recall_at_{k}": np.mean(recall[k]) for k in ks}
    return {**recalls, "map_at_r": np.mean(average), "r_precision": np.mean(precision)}


@pytest.mark.parametrize("chunk", [7, 1024])
def test_retrieval_follows_the_definitions(chunk):
    e, labels = clusters()
    e, labels = np.concatenate([e, e[:1] + 1]), np.append(labels, 99)  # one query has nothing to find
    out = ranking.retrieval(e, labels, ks=(1, 2, 4), chunk=chunk)
    expected = by_the_definition(e, labels, (1, 2, 4))
    assert set(out) == set(expected)
    for name, value in expected.items():
        assert out[name] == pytest.approx(value, rel=1e-12), name


@pytest.mark.parity
def test_retrieval_agrees_with_pytorch_metric_learning():
    torch = pytest.importorskip("torch")
    accuracy = pytest.importorskip("pytorch_metric_learning.utils.accuracy_calculator")
    inference = pytest.importorskip("pytorch_metric_learning.utils.inference")
    distances = pytest.importorskip("pytorch_metric_learning.distances")
    e, labels = clusters()
    e32, y = torch.tensor(e, dtype=torch.float32), torch.tensor(labels)
    names = ("precision_at_1", "mean_average_precision_at_r", "r_precision")
    calculator = accuracy.AccuracyCalculator(
        include=names,
        k="max_bin_count",
        device=torch.device("cpu"),
        knn_func=inference.CustomKNN(distances.CosineSimilarity()),
    )
    peer = calculator.get_accuracy(e32, y)
    ours = ranking.retrieval(e, labels)
    for theirs, name in zip(names, ("recall_at_1", "map_at_r", "r_precision"), strict=True):
        assert ours[name] == pytest.approx(peer[theirs], rel=1e-6), name
    peer = calculator.get_accuracy(e32[:20], y[:20], e32[20:], y[20:])
    ours = ranking.retrieval(e[:20], labels[:20], gallery=(e[20:], labels[20:]))
    for theirs, name in zip(names, ("recall_at_1", "map_at_r", "r_precision"), strict=True):
        assert ours[name] == pytest.approx(peer[theirs], rel=1e-6), name


def test_retrieval_needs_no_k():
    e = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]])
    assert ranking.retrieval(e, np.array([0, 0, 1, 1]), ks=()) == {"map_at_r": 1.0, "r_precision": 1.0}


def test_roc_agrees_with_scikit_learn():
    rng = np.random.default_rng(0)
    same = rng.uniform(size=300) < 0.4
    scores = np.round(rng.normal(size=300) + same, 1)  # many ties
    far, tar, thresholds = ranking.roc(scores, same)
    for ours, theirs in zip((far, tar, thresholds), sk.roc_curve(same, scores, drop_intermediate=False), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    out = ranking.verification(scores, same, far=(0.1, 0.01, 0.001))
    assert out["roc_auc"] == pytest.approx(sk.roc_auc_score(same, scores), rel=1e-12)
    assert set(out) == {"roc_auc", "eer", "tar_at_far_0.1", "tar_at_far_0.01"}  # 180 pairs cannot measure 1 in 1000
    assert out["tar_at_far_0.1"] == tar[far <= 0.1].max()


def test_rates_are_reported_as_far_as_there_are_pairs_to_measure_them():
    rng = np.random.default_rng(0)
    same = np.arange(10_100) < 100
    scores = rng.normal(size=len(same)) + 3 * same
    out = ranking.verification(scores, same)
    assert set(out) == {"roc_auc", "eer", *(f"tar_at_far_{f}" for f in ("0.1", "0.01", "0.001", "0.0001"))}
    assert out["tar_at_far_0.0001"] == np.mean(scores[same] > np.sort(scores[~same])[-2]), "one in 10,000 is let in"
    assert "tar_at_far_0.0001" not in ranking.verification(scores[:-1], same[:-1])


def test_equal_error_rate_of_two_gaussians():
    # unit variance, two standard deviations apart: both errors are Φ(-1) at the middle
    rng = np.random.default_rng(0)
    scores = np.concatenate([rng.normal(size=100_000) + 2, rng.normal(size=100_000)])
    same = np.arange(200_000) < 100_000
    assert ranking.equal_error_rate(scores, same) == pytest.approx(0.15866, abs=2e-3)
    assert ranking.equal_error_rate(np.array([2.0, 1.0]), np.array([True, False])) == 0.0
    assert ranking.equal_error_rate(np.array([1.0, 1.0]), np.array([True, False])) == 0.5


def test_verification_accuracy_takes_its_threshold_from_the_other_folds():
    # fold 1 is separable at 0.5, but the threshold comes from fold 2, which is separable at 10.5 only
    scores = np.array([1.0, 1.0, 0.0, 0.0, 11.0, 11.0, 10.0, 10.0])
    same = np.array([1, 1, 0, 0, 1, 1, 0, 0], bool)
    mean, error = ranking.verification_accuracy(scores, same, folds=2)
    assert mean == 0.5  # fold 1: all rejected at 11; fold 2: all accepted at 1
    assert error == 0.0
    rng = np.random.default_rng(0)
    same = rng.permutation(np.arange(6000) % 2 == 0)
    mean, error = ranking.verification_accuracy(rng.normal(size=6000) + 2 * same, same)
    assert mean == pytest.approx(0.8413, abs=0.015)  # Φ(1)
    assert 0 < error < 0.01


def by_scikit_learn(scores, same, splits):
    """The protocol of LFW: of each fold the accuracy at the threshold that is best on the others."""
    accuracies = []
    for train, test in splits:
        thresholds = [np.inf, *np.unique(scores[train])[::-1]]
        best = thresholds[np.argmax([sk.accuracy_score(same[train], scores[train] >= t) for t in thresholds])]
        accuracies.append(sk.accuracy_score(same[test], scores[test] >= best))
    return np.mean(accuracies), np.std(accuracies, ddof=1) / np.sqrt(len(accuracies))


def test_folds_are_consecutive_where_the_list_is_even():
    """LFW's View 2: as many of one class, then of two, one fold after the other."""
    rng = np.random.default_rng(0)
    for same in (np.tile(np.arange(20) < 10, 10), np.arange(105) % 2 == 0):
        scores = np.round(rng.normal(size=len(same)) + same, 1)
        consecutive = by_scikit_learn(scores, same, KFold(10).split(scores))
        assert ranking.verification_accuracy(scores, same) == pytest.approx(consecutive, rel=1e-12)


ORDERS = {
    "all of one class first": np.arange(1000) < 500,
    "shuffled": np.random.default_rng(0).permutation(1000) < 500,
    "LFW's": np.tile(np.arange(100) < 50, 10),
}


@pytest.mark.parametrize("order", ORDERS)
def test_the_accuracy_is_that_of_the_scores_in_any_order_of_the_list(order):
    same = ORDERS[order]
    assert ranking.verification_accuracy(np.zeros(1000), same) == (0.5, 0.0), "no skill, no luck"
    noise = np.random.default_rng(1).normal(size=1000)
    assert ranking.verification_accuracy(noise, same)[0] == pytest.approx(0.5, abs=0.05)  # three standard deviations
    assert ranking.verification_accuracy(same.astype(float), same) == (1.0, 0.0)
    assert ranking.verification_accuracy(noise, same) == ranking.verification_accuracy(noise, same), "one draw"


def test_every_fold_holds_both_kinds():
    same = np.arange(100) < 10
    assert ranking.verification_accuracy(same.astype(float), same) == (1.0, 0.0)
    assert ranking.verification_accuracy(np.zeros(100), same) == (0.9, 0.0), "1 and 9 in each: all are refused"
    with pytest.raises(UserError, match=r"^folds = 11 .*10.*90"):
        ranking.verification_accuracy(np.zeros(100), same, folds=11)


def test_all_pairs():
    e, labels = clusters(n=10)
    scores, same = ranking.all_pairs(e, labels)
    assert scores.shape == same.shape == (45,)
    np.testing.assert_allclose(scores[0], e[0] @ e[1] / np.linalg.norm(e[0]) / np.linalg.norm(e[1]), rtol=1e-12)
    assert same[0] == (labels[0] == labels[1])


def test_made_pairs_are_half_of_one_class_and_listed_once():
    labels = RANDOM_LABELS
    i, j = ranking.balanced_pairs(labels, 400)
    same = labels[i] == labels[j]
    assert (i < j).all()
    assert len(set(zip(i.tolist(), j.tolist(), strict=True))) == len(i)
    assert abs(same.mean() - 0.5) < 0.05
    assert 0.3 < same[: len(same) // 10].mean() < 0.7, "shuffled: every fold has both kinds"
    np.testing.assert_array_equal(ranking.balanced_pairs(labels, 400)[0], i)
    assert len(ranking.made_pairs(labels, 10**6)[0]) == len(labels) * (len(labels) - 1) // 2
    assert len(ranking.made_pairs(labels, 400)[0]) == len(i)


@pytest.mark.parametrize(("sizes", "each"), [([2] * 20, 20), ([2, 2], 2), ([50, 2], 100), ([3] * 500, 1500)])
def test_listed_pairs_are_as_many_of_one_class_as_of_two(sizes, each):
    """Up to what there is: n(n-1)/2 of each class; all others are of two."""
    labels = np.repeat(np.arange(len(sizes)), sizes)
    i, j = ranking.balanced_pairs(labels, 6000)
    same = labels[i] == labels[j]
    assert (same.sum(), (~same).sum()) == (each, each)
    assert len(set(zip(i.tolist(), j.tolist(), strict=True))) == 2 * each
    noise = np.random.default_rng(0).normal(size=(len(labels), 8))
    scores = (noise[i] * noise[j]).sum(1)
    if each >= 20:
        assert ranking.verification_accuracy(scores, same)[0] == pytest.approx(0.5, abs=1.5 / np.sqrt(2 * each))
    assert ranking.balanced_pairs(np.zeros(5, int), 6000)[0].shape == (0,), "no others to list"


def test_a_large_list_is_the_same_as_ever():
    """`made_pairs` keeps all pairs that it found: rates want many of two classes, however few are of one."""
    labels = np.repeat(np.arange(300), 2)
    i, j = ranking.made_pairs(labels, 10_000)
    same = labels[i] == labels[j]
    assert (same.sum(), (~same).sum()) == (300, 5000)
    i, j = ranking.balanced_pairs(np.arange(900) % 9, 400)
    assert (i[:5].tolist(), j[:5].tolist()) == ([297, 138, 285, 426, 244], [794, 841, 728, 786, 582])


RANDOM_LABELS = np.random.default_rng(1).integers(0, 9, 120)


def test_the_principal_plane_shows_the_widest_spread():
    rng = np.random.default_rng(0)
    plane, _ = np.linalg.qr(rng.normal(size=(6, 2)))
    hidden = rng.normal(size=(80, 2)) * [5, 2]
    points = ranking.principal_plane(hidden @ plane.T + 7)
    centred = hidden - hidden.mean(0)
    np.testing.assert_allclose(points @ points.T, centred @ centred.T, atol=1e-9)
    assert points[:, 0].std() > points[:, 1].std()
    assert ranking.principal_plane(np.ones((3, 1))).shape == (3, 2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ranking.retrieval(np.zeros((2, 3)), np.array([0, 1])), None),
        (lambda: ranking.retrieval(np.zeros((2, 3)), np.zeros(3)), "2 for 3 labels"),
        (lambda: ranking.retrieval(np.full((2, 3), np.nan), np.zeros(2)), "2 of 2 "),
        (lambda: ranking.retrieval(np.zeros((0, 3)), np.zeros(0)), r"\(0, 3\)"),
        (lambda: ranking.roc(np.zeros(2), np.ones(2, bool)), "2 of one among 2"),
        (lambda: ranking.roc(np.zeros(3), np.ones(2, bool)), r"\(3,\).*\(2,\)"),
        (lambda: ranking.roc(np.array([np.nan, 0]), np.array([True, False])), "1 of 2 "),
        (lambda: ranking.verification_accuracy(np.zeros(4), np.ones(4, bool), folds=9), r"^folds = 9 "),
    ],
)
def test_errors(call, message):
    with pytest.raises(UserError, match=message):
        call()
