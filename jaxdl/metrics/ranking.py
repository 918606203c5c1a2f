"""Metrics of embeddings: retrieval (recall@k, MAP@R) and verification (ROC, EER, folds as LFW). NumPy on the host.

Retrieval measures whether the nearest neighbours of an example are of its class; verification, whether a threshold on the
similarity of two examples separates pairs of one class from pairs of two. Both need the whole set: their values depend on its
size.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from jaxdl.counts import check_count
from jaxdl.types import UserError

Labels = Int[np.ndarray, "n"]
Rows = tuple[Int[np.ndarray, "pairs"], Int[np.ndarray, "pairs"]]

Embeddings = Float[np.ndarray, "n dim"]
Scores = Float[np.ndarray, "pairs"]
Same = Bool[np.ndarray, "pairs"]

KS = (1, 5, 10)
FAR = (1e-1, 1e-2, 1e-3, 1e-4)
DIRECTIONS = {
    **{f"recall_at_{k}": "max" for k in KS},
    **{f"tar_at_far_{f:g}": "max" for f in FAR},
    "map_at_r": "max",
    "r_precision": "max",
    "roc_auc": "max",
    "verification_accuracy": "max",
    "eer": "min",
}
"""Whether more or less of each number is better."""


def retrieval(
    embeddings: Embeddings,
    labels: Labels,
    *,
    gallery: tuple[Embeddings, Int[np.ndarray, "m"]] | None = None,
    ks: Sequence[int] = KS,
    chunk: int = 1024,
) -> dict[str, float]:
    """Return retrieval metrics by cosine similarity: `recall_at_k` for each k, `map_at_r`, `r_precision`.

        recall@k    = share of queries with an example of their class among the k nearest neighbours
        R-precision = share of the R nearest neighbours that are of the class       R: number of other examples of the class
        MAP@R       = 1/R Σ_{i ≤ R} [i-th is of the class] · precision@i            both averaged over queries

    Each example is a query to all others, or to the `gallery`. Queries without another example of their class are left out.
    Memory: chunk x gallery.
    Source: recall@k Jegou et al. 2011; the other two Musgrave et al. 2020, arXiv:2003.08505, section 3.2.

    >>> e = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9], [0.8, 0.2]])
    >>> retrieval(e, np.array([0, 0, 1, 1, 1]), ks=(1,))
    {'recall_at_1': 0.8, 'map_at_r': 0.8, 'r_precision': 0.8}
    """
    check_count("chunk", chunk)
    for k in ks:
        check_count("ks", k)
    queries, labels = _unit(embeddings), np.asarray(labels)
    others, names = (queries, labels) if gallery is None else (_unit(gallery[0]), np.asarray(gallery[1]))
    if len(queries) != len(labels) or len(others) != len(names):
        sizes = f"{len(queries)} for {len(labels)} labels, {len(others)} for {len(names)} labels of the gallery"
        raise UserError(f"there must be one embedding for each label, got {sizes}")
    known, count = np.unique(names, return_counts=True)
    place = np.searchsorted(known, labels).clip(max=len(known) - 1)
    relevant = np.where(known[place] == labels, count[place], 0) - (gallery is None)  # without the query itself
    if not (relevant > 0).any():
        raise UserError("at least one class must have two examples")
    width = min(max([*ks, relevant.max()]), len(others) - (gallery is None))
    found = {k: [] for k in ks}
    precision, average = [], []
    for start in range(0, len(queries), chunk):
        rows = np.arange(start, min(start + chunk, len(queries)))
        near = queries[rows] @ others.T
        if gallery is None:
            near[np.arange(len(rows)), rows] = -np.inf
        nearest = np.argsort(-near, axis=1, kind="stable")[:, :width]
        rows, nearest = rows[relevant[rows] > 0], nearest[relevant[rows] > 0]
        right = names[nearest] == labels[rows, None]
        r = relevant[rows]
        rank = np.arange(1, width + 1)
        within = right & (rank[None] <= r[:, None])
        for k in ks:
            found[k].append(right[:, :k].any(1))
        precision.append(within.sum(1) / r)
        average.append((within * np.cumsum(right, 1) / rank[None]).sum(1) / r)
    recalls = {f"recall_at_{k}": float(np.concatenate(found[k]).mean()) for k in ks}
    return {
        **recalls,
        "map_at_r": float(np.concatenate(average).mean()),
        "r_precision": float(np.concatenate(precision).mean()),
    }


def verification(scores: Scores, same: Same, *, far: Sequence[float] = FAR) -> dict[str, float]:
    """Return verification metrics of pairs, from similarities (higher is more similar) and whether they are of one class.

    `roc_auc`, `eer` (equal error rate), and `tar_at_far_f` for each f of `far`: the share of pairs of one class that is accepted
    at the threshold that accepts a share f of the other pairs. It needs at least 1/f pairs of two classes.
    """
    fars, tars, _ = roc(scores, same)
    strangers = len(same) - int(np.sum(same))
    rates = {f"tar_at_far_{f:g}": tar_at_far(scores, same, far=f) for f in far if f * strangers >= 1}
    return {"roc_auc": float(np.trapezoid(tars, fars)), "eer": equal_error_rate(scores, same), **rates}


def roc(scores: Scores, same: Same) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the ROC curve: false accept rates, true accept rates and thresholds, from (0, 0) at infinity to (1, 1).

    A pair is accepted if its score is at or above the threshold. Raises `UserError` unless there are pairs of both kinds and
    all scores are finite.
    """
    scores, same = np.asarray(scores, np.float64), np.asarray(same, bool)
    if scores.shape != same.shape or scores.ndim != 1:
        raise UserError(f"scores {scores.shape} and same {same.shape} must be (pairs,)")
    if same.all() or not same.any():
        raise UserError(f"there must be pairs of one class and pairs of two, got {same.sum()} of one among {len(same)}")
    if not np.isfinite(scores).all():
        raise UserError(f"scores must be finite, {(~np.isfinite(scores)).sum()} of {len(scores)} are not")
    order = np.argsort(-scores, kind="stable")
    scores, same = scores[order], same[order]
    last = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)  # of each group of equal scores
    tar = np.append(0.0, np.cumsum(same)[last] / same.sum())
    far = np.append(0.0, np.cumsum(~same)[last] / (~same).sum())
    return far, tar, np.append(np.inf, scores[last])


