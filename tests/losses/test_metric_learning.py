"""Metric learning: four points by hand, the miners beside pytorch-metric-learning, the margins' gradients and guards."""

import itertools
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.losses import margin as G
from jaxdl.losses import metric_learning as M
from jaxdl.types import UserError
from tests.programs import one_program

E = np.random.default_rng(3).normal(size=(9, 4)).astype("f4")
LABELS = np.array([0, 1, 0, 2, 1, 0, 2, 2, 3])  # the last one is alone


def test_contrastive_by_hand_on_four_points():
    points, same = np.float32([[0, 0], [0, 1], [3, 0], [0, 0.5]]), np.array([1, 1, 0, 0])

    def both(points):
        distances = M.pairwise(points)[0]  # 0, 1, 3, 0.5
        return M.contrastive(distances, same, margin=2.0), M.contrastive_linear(distances, same, negative_margin=2.0)

    squared, linear = one_program(both, points)
    np.testing.assert_allclose(squared, [0, 0.5, 0, 0.5 * 1.5**2])
    np.testing.assert_allclose(linear, [0, 1, 0, 1.5])


def test_gradients_of_distances_are_finite_where_points_meet_and_at_the_origin():
    distances = (M.euclidean, M.squared_euclidean, M.cosine_distance)
    slopes = lambda x: [jax.grad(lambda x, d=d: M.pairwise(x, distance=d).sum())(x) for d in distances]
    assert np.isfinite(one_program(slopes, np.zeros((2, 3), "f4"))).all()


MINERS = {
    "batch_all": (M.batch_all, ("TripletMarginMiner", {"margin": 1e9, "type_of_triplets": "all"})),
    "hard": (M.hard, ("TripletMarginMiner", {"margin": 0.9, "type_of_triplets": "hard"})),
    "semi_hard": (
        partial(M.semi_hard, margin=0.9),
        ("TripletMarginMiner", {"margin": 0.9, "type_of_triplets": "semihard"}),
    ),
    "batch_hard": (M.batch_hard, ("BatchHardMiner", {})),
}


@cache
def mined():
    """The triplets of every miner, by its name."""
    masks = one_program(lambda e: {name: f(M.pairwise(e), *M.pair_masks(LABELS)) for name, (f, _) in MINERS.items()}, E)
    return {name: {tuple(map(int, triplet)) for triplet in np.argwhere(mask)} for name, mask in masks.items()}


def test_miners_choose_what_their_definitions_say():
    d = np.linalg.norm(E[:, None] - E[None], axis=-1)
    triplets = {
        (a, p, n)
        for a, p, n in itertools.product(range(9), repeat=3)
        if a != p and LABELS[a] == LABELS[p] and LABELS[a] != LABELS[n]
    }
    expected = {
        "batch_all": triplets,
        "hard": {(a, p, n) for a, p, n in triplets if d[a, n] < d[a, p]},
        "semi_hard": {(a, p, n) for a, p, n in triplets if d[a, p] < d[a, n] <= d[a, p] + 0.9},
        "batch_hard": {
            max(((a, p, n) for a, p, n in triplets if a == anchor), key=lambda t: (d[t[0], t[1]], -d[t[0], t[2]]))
            for anchor in range(8)
        },
    }
    assert mined() == expected
    assert min(map(len, expected.values())) > 4


@pytest.mark.parity
@pytest.mark.parametrize("name", MINERS)
@pytest.mark.filterwarnings("ignore")
def test_miners_choose_what_pytorch_metric_learning_chooses(name):
    torch = pytest.importorskip("torch")
    miners = pytest.importorskip("pytorch_metric_learning.miners")
    distances = pytest.importorskip("pytorch_metric_learning.distances")
    kind, options = MINERS[name][1]
    miner = getattr(miners, kind)(distance=distances.LpDistance(normalize_embeddings=False), **options)
    expected = zip(*(i.tolist() for i in miner(torch.tensor(E), torch.tensor(LABELS))), strict=True)
    assert mined()[name] == set(expected)


def test_batch_hard_takes_the_farthest_positive_and_the_nearest_negative():
    x, labels = np.float32([[0], [1], [2], [2.5], [9]]), np.array([0, 0, 0, 1, 1])
    chosen, values = one_program(
        lambda x: (M.batch_hard(M.pairwise(x), *M.pair_masks(labels)), M.mined_triplet(x, labels, margin=0.5)), x
    )
    assert np.argwhere(chosen).tolist() == [[0, 2, 3], [1, 0, 3], [2, 0, 3], [3, 4, 2], [4, 3, 2]]
    np.testing.assert_allclose(values, [2 - 2.5 + 0.5, 1 - 1.5 + 0.5, 2 - 0.5 + 0.5, 6.5 - 0.5 + 0.5, 6.5 - 7 + 0.5])


@pytest.mark.parametrize("loss", [M.mined_triplet, M.nt_xent, M.supervised_contrastive], ids=lambda f: f.__name__)
def test_an_anchor_without_partner_has_no_loss_and_no_gradient(loss):
    def everything(x):
        gradient, values = jax.grad(lambda x: (loss(x, LABELS).sum(), loss(x, LABELS)), has_aux=True)(x)
        return values, gradient, loss(x[:2], np.array([0, 1])), loss(x[:2], np.array([0, 0]))

    values, gradient, no_positive, no_negative = one_program(everything, E)
    assert values[-1] == 0
    assert np.isfinite(gradient).all()
    np.testing.assert_array_equal(no_positive, 0)
    np.testing.assert_allclose(no_negative, 0, atol=1e-6)


