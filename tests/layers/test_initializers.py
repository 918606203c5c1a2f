"""Identities and whitening filters: what a convolution with them does."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.layers.initializers import dirac, whitening_kernel
from jaxdl.types import UserError
from tests.programs import one_program


@pytest.mark.parametrize("shape", [(3, 3, 4, 6), (2, 4, 5, 3), (3, 4, 4)], ids=str)
def test_dirac_hands_its_input_on_in_the_first_channels(shape):
    """The middle tap of each identity is 1 and all its others 0; the rest is PyTorch's default, within ±1/√fan_in."""
    kernel = one_program(lambda key: dirac()(key, shape), jax.random.key(0))
    *size, i, o = shape
    same, bound = min(i, o), (np.prod(size) * i) ** -0.5
    for channel in range(same):
        expected = np.zeros(shape[:-1])
        expected[(*(k // 2 for k in size), channel)] = 1
        np.testing.assert_array_equal(kernel[..., channel], expected)
    assert o == same or 0.5 * bound < np.abs(kernel[..., same:]).max() <= bound


@pytest.mark.parity
@pytest.mark.parametrize("shape", [(6, 4, 3, 3), (3, 5, 2, 4), (4, 4, 3)], ids=str)
def test_dirac_is_pytorchs(shape):
    import torch

    theirs = torch.zeros(shape)
    torch.nn.init.dirac_(theirs[: shape[1]])
    turned = (*shape[2:], shape[1], shape[0])
    ours = one_program(
        lambda key: dirac(lambda key, shape, dtype: jnp.zeros(shape, dtype))(key, turned), jax.random.key(0)
    )
    np.testing.assert_array_equal(ours, np.moveaxis(theirs.numpy(), (0, 1), (-1, -2)))


def test_responses_of_whitening_filters_have_power_one_and_no_correlation():
    rng = np.random.default_rng(0)
    mixed = np.einsum("nhwc,cd->nhwd", rng.normal(size=(700, 6, 5, 3)), [[1.0, 0.9, 0.5], [0, 0.4, 0.3], [0, 0, 0.2]])
    smooth = (mixed + np.roll(mixed, 1, axis=2)).astype(np.float32)  # neighbours are correlated, too
    kernel = whitening_kernel(smooth, size=2, eps=0.0)
    assert kernel.shape == (2, 2, 3, 24)
    np.testing.assert_array_equal(kernel[..., 12:], -kernel[..., :12])
    patches = [smooth[:, i : i + 5, j : j + 4] for i in range(2) for j in range(2)]
    responses = sum(p @ k for p, k in zip(patches, kernel.reshape(4, 3, 24), strict=True))[..., :12].reshape(-1, 12)
    np.testing.assert_allclose(responses.T @ responses / len(responses), np.eye(12), atol=2e-4)


def test_whitening_divides_an_eigenvector_by_the_root_of_its_power_and_epsilon():
    """Pixels of one channel that are independent, of power 4: every filter is an eigenvector over √(4 + ε)."""
    images = 2 * np.where(np.random.default_rng(1).random((2000, 4, 4, 1)) < 0.5, -1, 1).astype(np.float32)
    filters = whitening_kernel(images, size=1, eps=5.0)
    np.testing.assert_allclose(filters, [[[[1 / 3, -1 / 3]]]], rtol=1e-6)


def test_images_that_hold_no_patch_are_refused():
    with pytest.raises(UserError, match=r"images \(5, 1, 4, 3\) must be"):
        whitening_kernel(np.zeros((5, 1, 4, 3)))