def equal_error_rate(scores: Scores, same: Same) -> float:
    """Return the error rate at which false accepts and false rejects are equal, interpolated between thresholds.

    >>> equal_error_rate(np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4]), np.array([1, 1, 0, 1, 0, 0], bool))
    0.3333333333333333
    """
    far, tar, _ = roc(scores, same)
    gap = far - (1 - tar)  # rises from -1 to 1
    i = int(np.argmax(gap >= 0))
    weight = -gap[i - 1] / (gap[i] - gap[i - 1])
    return float(far[i - 1] + weight * (far[i] - far[i - 1]))


def tar_at_far(scores: Scores, same: Same, *, far: float) -> float:
    """Return the share of pairs of one class accepted at the lowest threshold that accepts at most `far` of the others."""
    fars, tars, _ = roc(scores, same)
    return float(tars[fars <= far].max())


def verification_accuracy(scores: Scores, same: Same, *, folds: int = 10) -> tuple[float, float]:
    """Return mean and standard error of the accuracy over folds, each with the best threshold of all other folds.

    The folds are consecutive parts of the list if all of them hold both kinds of pairs equally often, as in the protocol of LFW
    (ten folds of 300 + 300 pairs). Otherwise the pairs of each kind are distributed evenly in the order of a fixed draw.
    Source: Huang et al. 2007, Labeled Faces in the Wild, section 4.
    """
    check_count("folds", folds, 2)
    scores, same = np.asarray(scores, np.float64), np.asarray(same, bool)
    if folds > min(kinds := (int(same.sum()), int((~same).sum()))):
        raise UserError(
            f"folds = {folds} must be at most the number of pairs of one class, {kinds[0]}, and of two, {kinds[1]}"
        )
    fold = _folds(same, folds)
    accuracies = []
    for number in range(folds):
        test, train = fold == number, fold != number
        far, tar, thresholds = roc(scores[train], same[train])
        right = np.rint(same[train].sum() * tar - (~same[train]).sum() * far)  # whole numbers: ties are ties
        threshold = thresholds[np.argmax(right)]
        accuracies.append(np.mean((scores[test] >= threshold) == same[test]))
    return float(np.mean(accuracies)), float(np.std(accuracies, ddof=1) / np.sqrt(folds))


def _folds(same: Same, count: int) -> Int[np.ndarray, "pairs"]:
    """The fold of each pair; the numbers of pairs of each kind differ by at most one between folds."""
    fold = np.repeat(np.arange(count), [len(part) for part in np.array_split(same, count)])
    held = [np.bincount(fold[kind], minlength=count) for kind in (same, ~same)]
    if any(number.max() - number.min() > 1 for number in held):
        random = np.random.RandomState(0)  # frozen stream: the same folds with every version of NumPy
        dealt = np.concatenate([random.permutation(np.flatnonzero(kind)) for kind in (same, ~same)])
        fold[dealt] = np.arange(len(same)) % count
    return fold


