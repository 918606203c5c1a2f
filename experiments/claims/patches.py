"""A small Vision Transformer on clothing of 28x28: attention, heads, positions, norms and activations, one changed at a time.

49 patches of 4x4, width 32, two blocks with 4 heads, norms first, the mean over the patches. 1,000 steps of 32 of 3,000 images
with AdamW, one learning rate for all, which was not tuned. A seed draws the images, the initialization and the order. The MLP has
about as many parameters. `batch norm` normalizes each channel over images and patches, in the test over 100 images at a time.
"""

from functools import partial
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jaxdl.activations import gelu, relu
from jaxdl.layers.normalization import LayerNorm, standardize
from jaxdl.layers.position import Learned, Rotary
from jaxdl.models.mlp import MLP
from jaxdl.models.transformer_block import Config, Stack
from jaxdl.runs.claim_training import clothing_trainer
from jaxdl.runs.claims import Comparison, Study

TOKENS = 49


class OfBatch(nn.Module):
    """Batch normalization with the statistics of the batch at hand."""

    @nn.compact
    def __call__(self, x, **_):
        scale, shift = (self.param(name, init, x.shape[-1:]) for name, init in
                        (("scale", nn.initializers.ones), ("shift", nn.initializers.zeros)))  # fmt: skip
        return standardize(x, (0, 1), 1e-5) * scale + shift


class Patches(nn.Module):
    config: Config
    attend: bool = True

    @nn.compact
    def __call__(self, x, *, train=False):
        x = x.reshape(-1, 7, 4, 7, 4).swapaxes(2, 3).reshape(-1, TOKENS, 16)
        x = nn.Dense(self.config.width)(x)
        if self.config.position is not None:
            x = self.config.position()(x, jnp.arange(TOKENS)[None])
        mask = None if self.attend else jnp.eye(TOKENS, dtype=bool)[None, None]
        return nn.Dense(10)(Stack(self.config)(x, mask=mask, train=train).mean(1))


BASE = Config(
    vocab=1, width=32, depth=2, heads=4, hidden=64, order="first", act=gelu, position=partial(Learned, TOKENS)
)
MODELS: dict[str, Any] = {
    "4 heads": Patches(BASE),
    "no attention": Patches(BASE, attend=False),
    "MLP of equal size": MLP(features=(24,), act=relu),
    "1 head": Patches(BASE.but(heads=1)),
    "no positions": Patches(BASE.but(position=None)),
    "relative positions": Patches(BASE.but(position=None, relative=Rotary)),
    "ReLU": Patches(BASE.but(act=relu)),
    "batch norm": Patches(BASE.but(norm=OfBatch)),
    "batch norm, 4 images": Patches(BASE.but(norm=OfBatch)),
    "layer norm, 4 images": Patches(BASE.but(norm=LayerNorm)),
}


def measure(*, model: str, seed: int) -> float:
    batch = 4 if model.endswith("4 images") else 32
    return clothing_trainer(MODELS[model], images=3000, steps=1000, lr=3e-3, batch=batch)(seed)


C10, C49, C62 = (
    "attention over patches classifies images",
    "layer norm suits Transformers better",
    "positions: absolute or relative",
)
study = Study(
    measure=measure,
    settings={name: {"model": name} for name in MODELS},
    comparisons=(
        Comparison("C10", C10, "4 heads", "no attention", 0.01, "against the patches alone"),
        Comparison("C10", C10, "4 heads", "MLP of equal size", 0.01, "against an MLP of equal size"),
        Comparison("C63", "several heads capture more than one", "4 heads", "1 head", 0.005),
        Comparison("C62", C62, "4 heads", "no positions", 0.01, "learned absolute positions against none"),
        Comparison("C62", C62, "relative positions", "no positions", 0.01, "rotary positions against none"),
        Comparison("C25", "GELU suits Transformers", "4 heads", "ReLU", 0.005, "against ReLU"),
        Comparison("C49", C49, "4 heads", "batch norm", 0.005, "batches of 32"),
        Comparison("C49", C49, "layer norm, 4 images", "batch norm, 4 images", 0.005, "batches of 4"),
    ),
)
