"""Normalized weights: weight norm and spectral norm, beside PyTorch and NumPy."""

from functools import partial

import jax
import numpy as np
import pytest

from jaxdl.layers.convolution import Conv
from jaxdl.layers.dense import Dense
from jaxdl.layers.normalization import (
    SpectralNorm,
    WeightNorm,
)
from tests.layers.test_normalization import KEY, data
from tests.programs import one_program


def test_weight_norm_starts_as_the_kernel_and_then_has_length_scale():
    layer = Dense(5, kernel_map=WeightNorm)

    def run(x):
        p = layer.init(KEY, x)["params"]
        plain = Dense(5).apply({"params": {k: p[k] for k in ("kernel", "bias")}}, x)
        scaled = {**p, "kernel": 7 * p["kernel"], "kernel_map": {"scale": 2 * p["kernel_map"]["scale"]}}
        return plain, layer.apply({"params": p}, x), layer.apply({"params": scaled}, x)

    plain, start, scaled = one_program(run, data((4, 8)))
    np.testing.assert_allclose(start, plain, rtol=1e-5)
    np.testing.assert_allclose(scaled, 2 * plain, rtol=1e-5)


def test_weight_norm_of_a_column_of_zeros_is_zero_and_learns():
    """The layer starts as it would without: w = v, and the gradient of a sum of weights is 1."""
    kernel = np.array([[2, 0]] * 3, np.float32)

    def run(kernel):
        variables = WeightNorm().init(KEY, kernel, train=True)
        apply = lambda k: WeightNorm().apply(variables, k, train=True)
        return variables["params"]["scale"], apply(kernel), jax.grad(lambda k: apply(k).sum())(kernel)

    scale, same, slope = one_program(run, kernel)
    np.testing.assert_allclose(scale, [12**0.5, 0], rtol=1e-6)
    np.testing.assert_allclose(same, kernel, rtol=1e-6)
    # γ/|v| (I - v vᵀ/|v|²) 1 is 0 where v is a multiple of 1
    np.testing.assert_allclose(slope, [[0, 1]] * 3, atol=1e-6)


def test_spectral_norm_finds_the_largest_singular_value():
    x = data((1, 6, 6, 4))
    layer = Conv(8, kernel_map=partial(SpectralNorm, steps=1))

    def run(x):
        start = layer.init(KEY, x)
        step = lambda _, v: {**v, **layer.apply(v, x, train=True, mutable=["spectral_stats"])[1]}
        end = jax.lax.fori_loop(0, 60, step, start)
        kernel, stats = end["params"]["kernel"], end["spectral_stats"]
        state = {"spectral_stats": stats["kernel_map"]}
        return stats, kernel, SpectralNorm().apply(state, kernel, train=False)

    stats, kernel, normalised = one_program(run, x)
    assert jax.tree.map(np.shape, stats) == {"kernel_map": {"u": (8,), "v": (36,)}}
    assert np.linalg.svd(normalised.reshape(-1, 8), compute_uv=False)[0] == pytest.approx(1, abs=1e-4)
    assert np.linalg.svd(kernel.reshape(-1, 8), compute_uv=False)[0] > 1.1
