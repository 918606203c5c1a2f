"""Metric learning: four points by hand, the miners beside pytorch-metric-learning, the margins' gradients and guards."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.losses import margin as G
from jaxdl.losses import metric_learning as M

E = jax.random.normal(jax.random.key(3), (9, 4))
LABELS = jnp.array([0, 1, 0, 2, 1, 0, 2, 2, 3])  # the last one is alone


def test_contrastive_by_hand_on_four_points():
    points = jnp.array([[0.0, 0.0], [0.0, 1.0], [3.0, 0.0], [0.0, 0.5]])
    distances = M.pairwise(points)[0]  # 0, 1, 3, 0.5
    same = jnp.array([1, 1, 0, 0])
    np.testing.assert_allclose(M.contrastive(distances, same, margin=2.0), [0, 0.5, 0, 0.5 * 1.5**2])
    np.testing.assert_allclose(M.contrastive_linear(distances, same, negative_margin=2.0), [0, 1, 0, 1.5])


def test_gradients_of_distances_are_finite_where_points_meet_and_at_the_origin():
    x = jnp.zeros((2, 3))
    for distance in (M.euclidean, M.squared_euclidean, M.cosine_distance):
        assert np.isfinite(jax.grad(lambda x, d=distance: M.pairwise(x, distance=d).sum())(x)).all()


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (M.batch_all, ("TripletMarginMiner", {"margin": 1e9, "type_of_triplets": "all"})),
        (M.hard, ("TripletMarginMiner", {"margin": 0.9, "type_of_triplets": "hard"})),
        (partial(M.semi_hard, margin=0.9), ("TripletMarginMiner", {"margin": 0.9, "type_of_triplets": "semihard"})),
        (M.batch_hard, ("BatchHardMiner", {})),
    ],
    ids=["batch_all", "hard", "semi_hard", "batch_hard"],
)
@pytest.mark.filterwarnings("ignore")
def test_miners_choose_what_pytorch_metric_learning_chooses(ours, theirs):
    torch = pytest.importorskip("torch")
    miners = pytest.importorskip("pytorch_metric_learning.miners")
    distances = pytest.importorskip("pytorch_metric_learning.distances")
    name, options = theirs
    miner = getattr(miners, name)(distance=distances.LpDistance(normalize_embeddings=False), **options)
    expected = zip(
        *(i.tolist() for i in miner(torch.tensor(np.asarray(E)), torch.tensor(np.asarray(LABELS)))), strict=True
    )
    mined = ours(M.pairwise(E), *M.pair_masks(LABELS))
    got = list(zip(*(i.tolist() for i in np.nonzero(mined)), strict=True))
    assert len(got) > 4
    assert set(got) == set(expected)


def test_batch_hard_takes_the_farthest_positive_and_the_nearest_negative():
    x = jnp.array([[0.0], [1.0], [2.0], [2.5], [9.0]])
    labels = jnp.array([0, 0, 0, 1, 1])
    mined = M.batch_hard(M.pairwise(x), *M.pair_masks(labels))
    assert np.argwhere(mined).tolist() == [[0, 2, 3], [1, 0, 3], [2, 0, 3], [3, 4, 2], [4, 3, 2]]
    values = M.mined_triplet(x, labels, margin=0.5)
    np.testing.assert_allclose(values, [2 - 2.5 + 0.5, 1 - 1.5 + 0.5, 2 - 0.5 + 0.5, 6.5 - 0.5 + 0.5, 6.5 - 7 + 0.5])


def test_an_anchor_without_partner_has_no_loss_and_no_gradient():
    for loss in (M.mined_triplet, M.nt_xent, M.supervised_contrastive):
        values = loss(E, LABELS)
        assert values[-1] == 0
        assert np.isfinite(jax.jit(jax.grad(lambda x, loss=loss: loss(x, LABELS).sum()))(E)).all()
        alone = loss(E[:2], jnp.array([0, 1]))  # no positive at all
        np.testing.assert_array_equal(alone, 0)
        np.testing.assert_allclose(loss(E[:2], jnp.array([0, 0])), 0, atol=1e-6)  # no negative at all


def test_softplus_hinge_is_the_soft_margin():
    a, p, n = E[:3], E[3:6], E[6:]
    gap = M.euclidean(a, p) - M.euclidean(a, n)
    soft = M.triplet(a, p, n, margin=0.0, hinge=jax.nn.softplus)
    np.testing.assert_allclose(soft, jnp.log1p(jnp.exp(gap)), rtol=1e-6)


def test_two_views_make_nt_xent_supervised_contrastive_and_infonce_the_same_thing():
    views = jnp.tile(jnp.arange(4), 2)
    nt = M.nt_xent(E[:8], views, temperature=0.1)
    np.testing.assert_allclose(nt, M.supervised_contrastive(E[:8], views), rtol=1e-5)
    gathered = jnp.concatenate([E[4:8], E[:4]])  # keys of another device first
    ours = M.info_nce(E[:4], gathered, positives=jnp.arange(4) + 4)
    logits = M.normalize(E[:4]) @ M.normalize(gathered).T / 0.07
    np.testing.assert_allclose(ours, -jnp.log(jnp.diag(jax.nn.softmax(logits)[:, 4:])), rtol=1e-5, atol=1e-6)


# Margins --------------------------------------------------------------------------------------------------------------

ANGLES = np.linspace(0.05, 3.09, 60)


def logit(theta, **options):
    """The true class's logit at the angle θ, for a scale of 1."""
    cosines = jnp.stack([jnp.cos(theta), jnp.float32(0)])[None]
    return G.combined_margin_logits(cosines, jnp.array([0]), scale=1.0, **options)[0, 0]


