"""Every loss beside its oracle, in value and gradient: the golden file everywhere, PyTorch itself where it is installed."""

import runpy
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

golden = runpy.run_path(str(Path(__file__).parents[1] / "golden" / "losses.py"))
CASES, ramp = golden["CASES"], golden["ramp"]
FILE = np.load(golden["FILE"])


@pytest.mark.parametrize("name", CASES)
def test_value_and_gradient_equal_the_golden_file(name):
    case = CASES[name]
    first, *rest = map(jnp.asarray, case.inputs)
    values, pullback = jax.vjp(jax.jit(lambda first: case.ours(first, *rest)), first)
    assert values.dtype == jnp.float32
    assert values.shape == FILE[f"{name}.v"].shape
    np.testing.assert_allclose(values, FILE[f"{name}.v"], rtol=1e-5, atol=2e-6)
    (gradient,) = pullback(jnp.asarray(ramp(values)))
    scale = np.abs(FILE[f"{name}.g"]).max()
    np.testing.assert_allclose(gradient, FILE[f"{name}.g"], rtol=2e-5, atol=2e-6 * max(scale, 1))


@pytest.mark.parametrize("name", CASES)
@pytest.mark.filterwarnings("ignore")  # of the oracles, not ours
def test_golden_file_is_what_the_oracle_says(name):
    pytest.importorskip("torch")
    pytest.importorskip("pytorch_metric_learning")
    values, gradient = golden["ask"](name)
    np.testing.assert_allclose(FILE[f"{name}.v"], values, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(FILE[f"{name}.g"], gradient, rtol=1e-9, atol=1e-9)
