"""Alignment of a query with a memory: the formulas written out, and what is refused."""

import jax
import numpy as np
import pytest

from jaxdl.layers.alignment import Bahdanau, Luong
from jaxdl.types import UserError
from tests.programs import one_program

KEY = jax.random.key(0)
X = np.random.default_rng(0).normal(size=(2, 5, 8)).astype(np.float32)


@pytest.mark.parametrize("layer", [Bahdanau(3), Luong(), Luong("general", 8)])
def test_alignment_is_its_formula(layer):
    query, memory, mask = X[:, 0], X[:, 1:], np.array([[True] * 4, [True, True, False, False]])
    shapes = jax.eval_shape(layer.init, KEY, query, memory)
    random = np.random.default_rng(0)
    variables = jax.tree.map(lambda s: random.normal(size=s.shape).astype(s.dtype), shapes)

    def run(variables, query, memory, mask):
        prepared = layer.apply(variables, memory, method="prepare")
        again, _ = layer.apply(variables, query, memory, mask, prepared)
        return *layer.apply(variables, query, memory, mask), again

    context, weights, again = one_program(run, variables, query, memory, mask)
    p = variables.get("params", {})
    for row, keys in ((0, 4), (1, 2)):
        k, q = memory[row, :keys], query[row]
        match layer:
            case Bahdanau():
                inner = q @ p["query"]["kernel"] + p["query"]["bias"]
                e = np.tanh(k @ p["key"]["kernel"] + inner[None]) @ p["weigh"]["kernel"][:, 0]
            case Luong(kind="general"):
                e = (k @ p["key"]["kernel"]) @ q
            case _:
                e = k @ q
        w = np.exp(e - e.max())
        w = w / w.sum()
        np.testing.assert_allclose(weights[row, :keys], w, atol=1e-6)
        np.testing.assert_array_equal(weights[row, keys:], 0)
        np.testing.assert_allclose(context[row], w @ k, atol=1e-5)
    np.testing.assert_allclose(again, context, atol=1e-6)


def test_luong_names_widths_that_do_not_fit():
    shape = lambda layer, query: jax.eval_shape(layer.init, KEY, query, X)
    narrow = np.zeros((2, 6), np.float32)
    with pytest.raises(UserError, match=r"8 .*6: .*Luong\('general', 6\)"):
        shape(Luong(), narrow)
    with pytest.raises(UserError, match=r"5 .*6: .*Luong\('general', 6\)"):
        shape(Luong("general", 5), narrow)


def test_an_unknown_alignment_is_named():
    with pytest.raises(UserError, match=r"^kind = 'concat' "):
        jax.eval_shape(Luong("concat").init, KEY, X[:, 0], X)