def test_guards_beyond_pi():
    every = lambda **options: np.asarray(jax.vmap(lambda t: logit(t, m2=0.5, **options))(jnp.float32(ANGLES)))
    beyond = np.pi < ANGLES + 0.5
    assert beyond.any()
    for guard in ("linear", "monotone", "none"):
        np.testing.assert_allclose(every(guard=guard)[~beyond], np.cos(ANGLES[~beyond] + 0.5), atol=2e-6)
    np.testing.assert_allclose(every(guard="none")[beyond], np.cos(ANGLES[beyond] + 0.5), atol=2e-6)
    np.testing.assert_allclose(every(guard="linear")[beyond], np.cos(ANGLES[beyond]) - 0.5 * np.sin(0.5), atol=2e-6)
    assert (np.diff(every(guard="monotone")) < 0).all()
    assert (np.diff(every(guard="none")) > 0).any()  # the trap: worse angle, better logit
    easy = np.where(np.pi / 2 > ANGLES, np.cos(ANGLES + 0.5), np.cos(ANGLES))
    np.testing.assert_allclose(every(guard="easy"), easy, atol=2e-6)


def test_exact_gradient_is_the_slope_and_straight_through_is_one():
    def slope(cosine, **options):
        f = lambda c: G.combined_margin_logits(
            jnp.stack([c, jnp.float32(0)])[None], jnp.array([0]), m1=1.2, m2=0.4, m3=0.1, scale=1.0, **options
        )[0, 0]
        f = jax.jit(f)
        return jax.grad(f)(jnp.float32(cosine)), (f(jnp.float32(cosine + 1e-2)) - f(jnp.float32(cosine - 1e-2))) / 2e-2

    for cosine in (-0.5, 0.1, 0.8):
        exact, differences = slope(cosine, guard="none")
        np.testing.assert_allclose(exact, differences, rtol=1e-3)
        theta = np.arccos(cosine)
        np.testing.assert_allclose(exact, 1.2 * np.sin(1.2 * theta + 0.4) / np.sin(theta), rtol=1e-5)
        np.testing.assert_allclose(slope(cosine, guard="none", gradient="straight_through")[0], 1)


def test_each_margin_is_a_corner_of_the_combined_one():
    cosines, labels = jnp.tanh(E), LABELS
    combined = partial(G.combined_margin, cosines, labels, scale=20.0)
    np.testing.assert_allclose(G.arcface(cosines, labels, scale=20.0), combined(m2=0.5), rtol=1e-6)
    np.testing.assert_allclose(G.cosface(cosines, labels, scale=20.0), combined(m2=0.0, m3=0.35), rtol=1e-4, atol=1e-5)
    sphere = G.sphereface(cosines, labels, scale=20.0, margin=2.0)
    np.testing.assert_allclose(sphere, combined(m1=2.0, m2=0.0, guard="monotone"), rtol=1e-6)


def test_perfect_and_opposite_cosines_have_a_finite_gradient():
    cosines = jnp.array([[1.0, -1.0], [-1.0, 1.0], [1.0000001, 0.0]])
    for guard in ("linear", "monotone", "easy", "none"):
        loss = lambda c, guard=guard: G.arcface(c, jnp.zeros(3, int), guard=guard).sum()
        assert np.isfinite(jax.jit(jax.grad(loss))(cosines)).all()


def test_misspelt_choices_are_named():
    with pytest.raises(ValueError, match="guard is 'soft'"):
        G.arcface(jnp.zeros((1, 2)), jnp.array([0]), guard="soft")
    with pytest.raises(ValueError, match="gradient is 'none'"):
        G.arcface(jnp.zeros((1, 2)), jnp.array([0]), gradient="none")
