"""The variational terms against closed forms, in value and gradient, and the reparameterised sample against PyTorch's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.losses import variational as V

RANDOM = np.random.default_rng(0)
MEAN, LOG_VARIANCE, EPSILON, TARGET = (RANDOM.normal(size=(4, 3)).astype(np.float32) for _ in range(4))


def loss(mean, log_variance):
    """A reconstruction that reads the sample, and 0.7 times the divergence."""
    z = V.reparameterise(mean, log_variance, jnp.asarray(EPSILON))
    return (0.5 * jnp.square(z - TARGET).sum(1) + 0.7 * V.kl_standard_normal(mean, log_variance)).sum()


def test_gradients_of_sample_and_divergence_are_the_closed_forms():
    got = jax.jit(jax.grad(loss, (0, 1)))(MEAN, LOG_VARIANCE)
    sigma = np.exp(LOG_VARIANCE / 2)
    error = MEAN + sigma * EPSILON - TARGET
    np.testing.assert_allclose(got[0], error + 0.7 * MEAN, rtol=2e-6, atol=1e-6)
    np.testing.assert_allclose(got[1], 0.5 * error * sigma * EPSILON + 0.35 * (sigma**2 - 1), rtol=2e-6, atol=1e-6)


def test_gradients_equal_those_of_torch_distributions(monkeypatch):
    torch = pytest.importorskip("torch")
    from torch.distributions import Normal, kl_divergence, normal

    monkeypatch.setattr(normal, "_standard_normal", lambda shape, **_: torch.tensor(EPSILON))
    mean, log_variance = (torch.tensor(a, requires_grad=True) for a in (MEAN, LOG_VARIANCE))
    q = Normal(mean, torch.exp(log_variance / 2))
    z = q.rsample()
    kl = kl_divergence(q, Normal(0.0, 1.0)).sum(1)
    (0.5 * ((z - torch.tensor(TARGET)) ** 2).sum(1) + 0.7 * kl).sum().backward()
    np.testing.assert_allclose(V.kl_standard_normal(MEAN, LOG_VARIANCE), kl.detach(), rtol=1e-5)
    for ours, theirs in zip(jax.grad(loss, (0, 1))(MEAN, LOG_VARIANCE), (mean, log_variance), strict=True):
        np.testing.assert_allclose(ours, theirs.grad, rtol=1e-5, atol=1e-6)
    ratio = Normal(0.0, 1.0).log_prob(z) - q.log_prob(z)
    got = V.log_prior_ratio(jnp.asarray(z.detach()), MEAN, LOG_VARIANCE)
    np.testing.assert_allclose(got, ratio.sum(1).detach(), rtol=1e-5, atol=1e-5)


def test_the_ratio_of_many_draws_is_minus_the_divergence_in_the_mean():
    draws = jax.random.normal(jax.random.key(0), (20_000, 4, 3))
    z = V.reparameterise(MEAN, LOG_VARIANCE, draws)
    ratio = V.log_prior_ratio(z, MEAN, LOG_VARIANCE)
    assert ratio.shape == (20_000, 4)
    kl = V.kl_standard_normal(MEAN, LOG_VARIANCE)
    assert (np.abs(ratio.mean(0) + kl) < 5 * ratio.std(0) / np.sqrt(20_000)).all()


def test_quantization_terms_pass_gradients_one_way():
    h, code = jnp.asarray(MEAN), jnp.asarray(TARGET)
    for term, way in ((V.commitment, (2, 0)), (V.codebook, (0, -2))):
        np.testing.assert_allclose(term(h, code), ((MEAN - TARGET) ** 2).sum(1), rtol=1e-6)
        gradients = jax.grad(lambda h, code, term=term: term(h, code).sum(), (0, 1))(h, code)
        for got, times in zip(gradients, way, strict=True):
            np.testing.assert_allclose(got, times * (MEAN - TARGET), rtol=1e-6)
