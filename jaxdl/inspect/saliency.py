"""Where a vision model looks: Grad-CAM for convolutional networks, attention maps for Transformers.

heat = grad_cam(model, run.weights, x, "stage4_block2")          # (batch, height, width) in [0, 1]
maps = attention_maps(model, run.weights, x)                     # {"block1/attention": (batch, heads, queries, keys)}
"""

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxdl.calling import called
from jaxdl.inspect.taps import layer_outputs
from jaxdl.layers.perturb import adding
from jaxdl.types import UserError, Variables


def grad_cam(
    model: Any,
    weights: Variables,
    x: Float[Array, "batch height width channels"],
    layer: str,
    labels: Int[Array, "batch"] | None = None,
) -> Float[Array, "batch rows columns"]:
    """Which places of a layer's output A speak for a class, as a heat map per image, its maximum scaled to 1.

        α_k = mean_ij ∂ logit_label / ∂ A_ijk        L_ij = relu(Σ_k α_k A_ijk) / max_ij

    Args:
        model: a Linen module, images -> logits.
        weights: (params, model_state), as `Run.weights` is.
        x: a batch as the model reads it (`taps.model_input`).
        layer: path of a layer whose output is (batch, rows, columns, channels), as `taps.layer_outputs` names it.
        labels: the class asked about; None: the one predicted.

    ValueError lists the layers that can be asked. An image for whose class nothing speaks gives zeros.
    Source: Selvaraju et al. 2016, arXiv:1610.02391, eqs. 1 and 2.
    """
    taps = jax.eval_shape(partial(layer_outputs, model), weights, x)
    if layer not in taps or len(taps[layer].shape) != 4:
        found = ", ".join(name for name, value in taps.items() if len(value.shape) == 4)
        raise UserError(f"layer={layer!r}: take one whose output is an image: {found}")

    module, how = called(model, x, train=False)

    @jax.jit
    def heat(weights: Variables, x: Array, labels: Array | None) -> Array:
        params, model_state = weights
        activation = layer_outputs(model, weights, x)[layer]

        def score(delta: Array) -> Array:
            with adding({layer: delta}):
                logits = module.apply({"params": params, **model_state}, x, **how)
            asked = logits.argmax(-1) if labels is None else labels
            return jnp.take_along_axis(logits, asked[:, None], -1).sum()

        alpha = jax.grad(score)(jnp.zeros_like(activation)).mean((1, 2))
        found = jnp.maximum(jnp.einsum("nhwk,nk->nhw", activation, alpha), 0)
        highest = found.max((1, 2), keepdims=True)
        return found / jnp.where(highest > 0, highest, 1)

    return heat(weights, x, labels)


def attention_maps(model: Any, weights: Variables, x: Array) -> dict[str, Float[Array, "batch heads queries keys"]]:
    """Path of an attention layer -> who looks at whom, every row a distribution over the keys.

    For models built from `layers.attention.MultiHead`. Of a ViT with a class token, `[:, :, 0, 1:]` is what the token sees of
    the patches.
    """
    params, model_state = weights
    variables = {"params": params, **model_state}
    model, how = called(model, x, train=False)
    _, state = jax.jit(partial(model.apply, **how, mutable=["intermediates"]))(variables, x)
    found: dict[str, Array] = {}

    def walk(tree: Mapping[str, Any], path: tuple[str, ...]) -> None:
        for name, child in tree.items():
            if isinstance(child, Mapping):
                walk(child, (*path, name))
            elif name == "weights":
                found["/".join(path)] = child[0]

    walk(state.get("intermediates", {}), ())
    return dict(sorted(found.items(), key=lambda item: natural(item[0])))


def natural(name: str) -> list[int | str]:
    """`block10` after `block9`: the key to sort by.

    >>> sorted(["block10", "block9"], key=natural)
    ['block9', 'block10']
    """
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]
