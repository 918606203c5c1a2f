"""Losses for metric learning: embeddings of one class lie near each other, those of different classes far apart.

There are distances between two arrays of embeddings, losses of given pairs and triplets, and losses of a labelled batch
`(embeddings, labels)`, which return one value per anchor. A miner is a pure function `(distances, positive, negative) -> mask`
over all triplets `(anchor, positive, negative)`.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int, Num

from jaxdl.counts import check_numbers
from jaxdl.losses.labels import at_label, zero_or_one
from jaxdl.losses.precision import at_least_float32

Vectors = Float[Array, "*batch dim"]
Labels = Int[Array, "batch"]
PerAnchor = Float[Array, "batch"]
Mask = Num[Array, "batch"]

Embeddings = Float[Array, "batch dim"]
Distance = Callable[[Array, Array], Array]
Pairs = Float[Array, "batch batch"]
PairMask = Bool[Array, "batch batch"]
TripletMask = Bool[Array, "batch batch batch"]
Miner = Callable[[Array, Array, Array], Array]


# Distances ------------------------------------------------------------------------------------------------------------


def normalize(x: Vectors, *, eps: float = 1e-12) -> Vectors:
    """Return x / ‖x‖ in float32. A zero vector stays zero and has a finite gradient."""
    x = at_least_float32(x)
    return x * jax.lax.rsqrt(jnp.maximum(jnp.square(x).sum(-1, keepdims=True), eps**2))


def squared_euclidean(x: Vectors, y: Vectors) -> Float[Array, "*batch"]:
    """Squared Euclidean distance Σ (x - y)² over the last axis; the other axes broadcast."""
    return jnp.square(at_least_float32(x) - at_least_float32(y)).sum(-1)


def euclidean(x: Vectors, y: Vectors) -> Float[Array, "*batch"]:
    """Euclidean distance ‖x - y‖ over the last axis. Its gradient where x = y is 0, not NaN."""
    squared = squared_euclidean(x, y)
    apart = squared > 0
    return jnp.where(apart, jnp.sqrt(jnp.where(apart, squared, 1)), 0)


def cosine_distance(x: Vectors, y: Vectors) -> Float[Array, "*batch"]:
    """Cosine distance 1 - cos(x, y) over the last axis, from 0 (the same direction) to 2."""
    return 1 - (normalize(x) * normalize(y)).sum(-1)


def pairwise(embeddings: Embeddings, *, distance: Distance = euclidean) -> Float[Array, "batch batch"]:
    """Return the distances between all embeddings of a batch.

    >>> jax.jit(pairwise)(jnp.array([[0.0, 0.0], [3.0, 4.0]])).tolist()
    [[0.0, 5.0], [5.0, 0.0]]
    """
    return distance(embeddings[:, None], embeddings[None])


def pair_masks(
    labels: Labels, mask: Mask | None = None
) -> tuple[Bool[Array, "batch batch"], Bool[Array, "batch batch"]]:
    """Return which examples are positives (same label, another example) and negatives (another label) of each anchor.

    Where `mask` is 0, an example is padding and neither. Any integer is a label, also a negative one.
    """
    same = labels[:, None] == labels[None]
    real = jnp.ones(labels.shape, bool) if mask is None else mask > 0
    both = real[:, None] & real[None]
    return same & both & ~jnp.eye(labels.size, dtype=bool), ~same & both


def average_nonzero(values: Array, axis: int | tuple[int, ...] | None = None) -> Array:
    """Return the mean of the values above 0, or 0 if there are none: the usual reduction of hinge losses over pairs.

    >>> average_nonzero(jnp.array([0.0, 1.0, 3.0])).tolist()
    2.0
    """
    return values.sum(axis) / jnp.maximum((values > 0).sum(axis), 1)


# Pairs ----------------------------------------------------------------------------------------------------------------


def contrastive(
    distances: Float[Array, "*pairs"], same: Num[Array, "*pairs"], *, margin: ArrayLike = 1.0
) -> Float[Array, "*pairs"]:
    """Contrastive loss of pairs: equal ones are pulled together, different ones pushed apart up to a margin.

        ½·y·D² + ½·(1 - y)·max(0, m - D)²        y = 1 for two of the same, 0 for two different

    D is a Euclidean distance (`euclidean`); an integer y other than 0 and 1 gives NaN.
    Source: Hadsell et al. 2006, eq. 4 (whose Y is 1 - y).

    >>> jax.jit(contrastive)(jnp.array([0.5, 0.5]), jnp.array([1, 0]), margin=2.0).tolist()
    [0.125, 1.125]
    """
    distances, same = at_least_float32(distances), zero_or_one(same)
    gap = jax.nn.relu(jnp.asarray(margin, distances.dtype) - distances)
    return 0.5 * same * jnp.square(distances) + 0.5 * (1 - same) * jnp.square(gap)


def contrastive_linear(
    distances: Float[Array, "*pairs"],
    same: Num[Array, "*pairs"],
    *,
    positive_margin: ArrayLike = 0.0,
    negative_margin: ArrayLike = 1.0,
) -> Float[Array, "*pairs"]:
    """Linear contrastive loss of pairs, as in pytorch-metric-learning: y·max(0, D - m₊) + (1 - y)·max(0, m₋ - D).

    Its reduction there is `average_nonzero` over the positive pairs plus `average_nonzero` over the negative pairs.
    An integer y other than 0 and 1 gives NaN.
    """
    distances, same = at_least_float32(distances), zero_or_one(same)
    positive, negative = (jnp.asarray(m, distances.dtype) for m in (positive_margin, negative_margin))
    return same * jax.nn.relu(distances - positive) + (1 - same) * jax.nn.relu(negative - distances)


def paired_contrastive(
    embeddings: Embeddings,
    labels: Labels,
    *,
    margin: ArrayLike = 1.0,
    distance: Distance = euclidean,
    mask: Mask | None = None,
) -> PerAnchor:
    """Contrastive loss over all pairs of a labelled batch.

    The value of an anchor is the mean of `contrastive` over its positives, plus the mean over the negatives within the margin.
    An anchor without a positive has the second term only.

    >>> points, labels = jnp.array([[0.0], [0.5], [0.5]]), jnp.array([0, 0, 1])
    >>> jax.jit(paired_contrastive)(points, labels).tolist()  # 1/2·0.25 + 1/2·0.25 ...
    [0.25, 0.625, 0.3125]
    """
    positive, negative = pair_masks(labels, mask)
    losses = contrastive(pairwise(embeddings, distance=distance), positive, margin=margin)
    pulled = jnp.where(positive, losses, 0).sum(1) / jnp.maximum(positive.sum(1), 1)
    return pulled + average_nonzero(jnp.where(negative, losses, 0), axis=1)


# Triplets -------------------------------------------------------------------------------------------------------------


def triplet(
    anchor: Vectors,
    positive: Vectors,
    negative: Vectors,
    *,
    margin: ArrayLike = 1.0,
    distance: Distance = euclidean,
    swap: bool = False,
    hinge: Callable[[Array], Array] = jax.nn.relu,
) -> Float[Array, "*batch"]:
    """Triplet loss: the positive must be nearer to the anchor than the negative by a margin; one value per triplet.

        max(0, d(a, p) - d(a, n) + m)

    `distance` is `euclidean`, `squared_euclidean` (FaceNet) or `cosine_distance`. `swap` uses d(p, n) where it is smaller
    than d(a, n) (Balntas et al. 2016). `hinge=jax.nn.softplus` is the soft margin (Hermans et al. 2017). Equal to PyTorch's
    `TripletMarginLoss` except for the 1e-6 that PyTorch adds to every coordinate.
    Source: Schroff et al. 2015, arXiv:1503.03832.

    >>> triplet(jnp.array([0.0]), jnp.array([1.0]), jnp.array([1.5])).tolist()
    0.5
    """
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = jnp.minimum(far, distance(positive, negative))
    return hinge(near - far + jnp.asarray(margin, near.dtype))


def batch_all(distances: Pairs, positive: PairMask, negative: PairMask) -> TripletMask:
    """Select every valid triplet: a positive with the label of the anchor, a negative with another label."""
    return positive[:, :, None] & negative[:, None, :]


def hard(distances: Pairs, positive: PairMask, negative: PairMask) -> TripletMask:
    """Select the triplets whose negative is not farther than their positive: d(a, n) ≤ d(a, p)."""
    return batch_all(distances, positive, negative) & (distances[:, None, :] <= distances[:, :, None])


def semi_hard(distances: Pairs, positive: PairMask, negative: PairMask, *, margin: ArrayLike = 0.2) -> TripletMask:
    """Select the triplets in the right order but within the margin: d(a, p) < d(a, n) ≤ d(a, p) + m (FaceNet).

    Use the margin of the loss: `mine=partial(semi_hard, margin=margin)`.
    """
    gap = distances[:, None, :] - distances[:, :, None]
    return batch_all(distances, positive, negative) & (gap > 0) & (gap <= jnp.asarray(margin, gap.dtype))


def batch_hard(distances: Pairs, positive: PairMask, negative: PairMask) -> TripletMask:
    """Select one triplet for each anchor: its farthest positive and its nearest negative (Hermans et al. 2017)."""
    farthest = jnp.where(positive, distances, -jnp.inf).argmax(1)[:, None]
    nearest = jnp.where(negative, distances, jnp.inf).argmin(1)[:, None]
    index = jnp.arange(distances.shape[0])[None]
    return batch_all(distances, positive & (index == farthest), negative & (index == nearest))


def mined_triplet(
    embeddings: Embeddings,
    labels: Labels,
    *,
    margin: ArrayLike = 0.2,
    mine: Miner = batch_hard,
    distance: Distance = euclidean,
    hinge: Callable[[Array], Array] = jax.nn.relu,
    mask: Mask | None = None,
) -> PerAnchor:
    """Triplet loss of a labelled batch: for each anchor, the mean over its mined triplets with a loss above 0.

    `mine` is `batch_hard`, `batch_all`, `semi_hard` or `hard`; no gradient flows through the selection. An anchor without
    a triplet has the value 0. `mask` is 0 for padding. Memory grows with batch³.
    """
    distances = pairwise(embeddings, distance=distance)
    mined = mine(jax.lax.stop_gradient(distances), *pair_masks(labels, mask))
    losses = hinge(distances[:, :, None] - distances[:, None, :] + jnp.asarray(margin, distances.dtype))
    return average_nonzero(jnp.where(mined, losses, 0), axis=(1, 2))


# Batches as a classification ------------------------------------------------------------------------------------------


def _similarities(embeddings: Embeddings, temperature: ArrayLike) -> Float[Array, "batch batch"]:
    check_numbers(temperature=temperature)
    unit = normalize(embeddings)
    similarities = jnp.matmul(unit, unit.T, precision="highest")
    return similarities / jnp.asarray(temperature, similarities.dtype)


def _masked_logsumexp(x: Array, keep: Array) -> Array:
    """log Σ eˣ over the kept entries of each row; about -1e30 for a row without any."""
    return jax.nn.logsumexp(jnp.where(keep, x, -1e30), axis=-1)


def nt_xent(
    embeddings: Embeddings, labels: Labels, *, temperature: ArrayLike = 0.5, mask: Mask | None = None
) -> PerAnchor:
    """NT-Xent loss of SimCLR: classify which example of the batch is the other view of the anchor; one value per anchor.

        -log( e^(s_ap/T) / (e^(s_ap/T) + Σ_n e^(s_an/T)) )        s = cosine, n over the negatives

    For two views of n examples, stack them; the label is the number of the example, `jnp.tile(jnp.arange(n), 2)`. The value is
    the mean over the positives of an anchor, or 0. T is 0.5 in the paper (0.1 on ImageNet), 0.07 in pytorch-metric-learning.
    Source: Chen et al. 2020 (SimCLR), arXiv:2002.05709, eq. 1.

    >>> print(f"{jax.jit(lambda y: nt_xent(jnp.eye(4), y))(jnp.array([0, 0, 1, 1])).min():.4f}")  # right angles: log 3
    1.0986
    """
    positive, negative = pair_masks(labels, mask)
    s = _similarities(embeddings, temperature)
    others = _masked_logsumexp(s, negative)[:, None]
    losses = jnp.where(positive, jnp.logaddexp(s, others) - s, 0)
    return losses.sum(1) / jnp.maximum(positive.sum(1), 1)


def supervised_contrastive(
    embeddings: Embeddings, labels: Labels, *, temperature: ArrayLike = 0.1, mask: Mask | None = None
) -> PerAnchor:
    """Supervised contrastive loss: NT-Xent with all examples of the class as positives, which are also in the denominator.

        -1/|P| Σ_p log( e^(s_ap/T) / Σ_(k≠a) e^(s_ak/T) )

    One value per anchor. It is 0 for an anchor without positives, which should be left out of the mean.
    Source: Khosla et al. 2020, arXiv:2004.11362, L_out.
    """
    positive, negative = pair_masks(labels, mask)
    s = _similarities(embeddings, temperature)
    log_p = s - _masked_logsumexp(s, positive | negative)[:, None]
    return -jnp.where(positive, log_p, 0).sum(1) / jnp.maximum(positive.sum(1), 1)


def info_nce(
    queries: Embeddings,
    keys: Float[Array, "keys dim"],
    *,
    positives: Int[Array, "batch"] | None = None,
    temperature: ArrayLike = 0.07,
) -> PerAnchor:
    """InfoNCE loss: classify which key belongs to each query; one value per query.

        -log( e^(q·k₊/T) / Σ_k e^(q·k/T) )        q, k of length 1

    `positives[i]` is the row of the key of query i (default i); a row that is not in [0, keys) gives NaN. Additional keys are
    negatives, such as a queue (MoCo, T = 0.07) or the keys of other devices. CLIP takes the mean of both directions.
    Source: van den Oord et al. 2018, arXiv:1807.03748.
    """
    check_numbers(temperature=temperature)
    logits = jnp.matmul(normalize(queries), normalize(keys).T, precision="highest")
    logits = logits / jnp.asarray(temperature, logits.dtype)
    positives = jnp.arange(queries.shape[0]) if positives is None else positives
    return jax.nn.logsumexp(logits, axis=1) - at_label(logits, positives)
