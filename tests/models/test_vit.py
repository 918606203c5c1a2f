"""The ViT: its positions by hand and at other resolutions, and what its attention shows."""

from functools import partial

import jax
import numpy as np
import pytest

from jaxdl.models.resnet import Stem
from jaxdl.models.vit import ViT, resample_positions, sincos_positions
from jaxdl.types import UserError
from tests.programs import one_program

KEY = jax.random.key(0)
tiny_vit = {"patch": 4, "width": 16, "depth": 2, "heads": 2, "image": 16, "classes": 7}


def test_sincos_positions_by_hand():
    table = sincos_positions(2, 3, 8)
    assert table.shape == (6, 8)
    y, x = 1, 2  # the last patch; dim/4 = 2 frequencies: 1 and 1/10000
    expected = [
        np.sin(x),
        np.sin(x / 1e4),
        np.cos(x),
        np.cos(x / 1e4),
        np.sin(y),
        np.sin(y / 1e4),
        np.cos(y),
        np.cos(y / 1e4),
    ]
    np.testing.assert_allclose(table[5], expected, rtol=1e-6)
    with pytest.raises(UserError, match="4"):
        sincos_positions(2, 3, 10)


def test_resampled_positions_against_pytorch(oracle):
    table = np.random.default_rng(0).normal(size=(14 * 14, 5)).astype(np.float32)
    targets = ((14, 14), (24, 18), (7, 20))

    @oracle
    def theirs(torch):
        image = torch.tensor(table.reshape(1, 14, 14, 5)).permute(0, 3, 1, 2)
        resample = partial(torch.nn.functional.interpolate, image, mode="bicubic", antialias=True)
        return {str(target): resample(target)[0].permute(1, 2, 0).reshape(-1, 5) for target in targets}

    ours = one_program(lambda table: [resample_positions(table, (14, 14), target) for target in targets], table)
    for target, actual in zip(targets, ours, strict=True):
        np.testing.assert_allclose(actual, theirs[str(target)], atol=2e-6)


def test_vit_runs_at_another_resolution():
    model = ViT(**tiny_vit)
    variables = jax.eval_shape(lambda key: model.init(key, np.zeros((1, 16, 16, 3), np.float32), train=False), KEY)
    large = jax.ShapeDtypeStruct((2, 32, 20, 3), np.float32)
    assert jax.eval_shape(lambda v, x: model.apply(v, x, train=False), variables, large).shape == (2, 7)


def test_vit_attention_weights():
    model, x = ViT(**tiny_vit), np.random.default_rng(0).normal(size=(1, 16, 16, 3)).astype(np.float32)
    shapes = jax.eval_shape(lambda: model.init(KEY, x, train=False))
    assert set(shapes) == {"params"}
    random = np.random.default_rng(0)
    variables = jax.tree.map(lambda s: random.normal(0, 0.3, s.shape).astype(s.dtype), shapes)
    run = lambda variables, x: model.apply(variables, x, train=False, mutable=["intermediates"])[1]
    (weights,) = one_program(run, variables, x)["intermediates"]["block1"]["attention"]["weights"]
    np.testing.assert_allclose(weights.sum(-1), np.ones((1, 2, 17)), rtol=1e-5)


def test_a_vit_with_a_stem_is_a_vit_of_what_the_stem_gives():
    stem = partial(Stem, layers=((6, 3, 1),), pool=False)
    model, plain = ViT(**tiny_vit, stem=stem), ViT(**tiny_vit)
    x = np.random.default_rng(0).normal(size=(2, 16, 16, 1)).astype(np.float32)
    shapes = jax.eval_shape(partial(model.init, train=False), KEY, x)
    random = np.random.default_rng(1)
    variables = jax.tree.map(lambda s: random.uniform(0.1, 0.5, s.shape).astype(s.dtype), shapes)

    def both(variables, x):
        own = {name: tree["stem"] for name, tree in variables.items()}
        rest = {name: value for name, value in variables["params"].items() if name != "stem"}
        maps = stem().apply(own, x, train=False)
        return model.apply(variables, x, train=False), plain.apply({"params": rest}, maps, train=False)

    whole, parts = one_program(both, variables, x)
    np.testing.assert_allclose(whole, parts, rtol=1e-5, atol=1e-5)
