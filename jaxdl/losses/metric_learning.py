"""Losses that place embeddings: near when they belong together, far when not.

Three layers, each usable alone: distances (functions of two arrays of embeddings), losses of given pairs and triplets,
and losses of a labelled batch `(embeddings, labels)`, one value per anchor. A miner is a pure function
`(distances, positive, negative) -> mask` over all triplets `(anchor, positive, negative)`; every shape is static.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int, Num

from jaxdl.losses.labels import at_label, zero_or_one
from jaxdl.losses.precision import at_least_float32

Embeddings = Float[Array, "batch dim"]
Distance = Callable[[Array, Array], Array]
Pairs = Float[Array, "batch batch"]
PairMask = Bool[Array, "batch batch"]
TripletMask = Bool[Array, "batch batch batch"]
Miner = Callable[[Array, Array, Array], Array]


# Distances ------------------------------------------------------------------------------------------------------------


def normalize(x: Float[Array, "*batch dim"], *, eps: float = 1e-12) -> Float[Array, "*batch dim"]:
    """x / ‖x‖ in float32; a zero vector stays zero, with a finite gradient."""
    x = at_least_float32(x)
    return x * jax.lax.rsqrt(jnp.maximum(jnp.square(x).sum(-1, keepdims=True), eps**2))


def squared_euclidean(x: Float[Array, "*batch dim"], y: Float[Array, "*batch dim"]) -> Float[Array, "*batch"]:
    """Σ (x - y)² over the last axis; the others broadcast."""
    return jnp.square(at_least_float32(x) - at_least_float32(y)).sum(-1)


def euclidean(x: Float[Array, "*batch dim"], y: Float[Array, "*batch dim"]) -> Float[Array, "*batch"]:
    """‖x - y‖ over the last axis; its gradient where x = y is 0, not NaN."""
    squared = squared_euclidean(x, y)
    apart = squared > 0
    return jnp.where(apart, jnp.sqrt(jnp.where(apart, squared, 1)), 0)


def cosine_distance(x: Float[Array, "*batch dim"], y: Float[Array, "*batch dim"]) -> Float[Array, "*batch"]:
    """1 - cos(x, y) over the last axis, between 0 (the same direction) and 2."""
    return 1 - (normalize(x) * normalize(y)).sum(-1)


def pairwise(embeddings: Embeddings, *, distance: Distance = euclidean) -> Float[Array, "batch batch"]:
    """The distance of every embedding to every other.

    >>> jax.jit(pairwise)(jnp.array([[0.0, 0.0], [3.0, 4.0]])).tolist()
    [[0.0, 5.0], [5.0, 0.0]]
    """
    return distance(embeddings[:, None], embeddings[None])


def pair_masks(
    labels: Int[Array, "batch"], mask: Num[Array, "batch"] | None = None
) -> tuple[Bool[Array, "batch batch"], Bool[Array, "batch batch"]]:
    """Who is whose positive (same label, another example) and negative (another label); padding is neither.

    Labels are names here: any integer is one, also below 0.
    """
    same = labels[:, None] == labels[None]
    real = jnp.ones(labels.shape, bool) if mask is None else mask > 0
    both = real[:, None] & real[None]
    return same & both & ~jnp.eye(labels.size, dtype=bool), ~same & both


def average_nonzero(values: Array, axis: int | tuple[int, ...] | None = None) -> Array:
    """The mean of the values above 0 (0 if there are none): the usual reduction of hinge losses over many pairs.

    >>> average_nonzero(jnp.array([0.0, 1.0, 3.0])).tolist()
    2.0
    """
    return values.sum(axis) / jnp.maximum((values > 0).sum(axis), 1)


# Pairs ----------------------------------------------------------------------------------------------------------------


def contrastive(
    distances: Float[Array, "*pairs"], same: Num[Array, "*pairs"], *, margin: ArrayLike = 1.0
) -> Float[Array, "*pairs"]:
    """Pulls a pair together, or pushes it apart up to a margin; one value per pair.

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
    """y·max(0, D - m₊) + (1 - y)·max(0, m₋ - D): the linear form of pytorch-metric-learning, one value per pair.

    Its reduction there: `average_nonzero` over the positive pairs plus `average_nonzero` over the negative ones.
    An integer y other than 0 and 1 gives NaN.
    """
    distances, same = at_least_float32(distances), zero_or_one(same)
    positive, negative = (jnp.asarray(m, distances.dtype) for m in (positive_margin, negative_margin))
    return same * jax.nn.relu(distances - positive) + (1 - same) * jax.nn.relu(negative - distances)


