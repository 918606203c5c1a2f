"""Mix-up and cut-mix: λ has its distribution, cut-mix's is the kept share, labels are conserved."""

from functools import cache

import jax
import numpy as np
import pytest
from scipy import stats

from jaxdl.augment import mix
from jaxdl.tracing import rows_from
from tests.programs import one_program

KEY = jax.random.key(1)
ROWS = 10
BATCH = {
    "x": np.random.default_rng(0).random((ROWS, 9, 7, 2), np.float32),
    "y": np.random.default_rng(1).integers(0, 4, ROWS),
    "mask": np.ones(ROWS, np.float32),
}
MODES = ("batch", "pair", "elem")


NAMES = np.eye(4, dtype=np.float32)[BATCH["y"]]
ALPHAS = (0.4, 1.0, 4.0, 1e-4, 1e-2, 1e3)


def of_row(alpha, rows=2000, **options):
    """λ of each row, read off features that are 1 in the first half and 0 in their partners; the targets are the same."""
    y = np.repeat([1.0, 0.0], rows // 2).astype(np.float32)
    out = mix.mixup(alpha, **options)(KEY, {"x": y[:, None], "y": y})
    return {"share": out["x"][:, 0], "target": out["y"]}


@pytest.fixture(scope="module")
def shares():
    """Draws of λ at every strength, and with probability 0.3, in one program."""

    def draw(alphas, chances):
        return jax.lax.map(lambda case: of_row(case[0], mode="elem", p=case[1]), (alphas, chances))

    return one_program(draw, np.float32([*ALPHAS, 1]), np.float32([*[1] * len(ALPHAS), 0.3]))


def test_regression_targets_are_mixed(shares):
    np.testing.assert_allclose(shares["share"], shares["target"], atol=1e-6)


def at(shares, alpha):
    return shares["share"][ALPHAS.index(alpha)]


@pytest.mark.parametrize("alpha", [0.4, 1.0, 4.0])
def test_share_is_beta(alpha, shares):
    """Kolmogorov-Smirnov; the second half shows 1 - λ, which has the same distribution."""
    assert stats.kstest(at(shares, alpha), stats.beta(alpha, alpha).cdf).pvalue > 0.01


@pytest.mark.parametrize("alpha", [1e-4, 1e-2, 1e3])
def test_share_at_extreme_alpha(alpha, shares):
    """Tiny α: all or nothing, half of each; large α: one half."""
    share = at(shares, alpha)
    assert np.isfinite(share).all()
    assert abs(share.mean() - 0.5) < 0.05
    spread = np.sqrt(1 / (4 * (2 * alpha + 1)))  # the standard deviation of Beta(α, α)
    assert abs(share.std() - spread) < 0.02


@pytest.mark.slow
def test_share_modes(shares):
    """One λ for all, one for a pair, one for each."""
    one, pair = one_program(lambda: [of_row(1.0, 20, mode=mode)["share"] for mode in ("batch", "pair")])
    each = at(shares, 1.0)
    assert len(np.unique(one[:10])) == 1
    np.testing.assert_allclose(
        pair[:10], 1 - pair[:9:-1], atol=1e-6
    )  # the partner keeps its own λ of itself: 1 - λ of 1
    assert len(np.unique(pair[:10])) == 10
    assert np.abs(each[:10] - (1 - each[:-11:-1])).min() > 1e-3


def test_probability(shares):
    mixed = np.mean(shares["share"][-1][:1000] < 1)
    assert abs(mixed - 0.3) < 4 * np.sqrt(0.3 * 0.7 / 1000)


MAKERS = {"mixup": mix.mixup, "cutmix": mix.cutmix}
DEARER = pytest.mark.parametrize("name", ["mixup", pytest.param("cutmix", marks=pytest.mark.slow)])
PADDED = np.float32(np.arange(ROWS) < 8)


@cache
def mixed(name, mode):
    """A batch, the same one as a later micro-batch, and with padding, in one program."""

    def run(first, mask):
        with rows_from(first):
            return MAKERS[name](1.0, 4, mode=mode)(KEY, BATCH | {"mask": mask})

    cases = np.array([0, ROWS, 0]), np.stack([BATCH["mask"], BATCH["mask"], PADDED])
    out = one_program(lambda *cases: jax.lax.map(lambda case: run(*case), cases), *cases)
    return [{field: value[i] for field, value in out.items()} for i in range(3)]


@DEARER
@pytest.mark.parametrize("mode", ["batch", pytest.param("pair", marks=pytest.mark.slow)])
def test_mean_label_is_conserved(name, mode):
    out = mixed(name, mode)[0]
    assert not np.allclose(out["y"], NAMES)
    np.testing.assert_allclose(out["y"].mean(0), NAMES.mean(0), atol=1e-6)
    if name == "mixup":
        np.testing.assert_allclose(out["x"].mean(0), BATCH["x"].mean(0), atol=1e-6)


@pytest.mark.parametrize(
    ("mode", "minmax", "shape"),
    [
        pytest.param("batch", None, (9, 7), marks=pytest.mark.slow),
        ("pair", None, (9, 7)),
        pytest.param("elem", None, (30,), marks=pytest.mark.slow),
        pytest.param("elem", (0.2, 0.7), (9, 7), marks=pytest.mark.slow),
    ],
)
def test_cutmix_share_is_the_kept_share(mode, minmax, shape):
    """Rows that know their number: λ equals the share of own cells exactly, and the rest are one box of the partner."""
    rows = np.arange(ROWS)
    x = np.broadcast_to(rows.reshape(-1, *[1] * (len(shape) + 1)), (ROWS, *shape, 1)).astype(np.float32)
    out = one_program(mix.cutmix(1.0, ROWS, mode=mode, minmax=minmax), KEY, {"x": x, "y": rows})
    cells, axes = out["x"][..., 0], tuple(range(1, len(shape) + 1))
    own = np.asarray(cells == rows.reshape(-1, *[1] * len(shape)))
    np.testing.assert_allclose(out["y"][rows, rows], own.mean(axes), rtol=0, atol=1.2e-7)  # float32 at 1
    np.testing.assert_array_equal(cells, np.where(own, cells, (ROWS - 1 - rows).reshape(-1, *[1] * len(shape))))
    assert (~own).any()
    for row in ~own:
        sides = [row.any(tuple(a for a in range(row.ndim) if a != axis)) for axis in range(row.ndim)]
        assert row.sum() == np.prod([side.sum() for side in sides])  # a full box ...
        assert all((np.diff(np.flatnonzero(side)) == 1).all() for side in sides)  # ... in one piece
        if minmax:
            assert all(int(0.2 * n) <= side.sum() <= 0.7 * n for side, n in zip(sides, row.shape, strict=True))


def test_smoothing():
    """λ = 1: 1 - s + s/K for the class and s/K elsewhere."""
    y = one_program(mix.mixup(0.0, 4, smoothing=0.1), KEY, BATCH)["y"]
    np.testing.assert_allclose(y, 0.9 * NAMES + 0.025, atol=1e-7)


@DEARER
def test_padding_is_no_partner(name):
    """The partner of a padded row stays as it is."""
    out = mixed(name, "batch")[2]
    np.testing.assert_array_equal(out["x"][:2], BATCH["x"][:2])
    np.testing.assert_array_equal(out["y"][:2], NAMES[:2])
    assert not np.array_equal(out["x"][2:8], BATCH["x"][2:8])


def test_batch_mode_shares_the_draw_over_micro_batches():
    first, later, _ = mixed("mixup", "batch")
    np.testing.assert_array_equal(later["x"], first["x"])
    assert not np.array_equal(first["x"], BATCH["x"])


@pytest.mark.parametrize("mode", MODES)
def test_switch(mode):
    """Each row (pair, batch) went one way, about half each."""
    rows = 200
    x = np.zeros((rows, 2, 1), np.float32)
    up, down = (lambda key, batch, step=step: batch | {"x": batch["x"] + step} for step in (1, -1))
    run = lambda key: mix.switch(up, down, mode=mode)(key, {"x": x})["x"][:, 0, 0]
    way = one_program(lambda key: jax.vmap(run)(jax.random.split(key, 40)), KEY)
    assert set(np.unique(way)) == {-1, 1}
    draws = {"batch": 40, "pair": 40 * rows / 2, "elem": 40 * rows}[mode]
    assert abs(way.mean()) < 3.5 / np.sqrt(draws)
    if mode == "batch":
        assert (way == way[:, :1]).all()
    if mode == "pair":
        np.testing.assert_array_equal(way, way[:, ::-1])
