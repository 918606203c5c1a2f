"""FID against scipy's root and closed forms, KID and neighbourhoods against plain loops, modes against their distribution."""

import numpy as np
import pytest
from scipy.linalg import sqrtm
from sklearn.neighbors import NearestNeighbors

from jaxdl.metrics import generation as G
from jaxdl.types import UserError


def sets(n=60, m=50, dim=4, seed=0):
    rng = np.random.default_rng(seed)
    mix = rng.normal(size=(dim, dim))
    return rng.normal(size=(n, dim)) @ mix, 0.5 + rng.normal(size=(m, dim))


def test_fid_is_its_formula_with_scipys_root():
    x, y = sets()
    s, t = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    expected = np.square(x.mean(0) - y.mean(0)).sum() + np.trace(s + t - 2 * sqrtm(s @ t).real)
    assert G.fid(x, y) == pytest.approx(expected, rel=1e-9)
    assert G.fid(y, x) == pytest.approx(expected, rel=1e-9)
    assert G.fid(x, x) == pytest.approx(0, abs=1e-9)


def test_fid_of_gaussians_is_the_closed_form():
    """Diagonal covariances: Σ (μ - ν)² + (σ - τ)²; also where directions are empty."""
    sigma, tau = np.diag([1.0, 4.0, 0.0]), np.diag([9.0, 0.0, 0.0])
    assert G.frechet(np.array([1.0, 2.0, 0.0]), sigma, tau) == pytest.approx(5 + 4 + 4)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200_000, 2))
    assert G.fid(x, 2 * x[:, ::-1] + [3, 0]) == pytest.approx(9 + 2, rel=0.02)


def test_kid_is_the_unbiased_mean_over_pairs():
    x, y = sets(9, 7)
    k = lambda a, b: (a @ b / 4 + 1) ** 3
    pairs = lambda a: np.mean([k(a[i], a[j]) for i in range(len(a)) for j in range(len(a)) if i != j])
    expected = pairs(x) + pairs(y) - 2 * np.mean([k(a, b) for a in x for b in y])
    assert G.kid(x, y)["kid"] == pytest.approx(expected, rel=1e-10)
    equal = np.random.default_rng(1).normal(size=(2, 400, 3))
    drawn = G.kid(*equal, subset=100)
    assert abs(drawn["kid"]) < 3 * drawn["kid_sd"]  # two draws of one distribution, at any size
    assert G.kid(equal[0], 1 + equal[1], subset=100)["kid"] > 3 * drawn["kid_sd"]
    with pytest.raises(UserError, match=r"^subset = 1 "):
        G.kid(*equal, subset=1)


def test_neighbourhoods_are_the_plain_ones():
    (x, y), k = sets(), 3
    radius = lambda a: NearestNeighbors(n_neighbors=k + 1).fit(a).kneighbors(a)[0][:, k]
    distance = np.linalg.norm(x[:, None] - y[None], axis=-1)
    rx, ry = radius(x), radius(y)
    expected = {
        "precision": np.mean([any(distance[i, j] < rx[i] for i in range(60)) for j in range(50)]),
        "recall": np.mean([any(distance[i, j] < ry[j] for j in range(50)) for i in range(60)]),
        "density": sum(distance[i, j] < rx[i] for i in range(60) for j in range(50)) / (k * 50),
        "coverage": np.mean([any(distance[i, j] < rx[i] for j in range(50)) for i in range(60)]),
    }
    assert G.precision_recall(x, y, k=k) == pytest.approx(expected)


def test_copies_are_neighbours():
    """Six copies of each example: the ball to the fifth neighbour is a point, which holds the copies (Kynkäänniemi: ≤)."""
    x = np.repeat(np.random.default_rng(0).normal(size=(20, 4)), 6, axis=0)
    found = G.precision_recall(x, x)
    assert found == {"precision": 1.0, "recall": 1.0, "density": pytest.approx(6 / 5), "coverage": 1.0}


def test_collapse_is_precise_but_recalls_nothing():
    rng = np.random.default_rng(0)
    real = rng.normal(size=(300, 3))
    collapsed = real[:1] + 0.01 * rng.normal(size=(300, 3))
    found = G.precision_recall(real, collapsed)
    assert found["precision"] == 1
    assert found["recall"] < 0.01
    assert found["coverage"] < 0.1
    assert G.diversity(real, collapsed) < 1e-3
    wild = G.precision_recall(real, 30 * rng.normal(size=(300, 3)))
    assert wild["precision"] < 0.1


def test_the_mixture_itself_covers_its_modes():
    """In two dimensions P(|z| ≤ 3) = 1 - exp(-9/2)."""
    angle = np.arange(8) * np.pi / 4
    modes, rng = np.stack([np.cos(angle), np.sin(angle)], 1), np.random.default_rng(0)
    made = modes[rng.integers(0, 8, 20_000)] + 0.02 * rng.normal(size=(20_000, 2))
    found = G.mode_coverage(made, modes, sd=0.02)
    assert found["modes"] == 8
    assert found["high_quality"] == pytest.approx(1 - np.exp(-4.5), abs=0.003)
    assert found["mode_kl"] < 1e-3
    one = G.OnModes(modes, 0.02)(made, np.tile(modes[:1], (10, 1)))
    assert (one["modes"], one["high_quality"], one["mode_kl"]) == (1, 1, pytest.approx(np.log(8)))
    assert one["notes"] == ["modes missing: 7 of 8 have no sample"]


def test_measures_on_features_name_whose_they_are():
    x, y = (np.random.default_rng(i).normal(size=(40, 2, 2, 1)) for i in (0, 1))
    found = G.OnFeatures(lambda images: images.reshape(len(images), -1), "digits_cnn, step 570")(x, y)
    assert found["fid"] == pytest.approx(G.fid(x.reshape(40, 4), y.reshape(40, 4)))
    assert "on features of digits_cnn, step 570, of 40 examples" in found["notes"][0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: G.fid(np.ones((3, 2)), np.ones((3, 4))), r"\(3, 2\).*\(3, 4\)"),
        (lambda: G.precision_recall(np.ones((4, 2)), np.ones((9, 2))), r"^k = 5 .*4 .*9 "),
    ],
)
def test_sets_that_cannot_be_compared_are_refused(call, message):
    with pytest.raises(UserError, match=message):
        call()