def all_pairs(embeddings: Embeddings, labels: Labels) -> tuple[Scores, Same]:
    """Return the cosine similarity of all n(n-1)/2 pairs, and whether they are of one class."""
    e, labels = _unit(embeddings), np.asarray(labels)
    i, j = np.triu_indices(len(e), 1)
    return (e @ e.T)[i, j], labels[i] == labels[j]


def made_pairs(labels: Labels, most: int) -> Rows:
    """Return rows (i, j), i < j, of all pairs if there are at most `most`, otherwise of up to most/2 pairs of each kind.

    Rates are measured separately for each kind, so one may be rare. The draw is that of `balanced_pairs`.
    """
    check_count("most", most)
    n = len(labels)
    return np.triu_indices(n, 1) if n * (n - 1) // 2 <= most else _drawn_pairs(labels, most, even=False)


def balanced_pairs(labels: Labels, count: int) -> Rows:
    """Return rows (i, j) of at most `count` pairs, as many of one class as of two, shuffled, from a fixed draw.

    The first example of a pair is drawn first, then its partner within or outside the class; no pair is repeated. Since both
    kinds are equally frequent, chance has an accuracy of 0.5.

    >>> i, j = balanced_pairs(np.array([0, 0, 1, 1]), 4)
    >>> sorted(zip(i.tolist(), j.tolist()))
    [(0, 1), (0, 2), (1, 3), (2, 3)]
    """
    check_count("count", count)
    return _drawn_pairs(labels, count, even=True)


def _drawn_pairs(labels: Labels, count: int, *, even: bool) -> Rows:
    """Up to count/2 pairs of each kind; if `even`, equally many of both."""
    labels = np.asarray(labels)
    random = np.random.RandomState(0)  # frozen stream: the same list with every version of NumPy
    order = np.argsort(labels, kind="stable")
    _, first, place, size = np.unique(labels[order], return_index=True, return_inverse=True, return_counts=True)
    begin, size = first[place], size[place]  # by position in `order`
    listed = []
    for same, free in ((True, size - 1), (False, len(labels) - size)):
        able, there = np.flatnonzero(free > 0), int(free.sum()) // 2
        wanted = min(count // 2, there)
        i = random.choice(able, 4 * wanted)
        step = 1 + (random.random_sample(4 * wanted) * free[i]).astype(int)  # number of partners to move on, cyclically
        if wanted == there:  # all pairs are wanted: add those that were not drawn
            i = np.append(i, np.repeat(np.arange(len(labels)), free))
            step = np.append(step, 1 + np.arange(free.sum()) - np.repeat(np.cumsum(free) - free, free))
        j = begin[i] + (i - begin[i] + step) % size[i] if same else (begin[i] + size[i] - 1 + step) % len(labels)
        pairs = np.sort(np.column_stack([order[i], order[j]]), 1)
        _, once = np.unique(pairs, axis=0, return_index=True)
        listed.append(pairs[np.sort(once)[:wanted]])
    if even:
        listed = [pairs[: min(map(len, listed))] for pairs in listed]
    every = np.concatenate(listed)
    every = every[random.permutation(len(every))]
    return every[:, 0], every[:, 1]


def principal_plane(embeddings: Embeddings) -> Float[np.ndarray, "n 2"]:
    """Return the first two principal components of the embeddings, with a fixed sign."""
    e = np.asarray(embeddings, np.float64)
    e = e - e.mean(0)
    _, _, axes = np.linalg.svd(e, full_matrices=False)
    axes = np.vstack([axes, np.zeros_like(axes)])[:2]
    signs = np.sign(axes[np.arange(2), np.abs(axes).argmax(1)])
    return e @ (axes * signs[:, None]).T


def _unit(embeddings: Embeddings) -> Embeddings:
    e = np.asarray(embeddings, np.float64)
    if e.ndim != 2 or not len(e):
        raise UserError(f"embeddings must have the shape (n, dim) with n > 0, got {np.shape(embeddings)}")
    if not np.isfinite(e).all():
        raise UserError(f"embeddings must be finite, {(~np.isfinite(e).all(-1)).sum()} of {len(e)} are not")
    return e / np.maximum(np.linalg.norm(e, axis=-1, keepdims=True), 1e-12)