def paired_contrastive(
    embeddings: Embeddings,
    labels: Int[Array, "batch"],
    *,
    margin: ArrayLike = 1.0,
    distance: Distance = euclidean,
    mask: Num[Array, "batch"] | None = None,
) -> Float[Array, "batch"]:
    """`contrastive` over all pairs of a labelled batch: for every anchor the mean over its positives, plus the mean over
    those of its negatives that lie within the margin. An anchor alone in its class is only pushed.

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
    anchor: Float[Array, "*batch dim"],
    positive: Float[Array, "*batch dim"],
    negative: Float[Array, "*batch dim"],
    *,
    margin: ArrayLike = 1.0,
    distance: Distance = euclidean,
    swap: bool = False,
    hinge: Callable[[Array], Array] = jax.nn.relu,
) -> Float[Array, "*batch"]:
    """The positive must be nearer to the anchor than the negative, by a margin; one value per triplet.

        max(0, d(a, p) - d(a, n) + m)

    `distance` is `euclidean`, `squared_euclidean` (FaceNet) or `cosine_distance`; `swap` takes d(p, n) where it is
    smaller than d(a, n) (Balntas et al. 2016); `hinge=jax.nn.softplus` is the soft margin (Hermans et al. 2017).
    Equal to PyTorch's `TripletMarginLoss` but for the 1e-6 it adds to every coordinate.
    Source: Schroff et al. 2015, arXiv:1503.03832.

    >>> triplet(jnp.array([0.0]), jnp.array([1.0]), jnp.array([1.5])).tolist()
    0.5
    """
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = jnp.minimum(far, distance(positive, negative))
    return hinge(near - far + jnp.asarray(margin, near.dtype))


def batch_all(distances: Pairs, positive: PairMask, negative: PairMask) -> TripletMask:
    """Every valid triplet: a positive with the anchor's label, a negative with another."""
    return positive[:, :, None] & negative[:, None, :]


def hard(distances: Pairs, positive: PairMask, negative: PairMask) -> TripletMask:
    """Every triplet whose negative is not farther than its positive: d(a, n) ≤ d(a, p)."""
    return batch_all(distances, positive, negative) & (distances[:, None, :] <= distances[:, :, None])


def semi_hard(distances: Pairs, positive: PairMask, negative: PairMask, *, margin: ArrayLike = 0.2) -> TripletMask:
    """Every triplet in the right order but within the margin: d(a, p) < d(a, n) ≤ d(a, p) + m (FaceNet).

    Give it the margin of the loss: `mine=partial(semi_hard, margin=margin)`.
    """
    gap = distances[:, None, :] - distances[:, :, None]
    return batch_all(distances, positive, negative) & (gap > 0) & (gap <= jnp.asarray(margin, gap.dtype))


def batch_hard(distances: Pairs, positive: PairMask, negative: PairMask) -> TripletMask:
    """One triplet an anchor: its farthest positive and its nearest negative (Hermans et al. 2017)."""
    farthest = jnp.where(positive, distances, -jnp.inf).argmax(1)[:, None]
    nearest = jnp.where(negative, distances, jnp.inf).argmin(1)[:, None]
    index = jnp.arange(distances.shape[0])[None]
    return batch_all(distances, positive & (index == farthest), negative & (index == nearest))


