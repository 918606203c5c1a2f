"""The fused kernel of cuDNN: when it is used, and that its way gives the same numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.layers import attention
from jaxdl.layers.attention import (
    dot_product_attention,
    padding_mask,
)
from tests.layers.test_attention import BIAS, KEY, K, Q, V
from tests.programs import one_program


@pytest.mark.parametrize("kv_heads", [4, 2])
@pytest.mark.parametrize("causal", [False, True])
def test_the_fused_kernels_way_gives_the_same_numbers(causal, kv_heads, monkeypatch):
    """JAX's own attention, called as for cuDNN but by its XLA implementation; row 1 of the mask allows nothing."""
    fused, called = jax.nn.dot_product_attention, []

    def kernel(*args, implementation, **options):
        called.append(implementation)
        return fused(*args, **options, implementation="xla")

    def both(q, k, v, lengths, bias):
        options = {"mask": padding_mask(lengths, 5), "bias": bias, "causal": causal}
        plain = dot_product_attention(q, k, v, **options)
        monkeypatch.setattr(attention, "_has_kernel", lambda q, k, v: True)
        monkeypatch.setattr(jax.nn, "dot_product_attention", kernel)
        return plain, dot_product_attention(q, k, v, **options)

    plain, ours = one_program(both, Q, K[:, :, :kv_heads], V[:, :, :kv_heads], np.array([3, 0]), BIAS[:1])
    assert called == ["cudnn"]
    np.testing.assert_allclose(ours, plain, atol=1e-6)


@pytest.mark.parametrize(
    ("dtypes", "shape", "backend", "fused"),
    [
        (("bfloat16",) * 3, (2, 4, 2, 8), "gpu", True),
        (("float16",) * 3, (2, 4, 2, 128), "gpu", True),
        (("bfloat16",) * 3, (2, 4, 2, 8), "cpu", False),
        (("float32",) * 3, (2, 4, 2, 8), "gpu", False),
        (("bfloat16", "float16", "bfloat16"), (2, 4, 2, 8), "gpu", False),
        (("bfloat16", "bfloat16", "float16"), (2, 4, 2, 8), "gpu", False),
        (("bfloat16",) * 3, (2, 4, 2, 12), "gpu", False),
        (("bfloat16",) * 3, (2, 4, 2, 136), "gpu", False),
        (("bfloat16",) * 3, (2, 5, 2, 8), "gpu", False),
    ],
    ids=str,
)
def test_the_fused_kernel_is_for_16_bits_on_a_gpu_and_the_sizes_of_cudnn(dtypes, shape, backend, fused, monkeypatch):
    """Heads of a multiple of 8 up to 128, one dtype, even lengths: what cuDNN's attention takes."""
    called = []
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    monkeypatch.setattr(jax.nn, "dot_product_attention", lambda q, k, v, **_: called.append(1) or q)
    arrays = [jax.ShapeDtypeStruct(shape, dtype) for dtype in dtypes]
    jax.eval_shape(dot_product_attention, *arrays)
    assert bool(called) is fused


@pytest.mark.device
@pytest.mark.skipif(jax.default_backend() != "gpu", reason="cuDNN's kernel needs an NVIDIA GPU")
@pytest.mark.parametrize("causal", [False, True])
def test_cudnns_kernel_gives_the_same_numbers(causal):
    q, k, v = jax.random.normal(KEY, (3, 2, 64, 4, 32), jnp.bfloat16)
    mask = padding_mask(jnp.array([40, 64]), 64)
    run = lambda q, k, v: (dot_product_attention(q, k, v, mask=mask, causal=causal).astype(jnp.float32) ** 2).sum()
    fused = jax.grad(run, (0, 1, 2))(q, k, v)
    wide = jax.grad(run, (0, 1, 2))(*(x.astype(jnp.float32) for x in (q, k, v)))
    for ours, exact in zip(fused, wide, strict=True):
        np.testing.assert_allclose(np.asarray(ours, np.float32), exact, atol=0.05)
