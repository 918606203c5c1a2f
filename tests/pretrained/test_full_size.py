"""Full-size networks: random PyTorch weights imported, equal logits on one image."""

from functools import cache, partial
from importlib import import_module

import jax
import numpy as np
import pytest

from jaxdl.models.catalog import MODELS
from jaxdl.pretrained.folder import names_of, shapes_of
from jaxdl.pretrained.mapping import variables_of
from tests.pretrained.test_parity import close, logits_of, numpy_of, randomise

pytestmark = pytest.mark.night
# the rows of oracles_full.py, which imports PyTorch
NAMES = (
    "alexnet, vgg16, resnet50, resnet50 hf, resnetv2_50, googlenet aux, inception_v3, mobilenet_v1 hf, mobilenet_v2, "
    "mobilenet_v2 hf, mobilenet_v3_large, efficientnet_b0, efficientnet_b0 timm, efficientnet_b0 hf, vit_b_16, vit_b_16 hf, "
    "deit_b hf"
).split(", ")


@cache
def cases():
    pytest.importorskip("torch")
    return import_module("tests.pretrained.oracles_full").CASES


def test_every_case_has_a_row():
    assert list(cases()) == NAMES


def pair(case):
    """Our model with the reference's random weights, the reference, and an image."""
    name, options, make = cases()[case]
    model, reference = MODELS[name].build(**options), make().eval()
    randomise(reference, 0)
    shapes = shapes_of(model)
    variables = variables_of(shapes, numpy_of(reference), names_of(model, shapes)).variables
    return (
        model,
        variables,
        reference,
        np.random.default_rng(1).normal(size=(1, *MODELS[name].input)).astype(np.float32),
    )


@pytest.mark.parametrize("case", NAMES)
def test_equal_logits(case):
    import torch

    model, variables, reference, x = pair(case)
    with torch.no_grad():
        expected = logits_of(reference, torch.tensor(x).permute(0, 3, 1, 2)).numpy()
    actual = jax.jit(partial(model.apply, train=False))(variables, x)
    close(actual, expected, 1e-5, case)


def test_auxiliary_logits_of_googlenet():
    import torch

    model, variables, reference, x = pair("googlenet aux")
    with torch.no_grad():
        expected = reference(torch.tensor(x).permute(0, 3, 1, 2), every=True)
    logits, seen = jax.jit(partial(model.apply, train=False, features=True))(variables, x)
    for actual, wanted in zip((logits, seen["aux1"], seen["aux2"]), expected, strict=True):
        close(actual, wanted.numpy(), 1e-5, "googlenet")
