"""Grad-CAM against the map that a linear head gives in closed form; attention maps against the formula."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.inspect.saliency import attention_maps, grad_cam
from jaxdl.inspect.taps import layer_outputs
from jaxdl.models.resnet import ResNet, thin_stem
from jaxdl.models.vit import ViT
from jaxdl.tasks.forward import initialise

KEY = jax.random.key(0)


def test_before_a_mean_and_a_linear_head_grad_cam_is_the_class_activation_map():
    model = ResNet(stages=(1, 1), width=4, classes=3, stem=thin_stem)
    x = jax.random.normal(KEY, (4, 8, 8, 3))
    weights = initialise(model, KEY, x)
    activation = layer_outputs(model, weights, x)["stage2_block1"]
    logits = model.apply({"params": weights[0], **weights[1]}, x, train=False)
    head = weights[0]["head"]["kernel"]
    for labels in (None, jnp.array([0, 1, 2, 0])):
        asked = logits.argmax(-1) if labels is None else labels
        # Zhou et al. 2016: Σ_k w_k A_ijk, to whose scale (the size of the map) the maximum is indifferent
        expected = np.maximum(np.einsum("nhwk,nk->nhw", activation, head.T[asked]), 0)
        highest = expected.max((1, 2), keepdims=True)
        heat = grad_cam(model, weights, x, "stage2_block1", labels)
        np.testing.assert_allclose(heat, expected / np.where(highest > 0, highest, 1), atol=1e-5)
        assert heat.max() == 1
    with pytest.raises(ValueError, match=r"layer='head': take one whose output is an image: .*stem/conv1"):
        grad_cam(model, weights, x, "head")


def test_attention_maps_are_distributions_and_the_softmax_of_queries_and_keys():
    model = ViT(patch=2, width=8, depth=2, heads=2, classes=3, image=8)
    x = jax.random.normal(KEY, (2, 8, 8, 1))
    weights = initialise(model, KEY, x)
    maps = attention_maps(model, weights, x)
    assert {name: a.shape for name, a in maps.items()} == {f"block{i}/attention": (2, 2, 17, 17) for i in (1, 2)}
    np.testing.assert_allclose(maps["block2/attention"].sum(-1), 1, atol=1e-6)
    taps = layer_outputs(model, weights, x)
    q, k = (taps[f"block1/attention/{name}"].reshape(2, 17, 2, 4) for name in ("query", "key"))
    scores = jnp.einsum("bqhd,bkhd->bhqk", q, k) / 2
    np.testing.assert_allclose(maps["block1/attention"], jax.nn.softmax(scores), atol=1e-6)
