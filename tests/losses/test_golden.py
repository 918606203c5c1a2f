"""Every loss beside its oracle, in value and gradient: by the golden file, and by the oracle itself with `-m parity`."""

import jax
import numpy as np
import pytest

from tests.golden import losses as golden
from tests.programs import one_program

CASES, ramp = golden.CASES, golden.ramp
FILE = np.load(golden.FILE)


def test_the_golden_file_was_made_for_the_inputs_of_the_table():
    """Whoever changes a case asks the oracle again; this is noticed without PyTorch."""
    assert set(FILE) == {"inputs"} | {f"{name}.{part}" for name in CASES for part in "vg"}
    stale = set(FILE["inputs"].tolist()) ^ {f"{name} {golden.digest(name)}" for name in CASES}
    assert not stale, "python -m tests.golden.losses makes the file anew"


@pytest.mark.parametrize("name", CASES)
def test_value_and_gradient_equal_the_golden_file(name):
    def both(first, *rest):
        values, pullback = jax.vjp(lambda first: CASES[name].ours(first, *rest), first)
        return values, pullback(ramp(values))[0]

    values, gradient = one_program(both, *CASES[name].inputs)
    assert values.dtype == np.float32
    assert values.shape == FILE[f"{name}.v"].shape
    np.testing.assert_allclose(values, FILE[f"{name}.v"], rtol=1e-5, atol=2e-6)
    scale = np.abs(FILE[f"{name}.g"]).max()
    np.testing.assert_allclose(gradient, FILE[f"{name}.g"], rtol=2e-5, atol=2e-6 * max(scale, 1))


@pytest.mark.parity
@pytest.mark.parametrize("name", CASES)
@pytest.mark.filterwarnings("ignore")  # of the oracles, not ours
def test_golden_file_is_what_the_oracle_says(name):
    pytest.importorskip("torch")
    pytest.importorskip("pytorch_metric_learning")
    values, gradient = golden.ask(name)
    np.testing.assert_allclose(FILE[f"{name}.v"], values, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(FILE[f"{name}.g"], gradient, rtol=1e-9, atol=1e-9)
