"""Mix-up and cut-mix: λ has its distribution, cut-mix's is the kept share, labels are conserved."""

import jax
import numpy as np
import pytest
from scipy import stats

from jaxdl.augment import mix
from jaxdl.tracing import rows_from

KEY = jax.random.key(1)
QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
ROWS = 10
BATCH = {
    "x": np.random.default_rng(0).random((ROWS, 9, 7, 2), np.float32),
    "y": np.random.default_rng(1).integers(0, 4, ROWS),
    "mask": np.ones(ROWS, np.float32),
}
MODES = ("batch", "pair", "elem")


def shares(alpha, rows=2000, **options):
    """λ of each row, read off features that are 1 in the first half and 0 in their partners."""
    x = np.repeat([[1.0], [0.0]], rows // 2, 0).astype(np.float32)
    out = jax.jit(lambda a: mix.mixup(a, **options)(KEY, {"x": x, "y": x}), compiler_options=QUICK)(alpha)
    np.testing.assert_array_equal(out["x"], out["y"])
    return np.asarray(out["x"][:, 0])


@pytest.mark.parametrize("alpha", [0.4, 1.0, 4.0])
def test_share_is_beta(alpha):
    """Kolmogorov-Smirnov; the second half shows 1 - λ, which has the same distribution."""
    assert stats.kstest(shares(alpha, mode="elem"), stats.beta(alpha, alpha).cdf).pvalue > 0.01


@pytest.mark.parametrize("alpha", [1e-4, 1e-2, 1e3])
def test_share_at_extreme_alpha(alpha):
    """Tiny α: all or nothing, half of each; large α: one half."""
    share = shares(alpha, mode="elem")
    assert np.isfinite(share).all()
    assert abs(share.mean() - 0.5) < 0.05
    spread = np.sqrt(1 / (4 * (2 * alpha + 1)))  # the standard deviation of Beta(α, α)
    assert abs(share.std() - spread) < 0.02


def test_share_modes():
    """One λ for all, one for a pair, one for each."""
    one, pair, each = (shares(1.0, 20, mode=mode) for mode in MODES)
    assert len(np.unique(one[:10])) == 1
    np.testing.assert_allclose(
        pair[:10], 1 - pair[:9:-1], atol=1e-6
    )  # the partner keeps its own λ of itself: 1 - λ of 1
    assert len(np.unique(pair[:10])) == 10
    assert np.abs(each[:10] - (1 - each[:9:-1])).min() > 1e-3


def test_probability():
    mixed = np.mean(shares(1.0, mode="elem", p=0.3)[:1000] < 1)
    assert abs(mixed - 0.3) < 4 * np.sqrt(0.3 * 0.7 / 1000)


@pytest.mark.parametrize("make", [mix.mixup, mix.cutmix])
@pytest.mark.parametrize("mode", ["batch", "pair"])
def test_mean_label_is_conserved(make, mode):
    out = make(1.0, 4, mode=mode)(KEY, BATCH)
    before = jax.nn.one_hot(BATCH["y"], 4)
    assert not np.allclose(out["y"], before)
    np.testing.assert_allclose(out["y"].mean(0), before.mean(0), atol=1e-6)
    if make is mix.mixup:
        np.testing.assert_allclose(out["x"].mean(0), BATCH["x"].mean(0), atol=1e-6)


@pytest.mark.parametrize(
    ("mode", "minmax", "shape"),
    [("batch", None, (9, 7)), ("pair", None, (9, 7)), ("elem", None, (30,)), ("elem", (0.2, 0.7), (9, 7))],
)
def test_cutmix_share_is_the_kept_share(mode, minmax, shape):
    """Rows that know their number: λ equals the share of own cells exactly, and the rest are one box of the partner."""
    rows = np.arange(ROWS)
    x = np.broadcast_to(rows.reshape(-1, *[1] * (len(shape) + 1)), (ROWS, *shape, 1)).astype(np.float32)
    out = jax.jit(mix.cutmix(1.0, ROWS, mode=mode, minmax=minmax), compiler_options=QUICK)(KEY, {"x": x, "y": rows})
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
    y = mix.mixup(0.0, 4, smoothing=0.1)(KEY, BATCH)["y"]
    np.testing.assert_allclose(y, 0.9 * jax.nn.one_hot(BATCH["y"], 4) + 0.025, atol=1e-7)


@pytest.mark.parametrize("make", [mix.mixup, mix.cutmix])
def test_padding_is_no_partner(make):
    """The partner of a padded row stays as it is."""
    mask = (np.arange(ROWS) < 8).astype(np.float32)
    out = make(1.0, 4, mode="batch")(KEY, BATCH | {"mask": mask})
    np.testing.assert_array_equal(out["x"][:2], BATCH["x"][:2])
    np.testing.assert_array_equal(out["y"][:2], jax.nn.one_hot(BATCH["y"][:2], 4))
    assert not np.array_equal(out["x"][2:8], BATCH["x"][2:8])


def test_regression_targets_are_mixed():
    y = np.arange(ROWS, dtype=np.float32)
    out = mix.mixup(1.0)(KEY, {"x": y[:, None], "y": y})
    np.testing.assert_allclose(out["x"][:, 0], out["y"], atol=1e-6)
    assert out["y"].shape == y.shape


def test_batch_mode_shares_the_draw_over_micro_batches():
    with rows_from(ROWS):
        later = mix.mixup(1.0, 4)(KEY, BATCH)
    np.testing.assert_array_equal(later["x"], mix.mixup(1.0, 4)(KEY, BATCH)["x"])


@pytest.mark.parametrize("mode", MODES)
def test_switch(mode):
    """Each row (pair, batch) went one way, about half each."""
    rows = 200
    x = np.zeros((rows, 2, 1), np.float32)
    up, down = (lambda key, batch, step=step: batch | {"x": batch["x"] + step} for step in (1, -1))
    run = jax.jit(jax.vmap(lambda k: mix.switch(up, down, mode=mode)(k, {"x": x})["x"][:, 0, 0]))
    way = np.asarray(run(jax.random.split(KEY, 40)))
    assert set(np.unique(way)) == {-1, 1}
    draws = {"batch": 40, "pair": 40 * rows / 2, "elem": 40 * rows}[mode]
    assert abs(way.mean()) < 3.5 / np.sqrt(draws)
    if mode == "batch":
        assert (way == way[:, :1]).all()
    if mode == "pair":
        np.testing.assert_array_equal(way, way[:, ::-1])
