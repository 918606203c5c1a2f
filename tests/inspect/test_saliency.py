"""Grad-CAM against the map that a linear head gives in closed form; attention maps against the formula."""

import jax
import numpy as np
import pytest

from jaxdl.inspect.saliency import attention_maps, grad_cam
from jaxdl.inspect.taps import layer_outputs
from jaxdl.models.resnet import ResNet, thin_stem
from jaxdl.models.vit import ViT
from jaxdl.tasks.forward import initialise
from tests.programs import one_program

KEY = jax.random.key(0)


def normal(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.mark.slow
def test_before_a_mean_and_a_linear_head_grad_cam_is_the_class_activation_map():
    model, x = ResNet(stages=(1, 1), width=4, classes=3, stem=thin_stem), normal(4, 8, 8, 3)

    def run(key, x, labels):
        weights = initialise(model, key, x)
        heats = {name: grad_cam(model, weights, x, "stage2_block1", asked) for name, asked in labels.items()}
        logits = model.apply({"params": weights[0], **weights[1]}, x, train=False)
        return weights[0]["head"]["kernel"], layer_outputs(model, weights, x)["stage2_block1"], logits, heats

    given = np.array([0, 1, 2, 0])
    head, activation, logits, heats = one_program(run, KEY, x, {"predicted": None, "given": given})
    for name, asked in {"predicted": logits.argmax(-1), "given": given}.items():
        # Zhou et al. 2016: Σ_k w_k A_ijk, to whose scale (the size of the map) the maximum is indifferent
        expected = np.maximum(np.einsum("nhwk,nk->nhw", activation, head.T[asked]), 0)
        highest = expected.max((1, 2), keepdims=True)
        np.testing.assert_allclose(heats[name], expected / np.where(highest > 0, highest, 1), atol=1e-5)
        assert heats[name].max() == 1
    weights = jax.eval_shape(lambda: initialise(model, KEY, x))
    with pytest.raises(ValueError, match=r"layer='head': take one whose output is an image: .*stem/conv1"):
        grad_cam(model, weights, x, "head")


def test_attention_maps_are_distributions_and_the_softmax_of_queries_and_keys():
    model, x = ViT(patch=2, width=8, depth=2, heads=2, classes=3, image=8), normal(2, 8, 8, 1)

    def run(key, x):
        weights = initialise(model, key, x)
        return attention_maps(model, weights, x), layer_outputs(model, weights, x)

    maps, taps = one_program(run, KEY, x)
    assert {name: a.shape for name, a in maps.items()} == {f"block{i}/attention": (2, 2, 17, 17) for i in (1, 2)}
    np.testing.assert_allclose(maps["block2/attention"].sum(-1), 1, atol=1e-6)
    q, k = (taps[f"block1/attention/{name}"].reshape(2, 17, 2, 4) for name in ("query", "key"))
    likely = np.exp(np.einsum("bqhd,bkhd->bhqk", q, k) / 2)
    np.testing.assert_allclose(maps["block1/attention"], likely / likely.sum(-1, keepdims=True), atol=1e-6)