def test_softplus_hinge_is_the_soft_margin():
    a, p, n = E[:3], E[3:6], E[6:]
    gap = np.linalg.norm(a - p, axis=1) - np.linalg.norm(a - n, axis=1)
    soft = one_program(partial(M.triplet, margin=0.0, hinge=jax.nn.softplus), a, p, n)
    np.testing.assert_allclose(soft, np.log1p(np.exp(gap)), rtol=1e-6)


def test_two_views_make_nt_xent_supervised_contrastive_and_infonce_the_same_thing():
    views = np.tile(np.arange(4), 2)
    gathered = np.concatenate([E[4:8], E[:4]])  # keys of another device first
    nt, supervised, nce = one_program(
        lambda e, keys: (
            M.nt_xent(e, views, temperature=0.1),
            M.supervised_contrastive(e, views),
            M.info_nce(e[:4], keys, positives=np.arange(4) + 4),
        ),
        E[:8],
        gathered,
    )
    np.testing.assert_allclose(nt, supervised, rtol=1e-5)
    unit = lambda x: x / np.linalg.norm(x, axis=1, keepdims=True)
    p = np.exp(unit(E[:4]) @ unit(gathered).T / 0.07)
    np.testing.assert_allclose(nce, -np.log(np.diag(p[:, 4:]) / p.sum(1)), rtol=1e-5, atol=1e-6)


# Margins --------------------------------------------------------------------------------------------------------------

ANGLES = np.linspace(0.05, 3.09, 60)


def true_logit(cosine, **options):
    """The true class's logit where its cosine is this, for a scale of 1."""
    cosines = jnp.stack([cosine, jnp.float32(0)])[None]
    return G.combined_margin_logits(cosines, np.array([0]), scale=1.0, **options)[0, 0]


def test_guards_beyond_pi():
    of = lambda angles, guard: jax.vmap(lambda t: true_logit(jnp.cos(t), m2=0.5, guard=guard))(angles)
    guards = ("linear", "monotone", "none", "easy")
    every = one_program(lambda angles: {guard: of(angles, guard) for guard in guards}, np.float32(ANGLES))
    beyond = np.pi < ANGLES + 0.5
    assert beyond.any()
    for guard in ("linear", "monotone", "none"):
        np.testing.assert_allclose(every[guard][~beyond], np.cos(ANGLES[~beyond] + 0.5), atol=2e-6)
    np.testing.assert_allclose(every["none"][beyond], np.cos(ANGLES[beyond] + 0.5), atol=2e-6)
    np.testing.assert_allclose(every["linear"][beyond], np.cos(ANGLES[beyond]) - 0.5 * np.sin(0.5), atol=2e-6)
    assert (np.diff(every["monotone"]) < 0).all()
    assert (np.diff(every["none"]) > 0).any()  # the trap: worse angle, better logit
    easy = np.where(np.pi / 2 > ANGLES, np.cos(ANGLES + 0.5), np.cos(ANGLES))
    np.testing.assert_allclose(every["easy"], easy, atol=2e-6)


def test_exact_gradient_is_the_slope_and_straight_through_is_one():
    cosines = np.float32([-0.5, 0.1, 0.8])
    f = partial(true_logit, m1=1.2, m2=0.4, m3=0.1, guard="none")

    def slopes(cosines):
        exact, through = (jax.vmap(jax.grad(partial(f, gradient=g)))(cosines) for g in ("exact", "straight_through"))
        return exact, through, (jax.vmap(f)(cosines + 1e-2) - jax.vmap(f)(cosines - 1e-2)) / 2e-2

    exact, through, differences = one_program(slopes, cosines)
    np.testing.assert_allclose(exact, differences, rtol=1e-3)
    theta = np.arccos(cosines)
    np.testing.assert_allclose(exact, 1.2 * np.sin(1.2 * theta + 0.4) / np.sin(theta), rtol=1e-5)
    np.testing.assert_allclose(through, 1)


def test_each_margin_is_a_corner_of_the_combined_one():
    def everything(cosines):
        combined = partial(G.combined_margin, cosines, LABELS, scale=20.0)
        return (
            (G.arcface(cosines, LABELS, scale=20.0), combined(m2=0.5)),
            (G.cosface(cosines, LABELS, scale=20.0), combined(m2=0.0, m3=0.35)),
            (
                G.sphereface(cosines, LABELS, scale=20.0, margin=2.0),
                combined(m1=2.0, m2=0.0, guard="monotone"),
            ),
        )

    arcface, cosface, sphereface = one_program(everything, np.tanh(E))
    np.testing.assert_allclose(*arcface, rtol=1e-6)
    np.testing.assert_allclose(*cosface, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(*sphereface, rtol=1e-6)


def test_perfect_and_opposite_cosines_have_a_finite_gradient():
    loss = lambda c, guard: G.arcface(c, np.zeros(3, int), guard=guard).sum()
    guards = ("linear", "monotone", "easy", "none")
    cosines = np.float32([[1.0, -1.0], [-1.0, 1.0], [1.0000001, 0.0]])
    assert np.isfinite(one_program(lambda c: [jax.grad(loss)(c, guard) for guard in guards], cosines)).all()


@pytest.mark.parametrize(
    ("choice", "values"),
    [({"guard": "soft"}, "guard = 'soft'.*'easy'"), ({"gradient": "none"}, "gradient = 'none'.*'exact'")],
)
def test_misspelt_choices_are_named(choice, values):
    with pytest.raises(UserError, match=values):
        jax.eval_shape(lambda cosines: G.arcface(cosines, np.array([0]), **choice), np.zeros((1, 2), "f4"))