def mined_triplet(
    embeddings: Embeddings,
    labels: Int[Array, "batch"],
    *,
    margin: ArrayLike = 0.2,
    mine: Miner = batch_hard,
    distance: Distance = euclidean,
    hinge: Callable[[Array], Array] = jax.nn.relu,
    mask: Num[Array, "batch"] | None = None,
) -> Float[Array, "batch"]:
    """The triplet loss of a labelled batch: for every anchor the mean over its mined triplets that are not yet 0.

    `mine` is `batch_hard`, `batch_all`, `semi_hard` or `hard`; no gradient flows through the choice. An anchor without
    a triplet has 0. `mask` is 0 for padding, which is no one's positive or negative. Memory grows with batch³.
    """
    distances = pairwise(embeddings, distance=distance)
    mined = mine(jax.lax.stop_gradient(distances), *pair_masks(labels, mask))
    losses = hinge(distances[:, :, None] - distances[:, None, :] + jnp.asarray(margin, distances.dtype))
    return average_nonzero(jnp.where(mined, losses, 0), axis=(1, 2))


# Batches as a classification ------------------------------------------------------------------------------------------


def _similarities(embeddings: Embeddings, temperature: ArrayLike) -> Float[Array, "batch batch"]:
    unit = normalize(embeddings)
    similarities = jnp.matmul(unit, unit.T, precision="highest")
    return similarities / jnp.asarray(temperature, similarities.dtype)


def _masked_logsumexp(x: Array, keep: Array) -> Array:
    """log Σ eˣ over the kept entries of each row; the lowest finite number for a row without any."""
    return jax.nn.logsumexp(jnp.where(keep, x, -1e30), axis=-1)


def nt_xent(
    embeddings: Embeddings,
    labels: Int[Array, "batch"],
    *,
    temperature: ArrayLike = 0.5,
    mask: Num[Array, "batch"] | None = None,
) -> Float[Array, "batch"]:
    """Picks the other view of the same example out of the batch; one value per anchor.

        -log( e^(s_ap/T) / (e^(s_ap/T) + Σ_n e^(s_an/T)) )        s = cosine, n over the negatives

    Two views of n examples: stack them and label both with the example, `jnp.tile(jnp.arange(n), 2)`. An anchor with
    several positives takes the mean over them, one without has 0. Chen et al. use T = 0.5 (0.1 on ImageNet);
    pytorch-metric-learning's default is 0.07.
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
    embeddings: Embeddings,
    labels: Int[Array, "batch"],
    *,
    temperature: ArrayLike = 0.1,
    mask: Num[Array, "batch"] | None = None,
) -> Float[Array, "batch"]:
    """NT-Xent whose positives are all examples of the class, also in the denominator; one value per anchor.

        -1/|P| Σ_p log( e^(s_ap/T) / Σ_(k≠a) e^(s_ak/T) )

    An anchor alone in its class has 0; leave it out of the mean. Source: Khosla et al. 2020, arXiv:2004.11362, L_out.
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
) -> Float[Array, "batch"]:
    """Each query picks its own key out of all; one value per query.

        -log( e^(q·k₊/T) / Σ_k e^(q·k/T) )        q, k of length 1

    `positives[i]` is the row of query i's key (default i). More keys than queries are further negatives: a queue
    (MoCo, T = 0.07), or the keys gathered from all devices. CLIP is the mean of both directions. A row below 0, or at or
    above the number of keys, gives NaN.
    Source: van den Oord et al. 2018, arXiv:1807.03748.
    """
    logits = jnp.matmul(normalize(queries), normalize(keys).T, precision="highest")
    logits = logits / jnp.asarray(temperature, logits.dtype)
    positives = jnp.arange(queries.shape[0]) if positives is None else positives
    return jax.nn.logsumexp(logits, axis=1) - at_label(logits, positives)
