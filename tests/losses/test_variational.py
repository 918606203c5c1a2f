"""The variational terms against closed forms, in value and gradient, and the reparameterised sample against PyTorch's."""

import functools

import jax
import numpy as np
import pytest

from jaxdl.losses import variational as V
from tests.programs import one_program

RANDOM = np.random.default_rng(0)
MEAN, LOG_VARIANCE, EPSILON, TARGET = (RANDOM.normal(size=(4, 3)).astype(np.float32) for _ in range(4))


def loss(mean, log_variance):
    """A reconstruction that reads the sample, and 0.7 times the divergence."""
    z = V.reparameterise(mean, log_variance, EPSILON)
    return (0.5 * ((z - TARGET) ** 2).sum(1) + 0.7 * V.kl_standard_normal(mean, log_variance)).sum()


@functools.cache
def terms():
    """The gradients of `loss`, the divergence, and log p(z) - log q(z) of the sample."""

    def everything(mean, log_variance):
        z = V.reparameterise(mean, log_variance, EPSILON)
        gradients = jax.grad(loss, (0, 1))(mean, log_variance)
        return gradients, V.kl_standard_normal(mean, log_variance), V.log_prior_ratio(z, mean, log_variance)

    return one_program(everything, MEAN, LOG_VARIANCE)


def test_gradients_of_sample_and_divergence_are_the_closed_forms():
    gradients, kl, ratio = terms()
    sigma = np.exp(LOG_VARIANCE / 2)
    z = MEAN + sigma * EPSILON
    error = z - TARGET
    np.testing.assert_allclose(gradients[0], error + 0.7 * MEAN, rtol=2e-6, atol=1e-6)
    slope = 0.5 * error * sigma * EPSILON + 0.35 * (sigma**2 - 1)
    np.testing.assert_allclose(gradients[1], slope, rtol=2e-6, atol=1e-6)
    np.testing.assert_allclose(kl, (0.5 * (sigma**2 + MEAN**2 - 1 - LOG_VARIANCE)).sum(1), rtol=1e-5)
    expected = 0.5 * (EPSILON**2 + LOG_VARIANCE - z**2).sum(1)
    np.testing.assert_allclose(ratio, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parity
def test_gradients_equal_those_of_torch_distributions(monkeypatch):
    torch = pytest.importorskip("torch")
    from torch.distributions import Normal, kl_divergence, normal

    monkeypatch.setattr(normal, "_standard_normal", lambda shape, **_: torch.tensor(EPSILON))
    mean, log_variance = (torch.tensor(a, requires_grad=True) for a in (MEAN, LOG_VARIANCE))
    q = Normal(mean, torch.exp(log_variance / 2))
    z = q.rsample()
    kl = kl_divergence(q, Normal(0.0, 1.0)).sum(1)
    (0.5 * ((z - torch.tensor(TARGET)) ** 2).sum(1) + 0.7 * kl).sum().backward()
    gradients, ours, ratio = terms()
    np.testing.assert_allclose(ours, kl.detach(), rtol=1e-5)
    for got, theirs in zip(gradients, (mean, log_variance), strict=True):
        np.testing.assert_allclose(got, theirs.grad, rtol=1e-5, atol=1e-6)
    expected = (Normal(0.0, 1.0).log_prob(z) - q.log_prob(z)).sum(1).detach()
    np.testing.assert_allclose(ratio, expected, rtol=1e-5, atol=1e-5)


def test_the_ratio_of_many_draws_is_minus_the_divergence_in_the_mean():
    draws = np.random.default_rng(1).normal(size=(20_000, 4, 3)).astype("f4")

    def estimate(mean, log_variance, draws):
        z = V.reparameterise(mean, log_variance, draws)
        return V.log_prior_ratio(z, mean, log_variance), V.kl_standard_normal(mean, log_variance)

    ratio, kl = one_program(estimate, MEAN, LOG_VARIANCE, draws)
    assert ratio.shape == (20_000, 4)
    assert (np.abs(ratio.mean(0) + kl) < 5 * ratio.std(0) / np.sqrt(20_000)).all()


def test_quantization_terms_pass_gradients_one_way():
    ways = {V.commitment: (2, 0), V.codebook: (0, -2)}

    def everything(h, code):
        return [(f(h, code), jax.grad(lambda h, c, f=f: f(h, c).sum(), (0, 1))(h, code)) for f in ways]

    for (values, gradients), way in zip(one_program(everything, MEAN, TARGET), ways.values(), strict=True):
        np.testing.assert_allclose(values, ((MEAN - TARGET) ** 2).sum(1), rtol=1e-6)
        for got, times in zip(gradients, way, strict=True):
            np.testing.assert_allclose(got, times * (MEAN - TARGET), rtol=1e-6)
